/**
 * CorruptBytes: bytes that are not what the format says. Thrown by format/ only, which knows
 * neither topic nor file; whoever read the bytes turns it into `LogError` CORRUPT with the place.
 */

/** Why bytes were refused. */
export type CorruptReason =
  | 'length'
  | 'magic'
  | 'crc'
  | 'attributes'
  | 'record'
  | 'compression'
  | 'limit'
  | 'codec-missing'
  | 'version'
  | 'number'

/** Bytes that cannot be decoded; `position` is relative to the buffer that was handed in. */
export class CorruptBytes extends Error {
  override readonly name: string = 'CorruptBytes'
  readonly reason: CorruptReason
  readonly position: number

  constructor(
    reason: CorruptReason,
    message: string,
    position: number,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options)
    this.reason = reason
    this.position = position
  }
}
