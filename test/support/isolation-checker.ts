/**
 * IsolationChecker: notes what transactions wrote and how they ended, and what readers saw, and
 * says afterwards which reader saw what no reader may see.
 *
 *   order     records of a partition not in the order of their offsets, or one of them twice
 *   invented  a record that nobody wrote there
 *   early     one of a transaction whose end nobody had asked for yet
 *   aborted   one of a transaction that was aborted
 *   gap       not a prefix: a record that was there for this reader lies before one that it saw,
 *             and it did not see it; so a part of a transaction as well
 *   missing   the same, behind the last one that it saw, up to where it has come to an end
 */
import type { Isolation } from '../../src/index.ts'

/** What is wrong with what a reader saw. */
export type AnomalyKind = 'order' | 'invented' | 'early' | 'aborted' | 'gap' | 'missing'

/** One thing that no reader may see. */
export interface Anomaly {
  readonly kind: AnomalyKind
  readonly reader: string
  readonly place: string
  readonly offset: number
}

/** A transaction as it is noted; null stands for none. */
export interface NotedTransaction {
  outcome: 'open' | 'ending' | 'committed' | 'aborted'
}

interface NotedRecord {
  readonly offset: number
  readonly value: string
  readonly transaction: NotedTransaction | null
}

/** See the file's header. */
export class IsolationChecker {
  /** By partition, in the order of offsets once they are asked for. */
  readonly #written = new Map<string, NotedRecord[]>()
  readonly #readers: NotedReader[] = []
  readonly #anomalies: Anomaly[] = []

  begin(): NotedTransaction {
    return { outcome: 'open' }
  }

  /** A record was appended. It may be noted after a reader has seen it. */
  wrote(
    place: string,
    offset: number,
    value: string,
    transaction: NotedTransaction | null = null,
  ): void {
    const records = this.#written.get(place) ?? []
    records.push({ offset, value, transaction })
    this.#written.set(place, records)
  }

  /** A reader of partitions, each from its first offset on that is in `from`, else from 0. */
  reader(
    name: string,
    isolation: Isolation,
    from: ReadonlyMap<string, number> = new Map(),
  ): NotedReader {
    const reader = new NotedReader(name, isolation, from)
    this.#readers.push(reader)
    return reader
  }

  /** Notes what is wrong as it is seen: a transaction that is open now may be committed later. */
  saw(reader: NotedReader, place: string, offset: number, value: string): void {
    const seen = reader.seen.get(place) ?? []
    const note = (kind: AnomalyKind): void =>
      void this.#anomalies.push({ kind, reader: reader.name, place, offset })
    if (offset <= (seen.at(-1)?.offset ?? -1)) note('order')
    seen.push({ offset, value })
    reader.seen.set(place, seen)
    if (reader.isolation === 'read_uncommitted') return
    const record = this.#written.get(place)?.find((one) => one.offset === offset)
    if (record?.transaction?.outcome === 'open') note('early')
  }

  /**
   * Everything that was wrong. `ends`: where the readers have come to, and not beyond; without it
   * nothing is missing behind the last record that one saw.
   */
  anomalies(ends: ReadonlyMap<string, number> = new Map()): readonly Anomaly[] {
    const found = [...this.#anomalies]
    for (const reader of this.#readers) {
      for (const place of new Set([...this.#written.keys(), ...reader.seen.keys()])) {
        found.push(...this.#anomaliesOf(reader, place, ends.get(place) ?? 0))
      }
    }
    return found
  }

  #anomaliesOf(reader: NotedReader, place: string, end: number): readonly Anomaly[] {
    const found: Anomaly[] = []
    const note = (kind: AnomalyKind, offset: number): void =>
      void found.push({ kind, reader: reader.name, place, offset })
    const written = new Map((this.#written.get(place) ?? []).map((one) => [one.offset, one]))
    const seen = new Set<number>()
    for (const { offset, value } of reader.seen.get(place) ?? []) {
      const record = written.get(offset)
      if (record?.value !== value) note('invented', offset)
      else if (!reader.mayEverSee(record.transaction)) note('aborted', offset)
      seen.add(offset)
    }
    const last = Math.max(-1, ...seen)
    const from = reader.from.get(place)
    if (from === undefined && reader.from.size > 0) return found // It does not read this one.
    for (const { offset, transaction } of written.values()) {
      if (offset < (from ?? 0) || seen.has(offset) || !reader.mustSee(transaction)) continue
      if (offset < last) note('gap', offset)
      else if (offset < end) note('missing', offset)
    }
    return found
  }
}

/** A reader, with all that it saw, by partition. */
export class NotedReader {
  readonly name: string
  readonly isolation: Isolation
  readonly from: ReadonlyMap<string, number>
  readonly seen: Map<string, { readonly offset: number; readonly value: string }[]> = new Map()

  constructor(name: string, isolation: Isolation, from: ReadonlyMap<string, number>) {
    this.name = name
    this.isolation = isolation
    this.from = from
  }

  mayEverSee(transaction: NotedTransaction | null): boolean {
    return this.isolation === 'read_uncommitted' || transaction?.outcome !== 'aborted'
  }

  mustSee(transaction: NotedTransaction | null): boolean {
    if (this.isolation === 'read_uncommitted' || transaction === null) return true
    return transaction.outcome === 'committed'
  }
}
