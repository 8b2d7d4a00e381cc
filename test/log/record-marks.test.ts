/** Marks of batches: few for each, and of no more batches than their budget has room for. */
import { describe, expect, it } from 'vitest'
import type { BatchFacts } from '../../src/format/record-batch-reader.ts'
import { MarkBudget, RecordMarks } from '../../src/log/record-marks.ts'
import { collectGarbage } from '../support/process-resources.ts'

function factsOf(baseOffset: number, recordCount: number): BatchFacts {
  return {
    leaderEpoch: 0,
    attributes: 0,
    recordCount,
    baseOffset,
    lastOffset: baseOffset + recordCount - 1,
    baseTimestamp: 0,
    appendTime: 0,
  }
}

describe('the marks of a partition', () => {
  it('are at most 256 a batch, evenly', () => {
    const marks = new RecordMarks()
    for (const recordCount of [1, 16, 17, 255, 256, 257, 511, 512, 513, 10_000]) {
      const { places, recordsPerMark } = marks.add(factsOf(0, recordCount), 1)
      expect(places.length).toBeLessThanOrEqual(256)
      expect(places.length * recordsPerMark).toBeGreaterThanOrEqual(recordCount)
      expect((places.length - 1) * recordsPerMark).toBeLessThan(recordCount)
    }
  })

  it.each([65_535, 65_536, 2_147_483_647])('hold any place in a batch of %i bytes', (sizeBytes) => {
    const { places } = new RecordMarks().add(factsOf(0, 100), sizeBytes)
    places[99] = sizeBytes - 1
    expect(places[99]).toBe(sizeBytes - 1)
  })

  it('are of the batches marked last, whichever partitions they belong to', () => {
    const budget = new MarkBudget(3)
    const [one, other] = [new RecordMarks(budget), new RecordMarks(budget)]
    for (let batch = 0; batch < 4; batch += 1) one.add(factsOf(batch * 100, 100), 1)
    expect([one.batchCount, one.of(99), one.of(199)?.baseOffset]).toEqual([3, undefined, 100])
    other.add(factsOf(0, 100), 1)
    expect([one.of(199), one.batchCount, other.batchCount]).toEqual([undefined, 2, 1])
  })

  it('are forgotten once, though the batch was marked again', () => {
    const budget = new MarkBudget(2)
    const marks = new RecordMarks(budget)
    marks.add(factsOf(0, 100), 1)
    const again = marks.add(factsOf(0, 100), 1)
    marks.add(factsOf(100, 100), 1) // In the second place: the first batch has just one.
    expect(marks.of(99)).toBe(again)
  })

  it('do not keep a log alive that nobody holds any more', async () => {
    const budget = new MarkBudget(100)
    const logs = Array.from({ length: 10 }, () => {
      const marks = new RecordMarks(budget)
      marks.add(factsOf(0, 100), 1)
      return new WeakRef(marks)
    })
    await collectGarbage()
    expect(logs.filter((marks) => marks.deref() !== undefined)).toEqual([])
  })
})
