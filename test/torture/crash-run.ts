/**
 * A run of the crash tests: one directory through many lives, most of which end by SIGKILL at a
 * random moment, checked against the model at every open and, as a whole, at the end.
 */
import { readdirSync } from 'node:fs'
import { EventLog, type Partition } from '../../src/index.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { CrashLives, type KillMoment } from './crash-lives.ts'
import { CrashModel } from './crash-model.ts'
import { checkedSequence, timestampOf } from './crash-record.ts'
import { partitionName, type LifePlan, type SelfKill, type Writing } from './crash-report.ts'

/** Kills between two lives that end by closing the log. */
const KILLS_PER_CLOSE = 25

/** What to run. */
export interface CrashRunOptions {
  readonly directory: string
  readonly seed: number
  readonly kills: number
  readonly writing: Writing
}

/** What came of it. */
export interface CrashRunResult {
  readonly kills: number
  readonly killsWhile: Readonly<Record<string, number>>
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
  const { directory, seed, writing } = options
  const startedAt = performance.now()
  const random = new SeededRandom(seed)
  const model = new CrashModel()
  const lives = new CrashLives()
  const killsWhile: Record<string, number> = {}
  let [kills, closes, openMs] = [0, 0, 50]
  try {
    for (let life = 1; kills < options.kills; life++) {
      const mustClose = kills >= (closes + 1) * KILLS_PER_CLOSE
      const ending = mustClose ? orderly(random) : randomEnding(random, openMs)
      const plan: LifePlan = {
        directory,
        life,
        writing,
        seed: random.below(2 ** 32),
        changesTopics: ending.name.includes('topics') || random.below(3) === 0,
        closesAfter: ending.closesAfter ?? null,
        selfKill: ending.selfKill ?? null,
        roomIsScarce: false,
        known: model.known,
      }
      model.begins(life)
      const end = await lives.live(plan, ending.moment ?? null, (report) => model.take(report))
      if (end.wasKilled) kills += 1
      else closes += 1
      const what = end.wasKilled ? ending.name : 'not at all'
      killsWhile[what] = (killsWhile[what] ?? 0) + 1
      openMs += ((end.openMs ?? openMs) - openMs) / 8
    }
  } finally {
    await lives.end()
  }
  const records = await checkWhole(directory, model)
  const { acknowledgedCount: acknowledged, tornCount: torn } = model
  const durationMs = performance.now() - startedAt
  return { kills, killsWhile, closes, acknowledged, torn, records, durationMs }
}

function orderly(random: SeededRandom): LifeEnding {
  return { name: 'closing', closesAfter: 1 + random.below(200) }
}

/** Moments that a clock finds, and calls that it would hardly ever meet. */
function randomEnding(random: SeededRandom, openMs: number): LifeEnding {
  const soon = random.oneOf(0, 0, random.fraction() * 2, random.fraction() * 10)
  const closesAfter = 1 + random.below(150)
  const afterStart = { at: 'started', nth: 1, delayMs: random.fraction() * openMs * 1.1 } as const
  const atRecord = { at: 'acknowledged', nth: 1 + random.below(300), delayMs: soon } as const
  const atCreation = { at: 'creating', nth: 1 + random.below(3), delayMs: soon } as const
  const atDeletion = { at: 'deleting', nth: 1, delayMs: soon } as const
  const atClose = { at: 'closing', nth: 1, delayMs: soon } as const
  return random.oneOf<LifeEnding>(
    { name: 'opening', moment: afterStart },
    { name: 'opening', moment: afterStart },
    { name: 'opening, at a call', selfKill: { stage: 'opening', calls: random.below(120) } },
    { name: 'opening, at a call', selfKill: { stage: 'opening', calls: random.below(120) } },
    { name: 'working', moment: atRecord },
    { name: 'working', moment: atRecord },
    { name: 'working', moment: atRecord },
    { name: 'working', moment: atRecord },
    { name: 'working', moment: atRecord },
    { name: 'working, at a call', selfKill: { stage: 'working', calls: random.below(300) } },
    { name: 'working, at a call', selfKill: { stage: 'working', calls: random.below(300) } },
    { name: 'changing topics', moment: atCreation },
    { name: 'changing topics', moment: atDeletion },
    {
      name: 'changing topics, at a call',
      selfKill: { stage: 'changing topics', calls: random.below(200) },
    },
    {
      name: 'changing topics, at a call',
      selfKill: { stage: 'changing topics', calls: random.below(200) },
    },
    { name: 'closing', closesAfter, moment: atClose },
    {
      name: 'closing, at a call',
      closesAfter,
      selfKill: { stage: 'closing', calls: random.below(60) },
    },
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
export function readInto(model: CrashModel, log: EventLog, life: number): void {
  const topics = log.topics().map(({ name, partitions }) => [name, partitions] as const)
  model.begins(life)
  model.take({
    is: 'opened',
    clean: log.recovery.clean,
    cuts: [],
    topics: Object.fromEntries(topics),
    damage: log.recovery.partitions.flatMap(({ damage }) => damage).length,
  })
  const { known } = model
  for (const [topic, partitions] of topics) {
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

function checkContents(log: EventLog, model: CrashModel): number {
  let records = 0
  const left = new Map(model.contents)
  for (const topic of log.topics()) {
    for (const partition of topic.partitions) {
      const name = partitionName(topic.name, partition.index)
      checkPartition(partition, left.get(name) ?? [])
      left.delete(name)
      records += partition.logEndOffset
    }
  }
  if (left.size > 0) throw new Error(`not there any more: ${[...left.keys()].join(', ')}`)
  return records
}

/** From first to last, and some of them as the indexes find them. */
function checkPartition(partition: Partition, sequences: readonly number[]): void {
  const where = `${partition.topic}-${partition.index}`
  let count = 0
  for (const record of partition.records()) {
    const sequence = checkedSequence(record)
    if (record.offset !== count || sequence !== sequences[count]) {
      throw new Error(
        `${where}: ${sequence} at ${record.offset}, not ${sequences[count]} at ${count}`,
      )
    }
    count += 1
  }
  if (count !== sequences.length || partition.logEndOffset !== count) {
    throw new Error(`${where}: ${count} records, not ${sequences.length}`)
  }
  for (let offset = 0; offset < count; offset += 97) {
    const sequence = sequences[offset] ?? 0
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
