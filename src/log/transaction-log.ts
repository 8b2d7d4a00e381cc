/**
 * TransactionLog: what the topic `__transaction_state` says of each transactional id, in Kafka's
 * own bytes: the last record of an id counts.
 *
 * Owns the encoding and which partition keeps an id; what is written when is the coordinator's to
 * say. Written are Empty for a producer that took an id, PrepareCommit for a decision, and, once
 * the markers of a decision are on stable storage, CompleteCommit, or nothing any more for an id
 * that was made up. No record says that a transaction is going on, or was aborted: where there is
 * no decision, it is.
 *   I1  what cannot be read is left out, and damage is reported: of a decision that is damaged, the
 *       markers that are there stand
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'
import type { LogError } from '../errors/log-error.ts'
import { partitionOfGroup } from '../format/group-partition.ts'
import { RecordBatchBuilder } from '../format/record-batch-builder.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import {
  encodeTransactionKey,
  encodeTransactionValue,
  readTransactionKey,
  readTransactionValue,
  type StoredTransactionState,
  type TransactionState,
} from '../format/transaction-state.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Clock } from './clock.ts'
import type { Damage } from './damage.ts'
import { damageOf, type InternalTopicReader, readInternalTopic } from './internal-topic-read.ts'
import { TRANSACTIONS_TOPIC } from './internal-topics.ts'
import type { PartitionLog } from './partition-log.ts'
import type { UpTo } from './staged-offsets.ts'

/** What a record of an id says; when is added. */
export type NewTransactionState = Omit<TransactionState, 'lastUpdateTimestampMs'>

/** What the topic holds. */
export interface LoadedStates {
  /** By transactional id, the last one. */
  readonly states: ReadonlyMap<string, StoredTransactionState>
  readonly damage: readonly Damage[]
}

/** The topic of transactions of one log. */
export class TransactionLog {
  readonly #clock: Clock
  readonly #partitions: () => readonly PartitionLog[] | undefined
  readonly #builder = new RecordBatchBuilder()

  constructor(clock: Clock, partitionsOf: (topic: string) => readonly PartitionLog[] | undefined) {
    this.#clock = clock
    this.#partitions = () => partitionsOf(TRANSACTIONS_TOPIC)
  }

  /** Whether the topic is there. */
  get isPrepared(): boolean {
    return this.#partitions() !== undefined
  }

  /** What markers of the id are stamped with: it never goes back. */
  coordinatorEpoch(transactionalId: string): number {
    return this.#partitionOf(transactionalId)?.leaderEpoch ?? 0
  }

  /**
   * Appends what an id has come to, or with `null` that it is no more: in the page cache when it
   * returns. The topic is there.
   * @throws {LogError} As `PartitionLog.append`, with `outcome: 'unknown'` where it does.
   */
  append(transactionalId: string, state: NewTransactionState | null): UpTo {
    const log = this.#partitionOf(transactionalId)
    assert(log !== undefined, 'the topic is made before anything is written')
    const nowMs = this.#clock.now()
    const key = encodeTransactionKey(transactionalId)
    const value =
      state === null ? null : encodeTransactionValue({ ...state, lastUpdateTimestampMs: nowMs })
    const builder = this.#builder
    const { buffer, start } = log.tail.reserve()
    builder.begin(buffer, start)
    builder.add(nowMs, key, value, null)
    builder.finish('none')
    const { lastOffset } = log.append(builder)
    return { log, offset: lastOffset + 1 }
  }

  /** Reads what the topic holds, where it is there. */
  *load(): Procedure<LoadedStates> {
    const states = new Map<string, StoredTransactionState>()
    const damage: Damage[] = []
    for (const log of this.#partitions() ?? []) yield* new StatesLoad(log, states, damage).run()
    return { states, damage }
  }

  #partitionOf(transactionalId: string): PartitionLog | undefined {
    const partitions = this.#partitions()
    // Kafka finds the partition of an id as it finds that of a group.
    return partitions?.[partitionOfGroup(transactionalId, partitions.length)]
  }
}

/** Reads one partition of the topic. */
class StatesLoad implements InternalTopicReader {
  readonly #log: PartitionLog
  readonly #states: Map<string, StoredTransactionState>
  readonly #damage: Damage[]
  readonly #batch = new RecordBatchReader()

  constructor(log: PartitionLog, states: Map<string, StoredTransactionState>, damage: Damage[]) {
    this.#log = log
    this.#states = states
    this.#damage = damage
  }

  run(): Procedure<void> {
    return readInternalTopic(this.#log, this) // I1
  }

  takeBatch(buffer: Buffer, at: number): void {
    const batch = this.#batch
    batch.reset(buffer, at, this.#log.config.maxDecompressedBytes)
    while (batch.next()) {
      if (!batch.isControl && batch.offset >= this.#log.logStartOffset) this.#takeRecord()
    }
  }

  #takeRecord(): void {
    const { buffer, keyStart, keyLength, valueStart, valueLength } = this.#batch
    if (keyLength < 0) return
    try {
      const transactionalId = readTransactionKey(buffer, keyStart, keyLength)
      if (transactionalId === undefined) return
      const state =
        valueLength < 0 ? undefined : readTransactionValue(buffer, valueStart, valueLength)
      if (state === undefined) this.#states.delete(transactionalId)
      else this.#states.set(transactionalId, state)
    } catch (error) {
      if (!(error instanceof CorruptBytes)) throw error // I1: of this record alone.
    }
  }

  damaged(error: LogError<'CORRUPT'>, resumesAt: number): void {
    this.#damage.push(damageOf(this.#log, error, resumesAt))
  }
}
