/**
 * Hard links: one file under two names, so that a copy costs neither time nor space. Whether two
 * directories can share files is for the file system to say, and it says so in many ways.
 */
import fs from 'node:fs'
import { errorCodeOf, fileFailure } from './file-failure.ts'

/** Another file system, one without hard links, or a file that has too many names already. */
const UNLINKABLE: ReadonlySet<unknown> = new Set([
  'EXDEV',
  'EPERM',
  'EACCES',
  'EMLINK',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EISDIR', // Windows, where a file system has no links.
  'EINVAL',
  'UNKNOWN',
  'ERR_ACCESS_DENIED',
])

/**
 * Makes `name` a name of the file at `source` as well; false, with nothing done, where that cannot
 * be. Both are absolute.
 * @throws {LogError} NO_SPACE or IO, as where there is no file, or `name` exists.
 */
export function linkFile(source: string, name: string): boolean {
  try {
    fs.linkSync(source, name)
    return true
  } catch (error) {
    if (UNLINKABLE.has(errorCodeOf(error))) return false
    throw fileFailure(`link to ${name}`, source, error)
  }
}

/** True where both are names of one file; false where the file system does not number files. */
export function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) =>
    fs.lstatSync(path, { bigint: true, throwIfNoEntry: false }),
  )
  if (a === undefined || b === undefined || !a.isFile()) return false
  return a.ino !== 0n && a.ino === b.ino && a.dev === b.dev
}
