/**
 * WriterHost: what stands between the handles that users hold and the engine of one open log that
 * is written here: the producers, the procedures that change files, and what happens by itself.
 * Which topics there are is topic-catalog.ts' business, their handles topic-handles.ts'.
 *
 *   I1  procedures run one at a time, in the order in which they were asked for
 *   I2  once closing has begun nothing new is accepted; what was accepted finishes or rejects
 *   I3  nothing goes on once `close` is over
 */
import { randomBytes } from 'node:crypto'
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import type { CommittedOffsets } from '../log/committed-offsets.ts'
import type { TopicConfig } from '../log/log-config.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { openPartitions } from '../log/open-partitions.ts'
import type { LogTopic } from '../log/open-topics.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { ProducerIds } from '../log/producer-ids.ts'
import type { ReadablePartition } from '../log/readable-partition.ts'
import type { SegmentReason } from '../log/segment-reasons.ts'
import type { TransactionCoordinator } from '../log/transaction-coordinator.ts'
import { ProcedureQueue } from '../storage/procedure.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { BackgroundWork } from './background-work.ts'
import { type BackupOptions, Backups } from './backup.ts'
import { ClosingListeners } from './closing-listeners.ts'
import { GroupCoordinator } from './groups/group-coordinator.ts'
import type { GroupHost, NamedTopic } from './groups/group-host.ts'
import type { LogHandle } from './group-types.ts'
import { Housekeeper, type HousekeepingOptions } from './housekeeping.ts'
import { describeLog } from './log-description.ts'
import type { LogHost } from './log-host.ts'
import type { CheckedLogOptions } from './log-options.ts'
import type {
  BackupReport,
  HousekeepingReport,
  LogDescription,
  VerifyReport,
} from './log-reports.ts'
import type { LogSharing } from './shared-log.ts'
import { scrubLog, type ScrubHost, type ScrubOptions } from './log-scrub.ts'
import { LogProducers } from './log-producers.ts'
import { damageSkipped, housekeepingFailed, partitionReadOnly, type Warn } from './log-warnings.ts'
import { OwnTopics } from './own-topics.ts'
import type { Producer, ProducerHost, ProducerTopic } from './producer.ts'
import type { ProducerOptions } from './producer-options.ts'
import type { Topic } from './topic.ts'
import { TopicCatalog } from './topic-catalog.ts'
import { TopicChanges } from './topic-changes.ts'
import { named, TopicHandles } from './topic-handles.ts'
import type { AnyTopicRef } from './topic-ref.ts'
import { exportLines, type ExportOptions } from './record-export.ts'
import { importLines, type ImportOptions, type ImportReport } from './record-import.ts'
import { type TopicHost, TopicState, type TopicView } from './topic-state.ts'

/** One open log that is written here, below its public handle. */
export class WriterHost implements LogHost, TopicHost, ProducerHost, ScrubHost, GroupHost {
  readonly clock: Clock
  readonly randomBytes: (byteLength: number) => Uint8Array
  /** Pending work keeps the process alive: of logs on disk, never of those in memory. */
  readonly holdsProcess: boolean
  /** Called for each record that is sent, and may refuse it: for tests of whoever sends. */
  onSend: (() => void) | undefined
  readonly groups: GroupCoordinator
  readonly warn: Warn
  /** Readers say themselves what they want to see. */
  readonly visibility = 'written'
  /** Undefined where threads cannot open the log by its directory. */
  sharing: LogSharing | undefined
  readonly #directory: LogDirectory
  readonly #procedures = new ProcedureQueue()
  readonly #ownTopics: OwnTopics
  readonly #handles: TopicHandles<LogTopic>
  readonly #changes: TopicChanges
  readonly #producers: LogProducers
  readonly #closing = new ClosingListeners()
  readonly #background: BackgroundWork
  readonly #housekeeper: Housekeeper
  readonly #backups: Backups
  #isOpen = true

  constructor(
    directory: LogDirectory,
    options: CheckedLogOptions,
    defaults: TopicConfig,
    warn: Warn,
  ) {
    this.#directory = directory
    this.warn = warn
    this.groups = new GroupCoordinator(this)
    this.clock = options.clock
    this.randomBytes = options.randomBytes
    this.holdsProcess = directory.driver.kind === 'disk'
    this.#producers = new LogProducers(this)
    this.#background = new BackgroundWork(directory, this.#procedures, { clock: this.clock, warn })
    this.#ownTopics = new OwnTopics(directory, this.#procedures, options)
    this.transactions.ownTopics = this.#ownTopics
    this.transactions.markers.onDelayed = (cause) => warn(housekeepingFailed(cause))
    const settings = { ...defaults, ...options.topicDefaults }
    const stateOf = (topic: LogTopic): TopicState => new TopicState(this, topic, topic)
    this.#handles = new TopicHandles(this, directory, stateOf)
    const catalog = new TopicCatalog(this, directory, this.#handles, settings)
    this.#changes = new TopicChanges(this, this.#procedures, catalog)
    this.#housekeeper = new Housekeeper(this, {
      directory,
      procedures: this.#procedures,
      options,
      freeTopics: () => this.#background.freeSpace(),
    })
    this.#backups = new Backups(this, { directory, procedures: this.#procedures, modes: options })
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Nobody else changes what is written here. */
  lookAgain(): void {}

  onClosing(listener: () => void): () => void {
    return this.#closing.add(listener)
  }

  /** Starts what happens by itself. */
  start(): void {
    this.#background.start()
    this.#housekeeper.start()
  }

  /**
   * A segment was sealed: its part of the log need not be recovered any more, after a checkpoint.
   */
  rolled(): void {
    this.#background.rolled()
  }

  partitionFailed(partition: PartitionLog, error: LogError): void {
    this.warn(partitionReadOnly(partition, error))
  }

  damageFound(error: LogError<'CORRUPT'>, resumesAt: number): void {
    this.warn(damageSkipped(error, resumesAt))
  }

  /** The handle for other threads, where they can open the log. */
  share(): LogHandle | undefined {
    const { publisher } = this.#directory
    return publisher && this.sharing?.share(publisher)
  }

  // ------------------------------------------------------------------ topics

  /** Topics that users see, by name. */
  topics(): readonly LogTopic[] {
    return this.#handles.list()
  }
  /** Their handles. */
  handles(): readonly Topic[] {
    return this.#handles.all()
  }

  /**
   * The handle of an existing topic. @throws {LogError} TOPIC_NOT_FOUND, INVALID_ARGUMENT, CLOSED.
   */
  topic(ref: unknown): Topic {
    this.checkOpen('log.topic')
    return this.#handles.topic(ref, 'log.topic')
  }

  async createTopic(ref: unknown, config: TopicConfig | undefined): Promise<Topic> {
    return await this.#changes.create(ref, config)
  }

  async ensureTopic(ref: unknown, config: TopicConfig | undefined): Promise<Topic> {
    return await this.#changes.ensure(ref, config)
  }

  /** As `ensureTopic`, at once: in memory, before anybody else has the log. */
  ensureTopicNow(ref: unknown, where: string): Topic {
    return this.#changes.ensureNow(ref, where, this.#directory.driver.volatile)
  }

  async deleteTopic(ref: unknown): Promise<void> {
    await this.#changes.remove(ref)
    void this.#background.freeSpace()
  }

  async alterTopic(state: TopicState, changes: TopicConfig): Promise<void> {
    await this.#changes.alter(state, changes)
  }

  async addPartitions(state: TopicState, total: number): Promise<void> {
    await this.#changes.grow(state, total)
  }

  async deleteRecordsBefore(state: TopicState, log: PartitionLog, offset: number): Promise<void> {
    await this.#changes.run(() => {
      state.checkUsable()
      return this.#directory.deleteRecordsBefore(log, offset)
    }, 'deleteRecords')
    this.#housekeeper.recordsDeleted()
  }

  /** Why each segment of a partition is there. */
  whySegments({ written }: TopicState, { partition }: ReadablePartition): readonly SegmentReason[] {
    const log = written?.partitions[partition]
    assert(written !== null && log !== undefined, 'every topic of this log is written here')
    return this.#directory.housekeeping.reasonsOf(written, log)
  }

  /** What there is of users' topics. */
  describe(): LogDescription {
    const directory = this.#directory
    return describeLog(this.topics(), {
      nowMs: this.clock.now(),
      policyOf: (topic) => directory.policyOf(topic),
      firstDirtyOffset: (log) => directory.housekeeping.progress.of(log),
    })
  }

  /** What is behind a name, definition or handle. @throws {LogError} TOPIC_NOT_FOUND. */
  topicView(ref: unknown, where: string): TopicView {
    return this.#handles.view(ref, where)
  }

  /** What a name, definition or handle names. @throws {LogError} INVALID_ARGUMENT. */
  namedTopic(ref: unknown, where: string): NamedTopic {
    return named(ref, where)
  }

  /** A topic by name, those of the log itself too; undefined where there is none. */
  findTopic(name: string): LogTopic | undefined {
    return this.#directory.topic(name)
  }

  // ------------------------------------------------------------------ groups

  /** Where consumer groups go on reading. Nothing can be committed before `prepareOffsets`. */
  get offsets(): CommittedOffsets {
    return this.#directory.offsets
  }

  /** The same: this process writes the log. */
  writableOffsets(): CommittedOffsets {
    return this.#directory.offsets
  }

  /** Makes the topic of committed offsets where it is missing; of a log in memory, at once. */
  async prepareOffsets(): Promise<void> {
    this.checkOpen('consumerGroup')
    await this.#ownTopics.prepareOffsets(() => this.checkOpen('consumerGroup'))
  }

  // --------------------------------------------------------------- producers

  /** Transactions; they see to their topic by themselves. */
  get transactions(): TransactionCoordinator {
    return this.#directory.transactions
  }

  get producerIds(): ProducerIds {
    return this.#directory.producerIds
  }

  get defaultProducer(): Producer {
    return this.#producers.ownOne
  }

  producer(options: ProducerOptions | undefined): Producer {
    return this.#producers.make(options)
  }

  /** Hot: asked for each record that is sent. */
  producerTopic(ref: string | AnyTopicRef): ProducerTopic {
    this.checkOpen('send')
    this.onSend?.()
    const view = this.#handles.view(ref, 'send')
    view.state.checkWritable('send')
    return view
  }

  /** Appends what producers have gathered, as far as they may append. */
  sendBatches(): void {
    this.#producers.sendBatches()
  }

  /** Records that producers have taken and that are not settled. */
  get hasPendingSends(): boolean {
    return this.#producers.hasPendingSends
  }

  producerClosed(producer: Producer): void {
    this.#producers.closed(producer)
  }

  // ------------------------------------------------------------------ ending

  /** Looks after the log now. */
  async runHousekeeping(options: HousekeepingOptions | undefined): Promise<HousekeepingReport> {
    return await this.#housekeeper.run(options)
  }

  /** Verifies the log while it is open. */
  async scrub(options: ScrubOptions | undefined): Promise<VerifyReport> {
    this.checkOpen('log.scrub')
    const directory = this.#directory
    const input = {
      driver: directory.driver,
      bootId: null,
      isLive: true,
      newTopicId: () => randomTopicId(randomBytes),
      openPartitions: () => openPartitions(directory),
    }
    return await scrubLog(this, input, options)
  }

  /** Copies the log; `own` is its directory, null where it has none. */
  async backup(
    destination: string,
    options: BackupOptions | undefined,
    own: string | null,
  ): Promise<BackupReport> {
    return await this.#backups.run(destination, options, own)
  }

  /** See `EventLog.exportRecords`. */
  exportRecords(
    ref: unknown,
    options: ExportOptions | undefined,
  ): AsyncGenerator<string, void, undefined> {
    this.checkOpen('log.exportRecords')
    return exportLines(this.#handles.rawTopic(ref, 'log.exportRecords'), options)
  }

  /** See `EventLog.importRecords`. */
  async importRecords(
    ref: unknown,
    source: unknown,
    options: ImportOptions | undefined,
  ): Promise<ImportReport> {
    this.checkOpen('log.importRecords')
    const topic = this.#handles.rawTopic(ref, 'log.importRecords')
    return await importLines(topic, source, options, this)
  }

  /** Everything sent or appended before the call is durable when it resolves. */
  async flush(): Promise<void> {
    this.checkOpen('log.flush')
    const sent = await this.#producers.flush()
    const partitions = this.#directory.topics().flatMap((topic) => topic.partitions)
    const synced = await Promise.allSettled(partitions.map(syncUnlessDeleted))
    for (const result of [...synced, ...sent]) {
      if (result.status === 'rejected') throw result.reason
    }
  }

  /**
   * @throws {LogError} IO where a sync failed, now or before; everything is released all the same.
   */
  async close(timeoutMs: number): Promise<void> {
    const startedMs = this.clock.monotonicNow()
    this.#housekeeper.stop()
    if (this.groups.isBusy) {
      // Handlers may still send while they finish; whoever only reads ends at once.
      this.#endReaders()
      await this.groups.close(timeoutMs)
    }
    this.#isOpen = false
    this.#background.stop()
    this.#endReaders()
    await this.#producers.finish(Math.max(0, startedMs + timeoutMs - this.clock.monotonicNow()))
    await this.#background.ended()
    await this.#backups.ended()
    await this.#housekeeper.ended()
    await this.transactions.close()
    await this.#procedures.run(() => this.#directory.close())
  }

  #endReaders(): void {
    this.sharing?.end()
    this.#closing.tell()
  }

  checkOpen(call: string): void {
    if (!this.#isOpen) throw new LogError('CLOSED', `${call}: the log is closed`, { call })
  }
}

async function syncUnlessDeleted(partition: PartitionLog): Promise<void> {
  try {
    await partition.makeDurable(partition.logEndOffset)
  } catch (error) {
    if (partition.end !== 'deleted') throw error
  }
}
