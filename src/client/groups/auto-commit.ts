/**
 * AutoCommit: which positions of a member are handled and not written yet, and when they are.
 *
 *   I1  written are handled positions only, each at most once
 *   I2  after `records` handled records, or `intervalMs` after the first of them, whichever is
 *       first, everything handled is written: so much may come again after a crash, no more
 *   I3  while a hook is told that a partition goes, its position is the hook's: it is written after
 *   I4  what a transaction covers is the transaction's to commit, and never written
 *   I5  what cannot be written stays to be written: whoever asks for records next is told why
 * Hot: `counted` runs once a record.
 */
import { afterTurn, type Clock } from '../../log/clock.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** When handled positions are written. */
export interface AutoCommitOptions {
  readonly records: number
  readonly intervalMs: number
}

/** Writes the positions of partitions. @throws {LogError} What a commit throws. */
export type WritePositions = (feeds: readonly PartitionFeed[]) => void

/** The handled positions of one member that are not written. */
export class AutoCommit {
  readonly #clock: Clock
  /** Null: nothing is committed by itself. */
  readonly #options: AutoCommitOptions | null
  readonly #write: WritePositions
  #unwritten: PartitionFeed[] = []
  /** Records handled since the last write. */
  #recordCount = 0
  #timer: unknown
  #isDueAfterTurn = false
  #isStopped = false
  #hasFailed = false

  constructor(clock: Clock, options: AutoCommitOptions | null, write: WritePositions) {
    this.#clock = clock
    this.#options = options
    this.#write = write
  }

  /** The last write failed: the next ask is to try again. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** A partition's handled position moved; said once until it is written. */
  readonly moved = (feed: PartitionFeed): void => {
    if (this.#options === null) return // Nobody would take it out again.
    this.#unwritten.push(feed)
    this.#writeInTime()
  }

  /**
   * So many more records were handled; the member asks for the next. Hot.
   * @throws {LogError} What keeps positions from being written.
   */
  counted(recordCount: number): void {
    this.#recordCount += recordCount
    if (this.#options === null) return
    if (this.#recordCount >= this.#options.records || this.#hasFailed) this.write()
  }

  /** As `counted`; a failure is told to whoever asks next. */
  countedQuietly(recordCount: number): void {
    this.#recordCount += recordCount
    if (this.#options !== null && this.#recordCount >= this.#options.records) this.writeQuietly()
  }

  /** As `write`; of a failure who asks next is told: it is tried again then, or in time (I5). */
  writeQuietly(): void {
    try {
      this.write()
    } catch {
      this.#writeInTime() // I5: `#hasFailed` is set.
    }
  }

  /** A batch was handled: written when the current turn of the event loop is over. */
  soon(): void {
    if (this.#options === null || this.#isDueAfterTurn || this.#unwritten.length === 0) return
    this.#isDueAfterTurn = true
    afterTurn(this.#turnIsOver)
  }

  /** Writes what is handled. @throws {LogError} What keeps it from being written: it stays. */
  write(): void {
    if (this.#options === null || this.#isStopped || this.#unwritten.length === 0) return
    const left = this.#unwritten.filter(isToWrite)
    const feeds = left.filter((feed) => !feed.isToldRevoked)
    this.#hasFailed = true
    if (feeds.length > 0) this.#write(feeds)
    this.#hasFailed = false
    this.#unwritten = left.filter((feed) => feed.isToldRevoked)
    this.#recordCount = 0
  }

  /** Positions were written by the user, or are not to be. */
  written(feeds: readonly PartitionFeed[]): void {
    for (const feed of feeds) feed.isUnwritten = false
    this.#unwritten = this.#unwritten.filter((feed) => feed.isUnwritten)
  }

  /** Nothing is written by itself any more. */
  stop(): void {
    this.#isStopped = true
    this.#unwritten = []
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #writeInTime(): void {
    if (this.#options === null || this.#timer !== undefined || this.#isStopped) return
    this.#timer = this.#clock.setTimeout(this.#timeIsUp, this.#options.intervalMs)
  }

  readonly #timeIsUp = (): void => {
    this.#timer = undefined
    this.writeQuietly()
  }

  readonly #turnIsOver = (): void => {
    this.#isDueAfterTurn = false
    this.writeQuietly()
  }
}

/** A position that moves behind what is covered is told again (I4). */
function isToWrite(feed: PartitionFeed): boolean {
  if (feed.isCovered) feed.isUnwritten = false
  return feed.isUnwritten && !feed.isLost
}
