/**
 * TopicState: what all handles of one topic share, typed or not: the topic in the engine, the log
 * it belongs to, and the record types that have to hear of a changed cleanup policy.
 */
import { LogError, invalidArgument } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import { isInternalTopic } from '../log/internal-topics.ts'
import type { LogTopic } from '../log/open-topics.ts'
import { endedError } from '../log/partition-errors.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { ReadablePartition, ReadableTopic } from '../log/readable-partition.ts'
import type { ResolvedTopicConfig, TopicConfig } from '../log/log-config.ts'
import type { SegmentReason } from '../log/segment-reasons.ts'
import type { Warn } from './log-warnings.ts'
import type { Range } from './position.ts'
import type { Producer, ProducerTopic } from './producer.ts'
import { readOnlyLog } from './read-only-log.ts'
import { RecordTypes } from './record-types.ts'
import type { StreamHost } from './record-stream.ts'
import type { TopicDefinition } from './topic-definition.ts'

const FIRST_SWEEP_COUNT = 32
const NO_LOGS: readonly PartitionLog[] = []

/** What topics and partitions ask of the log they belong to. */
export interface TopicHost extends StreamHost {
  readonly clock: Clock
  readonly warn: Warn
  readonly defaultProducer: Producer
  /** What any way of reading this log shows at most. */
  readonly visibility: Range['visibility']
  /** Looks whether another process has changed the topic; in a log written here, does nothing. */
  lookAgain(topic: TopicState): void
  alterTopic(topic: TopicState, changes: TopicConfig): Promise<void>
  addPartitions(topic: TopicState, total: number): Promise<void>
  deleteRecordsBefore(topic: TopicState, log: PartitionLog, offset: number): Promise<void>
  whySegments(topic: TopicState, log: ReadablePartition): readonly SegmentReason[]
  damageFound(error: LogError<'CORRUPT'>, resumesAt: number): void
}

/** One topic of an open log. */
export class TopicState {
  readonly host: TopicHost
  readonly topic: ReadableTopic
  /** The same, to be changed; null where another process writes it. */
  readonly written: LogTopic | null
  /** By definition; of the untyped view, by this object. */
  readonly #views = new WeakMap<object, TopicView>()
  /** The types of all views that are still in use. */
  #types: WeakRef<RecordTypes>[] = []
  #sweepAtCount = FIRST_SWEEP_COUNT
  readonly #growthListeners = new Set<() => void>()
  #partitionCount: number

  constructor(host: TopicHost, topic: ReadableTopic, written: LogTopic | null) {
    this.host = host
    this.topic = topic
    this.written = written
    this.#partitionCount = topic.partitions.length
  }

  /** The topic with the types of `definition`, or as bytes. The same for the same definition. */
  view(definition: TopicDefinition | null): TopicView {
    const known = this.#views.get(definition ?? this)
    if (known !== undefined) return known
    const types = new RecordTypes(this.topic.name, definition, this.isCompacted)
    const view = new TopicView(this, types, definition)
    this.#views.set(definition ?? this, view)
    this.#remember(types)
    return view
  }

  /** The cleanup policy may have changed. */
  configChanged(): void {
    for (const reference of this.#types) {
      const types = reference.deref()
      if (types !== undefined) types.compacted = this.isCompacted
    }
  }

  /** Somebody else may have changed its settings, or added partitions. */
  changed(): void {
    this.configChanged()
    if (this.topic.partitions.length > this.#partitionCount) this.grown()
  }

  /** Partitions were added. */
  grown(): void {
    this.#partitionCount = this.topic.partitions.length
    for (const listener of this.#growthListeners) listener()
  }

  /** Calls `listener` when there are more partitions, before anything is appended to them. */
  onGrowth(listener: () => void): () => void {
    this.#growthListeners.add(listener)
    return () => void this.#growthListeners.delete(listener)
  }

  /** Whether it can be read and written: `checkUsable` says why not. */
  get isUsable(): boolean {
    return this.host.isOpen && this.topic.partitions[0]?.end === undefined
  }

  /** @throws {LogError} CLOSED or TOPIC_NOT_FOUND where nothing can be read or written any more. */
  checkUsable(): void {
    const [first] = this.topic.partitions
    if (first?.end === 'deleted' || first?.end === 'lost') throw endedError(first)
    if (this.host.isOpen) return
    const { name } = this.topic
    const message = `the log is closed: ${name} can be neither read nor written`
    throw new LogError('CLOSED', message, { topic: name })
  }

  /** As `checkUsable`, after a look at what another process may have done to the topic. */
  checkNow(): void {
    this.host.lookAgain(this)
    this.checkUsable()
  }

  /**
   * As `checkUsable`, for `call`, which changes the topic.
   * @throws {LogError} INVALID_ARGUMENT for topics that only the engine writes; READ_ONLY.
   */
  checkWritable(call: string): void {
    this.checkUsable()
    const { name } = this.topic
    if (this.written === null) throw readOnlyLog(`${name}: ${call}`)
    if (!isInternalTopic(name)) return
    throw invalidArgument(`${name} is written by the log itself; it can only be read`, {
      topic: name,
    })
  }

  /** A range as this log shows it. */
  shown<R extends Pick<Range, 'visibility'>>(range: R): R {
    return this.host.visibility === 'written' ? range : { ...range, visibility: 'durable' }
  }

  /** First offset that nobody sees who takes uncommitted records too. */
  shownEnd(log: ReadablePartition): number {
    // Hot: `get` asks for each record.
    if (this.host.visibility === 'written') return log.highWatermark
    return Math.min(log.highWatermark, log.durableOffset)
  }

  /** Whether the last record of each key is what is kept. */
  get isCompacted(): boolean {
    return this.topic.config.cleanupPolicy !== 'delete'
  }

  /** A definition may be made for each call: what nobody uses any more must not pile up. */
  #remember(types: RecordTypes): void {
    this.#types.push(new WeakRef(types))
    if (this.#types.length < this.#sweepAtCount) return
    this.#types = this.#types.filter((reference) => reference.deref() !== undefined)
    this.#sweepAtCount = Math.max(FIRST_SWEEP_COUNT, 2 * this.#types.length)
  }
}

/** A topic as one handle of it, and a producer, see it. */
export class TopicView implements ProducerTopic {
  readonly state: TopicState
  readonly types: RecordTypes
  readonly definition: TopicDefinition | null

  constructor(state: TopicState, types: RecordTypes, definition: TopicDefinition | null) {
    this.state = state
    this.types = types
    this.definition = definition
  }

  get name(): string {
    return this.state.topic.name
  }

  get config(): ResolvedTopicConfig {
    return this.state.topic.config
  }

  get partitions(): readonly ReadablePartition[] {
    return this.state.topic.partitions
  }

  get logs(): readonly PartitionLog[] {
    return this.state.written?.partitions ?? NO_LOGS
  }

  get isUsable(): boolean {
    return this.state.isUsable
  }
}
