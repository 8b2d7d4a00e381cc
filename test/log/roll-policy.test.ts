/**
 * When a segment has no room for what comes next and for the markers that must fit behind it. The
 * rules by size and age are shown on a log (partition-log.test.ts).
 */
import { describe, expect, test } from 'vitest'
import { isFull, MAX_RELATIVE_OFFSET, mustRoll } from '../../src/log/roll-policy.ts'

const CONFIG = { segmentBytes: 2 ** 31 - 1, segmentMs: 1_000 }
const MAX_POSITION = 2 ** 31 - 1

/** A segment that starts at offset 5 and has `sizeBytes` of batches. */
function segmentOf(sizeBytes: number): Parameters<typeof mustRoll>[0] {
  return {
    baseOffset: 5,
    sizeBytes,
    firstTimestamp: 10,
    offsetIndex: { slotCount: 1 },
    timeIndex: { slotCount: 1 },
    hasRoomFor: (needed) => sizeBytes + needed <= MAX_POSITION,
  }
}

/** Whether a batch of 100 bytes that ends at `lastOffset` goes into a new segment. */
function rolls(sizeBytes: number, lastOffset: number, reservedBytes: number): boolean {
  const next = { sizeBytes: 100, lastOffset, maxTimestamp: 10 }
  return mustRoll(segmentOf(sizeBytes), CONFIG, next, reservedBytes, 0)
}

describe('a batch starts a segment', () => {
  test('where reserved markers would have no position left behind it', () => {
    expect(rolls(MAX_POSITION - 100, 50, 0)).toBe(false)
    expect(rolls(MAX_POSITION - 100, 50, 78)).toBe(true)
    expect(rolls(MAX_POSITION - 178, 50, 78)).toBe(false)
  })

  test('where reserved markers would have no offset left behind it', () => {
    expect(rolls(1_000, 5 + MAX_RELATIVE_OFFSET, 0)).toBe(false)
    expect(rolls(1_000, 5 + MAX_RELATIVE_OFFSET, 78)).toBe(true)
    expect(rolls(0, 5 + MAX_RELATIVE_OFFSET, 78)).toBe(true)
  })
})

describe('a segment is full for a marker', () => {
  test('only where it has no position or no offset for it', () => {
    expect(isFull(segmentOf(MAX_POSITION - 78), 78, 50)).toBe(false)
    expect(isFull(segmentOf(MAX_POSITION - 77), 78, 50)).toBe(true)
    expect(isFull(segmentOf(0), 78, 5 + MAX_RELATIVE_OFFSET)).toBe(false)
    expect(isFull(segmentOf(0), 78, 6 + MAX_RELATIVE_OFFSET)).toBe(true)
  })
})
