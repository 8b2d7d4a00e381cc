/**
 * Topics made and deleted together, with a stop or a failure at every call to the driver. A crash
 * leaves all of a group or none of it; a failure takes those that it concerns.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { nextTurn } from '../../src/log/clock.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { DiskFault } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readFromFiles } from './open-log.ts'

const NAMES = ['a', 'b']
const OLD = ['old', 'older']
const COUNT = 5
const PARTITIONS: Readonly<Record<string, number>> = { a: 2, b: 1 }
const MANY_CALLS_MS = 60_000

interface Life {
  readonly driver: FaultDriver
  readonly log: LogDirectory
}

/** What became of the topics of a group; null where all failed together. */
type Outcomes = readonly PromiseSettledResult<unknown>[] | null
type Work = (log: LogDirectory) => Promise<Outcomes>

const make: Work = (log) =>
  runProcedure(log.createTopics(NAMES.map((name) => ({ name, config: configOf(name) }))))
const remove: Work = (log) => runProcedure(log.deleteTopics(OLD))

function configOf(name: string): TopicConfig {
  return { partitions: PARTITIONS[name] ?? 1 }
}

/** An open log with topics that hold durable records. */
async function openLife(): Promise<Life> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  for (const name of OLD) {
    await runProcedure(log.createTopic(name, { partitions: 2 }))
    appendMany(partitionOf(log, name), COUNT)
    await partitionOf(log, name).makeDurable(COUNT)
  }
  await nextTurn()
  return { driver, log }
}

/** `work`, whose failure as a whole is an outcome too. */
async function outcomesOf(work: Work, log: LogDirectory): Promise<Outcomes> {
  try {
    return await work(log)
  } catch (error) {
    expect(LogError.is(error)).toBe(true)
    return null
  }
}

function isAllDone(outcomes: Outcomes): boolean {
  return outcomes?.every(({ status }) => status === 'fulfilled') ?? false
}

/** Does `work` again and again, each time stopped at the next call; what each stop leaves. */
async function* stoppedAtEachCall(
  work: Work,
): AsyncGenerator<{ readonly left: FaultDriver; readonly how: string; readonly told: boolean }> {
  for (let calls = 0, isOver = false; !isOver; calls++) {
    for (const how of ['kill', 'none', 'all', 'some'] as const) {
      const { driver, log } = await openLife()
      let left = calls
      driver.onCall = () => (left-- > 0 ? undefined : 'stop')
      const told = isAllDone(await outcomesOf(work, log))
      isOver = left > 0
      await nextTurn()
      driver.onCall = undefined
      const random = new SeededRandom(calls)
      const next = how === 'kill' ? driver.processKill() : driver.powerCut(random, how)
      yield { left: next, how: `${how} at call ${calls}`, told }
    }
  }
}

/** Lets each call of `work` fail once. */
async function* failingAtEachCall(
  work: Work,
  failure: DiskFault,
): AsyncGenerator<Life & { readonly outcomes: Outcomes; readonly call: number }> {
  for (let call = 0, isOver = false; !isOver; call++) {
    const life = await openLife()
    let left = call
    life.driver.onCall = () => (left-- === 0 ? failure : undefined)
    const outcomes = await outcomesOf(work, life.log)
    isOver = left > 0
    life.driver.onCall = undefined
    yield { ...life, outcomes, call }
  }
}

function expectOldWhole(log: LogDirectory): void {
  for (const name of OLD) {
    expect(offsetsOf(readFromFiles(partitionOf(log, name)))).toEqual(range(0, COUNT))
  }
}

/** They take records, and have them after a kill. */
async function expectUsable(log: LogDirectory, driver: FaultDriver): Promise<void> {
  for (const name of NAMES) {
    expect(partitionOf(log, name).logEndOffset).toBe(0)
    appendMany(partitionOf(log, name), 2)
  }
  await nextTurn()
  const { log: again, report } = await openLog(driver.processKill())
  expect(report.partitions).toEqual([])
  for (const name of NAMES) {
    expect(offsetsOf(readFromFiles(partitionOf(again, name)))).toEqual([0, 1])
  }
}

const boot = (how: string): { readonly bootId: string } => ({
  bootId: how.startsWith('kill') ? 'boot' : 'later boot',
})

describe('topics made together', () => {
  it(
    'stopped at any call are all there with all partitions, or none is',
    async () => {
      const seen = new Set<boolean>()
      for await (const { left, how, told } of stoppedAtEachCall(make)) {
        const { log, report } = await openLog(left, boot(how))
        expect(report.partitions, how).toEqual([])
        expect(report.adopted, how).toEqual([])
        expectOldWhole(log)
        const found = NAMES.filter(
          (name) => log.topic(name)?.partitions.length === PARTITIONS[name],
        )
        expect([0, NAMES.length], how).toContain(found.length)
        const isThere = found.length > 0
        if (told) expect(isThere, how).toBe(true)
        seen.add(isThere)
        if (!isThere) {
          await runProcedure(log.forgetDeleted(await log.freeSpace()))
          expect(
            left.list('').filter((name) => /^[ab]-/.test(name)),
            how,
          ).toEqual([])
          expect(isAllDone(await make(log))).toBe(true)
        }
        if (how.startsWith('some')) await expectUsable(log, left)
      }
      expect(seen.size).toBe(2)
    },
    MANY_CALLS_MS,
  )

  it.each(['ENOSPC', 'EIO'] as const)(
    'that meet %s at any call are there where they were told so, and can be made again where not',
    async (failure) => {
      const counts = new Set<number>()
      for await (const { log, driver, outcomes } of failingAtEachCall(make, failure)) {
        const made = NAMES.filter((_, index) => outcomes?.[index]?.status === 'fulfilled')
        counts.add(made.length)
        expect(log.topics().map(({ name }) => name)).toEqual([...made, ...OLD].toSorted())
        for (const name of NAMES.filter((one) => !made.includes(one))) {
          await runProcedure(log.createTopic(name, configOf(name)))
        }
        expectOldWhole(log)
        await runProcedure(log.close())
        const left = driver.processKill()
        const { log: again, report } = await openLog(left)
        expect(report).toMatchObject({ clean: true, partitions: [], adopted: [] })
        expect(left.list('').filter((name) => name.endsWith('-stray'))).toEqual([])
        await expectUsable(again, left)
      }
      // What concerns one folder takes one topic; what concerns all of them takes all.
      expect([...counts].toSorted((one, other) => one - other)).toEqual([0, 1, 2])
    },
  )

  it('where one meets a folder with data in its way, are made but for that one', async () => {
    const { log, driver } = await openLife()
    driver.createDirectory('a-1')
    driver.openFile('a-1/00000000000000000000.log', 'create').write(Buffer.from('data'), 0, 4, 0)
    const outcomes = await make(log)
    expect(outcomes?.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(driver.list('').filter((name) => name.startsWith('a'))).toEqual(['a-1'])
    expect(log.topic('a')).toBeUndefined()
    expect([...log.metadata.topics.keys()].toSorted()).toEqual(['b', ...OLD])
  })
})

describe('topics deleted together', () => {
  it('stopped at any call are all whole, or all gone so that their names are free', async () => {
    const seen = new Set<boolean>()
    for await (const { left, how, told } of stoppedAtEachCall(remove)) {
      const { log, report } = await openLog(left, boot(how))
      expect(report.partitions, how).toEqual([])
      expect(report.adopted, how).toEqual([])
      const isGone = log.topics().length === 0
      if (told) expect(isGone, how).toBe(true)
      seen.add(isGone)
      if (!isGone) {
        expectOldWhole(log)
        continue
      }
      await runProcedure(log.forgetDeleted(await log.freeSpace()))
      expect(log.metadata.deleting, how).toEqual([])
      expect(left.list('').filter((name) => name.startsWith('old'))).toEqual([])
      for (const name of OLD) await runProcedure(log.createTopic(name, {}))
      for (const name of OLD) expect(partitionOf(log, name).logEndOffset).toBe(0)
    }
    expect(seen.size).toBe(2)
  })

  it('have their space freed only when nothing but their space is left of them', async () => {
    const { log } = await openLife()
    await log.freeSpace() // What opening found, which is nothing.
    const deletion = log.deleteTopics(OLD)
    for (let step = deletion.next(); step.done !== true; step = deletion.next()) {
      expect(log.hasSpaceToFree).toBe(false)
      await step.value()
    }
    expect(log.hasSpaceToFree).toBe(true)
  })

  it('that meet a failure at any call never take records and are about to go', async () => {
    for await (const { log, driver } of failingAtEachCall(remove, 'EIO')) {
      await runProcedure(log.forgetDeleted(await log.freeSpace()))
      const there = OLD.filter((name) => log.topic(name) !== undefined)
      for (const name of there) {
        appendMany(partitionOf(log, name), 1)
        await partitionOf(log, name).makeDurable(COUNT + 1)
      }
      await nextTurn()
      const { log: again, report } = await openLog(driver.processKill())
      expect(report.adopted).toEqual([])
      expect(OLD.filter((name) => again.topic(name) !== undefined)).toEqual(there)
      for (const name of there) expect(partitionOf(again, name).logEndOffset).toBe(COUNT + 1)
    }
  })
})
