/**
 * int64 fields as JavaScript numbers: the only place that knows where a double stops being exact.
 *
 *   byte 0          4          8
 *        |   high   |   low    |   big-endian; high signed, low unsigned
 *
 * Reading refuses what is beyond ±(2^53 - 1), writing asserts it: no value is ever rounded.
 * No bigint: it allocates, and no offset or millisecond gets that far.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'

const TWO_POW_32 = 0x1_0000_0000

/**
 * The int64 at `at`.
 *
 * @throws {CorruptBytes} `number` when it is beyond ±(2^53 - 1).
 */
export function readInt64(buffer: Buffer, at: number): number {
  const value = buffer.readInt32BE(at) * TWO_POW_32 + buffer.readUInt32BE(at + 4)
  if (!Number.isSafeInteger(value)) throw beyondSafe(at)
  return value
}

/** Writes the safe integer `value` as the int64 at `at`. Allocates nothing. */
export function writeInt64(buffer: Buffer, at: number, value: number): void {
  assert(Number.isSafeInteger(value), 'an int64 is written from a safe integer')
  writeInt32(buffer, at, Math.floor(value / TWO_POW_32))
  // `| 0` takes the value modulo 2^32, of negative numbers too: two's complement's low half.
  writeInt32(buffer, at + 4, value | 0)
}

/**
 * Writes `value`, an int32, at `at`: a half of an int64, or a field of its own. A third of the time
 * of Buffer's method, which a batch of one record shows.
 */
export function writeInt32(buffer: Buffer, at: number, value: number): void {
  // Bytes behind the end would be dropped without a word.
  assert(at >= 0 && at + 4 <= buffer.length, 'a number is written inside its buffer')
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16 // A byte array keeps the low eight bits.
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
}

function beyondSafe(at: number): CorruptBytes {
  return new CorruptBytes('number', 'an int64 is beyond what a double holds exactly', at)
}
