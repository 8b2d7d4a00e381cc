/**
 * From a failed system call to the `LogError` a user meets: one table for every storage driver.
 *
 *   ENOSPC EDQUOT EFBIG    NO_SPACE    there is no room; what was stored before stays readable
 *   EACCES EPERM EROFS     READ_ONLY   but only where a file is opened or created for writing; so
 *                                      is ERR_ACCESS_DENIED, of Node's permission model
 *   anything else          IO
 *
 * `details.file` names the file (absolute on disk), `cause` is the error of the system. Never
 * wraps a LogError or an InvariantError: those pass as they are.
 */
import { InvariantError } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'

const NO_ROOM: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
const NOT_ALLOWED: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM', 'EROFS', 'ERR_ACCESS_DENIED'])

/** Whether the failed call was one that decides if we may write here at all. */
export type FailedCall = 'opening-for-writing' | 'other'

/** The `LogError` for `cause`; `action` completes "cannot …", e.g. 'read'. */
export function fileFailure(
  action: string,
  file: string,
  cause: unknown,
  call: FailedCall = 'other',
): Error {
  if (cause instanceof InvariantError || cause instanceof LogError) return cause
  const code = errorCodeOf(cause)
  const reason = cause instanceof Error ? cause.message : String(cause)
  const what = `cannot ${action} ${file}: ${reason}`
  if (NO_ROOM.has(code)) {
    return new LogError('NO_SPACE', `${what}: free some space and try again`, { file }, { cause })
  }
  if (call === 'opening-for-writing' && NOT_ALLOWED.has(code)) {
    return new LogError(
      'READ_ONLY',
      `${what}: allow writing, or open with readOnly: true`,
      { file },
      { cause },
    )
  }
  const remedy =
    code === 'ELOOP'
      ? 'nothing in the directory of a log may be a link; the directory itself may be one'
      : 'see cause'
  return new LogError('IO', `${what}: ${remedy}`, { file }, { cause })
}

/** The system's name for an error, such as 'ENOENT'; undefined where it has none. */
export function errorCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** True for the `LogError` of a driver that found nothing at a path. */
export function isMissingFile(error: unknown): boolean {
  return LogError.is(error, 'IO') && errorCodeOf(error.cause) === 'ENOENT'
}

/** True where another file has got the name of the one that was looked at. */
export function isReplacedFile(error: unknown): boolean {
  return LogError.is(error, 'IO') && errorCodeOf(error.cause) === 'ESTALE'
}

/** True where the file that was looked at has its name no more. */
export function isGoneFile(error: unknown): boolean {
  return isMissingFile(error) || isReplacedFile(error)
}

/** True where the device could not give bytes back: a sector is bad, the file is there. */
export function isDeviceFailure(error: unknown): boolean {
  return LogError.is(error, 'IO') && errorCodeOf(error.cause) === 'EIO'
}

/** An error as the system would give it, for what a driver refuses by itself. */
export function systemError(code: string, reason: string): Error {
  return Object.assign(new Error(`${code}: ${reason}`), { code })
}
