/** The time index: Kafka's lookups, a linear scan's answers, and what cannot be one. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { TimeIndex } from '../../src/storage/time-index.ts'
import { segmentFiles, segmentVector } from '../format/segment-files.ts'
import { overwrite } from '../log/tampering.ts'

function loaded(bytes: Buffer, baseOffset: number = 0): TimeIndex {
  const driver = openMemoryDriver()
  overwrite(driver, 'timeindex', bytes)
  return TimeIndex.load(driver, 'timeindex', baseOffset)
}

describe('a time index', () => {
  it("finds what Kafka's finds", () => {
    const [bytes = Buffer.alloc(0)] = segmentFiles('.timeindex')
    const index = loaded(bytes, segmentVector.baseOffset)
    for (const { timestamp, timeindexLookup } of segmentVector.timestampLookups) {
      const found = index.floor(Number(timestamp))
      const [at, offset] = timeindexLookup
      expect(found ?? { timestamp: -1, offset: segmentVector.baseOffset }).toEqual({
        timestamp: Number(at),
        offset,
      })
    }
  })

  it('takes only later timestamps, and finds what a linear scan finds', () => {
    const offers = fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 0, max: 5 })))
    fc.assert(
      fc.property(offers, fc.nat(70), (entries, target) => {
        const index = TimeIndex.create(openMemoryDriver(), 'timeindex', 10)
        const expected: { readonly timestamp: number; readonly offset: number }[] = []
        let offset = 10
        for (const [timestamp, offsets] of entries) {
          offset += offsets
          index.offer({ timestamp, offset })
          if (timestamp > (expected.at(-1)?.timestamp ?? -1)) expected.push({ timestamp, offset })
        }
        expect(index.last).toEqual(expected.at(-1))
        expect(index.floor(target)).toEqual(expected.findLast((entry) => entry.timestamp <= target))
        expect(index.lastUpTo(target)).toEqual(expected.findLast((entry) => entry.offset <= target))
        expect(index.isSound(offset + 1)).toBe(true)
        index.truncateToOffset(target)
        expect(index.slotCount).toBe(expected.filter((entry) => entry.offset < target).length)
      }),
    )
  })

  it('is unsound where it does not ascend, or names what is not there', () => {
    const entry = (timestamp: bigint, offset: number): Buffer => {
      const bytes = Buffer.alloc(12)
      bytes.writeBigInt64BE(timestamp)
      bytes.writeInt32BE(offset, 8)
      return bytes
    }
    const sound = (...entries: readonly Buffer[]): boolean =>
      loaded(Buffer.concat(entries)).isSound(10)
    expect(sound(entry(1n, 2), entry(2n, 2))).toBe(true)
    expect(sound(entry(1n, 2), entry(1n, 3))).toBe(false)
    expect(sound(entry(1n, 2), entry(2n, 1))).toBe(false)
    expect(sound(entry(1n, 10))).toBe(false)
    expect(sound(entry(0n, 0), entry(0n, 0))).toBe(false)
    expect(sound(entry(1_700_000_000_000_000_000n, 2))).toBe(false)
  })
})
