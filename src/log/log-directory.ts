/**
 * LogDirectory: an open log as a whole: its topics with their partitions, the files that say which
 * there are, and what keeps them in step.
 *
 * Owns metadata.json, the checkpoints, the control file and the clean marker. What waits for the
 * device is a Procedure; the caller runs one at a time (I1). The order of the steps is what a crash
 * between any two of them leaves readable:
 *   I1  one procedure that changes the set of topics, or the checkpoints, runs at a time
 *   I2  a topic exists once metadata.json names it: its folders are on stable storage before that,
 *       so that none is ever missing
 *   I3  a topic is gone once metadata.json lists its id as deleting; a name can be used again only
 *       when checkpoints, control slots and consumer groups have forgotten the old one
 *   I4  the clean marker is written last, after everything it vouches for is on stable storage
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import { writeCleanMarker, type CleanPartition } from '../storage/clean-marker.ts'
import type { LogMetadata } from '../storage/metadata-file.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { parseTopicId, randomTopicId } from '../storage/topic-id.ts'
import type { Clock } from './clock.ts'
import { CommitBarrier } from './commit-barrier.ts'
import { CommittedOffsets } from './committed-offsets.ts'
import { writeLogStarts, writeRecoveryPoints, type WrittenStarts } from './log-checkpoints.ts'
import { resolveTopicConfig, type ResolvedTopicConfig, type TopicConfig } from './log-config.ts'
import { PartitionLog, type PartitionContext, type PartitionState } from './partition-log.ts'
import { StoredTopics, type TopicsChange } from './stored-topics.ts'
import { TailBudget } from './tail.ts'
import {
  flushFolders,
  layPartition,
  partitionDirectory,
  removeFolders,
  setFolderAside,
} from './topic-directory.ts'
import type { WatermarkPublisher } from './watermark-publisher.ts'

/** Memory that the tails of all partitions may take together. */
const TAIL_BUDGET_BYTES = 67_108_864

/** A topic that exists. */
export interface LogTopic {
  readonly name: string
  readonly id: string
  /** Complete settings; replaced as a whole when they are altered. */
  readonly config: ResolvedTopicConfig
  readonly partitions: readonly PartitionLog[]
}

/** What an open log runs on. */
export interface LogEnvironment {
  readonly driver: StorageDriver
  /** Of this boot of the machine and this directory; null where that is unknown. */
  readonly bootId: string | null
  readonly clock: Clock
  readonly randomBytes: (byteLength: number) => Uint8Array
  /** A partition turned read-only. */
  readonly onPartitionFailed: (partition: PartitionLog, error: LogError) => void
  /** A segment was sealed: a checkpoint is worth its cost. */
  readonly onRolled: () => void
}

interface OpenTopic {
  readonly name: string
  readonly id: string
  config: ResolvedTopicConfig
  partitions: PartitionLog[]
}

/** The log in one directory, open for writing. */
export class LogDirectory {
  /** Where consumer groups go on reading. */
  readonly offsets: CommittedOffsets
  readonly #environment: LogEnvironment
  readonly #topics = new Map<string, OpenTopic>()
  readonly #context: PartitionContext
  readonly #stored: StoredTopics
  #publisher: WatermarkPublisher | undefined
  /** Folders of deleted topics whose space is still to be freed, by topic id. */
  readonly #removals = new Map<string, string[]>()
  readonly #writtenStarts: WrittenStarts = { bytes: null }
  /** The checkpoints may still have lines of a deleted topic (I3). */
  #remembersDeleted = false

  constructor(environment: LogEnvironment, metadata: LogMetadata) {
    this.#environment = environment
    this.#stored = new StoredTopics(environment.driver, metadata)
    this.offsets = new CommittedOffsets({
      clock: environment.clock,
      partitionsOf: (topic) => this.#topics.get(topic)?.partitions,
    })
    this.#context = {
      driver: environment.driver,
      clock: environment.clock,
      barrier: new CommitBarrier(environment.clock),
      tailBudget: new TailBudget(TAIL_BUDGET_BYTES),
      changed: (partition) => this.#publisher?.changed(partition),
      rolled: () => environment.onRolled(),
      failed: (partition, error) => environment.onPartitionFailed(partition, error),
    }
  }

  /** What limits the syncs of all partitions. */
  get barrier(): CommitBarrier {
    return this.#context.barrier
  }
  /** What the log lies on. */
  get driver(): StorageDriver {
    return this.#environment.driver
  }

  /** Takes a topic in that opening the directory found; its partitions are in order. */
  admit(topic: Omit<LogTopic, 'partitions'>, states: readonly PartitionState[]): void {
    const partitions = states.map((state) => new PartitionLog(this.#context, state))
    this.#topics.set(topic.name, {
      name: topic.name,
      id: topic.id,
      config: topic.config,
      partitions,
    })
  }

  /** From now on watermarks are published. */
  publishTo(publisher: WatermarkPublisher): void {
    this.#publisher = publisher
    for (const topic of this.#topics.values())
      for (const partition of topic.partitions) publisher.add(partition, idBytes(topic.id))
  }

  /** The topic of that name, if there is one. */
  topic(name: string): LogTopic | undefined {
    return this.#topics.get(name)
  }

  /** Every topic, by name. */
  topics(): readonly LogTopic[] {
    return [...this.#topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * Creates a topic that does not exist, in the order that I2 asks for.
   * @throws {LogError} NO_SPACE or IO: there is no such topic, and the call may be made again.
   */
  *createTopic(name: string, given: TopicConfig): Procedure<LogTopic> {
    assert(!this.#topics.has(name), 'the caller checks that the topic is new')
    const config = resolveTopicConfig(given)
    const topic: OpenTopic = {
      name,
      id: randomTopicId(this.#environment.randomBytes),
      config,
      partitions: [],
    }
    // I3: a checkpoint that could not be written then must not meet the new topic.
    if (this.#remembersDeleted) yield* this.checkpoint()
    yield* this.offsets.forgetTopic(name) // I3: nor may positions of an older topic.
    const metadata = { id: topic.id, partitions: config.partitions, config: storedConfig(given) }
    const partitions = yield* this.#layPartitions(topic, config.partitions, (topics) =>
      topics.set(name, metadata),
    )
    topic.partitions = partitions
    this.#topics.set(name, topic)
    this.#publishNew(topic, partitions)
    return topic
  }

  /** Adds partitions up to `total`, in the order of `createTopic`. */
  *addPartitions(name: string, total: number): Procedure<void> {
    const topic = this.#topicOf(name)
    const metadata = { ...this.#stored.of(name), partitions: total }
    const added = yield* this.#layPartitions(topic, total, (topics) => topics.set(name, metadata))
    topic.partitions = [...topic.partitions, ...added]
    topic.config = resolveTopicConfig(topic.config, { partitions: total })
    for (const partition of topic.partitions) partition.applyConfig(topic.config)
    this.#publishNew(topic, added)
  }

  /** Changes settings; what is not given stays. */
  *alterTopic(name: string, changes: TopicConfig): Procedure<void> {
    const topic = this.#topicOf(name)
    const metadata = this.#stored.of(name)
    const config = { ...metadata.config, ...storedConfig(changes) }
    yield* this.#stored.change((topics) => topics.set(name, { ...metadata, config }))
    topic.config = resolveTopicConfig(topic.config, storedConfig(changes))
    for (const partition of topic.partitions) partition.applyConfig(topic.config)
  }

  /**
   * Deletes a topic. Its space is freed later, by `freeSpace`.
   * @throws {LogError} IO or NO_SPACE: the topic is as it was, or it is gone for good and what is
   * left of it is removed by the next open. It is never there and about to go.
   */
  *deleteTopic(name: string): Procedure<void> {
    const { driver } = this.#environment
    const topic = this.#topicOf(name)
    const partitions = topic.partitions.length
    try {
      yield* this.#stored.change((topics, deleting) => {
        topics.delete(name)
        deleting.push({ id: topic.id, name, partitions })
      })
    } finally {
      // Also where only the last sync failed: a stop may leave either list, so nobody may be told
      // any more that a record of this topic is safe.
      if (!this.#stored.metadata.topics.has(name)) this.#endTopic(topic)
    }
    const uniqueId = Buffer.from(this.#environment.randomBytes(16)).toString('hex')
    const asides: string[] = []
    this.#removals.set(topic.id, asides)
    for (const { directory } of topic.partitions) {
      asides.push(setFolderAside(driver, directory, uniqueId, 'delete'))
    }
    yield () => driver.flushDirectory('')
    yield* this.checkpoint()
    for (const partition of topic.partitions) this.#publisher?.remove(partition)
    yield* this.offsets.forgetTopic(name)
  }

  #endTopic(topic: OpenTopic): void {
    this.#topics.delete(topic.name)
    this.#remembersDeleted = true
    for (const partition of topic.partitions) {
      partition.finish('deleted')
      partition.closeFiles()
    }
  }

  /** Notes folders that an earlier run was deleting. */
  deletingFolders(topicId: string, directories: readonly string[]): void {
    this.#removals.set(topicId, [...directories])
  }

  /** Frees the space of deleted topics; returns their ids, which `forgetDeleted` may take next. */
  async freeSpace(): Promise<readonly string[]> {
    const removals = [...this.#removals]
    for (const [topicId, directories] of removals) {
      for (const directory of directories) await this.#environment.driver.removeDirectory(directory)
      this.#removals.delete(topicId)
    }
    return removals.map(([topicId]) => topicId)
  }

  /** Their folders are gone: metadata no longer needs to say that they are being deleted. */
  *forgetDeleted(topicIds: readonly string[]): Procedure<void> {
    if (!this.#stored.metadata.deleting.some((topic) => topicIds.includes(topic.id))) return
    yield* this.#stored.change((_topics, deleting) => {
      const left = deleting.filter((topic) => !topicIds.includes(topic.id))
      deleting.splice(0, deleting.length, ...left)
    })
  }

  /** True while folders of deleted topics are left. */
  get hasSpaceToFree(): boolean {
    return this.#removals.size > 0
  }

  /**
   * Moves the start of a partition up to `offset`, durably: the checkpoint is on stable storage
   * before any reader notices.
   */
  *deleteRecordsBefore(partition: PartitionLog, offset: number): Procedure<void> {
    if (!this.#environment.driver.volatile) {
      yield* writeLogStarts(
        this.#environment.driver,
        this.#partitions(),
        new Map([[partition, offset]]),
        this.#writtenStarts,
      )
    }
    partition.advanceLogStart(offset)
  }

  /**
   * Syncs what is not synced and writes the checkpoints: recovery will read nothing before them.
   */
  *checkpoint(): Procedure<void> {
    const { driver } = this.#environment
    if (driver.volatile) return
    const partitions = this.#partitions()
    yield* writeLogStarts(driver, partitions, new Map(), this.#writtenStarts)
    yield* writeRecoveryPoints(driver, partitions)
    this.#remembersDeleted = false
  }

  /**
   * Ends the log: everything appended is synced, files have their final shape, and the clean marker
   * says so. Nothing may be appended any more when it starts.
   * @throws {LogError} IO where a sync failed, now or before: everything is released all the same,
   * but there is no clean marker, so the next open checks the data.
   */
  *close(): Procedure<void> {
    const { driver } = this.#environment
    const partitions = this.#partitions()
    let failure: unknown
    try {
      if (!driver.volatile) {
        yield () => settleAll(partitions)
        yield* this.checkpoint()
        yield* writeCleanMarker(driver, { partitions: partitions.map(cleanPartition) })
      }
    } catch (error) {
      failure = error
    }
    this.#publisher?.close(failure === undefined)
    for (const partition of partitions) partition.finish('closed')
    for (const partition of partitions) partition.closeFiles()
    driver.close()
    if (failure !== undefined) throw failure
  }

  /** Metadata as it is on disk. */
  get metadata(): LogMetadata {
    return this.#stored.metadata
  }

  /** Lays folders and then commits to them by `change` (I2). */
  *#layPartitions(
    topic: OpenTopic,
    total: number,
    change: TopicsChange,
  ): Procedure<PartitionLog[]> {
    const { driver } = this.#environment
    const { name, id: topicId, config } = topic
    const laid: PartitionLog[] = []
    let made: string[] = []
    try {
      for (let partition = topic.partitions.length; partition < total; partition++) {
        const directory = partitionDirectory(name, partition)
        if (driver.status(directory) === undefined) made.push(directory)
        const known = { topic: name, topicId, partition, config, isGapless: true }
        const files = layPartition({ ...known, driver, startOffset: 0, leaderEpoch: 0 })
        const state = { ...known, ...files, logStartOffset: 0, durableOffset: 0 }
        laid.push(new PartitionLog(this.#context, state))
      }
      const directories = laid.map((partition) => partition.directory)
      yield* flushFolders(driver, directories)
      yield () => driver.flushDirectory('')
      made = [] // From here on metadata.json may name them.
      yield* this.#stored.change(change)
    } catch (error) {
      for (const partition of laid) partition.closeFiles()
      yield* removeFolders(driver, made)
      throw error
    }
    return laid
  }

  #publishNew(topic: OpenTopic, partitions: readonly PartitionLog[]): void {
    for (const partition of partitions) this.#publisher?.add(partition, idBytes(topic.id))
  }

  #partitions(): readonly PartitionLog[] {
    return this.topics().flatMap((topic) => topic.partitions)
  }

  #topicOf(name: string): OpenTopic {
    const topic = this.#topics.get(name)
    if (topic === undefined)
      throw new LogError('TOPIC_NOT_FOUND', `there is no topic ${name}`, { topic: name })
    return topic
  }
}

/** Settings as metadata.json keeps them: the number of partitions has a place of its own. */
function storedConfig(given: TopicConfig): TopicConfig {
  const { partitions: _partitions, ...config } = given
  return config
}

async function settleAll(partitions: readonly PartitionLog[]): Promise<void> {
  const results = await Promise.allSettled(partitions.map((partition) => partition.settle()))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function cleanPartition(partition: PartitionLog): CleanPartition {
  return {
    topic: partition.topic,
    topicId: partition.topicId,
    partition: partition.partition,
    logStartOffset: partition.logStartOffset,
    logEndOffset: partition.logEndOffset,
    segments: [...partition.segments].map((segment) => ({
      baseOffset: segment.baseOffset,
      ...segment.contents,
    })),
  }
}

function idBytes(topicId: string): Buffer {
  const bytes = parseTopicId(topicId)
  assert(bytes !== undefined, 'topic ids were checked when they were read')
  return bytes
}
