/** Compaction of a partition of which segments are deleted meanwhile. */
import { describe, expect, it } from 'vitest'
import { countBelowStart } from '../../../src/log/retention.ts'
import { SegmentRemoval } from '../../../src/log/segment-removal.ts'
import { namesEnding } from '../tampering.ts'
import {
  append,
  compact,
  compactedLog,
  type CompactedLog,
  end,
  latest,
  putAll,
  recordsIn,
} from './compacting.ts'

const START = 60
const TRANSACTION = { producerId: 7, transactional: true }

/** Large batches, of which a slice has few, and transactions that were aborted. */
async function filled(): Promise<CompactedLog> {
  const compacted = await compactedLog({ segmentBytes: 65_536 })
  for (let round = 0; round < 12; round++) {
    append(compacted.partition, [{ key: 'k0', value: 'aborted' }], TRANSACTION)
    end(compacted.partition, 7, 'abort')
    putAll(
      compacted.partition,
      Array.from({ length: 5 }, (_, at) => {
        return [`k${(round + at) % 7}`, `${round}`.padEnd(8_000, '.')] as const
      }),
    )
  }
  return compacted
}

function deleteOldest({ driver, clock, partition }: CompactedLog): void {
  partition.advanceLogStart(START)
  const count = countBelowStart(partition.segments, START)
  new SegmentRemoval(driver, clock).setAside(partition, partition.dropSegments(count))
}

describe('compaction beside a deletion', () => {
  it('reads nothing of what is gone, at whatever step it goes', async () => {
    const ends = { complete: 0, stopped: 0 }
    let isDeleted = true
    for (let steps = 0; isDeleted; steps++) {
      const compacted = await filled()
      const { partition } = compacted
      const expected = latest(recordsIn(partition, true).filter(({ offset }) => offset >= START))
      let left = steps
      isDeleted = false
      const { isComplete } = await compact(compacted, {
        isStopped: () => {
          if (left-- === 0) {
            deleteOldest(compacted)
            isDeleted = true
          }
          return false
        },
      })
      ends[isComplete ? 'complete' : 'stopped'] += 1
      if (!isDeleted) break
      expect(latest(recordsIn(partition, true))).toEqual(expected)
      expect(namesEnding(compacted.driver, '.cleaned')).toEqual([])
      expect((await compact(compacted)).isComplete).toBe(true)
      expect(latest(recordsIn(partition, true))).toEqual(expected)
    }
    expect(ends.complete).toBeGreaterThan(1)
    expect(ends.stopped).toBeGreaterThan(1)
  })
})
