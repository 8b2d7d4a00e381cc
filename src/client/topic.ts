/**
 * Topic: the handle of a topic, with the types of its records. Several handles of one topic, typed
 * differently or not at all, are views of the same partitions.
 */
import { LogError, invalidArgument } from '../errors/log-error.ts'
import {
  checkTopicConfig,
  topicRenamed,
  type ResolvedTopicConfig,
  type TopicConfig,
} from '../log/log-config.ts'
import type { ReadablePartition } from '../log/readable-partition.ts'
import { countRecords } from '../log/record-count.ts'
import { checkOptions, describeValue } from './check-options.ts'
import type { Table } from './group-types.ts'
import { takeInAll } from './log-description.ts'
import type { LogRecord } from './log-record.ts'
import { partitionOfKey } from './partitioner.ts'
import { Partition } from './partition.ts'
import { checkCodec } from './producer-options.ts'
import {
  signalOf,
  topicReadingOf,
  type StartPosition,
  type TopicReading,
  type TopicReadOptions,
} from './position.ts'
import type { RecordMetadata } from './producer.ts'
import type { SendInput } from './record-input.ts'
import { RecordSource } from './record-source.ts'
import { MergedStream, type RecordStream } from './record-stream.ts'
import type { RecordTypes } from './record-types.ts'
import type { Bytes, InputOf, TopicRef } from './topic-ref.ts'
import { openTable } from './table/topic-table.ts'
import type { TopicState, TopicView } from './topic-state.ts'

/** How much a topic holds. */
export interface TopicSize {
  /** Log end minus log start, summed over the partitions. */
  readonly offsets: number
  /** Bytes of the .log files, without what is preallocated. */
  readonly bytes: number
  readonly segments: number
}

/** A topic of an open log. */
export class Topic<
  K = Bytes,
  V = Bytes,
  N extends string = string,
  KI = InputOf<K>,
  VI = InputOf<V>,
> implements TopicRef<K, V, N, KI, VI> {
  declare readonly '~types'?:
    | { readonly key: K; readonly value: V; readonly keyInput: KI; readonly valueInput: VI }
    | undefined
  readonly name: N
  /** Kafka's topic id: 22 characters of base64url. */
  readonly id: string
  readonly #view: TopicView
  readonly #state: TopicState
  readonly #types: RecordTypes
  #partitions: readonly Partition<K, V, N, KI, VI>[] = []

  private constructor(view: TopicView) {
    const { state, types } = view
    this.name = state.topic.name as N // Whoever makes a handle found the topic by this name.
    this.id = state.topic.id
    // Without types as well: what is assigned to them would change nothing.
    Object.defineProperties(this, { name: { writable: false }, id: { writable: false } })
    this.#view = view
    this.#state = state
    this.#types = types
  }

  /** @internal */
  static of<K, V, N extends string, KI, VI>(view: TopicView): Topic<K, V, N, KI, VI> {
    return new Topic(view)
  }

  /** What is behind a handle; undefined for what is none. @internal */
  static viewOf(topic: unknown): TopicView | undefined {
    return typeof topic === 'object' && topic !== null && #view in topic ? topic.#view : undefined
  }

  /** The settings in force. Frozen; a new object after each change. */
  get config(): ResolvedTopicConfig {
    this.#state.host.lookAgain(this.#state)
    return this.#state.topic.config
  }

  get partitions(): readonly Partition<K, V, N, KI, VI>[] {
    this.#state.host.lookAgain(this.#state)
    const logs = this.#state.topic.partitions
    if (this.#partitions.length !== logs.length) {
      this.#partitions = Object.freeze(
        logs.map(
          (log, index) =>
            this.#partitions[index] ?? Partition.of<K, V, N, KI, VI>(this.#state, this.#types, log),
        ),
      )
    }
    return this.#partitions
  }

  /** @throws {LogError} INVALID_ARGUMENT for what no partition can be; PARTITION_NOT_FOUND. */
  partition(index: number): Partition<K, V, N, KI, VI> {
    if (!Number.isSafeInteger(index)) {
      throw invalidArgument(
        `${this.name}: a partition is an integer, not ${describeValue(index)}`,
        { partition: index },
      )
    }
    const partition = this.partitions[index]
    if (partition === undefined) throw this.#notFound(index)
    return partition
  }

  /**
   * Where the default partitioner puts this key, as Kafka's does.
   * @throws {LogError} INVALID_ARGUMENT for null, which has no fixed place; INVALID_RECORD.
   */
  partitionFor(key: KI): Partition<K, V, N, KI, VI> {
    const encoded = this.#types.encodeKey(key)
    if (encoded instanceof Promise) {
      encoded.catch(() => undefined)
      throw invalidArgument(`${this.name}: partitionFor needs a key whose schema answers at once`)
    }
    if (encoded === null) {
      throw invalidArgument(
        `${this.name}: partitionFor needs a key: records without one have no fixed partition`,
        { key },
      )
    }
    return this.partition(partitionOfKey(encoded, this.partitions.length))
  }

  /** Sends through the log's own producer: acks 'all', group commit. Durable when it resolves. */
  send(record: SendInput<KI, VI>): Promise<RecordMetadata> {
    try {
      this.#checkGiven(record, 'send')
      return this.#producer('send').send<KI, VI>(this, record)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Sends records together; resolves with their places, in the order given. */
  sendAll(records: readonly SendInput<KI, VI>[]): Promise<readonly RecordMetadata[]> {
    try {
      this.#checkGiven(records, 'sendAll')
      return this.#producer('sendAll').sendAll<KI, VI>(this, records)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The records of all partitions, or of those named, as an async iterator: in offset order within
   * a partition, interleaved by batches between them. With `live`, it waits for more at the end.
   */
  read(options?: TopicReadOptions): RecordStream<LogRecord<K, V, N>> {
    const reading = this.#state.shown(topicReadingOf(options, `${this.name}: read`))
    this.#state.host.lookAgain(this.#state)
    const chosen = this.#chosen(reading)
    return new MergedStream(this.#state.host, reading, () => {
      this.#state.checkUsable()
      return chosen.map(({ log, from }) => this.#source(reading, log, from))
    })
  }

  /**
   * A live map over a compacted topic, from each key to the value of its last record. Loads what is
   * there, then follows: what an append in this process brings is in when that returns, what a
   * transaction brings when it is committed. Holds keys and values in memory, as bytes, until
   * `close`. `signal` ends the loading.
   *
   * @example
   * ```ts
   * const prices = await log.topic(Prices).table()
   * prices.get('tea') // the last price, or undefined
   * const unsubscribe = prices.subscribe((key, value) => console.log(key, value))
   * ```
   * @throws {LogError} INVALID_ARGUMENT where the topic is not compacted; ABORTED by its signal;
   *   CORRUPT, UNSUPPORTED_FORMAT or IO where it cannot be read; CLOSED; TOPIC_NOT_FOUND.
   */
  async table(options?: { signal?: AbortSignal | undefined }): Promise<Table<K, NonNullable<V>>> {
    // The types of this handle are those its record types decode to.
    return (await openTable(this.#view, options)) as Table<K, NonNullable<V>>
  }

  /**
   * Changes settings while the log is open; what is not given stays. Durable, and in force for
   * whatever is appended and looked after from then on, when it resolves.
   *
   * A topic that becomes a compacted one asks for keys at once. Records without a key that are
   * there already, or sent before, are kept; a CONFIG_CHANGED warning says how many, of a topic of
   * more than 1 MiB some time later.
   * @throws {LogError} INVALID_ARGUMENT, also for `partitions`, which only `addPartitions` changes.
   */
  async alterConfig(config: TopicConfig): Promise<void> {
    this.#state.checkWritable('alterConfig')
    const changes = checkTopicConfig(config, `${this.name}: alterConfig`)
    const { compressionType: codec = 'producer' } = changes
    if (codec !== 'producer') checkCodec(codec, `${this.name}: alterConfig: compressionType`)
    if (changes.partitions !== undefined) {
      throw invalidArgument(
        `${this.name}: alterConfig cannot change partitions: use addPartitions(total)`,
        { option: 'partitions', value: changes.partitions },
      )
    }
    await this.#state.host.alterTopic(this.#state, changes)
  }

  /**
   * Refuses: a topic keeps its name. Handles, definitions, positions of groups and the folders on
   * disk go by it, in this process and in others.
   * @throws {LogError} Rejects with INVALID_ARGUMENT, always.
   */
  async rename(name: string): Promise<never> {
    throw topicRenamed(`${this.name}: rename(${describeValue(name)})`)
  }

  /** Adds partitions up to `total`; the same total does nothing, fewer is INVALID_ARGUMENT. */
  async addPartitions(total: number): Promise<void> {
    this.#state.checkWritable('addPartitions')
    const { partitions = null } = checkTopicConfig(
      { partitions: total },
      `${this.name}: addPartitions`,
    )
    const { length } = this.#state.topic.partitions
    if (partitions === null || partitions < length) {
      throw invalidArgument(
        `${this.name}: addPartitions(${total}): there are ${length} already, and partitions ` +
          'cannot be taken away: the total has to be more',
        { value: total },
      )
    }
    if (total > length) await this.#state.host.addPartitions(this.#state, total)
  }

  /**
   * How much the topic holds, from memory; of a log that another process writes, what it appended
   * since is read first. @throws {LogError} CLOSED, TOPIC_NOT_FOUND.
   */
  size(): TopicSize {
    this.#state.checkNow()
    let offsets = 0
    let bytes = 0
    let segments = 0
    for (const log of this.#state.topic.partitions) {
      takeInAll(log)
      offsets += log.logEndOffset - log.logStartOffset
      bytes += log.logBytes
      segments += log.segments.count
    }
    return { offsets, bytes, segments }
  }

  /** Counts the users' records that are really there: after compaction fewer than offsets. */
  async countRecords(options?: { signal?: AbortSignal | undefined }): Promise<number> {
    const where = `${this.name}: countRecords`
    checkOptions(options, ['signal'], where)
    const signal = signalOf(options?.signal, where)
    this.#state.checkNow()
    const check = (): void => {
      this.#state.checkUsable()
      if (signal?.aborted !== true) return
      const cause: unknown = signal.reason
      throw new LogError('ABORTED', `${where} was aborted by its signal`, {}, { cause })
    }
    let total = 0
    for (const log of this.#state.topic.partitions) {
      log.refresh()
      total += await countRecords(log, this.#state.shownEnd(log), check)
    }
    return total
  }

  #producer(call: string): TopicState['host']['defaultProducer'] {
    this.#state.checkWritable(call)
    return this.#state.host.defaultProducer
  }

  /** Which partitions a read covers, and from where. Whether offsets exist is checked later. */
  #chosen(reading: TopicReading): readonly ChosenPartition[] {
    const { from } = reading
    const logs = reading.partitions?.map((index) => this.#logOf(index))
    const chosen = logs ?? this.#state.topic.partitions
    if (from instanceof Map) {
      const offsets: ReadonlyMap<number, number> = from
      for (const index of offsets.keys()) this.#logOf(index)
      return chosen.map((log) => ({ log, from: offsets.get(log.partition) ?? 'earliest' }))
    }
    if (typeof from === 'number' && chosen.length !== 1) {
      throw invalidArgument(
        `${this.name}: read: an offset as from needs exactly one partition, there are ` +
          `${chosen.length}: name one in partitions, or give { offsets }`,
        { option: 'from', value: from },
      )
    }
    const start = from as StartPosition // not a map, see above
    return chosen.map((log) => ({ log, from: start }))
  }

  #logOf(index: number): ReadablePartition {
    const log = this.#state.topic.partitions[index]
    if (log === undefined) throw this.#notFound(index)
    return log
  }

  #notFound(index: number): LogError<'PARTITION_NOT_FOUND'> {
    const { length } = this.#state.topic.partitions
    return new LogError(
      'PARTITION_NOT_FOUND',
      `${this.name}: there is no partition ${index}; there are ${length}, 0 to ${length - 1}`,
      { topic: this.name, partition: index, partitionCount: length },
    )
  }

  /** A producer that is given nothing beside the handle would take the handle for the record. */
  #checkGiven(records: unknown, call: string): void {
    if (records !== undefined) return
    throw invalidArgument(`${this.name}: ${call} was given nothing to send`, { records })
  }

  #source(reading: TopicReading, log: ReadablePartition, from: StartPosition): RecordSource {
    return new RecordSource(log, this.#types, {
      range: { ...reading, from },
      live: reading.live,
      onDamage: (error, resumesAt) => this.#state.host.damageFound(error, resumesAt),
    })
  }
}

interface ChosenPartition {
  readonly log: ReadablePartition
  readonly from: StartPosition
}
