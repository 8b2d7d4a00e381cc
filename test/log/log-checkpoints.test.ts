/** Which of the checkpoint files are written, and when: each takes two syncs. */
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'

const LOG_STARTS = 'log-start-offset-checkpoint'

/** How often the log starts were written while `work` ran. */
async function writesOfStarts(driver: FaultDriver, work: () => Promise<unknown>): Promise<number> {
  let writes = 0
  driver.onCall = ({ action, path }) => {
    if (action === 'flush' && path === `${LOG_STARTS}.tmp`) writes += 1
    return undefined
  }
  await work()
  driver.onCall = undefined
  return writes
}

async function logWithTopic(driver: FaultDriver): Promise<LogDirectory> {
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', {}))
  appendMany(partitionOf(log, 't'), 10)
  return log
}

describe('the checkpoint of log starts', () => {
  it('is written once from open to close while no start moves', async () => {
    const driver = new FaultDriver()
    const writes = await writesOfStarts(driver, async () => {
      const log = await logWithTopic(driver)
      await runProcedure(log.checkpoint())
      appendMany(partitionOf(log, 't'), 10)
      await runProcedure(log.checkpoint())
      await runProcedure(log.close())
    })
    expect(writes).toBe(1)
  })

  it('is written for every start that moves, before the start counts', async () => {
    const driver = new FaultDriver()
    const log = await logWithTopic(driver)
    const partition = partitionOf(log, 't')
    await runProcedure(log.checkpoint())
    for (const start of [3, 7]) {
      const writes = await writesOfStarts(driver, () =>
        runProcedure(log.deleteRecordsBefore(partition, start)),
      )
      expect([writes, partition.logStartOffset]).toEqual([1, start])
    }
    expect(await writesOfStarts(driver, () => runProcedure(log.checkpoint()))).toBe(0)
    const left = driver.powerCut()
    const { log: again } = await openLog(left)
    expect(partitionOf(again, 't').logStartOffset).toBe(7)
  })

  it('is written again after a write of it that failed', async () => {
    const driver = new FaultDriver()
    const log = await logWithTopic(driver)
    const partition = partitionOf(log, 't')
    await runProcedure(log.checkpoint())
    driver.onCall = ({ action, path }) =>
      action === 'flush' && path === `${LOG_STARTS}.tmp` ? 'drop' : undefined
    await expect(runProcedure(log.deleteRecordsBefore(partition, 4))).rejects.toMatchObject({
      code: 'IO',
    })
    expect(await writesOfStarts(driver, () => runProcedure(log.checkpoint()))).toBe(1)
    expect(partition.logStartOffset).toBe(0)
  })
})
