/**
 * Kafka's varint (int32) and varlong (int64): zigzag, then seven bits a byte, low groups first.
 *
 *   value   0   -1    1   -2        zigzag     (n << 1) ^ (n >> 31)
 *   bytes  00   01   02   03        300 = d8 04: the high bit says that another byte follows
 *
 * A varint has at most 5 bytes, a varlong 10. As in Kafka, longer encodings of small numbers are
 * accepted, and so are bits that do not fit the last byte. Nothing here allocates.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'

const TWO_POW_27 = 0x800_0000
const TWO_POW_32 = 0x1_0000_0000
const VARINT_BITS = 35
const VARLONG_GROUPS = 10
/** Of bits 28 to 55 of a varlong: from here on the value is beyond 2^53. */
const UNSAFE_MIDDLE = 0x400_0000

/** How many bytes `value`, an int32, takes as a varint. */
export function varintBytes(value: number): number {
  return groupCount(((value << 1) ^ (value >> 31)) >>> 0)
}

/** Writes `value`, an int32, at `at` and returns the position behind it. */
export function writeVarint(buffer: Buffer, at: number, value: number): number {
  const bits = ((value << 1) ^ (value >> 31)) >>> 0
  if (bits < 0x80) {
    buffer[at] = bits
    return at + 1
  }
  if (bits < 0x4000) {
    buffer[at] = bits | 0x80 // A byte array keeps the low eight bits.
    buffer[at + 1] = bits >>> 7
    return at + 2
  }
  return writeGroups(buffer, at, bits)
}

/** How many bytes `value`, a safe integer, takes as a varlong. */
export function varlongBytes(value: number): number {
  if ((value | 0) === value) return varintBytes(value)
  const high = Math.floor(value / TWO_POW_32)
  const sign = high >> 31
  const zigzagHigh = ((high << 1) | ((value | 0) >>> 31)) ^ sign
  const zigzagLow = ((value << 1) ^ sign) >>> 0
  // Four groups take 28 bits of the low half; what is left of it goes before the high half.
  return 4 + groupCount(zigzagHigh * 16 + (zigzagLow >>> 28))
}

/** Writes `value`, a safe integer, at `at` and returns the position behind it. */
export function writeVarlong(buffer: Buffer, at: number, value: number): number {
  if ((value | 0) === value) return writeVarint(buffer, at, value)
  assert(Number.isSafeInteger(value), 'a varlong is written from a safe integer')
  const high = Math.floor(value / TWO_POW_32)
  const sign = high >> 31
  const zigzagHigh = ((high << 1) | ((value | 0) >>> 31)) ^ sign
  const zigzagLow = ((value << 1) ^ sign) >>> 0
  // Beyond int32 there is always a bit above the first 28: four full groups come first.
  buffer[at] = (zigzagLow & 0x7f) | 0x80
  buffer[at + 1] = ((zigzagLow >>> 7) & 0x7f) | 0x80
  buffer[at + 2] = ((zigzagLow >>> 14) & 0x7f) | 0x80
  buffer[at + 3] = ((zigzagLow >>> 21) & 0x7f) | 0x80
  return writeGroups(buffer, at + 4, zigzagHigh * 16 + (zigzagLow >>> 28))
}

/**
 * Reads varints one after the other. One reader is kept and used for ever: a position in a field
 * is how a second result is returned without an object.
 */
export class VarintReader {
  /** Where the next read starts; after a read, one past its last byte. */
  position = 0

  /**
   * The varint at `position`, an int32.
   *
   * @throws {CorruptBytes} `record` when it does not end before `end`, or has more than 5 bytes.
   */
  readVarint(buffer: Buffer, end: number): number {
    const at = this.position
    if (at < end) {
      const first = byteAt(buffer, at)
      if (first < 0x80) {
        this.position = at + 1
        return (first >>> 1) ^ -(first & 1)
      }
      // Lengths from 64 on, and so most records and many values, take two bytes.
      if (at + 1 < end) {
        const second = byteAt(buffer, at + 1)
        if (second < 0x80) {
          this.position = at + 2
          const bits = (first & 0x7f) | (second << 7)
          return (bits >>> 1) ^ -(bits & 1)
        }
      }
    }
    return this.#readLongVarint(buffer, end)
  }

  /**
   * The varlong at `position`, a safe integer.
   *
   * @throws {CorruptBytes} `record` when it does not end before `end`, or has more than 10 bytes;
   * `number` when it is beyond ±(2^53 - 1).
   */
  readVarlong(buffer: Buffer, end: number): number {
    const at = this.position
    if (at < end) {
      const first = byteAt(buffer, at)
      if (first < 0x80) {
        this.position = at + 1
        return (first >>> 1) ^ -(first & 1)
      }
      // Lengths from 64 on, and so most records and many values, take two bytes.
      if (at + 1 < end) {
        const second = byteAt(buffer, at + 1)
        if (second < 0x80) {
          this.position = at + 2
          const bits = (first & 0x7f) | (second << 7)
          return (bits >>> 1) ^ -(bits & 1)
        }
      }
    }
    return this.#readLongVarlong(buffer, end)
  }

  #readLongVarint(buffer: Buffer, end: number): number {
    let bits = 0
    let at = this.position
    for (let shift = 0; shift < VARINT_BITS; shift += 7) {
      if (at >= end) throw endsEarly(at)
      const byte = byteAt(buffer, at++)
      bits |= (byte & 0x7f) << shift // Of the fifth byte four bits fit, the rest falls off.
      if (byte < 0x80) {
        this.position = at
        return (bits >>> 1) ^ -(bits & 1)
      }
    }
    throw tooLong(at)
  }

  #readLongVarlong(buffer: Buffer, end: number): number {
    let low = 0 // groups 0 to 3: 28 bits
    let middle = 0 // groups 4 to 7: 28 bits
    let high = 0 // groups 8 and 9: 8 bits, of the tenth byte just one
    let at = this.position
    for (let group = 0; group < VARLONG_GROUPS; group++) {
      if (at >= end) throw endsEarly(at)
      const byte = byteAt(buffer, at++)
      const bits = byte & 0x7f
      if (group < 4) low |= bits << (7 * group)
      else if (group < 8) middle |= bits << (7 * group - 28)
      else high |= bits << (7 * group - 56)
      if (byte < 0x80) {
        this.position = at
        return zigzagDecode(low, middle, high & 0xff, at)
      }
    }
    throw tooLong(at)
  }
}

function zigzagDecode(low: number, middle: number, high: number, at: number): number {
  const half = middle * TWO_POW_27 + (low >>> 1)
  const value = (low & 1) === 0 ? half : -half - 1
  if (high !== 0 || middle >= UNSAFE_MIDDLE || !Number.isSafeInteger(value)) {
    throw new CorruptBytes('number', 'a varlong is beyond what a double holds exactly', at)
  }
  return value
}

function groupCount(bits: number): number {
  if (bits < 0x80) return 1
  if (bits < 0x4000) return 2
  if (bits < 0x20_0000) return 3
  return bits < 0x1000_0000 ? 4 : 5
}

/** Writes the uint32 `bits` in groups of seven and returns the position behind them. */
function writeGroups(buffer: Buffer, at: number, bits: number): number {
  while (bits >= 0x80) {
    buffer[at++] = bits | 0x80
    bits >>>= 7
  }
  buffer[at] = bits
  return at + 1
}

function byteAt(buffer: Buffer, at: number): number {
  return buffer[at] as number // Every caller has compared `at` with its end, which is inside.
}

function endsEarly(at: number): CorruptBytes {
  return new CorruptBytes('record', 'a varint runs past the end of its bytes', at)
}

function tooLong(at: number): CorruptBytes {
  return new CorruptBytes('record', 'a varint has more bytes than its type allows', at)
}
