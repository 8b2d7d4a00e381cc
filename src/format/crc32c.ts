/**
 * CRC-32C (Castagnoli) over a range of bytes: what Kafka stores in batches and snapshots.
 *
 * Two implementations with one result: `crc-32`, plain JavaScript, is always there and wins on
 * short ranges, where a native call costs more than the work; `@node-rs/crc32`, optional, wins on
 * long ones. The native one is loaded on request, or once there was so much to sum that loading it
 * pays, never at import.
 */
import { createRequire } from 'node:module'
import plain from 'crc-32/crc32c.js'
import { assert } from '../errors/invariant.ts'

/** Measured: about here the two take the same time; for 16 KiB native takes a third of it. */
const NATIVE_FROM_BYTES = 256

/** The first of these that a process sums the plain way take as long as loading the package. */
const WORTH_LOADING_BYTES = 65_536

const CHECK_TEXT = '123456789'
const CHECK_CRC = 0xe306_9283

type Checksum = (bytes: Uint8Array, before?: number) => number

let native: Checksum | undefined
/** Bytes of long ranges that are still to be summed before it is loaded; Infinity: it is not. */
let bytesBeforeLoading = Infinity

/**
 * Makes `crc32c` use `@node-rs/crc32` for long ranges, if that package is installed, loads and
 * computes the check value right. Called at the first open of a log; calling it again is free.
 *
 * @returns Whether the native implementation is in use.
 */
export function loadNativeCrc32c(): boolean {
  native ??= requireNative()
  return native !== undefined
}

/**
 * As `loadNativeCrc32c`, but not before long ranges of 64 KiB have been summed: who opens a log to
 * look something up does not wait for it.
 */
export function loadNativeCrc32cOncePaid(): void {
  if (native === undefined && bytesBeforeLoading === Infinity) {
    bytesBeforeLoading = WORTH_LOADING_BYTES
  }
}

/** CRC-32C of `buffer` from `start` up to and without `end`, as a uint32. */
export function crc32c(buffer: Uint8Array, start: number, end: number): number {
  assert(start >= 0 && start <= end && end <= buffer.length, 'the range lies inside the buffer')
  // A plain view, not `subarray`: one hidden class for both implementations, whatever is passed.
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset + start, end - start)
  const checksum = checksumFor(bytes.length)
  return (checksum === undefined ? plain.buf(bytes) : checksum(bytes)) >>> 0
}

/** CRC-32C of what `before` is the CRC-32C of, and all of `bytes` behind it; 0 before the first. */
export function extendCrc32c(before: number, bytes: Uint8Array): number {
  const checksum = checksumFor(bytes.length)
  return (checksum === undefined ? plain.buf(bytes, before) : checksum(bytes, before)) >>> 0
}

/** The native implementation, where it is there and worth its call. Hot. */
function checksumFor(byteLength: number): Checksum | undefined {
  if (byteLength < NATIVE_FROM_BYTES) return undefined
  if (native === undefined && bytesBeforeLoading !== Infinity) {
    bytesBeforeLoading -= byteLength
    if (bytesBeforeLoading > 0) return undefined
    bytesBeforeLoading = Infinity
    native = requireNative()
  }
  return native
}

function requireNative(): Checksum | undefined {
  try {
    const loaded: unknown = createRequire(import.meta.url)('@node-rs/crc32')
    const { crc32c: checksum } = loaded as { crc32c?: Checksum } // a module object; checked below
    const isRight =
      typeof checksum === 'function' && checksum(Buffer.from(CHECK_TEXT)) >>> 0 === CHECK_CRC
    return isRight ? checksum : undefined
  } catch {
    return undefined // Not installed, or built for another platform: the plain one does it all.
  }
}
