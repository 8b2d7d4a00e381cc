/**
 * Entries of .index and .timeindex: Kafka's bytes both ways, Kafka's lookups, and the search
 * against a linear scan.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import {
  OFFSET_INDEX_ENTRY_BYTES,
  floorOffsetIndexSlot,
  readIndexPosition,
  readIndexRelativeOffset,
  writeOffsetIndexEntry,
} from '../../src/format/offset-index-entry.ts'
import {
  TIME_INDEX_ENTRY_BYTES,
  floorTimeIndexSlot,
  readTimeIndexRelativeOffset,
  readTimeIndexTimestamp,
  writeTimeIndexEntry,
} from '../../src/format/time-index-entry.ts'
import { segmentFiles, segmentVector, viewOf } from './segment-files.ts'

const emptyView = (byteCount: number): DataView => new DataView(new ArrayBuffer(byteCount))

/** The last index of an entry <= target, the slow way; -1 for none. */
const scanFor = (entries: readonly number[], target: number): number =>
  entries.findLastIndex((entry) => entry <= target)

describe('an .index file', () => {
  const files = segmentFiles('.index')

  it.each(files)('of Kafka gives the same bytes when its entries are written', (bytes) => {
    const view = viewOf(bytes)
    const copy = Buffer.alloc(bytes.length)
    const slotCount = bytes.length / OFFSET_INDEX_ENTRY_BYTES
    for (let slot = 0; slot < slotCount; slot++) {
      const relativeOffset = readIndexRelativeOffset(view, slot)
      writeOffsetIndexEntry(viewOf(copy), slot, relativeOffset, readIndexPosition(view, slot))
    }
    expect(slotCount).toBeGreaterThan(3)
    expect(copy).toEqual(bytes)
  })

  it.each(segmentVector.offsetLookups)('finds $offset where Kafka finds it', (lookup) => {
    const bytes = files[0] ?? Buffer.alloc(0)
    const { baseOffset } = segmentVector
    const slotCount = bytes.length / OFFSET_INDEX_ENTRY_BYTES
    const slot = floorOffsetIndexSlot(viewOf(bytes), slotCount, lookup.offset - baseOffset)
    const found =
      slot === -1
        ? [baseOffset, 0]
        : [
            baseOffset + readIndexRelativeOffset(viewOf(bytes), slot),
            readIndexPosition(viewOf(bytes), slot),
          ]
    expect(found).toEqual(lookup.indexLookup)
  })

  it('is searched as a linear scan would search it', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(50)), fc.integer({ min: -2, max: 52 }), (found, target) => {
        const entries = found.toSorted((a, b) => a - b)
        const view = emptyView(entries.length * OFFSET_INDEX_ENTRY_BYTES)
        for (const [slot, entry] of entries.entries()) writeOffsetIndexEntry(view, slot, entry, 0)
        expect(floorOffsetIndexSlot(view, entries.length, target)).toBe(scanFor(entries, target))
      }),
    )
  })

  it.each([-1, 2 ** 31])('asserts that %d is neither offset nor position', (value) => {
    const view = emptyView(OFFSET_INDEX_ENTRY_BYTES)
    expect(() => writeOffsetIndexEntry(view, 0, value, 0)).toThrow(InvariantError)
    expect(() => writeOffsetIndexEntry(view, 0, 0, value)).toThrow(InvariantError)
  })
})

describe('a .timeindex file', () => {
  const files = segmentFiles('.timeindex')

  it.each(files)('of Kafka gives the same bytes when its entries are written', (bytes) => {
    const view = viewOf(bytes)
    const copy = Buffer.alloc(bytes.length)
    const slotCount = bytes.length / TIME_INDEX_ENTRY_BYTES
    for (let slot = 0; slot < slotCount; slot++) {
      const timestamp = readTimeIndexTimestamp(view, slot)
      writeTimeIndexEntry(viewOf(copy), slot, timestamp, readTimeIndexRelativeOffset(view, slot))
    }
    expect(slotCount).toBeGreaterThan(3)
    expect(copy).toEqual(bytes)
  })

  it.each(segmentVector.timestampLookups)('finds $timestamp where Kafka does', (lookup) => {
    const bytes = files[0] ?? Buffer.alloc(0)
    const { baseOffset } = segmentVector
    const slotCount = bytes.length / TIME_INDEX_ENTRY_BYTES
    const slot = floorTimeIndexSlot(viewOf(bytes), slotCount, Number(lookup.timestamp))
    const found =
      slot === -1
        ? ['-1', baseOffset]
        : [
            String(readTimeIndexTimestamp(viewOf(bytes), slot)),
            baseOffset + readTimeIndexRelativeOffset(viewOf(bytes), slot),
          ]
    expect(found).toEqual(lookup.timeindexLookup)
  })

  it('is searched as a linear scan would search it, timestamps before 1970 included', () => {
    const timestamps = fc.uniqueArray(fc.maxSafeInteger(), { maxLength: 20 })
    fc.assert(
      fc.property(timestamps, fc.maxSafeInteger(), (found, target) => {
        const entries = found.toSorted((a, b) => a - b)
        const view = emptyView(entries.length * TIME_INDEX_ENTRY_BYTES)
        for (const [slot, entry] of entries.entries()) writeTimeIndexEntry(view, slot, entry, slot)
        for (const wanted of [target, ...entries]) {
          expect(floorTimeIndexSlot(view, entries.length, wanted)).toBe(scanFor(entries, wanted))
        }
        expect(entries.map((_, slot) => readTimeIndexTimestamp(view, slot))).toEqual(entries)
      }),
    )
  })

  it('asserts that timestamps and offsets fit', () => {
    const view = emptyView(TIME_INDEX_ENTRY_BYTES)
    expect(() => writeTimeIndexEntry(view, 0, 2 ** 53, 0)).toThrow(InvariantError)
    expect(() => writeTimeIndexEntry(view, 0, 0, -1)).toThrow(InvariantError)
    expect(() => writeTimeIndexEntry(view, 0, 0, 2 ** 31)).toThrow(InvariantError)
  })
})
