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
 *   I2  of records that are appended together all are there, or none: a batch has one checksum
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'
import type { LogError } from '../errors/log-error.ts'
import { partitionOfGroup } from '../format/group-partition.ts'
import { BATCH_HEADER_BYTES } from '../format/record-batch.ts'
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

/** Decisions that are appended together take no more, unless one alone does. */
const TOGETHER_BYTES = 16_384
/** What a record takes beside its key and value, at most. */
const RECORD_OVERHEAD_BYTES = 32

/** Whoever waits for it runs behind all that were woken before. */
const WOKEN: Promise<void> = Promise.resolve()

/** A record that is about to be appended. */
interface NewRecord {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** Records that are appended together, behind whoever was woken with the first one. */
interface Gathering {
  readonly records: NewRecord[]
  sizeBytes: number
  readonly appended: Promise<UpTo>
}

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
  readonly #checkDecidable: () => void
  readonly #builder = new RecordBatchBuilder()
  /** The last one of each partition, while it takes more. */
  readonly #gatherings = new Map<PartitionLog, Gathering>()

  /** `checkDecidable` throws where no decision may be appended any more. */
  constructor(
    clock: Clock,
    partitionsOf: (topic: string) => readonly PartitionLog[] | undefined,
    checkDecidable: () => void,
  ) {
    this.#clock = clock
    this.#partitions = () => partitionsOf(TRANSACTIONS_TOPIC)
    this.#checkDecidable = checkDecidable
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
    const log = this.#preparedPartitionOf(transactionalId)
    const nowMs = this.#clock.now()
    const key = encodeTransactionKey(transactionalId)
    const value =
      state === null ? null : encodeTransactionValue({ ...state, lastUpdateTimestampMs: nowMs })
    return this.#append(log, nowMs, [{ key, value }])
  }

  /**
   * As `append`, for a decision, in one batch with those of others that were woken at the same time
   * (I2): the sync of their data has woken all of them.
   * @throws {LogError} As `append`, and READ_ONLY where no decision may be appended any more.
   */
  appendTogether(transactionalId: string, state: NewTransactionState): Promise<UpTo> {
    const log = this.#preparedPartitionOf(transactionalId)
    const key = encodeTransactionKey(transactionalId)
    const value = encodeTransactionValue({
      ...state,
      lastUpdateTimestampMs: this.#clock.now(),
    })
    const sizeBytes = key.length + value.length + RECORD_OVERHEAD_BYTES
    const room = Math.min(TOGETHER_BYTES, log.config.maxMessageBytes - BATCH_HEADER_BYTES)
    let gathering = this.#gatherings.get(log)
    if (gathering === undefined || gathering.sizeBytes + sizeBytes > room) {
      gathering = this.#gather(log)
    }
    gathering.records.push({ key, value })
    gathering.sizeBytes += sizeBytes
    return gathering.appended
  }

  #gather(log: PartitionLog): Gathering {
    const records: NewRecord[] = []
    const appended = WOKEN.then(() => {
      if (this.#gatherings.get(log) === gathering) this.#gatherings.delete(log)
      this.#checkDecidable()
      return this.#append(log, this.#clock.now(), records)
    })
    const gathering = { records, sizeBytes: 0, appended }
    this.#gatherings.set(log, gathering)
    return gathering
  }

  #append(log: PartitionLog, nowMs: number, records: readonly NewRecord[]): UpTo {
    const builder = this.#builder
    const { buffer, start } = log.tail.reserve()
    builder.begin(buffer, start)
    for (const { key, value } of records) builder.add(nowMs, key, value, null)
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

  #preparedPartitionOf(transactionalId: string): PartitionLog {
    const log = this.#partitionOf(transactionalId)
    assert(log !== undefined, 'the topic is made before anything is written')
    return log
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
