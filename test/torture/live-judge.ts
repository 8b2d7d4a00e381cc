/**
 * What is wrong with what a reader of the readers' campaign saw, given what was in the log. Pure.
 *
 *   torn         a record that is not whole, or not one of the partition that it was read from
 *   phantom      one that nobody wrote there; or that a crash took back after it was shown
 *   duplicate    one that was shown before
 *   reorder      one that lies before the last one
 *   loss         one was left out, which the start of the log had not passed by then, and which no
 *                compaction may have taken
 *   aborted      one of an aborted transaction, to who reads what is committed
 *   early        one of a transaction before its commit began, or any one before its append did
 *   undurable    one that no flush had begun to cover, to who reads what is durable
 *   gone         the topic was said to be deleted before anybody did that
 *   unfinished   it did not come to the last record
 *   table        its table is not what the log says at its end
 *   sum          its checksum over all that is left is another one than the writer's
 *   failed       a call failed as none may
 */
import { unreachable } from '../../src/errors/invariant.ts'
import type { ReaderNote, Run, Timed } from './live-events.ts'
import { isDeletion, keyOf, nameOf } from './live-records.ts'
import type { LiveTruth, TruePartition, TrueRecord } from './live-truth.ts'

/** What is wrong. */
export type FindingKind =
  | 'torn'
  | 'phantom'
  | 'duplicate'
  | 'reorder'
  | 'loss'
  | 'aborted'
  | 'early'
  | 'undurable'
  | 'gone'
  | 'unfinished'
  | 'table'
  | 'sum'
  | 'failed'

/** One thing that is wrong. */
export interface Finding {
  readonly kind: FindingKind
  readonly reader: string
  readonly where: string
}

/** A reader, with all that it told in its lives, one after the other. */
export interface JudgedReader {
  readonly name: string
  readonly isolation: 'read_uncommitted' | 'read_committed'
  readonly visibility: 'written' | 'durable'
  /** Has to have come to the end. */
  readonly mustFinish: boolean
  readonly notes: readonly Timed<ReaderNote>[]
}

/** What readers together say, so that a batch whose end nobody told has one place for all. */
export function settleByReaders(truth: LiveTruth, readers: readonly JudgedReader[]): void {
  for (const { notes } of readers) {
    for (const note of notes) {
      if (note.what !== 'saw') continue
      const partition = truth.of(note)
      for (const [offset, seq, count] of note.runs) {
        for (let at = 0; at < count; at += 1) partition.settle(offset + at, seq + at)
      }
    }
  }
}

/** All that is wrong with what `reader` saw. */
export function judge(truth: LiveTruth, reader: JudgedReader): readonly Finding[] {
  const findings: Finding[] = []
  const find = (kind: FindingKind, where: string): void =>
    void findings.push({ kind, reader: reader.name, where })
  const views = new Map<string, View>()
  const viewOf = (partition: TruePartition): View => {
    const name = nameOf(partition.place)
    const view = views.get(name) ?? new View(truth, partition, reader, find)
    views.set(name, view)
    return view
  }
  for (const note of reader.notes) {
    switch (note.what) {
      case 'saw':
        for (const run of note.runs) viewOf(truth.of(note)).saw(run)
        break
      case 'gone':
        if (truth.of(note).deletingMs > note.atMs) find('gone', nameOf(note))
        break
      case 'removed':
        if (!truth.of(note).hadStart(note.start, note.atMs))
          find('loss', `${nameOf(note)}@${note.offset}: the log never began at ${note.start}`)
        break
      case 'torn':
      case 'failed':
        find(note.what, note.message)
        break
      case 'sum': {
        const own = truth.sums.get(nameOf(note))
        const expected = reader.isolation === 'read_committed' ? own?.committed : own?.uncommitted
        if (note.sum !== expected) find('sum', `${nameOf(note)}: ${note.sum}, not ${expected}`)
        break
      }
      case 'table':
        judgeTable(truth, note.id, note.keys, find)
        break
      case 'began':
      case 'over':
        break
      default:
        unreachable(note)
    }
  }
  if (reader.mustFinish) {
    for (const partition of truth.partitions.values()) {
      if (partition.last !== undefined) viewOf(partition).finished(partition.last)
    }
    if (reader.notes.at(-1)?.what !== 'over') find('unfinished', 'it did not end by itself')
  }
  return findings
}

/** What a reader saw of one partition. */
class View {
  readonly #truth: LiveTruth
  readonly #partition: TruePartition
  readonly #reader: JudgedReader
  readonly #find: (kind: FindingKind, where: string) => void
  /** In `records`, of the first one that is at or behind where the reader is. */
  #at = 0
  #lastOffset = -1
  readonly #seen = new Set<number>()

  constructor(
    truth: LiveTruth,
    partition: TruePartition,
    reader: JudgedReader,
    find: (kind: FindingKind, where: string) => void,
  ) {
    this.#truth = truth
    this.#partition = partition
    this.#reader = reader
    this.#find = find
  }

  saw([offset, seq, count, atMs]: Run): void {
    for (let at = 0; at < count; at += 1) this.#one(offset + at, seq + at, atMs)
  }

  finished(last: number): void {
    if (this.#lastOffset < last) {
      this.#find('unfinished', `${this.#where(last)}: it came to ${this.#lastOffset}`)
    }
  }

  #one(offset: number, seq: number, atMs: number): void {
    const where = this.#where(offset, seq)
    if (offset <= this.#lastOffset) {
      this.#find(this.#seen.has(offset) ? 'duplicate' : 'reorder', where)
      return
    }
    const record = this.#partition.byOffset.get(offset)
    if (record?.seq !== seq) this.#find('phantom', `${where}, there is ${record?.seq}`)
    else this.#checkTime(record, where, atMs)
    this.#checkGap(offset, atMs)
    this.#seen.add(offset)
    this.#lastOffset = offset
  }

  #checkTime(record: TrueRecord, where: string, atMs: number): void {
    if (record.begunMs > atMs) this.#find('early', `${where}, ${record.begunMs - atMs} ms`)
    if (this.#reader.isolation === 'read_committed' && record.tx !== '') {
      const transaction = this.#truth.transactions.get(record.tx)
      if (this.#truth.isCommitted(record) === false) this.#find('aborted', `${where}, ${record.tx}`)
      else if (transaction !== undefined && transaction.committingMs > atMs)
        this.#find('early', `${where} of ${record.tx}`)
    }
    if (this.#reader.visibility === 'written' || !this.#partition.isStrict) return
    const { offset } = record
    const isCovered = this.#partition.durable.some((one) => one.end > offset && one.sinceMs <= atMs)
    if (!isCovered) this.#find('undurable', where)
  }

  /** All that lies between the last record and this one has to be accounted for. */
  #checkGap(offset: number, atMs: number): void {
    const { records } = this.#partition
    let missing: TrueRecord | undefined
    for (; this.#at < records.length; this.#at += 1) {
      const record = records[this.#at]
      if (record === undefined || record.offset > offset) break
      if (record.offset <= this.#lastOffset || record.offset === offset) continue
      if (this.#mustSee(record)) missing = record
    }
    if (missing === undefined) return
    const behind = missing.offset
    const isRemoved = this.#partition.starts.some(
      (start) => start.offset > behind && start.offset <= offset && start.sinceMs <= atMs,
    )
    if (!isRemoved) this.#find('loss', `${this.#where(behind, missing.seq)} before ${offset}`)
  }

  #mustSee(record: TrueRecord): boolean {
    if (this.#partition.isSuperseded(record)) return false
    return this.#reader.isolation === 'read_uncommitted' || this.#truth.isCommitted(record) === true
  }

  #where(offset: number, seq?: number): string {
    return `${nameOf(this.#partition.place)}@${offset}${seq === undefined ? '' : `#${seq}`}`
  }
}

/** The keys of a table against the last record of each. */
function judgeTable(
  truth: LiveTruth,
  id: string,
  keys: readonly string[],
  find: (kind: FindingKind, where: string) => void,
): void {
  const expected = new Set<string>()
  for (const { place, records, last } of truth.partitions.values()) {
    if (place.id !== id) continue
    const lastOfKey = new Map<string, TrueRecord>()
    for (const record of records) {
      if (record.offset !== last && truth.isCommitted(record) === true)
        lastOfKey.set(keyOf(record.seq), record)
    }
    for (const [key, { seq }] of lastOfKey) {
      if (!isDeletion(seq)) expected.add(`${place.partition}/${key}=${seq}`)
    }
  }
  const found = new Set(keys)
  for (const one of expected) if (!found.has(one)) find('table', `${id}: ${one} is not there`)
  for (const one of found) if (!expected.has(one)) find('table', `${id}: ${one} is there`)
}
