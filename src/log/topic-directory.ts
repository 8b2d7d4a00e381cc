/**
 * Partition folders on disk: laying them out, listing what is there, taking them away.
 *
 *   orders-0/                              live
 *   orders-0.<32 hex digits>-delete/       deleted, its space not freed yet
 *   orders-0.<32 hex digits>-stray/        empty, in no topic, and not as we lay one
 *
 * Only folders; which topics exist is metadata.json's to say, and log-directory.ts keeps it.
 */
import { LogError } from '../errors/log-error.ts'
import {
  asideDirectoryName,
  parsePartitionDirectory,
  parseSegmentFileName,
  segmentFileName,
} from '../format/segment-name.ts'
import { readWholeFile } from '../storage/checkpoint-file.ts'
import { formatEpochCheckpoint } from '../storage/epoch-checkpoint.ts'
import { formatPartitionMetadata, parsePartitionMetadata } from '../storage/partition-metadata.ts'
import type { Procedure } from '../storage/procedure.ts'
import { Segment } from '../storage/segment.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { LEADER_EPOCH_FILE, LeaderEpochs } from './leader-epochs.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import { SegmentList } from './segment-list.ts'

/** All that `layPartition` makes of a partition that starts at 0. */
const SMALL_FILES: readonly string[] = ['partition.metadata', LEADER_EPOCH_FILE]
const FIRST_FILES: readonly string[] = (['.log', '.index', '.timeindex'] as const).map((suffix) =>
  segmentFileName(0, suffix),
)
/** Syncs of folders that run side by side. */
export const FOLDERS_AT_ONCE = 16

/** A partition folder and what lies in it. */
export interface PartitionFolder {
  readonly directory: string
  readonly topic: string
  readonly partition: number
  /** From partition.metadata; null where it is missing or damaged. */
  readonly topicId: string | null
}

/** A new, empty partition. */
export interface LaidPartition {
  readonly directory: string
  readonly segments: SegmentList
  readonly epochs: LeaderEpochs
}

/** Folder of a live partition. */
export function partitionDirectory(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

/** What the folder of a new partition is made of. */
export interface PartitionPlan {
  readonly driver: StorageDriver
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly config: ResolvedTopicConfig
  readonly startOffset: number
  /** Of what is appended first. */
  readonly leaderEpoch: number
}

/**
 * Makes the folder with all its files; what an earlier, failed attempt left is taken over. Durable
 * only after `flushFolders` of it and a `flushDirectory` of the log's own directory.
 */
export function layPartition(plan: PartitionPlan): LaidPartition {
  const { driver, topic, partition, config, startOffset, leaderEpoch } = plan
  const directory = partitionDirectory(topic, partition)
  const isNew = driver.status(directory) === undefined
  if (isNew) driver.createDirectory(directory)
  else if (holdsData(driver, directory) || holdsOther(driver, directory, startOffset))
    throw inTheWay(directory)
  if (!driver.volatile) {
    const metadata = formatPartitionMetadata(plan.topicId)
    writeSmallFile(driver, `${directory}/partition.metadata`, metadata, isNew)
    const epoch = formatEpochCheckpoint([{ leaderEpoch, startOffset }])
    writeSmallFile(driver, `${directory}/${LEADER_EPOCH_FILE}`, epoch, isNew)
  }
  const segment = Segment.create({ driver, directory, baseOffset: startOffset }, config)
  const epochs = LeaderEpochs.none(driver, directory)
  epochs.assign(leaderEpoch, startOffset)
  return { directory, segments: new SegmentList([segment]), epochs }
}

/** Forces the files and names in new folders to stable storage, several side by side. */
export function* flushFolders(
  driver: StorageDriver,
  directories: readonly string[],
): Procedure<void> {
  for (let start = 0; start < directories.length; start += FOLDERS_AT_ONCE) {
    const some = directories.slice(start, start + FOLDERS_AT_ONCE)
    yield () => Promise.all(some.map((directory) => flushFolder(driver, directory)))
  }
}

/** Every live partition folder of the directory. */
export function listPartitionFolders(driver: StorageDriver): readonly PartitionFolder[] {
  const folders: PartitionFolder[] = []
  for (const name of driver.list('')) {
    const parsed = parsePartitionDirectory(name)
    if (parsed === undefined || parsed.state !== 'live' || parsed.topic === '__cluster_metadata')
      continue
    // A link is not passed over: the driver refuses what is behind it, and says so.
    if (driver.status(name)?.kind === 'file') continue
    const metadata = readWholeFile(driver, `${name}/partition.metadata`)
    folders.push({
      directory: name,
      topic: parsed.topic,
      partition: parsed.partition,
      topicId: metadata === undefined ? null : (parsePartitionMetadata(metadata) ?? null),
    })
  }
  return folders
}

/**
 * True where a folder is what `layPartition` may have left of a partition that never was: no file
 * but its own, none with a record, no epoch but the first. Nobody could miss anything of it.
 */
export function isAsLaid(driver: StorageDriver, directory: string): boolean {
  const isOurs = driver.list(directory).every((name) => {
    const status = driver.status(`${directory}/${name}`)
    if (status?.kind !== 'file') return false
    return SMALL_FILES.includes(name) || (FIRST_FILES.includes(name) && status.sizeBytes === 0)
  })
  return isOurs && LeaderEpochs.load(driver, directory).latest <= 0
}

/** The highest leader epoch that any partition knows of; -1 where none does. */
export function highestEpoch(driver: StorageDriver): number {
  let highest = -1
  for (const { directory } of listPartitionFolders(driver)) {
    highest = Math.max(highest, LeaderEpochs.load(driver, directory).latest)
  }
  return highest
}

/** Folders of deleted topics whose space is still to be freed. */
export function listDeletedFolders(driver: StorageDriver): readonly string[] {
  return driver.list('').filter((name) => parsePartitionDirectory(name)?.state === 'delete')
}

/**
 * Gives a folder a name that Kafka and we pass over. `uniqueId` is 32 hex digits, as Kafka has it.
 */
export function setFolderAside(
  driver: StorageDriver,
  directory: string,
  uniqueId: string,
  state: 'delete' | 'stray',
): string {
  const aside = asideDirectoryName(directory, uniqueId, state)
  driver.rename(directory, aside)
  return aside
}

/** Removes folders whose making failed. What cannot be removed is empty, and set aside later. */
export function* removeFolders(
  driver: StorageDriver,
  directories: readonly string[],
): Procedure<void> {
  for (const directory of directories) {
    // Begun here, not in the wait: over memory nobody waits (`completeProcedure`).
    const removal = driver.removeDirectory(directory).catch(() => undefined)
    yield () => removal
  }
}

function inTheWay(directory: string): LogError<'IO'> {
  const message =
    `${directory} is in the way of a new partition: it is left of a topic whose deletion ` +
    'failed; close the log and open it again to finish that'
  return new LogError('IO', message, { file: directory })
}

/** True where a segment of the folder has a byte. */
export function holdsData(driver: StorageDriver, directory: string): boolean {
  return driver.list(directory).some((name) => {
    const isLog = parseSegmentFileName(name)?.suffix === '.log'
    return isLog && (driver.status(`${directory}/${name}`)?.sizeBytes ?? 0) > 0
  })
}

/** True where a segment is there, empty as it may be, that starts elsewhere: it would be found. */
function holdsOther(driver: StorageDriver, directory: string, startOffset: number): boolean {
  return driver.list(directory).some((name) => {
    const parsed = parseSegmentFileName(name)
    return parsed?.suffix === '.log' && parsed.baseOffset !== startOffset
  })
}

/**
 * Forces the files and names in one folder to stable storage. Not a segment's files that are empty:
 * all that there is of them is their names, which are forced with the folder.
 */
export async function flushFolder(driver: StorageDriver, directory: string): Promise<void> {
  for (const name of driver.list(directory)) {
    if (isOfSegment(name) && driver.status(`${directory}/${name}`)?.sizeBytes === 0) continue
    const file = driver.openFile(`${directory}/${name}`, 'write')
    try {
      await file.flush()
    } finally {
      file.close()
    }
  }
  await driver.flushDirectory(directory)
}

function isOfSegment(name: string): boolean {
  return parseSegmentFileName(name) !== undefined
}

function writeSmallFile(
  driver: StorageDriver,
  path: string,
  bytes: Uint8Array,
  isNew: boolean,
): void {
  const exists = !isNew && driver.status(path) !== undefined
  const file = driver.openFile(path, exists ? 'write' : 'create')
  try {
    if (exists) file.resize(0)
    file.write(bytes, 0, bytes.length, 0)
  } finally {
    file.close()
  }
}
