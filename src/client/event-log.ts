/**
 * EventLog: an open log as users hold it. Opens and closes; everything in between is log-host.ts'
 * business, and log-directory.ts' below it.
 *
 * Closing goes outside in: nothing new is accepted, readers end, producers finish, everything is
 * synced and marked as clean, and last of all the lock is given back.
 */
import { invalidArgument } from '../errors/log-error.ts'
import { loadNativeCrc32c } from '../format/crc32c.ts'
import { delay, holdProcess, systemClock } from '../log/clock.ts'
import { isLogDirectory, openLogDirectory, type OpenReport } from '../log/directory-open.ts'
import type { TopicConfig } from '../log/log-config.ts'
import { LogDirectory, type LogEnvironment } from '../log/log-directory.ts'
import { bootId } from '../storage/boot-identity.ts'
import { diskSyncMethod, openDiskDriver } from '../storage/disk-driver.ts'
import { fileSystemOf, type FileSystemKind } from '../storage/file-system.ts'
import { directoryKey, prepareLogDirectory } from '../storage/log-location.ts'
import { openMemoryDriver } from '../storage/memory-driver.ts'
import { emptyMetadata } from '../storage/metadata-file.ts'
import { completeProcedure, runProcedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { acquireWriterLock, breakLock, type WriterLock } from '../storage/writer-lock.ts'
import { enableZstdPackage } from '../storage/zstd-package.ts'
import { checkOptions, describeValue } from './check-options.ts'
import type {
  ConsumerGroup,
  ConsumerGroupOptions,
  GroupAdmin,
  LogHandle,
  RecordsOf,
  ShareGroup,
  ShareGroupOptions,
  TopicSelection,
} from './group-types.ts'
import { describeLog } from './log-description.ts'
import { LogHost } from './log-host.ts'
import {
  checkLogOptions,
  type CheckedLogOptions,
  type EventLogOptions,
  type MemoryLogOptions,
} from './log-options.ts'
import type { Guarantees, LogDescription, RecoveryReport } from './log-reports.ts'
import { warnOfRecovery, warnTo } from './log-warnings.ts'
import { notAvailable } from './not-available.ts'
import type { Producer } from './producer.ts'
import type { ProducerOptions } from './producer-options.ts'
import type { Topic } from './topic.ts'
import type { TopicDefinition } from './topic-definition.ts'
import type { AnyTopicRef, TopicRef } from './topic-ref.ts'

/** Segments of a log in memory are small: memory is given back by whole segments. */
const MEMORY_DEFAULTS: TopicConfig = { segmentBytes: 16_777_216 }
const DEFAULT_CLOSE_TIMEOUT_MS = 10_000

/** What a log on disk holds besides its engine. */
interface DiskPlace {
  readonly directory: string
  readonly lock: WriterLock
  readonly fileSystem: FileSystemKind
}

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
  readonly #host: LogHost
  readonly #place: DiskPlace | null
  #closing: Promise<void> | undefined

  private constructor(host: LogHost, place: DiskPlace | null, report: OpenReport) {
    this.directory = place?.directory ?? null
    this.recovery = Object.freeze({
      clean: report.clean,
      durationMs: report.durationMs,
      partitions: report.partitions,
      positions: [],
    })
    this.#host = host
    this.#place = place
  }

  /**
   * Opens the log in `directory` for writing; makes the directory where it is missing. One process
   * at a time: the writer lock is held until `close`, or the end of the process.
   *
   * @throws {LogError} LOCKED while another one has it; INVALID_ARGUMENT for bad options, a file,
   *   or
   * a directory of something else; READ_ONLY without permission to write; UNSUPPORTED_FORMAT for a
   * log of a newer version; NO_SPACE; IO.
   */
  static async open(directory: string, options?: EventLogOptions): Promise<EventLog> {
    if (typeof directory !== 'string' || directory === '') {
      throw invalidArgument(`EventLog.open: directory is a path, not ${describeValue(directory)}`, {
        directory,
      })
    }
    const checked = checkLogOptions(options, 'disk', 'EventLog.open')
    if (checked.readOnly) throw notAvailable('read-only logs', 'EventLog.open({ readOnly: true })')
    const release = holdProcess() // Whoever awaits an open log wants to see it opened.
    try {
      return await EventLog.#openDisk(directory, checked)
    } finally {
      release()
    }
  }

  /**
   * A log in memory: the same engine, nothing on disk, ready at once. Nothing survives the process.
   */
  static inMemory(options?: MemoryLogOptions): EventLog {
    const checked = checkLogOptions(options, 'memory', 'EventLog.inMemory')
    loadCodecs()
    const driver = openMemoryDriver({ now: () => checked.clock.now() })
    const events = new LateHost()
    const engine = new LogDirectory(environmentOf(driver, null, checked, events), emptyMetadata())
    const host = new LogHost(engine, checked, MEMORY_DEFAULTS, warnTo(checked.onWarning))
    events.host = host
    for (const topic of checked.topics)
      completeProcedure(host.ensuring(topic, undefined, 'EventLog.inMemory: topics'))
    return new EventLog(host, null, { clean: true, durationMs: 0, partitions: [], adopted: [] })
  }

  /** Opens the log of another thread read-only; not part of this version. */
  static async attach(handle: LogHandle): Promise<EventLog> {
    throw notAvailable('attaching from worker threads', `EventLog.attach(${describeValue(handle)})`)
  }

  /**
   * Removes the lock of a holder that LOCKED said can be told neither dead nor alive: one in
   * another container on the same disk, say. Make sure that it is gone: two writers destroy a log.
   * @throws {LogError} LOCKED where the holder is alive.
   */
  static async breakLock(directory: string): Promise<void> {
    await breakLock(directory, { now: () => systemClock.now() })
  }

  static async #openDisk(directory: string, options: CheckedLogOptions): Promise<EventLog> {
    const path = prepareLogDirectory(directory, isLogDirectory)
    const fileSystem = fileSystemOf(path)
    if (fileSystem.isNetwork && !options.allowNetworkFs) {
      throw invalidArgument(
        `EventLog.open: ${path} lies on a network file system (${fileSystem.name}), where other machines can write beside this one and syncs promise less; allowNetworkFs: true opens it all the same`,
        { option: 'allowNetworkFs', directory: path, fileSystem: fileSystem.name },
      )
    }
    const { clock } = options
    const lock = await acquireWriterLock(path, {
      lockTimeoutMs: options.lockTimeoutMs,
      now: () => clock.now(),
      monotonicNow: () => clock.monotonicNow(),
      wait: (ms) => delay(clock, ms),
    })
    try {
      return await EventLog.#openLocked({ directory: path, lock, fileSystem }, options)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  static async #openLocked(place: DiskPlace, options: CheckedLogOptions): Promise<EventLog> {
    loadCodecs()
    const driver = openDiskDriver(place.directory)
    const boot = bootId()
    const events = new LateHost()
    // A copy of a directory is another log: what was published for the one says nothing of the
    // other.
    const bootOfDirectory =
      boot === null ? null : `${boot.slice(0, 36)}@${directoryKey(place.directory)}`
    try {
      const environment = environmentOf(driver, bootOfDirectory, options, events)
      const { log: engine, report } = await runProcedure(openLogDirectory(environment))
      const warn = warnTo(options.onWarning)
      const host = new LogHost(engine, options, {}, warn)
      events.host = host
      warnOfRecovery(warn, report)
      if (options.io === 'mmap') {
        warn({
          code: 'FALLBACK',
          message: 'this version reads by positioned reads only: io is as if it were pread',
          details: { io: options.io },
        })
      }
      host.start()
      for (const topic of options.topics) await host.ensureTopic(topic, undefined)
      return new EventLog(host, place, report)
    } catch (error) {
      driver.close()
      throw error
    }
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
    return this.#host.topics().map((topic) => this.#host.topic(topic.name))
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

  /** Consumer groups are not part of this version: the call fails. */
  consumerGroup<const T extends TopicSelection>(
    id: string,
    options: ConsumerGroupOptions<T>,
  ): ConsumerGroup<RecordsOf<T>>
  consumerGroup(id: string): GroupAdmin
  consumerGroup(id: string): never {
    throw notAvailable('consumer groups', `log.consumerGroup(${describeValue(id)})`)
  }

  /** Share groups are not part of this version: the call fails. */
  shareGroup<const T extends TopicSelection>(
    id: string,
    options: ShareGroupOptions<T>,
  ): ShareGroup<RecordsOf<T>> {
    throw notAvailable(
      'share groups',
      `log.shareGroup(${describeValue(id)}, ${describeValue(options)})`,
    )
  }

  /** Sharing with worker threads is not part of this version: the call fails. */
  share(): LogHandle {
    throw notAvailable('attaching from worker threads', 'log.share()')
  }

  /** Sizes and times of everything. Reads the first batch of each partition. */
  describe(): LogDescription {
    this.#host.checkOpen('log.describe')
    return describeLog(this.#host.topics())
  }

  /**
   * Resolves when everything sent or appended before the call is on stable storage.
   * @throws {LogError} IO with `details.outcome: 'unknown'` where a sync failed.
   */
  async flush(): Promise<void> {
    await this.#host.flush()
  }

  /** What this log keeps, on this machine and this file system. */
  guarantees(): Guarantees {
    const place = this.#place
    if (place === null) {
      return {
        acks: { 0: 'nothing', 1: 'nothing', all: 'nothing' },
        syncMethod: 'memory',
        fileSystem: 'memory',
        reads: 'memory',
        lock: 'none',
      }
    }
    return {
      acks: {
        0: 'nothing',
        1: 'process-crash',
        all: place.fileSystem.isVolatile ? 'process-crash' : 'power-loss',
      },
      syncMethod: diskSyncMethod(),
      fileSystem: place.fileSystem.name,
      reads: 'pread',
      lock: place.lock.kind,
    }
  }

  /**
   * Ends the log: readers end, producers finish what they have, everything is synced, the next open
   * need not check anything. A second call resolves when the first one is over.
   * @throws {LogError} IO, once, where a sync failed, now or before; everything is released all the
   *   same.
   */
  async close(options?: { timeoutMs?: number | undefined }): Promise<void> {
    checkOptions(options, ['timeoutMs'], 'log.close')
    const timeoutMs = options?.timeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS
    if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 0) {
      throw invalidArgument(
        `log.close: timeoutMs is an integer from 0 on, not ${describeValue(timeoutMs)}`,
        { option: 'timeoutMs', value: timeoutMs },
      )
    }
    if (this.#closing !== undefined) {
      await this.#closing.catch(() => undefined)
      return
    }
    this.#closing = this.#close(timeoutMs)
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(timeoutMs: number): Promise<void> {
    const release = this.#place === null ? () => undefined : holdProcess()
    try {
      await this.#host.close(timeoutMs)
    } finally {
      await this.#place?.lock.release()
      release()
    }
  }
}

/** The host is made after the engine that calls it; nothing calls before. */
class LateHost {
  host: LogHost | undefined
}

function environmentOf(
  driver: StorageDriver,
  boot: string | null,
  options: CheckedLogOptions,
  events: LateHost,
): LogEnvironment {
  return {
    driver,
    bootId: boot,
    clock: options.clock,
    randomBytes: options.randomBytes,
    onPartitionFailed: (partition, error) => events.host?.partitionFailed(partition, error),
    onRolled: () => events.host?.rolled(),
  }
}

/** Native helpers are looked for at the first open, never at import. */
function loadCodecs(): void {
  loadNativeCrc32c()
  enableZstdPackage()
}
