/**
 * How every codec says that it cannot unpack something: `CorruptBytes` with one of three reasons.
 * Owns the wording only; which bytes are wrong is each codec's business.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'

/** `source` is no stream of this codec, from `position` on. */
export function notCompressed(what: string, position: number, cause?: unknown): CorruptBytes {
  const message = `the compressed records cannot be read: ${what}`
  return new CorruptBytes(
    'compression',
    message,
    position,
    cause === undefined ? undefined : { cause },
  )
}

/** `source` unpacks to more than its reader allows. */
export function beyondLimit(maxBytes: number): CorruptBytes {
  return new CorruptBytes('limit', `the records unpack to more than ${maxBytes} bytes`, 0)
}

/** Nothing here can read or write this codec. */
export function codecMissing(packageName: string): CorruptBytes {
  return new CorruptBytes('codec-missing', `this codec needs the package ${packageName}`, 0)
}

/** The `code` of an error of Node.js; undefined for anything else. */
export function codeOf(error: unknown): unknown {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return error.code
}
