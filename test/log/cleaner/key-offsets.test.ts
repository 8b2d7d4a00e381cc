/** The map of keys that a cleaner compares with: a Map, but for its bound. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashOf, type KeyHash, KeyOffsets } from '../../../src/log/cleaner/key-offsets.ts'
import { turnsOf } from '../stored-batches.ts'

/** Hashes under which many keys, or all, share their slots. */
const HASHES: readonly KeyHash[] = [
  hashOf,
  () => 0,
  () => -1,
  (bytes, start, end) => (end > start ? (bytes[start] ?? 0) : 7) & 3,
  (_, start, end) => end - start,
]

/** A key somewhere inside of other bytes, as it lies in a batch. */
function inside(key: Uint8Array): { readonly source: Buffer; readonly start: number } {
  return { source: Buffer.concat([Buffer.from('..'), key, Buffer.from('...')]), start: 2 }
}

function put(keys: KeyOffsets, key: Uint8Array, offset: number): boolean {
  const { source, start } = inside(key)
  while (!keys.put(source, start, key.length, offset)) {
    if (!keys.canGrow) return false
    turnsOf(keys.grow())
  }
  return true
}

function offsetOf(keys: KeyOffsets, key: Uint8Array): number {
  const { source, start } = inside(key)
  return keys.offsetOf(source, start, key.length)
}

const anyKey = fc.oneof(
  fc.uint8Array({ maxLength: 2 }),
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 2_040, max: 2_060 }).map((length) => Buffer.alloc(length, length % 251)),
)
const anyOffset = fc.oneof(fc.nat(1_000), fc.maxSafeNat())

describe('the offsets of keys', () => {
  it('are those of a Map until there is no room, whatever the hash', () => {
    const puts = fc.array(fc.tuple(anyKey, anyOffset), { maxLength: 200 })
    const sizes = fc.constantFrom(0, 64, 1_000, 10_000, 1_000_000)
    fc.assert(
      fc.property(puts, sizes, fc.constantFrom(...HASHES), (all, bufferBytes, hash) => {
        const keys = new KeyOffsets(bufferBytes, hash)
        const model = new Map<string, number>()
        for (const [key, offset] of all) {
          const name = Buffer.from(key).toString('hex')
          const isNoted = put(keys, key, offset)
          if (model.has(name) || model.size === 0) expect(isNoted).toBe(true)
          if (isNoted) model.set(name, offset)
          expect(keys.count).toBe(model.size)
        }
        for (const [key] of all) {
          const name = Buffer.from(key).toString('hex')
          expect(offsetOf(keys, key)).toBe(model.get(name) ?? -1)
        }
        turnsOf(keys.clear())
        for (const [key] of all) expect(offsetOf(keys, key)).toBe(-1)
      }),
    )
  })

  it('take a first key that is larger than all the memory, and no other beside it', () => {
    const keys = new KeyOffsets(1_024)
    const huge = Buffer.alloc(100_000, 'k')
    expect(put(keys, huge, 5)).toBe(true)
    expect(put(keys, Buffer.from('a'), 6)).toBe(false)
    expect(put(keys, huge, 7)).toBe(true)
    expect(offsetOf(keys, huge)).toBe(7)
    expect(offsetOf(keys, Buffer.alloc(100_001, 'k'))).toBe(-1)
    turnsOf(keys.clear())
    expect(put(keys, Buffer.from('a'), 6)).toBe(true)
    expect(put(keys, huge, 8)).toBe(false)
  })

  it('have room for millions of short keys in the memory that is meant for them', () => {
    const bufferBytes = 1 << 20
    const keys = new KeyOffsets(bufferBytes)
    let count = 0
    while (put(keys, Buffer.from(`key-${count}`), count)) count += 1
    // So 3.3 million in the 128 MiB that are the default.
    expect(bufferBytes / count).toBeLessThan(41)
    for (let key = 0; key < count; key += 97) {
      expect(offsetOf(keys, Buffer.from(`key-${key}`))).toBe(key)
    }
  })

  it('hashes that differ in the low bits for keys that differ anywhere', () => {
    const seen = new Set<number>()
    for (let key = 0; key < 4_096; key++) {
      const bytes = Buffer.from(String(key * 65_536))
      seen.add(hashOf(bytes, 0, bytes.length) & 0xffff)
    }
    expect(seen.size).toBeGreaterThan(3_800)
    // Kafka's tools call it murmur3_x86_32, seed 0, but for the length, which goes in first here.
    expect(hashOf(Buffer.alloc(0), 0, 0)).toBe(0)
  })

  it('stays what it is as slots are made for more, a slice at a time', () => {
    const keys = new KeyOffsets(1 << 24)
    for (let key = 0; key < 50_000; key++) put(keys, Buffer.from(String(key)), key)
    while (keys.count < 60_000) {
      const key = Buffer.from(String(keys.count))
      if (keys.put(key, 0, key.length, keys.count)) continue
      expect(keys.canGrow).toBe(true)
      expect(turnsOf(keys.grow()).turns).toBeGreaterThan(1)
    }
    for (let key = 0; key < 60_000; key += 7) {
      expect(offsetOf(keys, Buffer.from(String(key)))).toBe(key)
    }
    expect(turnsOf(keys.clear()).turns).toBeGreaterThan(0)
    expect(keys.count).toBe(0)
  })

  it('makes no more slots than its memory has room for', () => {
    const keys = new KeyOffsets(1 << 14)
    let count = 0
    while (put(keys, Buffer.from(String(count)), count)) count += 1
    expect(keys.canGrow).toBe(false)
    expect(count).toBeGreaterThan(300)
  })
})
