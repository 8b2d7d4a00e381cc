/**
 * A run of the crash tests: one directory through many lives, most of which end by SIGKILL at a
 * random moment, checked against the model at every open and, as a whole, at the end.
 */
import { readdirSync } from 'node:fs'
import { EventLog, type Partition } from '../../src/index.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { CrashLives, type KillMoment } from './crash-lives.ts'
import { CrashModel, type KnownContents, type Loss } from './crash-model.ts'
import { checkedSequence, timestampOf } from './crash-record.ts'
import {
  partitionName,
  positionsReport,
  topicReports,
  type LifePlan,
  type SelfKill,
} from './crash-report.ts'

/** Kills between two lives that end by closing the log. */
const KILLS_PER_CLOSE = 25

/** What to run. */
export interface CrashRunOptions {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}

/** What came of it. */
export interface CrashRunResult {
  readonly kills: number
  readonly killsWhile: Readonly<Record<string, number>>
  /** Of these, lives that were killed while they recovered from such a kill. */
  readonly recoveriesKilled: number
  readonly closes: number
  readonly acknowledged: number
  readonly torn: number
  readonly records: number
  readonly durationMs: number
}

interface LifeEnding {
  readonly name: string
  readonly moment?: KillMoment
  readonly selfKill?: SelfKill
  readonly closesAfter?: number
}

/** Runs until there were so many kills. @throws at the first thing that is not as it has to be. */
export async function runCrashes(options: CrashRunOptions): Promise<CrashRunResult> {
  const { directory, seed } = options
  const startedAt = performance.now()
  const random = new SeededRandom(seed)
  const model = new CrashModel()
  const lives = new CrashLives()
  const killsWhile: Record<string, number> = {}
  let [kills, closes, recoveriesKilled, openMs] = [0, 0, 0, 50]
  let wasOpenKilled = false
  try {
    for (let life = 1; kills < options.kills; life++) {
      const mustClose = kills >= (closes + 1) * KILLS_PER_CLOSE
      const ending: LifeEnding = mustClose
        ? orderly(random)
        : randomEnding(random, openMs, wasOpenKilled)
      const plan: LifePlan = {
        ...usualPlan(directory, life, random, model),
        writing: random.oneOf('acks all', 'acks all', 'acks 1', 'acks 0', 'append'),
        work: ending.name.includes('script') ? 'script' : 'endless',
        changesTopics: ending.name.includes('topics') || random.below(3) === 0,
        closesAfter: ending.closesAfter ?? null,
        selfKill: ending.selfKill ?? null,
      }
      model.begins(life)
      const moment = momentFor(plan, ending.moment ?? null)
      const end = await lives.live(plan, moment, (report) => model.take(report))
      if (end.wasKilled) kills += 1
      else closes += 1
      const what = end.wasKilled ? ending.name : 'not at all'
      killsWhile[what] = (killsWhile[what] ?? 0) + 1
      const isOpenKilled: boolean = end.wasKilled && end.openMs === null
      if (isOpenKilled && wasOpenKilled) recoveriesKilled += 1
      wasOpenKilled = isOpenKilled
      openMs += ((end.openMs ?? openMs) - openMs) / 8
    }
  } finally {
    await lives.end()
  }
  const records = await checkWhole(directory, model)
  const { acknowledgedCount: acknowledged, tornCount: torn } = model
  const durationMs = Math.round(performance.now() - startedAt)
  const ends = { kills, killsWhile, recoveriesKilled, closes }
  return { ...ends, acknowledged, torn, records, durationMs }
}

/** Nobody acknowledges what is sent with acks 0. */
function momentFor({ writing }: LifePlan, moment: KillMoment | null): KillMoment | null {
  const isNever = moment?.at === 'acknowledged' && writing === 'acks 0'
  return isNever ? { ...moment, at: 'sending' } : moment
}

/** A life that works until it is killed. */
export function usualPlan(
  directory: string,
  life: number,
  random: SeededRandom,
  model: CrashModel,
): LifePlan {
  return {
    directory,
    life,
    seed: random.below(2 ** 32),
    work: 'endless',
    writing: 'acks all',
    changesTopics: false,
    closesAfter: null,
    selfKill: null,
    lockTimeoutMs: 0,
    trace: null,
    roomIsScarce: false,
    known: model.known,
  }
}

function orderly(random: SeededRandom): LifeEnding {
  return { name: 'closing', closesAfter: 1 + random.below(200) }
}

/** Moments that a clock finds, and calls that it would hardly ever meet. */
function randomEnding(random: SeededRandom, openMs: number, isRecovering: boolean): LifeEnding {
  const soon = random.oneOf(0, 0, random.fraction() * 2, random.fraction() * 10)
  const closesAfter = 1 + random.below(150)
  const atCall = (stage: SelfKill['stage'], calls: number): SelfKill => {
    return { stage, calls: random.below(calls), phase: random.oneOf('before', 'middle', 'after') }
  }
  const after = (at: KillMoment['at'], reports: number): KillMoment => {
    return { at, nth: 1 + random.below(reports), delayMs: soon }
  }
  const afterStart = { at: 'started', nth: 1, delayMs: random.fraction() * openMs * 1.1 } as const
  const opening: LifeEnding = { name: 'opening', moment: afterStart }
  const openingAtCall = { name: 'opening, at a call', selfKill: atCall('opening', 120) }
  const working: LifeEnding = { name: 'working', moment: after('acknowledged', 300) }
  const workingAtCall = { name: 'working, at a call', selfKill: atCall('working', 300) }
  const changing = 'changing topics'
  const changingAtCall = { name: 'changing topics, at a call', selfKill: atCall(changing, 200) }
  // What an open that was killed has left is killed in its open once more, every other time.
  if (isRecovering && random.below(2) === 0) return random.oneOf(opening, openingAtCall)
  return random.oneOf<LifeEnding>(
    ...[opening, opening, openingAtCall, openingAtCall, working, working, working],
    ...[working, working, workingAtCall, workingAtCall, changingAtCall, changingAtCall],
    { name: 'script, at a call', selfKill: atCall('working', 200) },
    { name: changing, moment: after('creating', 3) },
    { name: changing, moment: after('deleting', 2) },
    { name: changing, moment: after('altering', 2) },
    { name: changing, moment: after('growing', 2) },
    { name: changing, moment: after('removing', 2) },
    { name: 'closing', closesAfter, moment: { at: 'closing', nth: 1, delayMs: soon } },
    { name: 'closing, at a call', closesAfter, selfKill: atCall('closing', 60) },
  )
}

/**
 * Reads all of it in this process, twice: after the last kill, and after closing it.
 * @returns how many records there are. @throws where the log is not what the model knows.
 */
export async function checkWhole(directory: string, model: CrashModel): Promise<number> {
  let records = 0
  for (const isLast of [false, true]) {
    const log = await EventLog.open(directory, { onWarning: () => undefined })
    try {
      if (isLast && !log.recovery.clean) throw new Error(`${directory}: closed, but not clean`)
      // What the last life sent is not known yet. The model says whether it may be clean: a kill
      // may come between the end of a close and the end of the process.
      if (!isLast) readInto(model, log, 0)
      records = checkContents(log, model)
    } finally {
      await log.close()
    }
  }
  checkFolders(directory, model)
  return records
}

/** Tells the model what is in a log of this process, as if a child had opened it in this life. */
export function readInto(
  model: CrashModel,
  log: EventLog,
  life: number,
  loss: Loss = 'kill',
): void {
  model.begins(life, loss)
  model.take({
    is: 'opened',
    clean: log.recovery.clean,
    cuts: [],
    topics: topicReports(log),
    positions: positionsReport(log),
    damage: log.recovery.partitions.flatMap(({ damage }) => damage).length,
  })
  const { known } = model
  for (const { name: topic, partitions } of log.topics()) {
    for (const partition of partitions) {
      const name = partitionName(topic, partition.index)
      for (const record of partition.records({ from: known[name] ?? 0 })) {
        const { offset, leaderEpoch } = record
        model.take({ is: 'record', name, offset, sequence: checkedSequence(record), leaderEpoch })
      }
    }
  }
  model.take({ is: 'read' })
}

/** All that the model knows is in the log, and nothing else; returns how many offsets. */
export function checkContents(log: EventLog, model: CrashModel): number {
  let records = 0
  const left = new Map(model.contents)
  for (const topic of log.topics()) {
    for (const partition of topic.partitions) {
      const name = partitionName(topic.name, partition.index)
      checkPartition(partition, left.get(name) ?? { known: [], start: 0 })
      left.delete(name)
      records += partition.logEndOffset
    }
  }
  if (left.size > 0) throw new Error(`not there any more: ${[...left.keys()].join(', ')}`)
  return records
}

/** From first to last, and some of them as the indexes find them. */
function checkPartition(partition: Partition, { known, start }: KnownContents): void {
  const where = `${partition.topic}-${partition.index}`
  let next = start
  for (const record of partition.records()) {
    const sequence = checkedSequence(record)
    if (record.offset !== next || sequence !== known[next]) {
      throw new Error(`${where}: ${sequence} at ${record.offset}, not ${known[next]} at ${next}`)
    }
    next += 1
  }
  if (next !== known.length || partition.logEndOffset !== next) {
    throw new Error(`${where}: ${next} records, not ${known.length}`)
  }
  for (let offset = start; offset < next; offset += 97) {
    const sequence = known[offset] ?? 0
    const record = partition.get(offset)
    const isFound = record !== undefined && checkedSequence(record) === sequence
    if (!isFound || partition.offsetForTimestamp(timestampOf(sequence)) !== offset) {
      throw new Error(`${where}: offset ${offset} is not found by its number and its time`)
    }
  }
}

/** Nothing is left of what was being made or removed when a kill came. */
function checkFolders(directory: string, model: CrashModel): void {
  const expected = [...model.contents.keys()].map((name) => name.replace('/', '-'))
  const entries = readdirSync(directory, { withFileTypes: true })
  const found = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const strange = found.filter((name) => !expected.includes(name) && !name.endsWith('-stray'))
  if (strange.length > 0) throw new Error(`left behind: ${strange.join(', ')}`)
}
