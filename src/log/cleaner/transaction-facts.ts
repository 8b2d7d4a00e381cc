/**
 * TransactionFacts: how the transactions of a partition ended, for the cleaner: which batches are
 * of an aborted one, and what the .txnindex of a cleaned segment is to keep.
 *
 * Most partitions never have a transaction, so nothing is looked at before the first batch of one.
 * What .txnindex files say counts from where a run of them up to the newest is vouched for
 * (transaction-index.ts); what lies before that is read, in slices, for the markers that it has.
 *   I1  asked only about batches below the last stable offset: each has its marker
 *   I2  once loaded the facts stay, whatever the pass replaces
 */
import type { AbortedTransaction } from '../../format/aborted-transaction.ts'
import { attributesOf, isControlBatch, isTransactionalBatch } from '../../format/record-batch.ts'
import type { Procedure } from '../../storage/procedure.ts'
import type { Segment } from '../../storage/segment.ts'
import { ProducerStates } from '../producer-states.ts'
import { type CleanedLog, SegmentBatches } from './segment-batches.ts'
import type { PassWork } from './pass-work.ts'

/** Files that are looked at before others have their turn. */
const FILES_AT_ONCE = 64

/** Of one producer, ascending: from the first offset to the marker's. */
interface AbortedRanges {
  readonly firsts: number[]
  readonly lasts: number[]
  readonly stables: number[]
}

/** See the file's header. */
export class TransactionFacts {
  readonly #log: CleanedLog
  readonly #byProducer = new Map<number, AbortedRanges>()
  #isLoaded = false

  /** Of `log`. */
  constructor(log: CleanedLog) {
    this.#log = log
  }

  /** False before `load`: then nothing can be asked. */
  get isLoaded(): boolean {
    return this.#isLoaded
  }

  /**
   * Finds out what there is.
   * @throws {LogError} CORRUPT or IO where the log cannot be read.
   */
  *load(work: PassWork): Procedure<void> {
    const segments = [...this.#log.segments]
    let vouchedFrom = segments.length
    for (; vouchedFrom > 0; vouchedFrom -= 1) {
      const segment = segments[vouchedFrom - 1]
      if (segment === undefined || this.#isGone(segment)) break
      if (segment.aborted.knownFrom > segment.baseOffset) break
      if (vouchedFrom % FILES_AT_ONCE === 0 && !(yield* work.turn())) return
    }
    if (!(yield* this.#walk(segments.slice(0, vouchedFrom), work))) return
    for (const segment of segments.slice(vouchedFrom)) {
      if (this.#isGone(segment)) continue
      for (const entry of segment.aborted.entries) this.#add(entry)
    }
    this.#isLoaded = true
  }

  /** Of what was deleted meanwhile nothing is asked: all of it lies below the start of the log. */
  #isGone(segment: Segment): boolean {
    return !this.#log.segments.includes(segment)
  }

  /** Whether the producer's batch at `baseOffset` is of a transaction that was aborted. Hot. */
  isAborted(producerId: number, baseOffset: number): boolean {
    const ranges = this.#byProducer.get(producerId)
    if (ranges === undefined) return false
    const at = firstBehind(ranges.lasts, baseOffset)
    return at < ranges.lasts.length && (ranges.firsts[at] ?? 0) <= baseOffset
  }

  /** What the producer's marker at `markerOffset` aborted, where it did. */
  abortedBy(producerId: number, markerOffset: number): AbortedTransaction | undefined {
    const ranges = this.#byProducer.get(producerId)
    if (ranges === undefined) return undefined
    const at = firstBehind(ranges.lasts, markerOffset - 1)
    const [firstOffset, lastOffset, stable] = [
      ranges.firsts[at],
      ranges.lasts[at],
      ranges.stables[at],
    ]
    if (firstOffset === undefined || stable === undefined) return undefined
    if (lastOffset !== markerOffset) return undefined
    return { producerId, firstOffset, lastOffset, lastStableOffset: stable }
  }

  /** Reads what nobody vouches for; false where the pass was stopped. */
  *#walk(segments: readonly Segment[], work: PassWork): Procedure<boolean> {
    const batches = new SegmentBatches(this.#log)
    const states = new ProducerStates(this.#log)
    for (const segment of segments) {
      batches.enter(segment)
      for (;;) {
        if (!batches.next()) {
          if (batches.isAtEnd) break
          if (!(yield* work.read(batches))) return false
          continue
        }
        const { buffer, at } = batches
        const attributes = attributesOf(buffer, at)
        if (isControlBatch(attributes) || isTransactionalBatch(attributes)) {
          const aborted = states.replay(buffer, at)
          if (aborted !== undefined) this.#add(aborted)
        }
        if (work.isSliceOver(batches.batchBytes) && !(yield* work.turn())) return false
      }
    }
    return true
  }

  #add({ producerId, firstOffset, lastOffset, lastStableOffset }: AbortedTransaction): void {
    let ranges = this.#byProducer.get(producerId)
    if (ranges === undefined) {
      ranges = { firsts: [], lasts: [], stables: [] }
      this.#byProducer.set(producerId, ranges)
    }
    ranges.firsts.push(firstOffset)
    ranges.lasts.push(lastOffset)
    ranges.stables.push(lastStableOffset)
  }
}

/** Number of markers at `offset` or in front of it. */
function firstBehind(lasts: readonly number[], offset: number): number {
  let low = 0
  let high = lasts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((lasts[middle] ?? 0) <= offset) low = middle + 1
    else high = middle
  }
  return low
}
