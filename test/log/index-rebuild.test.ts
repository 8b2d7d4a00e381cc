/**
 * Rebuilding the indexes of a segment that is read and written, where the log cannot be read: what
 * the segment holds must not be forgotten with it.
 */
import { describe, expect, it } from 'vitest'
import { segmentFileName } from '../../src/format/segment-name.ts'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'

import {
  appendBatch,
  appendMany,
  offsetsOf,
  openLog,
  partitionOf,
  range,
  readFromFiles,
} from './open-log.ts'
import { overwrite } from './tampering.ts'

const RECORDS = 40

/** A log that was closed cleanly, and whose index files are not what was written. */
async function withWrongIndexes(segmentBytes: number): Promise<FaultDriver> {
  let driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { segmentBytes, indexIntervalBytes: 0 }))
  appendMany(partitionOf(log, 't'), RECORDS)
  await runProcedure(log.close())
  driver = driver.processKill()
  for (const name of driver.list('t-0')) {
    if (name.endsWith('index')) overwrite(driver, `t-0/${name}`, Buffer.alloc(24, 0xff))
  }
  return driver
}

/** Of the reads of .log files the one after the first fails: in the middle of the walk. */
function failOneRead(driver: FaultDriver): void {
  driver.machine.faults.inject({ fault: 'EIO', action: 'read', path: /\.log$/ })
}

describe('a rebuild of indexes that cannot read the log', () => {
  it('leaves the end of the newest segment where it is: nothing is written over', async () => {
    const driver = await withWrongIndexes(1_048_576)
    const { log, report } = await openLog(driver)
    expect(report.clean).toBe(true)
    const partition = partitionOf(log, 't')
    failOneRead(driver)
    expect(() => appendBatch(partition, [{ timestamp: 1, value: 'refused' }])).toThrow(
      expect.objectContaining({ code: 'IO' }),
    )
    appendMany(partition, 3)
    expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, RECORDS + 3))
    const again = partitionOf((await openLog(driver.processKill())).log, 't')
    expect(offsetsOf(readFromFiles(again))).toEqual(range(0, RECORDS + 3))
  })

  it('leaves the end of a sealed one where it is, and builds the indexes at the next need', async () => {
    const driver = await withWrongIndexes(1024)
    const partition = partitionOf((await openLog(driver)).log, 't')
    failOneRead(driver)
    expect(() => readFromFiles(partition)).toThrow(expect.objectContaining({ code: 'IO' }))
    expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, RECORDS))
    expect(offsetForTimestamp(partition, 0)).toBe(0)
    await partition.syncForCheckpoint()
    const first = segmentFileName(0, '.timeindex')
    expect(driver.status(`t-0/${first}`)?.sizeBytes).toBeGreaterThan(0)
  })
})
