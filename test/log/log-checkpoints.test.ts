/** Which of the checkpoint files are written, and when: each takes two syncs. */
import { describe, expect, it } from 'vitest'
import { readCleanerOffsets, writeCleanerOffsets } from '../../src/log/log-checkpoints.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'
import { overwrite } from './tampering.ts'

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

describe('the checkpoint of the cleaner', () => {
  it('has a line for each partition that was compacted and is there', async () => {
    const driver = new FaultDriver()
    const log = await logWithTopic(driver)
    await runProcedure(log.createTopic('u', { partitions: 2 }))
    expect(readCleanerOffsets(driver)).toEqual(new Map())
    const [t, first, second] = [
      partitionOf(log, 't'),
      partitionOf(log, 'u'),
      partitionOf(log, 'u', 1),
    ]
    const offsets = new Map([
      [t, 7],
      [second, 9],
    ])
    const written = { bytes: null }
    await runProcedure(writeCleanerOffsets(driver, [t, first, second], offsets, written))
    const left = driver.powerCut()
    expect(readCleanerOffsets(left)).toEqual(
      new Map([
        ['t-0', 7],
        ['u-1', 9],
      ]),
    )
    t.finish('deleted')
    await runProcedure(writeCleanerOffsets(left, [t, second], offsets, written))
    expect(readCleanerOffsets(left)).toEqual(new Map([['u-1', 9]]))
    overwrite(left, 'cleaner-offset-checkpoint', Buffer.from('0\nx'))
    expect(readCleanerOffsets(left)).toEqual(new Map())
  })

  it('is written only where it says something else', async () => {
    const driver = new FaultDriver()
    const log = await logWithTopic(driver)
    const partition = partitionOf(log, 't')
    const written = { bytes: null }
    const write = async (offset: number): Promise<number> => {
      let calls = 0
      driver.onCall = () => void (calls += 1)
      const offsets = new Map([[partition, offset]])
      await runProcedure(writeCleanerOffsets(driver, [partition], offsets, written))
      return calls
    }
    expect(await write(3)).toBeGreaterThan(0)
    expect(await write(3)).toBe(0)
    expect(await write(4)).toBeGreaterThan(0)
  })
})
