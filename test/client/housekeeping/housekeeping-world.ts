/**
 * The world of the model of housekeeping: a log on a simulated disk, a compacted topic and one that
 * retention applies to, transactions on both, a group whose position holds deletion back, readers
 * that stand in the middle while segments go. What was written is in partition-book.ts.
 */
import { LogError } from '../../../src/errors/log-error.ts'
import type { EventLog, LogWarning, OpenTransaction, Partition } from '../../../src/index.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { TestClock } from '../../../src/testing/manual-clock.ts'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { must } from '../transactions/transaction-book.ts'
import { ModelReader } from './model-reader.ts'
import { COMMITTED, PartitionBook, type BookedFate, type GoneTally } from './partition-book.ts'

/** What histories were made of, so that one that tests nothing is seen to. */
export interface Tally extends GoneTally {
  steps: number
  records: number
  transactions: number
  runs: number
  cleanings: number
  segments: number
  failedRuns: number
  stopped: number
  closed: number
  killed: number
  powerCuts: number
  read: number
}

/** What is written in one go. */
export interface Written {
  readonly key: string | null
  readonly value: string | null
}

interface RunningTransaction {
  readonly handle: OpenTransaction
  readonly fate: BookedFate
  readonly topic: string
}

export const COMPACTED = 'state'
export const EXPIRING = 'events'
export const TOPICS: readonly [string, string] = [COMPACTED, EXPIRING]
export const GROUP = 'billing'
const SEGMENT_BYTES = 1_024
const MAX_READERS = 3

/** See the file's header. */
export class HousekeepingWorld {
  readonly random: SeededRandom
  readonly tally: Tally
  readonly clock: TestClock = new TestClock()
  readonly disk: FaultDisk
  readonly books: ReadonlyMap<string, PartitionBook>
  readonly readers: ModelReader[] = []
  /** Positions of the group, each on stable storage before the next. */
  position: number | undefined
  transaction: RunningTransaction | undefined
  /** Offsets below are on stable storage, by topic. */
  readonly durable: Map<string, number> = new Map()
  warnings: LogWarning[] = []
  #log: EventLog | undefined
  #stops = 0

  constructor(seed: number, random: SeededRandom, tally: Tally) {
    this.random = random
    this.tally = tally
    this.disk = new FaultDisk({ seed, clock: this.clock })
    const rulesOf = (compacts: boolean): PartitionBook['rules'] => ({
      compacts,
      deleteRetentionMs: random.oneOf(0, 0, 5_000, 60_000),
      minCompactionLagMs: compacts ? random.oneOf(0, 0, 3_000) : 0,
      retentionMs: compacts ? -1 : random.oneOf(-1, 10_000),
      retentionBytes: compacts ? -1 : random.oneOf(-1, 3_000),
    })
    this.books = new Map(
      TOPICS.map((topic) => [topic, new PartitionBook(rulesOf(topic === COMPACTED), tally)]),
    )
  }

  /** Opens the log, and makes its topics. */
  async begin(): Promise<void> {
    await this.#open()
    const { random } = this
    for (const [topic, { rules }] of this.books) {
      await this.log.createTopic(topic, {
        cleanupPolicy: rules.compacts ? 'compact' : 'delete',
        segmentBytes: SEGMENT_BYTES,
        minCleanableDirtyRatio: random.oneOf(0, 0.5),
        deleteRetentionMs: rules.deleteRetentionMs,
        minCompactionLagMs: rules.minCompactionLagMs,
        retentionMs: rules.retentionMs,
        retentionBytes: rules.retentionBytes,
        fileDeleteDelayMs: random.oneOf(0, 10_000),
        preallocate: false,
        indexIntervalBytes: random.oneOf(0, 200),
        ...(topic === EXPIRING && random.below(2) === 0 ? { retainUntilConsumed: [GROUP] } : {}),
      })
    }
    const { retainUntilConsumed } = this.log.topic(EXPIRING).config
    if (retainUntilConsumed.length > 0) this.bookOf(EXPIRING).consumedBefore = 0
  }

  get log(): EventLog {
    must(this.#log !== undefined, () => 'the log is not open')
    return this.#log
  }

  get nowMs(): number {
    return this.clock.now()
  }

  /** Its process was stopped in a call. */
  get isStopped(): boolean {
    return this.disk.faults.counts.stop > this.#stops
  }

  bookOf(topic: string): PartitionBook {
    const book = this.books.get(topic)
    must(book !== undefined, () => `there is no ${topic}`)
    return book
  }

  partition(topic: string): Partition {
    return this.log.topic(topic).partition(0)
  }

  /** Appends one batch to the page cache. */
  append(topic: string, records: readonly Written[]): void {
    const { baseOffset, timestamp } = this.partition(topic).append(records)
    for (const [at, { key, value }] of records.entries()) {
      const booked = { offset: baseOffset + at, key, value, timestamp, fate: COMMITTED }
      this.bookOf(topic).wrote(booked)
    }
    this.tally.records += records.length
  }

  /** Everything that was written is on stable storage then. */
  async flush(): Promise<void> {
    const ends = TOPICS.map((topic) => [topic, this.partition(topic).logEndOffset] as const)
    await this.log.flush()
    for (const [topic, end] of ends) this.durable.set(topic, end)
  }

  read(): void {
    if (this.readers.length >= MAX_READERS) return
    const topic = this.random.oneOf(...TOPICS)
    this.readers.push(new ModelReader(this, topic))
  }

  /** What must be true between steps. */
  check(): void {
    for (const topic of TOPICS) {
      try {
        this.bookOf(topic).check(this.partition(topic), this.disk, this.nowMs)
      } catch (error) {
        throw new Error(`${topic}: ${String(error)}`, { cause: error })
      }
    }
    const [found] = this.log.consumerGroup(GROUP, { topics: [EXPIRING] }).offsets()
    must(
      (found?.offset ?? 0) === (this.position ?? 0),
      () => `${GROUP} is at ${found?.offset}, not at ${this.position}`,
    )
  }

  /** The process ends, as `how` says, and another one opens the log. */
  async reopen(how: 'close' | 'kill' | 'power cut'): Promise<void> {
    if (how === 'close') {
      await this.log.close()
      this.tally.closed += 1
    } else if (how === 'kill') {
      this.tally.killed += 1
      await this.disk.kill()
    } else {
      this.tally.powerCuts += 1
      await this.disk.crash()
    }
    await this.#start(how !== 'power cut')
  }

  /** After its process was stopped in a call: its power may have gone with it. */
  async restart(): Promise<void> {
    this.tally.stopped += 1
    const keepsAll = await this.#endStopped()
    await this.#start(keepsAll)
  }

  async #endStopped(): Promise<boolean> {
    this.disk.faults.clear()
    const keepsAll = this.random.below(2) === 0
    if (keepsAll) await this.disk.kill()
    else await this.disk.crash()
    this.#stops = this.disk.faults.counts.stop
    return keepsAll
  }

  async #start(keptAll: boolean): Promise<void> {
    this.readers.length = 0
    if (this.transaction !== undefined) this.transaction.fate.outcome = 'aborted'
    this.transaction = undefined
    this.disk.faults.clear()
    // The next start may be stopped as well.
    if (this.random.below(4) === 0) {
      this.disk.faults.inject({ fault: 'stop', nth: 1 + this.random.below(60) })
    }
    const keepsAll = (await this.#open()) && keptAll
    this.disk.faults.clear()
    for (const topic of TOPICS) this.#reopened(topic, keepsAll)
    this.check()
  }

  #reopened(topic: string, keepsAll: boolean): void {
    const { logEndOffset } = this.partition(topic)
    const book = this.bookOf(topic)
    const written = Math.max(-1, ...book.records.keys()) + 1
    const least = keepsAll ? written : (this.durable.get(topic) ?? 0)
    must(logEndOffset >= least, () => `${topic} ends at ${logEndOffset}, below ${least}`)
    // Markers of what was open may follow what was left.
    const shown = Array.from(this.partition(topic).records(), ({ offset }) => offset)
    book.reopened(keepsAll ? logEndOffset : Math.max(least, (shown.at(-1) ?? -1) + 1))
    this.durable.set(topic, logEndOffset) // Recovery ends with a sync.
  }

  /** Opens the log, however often that is stopped; whether the power stayed. */
  async #open(): Promise<boolean> {
    let keepsAll = true
    for (;;) {
      try {
        this.#log = await this.disk.open({
          clock: this.clock,
          housekeepingIntervalMs: null,
          cleanerBufferBytes: this.random.oneOf(65_536, 1_048_576),
          onWarning: (warning) => this.warnings.push(warning),
        })
        this.#mustBeSound()
        // What an open leaves to the background may be what is stopped.
        if (!this.isStopped) return keepsAll
      } catch (error) {
        if (!this.isStopped) throw error
      }
      keepsAll = (await this.#endStopped()) && keepsAll
    }
  }

  /** No fault that the model injects damages what was stored. */
  #mustBeSound(): void {
    const damage = this.log.recovery.partitions.flatMap((partition) => partition.damage)
    must(damage.length === 0, () => `damage: ${JSON.stringify(damage)}`)
  }

  /** On a disk that works nothing is left half done. */
  async end(): Promise<void> {
    this.disk.faults.clear()
    await this.reopen('close')
    await this.log.runHousekeeping({ force: true })
    this.check()
    await this.log.close()
    const left = this.disk.files().filter((path) => /\.(cleaned|swap)$/.test(path))
    must(left.length === 0, () => `left: ${left.join()}`)
  }

  /** Nothing else than what was injected may have failed. */
  mayFail(error: unknown): void {
    if (this.isStopped) return
    if (!LogError.is(error)) throw error
  }
}
