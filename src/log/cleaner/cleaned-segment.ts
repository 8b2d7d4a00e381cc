/**
 * CleanedSegment: what cleaning makes of some segments, written beside the log.
 *
 *   00000000000000004096.log.cleaned, .index.cleaned, .timeindex.cleaned, .txnindex.cleaned
 *
 * Batches gather in memory and are written many at a time. It is no segment of the log before it is
 * swapped in (segment-swap.ts): whatever ends the work, it is finished, or its files are removed.
 */
import { assert } from '../../errors/invariant.ts'
import type { AbortedTransaction } from '../../format/aborted-transaction.ts'
import type { BatchRoom } from '../../format/retained-batch.ts'
import type { Procedure } from '../../storage/procedure.ts'
import { Segment, type SegmentSettings } from '../../storage/segment.ts'
import type { SegmentContents } from '../../storage/segment-contents.ts'
import { segmentPath } from '../../storage/segment-indexes.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import { summaryOfBatch } from '../batch-summary.ts'

const WRITE_BYTES = 262_144
const SUFFIXES = ['.log', '.index', '.timeindex', '.txnindex'] as const

/** Where a cleaned segment is written. */
export interface CleanedPlace {
  readonly driver: StorageDriver
  readonly directory: string
  readonly baseOffset: number
}

/** See the file's header. */
export class CleanedSegment implements BatchRoom {
  /** Borrowed from `reserve` to `take`. */
  buffer: Buffer = Buffer.allocUnsafeSlow(WRITE_BYTES)
  readonly #segment: Segment
  #heldBytes = 0
  #writtenBytes = 0

  private constructor(segment: Segment) {
    this.#segment = segment
  }

  /** An empty one, in place of what an earlier attempt may have left. */
  static *create(place: CleanedPlace, settings: SegmentSettings): Procedure<CleanedSegment> {
    yield* removeCleaned(place)
    const segment = Segment.create({ ...place, suffix: '.cleaned' }, settings)
    return new CleanedSegment(segment)
  }

  /** Bytes that were taken. */
  get sizeBytes(): number {
    return this.#writtenBytes + this.#heldBytes
  }

  /** Room for a batch, behind what was taken. @throws {LogError} NO_SPACE or IO. */
  reserve(byteLength: number): number {
    if (this.#heldBytes + byteLength <= this.buffer.length) return this.#heldBytes
    this.#write()
    const isFit = byteLength <= this.buffer.length && this.buffer.length === WRITE_BYTES
    if (!isFit) this.buffer = Buffer.allocUnsafeSlow(Math.max(WRITE_BYTES, byteLength))
    return 0
  }

  /** Takes the batch that was written where `reserve` said. */
  take(): void {
    const summary = summaryOfBatch(this.buffer, this.#heldBytes)
    this.#segment.admit(summary)
    this.#heldBytes += summary.sizeBytes
  }

  /** Takes a copy of a batch. @throws {LogError} NO_SPACE or IO. */
  copy(source: Buffer, at: number, batchBytes: number): void {
    const target = this.reserve(batchBytes)
    source.copy(this.buffer, target, at, at + batchBytes)
    this.take()
  }

  /** Notes what the marker that comes next aborted. @throws {LogError} NO_SPACE or IO. */
  addAborted(entry: AbortedTransaction): void {
    this.#segment.addAborted(entry)
  }

  /** Brings all of it to stable storage, but for the names, and closes it. */
  *finish(): Procedure<SegmentContents> {
    const segment = this.#segment
    this.#write()
    segment.completeIndexes()
    yield () => segment.flushLog()
    yield () => segment.flushIndexesInOrder()
    const { contents } = segment
    assert(contents.sizeBytes === this.#writtenBytes, 'what was taken is written')
    segment.close()
    return contents
  }

  /** Lets go of the files. */
  close(): void {
    this.#segment.close()
  }

  #write(): void {
    if (this.#heldBytes === 0) return
    this.#segment.rewrite(this.buffer, this.#heldBytes, this.#writtenBytes)
    this.#writtenBytes += this.#heldBytes
    this.#heldBytes = 0
  }
}

/** Removes what there is of a cleaned segment. @throws {LogError} IO. */
export function* removeCleaned(place: CleanedPlace): Procedure<void> {
  const { driver } = place
  const paths = SUFFIXES.map((suffix) => segmentPath({ ...place, suffix: '.cleaned' }, suffix))
  const found = paths.filter((path) => driver.status(path) !== undefined)
  if (found.length === 0) return
  // Begun here, not in the wait: over memory nobody waits (`completeProcedure`).
  const removal = Promise.all(found.map((path) => driver.unlink(path)))
  removal.catch(() => undefined) // Whoever waits is told.
  yield () => removal
}
