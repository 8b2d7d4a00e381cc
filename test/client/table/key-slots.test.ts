/**
 * The index of a table against a Map of lists, under hashes that spread and hashes that collide.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyHash, KeySlots, NO_ENTRY } from '../../../src/client/table/key-slots.ts'

/** All entries with a hash. */
function entriesOf(slots: KeySlots, hash: number): readonly number[] {
  const found: number[] = []
  for (let entry = slots.probe(hash); entry !== NO_ENTRY; entry = slots.probeNext()) {
    found.push(entry)
  }
  return found.toSorted((a, b) => a - b)
}

function remove(slots: KeySlots, hash: number, entry: number): void {
  for (let at = slots.probe(hash); at !== entry; at = slots.probeNext()) {
    expect(at).not.toBe(NO_ENTRY)
  }
  slots.removeProbed()
}

const spread = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const colliding = fc.constantFrom(0, -1, 1, 16, 2 ** 31 - 1, -(2 ** 31), 4_096, 8_192)

describe('the slots of a table', () => {
  it('find exactly the entries that are in them', () => {
    const steps = fc.array(
      fc.record({ hash: fc.oneof(spread, colliding), removes: fc.boolean() }),
      {
        maxLength: 300,
      },
    )
    fc.assert(
      fc.property(steps, (history) => {
        const slots = new KeySlots()
        const model = new Map<number, number[]>()
        for (const [entry, { hash, removes }] of history.entries()) {
          const known = model.get(hash) ?? []
          const oldest = removes ? known.shift() : undefined
          if (oldest === undefined) {
            slots.add(hash, entry)
            known.push(entry)
          } else {
            remove(slots, hash, oldest)
          }
          model.set(hash, known)
        }
        for (const [hash, entries] of model) expect(entriesOf(slots, hash)).toEqual(entries)
      }),
      { numRuns: 60 },
    )
  })

  it('hold a hundred thousand entries, and none once all are removed', () => {
    const slots = new KeySlots()
    const hashes = Array.from({ length: 100_000 }, (_, entry) => Math.imul(entry, 0x9e37_79b1) | 0)
    for (const [entry, hash] of hashes.entries()) slots.add(hash, entry)
    expect(hashes.every((hash, entry) => slots.probe(hash) === entry)).toBe(true)
    expect(slots.heldBytes).toBeLessThan(100_000 * 24)
    for (const [entry, hash] of hashes.entries()) remove(slots, hash, entry)
    expect(hashes.some((hash) => slots.probe(hash) !== NO_ENTRY)).toBe(false)
  })

  it('stay small where all hashes are the same', () => {
    const slots = new KeySlots()
    for (let entry = 0; entry < 3_000; entry++) slots.add(7, entry)
    expect(entriesOf(slots, 7)).toHaveLength(3_000)
    expect(entriesOf(slots, 8)).toEqual([])
    expect(slots.heldBytes).toBeLessThan(200_000)
  })

  it('hash keys by their bytes, wherever these lie', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(9), (key, shift) => {
        const moved = Buffer.concat([Buffer.alloc(shift, 1), key, Buffer.alloc(3, 2)])
        expect(keyHash(moved, shift, shift + key.length)).toBe(keyHash(key, 0, key.length))
      }),
    )
    const short = ['', '\0', '\0\0', '\0\0\0', '\0\0\0\0', '\0\0\0\0\0', 'a', 'b', 'ab', 'ba']
    const hashes = short.map((text) => keyHash(Buffer.from(text), 0, text.length))
    expect(new Set(hashes).size).toBe(short.length)
  })
})
