/**
 * EventLog: an open log as users hold it. Opens and closes; everything in between is a
 * LogHost's business (writer-host.ts), and log-directory.ts' below it.
 *
 * Closing goes outside in: nothing new is accepted, readers end, producers finish, everything is
 * synced and marked as clean, and last of all the lock is given back.
 */
import { systemClock } from '../log/clock.ts'
import type { TopicConfig } from '../log/log-config.ts'
import { breakLock } from '../storage/writer-lock.ts'
import { attachLog } from './attached-log.ts'
import type { BackupOptions } from './backup.ts'
import { checkDirectory, describeValue } from './check-options.ts'
import { type CloseOptions, closeTimeoutOf } from './close-options.ts'
import { ConsumerGroup } from './groups/consumer-group.ts'
import type {
  ConsumerGroupOptions,
  GroupAdmin,
  GroupDescription,
  LogHandle,
  RecordsOf,
  ShareGroup,
  ShareGroupOptions,
  TopicSelection,
} from './group-types.ts'
import { guaranteesOf } from './log-guarantees.ts'
import type { HousekeepingOptions } from './housekeeping.ts'
import type { LogHost } from './log-host.ts'
import {
  closeOpened,
  openInMemory,
  openOnDisk,
  openToRead,
  type OpenedLog,
  type OpenedPlace,
} from './log-opening.ts'
import { checkLogOptions, type EventLogOptions, type MemoryLogOptions } from './log-options.ts'
import { repairLog, type RepairOptions } from './log-repair.ts'
import type {
  BackupReport,
  Guarantees,
  HousekeepingReport,
  LogDescription,
  RecoveryReport,
  RepairReport,
  VerifyReport,
} from './log-reports.ts'
import type { ScrubOptions } from './log-scrub.ts'
import { verifyDirectory, type VerifyOptions } from './log-verify.ts'
import { noShareGroups } from './not-available.ts'
import type { Producer } from './producer.ts'
import type { ProducerOptions } from './producer-options.ts'
import type { ExportOptions } from './record-export.ts'
import type { ImportOptions, ImportReport } from './record-import.ts'
import { restoreLog } from './restore.ts'
import { shareLog } from './shared-log.ts'
import type { TextSource } from './text-lines.ts'
import type { Topic } from './topic.ts'
import type { TopicDefinition } from './topic-definition.ts'
import type { AnyTopicRef, TopicRef } from './topic-ref.ts'

/**
 * A log: topics with partitions of records, in a directory or in memory.
 *
 * @example
 * ```ts
 * const log = await EventLog.open('./data')
 * const orders = await log.ensureTopic('orders', { partitions: 4 })
 * await orders.send({ key: 'o-1', value: 'twelve' }) // synced to disk when it resolves
 * for await (const record of orders.read()) console.log(record.offset, record.value?.toString())
 * await log.close()
 * ```
 */
export class EventLog implements AsyncDisposable {
  /** Absolute path; null for a log in memory. */
  readonly directory: string | null
  /** What opening found and did. */
  readonly recovery: RecoveryReport
  #host: LogHost
  readonly #place: OpenedPlace | null
  #closing: Promise<void> | undefined

  private constructor({ host, place, report }: OpenedLog) {
    const { clean, durationMs, partitions, positions } = report
    this.directory = place?.directory ?? null
    this.recovery = Object.freeze({ clean, durationMs, partitions, positions })
    this.#host = host
    this.#place = place
  }

  /**
   * Opens the log in `directory` for writing; makes the directory where it is missing. One process
   * at a time: the writer lock is held until `close`, or the end of the process. With
   * `readOnly: true` any number of processes read what is there and follow what its writer appends;
   * nothing is made or written then, and whatever would change the log is `READ_ONLY`.
   *
   * @throws {LogError} LOCKED while another one has it; INVALID_ARGUMENT for bad options, a file,
   *   or a directory of something else; READ_ONLY without permission to write; UNSUPPORTED_FORMAT
   *   for a log of a newer version; NO_SPACE; IO. Read-only: never LOCKED; IO where the directory
   *   is missing; TOPIC_NOT_FOUND, CONFIG_MISMATCH where `topics` are not as defined.
   */
  static async open(directory: string, options?: EventLogOptions): Promise<EventLog> {
    checkDirectory(directory, 'EventLog.open')
    const checked = checkLogOptions(options, 'disk', 'EventLog.open')
    const opening = checked.readOnly ? openToRead : openOnDisk
    return new EventLog(await opening(directory, checked))
  }

  /**
   * A log in memory: the same engine, nothing on disk, ready at once. Nothing survives the process.
   */
  static inMemory(options?: MemoryLogOptions): EventLog {
    const checked = checkLogOptions(options, 'memory', 'EventLog.inMemory')
    return new EventLog(openInMemory(checked))
  }

  /** The handle of a log that was opened over other storage than a directory. @internal */
  static over(opened: OpenedLog): EventLog {
    return new EventLog(opened)
  }

  /** Puts another log of the same place behind a handle: a test's, emptied. @internal */
  static renew(log: EventLog, { host }: OpenedLog): void {
    log.#host = host
    log.#closing = undefined
  }

  /** Not closing yet. @internal */
  get isOpen(): boolean {
    return this.#closing === undefined
  }

  /**
   * Opens the log that another thread of this process shares, read-only. Ends with it, or before.
   * @throws {LogError} CLOSED where it is closed; INVALID_ARGUMENT; TIMEOUT; IO.
   */
  static async attach(handle: LogHandle): Promise<EventLog> {
    return await attachLog(handle, (opened) => new EventLog(opened))
  }

  /**
   * Removes the lock of a holder that LOCKED said can be told neither dead nor alive: one in
   * another container on the same disk, say. Make sure that it is gone: two writers destroy a log.
   * @throws {LogError} LOCKED where the holder is alive.
   */
  static async breakLock(directory: string): Promise<void> {
    checkDirectory(directory, 'EventLog.breakLock')
    await breakLock(directory, { now: () => systemClock.now() })
  }

  /**
   * Reads everything that lies in `directory` and says what is not as it was written: each batch
   * with its records, each index entry, checkpoints, metadata.json, the clean marker. Writes
   * nothing, takes no lock, needs no permission to write, and may run beside a writer: then what
   * was there at its start is judged. Memory stays bounded, and the event loop free.
   *
   * @example
   * ```ts
   * const { damage } = await EventLog.verify('./data')
   * for (const { file, position, reason } of damage) console.log(file, position, reason)
   * ```
   * @throws {LogError} IO where the directory is missing (cause ENOENT) or a file cannot be read;
   *   INVALID_ARGUMENT for a directory that holds no log; ABORTED; UNSUPPORTED_FORMAT.
   */
  static async verify(directory: string, options?: VerifyOptions): Promise<VerifyReport> {
    return await verifyDirectory(directory, options)
  }

  /**
   * Makes a damaged log sound: keeps every record that is as it was written, fills the offsets that
   * are lost so that they read as compaction's gaps do, and makes indexes, checkpoints and metadata
   * anew. New files take the place of old ones as a whole; what they leave out stays beside them in
   * .salvaged files. Takes the writer lock; stopped at any moment it can be run again. What is torn
   * and not damaged is left to the next open. A log that is sound is left alone.
   *
   * @throws {LogError} LOCKED beside a writer; IO where the directory is missing (cause ENOENT);
   *   INVALID_ARGUMENT for a directory that holds no log; READ_ONLY without permission to write;
   *   NO_SPACE: the log is as it was, or partly repaired. UNSUPPORTED_FORMAT.
   */
  static async repair(directory: string, options?: RepairOptions): Promise<RepairReport> {
    return await repairLog(directory, options)
  }

  /**
   * Makes a log in `directory`, missing or empty, of a backup that `log.backup` made. Every file is
   * copied, and is what was backed up, before there is a log; the backup is only read.
   * @throws {LogError} CORRUPT where the backup is not what it was; INVALID_ARGUMENT; LOCKED;
   *   ABORTED, NO_SPACE, IO, READ_ONLY: nothing that opens is left; the call may be made again.
   */
  static async restore(
    backup: string,
    directory: string,
    options?: BackupOptions,
  ): Promise<BackupReport> {
    return await restoreLog(backup, directory, options)
  }

  /**
   * Creates a topic. On stable storage when it resolves.
   * @throws {LogError} TOPIC_EXISTS; INVALID_ARGUMENT for a name or setting that cannot be;
   *   NO_SPACE; IO.
   */
  createTopic<K, V, N extends string, KI, VI>(
    topic: TopicDefinition<K, V, N, KI, VI>,
    config?: TopicConfig,
  ): Promise<Topic<K, V, N, KI, VI>>
  createTopic(name: string, config?: TopicConfig): Promise<Topic>
  async createTopic(topic: TopicDefinition | string, config?: TopicConfig): Promise<Topic> {
    return await this.#host.createTopic(topic, config)
  }

  /**
   * Creates a topic, or takes the one there is: settings given explicitly that differ are applied,
   * with a CONFIG_CHANGED warning.
   * @throws {LogError} CONFIG_MISMATCH where it has fewer partitions or another cleanup policy.
   */
  ensureTopic<K, V, N extends string, KI, VI>(
    topic: TopicDefinition<K, V, N, KI, VI>,
    config?: TopicConfig,
  ): Promise<Topic<K, V, N, KI, VI>>
  ensureTopic(name: string, config?: TopicConfig): Promise<Topic>
  async ensureTopic(topic: TopicDefinition | string, config?: TopicConfig): Promise<Topic> {
    return await this.#host.ensureTopic(topic, config)
  }

  /** The handle of a topic that exists. @throws {LogError} TOPIC_NOT_FOUND, CLOSED. */
  topic<K, V, N extends string, KI, VI>(topic: TopicRef<K, V, N, KI, VI>): Topic<K, V, N, KI, VI>
  topic(name: string): Topic
  topic(topic: TopicRef | string): Topic {
    return this.#host.topic(topic)
  }

  /** Every topic of the user's, by name. */
  topics(): readonly Topic[] {
    this.#host.checkOpen('log.topics')
    return this.#host.handles()
  }

  /**
   * Deletes a topic with all it holds. Its handles stay dead; a new topic of that name is another
   * one. Its space is freed in the background.
   * @throws {LogError} TOPIC_NOT_FOUND.
   */
  async deleteTopic(topic: string | AnyTopicRef): Promise<void> {
    await this.#host.deleteTopic(topic)
  }

  /** A producer of its own: acks, linger, batch size, compression, partitioner. */
  producer(options?: ProducerOptions): Producer {
    return this.#host.producer(options)
  }

  /**
   * A group of consumers that share topics and remember how far they are. Makes nothing: the group
   * begins with its first member, or its first committed offset. Without options, only its
   * administration: what it has committed, how far behind it is, moving and forgetting that.
   *
   * @example
   * ```ts
   * const billing = log.consumerGroup('billing', { topics: ['orders'] })
   * for await (const record of await billing.join()) console.log(record.offset, record.value)
   * ```
   * @throws {LogError} INVALID_ARGUMENT naming the option, the value and what is allowed;
   *   CONFIG_MISMATCH where the group has members with other topics, another assignor or isolation.
   */
  consumerGroup<const T extends TopicSelection>(
    id: string,
    options: ConsumerGroupOptions<T>,
  ): ConsumerGroup<RecordsOf<T>>
  consumerGroup(id: string): GroupAdmin
  consumerGroup(id: string, options?: ConsumerGroupOptions): ConsumerGroup | GroupAdmin {
    const { groups } = this.#host
    if (options === undefined) return groups.administration(id, null)
    return ConsumerGroup.of(groups, groups.settings(id, options))
  }

  /** Every consumer group that has members or has committed offsets, by id. */
  consumerGroups(): readonly GroupDescription[] {
    return this.#host.groups.describe()
  }

  /** Share groups are not part of this version: the call fails. */
  shareGroup<const T extends TopicSelection>(
    id: string,
    options: ShareGroupOptions<T>,
  ): ShareGroup<RecordsOf<T>> {
    throw noShareGroups(`log.shareGroup(${describeValue(id)}, ${describeValue(options)})`)
  }

  /** What another thread of this process attaches with: plain data, the same at each call. */
  share(): LogHandle {
    this.#host.checkOpen('log.share')
    return shareLog(this.#host)
  }

  /**
   * Settings, sizes, times and compaction of every topic and partition, and how evenly records lie
   * in them. From memory, but for the first batch of each partition.
   */
  describe(): LogDescription {
    this.#host.checkOpen('log.describe')
    return this.#host.describe()
  }

  /**
   * Resolves when everything sent or appended before the call is on stable storage.
   * @throws {LogError} IO with `details.outcome: 'unknown'` where a sync failed.
   */
  async flush(): Promise<void> {
    await this.#host.flush()
  }

  /**
   * Verifies the log while it is open, as `EventLog.verify` does, beside reads and writes: what was
   * there at the call, without what is deleted meanwhile. Damage is reported as a `DAMAGE` warning
   * as well. `maxBytesPerSecond` bounds how fast it reads.
   * @throws {LogError} ABORTED by its signal; CLOSED where the log is closed meanwhile; IO.
   */
  async scrub(options?: ScrubOptions): Promise<VerifyReport> {
    return await this.#host.scrub(options)
  }

  /**
   * Looks after the log now, as it does by itself every `housekeepingIntervalMs`: positions of
   * groups expire, segments that retention lets go are deleted, compacted topics are compacted, and
   * space is freed. Works beside reads and writes in slices; resolves when all of it is done. Two
   * calls run one after the other. What of it fails is a `HOUSEKEEPING_FAILED` warning, is left as
   * it was, and is tried again by the next run.
   *
   * @example
   * ```ts
   * const { deletedBytes, kept } = await log.runHousekeeping()
   * for (const { file, reason } of kept) console.log(file, reason)
   * ```
   * @throws {LogError} INVALID_ARGUMENT; CLOSED where the log is closed before it is over.
   */
  async runHousekeeping(options?: HousekeepingOptions): Promise<HousekeepingReport> {
    return await this.#host.runHousekeeping(options)
  }

  /**
   * Copies the log as it is at one instant, while writes go on, to a directory that opens as a log:
   * what a kill of the process at that instant would have left, transactions whole or not at all.
   * An earlier backup of this log there is brought up to date; a stop leaves that or the new one.
   * @throws {LogError} INVALID_ARGUMENT for a directory of something else; LOCKED while it is
   *   open; NO_SPACE, IO, READ_ONLY, ABORTED, CLOSED: an earlier backup there is as it was.
   */
  async backup(destination: string, options?: BackupOptions): Promise<BackupReport> {
    return await this.#host.backup(destination, options, this.directory)
  }

  /**
   * The records of a topic as lines of JSON, for people: what is UTF-8 as text, what is not as
   * base64, with `"encoding": "base64"` (keys: `"keyEncoding"`). Ends at the end of the call.
   * @throws {LogError} TOPIC_NOT_FOUND, INVALID_ARGUMENT; in the iteration as `topic.read`.
   */
  exportRecords(topic: string | AnyTopicRef, options?: ExportOptions): AsyncGenerator<string> {
    return this.#host.exportRecords(topic, options)
  }

  /**
   * Appends what `exportRecords` wrote to a topic: keys, values, headers, timestamps and partitions
   * are kept, offsets are new. Ends at a line that is no record: all before are in the topic then.
   * @throws {LogError} INVALID_RECORD with the line's number (`details.issues[0].path`); ABORTED;
   *   TOPIC_NOT_FOUND, INVALID_ARGUMENT; as `send`.
   */
  async importRecords(
    topic: string | AnyTopicRef,
    source: TextSource,
    options?: ImportOptions,
  ): Promise<ImportReport> {
    return await this.#host.importRecords(topic, source, options)
  }

  /** What this log keeps, on this machine and this file system. */
  guarantees(): Guarantees {
    return guaranteesOf(this.#place)
  }

  /**
   * Ends the log: readers end, producers finish what they have, everything is synced, the next open
   * need not check anything. A second call resolves when the first one is over.
   * @throws {LogError} IO, once, where a sync failed, now or before; everything is released all the
   *   same.
   */
  async close(options?: CloseOptions): Promise<void> {
    const timeoutMs = closeTimeoutOf(options)
    if (this.#closing !== undefined) {
      await this.#closing.catch(() => undefined)
      return
    }
    this.#closing = closeOpened(this.#host, this.#place, timeoutMs)
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
