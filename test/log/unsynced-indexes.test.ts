/**
 * Indexes that no checkpoint has passed, in the boot of the stop: what was published says that the
 * log is durable, and nothing of its indexes.
 */
import { describe, expect, it } from 'vitest'
import { segmentFileName } from '../../src/format/segment-name.ts'
import { TIME_INDEX_ENTRY_BYTES } from '../../src/format/time-index-entry.ts'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { everyCrash } from '../support/every-crash.ts'
import { appendBatch, openLog, partitionOf } from './open-log.ts'
import { bytesOf } from './tampering.ts'

const RECORDS = 40

/** A log of so many records, durable and published. */
async function filled(
  driver: StorageDriver,
  timestampOf: (offset: number) => number,
  config: { readonly segmentBytes: number; readonly indexIntervalBytes: number },
): Promise<Awaited<ReturnType<typeof openLog>>['log']> {
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', config))
  const partition = partitionOf(log, 't')
  for (let offset = 0; offset < RECORDS; offset++) {
    appendBatch(partition, [{ timestamp: timestampOf(offset), value: 'v'.repeat(40) }])
  }
  await partition.makeDurable(RECORDS)
  await new Promise<void>((resolve) => void setImmediate(resolve)) // The publisher's turn.
  return log
}

/** The latest time that the .timeindex of the first segment knows. */
function lastIndexedTime(driver: FaultDriver): number {
  const bytes = bytesOf(driver, `t-0/${segmentFileName(0, '.timeindex')}`)
  return bytes.length === 0
    ? -1
    : Number(bytes.readBigInt64BE(bytes.length - TIME_INDEX_ENTRY_BYTES))
}

describe('a segment that ends where the last checkpoint was', () => {
  it('has the last entry of its time index on stable storage before a clean close', async () => {
    let driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', { segmentBytes: 1024, indexIntervalBytes: 4096 }))
    appendBatch(partitionOf(log, 't'), [{ timestamp: 5_000, value: 'v'.repeat(600) }])
    await runProcedure(log.checkpoint())
    // It is sealed by this one, after the checkpoint.
    appendBatch(partitionOf(log, 't'), [{ timestamp: 5_001, value: 'v'.repeat(600) }])
    driver = driver.processKill()
    await runProcedure((await openLog(driver)).log.close())
    driver = driver.powerCut(new SeededRandom(1), 'none')
    expect(lastIndexedTime(driver)).toBe(5_000)
  })
})

describe('a log that is opened in the boot of its kill', () => {
  it('has its indexes on stable storage before a checkpoint passes them', async () => {
    const random = new SeededRandom(1)
    for (let cut = 0; cut < 24; cut++) {
      let driver = new FaultDriver()
      // The first record of a segment is its latest: one entry, which zeros can pass for.
      const config = { segmentBytes: 1024, indexIntervalBytes: 0 }
      await filled(driver, (offset) => 5_000 - offset, config)
      driver = driver.processKill()
      await openLog(driver) // Takes what was published, and writes a checkpoint.
      driver = driver.powerCut(random)
      const again = partitionOf((await openLog(driver, { bootId: 'next boot' })).log, 't')
      expect(offsetForTimestamp(again, 5_000)).toBe(0)
      expect(offsetForTimestamp(again, 5_000 - RECORDS)).toBe(0)
    }
  })

  it('finds every time where one index was written, and the other one was not', async () => {
    const driver = new FaultDriver()
    const config = { segmentBytes: 1_048_576, indexIntervalBytes: 0 }
    const timestampOf = (offset: number): number => (offset === 30 ? 9_000 : 5_000 + offset)
    const log = await filled(driver, timestampOf, config)
    driver.machine.faults.inject({ fault: 'ENOSPC', action: 'write', path: /\.timeindex$/ })
    await expect(runProcedure(log.close())).rejects.toMatchObject({ code: 'NO_SPACE' })
    const again = partitionOf((await openLog(driver.processKill())).log, 't')
    expect(offsetForTimestamp(again, 9_000)).toBe(30)
    expect(offsetForTimestamp(again, 5_025)).toBe(25)
  })
})

describe('a log below its last checkpoint', () => {
  it.each([
    ['no index knows any of them', 1_048_576],
    ['the indexes know some of them', 200],
  ])('finds every time, wherever a stop comes, where %s', async (_what, indexIntervalBytes) => {
    const states = everyCrash(
      function* (driver) {
        // The first record is the latest.
        const config = { segmentBytes: 1_048_576, indexIntervalBytes }
        yield async () => {
          const log = await filled(driver, (offset) => 5_000 - offset, config)
          await runProcedure(log.checkpoint())
          const changes = { indexIntervalBytes: 0 }
          await runProcedure(log.alterTopics([{ name: 't', config: changes }]))
        }
      },
      function* (driver) {
        yield () => openLog(driver, { bootId: 'next boot' })
      },
    )
    for await (const { driver, kind, stoppedAt } of states) {
      const { log } = await openLog(driver, { bootId: 'last boot' })
      const found = [5_000, 5_001 - RECORDS].map((time) => {
        return offsetForTimestamp(partitionOf(log, 't'), time)
      })
      expect(found, `${kind} at ${stoppedAt}`).toEqual([0, 0])
    }
  })
})
