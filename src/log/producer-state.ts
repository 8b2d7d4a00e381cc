/**
 * ProducerState: what a partition knows of one producer. Its epoch, the last five batches of that
 * epoch, the transaction it has open. Pure functions over it; producer-states.ts says when which.
 *   I1  sequences wrap after 2^31 - 1, inside a batch too
 *   I2  the batches of an older epoch are no duplicates of anything
 */
import type { ProducerSnapshotEntry } from '../format/producer-snapshot.ts'

/** Batches that are recognised when they come again: Kafka's NUM_BATCHES_TO_RETAIN. */
const KEPT_BATCHES = 5
const LAST_SEQUENCE = 0x7fff_ffff
const SEQUENCE_COUNT = 0x8000_0000
const NONE = -1

/** A transaction that has records in the partition and no marker yet. */
export interface OpenTransactionState {
  readonly producerId: number
  readonly producerEpoch: number
  readonly firstOffset: number
  /** Of its producer's last batch. */
  readonly timestamp: number
}

/** Where a batch lies that came before. */
export interface OriginalBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly timestamp: number
}

interface KeptBatch {
  lastSequence: number
  lastOffset: number
  offsetDelta: number
  timestamp: number
}

/** One producer. */
export interface ProducerState {
  readonly producerId: number
  producerEpoch: number
  /** A ring once it has five; none where no batch of this epoch is known. */
  readonly batches: KeptBatch[]
  newest: number
  /** Of its last batch or marker. */
  timestamp: number
  /** Offset of its last batch or marker: who has the lowest has been silent for longest. */
  lastOffset: number
  coordinatorEpoch: number
  transactionFirstOffset: number
}

/** `count` sequences after `sequence`; they wrap after 2^31 - 1. */
function advanceSequence(sequence: number, count: number): number {
  return (sequence + count) % SEQUENCE_COUNT
}

/** What the next record has to have; 0 where none of this epoch is known. */
export function sequenceAfter(state: ProducerState): number {
  const last = state.batches[state.newest]?.lastSequence ?? NONE
  return last === LAST_SEQUENCE ? 0 : last + 1
}

/** Where a batch lies that has these sequences; undefined where none of the last five has them. */
export function originalOf(
  state: ProducerState,
  baseSequence: number,
  recordCount: number,
): OriginalBatch | undefined {
  const lastSequence = advanceSequence(baseSequence, recordCount - 1)
  for (const { lastSequence: last, lastOffset, offsetDelta, timestamp } of state.batches) {
    if (last !== lastSequence || offsetDelta !== recordCount - 1) continue
    return { baseOffset: lastOffset - offsetDelta, lastOffset, timestamp }
  }
  return undefined
}

/** The batches of another epoch count no more. */
export function startEpoch(state: ProducerState, producerEpoch: number): void {
  if (state.producerEpoch === producerEpoch) return
  state.producerEpoch = producerEpoch
  state.batches.length = 0
  state.newest = NONE
}

/** Notes the last batch of its epoch; the sixth is forgotten. Hot. */
export function keepBatch(state: ProducerState, baseSequence: number, place: OriginalBatch): void {
  const { lastOffset, timestamp } = place
  const offsetDelta = lastOffset - place.baseOffset
  const lastSequence = advanceSequence(baseSequence, offsetDelta)
  const slot = (state.newest + 1) % KEPT_BATCHES
  state.newest = slot
  const kept = state.batches[slot]
  if (kept === undefined) {
    state.batches.push({ lastSequence, lastOffset, offsetDelta, timestamp })
    return
  }
  kept.lastSequence = lastSequence
  kept.lastOffset = lastOffset
  kept.offsetDelta = offsetDelta
  kept.timestamp = timestamp
}

/** The transaction it has open. Owned. */
export function openTransaction(state: ProducerState): OpenTransactionState {
  const { producerId, producerEpoch, timestamp, transactionFirstOffset: firstOffset } = state
  return { producerId, producerEpoch, firstOffset, timestamp }
}

/** What a snapshot keeps of it. Owned. */
export function snapshotEntry(state: ProducerState): ProducerSnapshotEntry {
  const { producerId, producerEpoch, timestamp, coordinatorEpoch } = state
  const newest = state.batches[state.newest]
  return {
    producerId,
    producerEpoch,
    lastSequence: newest?.lastSequence ?? NONE,
    lastOffset: newest?.lastOffset ?? NONE,
    offsetDelta: newest?.offsetDelta ?? 0,
    timestamp,
    coordinatorEpoch,
    currentTransactionFirstOffset: state.transactionFirstOffset,
  }
}

/** What a snapshot kept of it: of its batches the last one. */
export function stateOf(entry: ProducerSnapshotEntry): ProducerState {
  const { producerId, producerEpoch, lastSequence, lastOffset, offsetDelta, timestamp } = entry
  const hasBatch = lastOffset >= 0 && lastSequence >= 0
  return {
    producerId,
    producerEpoch,
    batches: hasBatch ? [{ lastSequence, lastOffset, offsetDelta, timestamp }] : [],
    newest: hasBatch ? 0 : NONE,
    timestamp,
    lastOffset,
    coordinatorEpoch: entry.coordinatorEpoch,
    transactionFirstOffset: entry.currentTransactionFirstOffset,
  }
}
