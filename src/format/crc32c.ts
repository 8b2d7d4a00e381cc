/**
 * CRC-32C (Castagnoli) over a range of bytes: what Kafka stores in batches and snapshots.
 *
 * Three implementations with one result: `crc-32`, plain JavaScript, is always there and wins on
 * short ranges, where a call costs more than the work. On long ones WebAssembly wins
 * (crc32c-wasm.ts) as soon as there are some kilobytes of them: it need not warm up.
 * `@node-rs/crc32`, optional, is several times as fast as both. It is loaded on request, or once
 * there was so much to sum that loading it pays, never at import.
 */
import { createRequire } from 'node:module'
import plain from 'crc-32/crc32c.js'
import { assert } from '../errors/invariant.ts'
import { compileCrc32c, type ExtendChecksum } from './crc32c-wasm.ts'

/** Measured: about here all three take the same time; for 16 KiB native takes a fifth of it. */
const LONG_FROM_BYTES = 256

/** The first of these that a process sums take the plain way as long as compiling the other. */
const WORTH_COMPILING_BYTES = 8_192

/** To sum these takes about 4 ms; to load the package 3 to 7 of CPU. */
const WORTH_LOADING_BYTES = 4_194_304

const CHECK_TEXT = '123456789'
const CHECK_CRC = 0xe306_9283

let native: ExtendChecksum | undefined
/** Whether it is loaded once it pays. */
let mayLoadNative = false
/** Null where it cannot be compiled. */
let compiled: ExtendChecksum | undefined | null
/** Bytes of long ranges that were summed, or are about to be, by others than the native one. */
let summedBytes = 0

/**
 * Makes `crc32c` use `@node-rs/crc32` for long ranges, if that package is installed, loads and
 * computes the check value right. Called before everything is read; calling it again is free.
 *
 * @returns Whether the native implementation is in use.
 */
export function loadNativeCrc32c(): boolean {
  native ??= requireNative()
  return native !== undefined
}

/**
 * As `loadNativeCrc32c`, but not before long ranges of some megabytes have been summed: who opens a
 * log to look something up does not wait for it. Called at the first open of a log.
 */
export function loadNativeCrc32cOncePaid(): void {
  mayLoadNative = true
}

/** CRC-32C of `buffer` from `start` up to and without `end`, as a uint32. */
export function crc32c(buffer: Uint8Array, start: number, end: number): number {
  assert(start >= 0 && start <= end && end <= buffer.length, 'the range lies inside the buffer')
  // A plain view, not `subarray`: one hidden class for all implementations, whatever is passed.
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset + start, end - start)
  const checksum = checksumFor(bytes.length)
  return (checksum === undefined ? plain.buf(bytes) : checksum(bytes)) >>> 0
}

/** CRC-32C of what `before` is the CRC-32C of, and all of `bytes` behind it; 0 before the first. */
export function extendCrc32c(before: number, bytes: Uint8Array): number {
  const checksum = checksumFor(bytes.length)
  return (checksum === undefined ? plain.buf(bytes, before) : checksum(bytes, before)) >>> 0
}

/** What sums a range of this size; undefined: the plain one. Hot. */
function checksumFor(byteLength: number): ExtendChecksum | undefined {
  if (byteLength < LONG_FROM_BYTES) return undefined
  if (native !== undefined) return native
  summedBytes += byteLength
  if (mayLoadNative && summedBytes >= WORTH_LOADING_BYTES) {
    mayLoadNative = false
    if (loadNativeCrc32c()) return native
  }
  if (compiled === undefined && summedBytes >= WORTH_COMPILING_BYTES) {
    compiled = compileCrc32c() ?? null
  }
  return compiled ?? undefined
}

function requireNative(): ExtendChecksum | undefined {
  try {
    const loaded: unknown = createRequire(import.meta.url)('@node-rs/crc32')
    const { crc32c: checksum } = loaded as { crc32c?: ExtendChecksum } // a module; checked
    const isRight =
      typeof checksum === 'function' && checksum(Buffer.from(CHECK_TEXT)) >>> 0 === CHECK_CRC
    return isRight ? checksum : undefined
  } catch {
    return undefined // Not installed, or built for another platform: the plain one does it all.
  }
}
