/**
 * What the child and the parent of the crash tests tell each other.
 *
 *   parent -> child   one `LifePlan` as JSON, and the end of the child's stdin
 *   child -> parent   `LifeReport`s, a line each, written to descriptor 3 before the child goes on:
 *                     the kernel keeps what was written, so a kill loses no report, at most the
 *                     end of the last line
 */
import { writeSync } from 'node:fs'
import type { EventLog } from '../../src/index.ts'

/** Where the child writes its reports. */
export const REPORT_DESCRIPTOR = 3

/** How the child appends. */
export type Writing = 'acks all' | 'acks 1' | 'acks 0' | 'append'

/** Where in its life a child is. */
export type Stage = 'opening' | 'working' | 'changing topics' | 'closing'

/** Just before a call, in the middle of it where it is a write, or when it has returned. */
export type KillPhase = 'before' | 'middle' | 'after'

/** The child kills itself at a call that changes files: a kill between any two of them. */
export interface SelfKill {
  /** From where on calls are counted. */
  readonly stage: Stage
  readonly calls: number
  readonly phase: KillPhase
}

/**
 * What a child works on: 'endless' writes at random until it is killed or may close, 'script' does
 * everything once, in the same order each time, 'failing sync' appends and syncs twice, 'positions'
 * commits positions of a group (crash-script.ts).
 */
export type Work = 'endless' | 'script' | 'failing sync' | 'positions'

/** The group whose positions are told. */
export const GROUP = 'group'

/** What a child does with its life. */
export interface LifePlan {
  readonly directory: string
  readonly life: number
  readonly seed: number
  readonly work: Work
  readonly writing: Writing
  /** Whether topics come and go meanwhile. */
  readonly changesTopics: boolean
  /** Records acknowledged after which it closes the log; null: it goes on until it is killed. */
  readonly closesAfter: number | null
  readonly selfKill: SelfKill | null
  /** For how long it waits for another child that has the lock. */
  readonly lockTimeoutMs: number
  /** Where the calls that it makes go to, all of those below `root`; null: nowhere. */
  readonly trace: TracePlan | null
  /** The disk fills up now and then: records are sent one by one, and may be refused. */
  readonly roomIsScarce: boolean
  /** How many records of each partition, by `partitionName`, need no reading any more. */
  readonly known: Readonly<Record<string, number>>
}

/** A child that records what it does to files. */
export interface TracePlan {
  readonly root: string
  readonly file: string
  /** The nth sync of a .log fails, and the pages that it was for are lost; null: none does. */
  readonly failingSync: number | null
}

/** How a partition is at open. */
export interface PartitionReport {
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly durableOffset: number
}

/** How a topic is at open. */
export interface TopicReport {
  readonly segmentBytes: number
  readonly partitions: readonly PartitionReport[]
}

/** What the group of the children has committed, at open. */
export interface PositionsReport {
  /** By `partitionName`. */
  readonly found: Readonly<Record<string, number>>
  /** Those that recovery moved back to the end of their data. */
  readonly moved: readonly (readonly [name: string, from: number, to: number])[]
}

/** What a child says. */
export type LifeReport =
  | {
      readonly is: 'opened'
      readonly clean: boolean
      readonly damage: number
      readonly cuts: readonly (readonly [name: string, bytes: number, offset: number])[]
      readonly topics: Readonly<Record<string, TopicReport>>
      readonly positions: PositionsReport
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
  /** `offset` null: that it is stored is known, but not where. */
  | {
      readonly is: 'acknowledged'
      readonly name: string
      readonly sequence: number
      readonly offset: number | null
      /** Whether it was said to survive a power loss as well. */
      readonly isDurable: boolean
    }
  /** All before `offset` is said to survive a power loss. */
  | { readonly is: 'flushed'; readonly name: string; readonly offset: number }
  /** What is appended now gets this leader epoch. */
  | { readonly is: 'epoch'; readonly name: string; readonly leaderEpoch: number }
  /** The log had no room for it. */
  | { readonly is: 'refused'; readonly name: string; readonly sequence: number }
  | {
      readonly is: 'creating'
      readonly topic: string
      readonly partitions: number
      readonly segmentBytes: number
    }
  | { readonly is: 'created'; readonly topic: string }
  | { readonly is: 'deleting'; readonly topic: string }
  | { readonly is: 'deleted'; readonly topic: string }
  | { readonly is: 'altering'; readonly topic: string; readonly segmentBytes: number }
  | { readonly is: 'altered'; readonly topic: string }
  | { readonly is: 'growing'; readonly topic: string; readonly partitions: number }
  | { readonly is: 'grown'; readonly topic: string }
  /** Records before an offset are being deleted. */
  | { readonly is: 'removing'; readonly name: string; readonly beforeOffset: number }
  | { readonly is: 'removed'; readonly name: string }
  /** The group's position in a partition. */
  | { readonly is: 'committing'; readonly name: string; readonly offset: number }
  | { readonly is: 'committed'; readonly name: string; readonly isDurable: boolean }
  | { readonly is: 'closing' }
  | { readonly is: 'closed' }
  /** What never may happen. */
  | { readonly is: 'failed'; readonly reason: string }

/** What a partition is called here. */
export function partitionName(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

/** Every topic of a log, as `opened` tells it. */
export function topicReports(log: EventLog): Readonly<Record<string, TopicReport>> {
  const topics = log.topics().map(({ name, config, partitions }) => {
    const { segmentBytes } = config
    const reports = partitions.map(({ logStartOffset, logEndOffset, durableOffset }) => {
      return { logStartOffset, logEndOffset, durableOffset }
    })
    return [name, { segmentBytes, partitions: reports }] as const
  })
  return Object.fromEntries(topics)
}

/** What the group has committed, as `opened` tells it. */
export function positionsReport(log: EventLog): PositionsReport {
  const committed = log.consumerGroup(GROUP).offsets()
  const moved = log.recovery.positions.filter(({ group }) => group === GROUP)
  return {
    found: Object.fromEntries(
      committed.map(({ topic, partition, offset }) => [partitionName(topic, partition), offset]),
    ),
    moved: moved.map(({ topic, partition, from, to }) => [
      partitionName(topic, partition),
      from,
      to,
    ]),
  }
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
