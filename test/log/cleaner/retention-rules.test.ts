/** What a pass keeps, rule by rule. */
import { describe, expect, it } from 'vitest'
import {
  attributesOf,
  batchSizeBytesOf,
  isControlBatch,
  lastOffsetOf,
  recordCountOf,
} from '../../../src/format/record-batch.ts'
import type { PartitionLog } from '../../../src/log/partition-log.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { append, compact, compactedLog, end, putAll, recordsIn } from './compacting.ts'

const DAY_MS = 86_400_000

/** Of each batch its last offset, how many records it has, and whether it is a marker's. */
function batchesIn(partition: PartitionLog): readonly (readonly [number, number, boolean])[] {
  partition.tail.clear()
  const batches: [number, number, boolean][] = []
  const cursor = partition.cursor(partition.logStartOffset)
  const limit = partition.logEndOffset
  for (let run = cursor.next(limit); run !== undefined; run = cursor.next(limit)) {
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      const isMarker = isControlBatch(attributesOf(run.buffer, at))
      batches.push([lastOffsetOf(run.buffer, at), recordCountOf(run.buffer, at), isMarker])
    }
  }
  return batches
}

describe('what stays', () => {
  it('are records without a key, which are counted', async () => {
    const compacted = await compactedLog({ segmentBytes: 1 << 20 })
    const { partition } = compacted
    const records = ['a', null, 'a', null].map((key, at) => ({ key, value: `${at}` }))
    append(partition, records)
    append(partition, [{ key: null, value: null }])
    partition.roll()
    const { stats } = await compact(compacted)
    expect(recordsIn(partition).map(({ offset }) => offset)).toEqual([1, 2, 3, 4])
    expect(stats.keyless).toBe(3)
  })

  it('is nothing below the start of the log', async () => {
    const compacted = await compactedLog({ segmentBytes: 1 << 20 })
    const { partition, log } = compacted
    append(
      partition,
      ['a', 'b', 'c'].map((key) => ({ key, value: 'v' })),
    )
    append(partition, [{ key: 'd', value: 'v' }])
    partition.roll()
    await runProcedure(log.deleteRecordsBefore(partition, 2))
    await compact(compacted)
    expect(partition.segments.first.recordCount).toBe(2)
    expect(recordsIn(partition).map(({ key }) => key)).toEqual(['c', 'd'])
  })

  it('is the last batch of each producer, empty, so that its sequence goes on', async () => {
    const compacted = await compactedLog({ segmentBytes: 1 << 20 })
    const { partition } = compacted
    append(partition, [{ key: 'a', value: '1' }], { producerId: 5 })
    append(partition, [{ key: 'a', value: '2' }], { producerId: 5 })
    append(partition, [{ key: 'a', value: '3' }], { producerId: 6 })
    append(partition, [{ key: 'a', value: '4' }])
    partition.roll()
    await compact(compacted)
    expect(batchesIn(partition)).toEqual([
      [1, 0, false],
      [2, 0, false],
      [3, 1, false],
    ])
    expect(partition.nextSequence(5, 0)).toBe(2)
  })

  it('is the end of what was replaced, so that a swap can be completed by it', async () => {
    const compacted = await compactedLog()
    putAll(
      compacted.partition,
      Array.from({ length: 60 }, () => ['k', 'v'.repeat(60)] as const),
    )
    const bases = [...compacted.partition.segments].map(({ baseOffset }) => baseOffset)
    await compact(compacted)
    for (const { nextOffset } of [...compacted.partition.segments].slice(0, -1)) {
      expect(bases).toContain(nextOffset)
    }
  })

  it('is the marker of a transaction while a batch of it is there, then until its horizon', async () => {
    const compacted = await compactedLog({ segmentBytes: 1 << 20, deleteRetentionMs: DAY_MS })
    const { partition, clock } = compacted
    const producer = { producerId: 7, transactional: true }
    append(partition, [{ key: 'a', value: '1' }], producer)
    end(partition, 7, 'commit')
    append(partition, [{ key: 'a', value: '2' }], producer)
    end(partition, 7, 'abort')
    append(partition, [{ key: 'a', value: '3' }], producer)
    end(partition, 7, 'commit')
    append(partition, [{ key: 'b', value: 'last' }])
    partition.roll()
    const markers = (): readonly number[] =>
      batchesIn(partition).flatMap(([offset, count, isMarker]) =>
        isMarker && count > 0 ? [offset] : [],
      )
    const passes: (readonly number[])[] = []
    for (let pass = 0; pass < 4; pass++) {
      await compact(compacted)
      passes.push(markers())
      clock.advance(DAY_MS)
    }
    // The first pass finds records of all three, the second gives two of them their horizons.
    expect(passes).toEqual([[1, 3, 5], [1, 3, 5], [5], [5]])
    expect(recordsIn(partition).map(({ value }) => value)).toEqual(['3', 'last'])
  })

  it('is the marker of a producer that has nothing else, for its epoch', async () => {
    const compacted = await compactedLog({ segmentBytes: 1 << 20, deleteRetentionMs: 0 })
    const { partition } = compacted
    append(partition, [{ key: 'a', value: '1' }], { producerId: 7, transactional: true })
    end(partition, 7, 'abort', 3)
    append(partition, [{ key: 'b', value: 'last' }])
    partition.roll()
    for (let pass = 0; pass < 4; pass++) await compact(compacted)
    expect(batchesIn(partition)).toEqual([
      [1, 1, true],
      [2, 1, false],
    ])
  })

  it('tells who reads the old batches what was aborted, as long as the marker stays', async () => {
    const compacted = await compactedLog({ segmentBytes: 1 << 20, deleteRetentionMs: DAY_MS })
    const { partition, clock } = compacted
    append(partition, [{ key: 'a', value: '1' }], { producerId: 7, transactional: true })
    end(partition, 7, 'abort')
    append(partition, [{ key: 'b', value: '2' }], { producerId: 7, transactional: true })
    end(partition, 7, 'commit')
    append(partition, [{ key: 'c', value: 'last' }])
    partition.roll()
    for (let pass = 0; pass < 3; pass++) {
      await compact(compacted)
      expect(recordsIn(partition).map(({ value }) => value)).toEqual(['2', 'last'])
      expect(partition.isAborted(7, 0)).toBe(true)
    }
    clock.advance(DAY_MS)
    await compact(compacted)
    expect(partition.isAborted(7, 0)).toBe(false)
    expect(partition.segments.first.aborted.entries).toEqual([])
  })
})
