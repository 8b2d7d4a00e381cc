/**
 * streambed spread out: logs of many topics, of many partitions, and what is asked of them. The
 * work of a case is the same for all sizes; so whatever it costs more with many is the price of
 * their number, not of the records.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type * as Package from '../../dist/index.js'
import { mustEqual } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { loadStreambed } from './streambed.ts'

/** How many topics there are, and how many partitions each of them has. */
export interface Spread {
  readonly topicCount: number
  readonly partitionCount: number
}

/** Records that each partition of a store holds, in one batch. */
export const STORED_RECORDS = 10
const VALUE: Buffer = Buffer.alloc(100, 1)
const BATCH: readonly Package.RecordInput[] = Array.from({ length: STORED_RECORDS }, () => ({
  value: VALUE,
}))
const PROGRAM = fileURLToPath(new URL('../crashed-writer.js', import.meta.url))

/** An open log, its partitions in one list. */
export class SpreadLog {
  readonly log: Package.EventLog
  readonly topics: readonly Package.Topic[]
  readonly partitions: readonly Package.Partition[]
  /** Where each partition ended when it was opened. */
  readonly #ends: readonly number[]

  private constructor(log: Package.EventLog, topics: readonly Package.Topic[]) {
    this.log = log
    this.topics = topics
    this.partitions = topics.flatMap((topic) => topic.partitions)
    this.#ends = this.partitions.map(({ logEndOffset }) => logEndOffset)
  }

  /** Opens the log in `directory` and makes its topics, all at once. */
  static async create(directory: string, spread: Spread): Promise<SpreadLog> {
    const log = await openQuietly(directory)
    return new SpreadLog(log, await createTopics(log, spread))
  }

  /** Opens the log in `directory`, which has its topics. */
  static async open(directory: string): Promise<SpreadLog> {
    const log = await openQuietly(directory)
    return new SpreadLog(log, log.topics())
  }

  /** The partition that is number `index` modulo their number. */
  inTurn(index: number): Package.Partition {
    const partition = this.partitions[index % this.partitions.length]
    if (partition === undefined) throw new RangeError('partitions are numbered from 0')
    return partition
  }

  /** Throws unless all partitions together hold so many records. */
  check(recordCount: number): void {
    let visited = 0
    for (const partition of this.partitions) {
      visited += partition.scan(() => undefined)
    }
    mustEqual(visited, recordCount, 'records in all partitions')
  }

  /** Throws unless so many records have been appended since it was opened, and can be read. */
  checkAppended(recordCount: number): void {
    let visited = 0
    for (const [index, partition] of this.partitions.entries()) {
      const from = this.#ends[index] ?? 0
      if (partition.logEndOffset > from) visited += partition.scan(() => undefined, { from })
    }
    mustEqual(visited, recordCount, 'records appended to all partitions')
  }

  close(): Promise<void> {
    return this.log.close()
  }
}

/** Topics of an open log that has none. */
export async function createTopics(
  log: Package.EventLog,
  { topicCount, partitionCount }: Spread,
): Promise<readonly Package.Topic[]> {
  const names = Array.from({ length: topicCount }, (_, index) => `bench-${index}`)
  return Promise.all(names.map((name) => log.createTopic(name, { partitions: partitionCount })))
}

/** A log with one batch in each partition, closed cleanly. */
export function spreadStore(spread: Spread): Store {
  return {
    name: `streambed-spread-${spread.topicCount}-${spread.partitionCount}`,
    async fill(directory) {
      const made = await SpreadLog.create(directory, spread)
      for (const partition of made.partitions) partition.append(BATCH)
      await made.close()
    },
  }
}

/** A copy of a store, beside it: what is measured changes files. */
export function copyOf(store: string): string {
  const directory = mkdtempSync(join(dirname(store), 'copy-'))
  cpSync(store, directory, { recursive: true })
  return directory
}

/** Opens an empty log and closes it: what the first log of a process loads is loaded then. */
export async function openAnother(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-bench-empty-'))
  const log = await openQuietly(directory)
  await log.createTopic('bench')
  await log.close()
  rmSync(directory, { recursive: true })
}

/** What a process does before it is killed. */
export interface CrashErrand {
  readonly contestant: 'streambed' | 'spread' | 'sqlite' | 'lmdb'
  readonly directory: string
  /** Size of the values it appends; nothing of it is synced on purpose. */
  readonly valueBytes: number
  /** The records that are there, and how many more it appends. */
  readonly fromRecord: number
  readonly recordCount: number
}

/** Resolves when a process has opened a store, appended to it and been killed by SIGKILL. */
export async function crashedWriter(errand: CrashErrand): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(errand)], { stdio: 'inherit' })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve()
      else reject(new Error(`a writer to be killed ended by ${code}`))
    })
  })
}

async function openQuietly(directory: string): Promise<Package.EventLog> {
  const { EventLog } = await loadStreambed()
  return EventLog.open(directory, { housekeepingIntervalMs: null, onWarning: () => undefined })
}
