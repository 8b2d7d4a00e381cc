/**
 * What the processes of the readers' campaign tell: the writer in its journal, each reader in its
 * notes, a line of JSON each. A kill takes nothing of a file but what was not written yet, and may
 * cut the last line. Times are those of the machine's monotonic clock, which all processes share.
 */
import { openSync, readFileSync, writeSync } from 'node:fs'
import type { Place } from './live-records.ts'

/** What a partition was like when a life had opened the log. */
export interface OpenedPartition {
  readonly start: number
  readonly end: number
  /** From where on `found` tells all that is there. */
  readonly lookedFrom: number
}

/** Records next to one another: their offsets and their numbers ascend by one. */
export type Run = readonly [offset: number, seq: number, count: number, atMs: number]

/** What the writer tells; before it does something, and after. */
export type WriterEvent =
  | { readonly what: 'opening'; readonly life: number }
  | {
      readonly what: 'opened'
      readonly partitions: readonly (Place & OpenedPartition)[]
    }
  | { readonly what: 'topic'; readonly id: string; readonly isCompacted: boolean }
  | { readonly what: 'deleting'; readonly id: string }
  | ({ readonly what: 'begun' } & Place & Numbers & { readonly tx: string })
  | ({ readonly what: 'done' } & Place & Numbers & { readonly offset: number })
  | { readonly what: 'committing' | 'committed' | 'aborting' | 'aborted'; readonly tx: string }
  /** Its start may be there from `sinceMs` on. */
  | ({ readonly what: 'start'; readonly offset: number; readonly sinceMs: number } & Place)
  /** Of a partition that nothing else makes durable. */
  | ({ readonly what: 'flushing'; readonly end: number } & Place)
  | ({ readonly what: 'strict' } & Place)
  /** Read by a life that has just opened the log. */
  | ({ readonly what: 'found'; readonly tx: string; readonly runs: readonly Run[] } & Place)
  /** A transaction that read_committed readers were shown then. */
  | { readonly what: 'shown'; readonly tx: string }
  | ({ readonly what: 'last'; readonly offset: number } & Place)
  | ({ readonly what: 'sum' } & Place & Sums)
  | { readonly what: 'over' }

interface Numbers {
  readonly seq: number
  readonly count: number
}

/** Checksums over all that is in a partition. */
export interface Sums {
  readonly committed: number
  readonly uncommitted: number
}

/** What a reader tells. */
export type ReaderNote =
  | { readonly what: 'began'; readonly pid: number }
  | ({ readonly what: 'saw'; readonly runs: readonly Run[] } & Place)
  /** Where it wanted to go on was removed. */
  | ({ readonly what: 'removed'; readonly offset: number; readonly start: number } & Place)
  | ({ readonly what: 'gone' } & Place)
  | { readonly what: 'torn' | 'failed'; readonly message: string }
  | { readonly what: 'table'; readonly id: string; readonly keys: readonly string[] }
  | ({ readonly what: 'sum'; readonly sum: number } & Place)
  | { readonly what: 'over' }

/** With its time, in milliseconds with a fraction. */
export type Timed<Event> = Event & { readonly atMs: number }

/** The time, the same in every process. */
export function nowMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

/** Writes events to a file, each at once. */
export class EventFile<Event> {
  readonly #descriptor: number

  constructor(path: string) {
    this.#descriptor = openSync(path, 'a')
  }

  tell(event: Event): void {
    writeSync(this.#descriptor, `${JSON.stringify({ ...event, atMs: nowMs() })}\n`)
  }
}

/** All whole lines of a file, which may be missing. */
export function readEvents<Event>(path: string): readonly Timed<Event>[] {
  let text = ''
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return [] // Its process was killed before it said anything.
  }
  const events: Timed<Event>[] = []
  for (const line of text.split('\n')) {
    // A kill cuts a line, and the next life goes on behind it.
    const start = line.lastIndexOf('{"what"')
    if (start < 0 || !line.endsWith('}')) continue
    events.push(JSON.parse(line.slice(start)) as Timed<Event>) // EventFile wrote it.
  }
  return events
}
