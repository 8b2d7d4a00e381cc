/**
 * The world of the model of transactions: a log on a simulated disk, whose flushes may be held, its
 * producers, readers of both isolations and a group that moves records from one topic to another;
 * and what must be true of all of them after each step. What was sent and what became of it is in
 * transaction-book.ts.
 */
import { LogError, type LogErrorCode } from '../../../src/errors/log-error.ts'
import type { EventLog, Partition, TopicPartitionOffset } from '../../../src/index.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { TestClock } from '../../../src/testing/manual-clock.ts'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { ModelProducer } from './model-producer.ts'
import type { ModelReader } from './model-reader.ts'
import { RecordMover } from './record-mover.ts'
import {
  GIVEN_GROUP,
  must,
  placeOf,
  TransactionBook,
  type BookedTransaction,
  type Shown,
} from './transaction-book.ts'

/** Topics that anybody writes to, and how many partitions each has. */
const TOPICS: readonly (readonly [name: string, partitions: number])[] = [
  ['a', 2],
  ['b', 2],
  ['out', 2],
]
/** What the steps may ask to wait for. */
const NEVER_RESTS_MS = 120_000

/** What histories were made of, so that one that tests nothing is seen to. */
export interface Tally {
  steps: number
  transactions: number
  committed: number
  aborted: number
  unknown: number
  unknownCommitted: number
  timedOut: number
  fenced: number
  records: number
  plain: number
  moved: number
  read: number
  offsets: number
  closed: number
  killed: number
  powerCuts: number
  stoppedInCalls: number
}

interface Machine {
  readonly clock: TestClock
  readonly disk: FaultDisk
}

/** Positions that a transaction gave for `GIVEN_GROUP`. */
interface GivenOffsets {
  readonly transaction: BookedTransaction
  readonly offset: number
}

/** See the file's header. */
export class TransactionWorld {
  readonly random: SeededRandom
  readonly tally: Tally
  readonly clock: TestClock
  readonly disk: FaultDisk
  readonly book: TransactionBook = new TransactionBook()
  readonly mover: RecordMover
  producers: ModelProducer[] = []
  readers: ModelReader[] = []
  log: EventLog
  /** Another one after each start: what came of the calls of an older one does not count. */
  life: object = {}
  holdsFlushes = false
  /** In the order in which they were given. */
  readonly given: GivenOffsets[] = []
  readonly #failures: unknown[] = []
  readonly #pending = new Map<number, string>()
  #calls = 0
  #stops = 0

  private constructor(random: SeededRandom, tally: Tally, machine: Machine, log: EventLog) {
    this.random = random
    this.tally = tally
    this.clock = machine.clock
    this.disk = machine.disk
    this.log = log
    this.disk.hold(({ action }) => this.holdsFlushes && action.startsWith('flush'))
    this.mover = new RecordMover(this)
  }

  static async begin(seed: number, random: SeededRandom, tally: Tally): Promise<TransactionWorld> {
    const clock = new TestClock()
    const disk = new FaultDisk({ seed, clock })
    const log = await disk.open({ clock })
    for (const [name, partitions] of TOPICS) await log.createTopic(name, { partitions })
    return new TransactionWorld(random, tally, { clock, disk }, log)
  }

  get nowMs(): number {
    return this.clock.monotonicNow()
  }

  /** Its process was stopped in a call: nothing that it says counts any more. */
  get isStopped(): boolean {
    return this.disk.faults.counts.stop > this.#stops
  }

  /** Every partition by its name. */
  get partitions(): ReadonlyMap<string, Partition> {
    const all = new Map<string, Partition>()
    for (const [name] of TOPICS) {
      for (const partition of this.log.topic(name).partitions) {
        all.set(placeOf({ topic: name, partition: partition.index }), partition)
      }
    }
    return all
  }

  partition(place: string): Partition {
    const partition = this.partitions.get(place)
    must(partition !== undefined, () => `there is no ${place}`)
    return partition
  }

  /** A partition that anybody may write to. */
  anyPlace(): string {
    return `${this.random.oneOf('a', 'b')}-${this.random.below(2)}`
  }

  /** Waits for a call of the library; it may fail with `codes`. */
  track<T>(
    what: string,
    promise: Promise<T>,
    codes: readonly LogErrorCode[],
    resolved: (value: T) => void,
    rejected: (error: LogError) => void = () => undefined,
  ): void {
    const { life } = this
    const call = this.#calls++
    this.#pending.set(call, what)
    const settle = (then: () => void): void => {
      if (life !== this.life || this.isStopped) return
      this.#pending.delete(call)
      try {
        then()
      } catch (error) {
        this.#failures.push(error)
      }
    }
    promise.then(
      (value) => settle(() => resolved(value)),
      (error: unknown) => {
        settle(() => {
          const isFitting = LogError.is(error) && codes.includes(error.code)
          if (!isFitting) throw new Error(`the model: ${what}`, { cause: error })
          rejected(error)
        })
      },
    )
  }

  /** What broke where nobody waits. */
  fail(error: unknown, life: object): void {
    if (life === this.life && !this.isStopped) this.#failures.push(error)
  }

  /** Everything that can happen without time passing has happened. */
  async settle(ms = 0): Promise<void> {
    await this.clock.advance(ms)
    this.book.expire(this.nowMs)
    for (const producer of this.producers) producer.expire()
    this.#throwFailure()
  }

  /** Nothing is under way any more, but transactions that are open and streams. */
  async rest(): Promise<void> {
    this.releaseFlushes()
    await this.settle()
    for (let waited = 0; this.#pending.size > 0 && !this.isStopped; waited += 100) {
      const waiting = [...this.#pending.values()].slice(0, 5).join(', ')
      must(waited < NEVER_RESTS_MS, () => `waits for ever: ${waiting}`)
      await this.settle(100)
    }
  }

  releaseFlushes(): void {
    this.holdsFlushes = false
    for (const call of this.disk.held) call.end()
  }

  /** What must be true between steps. */
  check(): void {
    this.#throwFailure()
    const shown = this.#shown()
    for (const reader of this.readers) reader.check(shown)
    if (this.#pending.size > 0) return
    for (const [place, partition] of this.partitions) this.book.checkStable(partition, place)
    this.#checkOffsets(shown)
  }

  /** The process ends, as `how` says, and another one opens the log. */
  async reopen(how: 'close' | 'kill' | 'power cut'): Promise<void> {
    if (how === 'close') await this.#close()
    if (this.isStopped) return
    this.#throwFailure()
    if (how === 'close') this.tally.closed += 1
    else await this.#end(how)
    await this.#start(how !== 'power cut')
  }

  /** After its process was stopped in a call. */
  async restart(): Promise<void> {
    await this.#start(await this.#stopped())
  }

  async #end(how: 'kill' | 'power cut'): Promise<void> {
    this.life = {}
    if (how === 'kill') {
      this.tally.killed += 1
      await this.disk.kill()
    } else {
      this.tally.powerCuts += 1
      await this.disk.crash()
    }
  }

  /** Its power may have gone with it; whether it has not. */
  async #stopped(): Promise<boolean> {
    this.tally.stoppedInCalls += 1
    this.disk.faults.clear()
    const keepsAll = this.random.below(2) === 0
    await this.#end(keepsAll ? 'kill' : 'power cut')
    this.#stops = this.disk.faults.counts.stop
    return keepsAll
  }

  async #start(keptAll: boolean): Promise<void> {
    this.life = {}
    this.#pending.clear()
    this.holdsFlushes = false
    this.producers = []
    this.readers = []
    this.mover.ended()
    const undecided = this.book.transactions.filter(({ outcome }) => outcome === 'ending')
    this.tally.unknown += undecided.length
    this.book.processEnded()
    const keepsAll = (await this.#open()) && keptAll
    this.disk.faults.clear()
    this.book.reopened(this.#shown(), keepsAll)
    this.producers = [new ModelProducer(this), new ModelProducer(this)]
    for (const { outcome } of undecided) {
      if (outcome === 'committed') this.tally.unknownCommitted += 1
    }
    this.check()
  }

  /** Opens the log, however often that is stopped; whether the power stayed. */
  async #open(): Promise<boolean> {
    let keepsAll = true
    for (;;) {
      try {
        this.log = await this.disk.open({ clock: this.clock })
        return keepsAll
      } catch (error) {
        if (!this.isStopped) throw error
        keepsAll = (await this.#stopped()) && keepsAll
      }
    }
  }

  async #close(): Promise<void> {
    this.releaseFlushes()
    for (const producer of this.producers) producer.ending()
    this.mover.ending()
    this.track('close', this.log.close(), [], () => undefined)
    await this.rest()
  }

  #shown(): ReadonlyMap<string, Shown> {
    const shown = new Map<string, Shown>()
    for (const [place, partition] of this.partitions) {
      shown.set(place, this.book.check(partition, place))
    }
    return shown
  }

  /** A position is what the last transaction that was committed gave; and what was moved, once. */
  #checkOffsets(shown: ReadonlyMap<string, Shown>): void {
    const committed = this.given.findLast(({ transaction }) => transaction.outcome === 'committed')
    const offsets = this.offsetsOf(GIVEN_GROUP)
    const [found] = offsets
    must(
      (found?.offset ?? -1) === (committed?.offset ?? -1),
      () => `${GIVEN_GROUP} goes on at ${found?.offset}, not at ${committed?.offset}`,
    )
    this.mover.check(shown)
  }

  offsetsOf(group: string): readonly TopicPartitionOffset[] {
    return this.log.consumerGroup(group, { topics: ['a'] }).offsets()
  }

  #throwFailure(): void {
    const [failure] = this.#failures
    if (failure !== undefined) throw failure
  }
}
