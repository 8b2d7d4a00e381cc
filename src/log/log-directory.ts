/**
 * LogDirectory: an open log as a whole: its topics with their partitions, the files that say which
 * there are, and what keeps them in step.
 *
 * Owns metadata.json, the checkpoints, the control file and the clean marker. What waits for the
 * device is a Procedure; the caller runs one at a time (I1). The order of the steps is what a crash
 * between any two of them leaves readable:
 *   I1  one procedure that changes the set of topics, or the checkpoints, runs at a time
 *   I2  a topic exists once metadata.json names it (open-topics.ts)
 *   I3  a topic is gone once metadata.json lists its id as deleting; a name can be used again only
 *       when checkpoints, control slots and consumer groups have forgotten the old one
 *   I4  the clean marker is written last, after everything it vouches for is on stable storage
 *   I5  topics that are changed together are there, or gone, with one replacement of metadata.json:
 *       a crash leaves all changes or none, and nobody is told before. One that fails by itself is
 *       left out; where metadata.json cannot be replaced, all fail
 *   I6  no procedure waits for data to be synced, but for positions of consumer groups that go
 *       with their topics: they are short, however much is being appended
 */
import { assert } from '../errors/invariant.ts'
import type { LogError } from '../errors/log-error.ts'
import { writeCleanMarker } from '../storage/clean-marker.ts'
import type { LogMetadata } from '../storage/metadata-file.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { parseTopicId } from '../storage/topic-id.ts'
import { cleanPartition, settleAll } from './clean-end.ts'
import { appliedPolicy, type AppliedPolicy } from './cleanup-policy.ts'
import type { Clock } from './clock.ts'
import { CommitBarrier } from './commit-barrier.ts'
import { CommittedOffsets } from './committed-offsets.ts'
import { Housekeeping } from './housekeeping.ts'
import { LogCheckpoints } from './log-checkpoints.ts'
import type { TopicConfig } from './log-config.ts'
import { type GivenTopic, type LogTopic, onlyOne, OpenTopics } from './open-topics.ts'
import type { PartitionContext, PartitionLog, PartitionState } from './partition-log.ts'
import { ProducerIds } from './producer-ids.ts'
import type { ReadableTopic } from './readable-partition.ts'
import { RemovedFolders } from './removed-folders.ts'
import { StoredTopics } from './stored-topics.ts'
import { TailBudget } from './tail.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'
import type { WatermarkPublisher } from './watermark-publisher.ts'

/** Memory that the tails of all partitions may take together. */
const TAIL_BUDGET_BYTES = 67_108_864

/** What an open log runs on. */
export interface LogEnvironment {
  readonly driver: StorageDriver
  /** Of this boot of the machine and this directory; null where that is unknown. */
  readonly bootId: string | null
  readonly clock: Clock
  readonly randomBytes: (byteLength: number) => Uint8Array
  /** After which a producer that wrote nothing is forgotten; -1: never. */
  readonly producerIdExpirationMs: number
  /** A partition turned read-only. */
  readonly onPartitionFailed: (partition: PartitionLog, error: LogError) => void
  /** A segment was sealed: a checkpoint is worth its cost. */
  readonly onRolled: () => void
}

/** The log in one directory, open for writing. */
export class LogDirectory {
  /** Where consumer groups go on reading. */
  readonly offsets: CommittedOffsets
  /** Ids of producers that no partition knows. */
  readonly producerIds: ProducerIds
  readonly transactions: TransactionCoordinator
  /** What keeps the log from growing for ever. */
  readonly housekeeping: Housekeeping
  readonly #environment: LogEnvironment
  readonly #context: PartitionContext
  readonly #stored: StoredTopics
  readonly #topics: OpenTopics
  #publisher: WatermarkPublisher | undefined
  readonly #removed: RemovedFolders
  readonly #checkpoints: LogCheckpoints
  /** The checkpoints may still have lines of a deleted topic (I3). */
  #remembersDeleted = false

  constructor(environment: LogEnvironment, metadata: LogMetadata) {
    this.#environment = environment
    this.#stored = new StoredTopics(environment.driver, metadata)
    this.#checkpoints = new LogCheckpoints(environment.driver)
    this.#removed = new RemovedFolders(environment.driver, environment.randomBytes)
    this.offsets = new CommittedOffsets({
      clock: environment.clock,
      partitionsOf: (topic) => this.#topics.find(topic)?.partitions,
    })
    this.producerIds = new ProducerIds(environment.randomBytes, (id) => this.#isKnown(id))
    this.transactions = new TransactionCoordinator({
      clock: environment.clock,
      randomBytes: environment.randomBytes,
      producerIds: this.producerIds,
      offsets: this.offsets,
      topics: () => this.#topics.all(),
      partitionsOf: (topic) => this.#topics.find(topic)?.partitions,
    })
    this.housekeeping = new Housekeeping(this)
    this.#context = {
      driver: environment.driver,
      clock: environment.clock,
      barrier: new CommitBarrier(environment.clock),
      tailBudget: new TailBudget(TAIL_BUDGET_BYTES),
      changed: (partition) => this.#publisher?.changed(partition),
      layoutChanged: (partition) => this.#publisher?.publishNow(partition),
      rolled: () => environment.onRolled(),
      failed: (partition, error) => environment.onPartitionFailed(partition, error),
    }
    this.#topics = new OpenTopics({
      partitions: this.#context,
      stored: this.#stored,
      randomBytes: environment.randomBytes,
      onMade: (topic, partitions) => {
        for (const partition of partitions) this.#publisher?.add(partition, idBytes(topic.id))
      },
    })
  }

  /** What limits the syncs of all partitions. */
  get barrier(): CommitBarrier {
    return this.#context.barrier
  }
  /** What the log lies on. */
  get driver(): StorageDriver {
    return this.#environment.driver
  }
  /** What the log goes by. */
  get clock(): Clock {
    return this.#environment.clock
  }

  /** Takes a topic in that opening the directory found; its partitions are in order. */
  admit(topic: Omit<LogTopic, 'partitions'>, states: readonly PartitionState[]): void {
    const { partitions } = this.#topics.admit(topic, states)
    this.housekeeping.progress.admit(partitions)
  }

  /** From now on watermarks are published. */
  publishTo(publisher: WatermarkPublisher): void {
    this.#publisher = publisher
    for (const topic of this.#topics.all())
      for (const partition of topic.partitions) publisher.add(partition, idBytes(topic.id))
  }

  /** What tells other processes; undefined where there are none, over memory. */
  get publisher(): WatermarkPublisher | undefined {
    return this.#publisher
  }

  /** The topic of that name, if there is one. */
  topic(name: string): LogTopic | undefined {
    return this.#topics.find(name)
  }

  /** The topic whose name differs from `name` in nothing or only in case, if there is one. */
  topicLike(name: string): LogTopic | undefined {
    return this.#topics.findLike(name)
  }

  /** Every topic, by name. */
  topics(): readonly LogTopic[] {
    return this.#topics.all()
  }

  /**
   * Creates a topic that does not exist.
   * @throws {LogError} NO_SPACE or IO: there is no such topic, and the call may be made again.
   */
  *createTopic(name: string, config: TopicConfig): Procedure<LogTopic> {
    return onlyOne(yield* this.createTopics([{ name, config }]))
  }

  /**
   * As `createTopic`, many together; what became of each, in their order.
   * @throws {LogError} As `createTopic`, for all of them.
   */
  *createTopics(
    wanted: readonly GivenTopic[],
  ): Procedure<readonly PromiseSettledResult<LogTopic>[]> {
    // I3: a checkpoint that could not be written then must not meet the new topics.
    if (this.#remembersDeleted) yield* this.writeCheckpoints()
    // I3: nor may positions of older topics.
    yield* this.offsets.forgetTopics(wanted.map(({ name }) => name))
    return yield* this.#topics.create(wanted)
  }

  /** Adds partitions up to `total`. @throws {LogError} As `createTopic`. */
  addPartitions(name: string, total: number): Procedure<void> {
    return this.#topics.grow(name, total)
  }

  /** Changes settings of topics together; what is not given stays. */
  *alterTopics(changes: readonly GivenTopic[]): Procedure<void> {
    yield* this.#topics.alter(changes)
    this.#publisher?.wake()
  }

  /** What may happen to old records of a topic; 'none' also where it is gone. */
  policyOf(topic: ReadableTopic): AppliedPolicy {
    const { name } = topic
    return this.#topics.find(name) === topic ? appliedPolicy(name, this.#stored.of(name)) : 'none'
  }

  /**
   * Says durably that offsets of a topic may be missing from now on: before the first does.
   * @throws {LogError} IO or NO_SPACE: nothing may be compacted; TOPIC_NOT_FOUND where it is gone.
   */
  markCompacted(topic: LogTopic): Procedure<void> {
    return this.#topics.markCompacted(topic)
  }

  /**
   * Deletes a topic. Its space is freed later, by `freeSpace`.
   * @throws {LogError} IO or NO_SPACE: the topic is as it was, or it is gone for good and what is
   * left of it is removed by the next open. It is never there and about to go.
   */
  *deleteTopic(name: string): Procedure<void> {
    onlyOne(yield* this.deleteTopics([name]))
  }

  /**
   * As `deleteTopic`, many together (I5); what became of each, in their order.
   * @throws {LogError} As `deleteTopic`, for all of them.
   */
  *deleteTopics(names: readonly string[]): Procedure<readonly PromiseSettledResult<void>[]> {
    const { driver } = this.#environment
    const topics = names.map((name) => this.#topics.of(name))
    try {
      yield* this.#stored.change((stored, deleting) => {
        for (const { name, id, partitions } of topics) {
          stored.delete(name)
          deleting.push({ id, name, partitions: partitions.length })
        }
      })
    } finally {
      // Also where only the last sync failed: a stop may leave either list, so nobody may be told
      // any more that a record of these topics is safe.
      for (const topic of topics) {
        if (!this.#stored.metadata.topics.has(topic.name)) this.#endTopic(topic)
      }
    }
    const asides = new Map<string, readonly string[]>()
    const outcomes = topics.map((topic) => this.#removed.setAside(topic, asides))
    yield () => driver.flushDirectory('')
    yield* this.writeCheckpoints()
    for (const { partitions } of topics) {
      for (const partition of partitions) this.#publisher?.remove(partition)
    }
    // Not before: what is freed is forgotten, and of a topic that is no longer listed as deleting,
    // or whose folder lost the file with its id, whatever else a crash leaves would be adopted.
    for (const [topicId, directories] of asides) this.#removed.note(topicId, directories)
    yield* this.offsets.forgetTopics(names)
    return outcomes
  }

  #endTopic(topic: LogTopic): void {
    this.#topics.remove(topic)
    this.#remembersDeleted = true
    for (const partition of topic.partitions) {
      partition.finish('deleted')
      partition.closeFiles()
      this.housekeeping.progress.forget(partition)
    }
  }

  /** Notes folders that an earlier run was deleting. */
  deletingFolders(topicId: string, directories: readonly string[]): void {
    this.#removed.note(topicId, directories)
  }

  /** Frees the space of deleted topics; returns their ids, which `forgetDeleted` may take next. */
  freeSpace(): Promise<readonly string[]> {
    return this.#removed.free()
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
    return this.#removed.areLeft
  }

  /** As `moveLogStarts`, of one partition. */
  deleteRecordsBefore(partition: PartitionLog, offset: number): Procedure<void> {
    return this.moveLogStarts(new Map([[partition, offset]]))
  }

  /**
   * Moves the starts of partitions up, durably: the checkpoint is on stable storage before any
   * reader notices. One that is deleted is left out.
   * @throws {LogError} NO_SPACE, IO: none has moved.
   */
  *moveLogStarts(starts: ReadonlyMap<PartitionLog, number>): Procedure<void> {
    if (!this.#environment.driver.volatile) {
      yield* this.#checkpoints.writeLogStarts(this.#partitions(), starts)
    }
    for (const [partition, offset] of starts) {
      if (partition.end === undefined) partition.advanceLogStart(offset)
    }
  }

  /** `syncForCheckpoint` and `writeCheckpoints`, where nobody else has to wait meanwhile. */
  *checkpoint(): Procedure<void> {
    yield () => this.syncForCheckpoint()
    yield* this.writeCheckpoints()
  }

  /**
   * Syncs what is not synced, with its indexes, so that the next checkpoint counts it; forgets
   * producers whose time is over. No procedure: others may run meanwhile (I6). A partition whose
   * sync fails says so by itself.
   */
  async syncForCheckpoint(): Promise<void> {
    const { driver, clock, producerIdExpirationMs } = this.#environment
    const partitions = this.#partitions().filter(({ end }) => end === undefined)
    const nowMs = clock.now()
    for (const { producers } of partitions) producers.expire(nowMs, producerIdExpirationMs)
    if (driver.volatile) return
    await Promise.allSettled(partitions.map((partition) => partition.syncForCheckpoint()))
    this.transactions.completeSettled()
  }

  /** The checkpoints on stable storage say what is so now: none has to be written again. */
  areCheckpointsCurrent(): void {
    this.#checkpoints.areCurrent(this.#partitions())
  }

  /** Writes the checkpoints: recovery reads nothing that was synced before. */
  *writeCheckpoints(): Procedure<void> {
    const { driver } = this.#environment
    if (driver.volatile) return
    const partitions = this.#partitions()
    yield* this.#checkpoints.writeLogStarts(partitions)
    yield* this.#checkpoints.writeRecoveryPoints(partitions)
    yield* this.housekeeping.progress.write(partitions)
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
        yield* this.transactions.settle()
        yield () => settleAll(partitions)
        yield* this.writeCheckpoints()
        yield* writeCleanMarker(driver, { partitions: partitions.map(cleanPartition) })
      }
    } catch (error) {
      failure = error
    }
    this.#publisher?.close(failure === undefined)
    for (const partition of partitions) partition.finish('closed')
    for (const partition of partitions) partition.closeFiles()
    if (!driver.volatile) yield () => this.barrier.idle()
    yield* this.housekeeping.removal.close()
    driver.close()
    if (failure !== undefined) throw failure
  }

  /** Metadata as it is on disk. */
  get metadata(): LogMetadata {
    return this.#stored.metadata
  }

  /** What is not loaded is not looked into: an id is one of 2^53. */
  #isKnown(producerId: number): boolean {
    return this.#partitions().some(
      ({ producers }) => producers.isLoaded && producers.knows(producerId),
    )
  }

  #partitions(): readonly PartitionLog[] {
    return this.topics().flatMap((topic) => topic.partitions)
  }
}

function idBytes(topicId: string): Buffer {
  const bytes = parseTopicId(topicId)
  assert(bytes !== undefined, 'topic ids were checked when they were read')
  return bytes
}
