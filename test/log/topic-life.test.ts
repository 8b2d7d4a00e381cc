/**
 * Making and deleting topics, opening and closing, with a stop or a failure at every call to the
 * driver: a topic is there with all it has, or it is not there.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { nextTurn } from '../../src/log/clock.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { DiskFault } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readFromFiles } from './open-log.ts'
import { bytesOf, resize } from './tampering.ts'

const COUNT = 20

interface Life {
  readonly driver: FaultDriver
  readonly log: LogDirectory
}

/** An open log with a topic of two partitions, whose records are durable in the first one. */
async function openLife(): Promise<Life> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { partitions: 2, segmentBytes: 1024 }))
  appendMany(partitionOf(log, 't'), COUNT)
  await partitionOf(log, 't').makeDurable(COUNT)
  await nextTurn()
  return { driver, log }
}

type Work = (life: Life) => Promise<unknown>

/** Does `work` again and again, each time stopped at the next call; what each stop leaves. */
async function* stoppedAtEachCall(
  work: Work,
): AsyncGenerator<{ readonly left: FaultDriver; readonly how: string }> {
  for (let calls = 0; ; calls++) {
    for (const how of ['kill', 'none', 'all', 'some'] as const) {
      const life = await openLife()
      let left = calls
      life.driver.onCall = () => (left-- > 0 ? undefined : 'stop')
      const isDone = await work(life).then(
        () => true,
        (error: unknown) => {
          expect(LogError.is(error)).toBe(true)
          return false
        },
      )
      await nextTurn()
      const { driver } = life
      driver.onCall = undefined
      const random = new SeededRandom(calls)
      yield {
        left: how === 'kill' ? driver.processKill() : driver.powerCut(random, how),
        how: `${how} at call ${calls}`,
      }
      if (isDone && how === 'some' && left > 0) return
    }
  }
}

/** Lets each call of `work` fail once. */
async function* failingAtEachCall(
  work: Work,
  failure: DiskFault,
): AsyncGenerator<Life & { readonly failed: boolean }> {
  for (let calls = 0; ; calls++) {
    const life = await openLife()
    let left = calls
    life.driver.onCall = () => (left-- === 0 ? failure : undefined)
    const failed = await work(life).then(
      () => false,
      (error: unknown) => {
        expect(LogError.is(error, 'IO', 'NO_SPACE')).toBe(true)
        return true
      },
    )
    life.driver.onCall = undefined
    yield { ...life, failed }
    if (left > 0) return
  }
}

/** The topic of the test is whole. */
function expectWhole(log: LogDirectory): void {
  expect(offsetsOf(readFromFiles(partitionOf(log, 't')))).toEqual(range(0, COUNT))
  expect(partitionOf(log, 't', 1).logEndOffset).toBe(0)
}

/** A topic that is made now starts from nothing, also after a kill. */
async function expectNew(log: LogDirectory, driver: FaultDriver, name: string): Promise<void> {
  await runProcedure(log.createTopic(name, { partitions: 2 }))
  expect(partitionOf(log, name).logEndOffset).toBe(0)
  appendMany(partitionOf(log, name), 3)
  await nextTurn()
  const { log: again, report } = await openLog(driver.processKill())
  expect(report.partitions).toEqual([])
  expect(offsetsOf(readFromFiles(partitionOf(again, name)))).toEqual([0, 1, 2])
}

const boot = (how: string): { readonly bootId: string } => ({
  bootId: how.startsWith('kill') ? 'boot' : 'later boot',
})

describe('making a topic', () => {
  const make: Work = ({ log }) => runProcedure(log.createTopic('new', { partitions: 2 }))

  it('stopped at any call leaves it there with all partitions, or not at all', async () => {
    const seen = new Set<boolean>()
    for await (const { left, how } of stoppedAtEachCall(make)) {
      const { log, report } = await openLog(left, boot(how))
      expect(report.partitions, how).toEqual([])
      expect(report.adopted, how).toEqual([])
      expectWhole(log)
      const found = log.topic('new')
      seen.add(found !== undefined)
      if (found === undefined) await expectNew(log, left, 'new')
      else expect(found.partitions.map((partition) => partition.logEndOffset)).toEqual([0, 0])
    }
    expect(seen.size).toBe(2)
  })

  it('has its folders where metadata.json names it, though its sync was never reached', async () => {
    for (let seed = 0; seed < 24; seed++) {
      const life = await openLife()
      const { driver } = life
      let isNamed = false
      const rename = driver.rename.bind(driver)
      driver.rename = (from, to) => {
        rename(from, to)
        isNamed ||= to === 'metadata.json'
      }
      driver.onCall = ({ action }) => (isNamed && action === 'flushDirectory' ? 'stop' : undefined)
      await expect(make(life)).rejects.toSatisfy((error) => LogError.is(error))
      expect(isNamed).toBe(true)
      const left = driver.powerCut(new SeededRandom(seed))
      const { log, report } = await openLog(left, boot('cut'))
      expect(report.partitions, `seed ${seed}`).toEqual([])
      expect(report.adopted, `seed ${seed}`).toEqual([])
      expectWhole(log)
    }
  })

  it.each(['ENOSPC', 'EIO'] as const)(
    'that fails with %s at any call can be done again, and leaves nothing behind',
    async (failure) => {
      for await (const { log, driver, failed } of failingAtEachCall(make, failure)) {
        expect(log.topic('new') === undefined).toBe(failed)
        if (failed) await make({ log, driver })
        appendMany(partitionOf(log, 'new'), 3)
        await runProcedure(log.close())
        const { log: again, report } = await openLog(driver.processKill())
        expect(report).toMatchObject({ clean: true, partitions: [], adopted: [] })
        expect(offsetsOf(readFromFiles(partitionOf(again, 'new')))).toEqual([0, 1, 2])
        expect(again.driver.list('').filter((name) => name.endsWith('-stray'))).toEqual([])
        expectWhole(again)
      }
    },
  )

  it('refuses a folder in its way that holds data, and changes nothing of it', async () => {
    const { log, driver } = await openLife()
    driver.createDirectory('new-1')
    const file = driver.openFile('new-1/00000000000000000000.log', 'create')
    file.write(Buffer.from('data'), 0, 4, 0)
    await expect(make({ log, driver })).rejects.toMatchObject({ code: 'IO' })
    expect(driver.list('').filter((name) => name.startsWith('new'))).toEqual(['new-1'])
    expect(bytesOf(driver, 'new-1/00000000000000000000.log').toString()).toBe('data')
  })
})

describe('deleting a topic', () => {
  const remove: Work = async ({ log }) => {
    await runProcedure(log.deleteTopic('t'))
    const freed = await log.freeSpace()
    await runProcedure(log.forgetDeleted(freed))
  }

  it('stopped at any call leaves it whole, or gone so that its name is free', async () => {
    const seen = new Set<boolean>()
    for await (const { left, how } of stoppedAtEachCall(remove)) {
      const { log, report } = await openLog(left, boot(how))
      expect(report.partitions, how).toEqual([])
      expect(report.adopted, how).toEqual([])
      const isGone = log.topic('t') === undefined
      seen.add(isGone)
      if (isGone) {
        const freed = await log.freeSpace()
        await runProcedure(log.forgetDeleted(freed))
        expect(log.metadata.deleting, how).toEqual([])
        expect(left.list('').filter((name) => name.startsWith('t-'))).toEqual([])
        await expectNew(log, left, 't')
      } else {
        expectWhole(log)
      }
    }
    expect(seen.size).toBe(2)
  })

  it('that fails at any call never leaves a topic that takes records and is about to go', async () => {
    const seen = new Set<boolean>()
    for await (const { log, driver } of failingAtEachCall(remove, 'EIO')) {
      const isThere = log.topic('t') !== undefined
      seen.add(isThere)
      if (isThere) {
        appendMany(partitionOf(log, 't'), 1)
        await partitionOf(log, 't').makeDurable(COUNT + 1)
      }
      await nextTurn()
      const left = driver.processKill()
      const { log: again } = await openLog(left)
      expect(again.topic('t') !== undefined).toBe(isThere)
      if (isThere) expect(partitionOf(again, 't').logEndOffset).toBe(COUNT + 1)
      else await expectNew(again, left, 't')
    }
    expect(seen.size).toBe(2)
  })

  it('lets its name be used again at once, without anything of the old one', async () => {
    const life = await openLife()
    await runProcedure(life.log.checkpoint())
    await runProcedure(life.log.deleteTopic('t'))
    await expectNew(life.log, life.driver, 't')
  })

  it('keeps a name from being used while a checkpoint still knows the old one', async () => {
    const { log, driver } = await openLife()
    await runProcedure(log.checkpoint())
    driver.onCall = ({ path }) => (path.includes('recovery-point') ? 'ENOSPC' : undefined)
    await expect(runProcedure(log.deleteTopic('t'))).rejects.toMatchObject({ code: 'NO_SPACE' })
    await expect(runProcedure(log.createTopic('t', {}))).rejects.toMatchObject({ code: 'NO_SPACE' })
    driver.onCall = undefined
    await expectNew(log, driver, 't')
  })
})

describe('opening', () => {
  it('stopped at any call, over a torn tail, gives the same log when it is done again', async () => {
    const torn = async (): Promise<FaultDriver> => {
      const { driver, log } = await openLife()
      appendMany(partitionOf(log, 't'), 5) // Not durable.
      await nextTurn()
      const left = driver.processKill()
      const last = left.list('t-0').findLast((name) => name.endsWith('.log')) ?? ''
      const content = bytesOf(left, `t-0/${last}`)
      const end = content.findLastIndex((byte) => byte !== 0) + 1
      resize(left, `t-0/${last}`, end - 20)
      return left
    }
    for (let calls = 0, isDone = false; !isDone; calls++) {
      for (const how of ['kill', 'none', 'all', 'some'] as const) {
        const driver = await torn()
        let left = calls
        driver.onCall = () => (left-- > 0 ? undefined : 'stop')
        isDone = await openLog(driver, { bootId: 'later boot' }).then(
          () => true,
          () => false,
        )
        await nextTurn()
        driver.onCall = undefined
        const random = new SeededRandom(calls)
        const next = how === 'kill' ? driver.processKill() : driver.powerCut(random, how)
        const { log, report } = await openLog(next, { bootId: 'last boot' })
        expect(report.partitions.flatMap(({ damage }) => damage)).toEqual([])
        const partition = partitionOf(log, 't')
        expect(partition.logEndOffset).toBeGreaterThanOrEqual(COUNT)
        expect(partition.logEndOffset).toBeLessThan(COUNT + 5)
        expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, partition.logEndOffset))
        expect(partition.leaderEpoch).toBeGreaterThan(0)
      }
    }
  })
})

describe('a topic of the name of one whose deletion failed at its last sync', () => {
  it('takes over no folder with a segment that starts elsewhere, empty as it is', async () => {
    const before = await openLife()
    await runProcedure(before.log.close())
    const driver = before.driver.processKill()
    await driver.removeDirectory('t-0')
    const { log } = await openLog(driver) // It goes on at COUNT, and has nothing.
    let flushes = 0
    driver.onCall = ({ action, path }) =>
      action === 'flushDirectory' && path === '' && flushes++ === 0 ? 'EIO' : undefined
    await expect(runProcedure(log.deleteTopic('t'))).rejects.toMatchObject({ code: 'IO' })
    await expect(runProcedure(log.createTopic('t', {}))).rejects.toMatchObject({ code: 'IO' })
    const { log: again } = await openLog(driver.processKill())
    expect(again.topic('t')).toBeUndefined()
    await runProcedure(again.createTopic('t', {}))
    expect(driver.machine.tree.find('t-0/00000000000000000020.log')).toBeUndefined()
    appendMany(partitionOf(again, 't'), 3)
    expect(offsetsOf(readFromFiles(partitionOf(again, 't')))).toEqual(range(0, 3))
  })
})

describe('closing', () => {
  it('stopped at any call leaves a log that opens with all of it', async () => {
    const seen = new Set<boolean>()
    const close: Work = ({ log }) => runProcedure(log.close())
    for await (const { left, how } of stoppedAtEachCall(close)) {
      const { log, report } = await openLog(left, boot(how))
      seen.add(report.clean)
      expect(report.partitions, how).toEqual([])
      expectWhole(log)
    }
    expect(seen.size).toBe(2)
  })
})
