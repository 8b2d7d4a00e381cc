/** What of a partition can be compacted, when it is time, and which segments come together. */
import { describe, expect, it } from 'vitest'
import { cleanableOf } from '../../../src/log/cleaner/cleanable.ts'
import { groupSegments } from '../../../src/log/cleaner/segment-groups.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import type { Segment } from '../../../src/storage/segment.ts'
import { append, compactedLog, type CompactedLog, end } from './compacting.ts'

const NOW = 1_700_000_000_000

/** Five segments of two records, written a second apart, the last of them active. */
async function fiveSegments(config: object = {}): Promise<CompactedLog> {
  const compacted = await compactedLog({ segmentBytes: 1 << 20, ...config })
  const { partition, log } = compacted
  for (let at = 0; at < 5; at++) {
    if (at > 0) partition.roll()
    const timestamp = NOW + at * 1_000
    append(
      partition,
      [0, 1].map((key) => ({ key: `${key}`, value: 'v', timestamp })),
    )
  }
  await runProcedure(log.checkpoint())
  return compacted
}

describe('what can be compacted', () => {
  it('is everything below the active segment, from where the last pass ended', async () => {
    const { partition } = await fiveSegments()
    const { sizeBytes } = partition.segments.first
    const found = cleanableOf(partition, { firstDirtyOffset: 4, nowMs: NOW })
    expect(found).toEqual({
      firstDirtyOffset: 4,
      firstUncleanableOffset: 8,
      cleanBytes: 2 * sizeBytes,
      dirtyBytes: 2 * sizeBytes,
      dirtyRatio: 0.5,
      isOverdue: false,
      isDue: false,
    })
  })

  it.each([-1, 11, 99])(
    'begins with the log where a checkpoint says %i',
    async (firstDirtyOffset) => {
      const { partition } = await fiveSegments()
      expect(cleanableOf(partition, { firstDirtyOffset, nowMs: NOW }).firstDirtyOffset).toBe(0)
    },
  )

  it('is due where more is dirty than the ratio allows', async () => {
    const { partition } = await fiveSegments({ minCleanableDirtyRatio: 0.5 })
    const isDue = (firstDirtyOffset: number): boolean =>
      cleanableOf(partition, { firstDirtyOffset, nowMs: NOW }).isDue
    expect([isDue(0), isDue(2), isDue(4), isDue(8)]).toEqual([true, true, false, false])
  })

  it('ends with the segment in which something is open, or not durable', async () => {
    const { partition } = await fiveSegments()
    const producer = { producerId: 3, transactional: true }
    append(partition, [{ key: 'k', value: 'v' }], producer)
    partition.roll()
    append(partition, [{ key: 'k', value: 'v' }])
    partition.roll()
    const context = { firstDirtyOffset: 0, nowMs: NOW }
    await partition.makeDurable(10)
    const end10 = cleanableOf(partition, context).firstUncleanableOffset
    await partition.makeDurable(partition.logEndOffset)
    const open = cleanableOf(partition, context).firstUncleanableOffset
    end(partition, 3, 'commit')
    expect(cleanableOf(partition, context).firstUncleanableOffset).toBe(12)
    expect(end10).toBeLessThanOrEqual(8)
    expect(open).toBe(8)
  })

  it('leaves alone what is younger than minCompactionLagMs, and all behind it', async () => {
    const { partition } = await fiveSegments({ minCompactionLagMs: 1_500 })
    const until = (nowMs: number): number =>
      cleanableOf(partition, { firstDirtyOffset: 0, nowMs }).firstUncleanableOffset
    expect(until(NOW + 3_000)).toBe(4)
    expect(until(NOW + 2_500)).toBe(4)
    expect(until(NOW + 2_499)).toBe(2)
    expect(until(NOW + 9_000)).toBe(8)
    // Times of the future say nothing: the file's own does, where somebody knows it.
    const modifiedMsOf = (): number => 0
    const told = cleanableOf(partition, { firstDirtyOffset: 0, nowMs: NOW - 1, modifiedMsOf })
    expect([until(NOW - 1), told.firstUncleanableOffset]).toEqual([0, 8])
  })

  it('is overdue where its oldest dirty segment is older than maxCompactionLagMs', async () => {
    const { partition } = await fiveSegments({ maxCompactionLagMs: 500, minCleanableDirtyRatio: 1 })
    const at = (firstDirtyOffset: number, nowMs: number): readonly boolean[] => {
      const { isOverdue, isDue } = cleanableOf(partition, { firstDirtyOffset, nowMs })
      return [isOverdue, isDue]
    }
    expect(at(0, NOW + 500)).toEqual([false, false])
    expect(at(0, NOW + 501)).toEqual([true, true])
    expect(at(2, NOW + 1_500)).toEqual([false, false])
    expect(at(8, NOW + 99_999)).toEqual([false, false])
  })
})

describe('segments that become one', () => {
  const bounds = { segmentBytes: 100, indexIntervalBytes: 4_096 }
  const segment = (baseOffset: number, sizeBytes: number, nextOffset = baseOffset + 1): Segment =>
    // Groups are made by these three alone.
    ({ baseOffset, sizeBytes, nextOffset }) as Segment
  const bases = (segments: readonly Segment[], given = bounds): readonly (readonly number[])[] =>
    groupSegments(segments, given).map((group) => group.map(({ baseOffset }) => baseOffset))

  it('are neighbours that fit one segment as they are', () => {
    expect(bases([segment(0, 40), segment(5, 60), segment(9, 1), segment(10, 100)])).toEqual([
      [0, 5],
      [9],
      [10],
    ])
    expect(bases([segment(0, 400), segment(5, 10)])).toEqual([[0], [5]])
  })

  it('have offsets within 2^31 of each other', () => {
    const far = 2 ** 31
    expect(bases([segment(7, 1), segment(9, 1, 7 + far), segment(8 + far, 1)])).toEqual([
      [7, 9],
      [8 + far],
    ])
  })

  it('have indexes that fit as well, and batches', () => {
    const large = { segmentBytes: 2 ** 31 - 1, indexIntervalBytes: 0 }
    expect(bases([segment(0, 40e6), segment(1, 40e6), segment(2, 10e6)], large)).toEqual([
      [0],
      [1, 2],
    ])
    expect(bases([segment(0, 10), segment(1, 0), segment(2, 10)])).toEqual([[0], [2]])
  })
})
