/**
 * MarkerWalk: how transactions ended, by their markers in the log, where no .txnindex can be
 * trusted to say so: what a process that was killed left, what a broker left.
 *
 *   ... | batches and markers that were walked | ...
 *      from                                    to
 *
 * Walks ahead of whoever reads, from the batch that is asked about to the marker of its producer.
 * Readers go forward, so most of what they ask was walked already; for one that reads elsewhere it
 * starts anew there: what it keeps is bounded.
 *   I1  all markers in [from, to) are known, but for those in damaged batches
 */
import { LogError } from '../errors/log-error.ts'
import {
  attributesOf,
  baseOffsetOf,
  batchSizeBytesOf,
  isControlBatch,
  nextOffsetOf,
  producerIdOf,
} from '../format/record-batch.ts'
import type { LogCursor } from './log-cursor.ts'
import type { CursorOptions } from './log-source.ts'
import { MarkerReader } from './marker-batch.ts'
import type { BatchRun } from './tail.ts'

/** Where it walks. */
export interface MarkerSource {
  readonly logEndOffset: number
  cursor(offset: number, options?: CursorOptions): LogCursor
}

const READ_BYTES = 65_536
const MAX_MARKERS = 16_384

/** Of one producer, ascending. */
interface Markers {
  readonly offsets: number[]
  readonly areAborts: boolean[]
}

/** See the file's header. */
export class MarkerWalk {
  readonly #source: MarkerSource
  readonly #markerReader = new MarkerReader()
  readonly #byProducer = new Map<number, Markers>()
  #cursor: LogCursor | undefined
  #markerCount = 0
  #from = 0
  #to = -1

  /** Of the partition `source`. */
  constructor(source: MarkerSource) {
    this.#source = source
  }

  /**
   * Whether the transaction that the producer's batch at `offset` belongs to was aborted; undefined
   * where its marker is not below `end`.
   * @throws {LogError} IO where the log cannot be read.
   */
  isAborted(producerId: number, offset: number, end: number): boolean | undefined {
    const isWalked = offset >= this.#from && offset <= this.#to
    if (!isWalked || this.#markerCount > MAX_MARKERS) this.#startAt(offset)
    for (;;) {
      const isAborted = firstBehind(this.#byProducer.get(producerId), offset)
      if (isAborted !== undefined) return isAborted
      if (this.#to >= end) return undefined
      this.#walkOn(end)
    }
  }

  #startAt(offset: number): void {
    this.#byProducer.clear()
    this.#markerCount = 0
    this.#from = offset
    this.#to = offset
    this.#cursor = this.#source.cursor(offset, { readBytes: READ_BYTES })
  }

  #walkOn(end: number): void {
    const run = this.#next(end)
    if (run === undefined) {
      this.#to = end
      return
    }
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
      if (isControlBatch(attributesOf(run.buffer, at))) this.#note(run.buffer, at)
      this.#to = nextOffsetOf(run.buffer, at)
    }
  }

  /** Whoever reads meets damage, and says what is to become of it; here it is passed. */
  #next(end: number): BatchRun | undefined {
    for (;;) {
      try {
        return this.#cursor?.next(end)
      } catch (error) {
        if (!LogError.is(error, 'CORRUPT')) throw error
        this.#cursor?.skipDamage()
      }
    }
  }

  #note(buffer: Buffer, at: number): void {
    const type = this.#markerReader.read(buffer, at)
    if (type === 'other') return
    const producerId = producerIdOf(buffer, at)
    let markers = this.#byProducer.get(producerId)
    if (markers === undefined) {
      markers = { offsets: [], areAborts: [] }
      this.#byProducer.set(producerId, markers)
    }
    markers.offsets.push(baseOffsetOf(buffer, at))
    markers.areAborts.push(type === 'abort')
    this.#markerCount += 1
  }
}

/** What the first marker behind `offset` says: it is one of the last of those that were walked. */
function firstBehind(markers: Markers | undefined, offset: number): boolean | undefined {
  if (markers === undefined) return undefined
  const { offsets, areAborts } = markers
  let at = offsets.length
  while (at > 0 && (offsets[at - 1] ?? 0) > offset) at -= 1
  return areAborts[at]
}
