/** ProducerIds: ids that nobody else has, from whatever source of randomness. */
import { describe, expect, it } from 'vitest'
import { ProducerIds } from '../../src/log/producer-ids.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const nobody = (): boolean => false
const FIRST_ID = 2 ** 40
const END = 2 ** 53

function seeded(seed: number): (byteCount: number) => Uint8Array {
  const random = new SeededRandom(seed)
  return (byteCount) => Uint8Array.from({ length: byteCount }, () => random.below(256))
}

describe('ProducerIds', () => {
  it('draws safe integers from 2^40 on', () => {
    const ids = new ProducerIds(seeded(7), nobody)
    for (let count = 0; count < 1_000; count += 1) {
      const id = ids.draw()
      expect(Number.isSafeInteger(id) && id >= FIRST_ID && id < END).toBe(true)
    }
  })

  it.each([0, 255])('draws no id twice where every random byte is %i', (byte) => {
    const ids = new ProducerIds((count) => new Uint8Array(count).fill(byte), nobody)
    const drawn = Array.from({ length: 100 }, () => ids.draw())
    expect(new Set([...drawn, ids.shared()]).size).toBe(101)
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(FIRST_ID)
    expect(Math.max(...drawn)).toBeLessThan(END)
  })

  it('draws again while a partition knows the id', () => {
    const known = new Set([FIRST_ID, FIRST_ID + 1])
    const ids = new ProducerIds(
      (count) => new Uint8Array(count),
      (id) => known.has(id),
    )
    expect(ids.draw()).toBe(FIRST_ID + 2)
  })

  it('gives everybody the same shared id', () => {
    const ids = new ProducerIds(seeded(3), nobody)
    const shared = ids.shared()
    expect(ids.draw()).not.toBe(shared)
    expect(ids.shared()).toBe(shared)
  })
})
