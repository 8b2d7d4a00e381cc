/**
 * TransactionalId: what is known of one transactional id, from transaction to transaction: under
 * which producer id and epoch the next one writes, and what its last decision still waits for.
 *
 *   I1  after a decision under an epoch no batch is written under it: recovery tells by the epoch
 *       whether what is open in a partition is what was decided or came later
 *   I2  the record of a decision is replaced only when its markers are on stable storage: until
 *       then recovery needs it
 */
import { LogError, invalidArgument } from '../errors/log-error.ts'
import {
  MAX_TRANSACTION_STRING_BYTES,
  type StoredTransactionState,
  type TransactionStatus,
} from '../format/transaction-state.ts'
import type { PartitionLog } from './partition-log.ts'
import type { UpTo } from './staged-offsets.ts'

/** Kafka's: the last one is for fencing alone. */
const LAST_EPOCH = 32_766
/** What only a broker writes, of transactions that recovery aborts. */
const BROKERS_OWN: readonly TransactionStatus[] = ['Ongoing', 'PrepareAbort', 'PrepareEpochFence']
const MADE_UP = /^streambed-[0-9a-f]{32}$/

/** What the last decision of an id waits for. */
interface Decision {
  /** What is recorded of it then. */
  readonly complete: 'CompleteCommit' | 'CompleteAbort'
  /** Markers that could not be written yet. */
  unwrittenCount: number
  /** Where those that were written end. */
  readonly written: UpTo[]
}

/** One transactional id. */
export class TransactionalId {
  readonly name: string
  /** The log made it up: nothing is left of it when its producer is done. */
  readonly isMadeUp: boolean
  readonly #drawId: () => number
  /** −1 until the first transaction needs one. */
  #producerId = -1
  #producerEpoch = 0
  /** Every record of the id was read: so it is known which epochs were used. */
  #areEpochsKnown = true
  #decision: Decision | undefined
  #queue: Promise<unknown> = Promise.resolve()
  /** Nobody can tell what became of its last transaction. */
  failure: LogError | undefined

  constructor(name: string, drawId: () => number) {
    this.name = name
    this.isMadeUp = MADE_UP.test(name)
    this.#drawId = drawId
  }

  /**
   * Goes on where its last record ends; after a decision, behind it (I1). Where later ones may have
   * been lost to damage, `areEpochsKnown` is false, and the next epoch is one of another producer.
   */
  goOnFrom(
    { producerId, producerEpoch, status }: StoredTransactionState,
    areEpochsKnown: boolean,
  ): void {
    this.#areEpochsKnown = areEpochsKnown
    this.#producerId = producerId
    this.#producerEpoch = Math.max(0, producerEpoch)
    if (status === 'PrepareCommit') this.decided()
    else if (BROKERS_OWN.includes(status)) {
      this.#decision = { complete: 'CompleteAbort', unwrittenCount: 0, written: [] }
    }
  }

  /** What the next transaction writes under. */
  get producerId(): number {
    if (this.#producerId < 0) this.#producerId = this.#drawId()
    return this.#producerId
  }
  get producerEpoch(): number {
    return this.#producerEpoch
  }

  /** Nobody has written under what it writes from now on: where epochs end, the id is another. */
  advance(): void {
    if (this.#areEpochsKnown && this.#producerEpoch < LAST_EPOCH) this.#producerEpoch += 1
    else {
      this.#producerId = -1
      this.#producerEpoch = 0
      this.#areEpochsKnown = true
    }
  }

  /** A decision was recorded; its markers are to come (I1). */
  decided(): void {
    this.#decision = { complete: 'CompleteCommit', unwrittenCount: 0, written: [] }
    this.advance()
  }

  /** A marker of the last decision is due; what is returned is called when it was written. */
  markerDue(): (upTo: UpTo | undefined) => void {
    const decision = this.#decision
    if (decision === undefined) return () => undefined
    decision.unwrittenCount += 1
    return (upTo) => {
      decision.unwrittenCount -= 1
      if (upTo !== undefined) decision.written.push(upTo)
    }
  }

  /** Its last record is a decision. */
  get isDecided(): boolean {
    return this.#decision !== undefined
  }
  /** What is recorded once its decision is complete. */
  get complete(): 'CompleteCommit' | 'CompleteAbort' {
    return this.#decision?.complete ?? 'CompleteCommit'
  }

  /** Another record may replace that of its decision (I2). */
  get isSettled(): boolean {
    const decision = this.#decision
    return (
      decision === undefined || (decision.unwrittenCount === 0 && decision.written.every(isDurable))
    )
  }

  /**
   * Resolves when the markers of its last decision are on stable storage (I2), but for those in
   * `awaited`: all of these that is there now is waited for anyway.
   * @throws {LogError} What keeps them from it.
   */
  async settled(awaited: readonly PartitionLog[] = []): Promise<void> {
    const decision = this.#decision
    if (decision === undefined) return
    if (decision.unwrittenCount > 0) throw markersMissing(this.name)
    const others = decision.written.filter(({ log }) => !awaited.includes(log))
    if (others.length > 0) await Promise.all(others.map(durable))
  }

  /** Its last record is no decision any more. */
  recorded(): void {
    this.#decision = undefined
  }

  /** Runs `work` when all that was asked for before is over. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => undefined)
    return result
  }
}

/** A name that nobody has: of 24 random digits, and a number of this log. */
export function madeUpName(random: Uint8Array, count: number): string {
  const digits = Buffer.from(random).toString('hex').padEnd(24, '0').slice(0, 24)
  return `streambed-${digits}${count.toString(16).padStart(8, '0').slice(-8)}`
}

/** @throws {LogError} INVALID_ARGUMENT for a name that would be read as another, or is made up. */
export function checkTransactionalId(name: string): void {
  const bytes = Buffer.from(name)
  const isReadBack = bytes.toString() === name
  if (name === '' || bytes.length > MAX_TRANSACTION_STRING_BYTES || !isReadBack) {
    throw invalidArgument(
      `transactionalId is Unicode text of 1 to ${MAX_TRANSACTION_STRING_BYTES} bytes of UTF-8`,
      { option: 'transactionalId', transactionalId: name },
    )
  }
  if (!MADE_UP.test(name)) return
  throw invalidArgument(
    `transactionalId ${name} is one that a log makes up, and forgets: choose another, or leave it out`,
    { option: 'transactionalId', transactionalId: name },
  )
}

/** Resolves when everything below `offset` is on stable storage; of a deleted topic, at once. */
export function durable({ log, offset }: UpTo): Promise<void> {
  return log.makeDurable(offset).catch((error: unknown) => {
    if (log.end !== 'deleted') throw error
  })
}

function isDurable({ log, offset }: UpTo): boolean {
  return log.end === 'deleted' || log.durableOffset >= offset
}

function markersMissing(name: string): LogError<'IO'> {
  return new LogError(
    'IO',
    `a marker of the last committed transaction of ${name} could not be written yet: it is tried ` +
      'again; see to it that its disk has room',
    {},
  )
}
