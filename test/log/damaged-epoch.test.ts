/** Leader epochs that no writer wrote: no CRC covers the epoch in a batch's header. */
import { describe, expect, it } from 'vitest'
import { runProcedure } from '../../src/storage/procedure.ts'
import { PowerCutDriver } from '../support/power-cut-driver.ts'
import { appendMany, openLog, partitionOf, range, readRecords, offsetsOf } from './open-log.ts'
import { bytesOf, overwrite, segmentFile } from './tampering.ts'

const LEADER_EPOCH_AT = 12
const INT32_MAX = 0x7fff_ffff

describe('a batch whose leader epoch is damaged', () => {
  it('opens with the largest epoch there is, again and again, and takes appends', async () => {
    let driver = new PowerCutDriver()
    const created = await openLog(driver)
    await runProcedure(created.log.createTopic('t', { preallocate: false }))
    appendMany(partitionOf(created.log, 't'), 3)
    driver = driver.processKill()
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
