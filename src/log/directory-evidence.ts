/**
 * DirectoryEvidence: what the files of a log's own directory say, all of it read at once: which
 * topics there are, and what is known of each partition besides its folder. Opening, verification
 * and repair judge by it.
 *
 * Writes nothing; what follows from a topic that no file lists, or a folder that is gone, is said,
 * not done.
 */
import { readCleanMarker, type CleanMarker, type CleanPartition } from '../storage/clean-marker.ts'
import { readControlFile, type ControlFileContents } from '../storage/control-file.ts'
import { controlSlotKey, type PublishedPartition } from '../storage/control-slot.ts'
import {
  emptyMetadata,
  METADATA_FILE,
  PREVIOUS_METADATA_FILE,
  readMetadata,
  type LogMetadata,
  type MetadataReading,
  type TopicMetadata,
} from '../storage/metadata-file.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { isInternalTopic } from './internal-topics.ts'
import { readCheckpoints, type CheckpointedOffsets } from './log-checkpoints.ts'
import { readStoredConfig } from './log-config.ts'
import type { PartitionEvidence } from './partition-evidence.ts'
import {
  holdsData,
  isAsLaid,
  listPartitionFolders,
  partitionDirectory,
  type PartitionFolder,
} from './topic-directory.ts'

/** A broker writes its high watermarks there soon after its start. We have no such file. */
export const BROKER_FILE = 'replication-offset-checkpoint'
const METADATA_FILES = [METADATA_FILE, PREVIOUS_METADATA_FILE]

/** The topics of a directory, and what has to be done so that its files agree. */
export interface SettledTopics {
  /** As metadata.json has to say it. */
  readonly metadata: LogMetadata
  /** It does not say so yet. */
  readonly isChanged: boolean
  /** Topics that no metadata listed. */
  readonly adopted: ReadonlySet<string>
  /** Folders that are no topic's. */
  readonly setAside: readonly {
    readonly folder: PartitionFolder
    readonly state: 'delete' | 'stray'
  }[]
}

/** What the files of the directory say. */
export class DirectoryEvidence {
  readonly reading: MetadataReading
  /** Undefined: the stop was not clean; 'kafka': it was, and nothing more is said. */
  readonly marker: CleanMarker | 'kafka' | undefined
  readonly control: ControlFileContents | undefined
  readonly checkpoints: CheckpointedOffsets
  /** A broker has had the directory: topics may have changed behind metadata's back. */
  readonly wasBrokers: boolean
  /** Files that are there and say nothing: who opens the log does without, and tells of it. */
  readonly unusable: readonly string[]
  readonly #driver: StorageDriver
  readonly #bootId: string | null
  /** What the clean marker vouches for, by topic id and partition. */
  readonly #described = new Map<string, CleanPartition>()

  /**
   * Reads it all. `bootId` is of this boot and this directory; null where that is unknown.
   * @throws {LogError} UNSUPPORTED_FORMAT for a log of a newer version; IO.
   */
  constructor(driver: StorageDriver, bootId: string | null) {
    this.#driver = driver
    this.#bootId = bootId
    this.reading = readMetadata(driver)
    this.marker = readCleanMarker(driver)
    this.control = readControlFile(driver)
    this.checkpoints = readCheckpoints(driver)
    this.wasBrokers = driver.status(BROKER_FILE) !== undefined
    this.unusable = [...this.#unusableMetadata(), ...this.checkpoints.unusable]
    if (this.marker === undefined || this.marker === 'kafka') return
    for (const entry of this.marker.partitions) {
      this.#described.set(`${entry.topicId}-${entry.partition}`, entry)
    }
  }

  #unusableMetadata(): readonly string[] {
    const { reading } = this
    if (reading.kind === 'absent') return []
    if (reading.kind === 'found' && reading.source === 'current') return []
    const files = reading.kind === 'damaged' ? METADATA_FILES : [METADATA_FILE]
    return files.filter((path) => this.#driver.status(path) !== undefined)
  }

  /** What is known of a partition besides its folder. */
  of(topic: string, topicId: string, partition: number): PartitionEvidence {
    const directory = partitionDirectory(topic, partition)
    const { recoveryPoints, logStarts } = this.checkpoints
    const described = this.#described.get(`${topicId}-${partition}`)
    const checkpointedStart = logStarts === null ? null : (logStarts.get(directory) ?? 0)
    return {
      described,
      isBrokerClean: this.marker === 'kafka',
      isBrokers: this.wasBrokers,
      checkpointedPoint: recoveryPoints.get(directory) ?? 0,
      // The marker has a checksum, the checkpoint has none. Where there is no checkpoint, what was
      // published in any boot is a start that the log had: it never moves back.
      logStartOffset:
        described?.logStartOffset ??
        checkpointedStart ??
        this.control?.slots.get(controlSlotKey(topicId, partition))?.logStartOffset ??
        null,
      published: this.#publishedInThisBoot(topicId, partition),
      durableBefore: this.#durableBefore(topicId, partition),
    }
  }

  /**
   * It was written to here since the machine was started: what was synced then, and has not changed
   * since, need not be synced again. What was copied from elsewhere may be nowhere but in memory.
   */
  get isOfThisBoot(): boolean {
    return this.#bootId !== null && this.control?.bootId === this.#bootId
  }

  /**
   * What is damage in a topic. One that was only ever here has every segment, each ending where the
   * next one starts, and every small file; until it is compacted, every offset too.
   */
  rulesOf(topic: TopicMetadata): { readonly isOwn: boolean; readonly isGapless: boolean } {
    const isOwn = topic.adopted !== true && !this.wasBrokers
    return { isOwn, isGapless: isOwn && topic.compacted !== true }
  }

  /** The topics that metadata.json and the folders say there are; `newId` names those without. */
  settleTopics(newId: () => string): SettledTopics {
    const { reading } = this
    const known = reading.kind === 'found' ? reading.metadata : emptyMetadata()
    const isCurrent = reading.kind === 'found' && reading.source === 'current'
    const folders = listPartitionFolders(this.#driver)
    const topics = this.#topicsStillThere(known.topics, folders, isCurrent)
    const deleting = new Set(known.deleting.map((topic) => topic.id))
    const adopted = new Set<string>()
    const setAside: SettledTopics['setAside'][number][] = []
    for (const folder of folders) {
      const listed = topics.get(folder.topic)
      if (folder.topicId !== null && deleting.has(folder.topicId)) {
        setAside.push({ folder, state: 'delete' })
      } else if (listed !== undefined && folder.partition < listed.partitions) {
        continue
      } else if (isCurrent && !this.wasBrokers && !holdsData(this.#driver, folder.directory)) {
        // What a creation that was stopped had laid is removed, else it is only set aside.
        const state = isAsLaid(this.#driver, folder.directory) ? 'delete' : 'stray'
        setAside.push({ folder, state })
      } else {
        adopted.add(folder.topic)
        const id = folder.topicId ?? newId()
        const partitions = Math.max(listed?.partitions ?? 0, folder.partition + 1)
        topics.set(folder.topic, { ...(listed ?? { id, config: {} }), adopted: true, partitions })
      }
    }
    const isChanged = adopted.size > 0 || topics.size !== known.topics.size || !isCurrent
    return { metadata: { ...known, topics }, isChanged, adopted, setAside }
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
      // Where the list is current, and only ours, a folder's other id is damage of its small file.
      const mayBeReplaced = this.wasBrokers || !isCurrent
      const isReplaced =
        (mayBeReplaced && found?.every((id) => id !== null && id !== topic.id)) ?? false
      const isGone = found === undefined && (!isCurrent || this.#wasDeletedByBroker(name, topic))
      if (isReplaced || isGone) continue
      topics.set(name, isCurrent ? topic : withLostFlag(name, topic))
    }
    return topics
  }

  /** A broker that deletes a topic writes the checkpoint without it; we list every partition. */
  #wasDeletedByBroker(name: string, topic: TopicMetadata): boolean {
    if (!this.wasBrokers) return false
    for (let partition = 0; partition < topic.partitions; partition++) {
      if (this.checkpoints.recoveryPoints.has(partitionDirectory(name, partition))) return false
    }
    return true
  }

  /** What a broker may have cut since is not known: it writes no control file. */
  #durableBefore(topicId: string, partition: number): number {
    const { control } = this
    if (control === undefined || this.wasBrokers || control.bootId === this.#bootId) return 0
    return control.slots.get(controlSlotKey(topicId, partition))?.durableOffset ?? 0
  }

  /** Watermarks that outlived nothing but the process: the machine was not started anew since. */
  #publishedInThisBoot(topicId: string, partition: number): PublishedPartition | undefined {
    const { control } = this
    if (control === undefined || !this.isOfThisBoot) return undefined
    return control.slots.get(controlSlotKey(topicId, partition))
  }
}

/**
 * A topic as the previous metadata has it. What that lacks may be that it was compacted meanwhile:
 * a gap taken for damage would cost more than damage taken for a gap.
 */
function withLostFlag(name: string, topic: TopicMetadata): TopicMetadata {
  const { cleanupPolicy } = readStoredConfig(topic.config)
  const isCleaned = isInternalTopic(name) || cleanupPolicy?.includes('compact') === true
  return isCleaned ? { ...topic, compacted: true } : topic
}
