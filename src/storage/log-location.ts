/**
 * The directory of a log before it is opened: made where it is missing, refused where it is
 * something else. The only look at paths outside of a log's own directory.
 */
import {
  accessSync,
  constants,
  fsyncSync,
  openSync,
  closeSync,
  mkdirSync,
  readdirSync,
  statSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { LogError, invalidArgument } from '../errors/log-error.ts'

/** What the system and tools of people leave in directories that count as empty. */
const NOBODYS_FILES: ReadonlySet<string> = new Set([
  'lost+found',
  '.DS_Store',
  'Thumbs.db',
  '.gitignore',
  '.gitkeep',
])
/** What taking the lock, or making the first file, leaves when it is interrupted. */
const OUR_FIRST_FILES: ReadonlySet<string> = new Set([
  '.lock',
  'streambed.lock',
  'meta.properties.tmp',
  'metadata.json.tmp',
])

/**
 * The absolute path of a directory that may hold a log: empty, or one already.
 * @throws {LogError} INVALID_ARGUMENT for a file, or a directory of something else; READ_ONLY
 * without permission to write; IO.
 */
export function prepareLogDirectory(
  directory: string,
  isLog: (names: readonly string[]) => boolean,
): string {
  const path = resolve(directory)
  makeDirectory(path)
  const names = readNames(path)
  const others = names.filter(
    (name) =>
      !NOBODYS_FILES.has(name) && !OUR_FIRST_FILES.has(name) && !name.startsWith('streambed.lock'),
  )
  if (others.length > 0 && !isLog(names)) {
    throw invalidArgument(
      `${path} is no log and not empty (it holds ${others
        .slice(0, 3)
        .map((name) => `'${name}'`)
        .join(', ')}${others.length > 3 ? ' …' : ''}): name an empty or a new directory`,
      { directory: path, found: others.slice(0, 10) },
    )
  }
  checkWritable(path)
  return path
}

/** Identity of a directory, whatever path leads to it. */
export function directoryKey(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true })
  return `${dev}:${ino}`
}

function makeDirectory(path: string): void {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return
    const first = mkdirSync(path, { recursive: true, mode: 0o700 })
    if (first !== undefined) flushNewNames(first, path)
  } catch (cause) {
    throw failure(path, cause)
  }
}

/** The new names have to survive a power cut, or everything below them is lost with them. */
function flushNewNames(first: string, last: string): void {
  for (let made = last; ; made = dirname(made)) {
    flushNames(dirname(made))
    if (made === first || made === dirname(made)) return
  }
}

function flushNames(path: string): void {
  if (process.platform === 'win32') return
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function readNames(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch (cause) {
    throw failure(path, cause)
  }
}

function checkWritable(path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new LogError(
      'READ_ONLY',
      `${path}: no permission to write here`,
      { directory: path },
      { cause },
    )
  }
}

function failure(path: string, cause: unknown): LogError {
  const code =
    typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
  if (code === 'EEXIST' || code === 'ENOTDIR')
    return invalidArgument(
      `${path} is not a directory: a log lives in a directory of its own`,
      { directory: path },
      cause,
    )
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new LogError(
      'READ_ONLY',
      `${path}: no permission to make or read this directory`,
      { directory: path },
      { cause },
    )
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new LogError(
      'NO_SPACE',
      `${path}: no room for the directory`,
      { directory: path },
      { cause },
    )
  return new LogError('IO', `${path} cannot be opened: ${String(cause)}`, { file: path }, { cause })
}
