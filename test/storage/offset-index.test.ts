/** The offset index: Kafka's lookups, a linear scan's answers, and what cannot be one. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { OffsetIndex } from '../../src/storage/offset-index.ts'
import { segmentFiles, segmentVector } from '../format/segment-files.ts'
import { overwrite } from '../log/tampering.ts'

function loaded(bytes: Buffer, baseOffset: number = 0): OffsetIndex {
  const driver = openMemoryDriver()
  overwrite(driver, 'index', bytes)
  return OffsetIndex.load(driver, 'index', baseOffset)
}

describe('an offset index', () => {
  it("finds what Kafka's finds", () => {
    const [bytes = Buffer.alloc(0)] = segmentFiles('.index')
    const index = loaded(bytes, segmentVector.baseOffset)
    for (const { offset, indexLookup } of segmentVector.offsetLookups) {
      const slot = index.slotForOffset(offset)
      const found =
        slot < 0
          ? [segmentVector.baseOffset, 0]
          : [index.offsetOfSlot(slot), index.positionOfSlot(slot)]
      expect(found).toEqual(indexLookup)
    }
  })

  it('finds what a linear scan finds, and forgets what is cut', () => {
    const steps = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 500 })),
    )
    fc.assert(
      fc.property(steps, fc.nat(300), (entries, target) => {
        const index = OffsetIndex.create(openMemoryDriver(), 'index', 50)
        const expected: { readonly offset: number; readonly position: number }[] = []
        let [offset, position] = [50, 0]
        for (const [offsets, bytes] of entries) {
          offset += offsets
          position += bytes
          expected.push({ offset, position })
          index.append({ offset, position })
        }
        const wanted = 50 + target
        expect(index.slotForOffset(wanted)).toBe(
          expected.findLastIndex((entry) => entry.offset <= wanted),
        )
        expect(index.slotForPosition(wanted)).toBe(
          expected.findLastIndex((entry) => entry.position <= wanted),
        )
        const last = expected.at(-1)?.offset ?? 0
        expect(index.isSound(position + 1, last + 1)).toBe(true)
        expect(index.isSound(position, last + 1)).toBe(entries.length === 0)
        expect(index.isSound(position + 1, last)).toBe(entries.length === 0)
        index.truncateToOffset(wanted)
        expect(index.slotCount).toBe(expected.filter((entry) => entry.offset < wanted).length)
      }),
    )
  })

  it('is unsound where offsets or positions do not ascend', () => {
    const entry = (offset: number, position: number): Buffer => {
      const bytes = Buffer.alloc(8)
      bytes.writeInt32BE(offset)
      bytes.writeInt32BE(position, 4)
      return bytes
    }
    const sound = (...entries: readonly Buffer[]): boolean =>
      loaded(Buffer.concat(entries)).isSound(100, 1_000)
    expect(sound(entry(1, 10), entry(2, 20))).toBe(true)
    expect(sound(entry(1, 10), entry(1, 20))).toBe(false)
    expect(sound(entry(1, 10), entry(2, 10))).toBe(false)
    expect(sound(entry(-1, 10))).toBe(false)
    expect(sound(entry(1, 100))).toBe(false)
    expect(sound(entry(0, 0), entry(0, 0))).toBe(false)
  })

  it('forgets which stretches were verified when it changes under them', () => {
    const index = OffsetIndex.create(openMemoryDriver(), 'index', 0)
    for (const slot of [-1, 0, 7, 300]) index.markVerified(slot)
    expect([-1, 0, 1, 7, 8, 300].map((slot) => index.isVerified(slot))).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
    ])
    index.startAnew()
    expect([-1, 0, 7, 300].some((slot) => index.isVerified(slot))).toBe(false)
    index.markVerified(3)
    index.truncateToOffset(1)
    expect(index.isVerified(3)).toBe(false)
  })
})
