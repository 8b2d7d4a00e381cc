/**
 * HandOver: what a member has handed to its user and not got back, for the ways of consuming that
 * ask for one thing after the other: records, batches, polls. Asking for the next gives back what
 * was handed over before: it counts as handled, and its partition may be given away.
 *
 *   I1  what is in the user's hands is never committed by itself, and keeps its partition
 *   I2  what waits for more of its batch is less than a batch of each partition, and about
 *       `maxBytes` of all
 * Hot: `nextRecord` runs once a record.
 */
import type { Clock } from '../../log/clock.ts'
import type { StoredRecord } from '../log-record.ts'
import type { AutoCommit } from './auto-commit.ts'
import type { MemberReads } from './member-reads.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** Records of one partition, as they go to the user. */
export interface HandedRun {
  readonly feed: PartitionFeed
  readonly records: StoredRecord[]
}

/** How much to hand over at once. */
export interface RunLimit {
  readonly max: number
  /** Since the oldest record was there. */
  readonly waitMs: number
}

/** What handing over works with. */
export interface HandOverParts {
  readonly clock: Clock
  readonly reads: MemberReads
  readonly autoCommit: AutoCommit
  readonly maxBytes: number
  /** Nothing of these is in anybody's hands any more. */
  readonly released: (feeds: readonly PartitionFeed[]) => void
}

/** What one member's user has in hand. */
export class HandOver {
  readonly #parts: HandOverParts
  readonly #reads: MemberReads
  readonly #autoCommit: AutoCommit
  /** Of the record in hand, where records are handed over one by one. */
  #held: PartitionFeed | undefined
  /** Of the poll or batch in hand, each once. */
  #handed: PartitionFeed[] = []
  /** Partitions of which records wait for more of their batch: that of the oldest one first. */
  #gathering: { readonly feed: PartitionFeed; readonly sinceMs: number }[] = []

  constructor(parts: HandOverParts) {
    this.#parts = parts
    this.#reads = parts.reads
    this.#autoCommit = parts.autoCommit
  }

  /**
   * The next record at hand; the one before is handled. Hot.
   * @throws {LogError} What keeps records from being read, or positions from being written.
   */
  nextRecord(): StoredRecord | undefined {
    const held = this.#held
    if (held === undefined) return this.#firstRecord()
    held.handleAll()
    this.#autoCommit.counted(1)
    const record = this.#reads.current === held ? this.#reads.takeFromCurrent() : undefined
    return record ?? this.#recordOfNext(held)
  }

  /** Everything in hand is handled, and given back; written unless its partition is given up. */
  giveBack(): void {
    const wasBatch = this.#handed.length > 0
    this.handled()
    this.#release()
    if (wasBatch || this.#autoCommit.hasFailed) this.#autoCommit.write()
  }

  /** Partitions of which something is in hand. */
  get inHand(): readonly PartitionFeed[] {
    return this.#held === undefined ? this.#handed : [...this.#handed, this.#held]
  }

  /** Everything in hand is handled. */
  handled(): void {
    if (this.#held !== undefined) {
      this.#held.handleAll()
      this.#autoCommit.counted(1)
    }
    for (const feed of this.#handed) if (!feed.isLost) feed.handleAll()
  }

  /** Nothing in hand is handled, and all of it is given back. */
  abandon(): void {
    for (const feed of this.inHand) feed.takeBack()
    this.#release()
  }

  #release(): void {
    const feeds = this.#handed
    if (this.#held !== undefined) feeds.push(this.#held)
    if (feeds.length === 0) return
    this.#held = undefined
    this.#handed = []
    for (const feed of feeds) feed.takenCount -= 1
    this.#parts.released(feeds)
  }

  /** Records of whatever partitions have some, up to `max`; undefined where none has. */
  poll(max: number): StoredRecord[] | undefined {
    const records: StoredRecord[] = []
    let bytes = 0
    while (records.length < max && bytes < this.#parts.maxBytes) {
      const record = records.length === 0 ? this.#reads.take() : this.#takeQuietly()
      if (record === undefined) break
      const feed = this.#reads.current
      records.push(record)
      if (feed === undefined) continue
      bytes += feed.recordBytes
      this.#handOut(feed)
    }
    return records.length === 0 ? undefined : records
  }

  /** A run of one partition, for its user to have until the next one is asked for. */
  batch(limit: RunLimit): HandedRun | undefined {
    const run = this.run(limit)
    if (run !== undefined) this.#handOut(run.feed)
    return run
  }

  /**
   * Records of one partition: `max` of them, or what there is when the oldest has waited enough.
   * Undefined where nothing is to be handed over yet.
   */
  run({ max, waitMs }: RunLimit): HandedRun | undefined {
    if (waitMs > 0 || this.#gathering.length > 0) return this.#gathered(max, waitMs)
    const first = this.#reads.take()
    const feed = this.#reads.current
    if (first === undefined || feed === undefined) return undefined
    const records = [first]
    let bytes = feed.recordBytes
    while (records.length < max && bytes < this.#parts.maxBytes) {
      const record = more(feed)
      if (record === undefined) break
      records.push(record)
      bytes += feed.recordBytes
    }
    return { feed, records }
  }

  /** How long until the oldest record that waits has waited `waitMs`; undefined where none does. */
  dueInMs(waitMs: number): number | undefined {
    const [oldest] = this.#gathering
    if (oldest === undefined) return undefined
    return Math.max(0, oldest.sinceMs + waitMs - this.#parts.clock.monotonicNow())
  }

  #firstRecord(): StoredRecord | undefined {
    if (this.#handed.length > 0) this.giveBack()
    const record = this.#reads.take()
    if (record !== undefined) this.#hold(this.#reads.current)
    return record
  }

  /** The run of the partition of the record in hand is over, or the partition is not read now. */
  #recordOfNext(held: PartitionFeed): StoredRecord | undefined {
    // Given back first: a partition that has to move does so while another one is read.
    this.#release()
    const record = this.#reads.take()
    if (record !== undefined) this.#hold(this.#reads.current)
    else if (held.isUnwritten) this.#autoCommit.soon()
    return record
  }

  #hold(feed: PartitionFeed | undefined): void {
    if (feed === undefined) return
    feed.takenCount += 1
    this.#held = feed
  }

  #handOut(feed: PartitionFeed): void {
    if (this.#handed.includes(feed)) return
    feed.takenCount += 1
    this.#handed.push(feed)
  }

  /** What was taken before the failure is handed over first: the next ask meets it again. */
  #takeQuietly(): StoredRecord | undefined {
    try {
      return this.#reads.take()
    } catch {
      return undefined
    }
  }

  #gathered(max: number, waitMs: number): HandedRun | undefined {
    this.#gathering = this.#gathering.filter(({ feed }) => feed.gatheredCount > 0 && feed.mayRead)
    let bytes = 0
    for (const { feed } of this.#gathering) {
      if (feed.gatheredCount >= max) return this.#handGathered(feed)
      bytes += feed.gatheredBytes
    }
    const { maxBytes } = this.#parts
    while (bytes < maxBytes) {
      const record = this.#gathering.length === 0 ? this.#reads.take() : this.#takeQuietly()
      const feed = this.#reads.current
      if (record === undefined || feed === undefined) break
      if (feed.gatheredCount === 0) {
        this.#gathering.push({ feed, sinceMs: this.#parts.clock.monotonicNow() })
      }
      feed.gather(record)
      bytes += feed.recordBytes
      if (feed.gatheredCount >= max) return this.#handGathered(feed)
    }
    const [oldest] = this.#gathering
    if (oldest === undefined) return undefined
    const isDue = bytes >= maxBytes || this.dueInMs(waitMs) === 0
    return isDue ? this.#handGathered(oldest.feed) : undefined
  }

  #handGathered(feed: PartitionFeed): HandedRun {
    this.#gathering = this.#gathering.filter((other) => other.feed !== feed)
    return { feed, records: feed.takeGathered() }
  }
}

/**
 * The partition's next record, where that takes no waiting. What keeps it from being read is met
 * again by the next ask: what was taken before it is handed over first.
 */
function more(feed: PartitionFeed): StoredRecord | undefined {
  try {
    for (;;) {
      const record = feed.take()
      if (record !== undefined) return record
      if (feed.pace.readsAhead || !feed.load()) return undefined
    }
  } catch {
    return undefined
  }
}
