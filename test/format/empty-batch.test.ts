/** Batches that hold offsets and no record, as the cleaner leaves them. */
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { emptyBatch, MAX_EMPTY_BATCH_OFFSETS } from '../../src/format/empty-batch.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  checkBatch,
  lastOffsetDeltaOf,
  leaderEpochOf,
  maxTimestampOf,
  nextOffsetOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from '../../src/format/record-batch.ts'
import { readRecords } from './vectors.ts'

describe('an empty batch', () => {
  it.each([
    [42, 43],
    [0, MAX_EMPTY_BATCH_OFFSETS],
  ])('from %i up to %i is a whole batch without a record', (firstOffset, nextOffset) => {
    const batch = emptyBatch({ firstOffset, nextOffset }, 7)
    expect(checkBatch(batch, 0, batch.length)).toBe('ok')
    expect([baseOffsetOf(batch, 0), nextOffsetOf(batch, 0)]).toEqual([firstOffset, nextOffset])
    expect([leaderEpochOf(batch, 0), attributesOf(batch, 0), producerIdOf(batch, 0)]).toEqual([
      7, 0, -1,
    ])
    expect(readRecords(batch, 0)).toEqual([])
  })

  it('has neither time nor sequence, as nobody wrote anything into it', () => {
    const batch = emptyBatch({ firstOffset: 3, nextOffset: 8 }, 7)
    expect(batch).toHaveLength(BATCH_HEADER_BYTES)
    expect([baseTimestampOf(batch, 0), maxTimestampOf(batch, 0)]).toEqual([-1, -1])
    expect([producerEpochOf(batch, 0), baseSequenceOf(batch, 0)]).toEqual([-1, -1])
    expect([lastOffsetDeltaOf(batch, 0), recordCountOf(batch, 0)]).toEqual([4, 0])
  })

  it.each([0, -1, MAX_EMPTY_BATCH_OFFSETS + 1])('never holds %i offsets', (count) => {
    const range = { firstOffset: 5, nextOffset: 5 + count }
    expect(() => emptyBatch(range, 0)).toThrow(InvariantError)
  })
})
