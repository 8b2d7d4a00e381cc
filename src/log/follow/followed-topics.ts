/**
 * FollowedTopics: which topics the writer of a log has made, with their partitions: metadata.json,
 * read again whenever it is another file than the one that was read.
 *
 * Where metadata.json is the writer's own it is all there is to it. Where it is missing or damaged,
 * or a broker has had the directory, the folders count as they do for whoever opens the log
 * (directory-evidence.ts); once a good one was read, what is known stays until there is another.
 *   I1  a topic that is gone, or another one by that name, has ended for its readers before anybody
 *       is shown what took its place
 *   I2  a change that the clock of the file system is too coarse to show is looked for until it
 *       would show
 */
import { createHash } from 'node:crypto'
import { readWholeFile } from '../../storage/checkpoint-file.ts'
import {
  METADATA_FILE,
  readMetadata,
  type LogMetadata,
  type TopicMetadata,
} from '../../storage/metadata-file.ts'
import type { FileStatus, StorageDriver } from '../../storage/storage-driver.ts'
import { formatTopicId, TOPIC_ID_BYTES } from '../../storage/topic-id.ts'
import { type AppliedPolicy, appliedPolicy } from '../cleanup-policy.ts'
import type { Clock } from '../clock.ts'
import { BROKER_FILE, DirectoryEvidence } from '../directory-evidence.ts'
import { readStoredConfig, resolveTopicConfig, type ResolvedTopicConfig } from '../log-config.ts'
import type { PartitionEnd, ReadableTopic } from '../readable-partition.ts'
import { partitionDirectory } from '../topic-directory.ts'
import type { FollowedPlace } from './follow-context.ts'
import type { FollowedPartition } from './followed-partition.ts'

/** The coarsest clocks of file systems that logs lie on stand still for some 10 ms. */
const RACY_MS = 100
/** Folders are listed so often at most, where they say which topics there are. */
const FOLDERS_EVERY_MS = 1_000

/** What topics are read from, and made with. */
export interface TopicsSource {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly bootId: string | null
  /** A partition that nobody has looked at yet. */
  readonly partitionAt: (place: FollowedPlace) => FollowedPartition
}

interface FollowedTopic extends ReadableTopic {
  config: ResolvedTopicConfig
  partitions: readonly FollowedPartition[]
}

/** A topic and what it was made of. */
interface KnownTopic {
  readonly topic: FollowedTopic
  stored: TopicMetadata
}

/** The topics of a log that somebody else writes. */
export class FollowedTopics {
  readonly #source: TopicsSource
  readonly #topics = new Map<string, KnownTopic>()
  /** metadata.json as it was when it was read; undefined where there was none. */
  #seen: { readonly status: FileStatus; readonly bytes: Buffer | undefined } | undefined
  #mayHideChange = false
  /** A metadata.json that its writer means was read: what else there is counts for less. */
  #isSettled = false
  #listedMs = -Infinity
  /** What `all` gives, until that changes. */
  #sorted: readonly FollowedTopic[] | undefined

  constructor(source: TopicsSource) {
    this.#source = source
  }

  /** The topic of that name, if there is one. */
  find(name: string): ReadableTopic | undefined {
    return this.#topics.get(name)?.topic
  }

  /** Every topic, by name. */
  all(): readonly ReadableTopic[] {
    return this.#all()
  }

  /** Every partition. */
  partitions(): readonly FollowedPartition[] {
    return this.#all().flatMap(({ partitions }) => partitions)
  }

  /** What may happen to old records of a topic; 'none' also where it is gone. */
  policyOf(topic: ReadableTopic): AppliedPolicy {
    const known = this.#topics.get(topic.name)
    return known?.topic === topic ? appliedPolicy(topic.name, known.stored) : 'none'
  }

  /** Whether metadata.json is, for certain, what it was at the last look. @throws {LogError} IO */
  isAsSeen(): boolean {
    const status = this.#source.driver.status(METADATA_FILE)
    return this.#isSettled && !this.#mayHideChange && this.#isSame(status)
  }

  /**
   * Looks whether topics were made, deleted, grown or changed; true where one was.
   * @throws {LogError} UNSUPPORTED_FORMAT where a newer version has written since; IO. What was
   *   known stays.
   */
  look(): boolean {
    const { driver, clock } = this.#source
    const status = driver.status(METADATA_FILE)
    if (status === undefined) return this.#lookAtFolders()
    const before = this.#seen?.bytes
    const isSame = this.#isSame(status)
    if (isSame && !this.#mayHideChange) return this.#isSettled ? false : this.#lookAtFolders()
    this.#mayHideChange = Math.abs(clock.now() - status.modifiedMs) < RACY_MS // I2
    const bytes = readWholeFile(driver, METADATA_FILE)
    if (isSame && before !== undefined && bytes?.equals(before) === true) return false
    this.#seen = undefined // Whoever asks is told of a failure each time.
    this.#listedMs = -Infinity
    const hasChanged = this.#read()
    this.#seen = { status, bytes }
    return hasChanged
  }

  /** Ends every partition: nobody looks any more. */
  finish(end: PartitionEnd): void {
    const partitions = this.partitions()
    this.#topics.clear()
    this.#sorted = undefined
    for (const partition of partitions) partition.finish(end)
  }

  /** Whether that is the status that was seen last. */
  #isSame(status: FileStatus | undefined): boolean {
    const seen = this.#seen?.status
    return (
      seen !== undefined &&
      seen.version === status?.version &&
      seen.fileId === status.fileId &&
      seen.sizeBytes === status.sizeBytes
    )
  }

  #all(): readonly FollowedTopic[] {
    this.#sorted ??= [...this.#topics.values()]
      .map(({ topic }) => topic)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    return this.#sorted
  }

  /** Where no metadata.json says which topics there are. */
  #lookAtFolders(): boolean {
    const nowMs = this.#source.clock.monotonicNow()
    if (this.#isSettled || nowMs - this.#listedMs < FOLDERS_EVERY_MS) return false
    return this.#read()
  }

  #read(): boolean {
    const { driver, clock } = this.#source
    const reading = readMetadata(driver)
    const isCurrent = reading.kind === 'found' && reading.source === 'current'
    if (isCurrent && driver.status(BROKER_FILE) === undefined) {
      this.#isSettled = true
      return this.#take(reading.metadata, true)
    }
    // An older list than the one that is known says less.
    if (this.#isSettled) return false
    if (driver.status('') === undefined) return false
    this.#listedMs = clock.monotonicNow()
    const evidence = new DirectoryEvidence(driver, this.#source.bootId)
    const { metadata } = evidence.settleTopics(() => '')
    return this.#take(metadata, !evidence.wasBrokers)
  }

  #take({ topics: listed }: LogMetadata, isOurs: boolean): boolean {
    const gone: FollowedPartition[] = []
    let hasChanged = false
    for (const [name, { topic }] of this.#topics) {
      const stored = listed.get(name)
      if (stored !== undefined && idOf(name, stored) === topic.id) continue
      this.#topics.delete(name)
      gone.push(...topic.partitions)
      hasChanged = true
    }
    if (hasChanged) this.#sorted = undefined
    for (const partition of gone) partition.finish('deleted') // I1
    for (const [name, stored] of listed) {
      if (this.#takeTopic(name, stored, isOurs)) hasChanged = true
    }
    if (hasChanged) this.#sorted = undefined
    return hasChanged
  }

  /** True where something of it is new. */
  #takeTopic(name: string, stored: TopicMetadata, isOurs: boolean): boolean {
    const known = this.#topics.get(name)
    if (known !== undefined && isSameText(known.stored, stored)) return false
    const config = resolveTopicConfig(readStoredConfig(stored.config), {
      partitions: stored.partitions,
    })
    if (known === undefined) {
      const id = idOf(name, stored)
      const topic: FollowedTopic = { name, id, config, partitions: [] }
      this.#topics.set(name, { topic, stored })
      this.#grow(topic, stored, isOurs)
      return true
    }
    const { topic } = known
    known.stored = stored
    topic.config = config
    for (const partition of topic.partitions) {
      partition.applyConfig(config)
      if (stored.compacted === true) partition.markCompacted()
    }
    this.#grow(topic, stored, isOurs)
    return true
  }

  #grow(topic: FollowedTopic, stored: TopicMetadata, isOurs: boolean): void {
    const isOwn = isOurs && stored.adopted !== true
    const { name, id: topicId, config } = topic
    const added: FollowedPartition[] = []
    for (let partition = topic.partitions.length; partition < stored.partitions; partition++) {
      const directory = partitionDirectory(name, partition)
      const isGapless = isOwn && stored.compacted !== true
      const place = { topic: name, topicId, partition, directory, config, isOwn, isGapless }
      added.push(this.#source.partitionAt(place))
    }
    if (added.length > 0) topic.partitions = [...topic.partitions, ...added]
  }
}

/** Of a topic that no file gives an id it is made of its name: every look finds the same one. */
function idOf(name: string, { id }: TopicMetadata): string {
  if (id !== '') return id
  const digest = createHash('sha256').update(name).digest()
  return formatTopicId(digest.subarray(0, TOPIC_ID_BYTES))
}

/** Whether both say the same of a topic. */
function isSameText(one: TopicMetadata, other: TopicMetadata): boolean {
  return (
    one.partitions === other.partitions &&
    one.adopted === other.adopted &&
    one.compacted === other.compacted &&
    JSON.stringify(one.config) === JSON.stringify(other.config)
  )
}
