/**
 * RecordBook: every record that anybody tried to write, by the number that its value begins with,
 * and what became of it.
 *
 *   pending   nobody said anything yet: it may be there
 *   acked     it is there
 *   refused   it is not there, and never will be
 *   unknown   it may be there: a sync failed, or the process died before it could tell
 *   lost      a power cut took it: it never comes back
 * Numbers ascend in the order of sending, so of one sender they ascend within a partition.
 */
import type { RecordCursor } from '../../src/index.ts'
import { must } from './simulation-failure.ts'
import type { TransactionModel } from './transaction-model.ts'

/** What a record to be written is like. */
export interface RecordPlan {
  readonly topic: string
  /** −1: the partitioner's to say. */
  readonly partition: number
  readonly key: string | null
  readonly valueBytes: number
  readonly timestamp: number
  /** Whether it was given, or is the time of the call. */
  readonly isTimed: boolean
  readonly sender: number
}

/** One record that somebody tried to write. */
export interface WrittenRecord extends RecordPlan {
  readonly id: number
  state: 'pending' | 'acked' | 'refused' | 'unknown' | 'lost'
  /** Where it was acknowledged or seen; −1 before. */
  offset: number
  /** Where it was seen; −1 before. */
  seenIn: number
  /** What it counts together with. */
  transaction: TransactionModel | null
}

const DOT = 46
const ZERO = 48
const FILLER = 'x'.charCodeAt(0)

/** See the file's header. */
export class RecordBook {
  /** Bytes were damaged on purpose: records may be missing, none may be wrong. */
  isTainted = false
  /** Pages were written to places of others: a record may be found in a partition not its own. */
  isMisdirected = false
  readonly #records: WrittenRecord[] = []
  #chapterStart = 0

  /** Notes a record before it is sent. */
  add(plan: RecordPlan): WrittenRecord {
    const id = this.#records.length
    const unsent = { state: 'pending', offset: -1, seenIn: -1, transaction: null } as const
    const record = { ...plan, ...unsent, id }
    this.#records.push(record)
    return record
  }

  /** How many there are. */
  get count(): number {
    return this.#records.length
  }

  /** Every partition was read after a reopening: what was not there never comes. */
  closeChapter(): void {
    if (this.isTainted) return
    for (; this.#chapterStart < this.#records.length; this.#chapterStart++) {
      const record = this.of(this.#chapterStart)
      if (record.seenIn === -1 && record.state !== 'refused') record.state = 'lost'
    }
  }

  of(id: number): WrittenRecord {
    const record = this.#records[id]
    must(record !== undefined, () => `record ${id} was never written`)
    return record
  }

  /** The record that stands at the cursor, whose bytes are all as they were written. */
  at(cursor: RecordCursor, where: string): WrittenRecord {
    const { buffer, valueStart, valueLength, keyStart, keyLength } = cursor
    let at = valueStart
    let id = 0
    const end = valueStart + valueLength
    for (; at < end && buffer[at] !== DOT; at++) id = id * 10 + (buffer[at] ?? 0) - ZERO
    const record = this.#records[id]
    must(record !== undefined && at < end, () => `${where}: a record that nobody wrote`)
    must(
      valueLength === valueOf(record).length,
      () => `${where}: record ${id} has ${valueLength} bytes`,
    )
    for (at += 1; at < end; at++)
      must(buffer[at] === FILLER, () => `${where}: record ${id} has a wrong byte`)
    const { key } = record
    const isKey =
      key === null
        ? keyLength === -1
        : key.length === keyLength &&
          key === buffer.toString('latin1', keyStart, keyStart + keyLength)
    must(isKey, () => `${where}: record ${id} has another key`)
    return record
  }
}

/** The value of a record. */
export function valueOf({ id, valueBytes }: WrittenRecord): string {
  return `${id}.`.padEnd(valueBytes, 'x')
}
