/**
 * Consumer groups and transactions as users hold them, and share groups as their types will be, so
 * that programs written against the whole interface compile: until then the calls that would give
 * one fail at once (not-available.ts).
 */
import type { Consumer } from './groups/consumer.ts'
import type { Isolation, Visibility } from './position.ts'
import type { LogRecord } from './log-record.ts'
import type { Sender } from './producer.ts'
import type { Anything } from './standard-schema.ts'
import type { AnyTopicRef, Bytes, TopicRef } from './topic-ref.ts'

/** Topics of a group: names, definitions or handles, or a pattern. */
export type TopicSelection = readonly (string | AnyTopicRef)[] | RegExp
/** The records of one selected topic. */
export type RecordOf<T> = T extends string
  ? LogRecord<Bytes, Bytes, T>
  : T extends TopicRef<infer K, infer V, infer N, Anything, Anything>
    ? LogRecord<K, V, N>
    : never
/** The records of a selection: a union that `record.topic` tells apart. */
export type RecordsOf<T> = T extends RegExp
  ? LogRecord
  : T extends readonly (infer S)[]
    ? RecordOf<S>
    : never
/** A record of whatever types. */
export type AnyRecord = LogRecord<Anything, Anything>

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
/** A position in a partition: the next offset to read. */
export interface TopicPartitionOffset extends TopicPartition {
  readonly offset: number
  readonly leaderEpoch?: number | undefined
  readonly metadata?: string | undefined
}
/** Records between a position and the end of the log. */
export interface Lag {
  readonly total: number
  readonly partitions: readonly (TopicPartition & { readonly lag: number })[]
}

interface GroupOptionsBase<T extends TopicSelection> {
  topics: T
  autoOffsetReset?: 'earliest' | 'latest' | 'none' | undefined
  isolation?: Isolation | undefined
  visibility?: Visibility | undefined
  onCorrupt?: 'stop' | 'skip' | undefined
  maxPollRecords?: number | undefined
  maxBytes?: number | undefined
}
/** Options of a consumer group. */
export interface ConsumerGroupOptions<
  T extends TopicSelection = TopicSelection,
> extends GroupOptionsBase<T> {
  assignor?: 'cooperative-sticky' | 'range' | 'roundrobin' | 'sticky' | Assignor | undefined
  autoCommit?:
    | boolean
    | { intervalMs?: number | undefined; records?: number | undefined }
    | undefined
  maxPollIntervalMs?: number | null | undefined
}
/** Options of a share group (KIP-932). */
export interface ShareGroupOptions<
  T extends TopicSelection = TopicSelection,
> extends GroupOptionsBase<T> {
  lockMs?: number | undefined
  maxDeliveries?: number | undefined
  acknowledge?: 'implicit' | 'explicit' | undefined
  deadLetterTopic?: string | AnyTopicRef | undefined
}
/** Divides partitions among members. */
export interface Assignor {
  readonly name: string
  assign(
    members: readonly {
      readonly memberId: string
      readonly topics: readonly string[]
      readonly owned: readonly TopicPartition[]
    }[],
    partitions: readonly TopicPartition[],
  ): ReadonlyMap<string, readonly TopicPartition[]>
}

/** Administration of a group. */
export interface GroupAdmin {
  readonly id: string
  describe(): GroupDescription
  offsets(): readonly TopicPartitionOffset[]
  lag(): Lag
  resetOffsets(
    to:
      | 'earliest'
      | 'latest'
      | { readonly timestamp: number | Date }
      | { readonly shift: number }
      | { readonly offsets: readonly TopicPartitionOffset[] },
    options?: { dryRun?: boolean | undefined },
  ): Promise<readonly TopicPartitionOffset[]>
  delete(): Promise<void>
}
/** What a group is doing. */
export interface GroupDescription {
  readonly id: string
  readonly kind: 'consumer' | 'share'
  readonly state: 'Empty' | 'Stable' | 'PreparingRebalance' | 'Dead'
  readonly members: readonly {
    readonly memberId: string
    readonly assignment: readonly TopicPartition[]
  }[]
  readonly committed: readonly TopicPartitionOffset[]
  readonly lag: Lag
}

/** A queue over topics (KIP-932). */
export interface ShareGroup<R extends AnyRecord = AnyRecord> extends GroupAdmin {
  join(): Promise<ShareConsumer<R>>
  run(
    handler: (record: R & Delivery, ctx: RunContext) => void | Promise<unknown>,
    options?: ShareRunOptions,
  ): Running
}
/** Options of a member. */
export interface JoinOptions {
  instanceId?: string | undefined
  onAssigned?: RebalanceListener | undefined
  onRevoked?: RebalanceListener | undefined
  onLost?: RebalanceListener | undefined
}
/** Called, and awaited, when partitions come and go. */
export type RebalanceListener = (
  partitions: readonly TopicPartition[],
  consumer: Consumer<Anything>,
) => void | Promise<unknown>
/** How a record of a share group is settled. */
export interface Delivery {
  readonly deliveryCount: number
  ack(): Promise<void>
  release(options?: { delayMs?: number | undefined }): Promise<void>
  reject(reason?: unknown): Promise<void>
}
/** Up to `max` records, waiting up to `waitMs` for them. */
export interface BatchOptions {
  max?: number | undefined
  waitMs?: number | undefined
}
/** Records of one partition that are handed over together. */
export interface Batch<R extends AnyRecord = AnyRecord> {
  readonly topic: R['topic']
  readonly partition: number
  readonly records: readonly R[]
  readonly highWatermark: number
  commit(): Promise<void>
}

/** One member of a share group. */
export interface ShareConsumer<R extends AnyRecord = AnyRecord>
  extends AsyncIterable<R & Delivery>, AsyncDisposable {
  readonly memberId: string
  ready(): Promise<void>
  poll(options?: {
    max?: number | undefined
    timeoutMs?: number | undefined
    signal?: AbortSignal | undefined
  }): Promise<(R & Delivery)[]>
  leave(): Promise<void>
}
/** How `run` calls its handler. */
export interface RunOptions {
  /** How many members join; each has partitions of its own. Default 1. */
  members?: number | undefined
  /** How many handlers of one member run at once. Default 1. */
  concurrency?: number | undefined
  /**
   * What is handled one after the other: the records of a partition (default), or those of a key. A
   * record without a key waits for nobody then.
   */
  orderedBy?: 'partition' | 'key' | undefined
  /** Attempts after the first one; may be Infinity. Default 0. */
  retries?: number | undefined
  /**
   * Milliseconds before the next attempt: doubled each time, up to 30,000, or what a function gives
   * for the attempt that failed. Default 100.
   */
  backoffMs?: number | ((attempt: number) => number) | undefined
  /** Where records go that no attempt handled. Default none: such a record ends the run. */
  deadLetterTopic?: string | AnyTopicRef | undefined
  /** Stops the run, and aborts the signal of its handlers at once. */
  signal?: AbortSignal | undefined
}
/** How a share group's `run` calls its handler. */
export interface ShareRunOptions {
  members?: number | undefined
  concurrency?: number | undefined
  backoffMs?: number | ((attempt: number) => number) | undefined
  signal?: AbortSignal | undefined
}
/** What a handler is told beside its record. */
export interface RunContext {
  /** Aborts when the partition is lost, and when the handler is given up. */
  readonly signal: AbortSignal
  /** Counts from 1. */
  readonly attempt: number
  readonly memberId: string
  readonly group: GroupAdmin
}
/** A running handler. */
export interface Running extends AsyncDisposable {
  /** Every member has its partitions and a position in each. Rejects where the run ended before. */
  readonly ready: Promise<void>
  /**
   * Resolves once the run was stopped and its members left; rejects where it failed: with what the
   * handler threw as `cause`, where that ended it. Not marked as handled: a failure that nobody
   * waits for is an unhandled rejection.
   */
  readonly done: Promise<void>
  /**
   * Begins nothing more, waits for the handlers at work, commits what they finished, and leaves.
   * After `timeoutMs` (default 10,000) their signal aborts, and what they have is given up: it
   * comes again. Resolves when it is over, failed or not.
   */
  stop(options?: { timeoutMs?: number | undefined }): Promise<void>
}

/**
 * Sends that count together or not at all, in any number of topics and partitions, with positions
 * of consumer groups.
 *
 * `send` and `sendAll` resolve when the records were appended: readers of committed records see
 * them after the commit, which makes them durable whatever `acks` says. One that fails makes the
 * commit abort, whoever looked at its error; so nothing is lost where nobody awaits them.
 * Once the transaction is over everything here is refused, with `CLOSED` or, where it was aborted,
 * with `TRANSACTION_ABORTED`.
 */
export interface Transaction extends Sender {
  /**
   * Commits the positions of a group with the records: all that a consumer has handed over, a batch
   * up to its end, or the record of a handler. Auto-commit leaves these alone, from this call on:
   * it is made before more is asked for, or the group has `autoCommit: false`.
   * @throws {LogError} `INVALID_ARGUMENT` for what is not in order, with `orderedBy: 'key'`;
   *   `REBALANCED` where the partition was lost meanwhile. The commit aborts then.
   */
  commitOffsets(delivered: Consumer<Anything> | Batch<Anything> | RunContext): void
  /** Commits these positions of a group, which may have no members, with the records. */
  commitOffsets(group: GroupAdmin, offsets: readonly TopicPartitionOffset[]): void
  /**
   * Aborts: nothing of it will be seen by readers of committed records, and no position moves.
   * Resolves where it was aborted before.
   */
  abort(): Promise<void>
}
/** A transaction that is committed by hand; disposing aborts what is not committed. */
export interface OpenTransaction extends Transaction, AsyncDisposable {
  /**
   * Commits: everything sent before is durable in all its partitions when it resolves, or in none.
   * @throws {LogError} `TRANSACTION_ABORTED` where it was aborted, with what caused that;
   *   `IO` with `details.outcome: 'unknown'` where only opening the log again will tell.
   */
  commit(): Promise<void>
}

/**
 * A live map over a compacted topic: each key with the value of its last committed record. Keys are
 * equal where their bytes are. What it gives out is decoded anew each time, and the caller's own.
 *
 * Once it is closed, its log is closed or its topic deleted, `size` keeps its last value and every
 * call throws `CLOSED` or `TOPIC_NOT_FOUND`; where the topic cannot be read further, what that
 * failed with, and a DAMAGE warning says so.
 */
export interface Table<K, V> extends AsyncDisposable, Iterable<readonly [K, V]> {
  /** How many keys there are. */
  readonly size: number
  /** The value of the key's last record. @throws {LogError} INVALID_RECORD: it is undecodable. */
  get(key: K): V | undefined
  has(key: K): boolean
  /**
   * All keys with their values, as a Map gives them: in the order in which the keys came, but for
   * those that took the place of one that is gone. Keys may come and go meanwhile. Where one cannot
   * be decoded it throws INVALID_RECORD, and can go on behind it.
   */
  entries(): IterableIterator<readonly [K, V]>
  /**
   * Calls `listener` after each change, in their order, with undefined where the key is gone: in
   * the append or commit that brought it, once the table has all of that. What a listener changes
   * is told after what came before; what it throws is an uncaught exception.
   * @returns how to unsubscribe.
   */
  subscribe(listener: (key: K, value: V | undefined) => void): () => void
  /** Ends it and lets its memory go. A second call does nothing. */
  close(): Promise<void>
}
/** A log to attach to from a worker thread; plain data. */
export interface LogHandle {
  readonly directory: string | null
  readonly id: string
}
