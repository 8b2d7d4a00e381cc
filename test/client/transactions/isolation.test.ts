/**
 * Isolation, with the checker of anomalies: random histories of transactions that overlap, and
 * plain appends between them, over segments so small that they roll all the time; beside them
 * readers of both isolations in every way there is: live and not, of partitions and topics, from
 * the start and from the middle, members of groups. No reader sees what is no prefix, a part of a
 * transaction, or anything of one that is open or was aborted.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog, Isolation, LogRecord, OpenTransaction, Topic } from '../../../src/index.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { TestClock } from '../../../src/testing/manual-clock.ts'
import {
  IsolationChecker,
  type Anomaly,
  type NotedReader,
  type NotedTransaction,
} from '../../support/isolation-checker.ts'
import { runSeed, SeededRandom } from '../../support/seeded-random.ts'

const HISTORIES = 25
const STEPS = 120
const PARTITIONS = 2
const PRODUCERS = 3
const ISOLATIONS: readonly Isolation[] = ['read_committed', 'read_uncommitted']

interface Open {
  readonly noted: NotedTransaction
  readonly handle: OpenTransaction
}

/** One history over one disk. */
class IsolationHistory {
  readonly checker = new IsolationChecker()
  readonly #random: SeededRandom
  readonly #clock = new TestClock()
  readonly #disk: FaultDisk
  readonly #open = new Map<number, Open>()
  /** Loops of readers; they end with the log. */
  #loops: Promise<void>[] = []
  #live: NotedReader[] = []
  #written = 0
  #readers = 0
  #log: EventLog | undefined

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#disk = new FaultDisk({ seed, clock: this.#clock })
  }

  get #topic(): Topic {
    if (this.#log === undefined) throw new Error('no log is open')
    return this.#log.topic('t')
  }

  /** What readers saw that they may not see. */
  async play(): Promise<readonly Anomaly[]> {
    this.#log = await this.#disk.open({ clock: this.#clock })
    await this.#log.createTopic('t', { partitions: PARTITIONS, segmentBytes: 1_024 })
    await this.#steps()
    await this.#reopen()
    await this.#steps()
    const wrong = await this.#end()
    await this.#disk.kill()
    return wrong
  }

  /** Everything that live readers of this log are to see. */
  get seen(): number {
    return this.#live.reduce((sum, { seen }) => {
      return sum + [...seen.values()].reduce((count, records) => count + records.length, 0)
    }, 0)
  }

  async #steps(): Promise<void> {
    const log = this.#log
    if (log === undefined) return
    const producers = Array.from({ length: PRODUCERS }, () => log.producer({ batchBytes: 200 }))
    for (let left = STEPS; left > 0; left--) {
      const who = this.#random.below(PRODUCERS)
      const open = this.#open.get(who)
      const kind = this.#random.below(12)
      if (kind === 0) await this.#follow()
      else if (kind === 1) await this.#snapshot()
      else if (kind === 2) this.#append()
      else if (open === undefined) {
        const handle = await producers[who]?.begin()
        if (handle !== undefined) this.#open.set(who, { noted: this.checker.begin(), handle })
      } else if (kind < 9) await this.#send(open)
      else {
        this.#open.delete(who)
        await this.#finish(open, this.#random.below(3) > 0)
      }
      if (this.#random.below(3) === 0) await this.#clock.settle()
    }
  }

  async #send({ noted, handle }: Open): Promise<void> {
    const partition = this.#random.below(PARTITIONS)
    const values = Array.from({ length: 1 + this.#random.below(4) }, () => `${this.#written++}`)
    const sent = values.map(async (value) => {
      const { offset } = await handle.send({ topic: 't', partition, value })
      this.checker.wrote(`${partition}`, offset, value, noted)
    })
    await Promise.all(sent)
  }

  #append(): void {
    const partition = this.#random.below(PARTITIONS)
    const value = `${this.#written++}`
    const { baseOffset } = this.#topic.partition(partition).append([{ value }])
    this.checker.wrote(`${partition}`, baseOffset, value)
  }

  async #finish({ noted, handle }: Open, commits: boolean): Promise<void> {
    noted.outcome = commits ? 'ending' : 'aborted'
    await (commits ? handle.commit() : handle.abort())
    noted.outcome = commits ? 'committed' : 'aborted'
  }

  #reader(isolation: Isolation, from?: ReadonlyMap<string, number>): NotedReader {
    return this.checker.reader(`reader ${this.#readers++}, ${isolation}`, isolation, from)
  }

  #take(reader: NotedReader, { partition, offset, value }: LogRecord): void {
    this.checker.saw(reader, `${partition}`, offset, String(value))
  }

  /** A live reader of a partition, of the topic, or a member of a group of its own. */
  async #follow(): Promise<void> {
    const log = this.#log
    if (this.#live.length >= 8 || log === undefined) return
    const isolation = this.#random.oneOf(...(ISOLATIONS as [Isolation, Isolation])) // It has two.
    const kind = this.#random.below(3)
    if (kind === 0) {
      const { partition, from } = this.#anywhere()
      const reader = this.#reader(isolation, new Map([[`${partition}`, from]]))
      const visibility = this.#random.oneOf('written', 'durable')
      const read = this.#topic
        .partition(partition)
        .read({ from, live: true, isolation, visibility })
      this.#loop(reader, read)
      if (visibility === 'durable') this.#live.pop() // It may have to wait for a sync.
    } else if (kind === 1) {
      const reader = this.#reader(isolation)
      this.#loop(reader, this.#topic.read({ live: true, isolation }))
    } else {
      const reader = this.#reader(isolation)
      const group = log.consumerGroup(`group ${this.#readers}`, { topics: ['t'], isolation })
      this.#loop(reader, await group.join())
    }
  }

  #loop(reader: NotedReader, records: AsyncIterable<LogRecord>): void {
    this.#live.push(reader)
    const loop = async (): Promise<void> => {
      for await (const record of records) this.#take(reader, record)
    }
    this.#loops.push(loop())
  }

  /** A read of what is there now, in one go. */
  async #snapshot(): Promise<void> {
    const isolation = this.#random.oneOf(...(ISOLATIONS as [Isolation, Isolation])) // It has two.
    const { partition, from } = this.#anywhere()
    const reader = this.#reader(isolation, new Map([[`${partition}`, from]]))
    const handle = this.#topic.partition(partition)
    if (this.#random.below(2) === 0) {
      for (const record of handle.records({ from, isolation })) this.#take(reader, record)
      return
    }
    for await (const record of handle.read({ from, isolation })) this.#take(reader, record)
  }

  #anywhere(): { readonly partition: number; readonly from: number } {
    const partition = this.#random.below(PARTITIONS)
    const { logEndOffset } = this.#topic.partition(partition)
    return { partition, from: this.#random.oneOf(0, this.#random.below(logEndOffset + 1)) }
  }

  /** What is open is aborted; who read is gone. */
  async #reopen(): Promise<void> {
    for (const { noted } of this.#open.values()) noted.outcome = 'aborted'
    this.#open.clear()
    await this.#log?.close()
    await Promise.all(this.#loops)
    this.#loops = []
    this.#live = []
    this.#log = await this.#disk.open({ clock: this.#clock })
  }

  /** All is ended, and live readers get to the end. */
  async #end(): Promise<readonly Anomaly[]> {
    for (const open of this.#open.values()) await this.#finish(open, true)
    await this.#clock.advance(1_000)
    const ends = new Map<string, number>()
    for (const { index, logEndOffset, lastStableOffset } of this.#topic.partitions) {
      if (lastStableOffset !== logEndOffset) throw new Error(`stable up to ${lastStableOffset}`)
      ends.set(`${index}`, logEndOffset)
    }
    const live = new Set(this.#live.map(({ name }) => name))
    const wrong = this.checker
      .anomalies(ends)
      .filter(({ kind, reader }) => kind !== 'missing' || live.has(reader))
    await this.#log?.close()
    await Promise.all(this.#loops)
    return wrong
  }
}

describe('readers beside transactions', () => {
  it(`see no anomaly, in ${HISTORIES} histories from seed ${runSeed} on`, async () => {
    let seen = 0
    for (let seed = runSeed; seed < runSeed + HISTORIES; seed += 1) {
      const history = new IsolationHistory(seed)
      const wrong = await history.play().catch((error: unknown) => {
        throw new Error(`STREAMBED_SEED=${seed}: ${String(error)}`, { cause: error })
      })
      expect(wrong, `STREAMBED_SEED=${seed}`).toEqual([])
      seen += history.seen
    }
    expect(seen).toBeGreaterThan(HISTORIES * 100)
  }, 120_000)
})
