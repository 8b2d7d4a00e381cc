/**
 * RecordMarks: what lookups remember of large batches: where some of their records start, so that
 * nobody walks from the first one, which costs a cache miss a record, and what their headers say.
 *
 * Up to 256 marks a batch, taken when a lookup has read the whole of it. Bounded for the whole
 * process; the batch marked first is forgotten first. The bound itself keeps nothing alive: a log
 * that nobody holds any more goes with its marks, whether it was closed or not.
 *   I1  a batch has marks only after it passed its CRC and every record of it was read
 *   I2  what is remembered of a batch holds for its bytes, wherever they are: in memory, or at
 *       `position` of that very `segment`
 */
import type { BatchFacts } from '../format/record-batch-reader.ts'
import type { Segment } from '../storage/segment.ts'

/**
 * Marks of one batch at most: of a batch of 64 KiB, every 256 bytes. A lookup among records of
 * 100 B took 1,340 ns with 64, 1,230 with 256, 1,210 with 512: medians of three interleaved runs.
 */
const MARKS_PER_BATCH = 256
/** Places below this take two bytes. */
const SHORT_BYTES = 65_536
/** Batches with marks at most, some 700 B each: enough for 1 GiB in batches of 64 KiB. */
const MAX_BATCHES = 16_384

/** What is remembered of one batch: in one object, as each one more is a cache miss a lookup. */
export interface MarkedBatch extends BatchFacts {
  readonly sizeBytes: number
  readonly recordsPerMark: number
  /** Where in the batch records 0, n, 2n … start. */
  readonly places: Int32Array | Uint16Array
  /** Where the batch lies in a file, once it was seen there. */
  segment: Segment | undefined
  position: number
}

/** A batch that has marks, to the budget. */
interface Place {
  readonly owner: WeakRef<RecordMarks>
  readonly lastOffset: number
}

/** Bounds the marks of all partitions that share it. */
export class MarkBudget {
  readonly #maxBatches: number
  readonly #places: Place[] = []
  #oldest = 0

  constructor(maxBatches: number) {
    this.#maxBatches = maxBatches
  }

  /** Counts another batch; the oldest is forgotten where there are too many. */
  took(owner: WeakRef<RecordMarks>, lastOffset: number): void {
    if (this.#places.length < this.#maxBatches) {
      this.#places.push({ owner, lastOffset })
      return
    }
    const oldest = this.#places[this.#oldest]
    oldest?.owner.deref()?.forget(oldest.lastOffset)
    this.#places[this.#oldest] = { owner, lastOffset }
    this.#oldest = (this.#oldest + 1) % this.#maxBatches
  }
}

const OF_THIS_PROCESS = new MarkBudget(MAX_BATCHES)

/** The marks of one partition's batches. */
export class RecordMarks {
  readonly #budget: MarkBudget
  readonly #self: WeakRef<RecordMarks> = new WeakRef(this)
  /** By last offset, as indexes name batches. */
  readonly #batches = new Map<number, MarkedBatch>()

  constructor(budget: MarkBudget = OF_THIS_PROCESS) {
    this.#budget = budget
  }

  /** Batches that have marks now. */
  get batchCount(): number {
    return this.#batches.size
  }

  /** The batch that ends with `lastOffset`, where it has marks. */
  of(lastOffset: number): MarkedBatch | undefined {
    return this.#batches.get(lastOffset)
  }

  /** Marks for a batch; who calls sets every one of `places` at once (I1). */
  add(facts: BatchFacts, sizeBytes: number): MarkedBatch {
    const { recordCount, lastOffset } = facts
    const recordsPerMark = Math.ceil(recordCount / MARKS_PER_BATCH)
    const markCount = Math.ceil(recordCount / recordsPerMark)
    // Each field by its name: what a spread makes has its fields elsewhere, a miss more.
    const batch: MarkedBatch = {
      baseOffset: facts.baseOffset,
      lastOffset,
      leaderEpoch: facts.leaderEpoch,
      attributes: facts.attributes,
      recordCount,
      baseTimestamp: facts.baseTimestamp,
      appendTime: facts.appendTime,
      sizeBytes,
      recordsPerMark,
      places: sizeBytes < SHORT_BYTES ? new Uint16Array(markCount) : new Int32Array(markCount),
      segment: undefined,
      position: 0,
    }
    // A batch that is marked again has its place.
    if (!this.#batches.has(lastOffset)) this.#budget.took(this.#self, lastOffset)
    this.#batches.set(lastOffset, batch)
    return batch
  }

  /** Forgets every batch. */
  clear(): void {
    this.#batches.clear()
  }

  /** Its budget has no room for the batch any more. @internal */
  forget(lastOffset: number): void {
    this.#batches.delete(lastOffset)
  }
}
