/**
 * ProducerStates: what a partition knows of each producer: its epoch, its last five batches, the
 * transaction it has open. Decides what is a duplicate, what is out of order and who is fenced, as
 * Kafka's ProducerStateManager does. Pure: no files, no clock; producer-snapshots.ts keeps it on
 * disk.
 *   I1  `check` changes nothing: a sequence is used up by `appended`, so by a write that succeeded
 *   I2  what `replay` makes of the batches of a log is what appending them has made of it
 *   I3  open transactions are in order of their first offset
 *   I4  a producer with an open transaction is never forgotten
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'
import type { AbortedTransaction } from '../format/aborted-transaction.ts'
import type { ProducerSnapshotEntry } from '../format/producer-snapshot.ts'
import {
  attributesOf,
  baseOffsetOf,
  baseSequenceOf,
  isControlBatch,
  isTransactionalBatch,
  lastOffsetOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from '../format/record-batch.ts'
import { knownTimestampOf } from './batch-summary.ts'
import type { EncodedBatch, TransactionMarker } from './encoded-batch.ts'
import { MarkerReader } from './marker-batch.ts'
import {
  fencedProducer,
  outOfOrderSequence,
  type PartitionName,
  transactionStillOpen,
} from './partition-errors.ts'
import {
  keepBatch,
  type OpenTransactionState,
  openTransaction,
  originalOf,
  type OriginalBatch,
  type ProducerState,
  sequenceAfter,
  snapshotEntry,
  startEpoch,
  stateOf,
} from './producer-state.ts'

/** docs/decisions/070-producers-remembered.md */
const MAX_IDLE_PRODUCERS = 4_096
/** So many more may come before the oldest are looked for. */
const IDLE_SLACK = 1_024
const NONE = -1

/** The producers of one partition. */
export class ProducerStates {
  readonly #log: PartitionName
  readonly #states = new Map<number, ProducerState>()
  /** Those with an open transaction, in order of its first offset (I3). */
  readonly #open = new Map<number, ProducerState>()
  #firstUnstableOffset = Infinity
  /** The one asked for last: most often it is the next one too. */
  #last: ProducerState | undefined
  #loader: (() => readonly ProducerSnapshotEntry[]) | undefined
  /** Made when the first marker is replayed: most partitions never have one. */
  #markers: MarkerReader | undefined
  #changeCount = 0

  /**
   * None, or those that `loader` gives at the first need: of a log that was closed cleanly, so
   * without open transactions. Where it throws, whatever needed them throws, and it is asked again.
   */
  constructor(log: PartitionName, loader?: () => readonly ProducerSnapshotEntry[]) {
    this.#log = log
    this.#loader = loader
  }

  /** Batches and markers noted since it was made: whether a snapshot would say anything new. */
  get changeCount(): number {
    return this.#changeCount
  }

  /** False while nothing has needed them: then they are what the last snapshot says. */
  get isLoaded(): boolean {
    return this.#loader === undefined
  }

  /**
   * Where the batch lies, where it is one of its producer's last five; undefined where it is to be
   * appended. Hot: allocates nothing for the latter.
   * @throws {LogError} FENCED for an older epoch, OUT_OF_ORDER_SEQUENCE for a gap,
   *   INVALID_ARGUMENT for a batch that is no part of the transaction its producer has open.
   */
  check(batch: EncodedBatch): OriginalBatch | undefined {
    const { producer } = batch
    assert(producer.baseSequence >= 0, 'the batches of a producer are numbered')
    const state = this.#find(producer.producerId)
    if (state === undefined) return undefined // As Kafka: who is not known may start anywhere.
    const { producerEpoch, baseSequence } = producer
    if (producerEpoch < state.producerEpoch) {
      throw fencedProducer(this.#log, producer, state.producerEpoch)
    }
    const isCurrent = producerEpoch === state.producerEpoch
    const expected = isCurrent ? sequenceAfter(state) : 0
    if (baseSequence !== expected) {
      const original = isCurrent ? originalOf(state, baseSequence, batch.recordCount) : undefined
      if (original !== undefined) return original
      throw outOfOrderSequence(this.#log, producer, expected)
    }
    // A batch of the next epoch would become part of the transaction, and share its end.
    if (state.transactionFirstOffset >= 0 && !(producer.transactional && isCurrent)) {
      throw transactionStillOpen(this.#log, producer, state.producerEpoch)
    }
    return undefined
  }

  /** The batch was appended at `place`, after `check`. Hot. */
  appended(batch: EncodedBatch, place: OriginalBatch): void {
    const { producerId, producerEpoch, baseSequence, transactional } = batch.producer
    const state = this.#find(producerId) ?? this.#add(producerId)
    startEpoch(state, producerEpoch)
    keepBatch(state, baseSequence, place)
    this.#noted(state, place, transactional)
  }

  /** @throws {LogError} FENCED where a marker is of an older epoch than its producer's. */
  checkMarker(marker: TransactionMarker): void {
    const state = this.#find(marker.producerId)
    // The coordinator's epoch is not compared: one process writes, so no older coordinator can be
    // about, and to refuse a marker is to hold readers up for ever.
    if (state !== undefined && marker.producerEpoch < state.producerEpoch) {
      throw fencedProducer(this.#log, marker, state.producerEpoch)
    }
  }

  /**
   * What an abort marker of the producer at `markerOffset` aborts; undefined where it has no
   * transaction open.
   */
  abortedBy(producerId: number, markerOffset: number): AbortedTransaction | undefined {
    const state = this.#open.get(producerId)
    if (state === undefined) return undefined
    const firstOffset = state.transactionFirstOffset
    let lastStableOffset = markerOffset + 1
    for (const other of this.#open.values()) {
      if (other === state) continue
      lastStableOffset = other.transactionFirstOffset
      break // I3: the first one is the oldest.
    }
    return { producerId, firstOffset, lastOffset: markerOffset, lastStableOffset }
  }

  /** The marker was appended at `offset`, after `checkMarker`. */
  ended(marker: TransactionMarker, offset: number, timestamp: number): void {
    const { producerId, producerEpoch, coordinatorEpoch } = marker
    const state = this.#find(producerId) ?? this.#add(producerId)
    startEpoch(state, producerEpoch)
    state.coordinatorEpoch = coordinatorEpoch
    state.timestamp = timestamp
    state.lastOffset = offset
    state.transactionFirstOffset = NONE
    if (this.#open.delete(producerId)) this.#firstUnstableOffset = this.#oldestOpenOffset()
    this.#changeCount += 1
    this.#limitIdle(IDLE_SLACK)
  }

  /**
   * Takes in the whole batch at `at`, as it lies in a file. Refuses nothing, as Kafka: whoever
   * appended it has checked it. What it aborted, where it is an abort marker.
   */
  replay(buffer: Buffer, at: number): AbortedTransaction | undefined {
    const producerId = knownProducerIdOf(buffer, at)
    if (producerId < 0) return undefined
    const attributes = attributesOf(buffer, at)
    const producerEpoch = producerEpochOf(buffer, at)
    const lastOffset = lastOffsetOf(buffer, at)
    const timestamp = knownTimestampOf(buffer, at)
    if (isControlBatch(attributes)) {
      const markers = (this.#markers ??= new MarkerReader())
      const outcome = markers.read(buffer, at)
      if (outcome === 'other') return undefined
      const { coordinatorEpoch } = markers
      const aborted = outcome === 'abort' ? this.abortedBy(producerId, lastOffset) : undefined
      this.ended({ producerId, producerEpoch, outcome, coordinatorEpoch }, lastOffset, timestamp)
      return aborted
    }
    const place = { baseOffset: baseOffsetOf(buffer, at), lastOffset, timestamp }
    const baseSequence = baseSequenceOf(buffer, at)
    const state = this.#find(producerId) ?? this.#add(producerId)
    startEpoch(state, producerEpoch)
    if (baseSequence >= 0) keepBatch(state, baseSequence, place)
    // Compaction leaves an empty batch to keep the sequence: no record of it can be aborted.
    this.#noted(state, place, isTransactionalBatch(attributes) && recordCountOf(buffer, at) > 0)
    return undefined
  }

  /** The sequence that the next record of the producer in this epoch has: 0 after 2^31 - 1. */
  nextSequence(producerId: number, producerEpoch: number): number {
    const state = this.#find(producerId)
    return state === undefined || state.producerEpoch !== producerEpoch ? 0 : sequenceAfter(state)
  }

  /** The transaction that the producer has open. */
  openTransactionOf(producerId: number): OpenTransactionState | undefined {
    const state = this.#open.get(producerId)
    return state === undefined ? undefined : openTransaction(state)
  }

  /** Whether the producer has a transaction open. */
  hasOpen(producerId: number): boolean {
    return this.#open.has(producerId)
  }

  /** Every open transaction, by its first offset. Owned. */
  open(): readonly OpenTransactionState[] {
    return [...this.#open.values()].map(openTransaction)
  }

  /** First offset of the oldest open transaction; Infinity where none is open. */
  get firstUnstableOffset(): number {
    return this.#firstUnstableOffset
  }

  /** Whether the producer is among those loaded. */
  knows(producerId: number): boolean {
    return this.#states.has(producerId)
  }

  /** What a snapshot keeps of everybody. Owned. */
  entries(): readonly ProducerSnapshotEntry[] {
    this.#loadAll()
    return [...this.#states.values()].map(snapshotEntry)
  }

  /** Forgets everybody, and takes what a snapshot says instead. */
  load(entries: readonly ProducerSnapshotEntry[]): void {
    this.#loader = undefined
    this.#states.clear()
    this.#open.clear()
    this.#last = undefined
    for (const entry of entries) this.#states.set(entry.producerId, stateOf(entry))
    const open = [...this.#states.values()].filter((state) => state.transactionFirstOffset >= 0)
    open.sort((a, b) => a.transactionFirstOffset - b.transactionFirstOffset)
    for (const state of open) this.#open.set(state.producerId, state)
    this.#firstUnstableOffset = this.#oldestOpenOffset()
  }

  /**
   * Forgets who has been silent for `producerIdExpirationMs` (-1: nobody), by the timestamps of
   * their records, and who has been silent for longest where they are more than the bound.
   */
  expire(nowMs: number, producerIdExpirationMs: number): void {
    if (this.#loader !== undefined) return
    if (producerIdExpirationMs >= 0) {
      for (const state of this.#states.values()) {
        const isSilent = nowMs - state.timestamp >= producerIdExpirationMs
        if (isSilent && state.transactionFirstOffset < 0) this.#forget(state)
      }
    }
    this.#limitIdle(0)
  }

  #noted(state: ProducerState, place: OriginalBatch, opensTransaction: boolean): void {
    const { baseOffset } = place
    state.timestamp = place.timestamp
    state.lastOffset = place.lastOffset
    if (opensTransaction && state.transactionFirstOffset < 0) {
      state.transactionFirstOffset = baseOffset
      this.#open.set(state.producerId, state)
      this.#firstUnstableOffset = Math.min(this.#firstUnstableOffset, baseOffset)
    }
    this.#changeCount += 1
    this.#limitIdle(IDLE_SLACK)
  }

  #find(producerId: number): ProducerState | undefined {
    const last = this.#last
    if (last !== undefined && last.producerId === producerId) return last
    this.#loadAll()
    const state = this.#states.get(producerId)
    if (state !== undefined) this.#last = state
    return state
  }

  #add(producerId: number): ProducerState {
    const state: ProducerState = {
      producerId,
      producerEpoch: NONE,
      batches: [],
      newest: NONE,
      timestamp: NONE,
      lastOffset: NONE,
      coordinatorEpoch: NONE,
      transactionFirstOffset: NONE,
    }
    this.#states.set(producerId, state)
    this.#last = state
    return state
  }

  #forget(state: ProducerState): void {
    assert(state.transactionFirstOffset < 0, 'I4: what is open is remembered')
    this.#states.delete(state.producerId)
    if (this.#last === state) this.#last = undefined
  }

  #loadAll(): void {
    const loader = this.#loader
    if (loader === undefined) return
    const entries = loader()
    const isClosed = entries.every((entry) => entry.currentTransactionFirstOffset < 0)
    assert(isClosed, 'a log that was closed cleanly has no open transaction')
    this.load(entries)
  }

  #oldestOpenOffset(): number {
    for (const state of this.#open.values()) return state.transactionFirstOffset
    return Infinity
  }

  /** Keeps the bound, which may be passed by `slack`: then looking for the oldest costs little. */
  #limitIdle(slack: number): void {
    if (this.#states.size - this.#open.size <= MAX_IDLE_PRODUCERS + slack) return
    const idle = [...this.#states.values()].filter((state) => state.transactionFirstOffset < 0)
    idle.sort((a, b) => a.lastOffset - b.lastOffset)
    for (const state of idle.slice(0, -MAX_IDLE_PRODUCERS)) this.#forget(state)
  }
}

/** -1 for nobody, and for an id that no JavaScript number holds: Kafka counts up from 0. */
function knownProducerIdOf(buffer: Buffer, at: number): number {
  try {
    return producerIdOf(buffer, at)
  } catch (error) {
    if (error instanceof CorruptBytes) return NONE
    throw error
  }
}
