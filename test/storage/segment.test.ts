/**
 * A segment and its two indexes: the bytes that Kafka writes, and hints that lead where they say.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rebuildIndexes } from '../../src/log/index-rebuild.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { Segment, type SegmentSettings } from '../../src/storage/segment.ts'
import type { BatchBytes } from '../../src/storage/segment-contents.ts'
import type { SegmentPlace } from '../../src/storage/segment-indexes.ts'
import { assignOffsets, sealBatch } from '../../src/format/record-batch.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { fromHex, loadVectors } from '../format/vectors.ts'
import { segmentVector } from '../format/segment-files.ts'
import { bytesOf } from '../log/tampering.ts'

const SETTINGS: SegmentSettings = {
  indexIntervalBytes: 200,
  preallocate: false,
  segmentBytes: 1_000_000,
}

interface Appends {
  readonly indexIntervalBytes: number
  readonly appends: readonly {
    readonly lastOffset: string
    readonly maxTimestamp: string
    readonly hex: string
  }[]
}

function newPlace(baseOffset: number): SegmentPlace {
  const driver = openMemoryDriver()
  driver.createDirectory('t-0')
  return { driver, directory: 't-0', baseOffset }
}

/** Hex of a file of the segment. */
function hexOf(place: SegmentPlace, suffix: string): string {
  const name = String(place.baseOffset).padStart(20, '0') + suffix
  return bytesOf(place.driver, `t-0/${name}`).toString('hex')
}

/** What Kafka's recovery wrote into the file that ends so. */
function kafkaRebuilt(suffix: string): string {
  const { rebuiltFromLog } = segmentVector
  const found = Object.entries(rebuiltFromLog).find(([name]) => name.endsWith(suffix))
  return String(found?.[1])
}

/** The batches of the vector, one by one: an append of Kafka's may have held two. */
function vectorBatches(): readonly BatchBytes[] {
  const { appends } = loadVectors<Appends>('segment.json')
  return appends.flatMap(({ hex }) => {
    const bytes = fromHex(hex)
    const batches: BatchBytes[] = []
    for (let start = 0; start < bytes.length;) {
      const sizeBytes = 12 + bytes.readInt32BE(start + 8)
      batches.push({
        buffer: bytes,
        start,
        sizeBytes,
        lastOffset: Number(bytes.readBigInt64BE(start)) + bytes.readInt32BE(start + 23),
        maxTimestamp: Number(bytes.readBigInt64BE(start + 35)),
        recordCount: bytes.readInt32BE(start + 57),
      })
      start += sizeBytes
    }
    return batches
  })
}

/** A batch of one record at `offset`. */
function batchAt(offset: number, timestamp: number, valueBytes: number): BatchBytes {
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(64), 0)
  builder.add(timestamp, null, 'x'.repeat(valueBytes), null)
  builder.finish('none')
  assignOffsets(builder.buffer, builder.start, offset, 0)
  sealBatch(builder.buffer, builder.start)
  const { buffer, start, sizeBytes } = builder
  return { buffer, start, sizeBytes, lastOffset: offset, maxTimestamp: timestamp, recordCount: 1 }
}

describe("Kafka's segment", () => {
  it('has the indexes that Kafka rebuilds from its log, written live and rebuilt', () => {
    const place = newPlace(segmentVector.baseOffset)
    const live = Segment.create(place, SETTINGS)
    for (const batch of vectorBatches()) live.append(batch)
    live.seal()
    expect(hexOf(place, '.index')).toBe(kafkaRebuilt('.index'))
    expect(hexOf(place, '.timeindex')).toBe(kafkaRebuilt('.timeindex'))
    rebuildIndexes(live)
    const { offsetIndex, timeIndex } = live
    expect(viewHex(offsetIndex.file.view, offsetIndex.slotCount * 8)).toBe(kafkaRebuilt('.index'))
    expect(viewHex(timeIndex.file.view, timeIndex.slotCount * 12)).toBe(kafkaRebuilt('.timeindex'))
  })
})

describe('a segment', () => {
  const anyBatches = fc.array(
    fc.record({
      skip: fc.integer({ min: 0, max: 3 }),
      timestamp: fc.integer({ min: -1, max: 500 }),
      valueBytes: fc.integer({ min: 0, max: 300 }),
    }),
    { maxLength: 80 },
  )
  const anyInterval = fc.constantFrom(0, 100, 500, 4096)

  it('has the same indexes written live, rebuilt, and admitted from any entry on', () => {
    fc.assert(
      fc.property(anyBatches, anyInterval, fc.nat(), (batches, indexIntervalBytes, choice) => {
        const place = newPlace(100)
        const segment = Segment.create(place, { ...SETTINGS, indexIntervalBytes })
        let offset = 100
        for (const { skip, timestamp, valueBytes } of batches) {
          offset += skip
          segment.append(batchAt(offset, timestamp, valueBytes))
          offset += 1
        }
        segment.completeIndexes()
        const [index, times] = [hexOf(place, '.index'), hexOf(place, '.timeindex')]
        const known = segment.contents
        rebuildIndexes(segment)
        segment.completeIndexes()
        expect(segment.contents).toEqual(known)
        const { offsetIndex, timeIndex } = segment
        expect(viewHex(offsetIndex.file.view, offsetIndex.slotCount * 8)).toBe(index)
        expect(viewHex(timeIndex.file.view, timeIndex.slotCount * 12)).toBe(times)
        if (offsetIndex.slotCount === 0) return
        const slot = choice % offsetIndex.slotCount
        expect(offsetIndex.slotForOffset(offsetIndex.offsetOfSlot(slot))).toBe(slot)
        expect(offsetIndex.slotForOffset(offsetIndex.offsetOfSlot(slot) - 1)).toBe(slot - 1)
        expect(offsetIndex.slotForPosition(offsetIndex.positionOfSlot(slot))).toBe(slot)
      }),
    )
  })

  it('closes its time index with the largest timestamp, and cuts preallocated zeros off', () => {
    const place = newPlace(0)
    const segment = Segment.create(place, { ...SETTINGS, preallocate: true })
    for (const [offset, timestamp] of [5, 9, 7].entries()) {
      segment.append(batchAt(offset, timestamp, 10))
    }
    expect(bytesOf(place.driver, segment.logPath)).toHaveLength(65_536)
    segment.seal()
    expect(segment.timeIndex.last).toEqual({ timestamp: 9, offset: 1 })
    expect(bytesOf(place.driver, segment.logPath)).toHaveLength(segment.sizeBytes)
    expect(segment.contents).toMatchObject({ largestTimestamp: 9, firstTimestamp: 5 })
  })

  it('grows ahead by as much as it holds, and never past the size at which it is sealed', () => {
    const place = newPlace(0)
    const settings = { ...SETTINGS, preallocate: true, segmentBytes: 200_000 }
    const segment = Segment.create(place, settings)
    const sizes = new Set<number>()
    for (let offset = 0; offset < 18; offset++) {
      segment.append(batchAt(offset, 1, 10_000))
      sizes.add(bytesOf(place.driver, segment.logPath).length)
    }
    expect([...sizes]).toEqual([65_536, 131_072, 200_000])
  })

  it('refuses offsets that do not ascend, and anything once it is sealed', () => {
    const segment = Segment.create(newPlace(0), SETTINGS)
    segment.append(batchAt(3, 1, 1))
    expect(() => segment.append(batchAt(3, 1, 1))).toThrow('I1')
    segment.seal()
    expect(() => segment.append(batchAt(4, 1, 1))).toThrow('I4')
  })

  it('is written beside the log under the names that a cleaner gives it', () => {
    const place = { ...newPlace(100), suffix: '.cleaned' } as const
    const cleaned = Segment.create(place, { ...SETTINGS, indexIntervalBytes: 0 })
    cleaned.append(batchAt(100, 7, 10))
    cleaned.append(batchAt(105, 8, 10))
    cleaned.addAborted({ producerId: 1, firstOffset: 100, lastOffset: 105, lastStableOffset: 106 })
    cleaned.seal()
    const stem = '00000000000000000100'
    expect(place.driver.list('t-0')).toEqual(
      ['.index', '.log', '.timeindex', '.txnindex'].map((kind) => `${stem}${kind}.cleaned`),
    )
    const opened = Segment.openSealed(place, SETTINGS, cleaned.contents)
    expect(opened.logPath).toBe(`t-0/${stem}.log.cleaned`)
    expect(opened.needsIndexRebuild).toBe(false)
    expect(opened.offsetIndex.slotCount).toBe(1)
    expect(opened.aborted.entries).toHaveLength(1)
  })

  it('is read under the final names of its files once it was told of them', () => {
    const place = { ...newPlace(100), suffix: '.swap' } as const
    const swap = Segment.create(place, { ...SETTINGS, indexIntervalBytes: 0 })
    swap.append(batchAt(100, 7, 10))
    swap.append(batchAt(105, 8, 10))
    swap.addAborted({ producerId: 1, firstOffset: 100, lastOffset: 105, lastStableOffset: 106 })
    swap.seal()
    const opened = Segment.openSealed(place, SETTINGS, swap.contents)
    for (const name of place.driver.list('t-0')) {
      place.driver.rename(`t-0/${name}`, `t-0/${name.slice(0, -'.swap'.length)}`)
    }
    opened.renamed()
    expect(opened.needsIndexRebuild).toBe(false)
    expect(opened.aborted.entries).toHaveLength(1)
    expect(opened.logPath).toBe('t-0/00000000000000000100.log')
    expect(opened.read(Buffer.alloc(10), 0, 10, 0)).toBe(10)
  })

  it('is never created over one that holds data', () => {
    const place = newPlace(0)
    Segment.create(place, SETTINGS).append(batchAt(0, 1, 1))
    expect(() => Segment.create(place, SETTINGS)).toThrow('never created anew')
  })
})

function viewHex(view: DataView, byteLength: number): string {
  return Buffer.from(view.buffer, view.byteOffset, byteLength).toString('hex')
}
