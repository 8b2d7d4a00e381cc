/**
 * A producer of the model, with what it may be told: transactions one after the other, plain sends
 * beside them, a fence once a newer one of its id has begun, an abort once its time is over.
 */
import { LogError, type LogErrorCode } from '../../../src/errors/log-error.ts'
import type {
  OpenTransaction,
  Partition,
  Producer,
  Sender,
  TopicPartitionOffset,
} from '../../../src/index.ts'
import {
  GIVEN_GROUP,
  must,
  partOf,
  type BookedRecord,
  type BookedTransaction,
} from './transaction-book.ts'
import type { TransactionWorld } from './transaction-world.ts'

/** What a transaction ends with that somebody else aborted. */
const ABORTED: readonly LogErrorCode[] = ['TRANSACTION_ABORTED']
/** What a send in it may say then: one that comes in the turn in which its log closes, `CLOSED`. */
const REFUSED: readonly LogErrorCode[] = [...ABORTED, 'CLOSED']

/** A transaction that a producer has open. */
export interface OpenModelTransaction {
  readonly booked: BookedTransaction
  readonly handle: OpenTransaction
  readonly endsAtMs: number
}

/** See the file's header. */
export class ModelProducer {
  readonly id: string | undefined
  readonly producer: Producer
  /** Its transactions that nobody has ended yet: one, and those that wait for it. */
  open: OpenModelTransaction | undefined
  /** A transaction of it was begun. */
  hasBegun = false
  fence: 'no' | 'maybe' | 'yes' = 'no'
  isClosed = false
  /** A `begin`, or a transaction that runs by itself, is under way. */
  isBusy = false
  #running: BookedTransaction | undefined
  readonly #world: TransactionWorld
  readonly #timeoutMs: number

  constructor(world: TransactionWorld) {
    const { random, log } = world
    this.#world = world
    this.id = random.oneOf(undefined, 'x', 'x', 'y')
    this.#timeoutMs = random.oneOf(1_000, 60_000)
    this.producer = log.producer({
      transactionalId: this.id,
      transactionTimeoutMs: this.#timeoutMs,
      lingerMs: random.oneOf(0, 0, 0, 5),
      acks: random.oneOf<1 | 'all'>('all', 'all', 1),
      batchBytes: random.oneOf(200, 65_536),
    })
  }

  /** Begins a transaction that the steps end. */
  begin(): void {
    if (this.isBusy || this.open !== undefined || this.isClosed) return
    const { book, clock } = this.#world
    const booked = book.begin(this.#world.nowMs + this.#timeoutMs)
    this.#announce()
    this.isBusy = true
    const fencedBefore = this.fence === 'yes'
    this.#world.tally.transactions += 1
    this.#world.track(
      `begin ${booked.number}`,
      this.producer.begin(),
      this.#refusals(),
      (handle) => {
        must(!fencedBefore, () => `a producer of ${this.id} begins though it is fenced`)
        this.isBusy = false
        this.#announced()
        const endsAtMs = clock.monotonicNow() + this.#timeoutMs
        this.open = { booked, handle, endsAtMs }
      },
      () => {
        this.isBusy = false
        this.#over(booked, 'aborted')
      },
    )
  }

  /** A transaction from its begin to its end in one call. */
  run(): void {
    if (this.isBusy || this.open !== undefined || this.isClosed) return
    const { random, book, tally } = this.#world
    const booked = book.begin(this.#world.nowMs + this.#timeoutMs)
    this.#announce()
    this.isBusy = true
    this.#running = booked
    const ending = random.oneOf('return', 'return', 'return', 'throw', 'abort')
    const counts = Array.from({ length: random.below(3) }, () => 1 + random.below(4))
    const boom = new Error('thrown on purpose')
    const fencedBefore = this.fence === 'yes'
    tally.transactions += 1
    const running = this.producer.transaction(async (tx) => {
      must(!fencedBefore, () => `a producer of ${this.id} runs though it is fenced`)
      this.#announced()
      for (const count of counts) await this.#sendIn(tx, booked, count)
      if (ending === 'throw') {
        booked.outcome = 'aborted'
        throw boom
      }
      if (ending === 'abort') {
        booked.outcome = 'aborted'
        await tx.abort()
      }
      if (booked.outcome === 'open') booked.outcome = 'ending'
      return booked.number
    })
    const told = running.catch((error: unknown) => {
      if (ending !== 'throw' || error !== boom) throw error
      return booked.number
    })
    this.#world.track(
      `transaction ${booked.number}`,
      told,
      this.#refusals(),
      (number) => {
        must(number === booked.number, () => `${number} is not what the function gave`)
        must(ending !== 'abort', () => `transaction ${number} resolved though it was aborted`)
        this.isBusy = false
        this.#over(booked, ending === 'return' ? 'committed' : 'aborted')
      },
      (error) => {
        this.isBusy = false
        const reason = ending === 'return' ? this.#reason(booked) : ending
        must(reason !== undefined, () => `transaction ${booked.number}: ${error.message}`)
        this.#over(booked, 'aborted')
      },
    )
  }

  /** Sends records in the transaction that is open. */
  send(): void {
    const { open } = this
    if (open === undefined) return
    const { random } = this.#world
    const { booked, handle } = open
    this.#track(booked, this.#sendIn(handle, booked, 1 + random.below(4)))
  }

  /** Gives positions of a group to the transaction that is open. */
  giveOffsets(): void {
    const { open } = this
    const { given, log, partitions, tally } = this.#world
    if (open === undefined || open.booked.records.length === 0) return
    const isTaken = given.some(
      ({ transaction }) => transaction !== open.booked && !transaction.isSettled,
    )
    const end = partitions.get('a-0')?.logEndOffset ?? 0
    if (isTaken || end === 0 || this.#reason(open.booked) !== undefined) return
    const offset = this.#world.random.below(end + 1)
    const offsets: TopicPartitionOffset[] = [{ topic: 'a', partition: 0, offset }]
    const group = log.consumerGroup(GIVEN_GROUP, { topics: ['a'] })
    open.handle.commitOffsets(group, offsets)
    given.push({ transaction: open.booked, offset })
    tally.offsets += 1
  }

  commit(): void {
    const { open } = this
    if (open === undefined) return
    this.open = undefined
    const { booked, handle } = open
    const wasAborted = booked.outcome === 'aborted'
    if (!wasAborted) booked.outcome = 'ending'
    this.#world.track(
      `commit ${booked.number}`,
      handle.commit(),
      ABORTED,
      () => {
        must(!wasAborted, () => `transaction ${booked.number} is over, and was committed`)
        this.#over(booked, 'committed')
      },
      (error) => {
        const reason = this.#reason(booked)
        must(reason !== undefined, () => `transaction ${booked.number}: ${error.message}`)
        this.#over(booked, 'aborted')
      },
    )
  }

  abort(): void {
    const { open } = this
    if (open === undefined) return
    this.open = undefined
    const { booked, handle } = open
    booked.outcome = 'aborted'
    const isDisposed = this.#world.random.below(3) === 0
    const ended = isDisposed ? handle[Symbol.asyncDispose]() : handle.abort()
    this.#world.track(
      `abort ${booked.number}`,
      Promise.resolve(ended),
      [],
      () => this.#over(booked, 'aborted'),
      () => this.#over(booked, 'aborted'),
    )
  }

  /** Sends records outside of any transaction. */
  sendPlain(): void {
    if (this.isClosed) return
    const { book, random, tally } = this.#world
    const place = this.#world.anyPlace()
    const record = book.send(place, null)
    const isFlushed = random.below(2) === 0
    const partition = this.#world.partition(place)
    const sending = this.producer.send({ ...partOf(place), value: `${record.id}` })
    const sent = async (): Promise<number> => {
      const { offset } = await sending
      // With any acks: what was flushed is durable, whoever sent it.
      if (isFlushed) record.isDurable = await flushed(partition)
      return offset
    }
    this.#world.track(`plain send ${record.id}`, sent(), [], (offset) => {
      tally.plain += 1
      record.state = 'appended'
      record.offset = offset
    })
  }

  close(): void {
    if (this.isClosed) return
    this.ending()
    const what = `close of a producer of ${this.id}`
    const { open } = this
    this.open = undefined
    this.#world.track(what, this.producer.close(), [], () => {
      if (open !== undefined) this.#over(open.booked, 'aborted')
    })
  }

  /** It will be closed: what it has open is aborted. */
  ending(): void {
    this.isClosed = true
    const { open } = this
    for (const booked of [open?.booked, this.#running]) {
      if (booked?.isSettled === false) booked.mayAbort ??= 'close'
    }
    if (open === undefined) return
    if (open.booked.outcome === 'open') open.booked.outcome = 'aborted'
  }

  /** Its transaction has had its time. */
  expire(): void {
    const { open } = this
    if (open === undefined || open.booked.outcome !== 'open') return
    if (this.#world.nowMs < open.endsAtMs) return
    open.booked.mayAbort ??= 'timeout'
    this.#over(open.booked, 'aborted')
    this.#world.tally.timedOut += 1
  }

  /** A newer producer of its id begins, or has begun, its first transaction. */
  fenced(isCertain: boolean): void {
    if (this.fence === 'yes' || !this.hasBegun) return
    this.fence = isCertain ? 'yes' : 'maybe'
    const { open } = this
    for (const booked of [open?.booked, this.#running]) {
      if (booked?.isSettled === false) booked.mayAbort ??= 'fence'
    }
    if (!isCertain) return
    this.#world.tally.fenced += 1
    if (open !== undefined) this.#over(open.booked, 'aborted')
  }

  async #sendIn(tx: Sender, booked: BookedTransaction, count: number): Promise<void> {
    const { book, random, tally } = this.#world
    const sends: Promise<void>[] = []
    for (let left = count; left > 0; left--) {
      const place = this.#world.anyPlace()
      sends.push(this.#sendOne(tx, place, book.send(place, booked)))
      tally.records += 1
    }
    if (random.below(4) === 0) sends.splice(0).forEach((one) => this.#track(booked, one))
    await Promise.all(sends)
  }

  async #sendOne(tx: Sender, place: string, record: BookedRecord): Promise<void> {
    const world = this.#world
    const { life } = world
    try {
      const { offset } = await tx.send({ ...partOf(place), value: `${record.id}` })
      record.offset = offset
      record.state = 'appended'
    } catch (error) {
      // What fails because the process ended may be in the log all the same.
      if (life === world.life && !world.isStopped) record.state = 'failed'
      throw error
    }
  }

  /** Waits for sends in a transaction: they fail where it is over, or is being ended. */
  #track(booked: BookedTransaction, sent: Promise<unknown>): void {
    this.#world.track(
      `send in ${booked.number}`,
      sent,
      REFUSED,
      () => undefined,
      ({ code }) => {
        must(code !== 'CLOSED' || this.isClosed, () => `${code} in transaction ${booked.number}`)
        const isOver = booked.outcome === 'aborted' || this.#reason(booked) !== undefined
        must(isOver, () => `a send in transaction ${booked.number} was refused for no reason`)
      },
    )
  }

  /** Why the transaction may have been aborted. */
  #reason(booked: BookedTransaction): string | undefined {
    return booked.mayAbort ?? (this.fence === 'no' ? undefined : 'fence')
  }

  #refusals(): readonly LogErrorCode[] {
    const codes: LogErrorCode[] = ['TRANSACTION_ABORTED', 'CLOSED']
    return this.id === undefined ? codes : [...codes, 'FENCED']
  }

  /** Its first transaction fences the others of its id. */
  #announce(): void {
    if (this.hasBegun || this.id === undefined) return
    for (const other of this.#others()) other.fenced(false)
    this.hasBegun = true
  }

  #announced(): void {
    for (const other of this.#others()) if (other.fence === 'maybe') other.fenced(true)
  }

  #others(): readonly ModelProducer[] {
    if (this.id === undefined) return []
    return this.#world.producers.filter((one) => one !== this && one.id === this.id)
  }

  #over(booked: BookedTransaction, outcome: 'committed' | 'aborted'): void {
    const { tally } = this.#world
    if (!booked.isSettled) tally[outcome] += 1
    booked.outcome = outcome
    booked.isSettled = true
  }
}

/** False where the log was closed before it was done. */
async function flushed(partition: Partition): Promise<boolean> {
  try {
    await partition.flush()
    return true
  } catch (error) {
    if (!LogError.is(error, 'CLOSED')) throw error
    return false
  }
}
