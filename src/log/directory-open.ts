/**
 * Opening a directory for writing: finds out which topics there are, brings every partition into a
 * state that can be appended to, and says what it had to do.
 *
 *   1  the clean marker is read, then removed, durably, before anything else is written
 *   2  metadata.json says which topics there are; without it the folders do, as in a broker's
 *   directory
 *   3  each partition is taken as the marker describes it, or recovered (recovery.ts)
 *   4  after an unclean stop each partition starts a new leader epoch, on stable storage before any
 *      append: offsets that a power cut took may be used again only in a newer epoch
 *   5  control file and checkpoints are written anew
 *
 * A folder that no topic lists is never deleted: empty, it is set aside; with data, it is adopted.
 * Where a broker has had the directory, topics may also have been created, deleted and compacted
 * since metadata.json was written: what the folders say counts then.
 */
import { LogError } from '../errors/log-error.ts'
import { replaceFile } from '../storage/checkpoint-file.ts'
import {
  readCleanMarker,
  removeCleanMarker,
  type CleanMarker,
  type CleanPartition,
} from '../storage/clean-marker.ts'
import { ControlFile, readControlFile, type ControlFileContents } from '../storage/control-file.ts'
import { controlSlotKey, type PublishedPartition } from '../storage/control-slot.ts'
import { META_PROPERTIES_FILE, formatMetaProperties } from '../storage/meta-properties.ts'
import {
  emptyMetadata,
  readMetadata,
  writeMetadata,
  type LogMetadata,
  type TopicMetadata,
} from '../storage/metadata-file.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { afterTurn } from './clock.ts'
import { readCheckpoints, type CheckpointedOffsets } from './log-checkpoints.ts'
import { readStoredConfig, resolveTopicConfig } from './log-config.ts'
import { LogDirectory, type LogEnvironment } from './log-directory.ts'
import type { PartitionState } from './partition-log.ts'
import { hasFindings, openPartition, type PartitionEvidence } from './partition-open.ts'
import type { PartitionRecovery } from './recovery.ts'
import {
  listDeletedFolders,
  listPartitionFolders,
  partitionDirectory,
  setFolderAside,
  type PartitionFolder,
} from './topic-directory.ts'
import { WatermarkPublisher } from './watermark-publisher.ts'

/** What opening did. */
export interface OpenReport {
  readonly clean: boolean
  readonly durationMs: number
  /** Partitions where something was cut, rebuilt, damaged or missing. */
  readonly partitions: readonly PartitionRecovery[]
  /** Topics that no metadata listed and that were taken in. */
  readonly adopted: readonly string[]
}

/** An open directory and how it got there. */
export interface OpenedDirectory {
  readonly log: LogDirectory
  readonly report: OpenReport
}

/** A broker writes its high watermarks there soon after its start. We have no such file. */
const BROKER_FILE = 'replication-offset-checkpoint'

/** Opens what the driver holds; an empty directory becomes an empty log. */
export function* openLogDirectory(environment: LogEnvironment): Procedure<OpenedDirectory> {
  if (environment.driver.volatile) {
    const report = { clean: true, durationMs: 0, partitions: [], adopted: [] }
    return { log: new LogDirectory(environment, emptyMetadata()), report }
  }
  return yield* new DirectoryOpening(environment).run()
}

/** True where a directory of these names is a log, ours or a broker's. */
export function isLogDirectory(names: readonly string[]): boolean {
  return (
    names.includes('metadata.json') ||
    names.includes('metadata.json.previous') ||
    names.includes(META_PROPERTIES_FILE) ||
    names.includes('recovery-point-offset-checkpoint')
  )
}

class DirectoryOpening {
  readonly #environment: LogEnvironment
  readonly #driver: StorageDriver
  readonly #startedMs: number
  readonly #reports: PartitionRecovery[] = []
  readonly #adopted = new Set<string>()
  /** What the clean marker vouches for, by topic id and partition. */
  readonly #described = new Map<string, CleanPartition>()
  #checkpoints: CheckpointedOffsets = { recoveryPoints: new Map(), logStarts: null }
  #marker: CleanMarker | 'kafka' | undefined
  #previous: ControlFileContents | undefined
  /**
   * A broker has had the directory, now or ever: topics may have changed behind metadata's back.
   */
  #wasBrokers = false

  constructor(environment: LogEnvironment) {
    this.#environment = environment
    this.#driver = environment.driver
    this.#startedMs = environment.clock.monotonicNow()
  }

  *run(): Procedure<OpenedDirectory> {
    const driver = this.#driver
    // A log that may not be written is refused before its marker is touched.
    const metadata = readMetadata(driver)
    if (metadata.kind === 'found' && !metadata.writable) {
      throw newerWriter(metadata.metadata.writeIncompatible)
    }
    this.#marker = readCleanMarker(driver)
    if (this.#marker !== undefined) yield* removeCleanMarker(driver)
    if (this.#marker !== undefined && this.#marker !== 'kafka') {
      for (const entry of this.#marker.partitions)
        this.#described.set(`${entry.topicId}-${entry.partition}`, entry)
    }
    const isNew = !isLogDirectory(driver.list(''))
    if (isNew) yield* this.#writeIdentity()
    this.#previous = readControlFile(driver)
    this.#checkpoints = readCheckpoints(driver)
    this.#wasBrokers = driver.status(BROKER_FILE) !== undefined
    const log = new LogDirectory(this.#environment, yield* this.#findTopics())
    for (const [name, topic] of log.metadata.topics) {
      const config = resolveTopicConfig(readStoredConfig(topic.config), {
        partitions: topic.partitions,
      })
      // Of a topic that was only ever here nothing was compacted away: a gap is damage.
      const isGapless = topic.adopted !== true && !this.#wasBrokers
      const states: PartitionState[] = []
      for (let partition = 0; partition < topic.partitions; partition++) {
        const known = { topic: name, topicId: topic.id, partition, config, isGapless }
        const evidence = this.#evidenceOf(name, topic.id, partition)
        const { state, recovery } = yield* openPartition(driver, known, evidence)
        states.push(state)
        if (hasFindings(recovery) || this.#adopted.has(name)) this.#reports.push(recovery)
      }
      log.admit({ name, id: topic.id, config }, states)
    }
    this.#noteDeletions(log)
    yield* this.#publish(log)
    yield* log.checkpoint()
    const report = {
      clean: isNew || this.#marker !== undefined,
      durationMs: this.#environment.clock.monotonicNow() - this.#startedMs,
      partitions: this.#reports,
      adopted: [...this.#adopted],
    }
    return { log, report }
  }

  *#writeIdentity(): Procedure<void> {
    const { randomBytes } = this.#environment
    const bytes = formatMetaProperties({
      version: 1,
      clusterId: randomTopicId(randomBytes),
      nodeId: 1,
      directoryId: randomTopicId(randomBytes),
      others: new Map(),
    })
    yield* replaceFile(this.#driver, META_PROPERTIES_FILE, bytes)
    yield* writeMetadata(this.#driver, emptyMetadata())
  }

  /**
   * The topics that metadata.json and the folders say there are; what differs is settled on disk
   * first.
   */
  *#findTopics(): Procedure<LogMetadata> {
    const found = readMetadata(this.#driver)
    const known = found.kind === 'found' ? found.metadata : emptyMetadata()
    const isCurrent = found.kind === 'found' && found.source === 'current'
    const folders = listPartitionFolders(this.#driver)
    const topics = this.#topicsStillThere(known.topics, folders, isCurrent)
    const deleting = new Set(known.deleting.map((topic) => topic.id))
    for (const folder of folders) {
      const listed = topics.get(folder.topic)
      if (folder.topicId !== null && deleting.has(folder.topicId)) this.#setAside(folder, 'delete')
      else if (listed !== undefined && folder.partition < listed.partitions) continue
      else if (!folder.holdsData && isCurrent && !this.#wasBrokers) this.#setAside(folder, 'stray')
      else {
        this.#adopted.add(folder.topic)
        const id = folder.topicId ?? randomTopicId(this.#environment.randomBytes)
        const partitions = Math.max(listed?.partitions ?? 0, folder.partition + 1)
        topics.set(folder.topic, { ...(listed ?? { id, config: {} }), adopted: true, partitions })
      }
    }
    const metadata = { ...known, topics }
    if (this.#adopted.size > 0 || topics.size !== known.topics.size || !isCurrent) {
      yield () => this.#driver.flushDirectory('')
      yield* writeMetadata(this.#driver, metadata)
    }
    return metadata
  }

  /**
   * The topics that metadata lists, without those that were deleted since: by ourselves, where it
   * is the previous metadata, or by a broker, which does not know of it.
   */
  #topicsStillThere(
    listed: LogMetadata['topics'],
    folders: readonly PartitionFolder[],
    isCurrent: boolean,
  ): Map<string, TopicMetadata> {
    const ids = new Map<string, (string | null)[]>()
    for (const { topic, topicId } of folders) {
      const idsOfTopic = ids.get(topic)
      if (idsOfTopic === undefined) ids.set(topic, [topicId])
      else idsOfTopic.push(topicId)
    }
    const topics = new Map<string, TopicMetadata>()
    for (const [name, topic] of listed) {
      const found = ids.get(name)
      // A topic of that name that was created anew is another one, with an end of its own.
      const isReplaced = found?.every((id) => id !== null && id !== topic.id) ?? false
      const isGone = found === undefined && (!isCurrent || this.#wasDeletedByBroker(name, topic))
      if (!isReplaced && !isGone) topics.set(name, topic)
    }
    return topics
  }

  /** A broker that deletes a topic writes the checkpoint without it; we list every partition. */
  #wasDeletedByBroker(name: string, topic: TopicMetadata): boolean {
    if (!this.#wasBrokers) return false
    for (let partition = 0; partition < topic.partitions; partition++) {
      if (this.#checkpoints.recoveryPoints.has(partitionDirectory(name, partition))) return false
    }
    return true
  }

  #setAside(folder: PartitionFolder, state: 'delete' | 'stray'): void {
    const uniqueId = Buffer.from(this.#environment.randomBytes(16)).toString('hex')
    setFolderAside(this.#driver, folder.directory, uniqueId, state)
  }

  /** What is known of a partition besides its folder. */
  #evidenceOf(topic: string, topicId: string, partition: number): PartitionEvidence {
    const directory = partitionDirectory(topic, partition)
    const { recoveryPoints, logStarts } = this.#checkpoints
    return {
      described: this.#described.get(`${topicId}-${partition}`),
      isBrokerClean: this.#marker === 'kafka',
      checkpointedPoint: recoveryPoints.get(directory) ?? 0,
      logStartOffset: logStarts === null ? null : (logStarts.get(directory) ?? 0),
      published: this.#publishedInThisBoot(topicId, partition),
    }
  }

  /** Watermarks that outlived nothing but the process: the machine was not started anew since. */
  #publishedInThisBoot(topicId: string, partition: number): PublishedPartition | undefined {
    const { bootId } = this.#environment
    if (this.#previous === undefined || bootId === null || this.#previous.bootId !== bootId)
      return undefined
    return this.#previous.slots.get(controlSlotKey(topicId, partition))
  }

  #noteDeletions(log: LogDirectory): void {
    log.deletingFolders('', listDeletedFolders(this.#driver))
    for (const topic of log.metadata.deleting) log.deletingFolders(topic.id, [])
  }

  *#publish(log: LogDirectory): Procedure<void> {
    const control = ControlFile.open(this.#driver, {
      writerGeneration: ((this.#previous?.writerGeneration ?? 0) + 1) % 2 ** 32,
      bootId: this.#environment.bootId,
      pid: process.pid,
    })
    log.publishTo(new WatermarkPublisher(control, this.#environment.clock, afterTurn))
    yield () => this.#driver.flushDirectory('')
  }
}

function newerWriter(features: readonly string[]): LogError<'READ_ONLY'> {
  const message = `a newer version of streambed wrote this log with ${features.join(', ')}: this version may not write to it, install the newer one`
  return new LogError('READ_ONLY', message, { features })
}
