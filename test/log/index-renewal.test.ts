/** Indexes that no sync covered before a kill, and that a checkpoint vouches for afterwards. */
import { describe, expect, it } from 'vitest'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { appendBatch, openLog, partitionOf } from './open-log.ts'

const CONFIG = { segmentBytes: 1024, indexIntervalBytes: 0 }
const RECORDS = 40

describe('a log that is opened in the boot of its kill', () => {
  it('has its indexes on stable storage before a checkpoint passes them', async () => {
    const random = new SeededRandom(1)
    for (let cut = 0; cut < 24; cut++) {
      let driver = new FaultDriver()
      const { log } = await openLog(driver)
      await runProcedure(log.createTopic('t', CONFIG))
      const partition = partitionOf(log, 't')
      for (let offset = 0; offset < RECORDS; offset++) {
        // The first one of a segment is its latest: one entry, which zeros can pass for.
        appendBatch(partition, [{ timestamp: 5_000 - offset, value: 'v'.repeat(40) }])
      }
      await partition.makeDurable(RECORDS)
      await new Promise<void>((resolve) => void setImmediate(resolve)) // The publisher's turn.
      driver = driver.processKill()
      await openLog(driver) // Takes what was published, and writes a checkpoint.
      driver = driver.powerCut(random)
      const again = partitionOf((await openLog(driver, { bootId: 'next boot' })).log, 't')
      expect(offsetForTimestamp(again, 5_000)).toBe(0)
      expect(offsetForTimestamp(again, 5_000 - RECORDS)).toBe(0)
    }
  })
})
