/**
 * Partition: the handle of one partition. Appends and reads without a producer or a group.
 *
 * What is synchronous here blocks: `append` until the kernel has the bytes, `records`, `scan` and
 * `get` until the disk has given them. `read` waits instead.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError, invalidArgument } from '../errors/log-error.ts'
import type { Codec } from '../format/compression.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { ReadablePartition } from '../log/readable-partition.ts'
import { endedError } from '../log/partition-errors.ts'
import { RecordLookup } from '../log/record-lookup.ts'
import type { SegmentReason } from '../log/segment-reasons.ts'
import { offsetForTimestamp } from '../log/timestamp-lookup.ts'
import { undecodable } from '../log/undecodable-batch.ts'
import { checkOptions, describeValue } from './check-options.ts'
import { takeInAll } from './log-description.ts'
import type { LogRecord } from './log-record.ts'
import {
  checkOffset,
  checkTime,
  rangeOf,
  readingOf,
  type RangeOptions,
  type ReadOptions,
} from './position.ts'
import { PreparedBatch } from './prepared-batch.ts'
import { checkCodec } from './producer-options.ts'
import type { RecordInput } from './record-input.ts'
import { RecordIterator } from './record-iterator.ts'
import { RecordMemory } from './record-memory.ts'
import { readOnlyLog } from './read-only-log.ts'
import { checkReadable, RecordSource } from './record-source.ts'
import { MergedStream, type RecordStream } from './record-stream.ts'
import type { RecordTypes } from './record-types.ts'
import type { Bytes, InputOf } from './topic-ref.ts'
import type { TopicState } from './topic-state.ts'

const APPEND_OPTIONS: readonly string[] = ['compression', 'expectOffset']

/** Where appended records ended up. */
export interface AppendResult {
  readonly baseOffset: number
  readonly lastOffset: number
  /** Largest timestamp of the batch, or the time of the append. */
  readonly timestamp: number
  readonly leaderEpoch: number
}

/** How `append` stores its records. */
export interface AppendOptions {
  /** Default 'none'; a topic's own `compressionType` wins. */
  compression?: Codec | undefined
  /** Appends only where this is the log's end: optimistic concurrency. */
  expectOffset?: number | undefined
}

/** What `scan` shows of a record; valid only inside the visit. */
export interface RecordCursor {
  readonly offset: number
  readonly timestamp: number
  /** Borrowed until the visit returns. */
  readonly buffer: Buffer
  readonly keyStart: number
  /** −1 for null. */
  readonly keyLength: number
  readonly valueStart: number
  /** −1 for null. */
  readonly valueLength: number
}

interface CheckedAppend {
  readonly codec: Codec
  readonly expectOffset: number | undefined
}
const DEFAULT_APPEND: CheckedAppend = { codec: 'none', expectOffset: undefined }

/** One partition of a topic. */
export class Partition<
  K = Bytes,
  V = Bytes,
  N extends string = string,
  KI = InputOf<K>,
  VI = InputOf<V>,
> {
  readonly topic: N
  readonly index: number
  readonly #log: ReadablePartition
  /** The same, to append to; null where another process writes it. */
  readonly #written: PartitionLog | null
  readonly #state: TopicState
  readonly #types: RecordTypes
  /** Of `get`: made at its first call. */
  #lookup: RecordLookup | undefined
  readonly #foundMemory: RecordMemory

  private constructor(state: TopicState, types: RecordTypes, log: ReadablePartition) {
    this.topic = log.topic as N // The handle of the topic named N made this one.
    this.index = log.partition
    this.#log = log
    this.#written = state.written?.partitions[log.partition] ?? null
    this.#state = state
    this.#types = types
    this.#foundMemory = new RecordMemory(types, log.partition)
  }

  /** @internal */
  static of<K, V, N extends string, KI, VI>(
    state: TopicState,
    types: RecordTypes,
    log: ReadablePartition,
  ): Partition<K, V, N, KI, VI> {
    return new Partition(state, types, log)
  }

  /** First offset still readable. */
  get logStartOffset(): number {
    this.#log.refresh()
    return this.#log.logStartOffset
  }
  /** First offset that readers cannot see yet. Moves at append. */
  get highWatermark(): number {
    this.#log.refresh()
    return this.#log.highWatermark
  }
  /** First offset that read_committed readers cannot see yet. */
  get lastStableOffset(): number {
    this.#log.refresh()
    return this.#log.lastStableOffset
  }
  /** The offset the next record gets. */
  get logEndOffset(): number {
    this.#log.refresh()
    return this.#log.logEndOffset
  }
  /** First offset that a power cut could lose. Moves after a sync. */
  get durableOffset(): number {
    this.#log.refresh()
    return this.#log.durableOffset
  }

  /**
   * Appends records as one batch, synchronously: in the kernel's page cache when it returns, so
   * safe from a kill of the process; from a power cut once `flush` has resolved. Nothing limits how
   * much may be unsynced here: who appends faster than the disk syncs should `flush` now and then.
   *
   * @throws {LogError} INVALID_ARGUMENT for no records or what no record is; INVALID_RECORD where a
   * schema or serde refuses; RECORD_TOO_LARGE where the batch exceeds maxMessageBytes;
   * OFFSET_CONFLICT where `expectOffset` is not the log's end; NO_SPACE, IO, READ_ONLY, CLOSED,
   * TOPIC_NOT_FOUND. Nothing is appended then.
   */
  append(
    records: RecordInput<KI, VI> | readonly RecordInput<KI, VI>[],
    options?: AppendOptions,
  ): AppendResult {
    const log = this.#writable('append')
    const { codec, expectOffset } = this.#appendOptions(options)
    const batch = PreparedBatch.take(log.tail)
    try {
      const nowMs = this.#state.host.clock.now()
      if (isList(records)) batch.read(records, this.#types, nowMs)
      else batch.add(records, this.#types, nowMs)
      const { builder } = batch
      if (builder.recordCount === 0)
        throw invalidArgument(`${this.#name}: append needs at least one record`, { records })
      if (expectOffset !== undefined && expectOffset !== log.logEndOffset)
        throw this.#conflict(expectOffset)
      builder.finish(codec)
      const { baseOffset, lastOffset, timestamp, leaderEpoch } = log.append(builder)
      return { baseOffset, lastOffset, timestamp, leaderEpoch }
    } finally {
      batch.giveBack()
    }
  }

  /**
   * The records of a range, one after the other. Blocks while it reads from disk; `read` does not.
   * @throws {LogError} OFFSET_OUT_OF_RANGE, INVALID_ARGUMENT at the call; CORRUPT on the way.
   */
  records(options?: RangeOptions): IterableIterator<LogRecord<K, V, N>> {
    const source = this.#source(rangeOf(options, `${this.#name}: records`), false)
    return new RecordIterator<LogRecord<K, V, N>>(source, () => this.#state.checkUsable())
  }

  /**
   * Visits the records of a range without making an object for each. The cursor is reused: what it
   * shows is valid only inside the visit. Returning false ends the scan. Blocks while it reads.
   * @returns how many records were visited.
   */
  scan(visit: (cursor: RecordCursor) => void | boolean, options?: RangeOptions): number {
    if (typeof visit !== 'function')
      throw invalidArgument(`${this.#name}: scan takes a function, not ${describeValue(visit)}`, {
        visit,
      })
    const source = this.#source(rangeOf(options, `${this.#name}: scan`), false)
    return source.scan(visit)
  }

  /**
   * The records of a range as an async iterator; with `live`, it waits for more at the end.
   * Rejects at the first `next` where the range starts outside the log.
   */
  read(options?: ReadOptions): RecordStream<LogRecord<K, V, N>> {
    const reading = readingOf(options, `${this.#name}: read`)
    return new MergedStream(this.#state.host, reading, () => [this.#source(reading, reading.live)])
  }

  /**
   * The record at `offset`; undefined where compaction removed it or it is a control record.
   * Blocks while it reads from disk.
   * @throws {LogError} OFFSET_OUT_OF_RANGE outside the log; CORRUPT.
   */
  get(offset: number): LogRecord<K, V, N> | undefined {
    this.#state.checkUsable()
    // A text for each lookup would cost as much as a part of it.
    if (!Number.isSafeInteger(offset) || offset < 0)
      checkOffset(offset, `${this.#name}: get: offset`)
    const log = this.#log
    const isShown = offset < this.#state.shownEnd(log) && offset >= log.logStartOffset
    if (!isShown) this.#lookFor(offset)
    this.#lookup ??= new RecordLookup(this.#log)
    try {
      const reader = this.#lookup.find(offset)
      if (reader === undefined) return undefined
      const record: unknown = this.#foundMemory.only(reader)
      // The types of this handle are those its record types decode to.
      return record as LogRecord<K, V, N>
    } catch (error) {
      throw error instanceof CorruptBytes ? undecodable(this.#log, offset, error) : error
    }
  }

  /**
   * The first offset whose record is at or after `timestamp`; null where none is. Blocks while it
   * reads.
   */
  offsetForTimestamp(timestamp: number | Date): number | null {
    this.#state.checkNow()
    const log = this.#log
    log.refresh()
    const time = checkTime(timestamp, `${this.#name}: offsetForTimestamp: timestamp`)
    const found = offsetForTimestamp(log, time)
    return found !== null && found < this.#state.shownEnd(log) ? found : null
  }

  /**
   * Removes the records before `beforeOffset` from the log. At or below logStartOffset it does
   * nothing. Durable when it resolves with the new logStartOffset.
   * @throws {LogError} OFFSET_OUT_OF_RANGE above the highWatermark.
   */
  async deleteRecords(beforeOffset: number): Promise<number> {
    const log = this.#writable('deleteRecords')
    checkOffset(beforeOffset, `${this.#name}: deleteRecords: beforeOffset`)
    if (beforeOffset <= log.logStartOffset) return log.logStartOffset
    checkReadable(log, beforeOffset, log.highWatermark)
    await this.#state.host.deleteRecordsBefore(this.#state, log, beforeOffset)
    return log.logStartOffset
  }

  /**
   * Each segment, oldest first, with the reason why it is still there and, where time alone decides
   * that, when it may go. Reads no records.
   */
  why(): readonly SegmentReason[] {
    this.#state.checkNow()
    takeInAll(this.#log)
    return this.#state.host.whySegments(this.#state, this.#log)
  }

  /**
   * Resolves with a durable offset of at least the log's end at the call.
   * @throws {LogError} IO with `details.outcome: 'unknown'` where a sync failed.
   */
  async flush(): Promise<number> {
    this.#state.checkUsable()
    const log = this.#written
    if (log === null) throw readOnlyLog(`${this.#name}: flush`)
    await log.makeDurable(log.logEndOffset)
    return log.durableOffset
  }

  get #name(): string {
    return `${this.topic}-${this.index}`
  }

  #source(range: ReturnType<typeof rangeOf>, live: boolean): RecordSource {
    this.#state.checkNow()
    const onDamage = (error: LogError<'CORRUPT'>, resumesAt: number): void =>
      this.#state.host.damageFound(error, resumesAt)
    return new RecordSource(this.#log, this.#types, {
      range: this.#state.shown(range),
      live,
      onDamage,
    })
  }

  /** @throws {LogError} OFFSET_OUT_OF_RANGE where the offset is not there now either. */
  #lookFor(offset: number): void {
    const log = this.#log
    log.refresh()
    if (log.end !== undefined) throw endedError(log)
    checkReadable(log, offset, this.#state.shownEnd(log) - 1)
  }

  /** @throws {LogError} As `TopicState.checkWritable`. */
  #writable(call: string): PartitionLog {
    this.#state.checkWritable(call)
    if (this.#written === null) throw readOnlyLog(`${this.#name}: ${call}`)
    return this.#written
  }

  #appendOptions(options: AppendOptions | undefined): CheckedAppend {
    const stored = this.#log.config.compressionType
    if (options === undefined && stored === 'producer') return DEFAULT_APPEND
    const where = `${this.#name}: append`
    checkOptions(options, APPEND_OPTIONS, where)
    const { compression = 'none', expectOffset } = options ?? {}
    if (expectOffset !== undefined) checkOffset(expectOffset, `${where}: expectOffset`)
    const asked = checkCodec(compression, where)
    return { codec: stored === 'producer' ? asked : checkCodec(stored, where), expectOffset }
  }

  #conflict(expectOffset: number): LogError<'OFFSET_CONFLICT'> {
    const { logEndOffset } = this.#log
    return new LogError(
      'OFFSET_CONFLICT',
      `${this.#name}: expected to append at offset ${expectOffset}, but the log ends at ${logEndOffset}: somebody appended in between`,
      { topic: this.topic, partition: this.index, expectOffset, logEndOffset },
    )
  }
}

/** Whether an append got a list: arrays of another realm are lists too. */
function isList<T>(records: T | readonly T[]): records is readonly T[] {
  return Array.isArray(records)
}
