/**
 * Each rule on the order of syncs, twice: with it the log keeps its promise over any power cut, and
 * without it (the driver passes over just that call) some power cut breaks the promise. So no rule
 * is there for nothing, and none can be left out unnoticed.
 */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { readWholeFile } from '../../src/storage/checkpoint-file.ts'
import { parsePartitionMetadata } from '../../src/storage/partition-metadata.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { DiskCall } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { appendBatch, appendMany, openLog, partitionOf, readFromFiles } from './open-log.ts'
import { bytesOf, namesEnding, resize, segmentFile } from './tampering.ts'

const CUTS = 24

interface Rule {
  readonly name: string
  /** The calls without which the rule is broken. */
  readonly leftOut: (call: DiskCall) => boolean
  /** False where the promise was broken. `skip` takes the calls out; `cut` takes the power. */
  readonly keepsPromise: (machine: Machine) => Promise<boolean>
}

/** A computer that loses its power when it is told to. */
class Machine {
  driver: FaultDriver = new FaultDriver()
  readonly #random: SeededRandom
  readonly #skipped: ((call: DiskCall) => boolean) | undefined

  constructor(seed: number, skipped?: (call: DiskCall) => boolean) {
    this.#random = new SeededRandom(seed)
    this.#skipped = skipped
  }

  /** From here on the rule's calls are left out, in the variant that has none of them. */
  breakRule(): void {
    const skipped = this.#skipped
    if (skipped === undefined) return
    const { driver } = this
    driver.onCall = (call) => (skipped(call) ? 'skip' : undefined)
    const rename = driver.rename.bind(driver)
    driver.rename = (from, to) => {
      if (!skipped({ action: 'rename', path: to })) rename(from, to)
    }
  }

  async cut(): Promise<void> {
    await nextTurn()
    this.driver = this.driver.powerCut(this.#random)
  }

  async kill(): Promise<void> {
    await nextTurn()
    this.driver = this.driver.processKill()
  }
}

const CONFIG = { segmentBytes: 1024, preallocate: false }
const isFlushOfIndex = ({ action, path }: DiskCall): boolean =>
  action === 'flush' && /\.(?:time)?index(?:\.tmp)?$/.test(path)
const isFlush = ({ action }: DiskCall): boolean => action === 'flush' || action === 'flushDirectory'

const RULES: readonly Rule[] = [
  {
    name: 'a sealed file is synced before what follows it counts as durable',
    leftOut: ({ action, path }) => action === 'flush' && path === segmentFile(0),
    keepsPromise: async (machine) => await keepsDurableRecords(machine),
  },
  {
    name: 'the name of a new segment is synced before what it holds counts as durable',
    leftOut: ({ action, path }) => action === 'flushDirectory' && path === 't-0',
    keepsPromise: async (machine) => await keepsDurableRecords(machine),
  },
  {
    name: 'the newest file is synced before what it holds counts as durable',
    leftOut: ({ action, path }) =>
      action === 'flush' && path.endsWith('.log') && path !== segmentFile(0),
    keepsPromise: async (machine) => await keepsDurableRecords(machine),
  },
  {
    name: 'folders are synced before metadata.json names the topic',
    leftOut: (call) => isFlush(call) && call.path.startsWith('new-'),
    keepsPromise: async (machine) => {
      const { log } = await openLog(machine.driver)
      machine.breakRule()
      const { id } = await runProcedure(log.createTopic('new', {}))
      await machine.cut()
      // Should metadata.json get lost one day, this is where the topic is known from.
      const bytes = readWholeFile(machine.driver, 'new-0/partition.metadata')
      return bytes !== undefined && parsePartitionMetadata(bytes) === id
    },
  },
  {
    name: 'the names of folders are synced before metadata.json names the topic',
    leftOut: ({ action, path }) => action === 'flushDirectory' && path === '',
    keepsPromise: async (machine) => await keepsNewTopic(machine),
  },
  {
    name: 'metadata.json is flushed before it takes the place of the old one',
    leftOut: ({ action, path }) => action === 'flush' && path === 'metadata.json.tmp',
    keepsPromise: async (machine) => await keepsNewTopic(machine),
  },
  {
    name: 'the clean marker is gone for good before anything is written',
    leftOut: ({ action, path }) => action === 'flushDirectory' && path === '',
    keepsPromise: async (machine) => {
      const { log } = await openLog(machine.driver)
      await runProcedure(log.createTopic('t', CONFIG))
      await runProcedure(log.close())
      await machine.kill()
      machine.breakRule()
      const { log: second } = await openLog(machine.driver)
      appendMany(partitionOf(second, 't'), 3)
      const used = partitionOf(second, 't').leaderEpoch
      await machine.cut()
      const { log: third } = await openLog(machine.driver, { bootId: 'later boot' })
      return partitionOf(third, 't').leaderEpoch > used
    },
  },
  {
    name: 'a leader epoch is synced before the first batch of it',
    leftOut: (call) => isFlush(call) && (call.path.includes('leader-epoch') || call.path === 't-0'),
    keepsPromise: async (machine) => {
      await logOf(machine, 3)
      await machine.kill()
      machine.breakRule()
      const { log } = await openLog(machine.driver)
      appendMany(partitionOf(log, 't'), 3)
      const used = partitionOf(log, 't').leaderEpoch
      await machine.cut()
      const { log: again } = await openLog(machine.driver, { bootId: 'later boot' })
      return partitionOf(again, 't').leaderEpoch > used
    },
  },
  {
    name: 'what recovery accepts is written again, where a failed sync had dropped it',
    leftOut: ({ action, path }) => action === 'write' && path.endsWith('.log'),
    keepsPromise: async (machine) => await keepsWhatOpenCounted(machine),
  },
  {
    name: 'what recovery accepts is synced before open counts it as durable',
    leftOut: ({ action, path }) => action === 'flush' && path.endsWith('.log'),
    keepsPromise: async (machine) => await keepsWhatOpenCounted(machine),
  },
  {
    name: 'what recovery cuts is kept on stable storage before it is cut',
    leftOut: (call) => isFlush(call) && (call.path.includes('salvaged') || call.path === 't-0'),
    keepsPromise: async (machine) => {
      await logOf(machine, 3)
      await machine.kill()
      const before = bytesOf(machine.driver, segmentFile(0))
      resize(machine.driver, segmentFile(0), before.length - 1)
      machine.breakRule()
      await openLog(machine.driver, { bootId: 'later boot' })
      await machine.cut()
      const [salvaged] = namesEnding(machine.driver, '.salvaged')
      const cutAt = (before.length / 3) * 2
      return (
        salvaged !== undefined &&
        bytesOf(machine.driver, `t-0/${salvaged}`).equals(before.subarray(cutAt, -1))
      )
    },
  },
  {
    name: 'the start of the log is synced before a reader notices it',
    leftOut: (call) => isFlush(call) && (call.path.includes('log-start') || call.path === ''),
    keepsPromise: async (machine) => {
      const log = await logOf(machine, 10)
      await partitionOf(log, 't').makeDurable(10)
      machine.breakRule()
      await runProcedure(log.deleteRecordsBefore(partitionOf(log, 't'), 5))
      await machine.cut()
      const { log: again } = await openLog(machine.driver, { bootId: 'later boot' })
      return partitionOf(again, 't').logStartOffset === 5
    },
  },
  {
    name: 'checkpoints forget a topic that is deleted before its name can be used again',
    leftOut: ({ action, path }) =>
      action === 'rename' && path === 'recovery-point-offset-checkpoint',
    keepsPromise: async (machine) => {
      const log = await logOf(machine, 20)
      await runProcedure(log.checkpoint())
      machine.breakRule()
      await runProcedure(log.deleteTopic('t'))
      await runProcedure(log.createTopic('t', CONFIG))
      appendMany(partitionOf(log, 't'), 3)
      await partitionOf(log, 't').makeDurable(3)
      await machine.cut()
      const { log: again, report } = await openLog(machine.driver, { bootId: 'later boot' })
      const isWhole = report.partitions.every(({ damage }) => damage.length === 0)
      return isWhole && partitionOf(again, 't').logEndOffset === 3
    },
  },
  {
    name: 'index files are synced before the recovery point passes their segment',
    leftOut: isFlushOfIndex,
    keepsPromise: async (machine) => {
      const log = await logWithTimes(machine)
      machine.breakRule()
      await runProcedure(log.checkpoint())
      await machine.cut()
      return await findsTimes(machine)
    },
  },
  {
    name: 'index files that recovery makes are synced before the recovery point passes them',
    leftOut: isFlushOfIndex,
    keepsPromise: async (machine) => {
      await logWithTimes(machine)
      await machine.kill()
      machine.breakRule()
      await openLog(machine.driver) // Ends with a checkpoint.
      await machine.cut()
      return await findsTimes(machine)
    },
  },
  {
    name: 'everything is synced before the clean marker vouches for it',
    leftOut: ({ action, path }) => action === 'flush' && path.startsWith('t-0/'),
    keepsPromise: async (machine) => {
      const log = await logOf(machine, 40)
      machine.breakRule()
      await runProcedure(log.close())
      await machine.cut()
      const { log: again, report } = await openLog(machine.driver, { bootId: 'later boot' })
      return report.clean && readFromFiles(partitionOf(again, 't')).length === 40
    },
  },
]

describe('the order of syncs', () => {
  it.each(RULES)('$name', async ({ leftOut, keepsPromise }) => {
    let broken = 0
    for (let seed = 0; seed < CUTS; seed++) {
      expect(await kept(keepsPromise, new Machine(seed)), `seed ${seed}`).toBe(true)
      if (!(await kept(keepsPromise, new Machine(seed, leftOut)))) broken += 1
    }
    expect(broken).toBeGreaterThan(0)
  })
})

/** A log that cannot even be read has broken its promise too. */
async function kept(promise: Rule['keepsPromise'], machine: Machine): Promise<boolean> {
  return await promise(machine).catch(() => false)
}

async function logOf(
  machine: Machine,
  count: number,
): Promise<Awaited<ReturnType<typeof openLog>>['log']> {
  const { log } = await openLog(machine.driver)
  await runProcedure(log.createTopic('t', CONFIG))
  appendMany(partitionOf(log, 't'), count)
  return log
}

const TIMES = 40
const LATEST = 5_000

/**
 * Several segments in each of which the first record is the latest: one entry, which the zeros of a
 * file whose bytes were lost pass for.
 */
async function logWithTimes(machine: Machine): Promise<Awaited<ReturnType<typeof openLog>>['log']> {
  const { log } = await openLog(machine.driver)
  await runProcedure(log.createTopic('t', { ...CONFIG, indexIntervalBytes: 0 }))
  const partition = partitionOf(log, 't')
  for (let offset = 0; offset < TIMES; offset++) {
    appendBatch(partition, [{ timestamp: LATEST - offset, value: 'v'.repeat(40) }])
  }
  return log
}

async function findsTimes(machine: Machine): Promise<boolean> {
  const { log, report } = await openLog(machine.driver, { bootId: 'later boot' })
  const partition = partitionOf(log, 't')
  const found = [LATEST, LATEST - TIMES].map((time) => offsetForTimestamp(partition, time))
  const isRebuilt = report.partitions.some(({ rebuiltIndexes }) => rebuiltIndexes > 0)
  return !isRebuilt && found.every((offset) => offset === 0)
}

async function keepsDurableRecords(machine: Machine): Promise<boolean> {
  const log = await logOf(machine, 0)
  machine.breakRule()
  appendMany(partitionOf(log, 't'), 20) // Two segments.
  await partitionOf(log, 't').makeDurable(20)
  await machine.cut()
  const { log: again, report } = await openLog(machine.driver, { bootId: 'later boot' })
  return report.partitions.length === 0 && readFromFiles(partitionOf(again, 't')).length === 20
}

async function keepsNewTopic(machine: Machine): Promise<boolean> {
  const { log } = await openLog(machine.driver)
  machine.breakRule()
  await runProcedure(log.createTopic('new', {}))
  await machine.cut()
  const { log: again, report } = await openLog(machine.driver, { bootId: 'later boot' })
  return again.topic('new') !== undefined && report.partitions.length === 0
}

/** A sync fails and drops its pages, the process is killed, and what it had written is opened. */
async function keepsWhatOpenCounted(machine: Machine): Promise<boolean> {
  const log = await logOf(machine, 5)
  machine.driver.onCall = ({ action, path }) =>
    action === 'flush' && path.endsWith('.log') ? 'drop' : undefined
  const failed = await partitionOf(log, 't')
    .makeDurable(5)
    .then(
      () => false,
      () => true,
    )
  if (!failed) return false
  machine.driver.onCall = undefined
  await machine.kill()
  machine.breakRule()
  const { log: second } = await openLog(machine.driver)
  if (partitionOf(second, 't').durableOffset !== 5) return false
  await machine.cut()
  const { log: third } = await openLog(machine.driver, { bootId: 'later boot' })
  return readFromFiles(partitionOf(third, 't')).length === 5
}
