/**
 * LiveTruth: what was in the log of the readers' campaign, and from when on, as its writer told it.
 * Knows no reader (live-judge.ts holds them against it).
 *
 *   I1  a batch that was begun and not told to be done is there if a later life found it; where it
 *       looked and did not, it is not
 *   I2  a transaction whose end was not told is committed if a later life was shown it
 */
import { unreachable } from '../../src/errors/invariant.ts'
import type { OpenedPartition, Run, Timed, WriterEvent } from './live-events.ts'
import { isDeletion, keyOf, nameOf, type Place } from './live-records.ts'

/** A record that was appended. */
export interface TrueRecord {
  readonly offset: number
  readonly seq: number
  readonly tx: string
  readonly begunMs: number
}

/** What became of a transaction. */
export interface TrueTransaction {
  fate: 'open' | 'committed' | 'aborted' | 'unknown'
  /** Before which nobody who reads what is committed may be shown it. */
  committingMs: number
}

interface Begun {
  readonly seq: number
  readonly count: number
  readonly tx: string
  readonly atMs: number
  isSettled: boolean
}

/**
 * When a life had looked at what there is, when the first one began to open it of those that came
 * to no look since the last that did, and when that last one began.
 */
interface OpenedTimes {
  readonly atMs: number
  readonly firstOpeningMs: number
  readonly beforeMs: number
}

/** An offset, and from when on it may have been that. */
type Since<Name extends string> = Readonly<Record<Name, number>> & { readonly sinceMs: number }

type Of<What extends WriterEvent['what']> = Timed<Extract<WriterEvent, { what: What }>>

type OfTransaction = Of<'committing' | 'committed' | 'aborting' | 'aborted'>

/** One partition. */
export class TruePartition {
  readonly place: Place
  readonly byOffset: Map<number, TrueRecord> = new Map()
  /** Starts of the log, and from when on it may have had each. */
  readonly starts: Since<'offset'>[] = []
  /** Ends that were made durable, and from when on they may have been; of a strict one alone. */
  readonly durable: Since<'end'>[] = []
  isCompacted = false
  isStrict = false
  deletingMs: number = Infinity
  /** Offset of the record that every reader has to come to. */
  last: number | undefined
  readonly #begun = new Map<number, Begun>()
  #sorted: readonly TrueRecord[] | undefined
  #lastOfKey: ReadonlyMap<string, number> | undefined

  constructor(place: Place) {
    this.place = place
  }

  begin({ seq, count, tx, atMs }: Of<'begun'>): void {
    this.#begun.set(seq, { seq, count, tx, atMs, isSettled: false })
  }

  /** Records of numbers that were begun are at these offsets. */
  put(run: Run): void {
    const [offset, seq, count] = run
    for (let at = 0; at < count; at += 1) {
      const begun = this.#begunWith(seq + at)
      if (begun === undefined) throw new Error(`nobody wrote ${nameOf(this.place)}#${seq + at}`)
      const { tx, atMs } = begun
      begun.isSettled = true
      const record = { offset: offset + at, seq: seq + at, tx, begunMs: atMs }
      const there = this.byOffset.get(record.offset)
      if (there !== undefined && there.seq !== record.seq) {
        throw new Error(`${nameOf(this.place)}@${record.offset} is ${there.seq} and ${record.seq}`)
      }
      this.byOffset.set(record.offset, record)
    }
    this.#sorted = undefined
    this.#lastOfKey = undefined
  }

  /** A life has the log: what it did not find is not there. */
  opened(
    { start, end, lookedFrom }: OpenedPartition,
    { atMs, firstOpeningMs, beforeMs }: OpenedTimes,
  ): void {
    this.starts.push({ offset: start, sinceMs: beforeMs })
    this.durable.push({ end, sinceMs: firstOpeningMs })
    if (start > lookedFrom) return // What was removed may have been there.
    for (const [seq, { isSettled, atMs: begunMs }] of this.#begun) {
      if (!isSettled && begunMs < atMs) this.#begun.delete(seq)
    }
  }

  /** A reader was shown `seq` at `offset`: so its batch is there, where nobody else can tell. */
  settle(offset: number, seq: number): void {
    const begun = this.#begunWith(seq)
    if (begun === undefined || begun.isSettled || this.byOffset.has(offset)) return
    this.put([offset - (seq - begun.seq), begun.seq, begun.count, begun.atMs])
  }

  /** In the order of their offsets. */
  get records(): readonly TrueRecord[] {
    this.#sorted ??= [...this.byOffset.values()].sort((left, right) => left.offset - right.offset)
    return this.#sorted
  }

  /** Whether the log may have begun at `offset`, at `atMs` or before. */
  hadStart(offset: number, atMs: number): boolean {
    return this.starts.some((start) => start.offset === offset && start.sinceMs <= atMs)
  }

  /** Whether compaction may have taken it. */
  isSuperseded({ offset, seq }: TrueRecord): boolean {
    if (!this.isCompacted) return false
    if (isDeletion(seq)) return true
    this.#lastOfKey ??= new Map(
      this.records
        .filter((record) => record.offset !== this.last)
        .map((record) => [keyOf(record.seq), record.offset]),
    )
    return (this.#lastOfKey.get(keyOf(seq)) ?? -1) > offset
  }

  #begunWith(seq: number): Begun | undefined {
    for (let first = seq; first > seq - 64; first -= 1) {
      const begun = this.#begun.get(first)
      if (begun !== undefined) return first + begun.count > seq ? begun : undefined
    }
    return undefined
  }
}

/** See the file's header. */
export class LiveTruth {
  readonly partitions: Map<string, TruePartition> = new Map()
  readonly transactions: Map<string, TrueTransaction> = new Map()
  /** Checksums at the end, by partition. */
  readonly sums: Map<string, Of<'sum'>> = new Map()
  readonly #compacted = new Set<string>()
  readonly #deletingMs = new Map<string, number>()
  readonly #shown = new Set<string>()
  #openingMs = 0
  #beforeMs = 0
  #firstOpeningMs = Infinity
  lives = 0
  isOver = false

  hear(event: Timed<WriterEvent>): void {
    switch (event.what) {
      case 'opening':
        this.#openingMs = event.atMs
        this.#firstOpeningMs = Math.min(this.#firstOpeningMs, event.atMs)
        this.lives += 1
        return
      case 'found':
        for (const run of event.runs) this.of(event).put(run)
        return
      case 'shown':
        this.#shown.add(event.tx)
        return
      case 'opened':
        this.#opened(event)
        return
      case 'topic':
        if (event.isCompacted) this.#compacted.add(event.id)
        return
      case 'deleting':
        this.#deletingMs.set(event.id, event.atMs)
        return
      case 'sum':
        this.sums.set(nameOf(event), event)
        return
      case 'over':
        this.isOver = true
        return
      case 'begun':
        this.of(event).begin(event)
        if (event.tx !== '' && !this.transactions.has(event.tx))
          this.transactions.set(event.tx, { fate: 'open', committingMs: Infinity })
        return
      case 'done':
        this.of(event).put([event.offset, event.seq, event.count, event.atMs])
        return
      case 'start':
        this.of(event).starts.push(event)
        return
      case 'strict':
        this.of(event).isStrict = true
        return
      case 'flushing':
        this.of(event).durable.push({ end: event.end, sinceMs: event.atMs })
        return
      case 'last':
        this.of(event).last = event.offset
        return
      case 'committing':
      case 'committed':
      case 'aborting':
      case 'aborted':
        this.#hearOfTransaction(event)
        return
      default:
        unreachable(event)
    }
  }

  #hearOfTransaction({ what, tx, atMs }: OfTransaction): void {
    const transaction = this.transactions.get(tx)
    if (transaction === undefined) return // It wrote nothing.
    if (what === 'committing') transaction.committingMs = atMs
    if (what === 'committed' || what === 'aborted') transaction.fate = what
  }

  of(place: Place): TruePartition {
    const name = nameOf(place)
    let partition = this.partitions.get(name)
    if (partition === undefined) {
      partition = new TruePartition({ id: place.id, partition: place.partition })
      this.partitions.set(name, partition)
    }
    partition.isCompacted = this.#compacted.has(place.id)
    partition.deletingMs = this.#deletingMs.get(place.id) ?? Infinity
    return partition
  }

  /** Whether a reader of what is committed is shown the record; null where nobody knows. */
  isCommitted({ tx }: TrueRecord): boolean | null {
    if (tx === '') return true
    const { fate, committingMs = Infinity } = this.transactions.get(tx) ?? {}
    // Of one that was being committed when a campaign broke off nobody found out.
    const isUnknown = fate === 'unknown' || (fate === 'open' && committingMs < Infinity)
    return fate === 'committed' ? true : isUnknown ? null : false
  }

  #opened({ partitions, atMs }: Of<'opened'>): void {
    const times = {
      atMs,
      firstOpeningMs: this.#firstOpeningMs,
      beforeMs: this.#beforeMs,
    }
    this.#firstOpeningMs = Infinity
    this.#beforeMs = this.#openingMs
    for (const one of partitions) this.of(one).opened(one, times)
    const removed = new Set<string>()
    for (const place of this.partitions.values()) {
      const now = partitions.find((one) => nameOf(one) === nameOf(place.place))
      for (const { tx, offset } of place.records) {
        if (tx !== '' && offset < (now?.start ?? Infinity)) removed.add(tx)
      }
    }
    for (const [tx, transaction] of this.transactions) {
      if (this.#shown.has(tx)) {
        if (transaction.fate === 'aborted') throw new Error(`${tx} was aborted, and is shown`)
        transaction.fate = 'committed'
      }
      if (transaction.fate !== 'open') continue
      transaction.fate = removed.has(tx) ? 'unknown' : 'aborted'
    }
  }
}
