/**
 * UnwrittenMarkers: the markers of transactions, and those that could not be written, which are
 * tried again: in time, before anything that has to be behind them, and at close.
 *
 *   I1  a marker that is due is written or kept here, and so is the room that was set aside for it
 *   I2  nothing of a producer is appended behind a transaction whose marker is kept here: it would
 *       become part of it (`settle`)
 * What is not written when the log closes is written when it is opened again, from what the
 * partition knows of its producers and what the coordinator's log says.
 */
import { LogError } from '../errors/log-error.ts'
import type { Clock } from './clock.ts'
import type { TransactionMarker } from './encoded-batch.ts'
import type { PartitionLog } from './partition-log.ts'

/** A full disk is full for a while; a failing one gets as many tries. */
const RETRY_MS = 1_000

/** A marker that is due. */
export interface DueMarker extends TransactionMarker {
  readonly log: PartitionLog
  /** Room was set aside for it. */
  readonly isReserved: boolean
  /** It was written, at `offset`; undefined where its partition is gone. */
  readonly written: (offset: number | undefined) => void
}

/** Writes the markers of one log. */
export class UnwrittenMarkers {
  /** Told once of each marker that readers of its partition have to wait for. */
  onDelayed: ((cause: unknown) => void) | undefined
  readonly #clock: Clock
  readonly #unwritten = new Set<DueMarker>()
  readonly #told = new WeakSet<DueMarker>()
  #timer: unknown
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Markers that could not be written. */
  get count(): number {
    return this.#unwritten.size
  }

  /** Writes `marker` now, or later where that fails. */
  write(marker: DueMarker): void {
    try {
      append(marker)
    } catch (error) {
      this.#unwritten.add(marker) // I1
      this.#keptAfter(marker, error)
    }
  }

  /**
   * Sees to it that the producer has nothing open in `log` (I2).
   * @throws {LogError} What its marker there fails with again.
   */
  settle(log: PartitionLog, producerId: number): void {
    if (this.#unwritten.size === 0) return
    for (const marker of this.#unwritten) {
      if (marker.log === log && marker.producerId === producerId) this.#retry(marker)
    }
  }

  /** Tries all of them again. */
  retryAll(): void {
    for (const marker of this.#unwritten) {
      try {
        this.#retry(marker)
      } catch (error) {
        this.#keptAfter(marker, error)
      }
    }
  }

  /**
   * Whether what the producer has open in `log` is committed, although its marker is not there. Not
   * what it has open elsewhere: that may be an older transaction, which was aborted.
   */
  isCommitted(log: PartitionLog, producerId: number, producerEpoch: number): boolean {
    for (const marker of this.#unwritten) {
      if (marker.outcome !== 'commit' || marker.producerId !== producerId) continue
      if (marker.log !== log) continue
      // A broker's may have the epoch behind that of its batches (transaction-recovery.ts).
      const ahead = marker.producerEpoch - producerEpoch
      if (ahead === 0 || ahead === 1) return true
    }
    return false
  }

  /** Nothing happens by itself any more. */
  close(): void {
    this.#isClosed = true
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
  }

  #retry(marker: DueMarker): void {
    append(marker)
    this.#unwritten.delete(marker)
  }

  #keptAfter(marker: DueMarker, error: unknown): void {
    // After a failed sync there is nothing to wait for but the end of the log.
    if (LogError.is(error, 'READ_ONLY') || this.#isClosed) return
    if (this.onDelayed !== undefined && !this.#told.has(marker)) {
      this.#told.add(marker)
      this.onDelayed(error)
    }
    if (this.#timer !== undefined) return
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined
      this.retryAll()
    }, RETRY_MS)
  }
}

function append(marker: DueMarker): void {
  const { log, isReserved, written } = marker
  if (log.end === 'deleted') {
    written(undefined)
    return
  }
  const offset = log.appendMarker(marker)
  if (isReserved) log.releaseMarker()
  written(offset)
}
