/**
 * LogHost: what stands between the handles that users hold and the engine of one open log: which
 * topics there are, the producers, the procedures that change files, and what happens by itself.
 *
 *   I1  a topic is looked for and made inside the same procedure: two calls cannot both make it
 *   I2  once closing has begun nothing new is accepted; what was accepted finishes or rejects
 */
import { LogError, invalidArgument } from '../errors/log-error.ts'
import { checkTopicName } from '../format/topic-name.ts'
import { ProcedureQueue, type Procedure } from '../storage/procedure.ts'
import type { Clock } from '../log/clock.ts'
import { checkTopicConfig, type TopicConfig } from '../log/log-config.ts'
import type { LogDirectory, LogTopic } from '../log/log-directory.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { describeValue } from './check-options.ts'
import type { CheckedLogOptions } from './log-options.ts'
import { damageSkipped, partitionReadOnly, type Warn } from './log-warnings.ts'
import { Producer, type ProducerHost, type ProducerTopic } from './producer.ts'
import { checkCodec, type ProducerOptions } from './producer-options.ts'
import { Topic } from './topic.ts'
import { isTopicDefinition, type TopicDefinition } from './topic-definition.ts'
import type { AnyTopicRef } from './topic-ref.ts'
import { TopicState, isInternalTopic, type TopicHost } from './topic-state.ts'

/** Recovery never reads more than what was appended in this time. */
const CHECKPOINT_INTERVAL_MS = 60_000
/** Small segments roll often: their checkpoints come together. */
const ROLL_CHECKPOINT_DELAY_MS = 1_000

/** One open log, below its public handle. */
export class LogHost implements TopicHost, ProducerHost {
  readonly clock: Clock
  readonly randomBytes: (byteLength: number) => Uint8Array
  /** Pending work keeps the process alive: of logs on disk, never of those in memory. */
  readonly holdsProcess: boolean
  readonly #directory: LogDirectory
  readonly #options: CheckedLogOptions
  readonly #defaults: TopicConfig
  readonly #warn: Warn
  readonly #procedures = new ProcedureQueue()
  readonly #states = new Map<string, TopicState>()
  readonly #handles = new WeakMap<TopicState, Map<TopicDefinition | null, Topic>>()
  readonly #producers = new Set<Producer>()
  readonly #closingListeners = new Set<() => void>()
  #defaultProducer: Producer | undefined
  #isOpen = true
  #checkpointTimer: unknown
  #rollTimer: unknown

  constructor(
    directory: LogDirectory,
    options: CheckedLogOptions,
    defaults: TopicConfig,
    warn: Warn,
  ) {
    this.#directory = directory
    this.#options = options
    this.#defaults = defaults
    this.#warn = warn
    this.clock = options.clock
    this.randomBytes = options.randomBytes
    this.holdsProcess = !directory.driver.volatile
  }

  get isOpen(): boolean {
    return this.#isOpen
  }
  get warn(): Warn {
    return this.#warn
  }

  onClosing(listener: () => void): () => void {
    this.#closingListeners.add(listener)
    return () => void this.#closingListeners.delete(listener)
  }

  /** Starts what happens by itself. */
  start(): void {
    if (this.#directory.driver.volatile) return
    this.#scheduleCheckpoint()
    if (this.#directory.hasSpaceToFree) this.#inBackground(this.#freeSpace())
  }

  /**
   * A segment was sealed: its part of the log need not be recovered any more, after a checkpoint.
   */
  rolled(): void {
    if (this.#directory.driver.volatile || !this.#isOpen || this.#rollTimer !== undefined) return
    this.#rollTimer = this.clock.setTimeout(() => {
      this.#rollTimer = undefined
      if (this.#isOpen) this.#inBackground(this.#procedures.run(() => this.#directory.checkpoint()))
    }, ROLL_CHECKPOINT_DELAY_MS)
  }

  partitionFailed(partition: PartitionLog, error: LogError): void {
    this.#warn(partitionReadOnly(partition, error))
  }

  damageFound(error: LogError<'CORRUPT'>, resumesAt: number): void {
    this.#warn(damageSkipped(error, resumesAt))
  }

  // ------------------------------------------------------------------ topics

  /** Topics that users see. */
  topics(): readonly LogTopic[] {
    return this.#directory.topics().filter((topic) => !isInternalTopic(topic.name))
  }

  /**
   * The handle of an existing topic. @throws {LogError} TOPIC_NOT_FOUND, INVALID_ARGUMENT, CLOSED.
   */
  topic(ref: unknown): Topic {
    this.checkOpen('log.topic')
    const { name, definition } = this.#named(ref, 'log.topic')
    const own = typeof ref === 'object' && ref !== null ? Topic.internals(ref) : undefined
    if (own !== undefined && own.state.host === this) {
      own.state.checkUsable()
      return ref as Topic // It has the internals of one.
    }
    const topic = this.#directory.topic(name)
    if (topic === undefined) throw this.#notFound(name)
    return this.#handle(topic, definition)
  }

  /** Creates a topic; on volatile storage it is there when the procedure returns. */
  *creation(ref: unknown, config: TopicConfig | undefined, where: string): Procedure<Topic> {
    const { name, definition, given } = this.#asked(ref, config, where)
    if (this.#directory.topic(name) !== undefined) {
      throw new LogError(
        'TOPIC_EXISTS',
        `topic ${name} exists already: use ensureTopic to take it as it is`,
        { topic: name },
      )
    }
    return yield* this.#make(name, definition, given, where)
  }

  /** Creates a topic or checks the one there is. */
  *ensuring(ref: unknown, config: TopicConfig | undefined, where: string): Procedure<Topic> {
    const { name, definition, given } = this.#asked(ref, config, where)
    const topic = this.#directory.topic(name)
    if (topic === undefined) return yield* this.#make(name, definition, given, where)
    const changes = differences(topic, given)
    if (Object.keys(changes).length > 0) {
      yield* this.#directory.alterTopic(name, changes)
      this.#states.get(name)?.configChanged()
      this.#warn({
        code: 'CONFIG_CHANGED',
        details: { topic: name, changes },
        message: `settings of topic ${name} were changed to what was asked for: ${Object.entries(
          changes,
        )
          .map(([key, value]) => `${key} = ${String(value)}`)
          .join(', ')}`,
      })
    }
    return this.#handle(topic, definition)
  }

  createTopic(ref: unknown, config: TopicConfig | undefined): Promise<Topic> {
    return this.#run('log.createTopic', () => this.creation(ref, config, 'log.createTopic'))
  }

  ensureTopic(ref: unknown, config: TopicConfig | undefined): Promise<Topic> {
    return this.#run('log.ensureTopic', () => this.ensuring(ref, config, 'log.ensureTopic'))
  }

  async deleteTopic(ref: unknown): Promise<void> {
    await this.#run('log.deleteTopic', () => this.#deletion(ref))
    if (this.#directory.hasSpaceToFree) this.#inBackground(this.#freeSpace())
  }

  alterTopic(state: TopicState, changes: TopicConfig): Promise<void> {
    return this.#run('alterConfig', () => this.#alteration(state, changes))
  }

  addPartitions(state: TopicState, total: number): Promise<void> {
    return this.#run('addPartitions', () => this.#growth(state, total))
  }

  deleteRecordsBefore(log: PartitionLog, offset: number): Promise<void> {
    return this.#run('deleteRecords', () => this.#directory.deleteRecordsBefore(log, offset))
  }

  // --------------------------------------------------------------- producers

  get defaultProducer(): Producer {
    this.#defaultProducer ??= this.producer(undefined)
    return this.#defaultProducer
  }

  producer(options: ProducerOptions | undefined): Producer {
    this.checkOpen('log.producer')
    const producer = Producer.create(this, options)
    this.#producers.add(producer)
    return producer
  }

  producerTopic(ref: string | AnyTopicRef): ProducerTopic {
    const handle = this.topic(ref)
    const internals = Topic.internals(handle)
    if (internals === undefined) throw this.#notFound(handle.name)
    internals.state.checkWritable()
    const { topic } = internals.state
    return {
      name: topic.name,
      types: internals.types,
      get config() {
        return topic.config
      },
      get partitions() {
        return topic.partitions
      },
    }
  }

  producerClosed(producer: Producer): void {
    this.#producers.delete(producer)
    if (producer === this.#defaultProducer) this.#defaultProducer = undefined
  }

  // ------------------------------------------------------------------ ending

  /** Everything sent or appended before the call is durable when it resolves. */
  async flush(): Promise<void> {
    this.checkOpen('log.flush')
    await Promise.all([...this.#producers].map((producer) => producer.flush()))
    const partitions = this.#directory.topics().flatMap((topic) => topic.partitions)
    await Promise.all(partitions.map((partition) => partition.makeDurable(partition.logEndOffset)))
  }

  /**
   * @throws {LogError} IO where a sync failed, now or before; everything is released all the same.
   */
  async close(timeoutMs: number): Promise<void> {
    this.#isOpen = false
    if (this.#checkpointTimer !== undefined) this.clock.clearTimeout(this.#checkpointTimer)
    if (this.#rollTimer !== undefined) this.clock.clearTimeout(this.#rollTimer)
    for (const listener of this.#closingListeners) listener()
    await this.#finishProducers(timeoutMs)
    await this.#procedures.run(() => this.#directory.close())
  }

  /** What producers have not appended when the time is over is rejected: a schema may never answer. */
  async #finishProducers(timeoutMs: number): Promise<void> {
    const producers = [...this.#producers]
    const timer = this.clock.setTimeout(() => {
      const message = `the log was closed, and the record was not appended within ${timeoutMs} ms`
      for (const producer of producers) producer.abandon(new LogError('CLOSED', message, {}))
    }, timeoutMs)
    await Promise.all(producers.map((producer) => producer.shutdown()))
    this.clock.clearTimeout(timer)
  }

  checkOpen(call: string): void {
    if (!this.#isOpen) throw new LogError('CLOSED', `${call}: the log is closed`, { call })
  }

  async #run<T>(call: string, begin: () => Procedure<T>): Promise<T> {
    this.checkOpen(call)
    return await this.#procedures.run(() => {
      this.checkOpen(call)
      return begin()
    })
  }

  *#make(
    name: string,
    definition: TopicDefinition | null,
    given: TopicConfig,
    where: string,
  ): Procedure<Topic> {
    const other = this.#directory
      .topics()
      .find((topic) => topic.name.toLowerCase() === name.toLowerCase())
    if (other !== undefined) {
      throw invalidArgument(
        `${where}: '${name}' differs from the existing topic '${other.name}' only in case: not every file system tells them apart`,
        { name, existing: other.name },
      )
    }
    const config = { ...this.#defaults, ...this.#options.topicDefaults, ...given }
    if (config.compressionType !== undefined && config.compressionType !== 'producer')
      checkCodec(config.compressionType, where)
    return this.#handle(yield* this.#directory.createTopic(name, config), definition)
  }

  *#deletion(ref: unknown): Procedure<void> {
    const { name } = this.#named(ref, 'log.deleteTopic')
    if (isInternalTopic(name))
      throw invalidArgument(`log.deleteTopic: ${name} belongs to the log itself`, { name })
    if (this.#directory.topic(name) === undefined) throw this.#notFound(name)
    yield* this.#directory.deleteTopic(name)
    this.#states.delete(name)
  }

  *#alteration(state: TopicState, changes: TopicConfig): Procedure<void> {
    state.checkWritable()
    if (changes.compressionType !== undefined && changes.compressionType !== 'producer')
      checkCodec(changes.compressionType, 'alterConfig')
    yield* this.#directory.alterTopic(state.topic.name, changes)
    state.configChanged()
  }

  *#growth(state: TopicState, total: number): Procedure<void> {
    state.checkWritable()
    if (total > state.topic.partitions.length)
      yield* this.#directory.addPartitions(state.topic.name, total)
  }

  #asked(
    ref: unknown,
    config: TopicConfig | undefined,
    where: string,
  ): {
    readonly name: string
    readonly definition: TopicDefinition | null
    readonly given: TopicConfig
  } {
    const { name, definition } = this.#named(ref, where)
    const reason = checkTopicName(name)
    if (reason !== null) throw invalidArgument(`${where}: ${reason}`, { name })
    if (isInternalTopic(name))
      throw invalidArgument(`${where}: ${name} belongs to the log itself`, { name })
    const given = checkTopicConfig(config, `${where}('${name}')`)
    return { name, definition, given: { ...definition?.config, ...given } }
  }

  #named(
    ref: unknown,
    where: string,
  ): { readonly name: string; readonly definition: TopicDefinition | null } {
    if (typeof ref === 'string') return { name: ref, definition: null }
    if (isTopicDefinition(ref)) return { name: ref.name, definition: ref }
    const own = typeof ref === 'object' && ref !== null ? Topic.internals(ref) : undefined
    if (own !== undefined) return { name: own.state.topic.name, definition: own.definition }
    throw invalidArgument(
      `${where}: a topic is named by a string, a definition or a handle, not ${describeValue(ref)}`,
      { topic: ref },
    )
  }

  #handle(topic: LogTopic, definition: TopicDefinition | null): Topic {
    let state = this.#states.get(topic.name)
    if (state === undefined || state.topic !== topic) {
      state = new TopicState(this, topic)
      this.#states.set(topic.name, state)
    }
    const handles = this.#handles.get(state) ?? new Map<TopicDefinition | null, Topic>()
    this.#handles.set(state, handles)
    const handle = handles.get(definition) ?? Topic.of(state, definition)
    handles.set(definition, handle)
    return handle
  }

  #notFound(name: string): LogError<'TOPIC_NOT_FOUND'> {
    return new LogError(
      'TOPIC_NOT_FOUND',
      `there is no topic '${name}': createTopic or ensureTopic makes it`,
      { topic: name },
    )
  }

  #scheduleCheckpoint(): void {
    this.#checkpointTimer = this.clock.setTimeout(() => {
      if (!this.#isOpen) return
      this.#inBackground(this.#procedures.run(() => this.#directory.checkpoint()))
      this.#scheduleCheckpoint()
    }, CHECKPOINT_INTERVAL_MS)
  }

  async #freeSpace(): Promise<void> {
    const topicIds = await this.#directory.freeSpace()
    if (this.#isOpen) await this.#procedures.run(() => this.#directory.forgetDeleted(topicIds))
  }

  #inBackground(work: Promise<void>): void {
    work.catch((cause: unknown) => {
      if (!this.#isOpen) return
      this.#warn({
        code: 'HOUSEKEEPING_FAILED',
        message: `housekeeping failed and will be tried again: ${String(cause)}`,
        details: {},
        cause,
      })
    })
  }
}

/**
 * Settings given that differ from those in force. @throws {LogError} CONFIG_MISMATCH for what
 * cannot be changed.
 */
function differences(topic: LogTopic, given: TopicConfig): TopicConfig {
  const { partitions, cleanupPolicy, ...rest } = given
  const { config, name } = topic
  if (partitions !== undefined && topic.partitions.length < partitions) {
    throw new LogError(
      'CONFIG_MISMATCH',
      `topic ${name} has ${topic.partitions.length} partitions, fewer than the ${partitions} asked for: addPartitions makes more`,
      { topic: name, setting: 'partitions', asked: partitions, actual: topic.partitions.length },
    )
  }
  if (cleanupPolicy !== undefined && config.cleanupPolicy !== cleanupPolicy) {
    throw new LogError(
      'CONFIG_MISMATCH',
      `topic ${name} has cleanupPolicy '${config.cleanupPolicy}', not '${cleanupPolicy}': alterConfig changes it`,
      { topic: name, setting: 'cleanupPolicy', asked: cleanupPolicy, actual: config.cleanupPolicy },
    )
  }
  const inForce = new Map<string, unknown>(Object.entries(config))
  const changed = Object.entries(rest).filter(
    ([setting, value]) => JSON.stringify(value) !== JSON.stringify(inForce.get(setting)),
  )
  return Object.fromEntries(changed)
}
