/**
 * RunTaken: records that a member handed to `run` (member-feed.ts says what each call promises).
 */
import type { LogRecord } from '../log-record.ts'
import type { Anything } from '../standard-schema.ts'
import type { Coverage } from './coverage.ts'
import type { HandedRun } from './hand-over.ts'
import type { TakenRecords } from './member-feed.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** What becomes of taken records. */
export interface TakenHost {
  /** So many records of the partition were handled; all that was taken together, or not. */
  handled(recordCount: number, isAll: boolean): void
  /** @throws {LogError} REBALANCED … */
  commit(feed: PartitionFeed, offset: number): void
  /** @throws {LogError} REBALANCED … */
  cover(feed: PartitionFeed, offset: number): Coverage
  released(feeds: readonly PartitionFeed[]): void
}

/** Records of one partition that were handed to `run`. */
export class RunTaken implements TakenRecords<LogRecord<Anything, Anything>> {
  readonly topic: string
  readonly partition: number
  readonly generation: number
  readonly records: readonly LogRecord<Anything, Anything>[]
  readonly nextOffset: number
  readonly highWatermark: number
  readonly #feed: PartitionFeed
  readonly #host: TakenHost
  readonly #seekCount: number
  #handledTo: number
  #isReleased = false

  constructor({ feed, records }: HandedRun, host: TakenHost) {
    this.topic = feed.topic
    this.partition = feed.partition
    this.generation = feed.generation
    this.records = records
    this.nextOffset = feed.position
    this.highWatermark = feed.log.highWatermark
    this.#feed = feed
    this.#host = host
    this.#seekCount = feed.seekCount
    this.#handledTo = records[0]?.offset ?? this.nextOffset
    feed.takenCount += 1
  }

  get signal(): AbortSignal {
    return this.#feed.signal
  }

  get isRevoking(): boolean {
    return this.#feed.isRevoking || this.#feed.isLost
  }

  handled(nextOffset: number): void {
    const feed = this.#feed
    if (feed.isLost || feed.seekCount !== this.#seekCount) return
    const recordCount = Math.max(0, nextOffset - this.#handledTo)
    this.#handledTo += recordCount
    feed.handleBelow(nextOffset)
    this.#host.handled(recordCount, nextOffset >= this.nextOffset)
  }

  commit(): void {
    this.#host.commit(this.#feed, this.nextOffset)
  }

  cover(nextOffset: number): Coverage {
    return this.#host.cover(this.#feed, nextOffset)
  }

  coveredOutcome(nextOffset: number): 'committed' | 'unknown' | undefined {
    return this.#feed.covered.outcomeOf(nextOffset)
  }

  uncover(): void {
    this.#feed.covered.clear()
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#feed.takenCount -= 1
    this.#host.released([this.#feed])
  }
}
