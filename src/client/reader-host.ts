/**
 * ReaderHost: what stands between the handles that users hold and a log that another process
 * writes, or nobody: reads and descriptions work, whatever would change the log is refused. What is
 * in the log, and when to look, is followed-log.ts' business.
 *
 *   I1  nothing here writes, takes a lock, or makes anything
 *   I2  every entry call looks first whether topics came, went or changed
 */
import { randomBytes } from 'node:crypto'
import { LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import type { CommittedOffsets } from '../log/committed-offsets.ts'
import { CleanerProgress } from '../log/cleaner-progress.ts'
import { FollowedOffsets } from '../log/follow/followed-offsets.ts'
import type { ReadableOffsets } from '../log/readable-offsets.ts'
import type { ReadablePartition, ReadableTopic } from '../log/readable-partition.ts'
import type { SegmentReason } from '../log/segment-reasons.ts'
import { findLiveWriter } from '../storage/live-writer.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { ClosingListeners } from './closing-listeners.ts'
import { reasonsOfFollowed } from './followed-reasons.ts'
import { GroupCoordinator } from './groups/group-coordinator.ts'
import type { GroupHost, NamedTopic } from './groups/group-host.ts'
import { describeLog } from './log-description.ts'
import type { LogHost } from './log-host.ts'
import type { CheckedLogOptions } from './log-options.ts'
import { LogProducers } from './log-producers.ts'
import type { LogDescription, VerifyReport } from './log-reports.ts'
import { scrubLog, type ScrubHost, type ScrubOptions } from './log-scrub.ts'
import { bootOf } from './log-verify.ts'
import { damageSkipped, warnTo, type Warn } from './log-warnings.ts'
import type { Range } from './position.ts'
import type { Producer, ProducerHost } from './producer.ts'
import type { ProducerOptions } from './producer-options.ts'
import { readOnlyLog } from './read-only-log.ts'
import type { ReadOnlyLog } from './read-only-opening.ts'
import { exportLines, type ExportOptions } from './record-export.ts'
import type { Topic } from './topic.ts'
import { named, TopicHandles } from './topic-handles.ts'
import { type TopicHost, TopicState, type TopicView } from './topic-state.ts'

/** What is asked of a log in another thread that readers are attached to. */
export interface OwningLog {
  readonly isClosed: boolean
}

/** One open log that is only read, below its public handle. */
export class ReaderHost implements LogHost, TopicHost, ProducerHost, ScrubHost, GroupHost {
  readonly clock: Clock
  readonly randomBytes: (byteLength: number) => Uint8Array
  /** Somebody waits for what another process does. */
  readonly holdsProcess = true
  /** Nothing is sent. */
  onSend: (() => void) | undefined
  readonly groups: GroupCoordinator
  readonly warn: Warn
  readonly visibility: Range['visibility']
  /** Where consumer groups go on reading. */
  readonly offsets: ReadableOffsets
  readonly #place: ReadOnlyLog
  /** The log that this one is attached to, where it is: it ends with it. */
  readonly #owner: OwningLog | undefined
  readonly #handles: TopicHandles<ReadableTopic>
  /** They exist, and refuse whatever they are given. */
  readonly #producers: LogProducers
  readonly #closing = new ClosingListeners()
  readonly #forgetTopics: () => void
  #isOpen = true

  constructor(place: ReadOnlyLog, options: CheckedLogOptions, owner?: OwningLog) {
    const { log } = place
    this.#place = place
    this.#owner = owner
    this.clock = options.clock
    this.randomBytes = options.randomBytes
    this.visibility = options.visibility
    this.warn = warnTo(options.onWarning)
    this.offsets = new FollowedOffsets({
      partitionsOf: (name) => this.findTopic(name)?.partitions,
      onlyDurable: options.visibility === 'durable',
      damageFound: (error, resumesAt) => this.damageFound(error, resumesAt),
    })
    this.groups = new GroupCoordinator(this)
    this.#producers = new LogProducers(this)
    const source = {
      topics: () => this.#there(log.topics()),
      topic: (name: string) => this.#there(log.topic(name)),
    }
    this.#handles = new TopicHandles<ReadableTopic>(this, source, (topic) => {
      return new TopicState(this, topic, null)
    })
    this.#forgetTopics = log.onTopicsChange(() => this.#handles.anyChanged())
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#owner?.isClosed !== true
  }

  /** @throws {LogError} CLOSED. */
  checkOpen(call: string): void {
    if (!this.isOpen) throw new LogError('CLOSED', `${call}: the log is closed`, { call })
  }

  onClosing(listener: () => void): () => void {
    return this.#closing.add(listener)
  }

  damageFound(error: LogError<'CORRUPT'>, resumesAt: number): void {
    this.warn(damageSkipped(error, resumesAt))
  }

  // ------------------------------------------------------------------ topics

  topics(): readonly ReadableTopic[] {
    return this.#handles.list()
  }

  handles(): readonly Topic[] {
    return this.#handles.all()
  }

  topic(ref: unknown): Topic {
    this.checkOpen('log.topic')
    return this.#handles.topic(ref, 'log.topic')
  }

  topicView(ref: unknown, where: string): TopicView {
    return this.#handles.view(ref, where)
  }

  namedTopic(ref: unknown, where: string): NamedTopic {
    return named(ref, where)
  }

  /** A topic by name, those of the log itself too; undefined where there is none. */
  findTopic(name: string): ReadableTopic | undefined {
    return this.#there(this.#place.log.topic(name))
  }

  lookAgain({ topic }: TopicState): void {
    if (this.isOpen) this.#place.log.topic(topic.name)
  }

  describe(): LogDescription {
    const { log } = this.#place
    log.refresh()
    const topics = this.topics()
    const progress = new CleanerProgress(log.driver)
    for (const { partitions } of topics) progress.admit(partitions)
    return describeLog(topics, {
      nowMs: this.clock.now(),
      policyOf: (topic) => log.policyOf(topic),
      firstDirtyOffset: (partition) => progress.of(partition),
    })
  }

  whySegments({ topic }: TopicState, partition: ReadablePartition): readonly SegmentReason[] {
    const { log } = this.#place
    return reasonsOfFollowed(partition, {
      nowMs: this.clock.now(),
      driver: log.driver,
      policy: log.policyOf(topic),
      offsets: this.offsets,
    })
  }

  exportRecords(
    ref: unknown,
    options: ExportOptions | undefined,
  ): AsyncGenerator<string, void, undefined> {
    this.checkOpen('log.exportRecords')
    return exportLines(this.#handles.rawTopic(ref, 'log.exportRecords'), options)
  }

  async scrub(options: ScrubOptions | undefined): Promise<VerifyReport> {
    this.checkOpen('log.scrub')
    const { log, directory } = this.#place
    const input = {
      driver: log.driver,
      bootId: bootOf(directory),
      isLive: findLiveWriter(directory) !== undefined,
      newTopicId: () => randomTopicId(randomBytes),
    }
    return await scrubLog(this, input, options)
  }

  // -------------------------------------------------------- what is refused

  producer(options: ProducerOptions | undefined): Producer {
    return this.#producers.make(options)
  }

  get defaultProducer(): Producer {
    return this.#producers.ownOne
  }

  producerClosed(producer: Producer): void {
    this.#producers.closed(producer)
  }

  /** Nothing is ever taken. */
  readonly hasPendingSends = false

  producerTopic(): never {
    return this.#refuse('send')
  }

  /** Nobody asks before something was sent. */
  get producerIds(): never {
    return this.#refuse('send')
  }

  get transactions(): never {
    return this.#refuse('transaction')
  }

  writableOffsets(call: string): CommittedOffsets {
    return this.#refuse(call)
  }

  async prepareOffsets(): Promise<void> {
    this.#refuse('consumerGroup')
  }

  async createTopic(): Promise<Topic> {
    return this.#refuse('log.createTopic')
  }

  async ensureTopic(): Promise<Topic> {
    return this.#refuse('log.ensureTopic')
  }

  async deleteTopic(): Promise<void> {
    this.#refuse('log.deleteTopic')
  }

  async alterTopic(): Promise<void> {
    this.#refuse('alterConfig')
  }

  async addPartitions(): Promise<void> {
    this.#refuse('addPartitions')
  }

  async deleteRecordsBefore(): Promise<void> {
    this.#refuse('deleteRecords')
  }

  async flush(): Promise<void> {
    this.#refuse('log.flush')
  }

  async runHousekeeping(): Promise<never> {
    return this.#refuse('log.runHousekeeping')
  }

  async backup(): Promise<never> {
    return this.#refuse('log.backup')
  }

  async importRecords(): Promise<never> {
    return this.#refuse('log.importRecords')
  }

  // ------------------------------------------------------------------ ending

  async close(timeoutMs: number): Promise<void> {
    this.#isOpen = false
    this.#forgetTopics()
    this.#closing.tell()
    await this.groups.close(timeoutMs)
    await this.#producers.finish(timeoutMs)
    this.#place.log.close()
  }

  #refuse(call: string): never {
    this.checkOpen(call)
    throw readOnlyLog(call)
  }

  /** @throws {LogError} IO where the directory is gone: then there are no topics to speak of. */
  #there<T>(found: T): T {
    const { loss } = this.#place.log
    if (loss !== undefined) throw loss
    return found
  }
}
