/**
 * What can happen in the world of the model of housekeeping, one step at a time. A step that makes
 * no sense where it comes does nothing.
 */
import { LogError, type LogErrorCode } from '../../../src/errors/log-error.ts'
import type { DiskFault } from '../../../src/testing/disk-faults.ts'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { must } from '../transactions/transaction-book.ts'
import {
  COMPACTED,
  EXPIRING,
  GROUP,
  type HousekeepingWorld,
  TOPICS,
  type Written,
} from './housekeeping-world.ts'

const KEYS = 9
const MAX_VALUE_BYTES = 120
/** Of a disk that fails: what housekeeping asks of it. */
const FAULTS: readonly DiskFault[] = ['EIO', 'EIO', 'ENOSPC', 'EMFILE', 'drop']

type Step = (world: HousekeepingWorld) => void | Promise<unknown>

/** How often a step comes up, beside the others. */
const STEPS: readonly (readonly [kind: string, weight: number, step: Step])[] = [
  ['put', 30, (world) => put(world, COMPACTED)],
  ['append', 14, (world) => put(world, EXPIRING)],
  ['send', 6, send],
  ['begin', 5, begin],
  ['end', 7, end],
  ['flush', 5, (world) => world.flush()],
  ['wait', 8, (world) => world.clock.advance(world.random.oneOf(1, 100, 4_000))],
  ['wait long', 3, waitLong],
  ['run', 10, (world) => run(world, false)],
  ['run by force', 10, (world) => run(world, true)],
  ['run beside others', 8, runBeside],
  ['run on a failing disk', 5, runFailing],
  ['stop in a run', 5, stopInRun],
  ['delete records', 2, deleteRecords],
  ['commit', 4, commit],
  ['alter', 2, alter],
  ['begin reading', 4, (world) => world.read()],
  ['read', 10, read],
  ['close', 1, (world) => world.reopen('close')],
  ['kill', 1, (world) => world.reopen('kill')],
  ['power cut', 2, (world) => world.reopen('power cut')],
]
const TOTAL: number = STEPS.reduce((sum, [, weight]) => sum + weight, 0)

/** Does a step, and checks what must be true then; returns its name. */
export async function takeStep(world: HousekeepingWorld): Promise<string> {
  const [kind, , step] = drawn(world.random)
  try {
    await step(world)
    if (!world.isStopped) world.check()
  } catch (error) {
    if (!world.isStopped) throw new Error(`in ${kind}: ${String(error)}`, { cause: error })
  }
  if (world.isStopped) await world.restart()
  world.tally.steps += 1
  return kind
}

function drawn(random: SeededRandom): (typeof STEPS)[number] {
  let left = random.fraction() * TOTAL
  for (const entry of STEPS) {
    left -= entry[1]
    if (left < 0) return entry
  }
  return ['flush', 0, (world) => world.flush()]
}

function records({ random }: HousekeepingWorld, topic: string): readonly Written[] {
  return Array.from({ length: 1 + random.below(4) }, () => {
    const isDeletion = topic === COMPACTED && random.below(4) === 0
    const bytes = Math.max(1, random.below(MAX_VALUE_BYTES))
    const value = isDeletion ? null : `${random.below(1e6)}`.padEnd(bytes, '.')
    return { key: `key-${random.below(KEYS)}`, value }
  })
}

function put(world: HousekeepingWorld, topic: string): void {
  world.append(topic, records(world, topic))
}

/** As an application writes: on stable storage when it resolves, with what was there before. */
async function send(world: HousekeepingWorld): Promise<void> {
  const topic = world.random.oneOf(...TOPICS)
  const [record] = records(world, topic)
  if (record === undefined) return
  const before = world.nowMs
  const { offset } = await world.log.topic(topic).send({ ...record, timestamp: before })
  world
    .bookOf(topic)
    .wrote({ ...record, offset, timestamp: before, fate: { outcome: 'committed' } })
  world.durable.set(topic, offset + 1)
  world.tally.records += 1
}

async function begin(world: HousekeepingWorld): Promise<void> {
  if (world.transaction !== undefined) return
  const topic = world.random.oneOf(COMPACTED, COMPACTED, EXPIRING)
  const producer = world.log.producer({ transactionalId: 'mover' })
  const handle = await producer.begin()
  const fate = { outcome: 'open' as const }
  world.transaction = { handle, fate, topic }
  world.tally.transactions += 1
  await addTo(world)
}

async function addTo(world: HousekeepingWorld): Promise<void> {
  const { transaction } = world
  if (transaction === undefined) return
  const { handle, fate, topic } = transaction
  for (const record of records(world, topic)) {
    const timestamp = world.nowMs
    const { offset } = await handle.send({ topic, ...record, timestamp })
    world.bookOf(topic).wrote({ ...record, offset, timestamp, fate })
  }
}

async function end(world: HousekeepingWorld): Promise<void> {
  const { transaction, random } = world
  if (transaction === undefined) return
  if (random.below(3) > 0) await addTo(world)
  world.transaction = undefined
  if (random.below(3) === 0) {
    await transaction.handle.abort()
    transaction.fate.outcome = 'aborted'
    return
  }
  await transaction.handle.commit()
  transaction.fate.outcome = 'committed'
  const { topic } = transaction
  world.durable.set(topic, Math.max(world.durable.get(topic) ?? 0, lastOf(world, topic) + 1))
}

/** Longer than a transaction may take, and any tombstone stays. */
async function waitLong(world: HousekeepingWorld): Promise<void> {
  await end(world)
  await world.clock.advance(61_000)
}

function lastOf(world: HousekeepingWorld, topic: string): number {
  const mine = [...world.bookOf(topic).records.values()]
  return Math.max(-1, ...mine.map(({ offset }) => offset))
}

/** One run, after which nothing that was asked for is left undone. */
async function run(world: HousekeepingWorld, force: boolean): Promise<void> {
  runBegins(world)
  const report = await world.log.runHousekeeping({ force })
  noted(world, report)
  must(
    world.warnings.every(({ code }) => code !== 'HOUSEKEEPING_FAILED'),
    () => `failed: ${JSON.stringify(world.warnings)}`,
  )
  world.warnings = []
}

function runBegins(world: HousekeepingWorld): void {
  for (const book of world.books.values()) book.runBegins(world.nowMs)
}

function noted(
  { tally }: HousekeepingWorld,
  report: Awaited<ReturnType<HousekeepingWorld['log']['runHousekeeping']>>,
): void {
  tally.runs += 1
  tally.cleanings += report.cleanedPartitions
  tally.segments += report.deletedSegments
}

/** A run while others write and read. */
async function runBeside(world: HousekeepingWorld): Promise<void> {
  runBegins(world)
  const running = world.log.runHousekeeping({ force: true })
  for (let left = 1 + world.random.below(5); left > 0; left -= 1) {
    put(world, world.random.oneOf(...TOPICS))
    await read(world)
  }
  runBegins(world)
  noted(world, await running)
}

/** A call that the run makes fails, and so may the run: all of it is still there. */
async function runFailing(world: HousekeepingWorld): Promise<void> {
  const { random, disk, tally } = world
  runBegins(world)
  disk.faults.inject({
    fault: FAULTS[random.below(FAULTS.length)] ?? 'EIO',
    path: /^(state|events)-0\//,
    nth: 1 + random.below(60),
    count: random.oneOf(1, 1, 5),
  })
  try {
    noted(world, await world.log.runHousekeeping({ force: true }))
  } catch (error) {
    world.mayFail(error)
  }
  disk.faults.clear()
  if (world.warnings.length > 0) tally.failedRuns += 1
  world.warnings = []
  // What could not be synced keeps its partition from being written to: as users, we start anew.
  if (TOPICS.some((topic) => isReadOnly(world, topic))) await world.reopen('kill')
}

function isReadOnly(world: HousekeepingWorld, topic: string): boolean {
  try {
    put(world, topic)
    return false
  } catch (error) {
    if (isRefusal(error, ['IO', 'READ_ONLY', 'NO_SPACE'])) return true
    throw error
  }
}

function isRefusal(error: unknown, codes: readonly LogErrorCode[]): boolean {
  return LogError.is(error) && codes.includes(error.code)
}

/** The process ends in a call that the run makes, whichever. */
async function stopInRun(world: HousekeepingWorld): Promise<void> {
  const { random, disk } = world
  runBegins(world)
  disk.faults.inject({ fault: 'stop', nth: 1 + random.below(random.oneOf(20, 80, 300)) })
  try {
    noted(world, await world.log.runHousekeeping({ force: true }))
  } finally {
    if (!world.isStopped) disk.faults.clear()
  }
}

async function deleteRecords(world: HousekeepingWorld): Promise<void> {
  const topic = world.random.oneOf(...TOPICS)
  const partition = world.partition(topic)
  const { logStartOffset, lastStableOffset } = partition
  const book = world.bookOf(topic)
  const before = logStartOffset + world.random.below(lastStableOffset - logStartOffset + 1)
  book.deletedBefore = Math.max(book.deletedBefore, before)
  await partition.deleteRecords(before)
  // Housekeeping follows by itself, soon.
  await world.clock.advance(1_000)
}

async function commit(world: HousekeepingWorld): Promise<void> {
  const { logStartOffset, lastStableOffset } = world.partition(EXPIRING)
  const offset = Math.max(world.position ?? 0, logStartOffset)
  if (offset > lastStableOffset) return
  const next = offset + world.random.below(lastStableOffset - offset + 1)
  const group = world.log.consumerGroup(GROUP, { topics: [EXPIRING] })
  await world.flush()
  await group.resetOffsets({ offsets: [{ topic: EXPIRING, partition: 0, offset: next }] })
  world.position = next
  const book = world.bookOf(EXPIRING)
  if (book.consumedBefore !== undefined) book.consumedBefore = next
}

async function alter(world: HousekeepingWorld): Promise<void> {
  const { random } = world
  const { rules } = world.bookOf(EXPIRING)
  rules.retentionMs = random.oneOf(-1, 5_000, 30_000)
  rules.retentionBytes = random.oneOf(-1, 2_500, 6_000)
  const { retentionMs, retentionBytes } = rules
  await world.log.topic(EXPIRING).alterConfig({ retentionMs, retentionBytes })
}

async function read(world: HousekeepingWorld): Promise<void> {
  const { readers, random } = world
  for (const reader of readers) await reader.take(1 + random.below(8))
  for (let at = readers.length - 1; at >= 0; at -= 1) if (readers[at]?.isOver) readers.splice(at, 1)
}
