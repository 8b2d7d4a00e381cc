/**
 * TransactionBook: what the histories of the model sent, in which transaction, and what became of
 * it; and whether a log shows what it may show.
 *
 *   I1  a committed transaction is there in all its partitions, an aborted one in none
 *   I2  one whose outcome nobody heard is there as a whole or not at all, and stays so
 *   I3  read_committed shows what is committed up to the last stable offset, in its order, nothing
 *       else; read_uncommitted shows every record once, at its offset
 *   I4  no transaction that is open lies below the last stable offset
 */
import type { LogRecord, Partition } from '../../../src/index.ts'

/**
 * What is known of a transaction. `'ending'`: its commit is under way; `'unknown'`: nobody heard
 * how that ended.
 */
export type Outcome = 'open' | 'ending' | 'committed' | 'aborted' | 'unknown'

/** A transaction of the model. */
export interface BookedTransaction {
  readonly number: number
  readonly records: BookedRecord[]
  outcome: Outcome
  /** Nothing of it is under way: its markers are where they belong. */
  isSettled: boolean
  /** From then on it may have run out of time. */
  readonly expiresAtMs: number
  /** Why it may have been aborted by somebody else than who has it. */
  mayAbort: string | undefined
  /** A reader of what is committed has seen a record of it: of `'durable'`, or of `'written'`. */
  seenBy: 'durable' | 'written' | undefined
}

/** A record of the model; its value is its number. */
export interface BookedRecord {
  readonly id: number
  readonly transaction: BookedTransaction | null
  readonly place: string
  state: 'sent' | 'appended' | 'failed' | 'lost'
  /** −1 until it is known. */
  offset: number
  /** No power cut may take it. */
  isDurable: boolean
  /** Where it was copied from. */
  readonly source: { readonly place: string; readonly offset: number } | undefined
}

/** A group whose positions are given to transactions by hand. */
export const GIVEN_GROUP = 'given'

/** Fails a history. */
export function must(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Error(`the model: ${what()}`)
}

/** See the file's header. */
export class TransactionBook {
  readonly transactions: BookedTransaction[] = []
  readonly #records: BookedRecord[] = []

  begin(expiresAtMs: number): BookedTransaction {
    const transaction: BookedTransaction = {
      number: this.transactions.length,
      records: [],
      outcome: 'open',
      isSettled: false,
      expiresAtMs,
      mayAbort: undefined,
      seenBy: undefined,
    }
    this.transactions.push(transaction)
    return transaction
  }

  send(
    place: string,
    transaction: BookedTransaction | null,
    source?: BookedRecord['source'],
  ): BookedRecord {
    const record: BookedRecord = {
      id: this.#records.length,
      transaction,
      place,
      state: 'sent',
      offset: -1,
      isDurable: false,
      source,
    }
    this.#records.push(record)
    transaction?.records.push(record)
    return record
  }

  /** The record with this value, which belongs to `place`. */
  find(place: string, { value, offset }: Pick<LogRecord, 'value' | 'offset'>): BookedRecord {
    const record = this.#records[Number(String(value))]
    must(record?.place === place, () => `${place} shows ${String(value)} at ${offset}, never sent`)
    return record
  }

  /** Time has passed. */
  expire(nowMs: number): void {
    for (const transaction of this.transactions) {
      const isUnderWay = transaction.outcome === 'open' || transaction.outcome === 'ending'
      if (isUnderWay && nowMs >= transaction.expiresAtMs) transaction.mayAbort ??= 'timeout'
    }
  }

  /** The process is gone, with all that was under way. */
  processEnded(): void {
    for (const transaction of this.transactions) {
      if (transaction.outcome === 'open') transaction.outcome = 'aborted'
      else if (transaction.outcome === 'ending') transaction.outcome = 'unknown'
      transaction.isSettled = true
    }
  }

  /** I1 to I4, of one partition; `isAtRest`: nothing is under way, in any transaction. */
  check(partition: Partition, place: string): Shown {
    const all = this.#shown(partition, place, 'read_uncommitted')
    const committed = this.#shown(partition, place, 'read_committed')
    const { lastStableOffset, highWatermark, logEndOffset } = partition
    must(
      lastStableOffset <= highWatermark && highWatermark <= logEndOffset,
      () => `${place}: watermarks out of order`,
    )
    const seen = new Set<BookedRecord>(committed)
    for (const record of all) {
      const { transaction, offset, id } = record
      const isVisible = seen.has(record)
      const what = (): string =>
        `${place}: record ${id} at ${offset} of transaction ${transaction?.number} ` +
        `(${transaction?.outcome}), stable up to ${lastStableOffset}`
      if (transaction === null) {
        must(isVisible === offset < lastStableOffset, () => `plain ${what()}: ${isVisible}`)
        continue
      }
      const { outcome, mayAbort } = transaction
      const isOpen = outcome === 'open' && mayAbort === undefined
      must(!isOpen || offset >= lastStableOffset, () => `I4: ${what()}`)
      if (outcome === 'open' || outcome === 'aborted') must(!isVisible, () => `shown: ${what()}`)
      if (outcome === 'committed') {
        must(isVisible === offset < lastStableOffset, () => `I1: ${what()}: ${isVisible}`)
      }
    }
    const there = new Set(all)
    for (const record of committed) must(there.has(record), () => `${place}: I3, ${record.id}`)
    return { all, committed }
  }

  /** At rest nothing holds the last stable offset back but what is open. */
  checkStable(partition: Partition, place: string): void {
    const undecided = this.#of(place).filter(
      ({ transaction, state }) =>
        state === 'appended' && transaction !== null && !isOver(transaction),
    )
    const first = Math.min(partition.highWatermark, ...undecided.map(({ offset }) => offset))
    must(
      partition.lastStableOffset === first,
      () => `${place}: stable up to ${partition.lastStableOffset}, not ${first}`,
    )
  }

  /** Every record that has to be there is, and what nobody heard of is decided (I1, I2). */
  reopened(shown: ReadonlyMap<string, Shown>, keepsAll: boolean): void {
    const visible = new Set([...shown.values()].flatMap(({ committed }) => committed))
    const there = new Set([...shown.values()].flatMap(({ all }) => all))
    for (const record of this.#records) {
      const { state, transaction, isDurable, place, offset, id } = record
      if (state === 'lost' || state === 'failed') continue
      if (there.has(record)) continue
      const mustBe = isDurable || transaction?.outcome === 'committed'
      must(
        state !== 'appended' || !(keepsAll || mustBe),
        () => `${place}: record ${id} at ${offset} is gone`,
      )
      record.state = 'lost'
    }
    for (const transaction of this.transactions) this.#settle(transaction, visible)
  }

  #settle(transaction: BookedTransaction, visible: ReadonlySet<BookedRecord>): void {
    const { outcome, number, records } = transaction
    if (outcome === 'aborted') return
    const kept = records.filter(({ state }) => state !== 'failed')
    const count = kept.filter((record) => visible.has(record)).length
    const what = (): string => `transaction ${number}: ${count} of its ${kept.length} records`
    must(count === 0 || count === kept.length, () => `I2: ${what()} are there`)
    must(outcome !== 'committed' || count === kept.length, () => `I1: ${what()} are there`)
    // Without records nobody can tell, and nobody has to; refused are those of an aborted one.
    const isRefused = kept.length === 0 && records.length > 0
    transaction.outcome = count === kept.length && !isRefused ? 'committed' : 'aborted'
    must(
      transaction.outcome === 'committed' || transaction.seenBy !== 'durable',
      () => `transaction ${number} was seen, and is gone`,
    )
  }

  #shown(
    partition: Partition,
    place: string,
    isolation: 'read_committed' | 'read_uncommitted',
  ): readonly BookedRecord[] {
    const shown: BookedRecord[] = []
    const seen = new Set<number>()
    partition.scan(
      ({ offset, buffer, valueStart, valueLength }) => {
        const value = buffer.subarray(valueStart, valueStart + valueLength)
        const record = this.find(place, { value, offset })
        const { id, state } = record
        must(!seen.has(id), () => `${place}: record ${id} is there twice, also at ${offset}`)
        must(state !== 'lost' && state !== 'failed', () => `${place}: record ${id} was ${state}`)
        must(
          record.offset === -1 || record.offset === offset,
          () => `${place}: record ${id} is at ${offset}, not at ${record.offset}`,
        )
        record.offset = offset
        seen.add(id)
        shown.push(record)
      },
      { isolation },
    )
    return shown
  }

  #of(place: string): readonly BookedRecord[] {
    return this.#records.filter((record) => record.place === place)
  }
}

/** What a partition shows. */
export interface Shown {
  readonly all: readonly BookedRecord[]
  readonly committed: readonly BookedRecord[]
}

function isOver({ outcome }: BookedTransaction): boolean {
  return outcome === 'committed' || outcome === 'aborted'
}

/** A partition by its name. */
export function placeOf({
  topic,
  partition,
}: {
  readonly topic: string
  readonly partition: number
}): string {
  return `${topic}-${partition}`
}

/** What `placeOf` named. */
export function partOf(place: string): { readonly topic: string; readonly partition: number } {
  const [topic = '', partition = ''] = place.split('-')
  return { topic, partition: Number(partition) }
}
