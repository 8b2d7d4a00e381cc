/**
 * LiveReader: follows all topics of a log, as a reader of the readers' campaign does, and notes
 * each record that it is given (live-events.ts). It goes on where its notes end, whichever log,
 * process or thread it is in.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { LogError, type EventLog, type LogRecord, type Table, type Topic } from '../../src/index.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { EventFile, nowMs, readEvents, type ReaderNote } from './live-events.ts'
import { foldRecord, identityOf, lastKey, nameOf, type Place } from './live-records.ts'

/** How a reader reads. */
export interface ReaderPlan {
  readonly name: string
  readonly directory: string
  readonly notes: string
  readonly seed: number
  readonly isolation: 'read_uncommitted' | 'read_committed'
  readonly visibility: 'written' | 'durable'
  /** A live read of each partition; one of all that a topic has; one after the other to its end. */
  readonly how: 'partitions' | 'topics' | 'ranges'
  /** Blocks now and then. */
  readonly isSlow: boolean
  /** Has a table of the compacted topic. */
  readonly hasTable: boolean
}

const LOOK_MS = 10
const NOTED_RUNS = 100
const BLOCKED_MS = 150
/** Records that come together have one time. */
const SAME_MS = 1
const WAIT: Int32Array = new Int32Array(new SharedArrayBuffer(4))

/** What was seen of a partition and is not noted yet. */
interface PendingRuns {
  readonly place: Place
  readonly runs: [offset: number, seq: number, count: number, atMs: number][]
  /** When the first record of the last run was seen. */
  sinceMs: number
}

/** See the file's header. */
export class LiveReader {
  readonly #plan: ReaderPlan
  readonly #notes: EventFile<ReaderNote>
  readonly #random: SeededRandom
  /** By partition, where it goes on. */
  readonly #positions = new Map<string, number>()
  readonly #pending = new Map<string, PendingRuns>()
  #pendingRuns = 0
  #table: { readonly topic: Topic; readonly table: Table<Buffer | null, Buffer> } | undefined
  /** Partitions that a loop reads, or that are gone. */
  readonly #followed = new Set<string>()
  readonly #loops = new Set<Promise<void>>()
  #targets: ReadonlyMap<string, number> | undefined
  #hasFailed = false

  constructor(plan: ReaderPlan) {
    this.#plan = plan
    this.#random = new SeededRandom(plan.seed)
    for (const note of readEvents<ReaderNote>(plan.notes)) {
      if (note.what !== 'saw') continue
      for (const [offset, , count] of note.runs) this.#positions.set(nameOf(note), offset + count)
    }
    this.#notes = new EventFile(plan.notes)
    this.#notes.tell({ what: 'began', pid: process.pid })
  }

  /** From now on it has to come to these offsets. */
  finish(targets: ReadonlyMap<string, number>): void {
    this.#targets = targets
  }

  /** Whether it has come to all that `finish` named. */
  get hasFinished(): boolean {
    if (this.#targets === undefined) return false
    for (const [name, offset] of this.#targets) {
      if ((this.#positions.get(name) ?? 0) <= offset) return false
    }
    return true
  }

  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Whether there was a log with anything in it. */
  get hasSeenAny(): boolean {
    return this.#positions.size > 0
  }

  /** Reads until it has finished, `isOver` says so, or the log closes. */
  async follow(log: EventLog, isOver: () => boolean = () => false): Promise<void> {
    this.#followed.clear()
    while (!this.hasFinished && !isOver() && !this.#hasFailed) {
      try {
        for (const topic of log.topics()) {
          this.#followTopic(topic, isOver)
          if (this.#plan.hasTable && topic.config.cleanupPolicy === 'compact')
            this.#table ??= { topic, table: await topic.table() }
        }
      } catch (error) {
        if (LogError.is(error, 'CLOSED')) break
        this.#fail('topics', error)
      }
      this.#flush()
      await delay(LOOK_MS)
    }
    this.#flush()
  }

  /** Tells what the table of the compacted topic has, when it has come to the last records. */
  async tellTable(): Promise<void> {
    const { topic, table } = this.#table ?? {}
    if (topic === undefined || table === undefined) return
    for (const { index: partition } of topic.partitions) {
      while (!table.has(Buffer.from(lastKey({ id: topic.id, partition })))) await delay(LOOK_MS)
    }
    const keys: string[] = []
    for (const [key, value] of table) {
      const name = String(key)
      if (!name.startsWith('last-')) keys.push(`${name}=${Number.parseInt(String(value), 10)}`)
    }
    this.#notes.tell({ what: 'table', id: topic.id, keys })
    await table.close()
  }

  /** Once its log has closed: nothing of it goes on. */
  async haveEnded(): Promise<void> {
    await Promise.all(this.#loops)
    this.#flush()
  }

  /** Tells the checksum of all that is left in each partition that `finish` named. */
  tellSums(log: EventLog): void {
    for (const topic of log.topics()) {
      for (const partition of topic.partitions) {
        const place = { id: topic.id, partition: partition.index }
        if (this.#targets?.has(nameOf(place)) !== true) continue
        let sum = 0
        try {
          const { isolation } = this.#plan
          for (const record of partition.records({ isolation })) sum = foldRecord(sum, record)
          this.#notes.tell({ what: 'sum', ...place, sum })
        } catch (error) {
          this.#fail(`sum of ${nameOf(place)}`, error)
        }
      }
    }
  }

  tellOver(): void {
    this.#flush()
    this.#notes.tell({ what: 'over' })
  }

  tellFailure(where: string, error: unknown): void {
    this.#fail(where, error)
  }

  #followTopic(topic: Topic, isOver: () => boolean): void {
    const { id } = topic
    const news = topic.partitions
      .map((partition) => ({ id, partition: partition.index }))
      .filter((place) => !this.#followed.has(nameOf(place)))
    if (news.length === 0) return
    for (const place of news) this.#followed.add(nameOf(place))
    const groups = this.#plan.how === 'topics' ? [news] : news.map((place) => [place])
    for (const group of groups) {
      const loop = this.#read(topic, group, isOver).finally(() => this.#loops.delete(loop))
      this.#loops.add(loop)
    }
  }

  /** Until the log closes, or the topic is gone. */
  async #read(topic: Topic, places: readonly Place[], isOver: () => boolean): Promise<void> {
    for (;;) {
      try {
        if (this.#plan.how === 'topics') await this.#readTopic(topic, places)
        else if (this.#plan.how === 'partitions') await this.#readLive(topic, places[0])
        else await this.#readRanges(topic, places[0], isOver)
        return
      } catch (error) {
        const name = places.map((place) => nameOf(place)).join()
        if (LogError.is(error, 'CLOSED')) return
        if (LogError.is(error, 'TOPIC_NOT_FOUND')) {
          this.#flush()
          for (const place of places) this.#notes.tell({ what: 'gone', ...place })
          return
        }
        if (!this.#goesOn(topic.id, error)) return this.#fail(name, error)
      }
    }
  }

  /** Where it wanted to go on was removed while it did not look. */
  #goesOn(id: string, error: unknown): boolean {
    if (!LogError.is(error, 'OFFSET_OUT_OF_RANGE')) return false
    const { partition, offset, logStartOffset } = error.details
    if (offset >= logStartOffset) return false
    const place = { id, partition }
    this.#flush()
    this.#notes.tell({ what: 'removed', ...place, offset, start: logStartOffset })
    this.#positions.set(nameOf(place), logStartOffset)
    return true
  }

  async #readTopic(topic: Topic, places: readonly Place[]): Promise<void> {
    const { isolation, visibility } = this.#plan
    const partitions = places.map(({ partition }) => partition)
    const offsets = places.flatMap((place) => {
      const offset = this.#positions.get(nameOf(place))
      return offset === undefined ? [] : [{ partition: place.partition, offset }]
    })
    const from = { offsets }
    const read = topic.read({ live: true, partitions, from, isolation, visibility })
    for await (const record of read)
      this.#take({ id: topic.id, partition: record.partition }, record)
  }

  async #readLive(topic: Topic, place: Place | undefined): Promise<void> {
    if (place === undefined) return
    const { isolation, visibility } = this.#plan
    const from = this.#positions.get(nameOf(place)) ?? 'earliest'
    const partition = topic.partition(place.partition)
    const read = partition.read({ live: true, from, isolation, visibility })
    for await (const record of read) this.#take(place, record)
  }

  async #readRanges(topic: Topic, place: Place | undefined, isOver: () => boolean): Promise<void> {
    if (place === undefined) return
    const { isolation, visibility } = this.#plan
    const partition = topic.partition(place.partition)
    while (!isOver()) {
      const from = this.#positions.get(nameOf(place)) ?? 'earliest'
      let last: LogRecord | undefined
      for (const record of partition.records({ from, isolation, visibility })) {
        this.#take(place, record)
        last = record
        if (isOver()) break
      }
      if (last !== undefined && this.#random.below(4) === 0) this.#lookAgain(topic, place, last)
      await delay(this.#random.below(30))
    }
  }

  /** One that it was given is there by its offset. */
  #lookAgain(topic: Topic, place: Place, { offset }: LogRecord): void {
    try {
      const again = topic.partition(place.partition).get(offset)
      if (again === undefined) {
        // Compaction may have taken it.
        if (topic.config.cleanupPolicy === 'delete')
          this.#notes.tell({ what: 'failed', message: `${nameOf(place)}@${offset} is not there` })
        return
      }
      const identity = identityOf(place, again)
      if (typeof identity === 'string') this.#notes.tell({ what: 'torn', message: identity })
    } catch (error) {
      if (!LogError.is(error, 'OFFSET_OUT_OF_RANGE')) throw error
      if (error.details.offset >= error.details.logStartOffset) throw error
    }
  }

  #take(place: Place, record: LogRecord): void {
    const identity = identityOf(place, record)
    if (typeof identity === 'string') {
      this.#notes.tell({ what: 'torn', message: identity })
      return
    }
    const { offset } = record
    this.#positions.set(nameOf(place), offset + 1)
    this.#note(place, offset, identity.seq)
    if (this.#plan.isSlow && this.#random.below(300) === 0) {
      this.#flush()
      Atomics.wait(WAIT, 0, 0, this.#random.below(BLOCKED_MS))
    }
  }

  #note(place: Place, offset: number, seq: number): void {
    const name = nameOf(place)
    const pending = this.#pending.get(name) ?? { place, runs: [], sinceMs: 0 }
    this.#pending.set(name, pending)
    const atMs = nowMs()
    const run = pending.runs.at(-1)
    if (
      run !== undefined &&
      run[0] + run[2] === offset &&
      run[1] + run[2] === seq &&
      atMs - pending.sinceMs < SAME_MS
    ) {
      run[2] += 1
      run[3] = atMs
      return
    }
    pending.sinceMs = atMs
    pending.runs.push([offset, seq, 1, atMs])
    this.#pendingRuns += 1
    if (this.#pendingRuns > NOTED_RUNS) this.#flush()
  }

  #flush(): void {
    for (const { place, runs } of this.#pending.values()) {
      this.#notes.tell({ what: 'saw', id: place.id, partition: place.partition, runs })
    }
    this.#pending.clear()
    this.#pendingRuns = 0
  }

  #fail(where: string, error: unknown): void {
    this.#hasFailed = true
    this.#flush()
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const details = LogError.is(error) ? JSON.stringify(error.details) : ''
    this.#notes.tell({ what: 'failed', message: `${where}: ${message} ${details}` })
  }
}
