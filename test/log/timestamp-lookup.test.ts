/** Lookups by time where hints lie, and over timestamps that no JavaScript number holds. */
import { describe, expect, it } from 'vitest'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { sealBatch } from '../../src/format/record-batch.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { appendMany, openLog, partitionOf, range } from './open-log.ts'
import { bytesOf, overwrite, segmentFile } from './tampering.ts'

const COUNT = 60

/** A closed log whose records have the timestamps 1000, 1001 … */
async function closedLog(): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  const config = { segmentBytes: 2048, indexIntervalBytes: 100, preallocate: false }
  await runProcedure(log.createTopic('t', config))
  appendMany(partitionOf(log, 't'), COUNT)
  await runProcedure(log.close())
  return driver.processKill()
}

describe('a lookup by time', () => {
  it('believes no entry that does not fit the batch it names', async () => {
    const driver = await closedLog()
    const path = segmentFile(0, '.timeindex')
    const bytes = bytesOf(driver, path)
    for (let at = 0; at < bytes.length; at += 12) {
      bytes.writeBigInt64BE(bytes.readBigInt64BE(at) - 5n, at) // Ascends, and is wrong.
    }
    overwrite(driver, path, bytes)
    const { log } = await openLog(driver)
    for (const offset of range(0, COUNT)) {
      expect(offsetForTimestamp(partitionOf(log, 't'), 1_000 + offset)).toBe(offset)
    }
  })

  it('finds what is there when the time index ends too early, after a kill', async () => {
    const driver = await closedLog()
    await driver.unlink('.kafka_cleanshutdown')
    for (const suffix of ['.timeindex', '.index'] as const) {
      overwrite(
        driver,
        segmentFile(0, suffix),
        bytesOf(driver, segmentFile(0, suffix)).subarray(0, 24),
      )
    }
    const { log } = await openLog(driver)
    for (const offset of range(0, COUNT)) {
      expect(offsetForTimestamp(partitionOf(log, 't'), 1_000 + offset)).toBe(offset)
    }
    expect(offsetForTimestamp(partitionOf(log, 't'), 1_000 + COUNT)).toBeNull()
  })

  it('passes over nanoseconds that others wrote, and recovery keeps their batches', async () => {
    for (const stop of ['clean', 'killed', 'checked from the start']) {
      const driver = await closedLog()
      const bytes = bytesOf(driver, segmentFile(0))
      const batchBytes = 12 + bytes.readInt32BE(8)
      for (const number of [0, 3]) {
        bytes.writeBigInt64BE(1_700_000_000_000_000_000n, number * batchBytes + 27)
        bytes.writeBigInt64BE(1_700_000_000_000_000_000n, number * batchBytes + 35)
        sealBatch(bytes, number * batchBytes)
      }
      overwrite(driver, segmentFile(0), bytes)
      if (stop !== 'clean') await driver.unlink('.kafka_cleanshutdown')
      if (stop === 'checked from the start') await driver.unlink('recovery-point-offset-checkpoint')
      const { log, report } = await openLog(driver, { bootId: 'later boot' })
      expect(report.partitions).toEqual([])
      const partition = partitionOf(log, 't')
      expect([partition.logEndOffset, offsetForTimestamp(partition, 1_002)]).toEqual([COUNT, 2])
      expect(offsetForTimestamp(partition, 1_003)).toBe(4)
      expect(offsetForTimestamp(partition, 1)).toBe(1)
    }
  })
})
