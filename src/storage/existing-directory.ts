/**
 * The directory of a log that has to be there already, for calls that look at it without opening
 * the log: nothing is made, and no permission to write is asked for.
 */
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { invalidArgument } from '../errors/log-error.ts'
import { errorCodeOf, fileFailure } from './file-failure.ts'
import { OWNER_ONLY, type FileModes } from './file-modes.ts'

/**
 * The absolute path of a directory that holds a log.
 * @throws {LogError} INVALID_ARGUMENT for a file, or a directory of anything else; IO where it is
 *   missing (cause ENOENT) or cannot be read.
 */
export function existingLogDirectory(
  directory: string,
  isLog: (names: readonly string[]) => boolean,
  call: string,
): string {
  const path = resolve(directory)
  let names: readonly string[]
  try {
    names = readdirSync(path)
  } catch (cause) {
    if (errorCodeOf(cause) !== 'ENOTDIR') throw fileFailure('read', path, cause)
    throw invalidArgument(`${call}: ${path} is not a directory`, { directory: path }, cause)
  }
  if (isLog(names)) return path
  throw invalidArgument(`${call}: ${path} holds no log`, {
    directory: path,
    found: names.slice(0, 10),
  })
}

/** The modes that a log's directory and files have: what is made among them gets the same. */
export function modesOf(path: string, file: string): FileModes {
  try {
    const found = statSync(join(path, file), { throwIfNoEntry: false })
    const fileMode = (found?.mode ?? OWNER_ONLY.fileMode) & 0o777
    return { fileMode, directoryMode: statSync(path).mode & 0o777 }
  } catch (cause) {
    throw fileFailure('look at', path, cause)
  }
}
