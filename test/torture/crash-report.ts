/**
 * What the child and the parent of the crash tests tell each other.
 *
 *   parent -> child   one `LifePlan` as JSON, and the end of the child's stdin
 *   child -> parent   `LifeReport`s, a line each, written to descriptor 3 before the child goes on:
 *                     the kernel keeps what was written, so a kill loses no report, at most the
 *                     end of the last line
 */
import { writeSync } from 'node:fs'

const REPORT_DESCRIPTOR = 3

/** How the child appends. */
export type Writing = 'acks all' | 'acks 1' | 'append'

/** Where in its life a child is. */
export type Stage = 'opening' | 'working' | 'changing topics' | 'closing'

/** The child kills itself at a call that changes files: a kill between any two of them. */
export interface SelfKill {
  /** From where on calls are counted. */
  readonly stage: Stage
  readonly calls: number
}

/** What a child does with its life. */
export interface LifePlan {
  readonly directory: string
  readonly life: number
  readonly seed: number
  readonly writing: Writing
  /** Whether topics come and go meanwhile. */
  readonly changesTopics: boolean
  /** Records acknowledged after which it closes the log; null: it goes on until it is killed. */
  readonly closesAfter: number | null
  readonly selfKill: SelfKill | null
  /** The disk fills up now and then: records are sent one by one, and may be refused. */
  readonly roomIsScarce: boolean
  /** How many records of each partition, by `partitionName`, need no reading any more. */
  readonly known: Readonly<Record<string, number>>
}

/** How a partition is at open. */
export interface PartitionReport {
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly durableOffset: number
}

/** What a child says. */
export type LifeReport =
  | {
      readonly is: 'opened'
      readonly clean: boolean
      readonly damage: number
      readonly cuts: readonly (readonly [name: string, bytes: number, offset: number])[]
      readonly topics: Readonly<Record<string, readonly PartitionReport[]>>
    }
  /** It lies in the log. */
  | {
      readonly is: 'record'
      readonly name: string
      readonly offset: number
      readonly sequence: number
      readonly leaderEpoch: number
    }
  /** Everything in the log was read. */
  | { readonly is: 'read' }
  /** Is about to be sent. */
  | { readonly is: 'sending'; readonly name: string; readonly sequence: number }
  /** Null: that it is stored is known, but not where. */
  | {
      readonly is: 'acknowledged'
      readonly name: string
      readonly sequence: number
      readonly offset: number | null
    }
  /** The log had no room for it. */
  | { readonly is: 'refused'; readonly name: string; readonly sequence: number }
  | { readonly is: 'creating'; readonly topic: string; readonly partitions: number }
  | { readonly is: 'created'; readonly topic: string }
  | { readonly is: 'deleting'; readonly topic: string }
  | { readonly is: 'deleted'; readonly topic: string }
  | { readonly is: 'closing' }
  | { readonly is: 'closed' }
  /** What never may happen. */
  | { readonly is: 'failed'; readonly reason: string }

/** What a partition is called here. */
export function partitionName(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

/** Tells the parent; the reports are the kernel's when it returns. */
export function report(...reports: readonly LifeReport[]): void {
  const bytes = Buffer.from(reports.map((one) => `${JSON.stringify(one)}\n`).join(''))
  for (let done = 0; done < bytes.length;) done += writeSync(REPORT_DESCRIPTOR, bytes, done)
}

/** Takes what arrives from a child apart. */
export class ReportReader {
  #rest = ''

  /** The reports that `text` completes. */
  read(text: string): readonly LifeReport[] {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    return lines.map((line) => JSON.parse(line) as LifeReport) // `report` wrote it.
  }
}
