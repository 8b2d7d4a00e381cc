/**
 * The directory of a log before it is opened: made where it is missing, refused where it is
 * something else. The only look at paths outside of a log's own directory.
 */
import { accessSync, constants, mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { LogError, invalidArgument } from '../errors/log-error.ts'
import { checkSyncs, flushAncestorAt } from './device-sync.ts'
import { errorCodeOf } from './file-failure.ts'

/** What the system and tools of people leave in directories that count as empty. */
const NOBODYS_FILES: ReadonlySet<string> = new Set([
  'lost+found',
  '.DS_Store',
  'Thumbs.db',
  '.gitignore',
  '.gitkeep',
])
/** What taking the lock, or making the first file, leaves when it is interrupted. */
const OUR_FIRST_FILES: ReadonlySet<string> = new Set(['meta.properties.tmp', 'metadata.json.tmp'])

/** True for what may lie in a directory that counts as empty; locks of ours do not count either. */
export function isNobodysFile(name: string): boolean {
  return NOBODYS_FILES.has(name) || name === '.lock' || name.startsWith('streambed.lock')
}

/**
 * The absolute path of a directory that may hold a log: empty, or one already.
 * @throws {LogError} INVALID_ARGUMENT for a file, or a directory of something else; READ_ONLY
 * without permission to write; IO.
 */
export async function prepareLogDirectory(
  directory: string,
  directoryMode: number,
  isLog: (names: readonly string[]) => boolean,
): Promise<string> {
  const path = resolve(directory)
  await makeDirectory(path, directoryMode)
  const names = readNames(path)
  const others = names.filter((name) => !isNobodysFile(name) && !OUR_FIRST_FILES.has(name))
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
  const refusal = await checkSyncs(path)
  if (refusal !== null) throw syncsRefused(path, refusal)
  return path
}

/** Identity of a directory, whatever path leads to it. */
export function directoryKey(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true })
  return `${dev}:${ino}`
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = makeMissing(path, mode)
  if (first !== undefined) await flushNewNames(first, path)
}

/** The uppermost directory that had to be made, if any. */
function makeMissing(path: string, mode: number): string | undefined {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return undefined
    return mkdirSync(path, { recursive: true, mode })
  } catch (cause) {
    throw failure(path, cause)
  }
}

/** The new names have to survive a power cut, or everything below them is lost with them. */
async function flushNewNames(first: string, last: string): Promise<void> {
  for (let made = last; ; made = dirname(made)) {
    await flushAncestorAt(dirname(made))
    if (made === first || made === dirname(made)) return
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
    if (errorCodeOf(cause) === 'ERR_ACCESS_DENIED') throw failure(path, cause)
    throw new LogError(
      'READ_ONLY',
      `${path}: no permission to write here`,
      { directory: path },
      { cause },
    )
  }
}

/** Nothing could be promised of what is written here: better no log than one that loses records. */
function syncsRefused(path: string, cause: Error): LogError<'READ_ONLY'> {
  const message =
    `${path}: this version of Node syncs no file under its permission model, so no record could be ` +
    'made durable: add --allow-addons and the package koffi, or use Node 20 to 24'
  return new LogError('READ_ONLY', message, { directory: path }, { cause })
}

function failure(path: string, cause: unknown): LogError {
  const code = errorCodeOf(cause)
  if (code === 'EEXIST' || code === 'ENOTDIR')
    return invalidArgument(
      `${path} is not a directory: a log lives in a directory of its own`,
      { directory: path },
      cause,
    )
  if (code === 'ERR_ACCESS_DENIED')
    return new LogError(
      'READ_ONLY',
      `${path}: Node's permission model is in the way: give --allow-fs-read and --allow-fs-write for this directory and all it holds`,
      { directory: path },
      { cause },
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
