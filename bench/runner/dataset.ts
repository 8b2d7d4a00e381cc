/**
 * The records that all contestants write and read: a pool of different ones, used in turn, so that
 * making them costs nothing while the clock runs. The same bytes in every process.
 *
 *   record n   key 'key-000000000042' (16 B, ASCII)   value: valueBytes pseudo-random bytes
 *
 * Checked twice: `crc32Of` over everything that was written, after the clock has stopped; `touch`,
 * which looks at both ends of a value and costs next to nothing, while reading is timed.
 */
import { crc32 } from 'node:zlib'

/** Bytes of a key. */
export const KEY_BYTES = 16
/** Batches of 1, 100 and 1,000 go round it without a remainder. */
export const POOL_RECORDS = 500
/** Values from here on are few: hundreds of them would be measured as memory. */
const LARGE_VALUE_BYTES = 65_536
const POOL_LARGE_RECORDS = 20

/** One record, as streambed's `append` and `send` take it. */
export interface BenchRecord {
  readonly key: string
  readonly value: Buffer
}

/** Records of one size. */
export class Dataset {
  readonly valueBytes: number
  /** How many different ones there are. */
  readonly poolRecords: number
  #pool: readonly BenchRecord[] = []

  constructor(valueBytes: number) {
    this.valueBytes = valueBytes
    this.poolRecords = valueBytes < LARGE_VALUE_BYTES ? POOL_RECORDS : POOL_LARGE_RECORDS
  }

  /** The record with number `index`. */
  at(index: number): BenchRecord {
    return this.#pool[index % this.poolRecords] ?? this.#made(index)
  }

  /** Bytes of keys and values of `recordCount` records. */
  byteCount(recordCount: number): number {
    return recordCount * (KEY_BYTES + this.valueBytes)
  }

  /** Batches of `batchRecords`, to be written in turn: record n stays record n. */
  batches(batchRecords: number): readonly (readonly BenchRecord[])[] {
    this.#made(0)
    return inBatches(this.#pool, batchRecords)
  }

  /** What `crc32Of` is after the first `recordCount` records. */
  crc32(recordCount: number): number {
    const bytes: Uint8Array[] = []
    for (let index = 0; index < this.poolRecords; index += 1) {
      const { key, value } = this.at(index)
      bytes.push(Buffer.from(key), value)
    }
    const roundBytes = Buffer.concat(bytes)
    const lastRound = recordCount % this.poolRecords
    let crc = 0
    for (let left = recordCount - lastRound; left > 0; left -= this.poolRecords) {
      crc = crc32(roundBytes, crc)
    }
    return crc32(roundBytes.subarray(0, this.byteCount(lastRound)), crc)
  }

  /** The sum of `touch` over records `from` to `to`, exclusive. */
  touched(from: number, to: number): number {
    let sum = 0
    for (let index = from; index < to; index += 1) {
      const { value } = this.at(index)
      sum += touch(value, 0, value.length)
    }
    return sum
  }

  /** Makes the pool at its first use: a process knows all datasets and needs one. */
  #made(index: number): BenchRecord {
    if (this.#pool.length === 0) this.#pool = makePool(this.valueBytes, this.poolRecords)
    const record = this.#pool[index % this.poolRecords]
    if (record === undefined) throw new RangeError('records are numbered from 0')
    return record
  }
}

/** One item for each record of the pool, in batches to be written in turn. */
export function inBatches<T>(pool: readonly T[], batchRecords: number): readonly (readonly T[])[] {
  const batchCount = Math.max(1, pool.length / batchRecords)
  mustEqual((batchCount * batchRecords) % pool.length, 0, 'records left over by whole batches')
  const twice = [...pool, ...pool] // A batch of 1,000 goes round the pool twice.
  return Array.from({ length: batchCount }, (_, batch) =>
    twice.slice(batch * batchRecords, (batch + 1) * batchRecords),
  )
}

/** Looks at a value where it lies, at both ends. */
export function touch(bytes: Uint8Array, start: number, byteLength: number): number {
  return (bytes[start] ?? 0) + (bytes[start + byteLength - 1] ?? 0) + byteLength
}

/** The checksum `crc` goes on to behind one more record. */
export function crc32Of(crc: number, key: string | Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key, crc))
}

/** Throws unless two numbers are the same. */
export function mustEqual(actual: number, expected: number, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual}, expected ${expected}`)
}

/** An offset for each of `count` lookups below `recordCount`, the same in every process. */
export function scatteredOffsets(count: number, recordCount: number): Uint32Array {
  const random = xorshift(0x9e37_79b9)
  return Uint32Array.from({ length: count }, () => random() % recordCount)
}

function makePool(valueBytes: number, length: number): readonly BenchRecord[] {
  const random = xorshift(0x1234_5678 ^ valueBytes)
  return Array.from({ length }, (_, index) => {
    const value = Buffer.allocUnsafeSlow(valueBytes)
    for (let at = 0; at < valueBytes; at += 1) value[at] = random() >>> 24
    return { key: `key-${String(index).padStart(KEY_BYTES - 4, '0')}`, value }
  })
}

/** Marsaglia's xorshift32: repeatable, good enough for bytes that do not compress. */
function xorshift(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}
