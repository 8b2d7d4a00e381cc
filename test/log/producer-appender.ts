/**
 * A partition without a file: what is known of its producers as they append, and what a replay of
 * the same batches makes of them.
 */
import assert from 'node:assert/strict'
import { LogError } from '../../src/errors/log-error.ts'
import type { TransactionMarker } from '../../src/log/encoded-batch.ts'
import { ProducerStates } from '../../src/log/producer-states.ts'
import { type NumberedBatch, numberedBatch, stored, storedMarker } from './numbered-batches.ts'

const PARTITION = { topic: 'orders', partition: 3 }

/** A partition without a file: what would be appended, and a second state that replays it. */
export class Appender {
  readonly live: ProducerStates = new ProducerStates(PARTITION)
  readonly replayed: ProducerStates = new ProducerStates(PARTITION)
  logEndOffset = 0

  /** The offset of the batch, or that of its original. */
  append(wanted: NumberedBatch): number {
    const batch = numberedBatch(wanted)
    const original = this.live.check(batch)
    if (original !== undefined) return original.baseOffset
    const baseOffset = this.logEndOffset
    const lastOffset = baseOffset + batch.recordCount - 1
    this.live.appended(batch, { baseOffset, lastOffset, timestamp: batch.maxTimestamp })
    this.replayed.replay(stored(batch, baseOffset), 0)
    this.logEndOffset = lastOffset + 1
    return baseOffset
  }

  end(marker: TransactionMarker, timestamp: number = 2_000): unknown {
    this.live.checkMarker(marker)
    const offset = this.logEndOffset++
    const isAbort = marker.outcome === 'abort'
    const aborted = isAbort ? this.live.abortedBy(marker.producerId, offset) : undefined
    this.live.ended(marker, offset, timestamp)
    const replayed = this.replayed.replay(storedMarker(marker, offset, timestamp), 0)
    assert.deepEqual(replayed, aborted)
    return aborted
  }
}

/** A marker of the coordinator. */
export function markerOf(
  producerId: number,
  outcome: 'commit' | 'abort',
  producerEpoch: number = 0,
): TransactionMarker {
  return { producerId, producerEpoch, outcome, coordinatorEpoch: 7 }
}

/** The code of what `run` throws. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (LogError.is(error)) return error.code
    throw error
  }
}
