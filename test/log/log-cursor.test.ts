/**
 * Lookups of single offsets: how much is read for them, and that what was checked once is not
 * checked again. What a cursor reads is compared with a model in log-history.test.ts.
 */
import { describe, expect, it, vi } from 'vitest'
import {
  BATCH_HEADER_BYTES,
  batchSizeBytesOf,
  baseOffsetOf,
} from '../../src/format/record-batch.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { appendBatch, openLog, partitionOf } from './open-log.ts'

const BATCH_COUNT = 20
const READ_BYTES = 4_096
/** The first of the two records of each batch but the first, which has no entry. */
const OFFSETS = Array.from({ length: BATCH_COUNT - 1 }, (_, batch) => 2 * (batch + 1))

describe('a lookup of one offset', () => {
  it('reads the batch that holds it, not the one before, where each batch has an entry', async () => {
    const partition = await largeBatches()
    const read = vi.spyOn(partition.segments.active, 'read')
    for (const offset of OFFSETS) {
      read.mockClear()
      const run = partition.cursor(offset, { readBytes: READ_BYTES }).next(offset + 1)
      expect(run && baseOffsetOf(run.buffer, run.start)).toBe(offset)
      const batchBytes = run === undefined ? 0 : batchSizeBytesOf(run.buffer, run.start)
      const readBytes = read.mock.results.reduce((sum, { value }) => sum + Number(value), 0)
      expect(readBytes).toBe(BATCH_HEADER_BYTES + batchBytes)
    }
  })

  it('remembers that the batch passed its CRC, unless it is the last, which may still grow', async () => {
    const partition = await largeBatches()
    const { offsetIndex } = partition.segments.active
    for (const [slot, offset] of OFFSETS.entries()) {
      expect(offsetIndex.isVerified(slot)).toBe(false)
      partition.cursor(offset, { readBytes: READ_BYTES }).next(offset + 1)
      expect(offsetIndex.isVerified(slot)).toBe(slot < OFFSETS.length - 1)
    }
  })

  it('finds the batch by the one before where the header it looked at cannot be right', async () => {
    const partition = await largeBatches()
    const read = vi.spyOn(partition.segments.active, 'read')
    read.mockImplementationOnce((target, start, byteLength) => {
      target.fill(0, start, start + byteLength)
      return byteLength
    })
    const run = partition.cursor(8, { readBytes: READ_BYTES }).next(9)
    expect(run && baseOffsetOf(run.buffer, run.start)).toBe(8)
  })

  it('says CORRUPT of a batch whose base offset is one that no number holds', async () => {
    for (const [batch, offset] of OFFSETS.entries()) {
      const partition = await largeBatches()
      const { active } = partition.segments
      const position = active.offsetIndex.positionOfSlot(batch)
      active.rewrite(Buffer.from([0x7f]), 1, position)
      for (const looked of [offset - 1, offset, offset + 1, offset + 2]) {
        const read = (): unknown =>
          partition.cursor(looked, { readBytes: READ_BYTES }).next(looked + 1)
        if (looked === offset - 1 || looked === offset + 2) read()
        else expect(read, String(looked)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
      }
    }
  })
})

/** A partition of batches of two records each, none of them in memory any more. */
async function largeBatches(): Promise<PartitionLog> {
  const { log } = await openLog(new FaultDriver())
  await runProcedure(log.createTopic('a', {}))
  const partition = partitionOf(log, 'a')
  const record = { timestamp: 1_000, value: 'x'.repeat(10_000) }
  for (let batch = 0; batch < BATCH_COUNT; batch++) appendBatch(partition, [record, record])
  partition.tail.clear()
  return partition
}
