/**
 * VisibleRecords: what readers of partitions with transactions are to be shown at this very
 * moment. It is told of every batch and marker when it is in a partition, and of every record when
 * a reader is given it; a record that must not be seen, or not yet, is an anomaly at once. Where
 * nobody knows the moment, isolation-checker.ts judges afterwards.
 *
 *   read_committed     of each partition the committed records, in their order, none left out, up
 *                      to the first record of the oldest transaction that is open there
 *   read_uncommitted   every data record, in its order
 *
 * Knows no log: it serves whoever writes and whatever reads.
 */

/** Which records a reader sees. */
export type ReadIsolation = 'read_uncommitted' | 'read_committed'

/** A record as a reader is given it. */
export interface SeenRecord {
  readonly offset: number
  readonly value: string
}

/** What a reader must not be given. */
export type AnomalyKind =
  | 'aborted'
  | 'open'
  | 'unstable'
  | 'control'
  | 'left out'
  | 'out of order'
  | 'another value'
  | 'held back'

/** A reader saw what it must not see, or not what it must. */
export class Anomaly extends Error {
  readonly kind: AnomalyKind

  constructor(kind: AnomalyKind, message: string) {
    super(`${kind}: ${message}`)
    this.name = 'Anomaly'
    this.kind = kind
  }
}

interface Entry {
  readonly offset: number
  /** Null for a marker. */
  readonly value: string | null
  /** Undefined for a record of none. */
  readonly part: Part | undefined
}

/** A transaction in one partition. */
interface Part {
  readonly firstOffset: number
  outcome: 'open' | 'committed' | 'aborted'
}

/** The history of one partition. */
class PartitionHistory {
  /** In order of their offsets. */
  readonly entries: Entry[] = []
  readonly byOffset: Map<number, Entry> = new Map()
  readonly #open = new Map<string, Part>()

  add(records: readonly SeenRecord[], transaction: string | undefined): void {
    const first = records[0]
    if (first === undefined) return
    let part: Part | undefined
    if (transaction !== undefined) {
      part = this.#open.get(transaction) ?? { firstOffset: first.offset, outcome: 'open' }
      this.#open.set(transaction, part)
    }
    for (const { offset, value } of records) this.#push({ offset, value, part })
  }

  end(transaction: string, outcome: 'committed' | 'aborted', markerOffset: number): void {
    const part = this.#open.get(transaction)
    if (part !== undefined) part.outcome = outcome
    this.#open.delete(transaction)
    this.#push({ offset: markerOffset, value: null, part: undefined })
  }

  has(transaction: string): boolean {
    return this.#open.has(transaction)
  }

  get lastStableOffset(): number {
    let stable = Infinity
    for (const { firstOffset } of this.#open.values()) stable = Math.min(stable, firstOffset)
    return stable
  }

  #push(entry: Entry): void {
    this.entries.push(entry)
    this.byOffset.set(entry.offset, entry)
  }
}

/** See the file's header. */
export class VisibleRecords {
  readonly #partitions = new Map<string, PartitionHistory>()

  /** A batch is in `partition`; of `transaction`, where it belongs to one. */
  appended(partition: string, records: readonly SeenRecord[], transaction?: string): void {
    this.#of(partition).add(records, transaction)
  }

  /** The marker of `transaction` is in `partition`. */
  ended(
    partition: string,
    transaction: string,
    outcome: 'committed' | 'aborted',
    markerOffset: number,
  ): void {
    this.#of(partition).end(transaction, outcome, markerOffset)
  }

  /** True where `transaction` has something open in `partition`. */
  isOpen(partition: string, transaction: string): boolean {
    return this.#of(partition).has(transaction)
  }

  /** First offset of an open transaction there; Infinity without one. */
  lastStableOffset(partition: string): number {
    return this.#of(partition).lastStableOffset
  }

  /** A reader of `partition` from `from` up to, not including, `to`. */
  reader(
    partition: string,
    isolation: ReadIsolation,
    from: number = 0,
    to: number = Infinity,
  ): VisibleReader {
    return new VisibleReader(this.#of(partition), { partition, isolation, from, to })
  }

  /** Offsets that a reader of now is shown. */
  visible(partition: string, isolation: ReadIsolation): readonly number[] {
    const { entries, lastStableOffset } = this.#of(partition)
    const isShown = (entry: Entry): boolean =>
      isolation === 'read_uncommitted' || (entry.offset < lastStableOffset && !isHidden(entry))
    return entries.filter((entry) => entry.value !== null && isShown(entry)).map(offsetOf)
  }

  #of(partition: string): PartitionHistory {
    let history = this.#partitions.get(partition)
    if (history === undefined) {
      history = new PartitionHistory()
      this.#partitions.set(partition, history)
    }
    return history
  }
}

interface ReadRange {
  readonly partition: string
  readonly isolation: ReadIsolation
  readonly from: number
  readonly to: number
}

/** What one reader may be given next. */
export class VisibleReader {
  readonly #history: PartitionHistory
  readonly #range: ReadRange
  #next = 0
  #lastOffset = -1

  constructor(history: PartitionHistory, range: ReadRange) {
    this.#history = history
    this.#range = range
  }

  /** The reader is given `record`, now. @throws {Anomaly} where it must not be. */
  saw(record: SeenRecord): void {
    if (record.offset <= this.#lastOffset) throw this.#anomaly('out of order', record.offset)
    this.#refuseHidden(record)
    const expected = this.#expected()
    if (expected === undefined || expected.offset > record.offset) {
      throw this.#anomaly('out of order', record.offset)
    }
    if (expected.offset < record.offset) throw this.#anomaly('left out', expected.offset)
    if (expected.value !== record.value) throw this.#anomaly('another value', record.offset)
    this.#lastOffset = record.offset
    this.#next += 1
  }

  /** There is something to show to it. */
  get isBehind(): boolean {
    return this.#expected() !== undefined
  }

  /** The reader says that there is nothing more now. @throws {Anomaly} where there is. */
  caughtUp(): void {
    const expected = this.#expected()
    if (expected !== undefined) throw this.#anomaly('held back', expected.offset)
  }

  /** What is visible and was not given, passing over what is not. */
  #expected(): Entry | undefined {
    const { from, to } = this.#range
    const { entries } = this.#history
    const end = Math.min(to, this.#visibleEnd)
    for (; this.#next < entries.length; this.#next += 1) {
      const entry = entries[this.#next]
      if (entry === undefined || entry.offset >= end) return undefined
      if (entry.offset >= from && entry.value !== null && !this.#isHidden(entry)) return entry
    }
    return undefined
  }

  #refuseHidden({ offset }: SeenRecord): void {
    const entry = this.#history.byOffset.get(offset)
    if (entry === undefined) throw this.#anomaly('out of order', offset)
    if (entry.value === null) throw this.#anomaly('control', offset)
    if (this.#range.isolation === 'read_uncommitted') return
    if (entry.part?.outcome === 'aborted') throw this.#anomaly('aborted', offset)
    if (entry.part?.outcome === 'open') throw this.#anomaly('open', offset)
    // It is committed, but behind what is not decided: shown now, that would come before it.
    if (offset >= this.#visibleEnd) throw this.#anomaly('unstable', offset)
  }

  #isHidden(entry: Entry): boolean {
    return this.#range.isolation === 'read_committed' && isHidden(entry)
  }

  get #visibleEnd(): number {
    return this.#range.isolation === 'read_committed' ? this.#history.lastStableOffset : Infinity
  }

  #anomaly(kind: AnomalyKind, offset: number): Anomaly {
    const { partition, isolation, from, to } = this.#range
    const where = `${partition}, offset ${offset}, read from ${from} to ${to} with ${isolation}`
    return new Anomaly(kind, `${where}, behind ${this.#lastOffset}`)
  }
}

function isHidden(entry: Entry): boolean {
  return entry.part !== undefined && entry.part.outcome !== 'committed'
}

function offsetOf({ offset }: Entry): number {
  return offset
}
