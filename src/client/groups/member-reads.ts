/**
 * MemberReads: the records that a member's partitions have for it, one after the other: whose turn
 * it is, what is read beside the event loop, and waking those who wait.
 *
 *   I1  a partition that has records is in one of the queues, its turn, or being loaded: what
 *       happens to one that is in none (`changed`) puts it there
 *   I2  a partition gives one run of batches and then goes to the back: none starves the others
 *   I3  at most one read off the event loop is under way, and none is begun while what the last one
 *       gave is still to be taken: memory is bounded by a few runs, however many partitions there
 *       are, and one that always has something in memory holds up none that has not
 * Hot: `take` runs once a record.
 */
import { Fifo } from '../fifo.ts'
import type { StoredRecord } from '../log-record.ts'
import type { StartPosition } from '../position.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** The records of one member. */
export class MemberReads {
  /** Partitions that may have something. */
  readonly #ready = new Fifo<PartitionFeed>()
  /** Partitions whose next batches are to be read off the event loop. */
  readonly #cold = new Fifo<PartitionFeed>()
  #current: PartitionFeed | undefined
  #isLoading = false
  /** What it was given by a read off the event loop is still to be taken. */
  #loadedAhead: PartitionFeed | undefined
  /** What a read off the event loop failed with: the next `take` says so. */
  #failure: { readonly feed: PartitionFeed; readonly error: unknown } | undefined
  #sleepers: (() => void)[] = []

  /** The partition that gave the last record; undefined where it may not give another. */
  get current(): PartitionFeed | undefined {
    return this.#current
  }

  /** The device is being waited for. */
  get isLoading(): boolean {
    return this.#isLoading
  }

  /** Something may have come, or may be read again. */
  changed(feed: PartitionFeed): void {
    if (feed.isQueued || feed.isLoading || feed === this.#current || !feed.mayRead) return
    this.#queue(feed)
    this.wake()
  }

  /** Nothing more of it is wanted at present: what was read of it and not taken is dropped. */
  drop(feed: PartitionFeed): void {
    if (this.#current === feed) this.#current = undefined
    feed.discard()
  }

  /** Nothing more of it is taken until `resume`. */
  pause(feed: PartitionFeed): void {
    feed.isPaused = true
    this.drop(feed)
  }

  resume(feed: PartitionFeed): void {
    feed.isPaused = false
    this.changed(feed)
  }

  /** Goes on at `to`. @throws {LogError} OFFSET_OUT_OF_RANGE: nothing changed. */
  seek(feed: PartitionFeed, to: StartPosition): void {
    feed.seek(to)
    this.drop(feed)
    this.changed(feed)
  }

  /** The next one gets its turn; what is at hand of this one stays. */
  turn(): void {
    const last = this.#current
    this.#current = undefined
    if (last !== undefined && last.mayRead && !last.isQueued && !last.isLoading) this.#queue(last)
  }

  /**
   * The next record at hand, of `current`. Hot.
   * @throws {LogError} What keeps a partition from being read, each time until that is no more.
   */
  take(): StoredRecord | undefined {
    return this.takeFromCurrent() ?? this.#takeFromNext()
  }

  /** As `take`, of the partition whose turn it is, and only of its run at hand. Hot. */
  takeFromCurrent(): StoredRecord | undefined {
    const current = this.#current
    return current === undefined ? undefined : this.#guarded(current)
  }

  /**
   * Resolves when something changed. To be called in the same turn as the look that found nothing.
   */
  sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#sleepers.push(resolve)
    })
  }

  /** Whoever waits looks again. */
  wake(): void {
    if (this.#sleepers.length === 0) return
    const sleepers = this.#sleepers
    this.#sleepers = []
    for (const wakeUp of sleepers) wakeUp()
  }

  /** The run of `current` is over. */
  #takeFromNext(): StoredRecord | undefined {
    this.turn()
    this.#throwFailure()
    for (;;) {
      const feed = this.#ready.shift()
      if (feed === undefined) break
      feed.isQueued = false
      if (this.#loadedAhead === feed) this.#loadedAhead = undefined
      if (!feed.mayRead || feed.isLoading) continue
      const record = this.#firstLoaded(feed)
      if (record === undefined) continue
      this.#current = feed
      if (this.#loadedAhead === undefined) this.#loadCold()
      return record
    }
    this.#loadCold()
    return undefined
  }

  #firstLoaded(feed: PartitionFeed): StoredRecord | undefined {
    for (;;) {
      // A run may hold control records alone.
      const record = this.#guarded(feed)
      if (record !== undefined) return record
      if (feed.pace.readsAhead) {
        feed.isQueued = true
        this.#cold.push(feed)
        return undefined
      }
      try {
        if (!feed.load()) return undefined
      } catch (error) {
        this.#queue(feed)
        throw error
      }
    }
  }

  /** Of a partition that is not read any more, nobody needs to know. */
  #throwFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure?.feed.mayRead === true) throw failure.error
  }

  #guarded(feed: PartitionFeed): StoredRecord | undefined {
    try {
      return feed.take()
    } catch (error) {
      if (this.#current === feed) this.#current = undefined
      if (!feed.isQueued) this.#queue(feed)
      throw error
    }
  }

  #queue(feed: PartitionFeed): void {
    feed.isQueued = true
    this.#ready.push(feed)
  }

  #loadCold(): void {
    while (!this.#isLoading) {
      const feed = this.#cold.shift()
      if (feed === undefined) return
      feed.isQueued = false
      if (feed.mayRead && !feed.isLoading) void this.#loadAhead(feed)
    }
  }

  /** Never rejects. */
  async #loadAhead(feed: PartitionFeed): Promise<void> {
    this.#isLoading = true
    feed.isLoading = true
    try {
      await feed.loadAhead()
    } catch (error) {
      this.#failure = { feed, error }
    }
    feed.isLoading = false
    this.#isLoading = false
    // Whether or not anything came: what changed meanwhile was not queued.
    if (feed.mayRead && !feed.isQueued) {
      this.#queue(feed)
      this.#loadedAhead = feed
    }
    this.wake()
  }
}
