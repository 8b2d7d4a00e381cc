/**
 * Damage to the fields of a batch that no CRC covers, because the log assigns them: its base offset
 * and its leader epoch.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import {
  appendMany,
  offsetsOf,
  openLog,
  partitionOf,
  range,
  readRecords,
  recordsOf,
} from './open-log.ts'
import { bytesOf, overwrite, segmentFile } from './tampering.ts'

const LEADER_EPOCH_AT = 12
const INT32_MAX = 0x7fff_ffff

/** A log of `count` batches with an index entry each, killed. */
async function killedLog(count: number): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { preallocate: false, indexIntervalBytes: 1 }))
  appendMany(partitionOf(log, 't'), count)
  return driver.processKill()
}

describe('a batch whose leader epoch is damaged', () => {
  it('opens with the largest epoch there is, again and again, and takes appends', async () => {
    let driver = await killedLog(3)
    const bytes = bytesOf(driver, segmentFile(0))
    bytes.writeInt32BE(INT32_MAX, LEADER_EPOCH_AT)
    overwrite(driver, segmentFile(0), bytes)
    for (const end of [4, 5]) {
      const { log } = await openLog(driver, { bootId: `boot ${end}` })
      const partition = partitionOf(log, 't')
      appendMany(partition, 1)
      expect(partition.leaderEpoch).toBe(INT32_MAX)
      expect(offsetsOf(readRecords(partition))).toEqual(range(0, end))
      driver = driver.processKill()
    }
  })
})

describe('a batch whose base offset is damaged', () => {
  /** Offsets read from the files; CORRUPT stands for itself. */
  function readPassing(log: PartitionLog): readonly (number | string)[] {
    log.tail.clear()
    const seen: (number | string)[] = []
    const cursor = log.cursor(0)
    for (;;) {
      try {
        const run = cursor.next(log.highWatermark)
        if (run === undefined) return seen
        seen.push(...offsetsOf(recordsOf(run)))
      } catch (error) {
        if (!LogError.is(error, 'CORRUPT')) throw error
        seen.push(error.code)
        cursor.skipDamage()
      }
    }
  }

  it('does not end a read where gaps are allowed: behind it the log goes on', async () => {
    const driver = await killedLog(3)
    // Without metadata the folder is taken in as a broker's, which may have left offsets out.
    for (const name of ['metadata.json', 'metadata.json.previous']) await driver.unlink(name)
    const { log } = await openLog(driver)
    const partition = partitionOf(log, 't')
    const bytes = bytesOf(driver, segmentFile(0))
    const second = 12 + bytes.readInt32BE(8)
    bytes.writeUInt8(1, second + 2) // Far beyond the end of the log.
    overwrite(driver, segmentFile(0), bytes)
    expect(readPassing(partition)).toEqual([0, 'CORRUPT', 2])
  })

  it('does not take those behind it along, even where an index entry follows at once', async () => {
    const driver = await killedLog(8)
    const { log } = await openLog(driver)
    const bytes = bytesOf(driver, segmentFile(0))
    const second = 12 + bytes.readInt32BE(8)
    bytes.writeUInt8(5, second + 7) // An offset of the log, but not the second.
    overwrite(driver, segmentFile(0), bytes)
    expect(readPassing(partitionOf(log, 't'))).toEqual([0, 'CORRUPT', ...range(2, 8)])
  })
})
