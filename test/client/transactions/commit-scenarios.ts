/**
 * Transactions whose every call of the disk is made to fail or is where the process ends: what they
 * do, how often they touch the disk, and what a log must hold after them.
 *
 *   C1  all of a transaction is there, in every partition and in the group's positions, or nothing
 *   C2  what came before it is there
 *   C3  no more markers than transactions, and none that is missing once a log was opened
 *   C4  the log takes the next transaction of that id
 */
import type { EventLog } from '../../../src/index.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import type { DiskAction, DiskFault } from '../../../src/testing/disk-faults.ts'
import type { NotedCall } from '../../../src/testing/disk-machine.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { TestClock } from '../../../src/testing/manual-clock.ts'
import type { Survival } from '../../../src/testing/survival.ts'
import { SeededRandom } from '../../support/seeded-random.ts'
import { partOf, placeOf } from './transaction-book.ts'

const GROUP = 'group'
const ID = 'mover'
const PLACES = ['a-0', 'a-1', 'b-0'] as const

/** A transaction to be tried. */
export interface Scenario {
  readonly name: string
  readonly places: readonly (typeof PLACES)[number][]
  readonly hasOffsets: boolean
  /** Another transaction of its producer was committed before it. */
  readonly isWarm: boolean
  /** It is committed; else it throws. */
  readonly commits: boolean
}

/** What its user was told. */
export type Answer = 'committed' | 'aborted' | 'unknown' | 'nothing'

/** How its process ends. */
export type Ending = 'close' | 'kill' | Survival

/** What a fault does to which call. */
export interface Strike {
  /** `'full'`: from the call on nothing fits any more. */
  readonly fault: DiskFault | 'full'
  /** The call, from 1 on; Infinity: none. */
  readonly nth: number
}

/** Calls that need room. */
export const ALLOCATING: readonly DiskAction[] = ['write', 'resize', 'create', 'mkdir']

/** What became of a transaction. */
export interface Attempted {
  readonly answer: Answer
  /** What is there after the log was opened again. */
  readonly isThere: boolean
}

/** What the transaction was left with, that throws. */
class Thrown extends Error {}

/** The calls of the disk that the scenario takes without a fault, from begin to end. */
export async function callsOf(scenario: Scenario): Promise<readonly NotedCall[]> {
  const { disk, log, clock } = await prepared(scenario)
  disk.recordCalls(true)
  await answerOf(log, scenario, clock)
  const calls = [...disk.calls]
  disk.recordCalls(false)
  await disk.kill()
  return calls
}

/** Plays it with a fault, ends its process, opens the log and checks what that holds. */
export async function attempt(
  scenario: Scenario,
  strike: Strike,
  ending: Ending,
  calls: readonly NotedCall[],
): Promise<Attempted> {
  const { disk, log, clock } = await prepared(scenario)
  setUp(disk, strike, calls)
  const answer = await answerOf(log, scenario, clock, () => disk.faults.counts.stop > 0)
  disk.faults.clear()
  if (ending === 'close') await log.close().catch(() => undefined)
  else if (ending === 'kill') await disk.kill()
  else await disk.crash({ keep: ending })
  const again = await disk.open({ clock, onWarning: () => undefined })
  const isThere = check(again, scenario)
  await goOn(again, scenario)
  await again.close()
  const third = await disk.open({ clock })
  if (check(third, scenario) !== isThere) throw new Error('it is not what it was, after a close')
  await disk.kill()
  return { answer, isThere }
}

/** Of `calls`, as they come without a fault. */
function setUp(disk: FaultDisk, { fault, nth }: Strike, calls: readonly NotedCall[]): void {
  if (nth === Infinity) return
  if (fault !== 'full') return disk.faults.inject({ fault, nth })
  for (const action of ALLOCATING) {
    const before = calls.slice(0, nth - 1).filter((call) => call.action === action).length
    disk.faults.inject({ fault: 'ENOSPC', action, nth: before + 1, count: Infinity })
  }
}

async function prepared(
  scenario: Scenario,
): Promise<{ readonly disk: FaultDisk; readonly log: EventLog; readonly clock: TestClock }> {
  const clock = new TestClock()
  const disk = new FaultDisk({ clock })
  const log = await disk.open({ clock, random: randomOf(1), onWarning: () => undefined })
  await log.createTopic('a', { partitions: 2 })
  await log.createTopic('b')
  for (const place of PLACES) await log.producer().send({ ...partOf(place), value: 'before' })
  if (scenario.isWarm) {
    await transact(log, { ...scenario, commits: true }, 'warm', 1)
    await clock.settle()
  }
  return { disk, log, clock }
}

/** One transaction in the scenario's partitions. */
async function transact(
  log: EventLog,
  { places, hasOffsets, commits }: Scenario,
  value: string,
  offset: number,
): Promise<void> {
  const producer = log.producer({ transactionalId: ID })
  await producer.transaction(async (tx) => {
    for (const place of places) {
      await tx.send({ ...partOf(place), value: `${value} 1` })
      await tx.send({ ...partOf(place), value: `${value} 2` })
    }
    const group = log.consumerGroup(GROUP, { topics: ['a'] })
    if (hasOffsets) tx.commitOffsets(group, [{ topic: 'a', partition: 0, offset }])
    if (!commits) throw new Thrown('on purpose')
  })
}

/** Plays it until its user hears something, or never will. */
async function answerOf(
  log: EventLog,
  scenario: Scenario,
  clock: TestClock,
  isStopped: () => boolean = () => false,
): Promise<Answer> {
  const heard: { answer?: Answer; unexpected?: unknown } = {}
  transact(log, scenario, 'own', 2).then(
    () => (heard.answer = 'committed'),
    (error: unknown) => {
      const isUnknown = LogError.is(error, 'IO') && error.details.outcome === 'unknown'
      heard.answer = isUnknown ? 'unknown' : 'aborted'
      if (!(error instanceof Thrown || LogError.is(error))) heard.unexpected = error
    },
  )
  for (let turns = 0; turns < 200 && heard.answer === undefined; turns++) {
    await clock.advance(turns < 5 ? 0 : 100)
    if (isStopped()) return 'nothing' // Its user went with the process.
  }
  await clock.settle()
  if (isStopped()) return 'nothing'
  if (heard.unexpected !== undefined) throw heard.unexpected
  if (heard.answer === undefined) throw new Error('the transaction waits for ever')
  return heard.answer
}

/** C1 to C3; whether the transaction is there. */
function check(log: EventLog, { places, hasOffsets, isWarm }: Scenario): boolean {
  let found = 0
  for (const place of PLACES) {
    const { topic, partition } = partOf(place)
    const handle = log.topic(topic).partition(partition)
    const values = valuesOf(handle.records({ isolation: 'read_committed' }))
    const all = valuesOf(handle.records({ isolation: 'read_uncommitted' }))
    const isPart = places.includes(place)
    const warm = isPart && isWarm ? ['warm 1', 'warm 2'] : []
    const own = values.slice(1 + warm.length).filter((value) => value.startsWith('own'))
    const text = `${place}: ${values.join(', ')} of ${all.join(', ')}`
    if (values.slice(0, 1 + warm.length).join() !== ['before', ...warm].join()) {
      throw new Error(`C2, ${text}`)
    }
    if (own.length > 0 && own.join() !== 'own 1,own 2') throw new Error(`C1, ${text}`)
    if (new Set(all).size !== all.length) throw new Error(`twice, ${text}`)
    if (own.length > 0) found += 1
    const transactions = new Set(
      all.filter((one) => one !== 'before').map((one) => one.slice(0, 3)),
    )
    const markers = handle.logEndOffset - all.length
    if (markers !== transactions.size) {
      throw new Error(`C3, ${text}: ${markers} markers of ${transactions.size} transactions`)
    }
    if (handle.lastStableOffset !== handle.highWatermark) throw new Error(`C3, ${text}: unstable`)
  }
  if (found !== 0 && found !== places.length) throw new Error(`C1: in ${found} partitions`)
  const positions = log.consumerGroup(GROUP, { topics: ['a'] }).offsets()
  const position = positions.find((one) => placeOf(one) === 'a-0')?.offset ?? 0
  const before = hasOffsets && isWarm ? 1 : 0
  const expected = hasOffsets && found > 0 ? 2 : before
  if (position !== expected) throw new Error(`C1: the group is at ${position}, not at ${expected}`)
  return found > 0
}

/** C4. */
async function goOn(log: EventLog, scenario: Scenario): Promise<void> {
  const producer = log.producer({ transactionalId: ID })
  await producer.transaction(async (tx) => {
    for (const place of scenario.places) await tx.send({ ...partOf(place), value: 'next' })
  })
  for (const place of scenario.places) {
    const { topic, partition } = partOf(place)
    const handle = log.topic(topic).partition(partition)
    const last = valuesOf(handle.records({ isolation: 'read_committed' })).at(-1)
    if (last !== 'next') throw new Error(`C4: ${place} ends with ${last}`)
  }
}

function valuesOf(records: Iterable<{ readonly value: Buffer | null }>): readonly string[] {
  return [...records].map(({ value }) => String(value))
}

function randomOf(seed: number): (byteCount: number) => Uint8Array {
  const random = new SeededRandom(seed)
  return (byteCount) => Uint8Array.from({ length: byteCount }, () => random.below(256))
}
