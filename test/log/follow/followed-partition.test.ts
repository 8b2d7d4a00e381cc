/** A follower beside a writer of the same process: what is appended, rolled, removed, rewritten. */
import { describe, expect, it } from 'vitest'
import type { PartitionLog } from '../../../src/log/partition-log.ts'
import { openMemoryDriver } from '../../../src/storage/memory-driver.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { appendMany, openLog, partitionOf, readRecords } from '../open-log.ts'
import { Followed } from './followed.ts'

const SMALL = { segmentBytes: 4_096, indexIntervalBytes: 256 } as const

interface Written {
  readonly driver: StorageDriver
  readonly log: PartitionLog
}

/** `t-0`, open for writing. */
async function written(): Promise<Written> {
  const driver = openMemoryDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', SMALL))
  return { driver, log: partitionOf(log, 't') }
}

describe('a followed partition', () => {
  it('shows what was published, and nothing behind it', async () => {
    const { driver, log } = await written()
    appendMany(log, 10)
    const followed = new Followed(driver, log)
    appendMany(log, 5)
    expect(followed.partition.highWatermark).toBe(10)
    expect(readRecords(followed.partition)).toEqual(readRecords(log, 0, 10))
    followed.publish(log)
    expect(readRecords(followed.partition)).toEqual(readRecords(log))
  })

  it('goes on in the next segments while it reads live', async () => {
    const { driver, log } = await written()
    const followed = new Followed(driver, log)
    const cursor = followed.partition.cursor(0)
    let read = 0
    for (let round = 0; round < 50; round++) {
      appendMany(log, 7, 100)
      followed.publish(log)
      const end = followed.partition.highWatermark
      for (let run = cursor.next(end); run !== undefined; run = cursor.next(end)) read += 1
      expect(cursor.offset).toBe(log.logEndOffset)
    }
    expect(read).toBeGreaterThan(0)
    expect(log.segments.count).toBeGreaterThan(5)
    expect(followed.partition.segments.count).toBe(log.segments.count)
    expect(readRecords(followed.partition)).toEqual(readRecords(log))
  })
})
