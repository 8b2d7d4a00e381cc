/**
 * Taking a backup of a captured log: brings every file of it into a new state of the backup, and
 * commits that. The log goes on meanwhile; what it appends is behind the ends that were captured.
 *
 *   I1  segments are neither deleted nor compacted meanwhile (the caller sees to that); a topic
 *       that is deleted before all of it was brought is left out as a whole
 *   I2  the checkpoints of the copy say that all of it is on stable storage: opening it reads only
 *       what no checkpoint ever passed, and writes nothing into files that are shared
 */
import { readWholeFile } from '../storage/checkpoint-file.ts'
import {
  formatMetaProperties,
  META_PROPERTIES_FILE,
  parseMetaProperties,
} from '../storage/meta-properties.ts'
import { emptyMetadata, formatMetadata, METADATA_FILE } from '../storage/metadata-file.ts'
import { formatOffsetCheckpoint, parseOffsetCheckpoint } from '../storage/offset-checkpoint.ts'
import { formatPartitionMetadata } from '../storage/partition-metadata.ts'
import { type Procedure, sideBySide } from '../storage/procedure.ts'
import { segmentPath } from '../storage/segment-indexes.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type {
  CapturedLog,
  CapturedPartition,
  CapturedSegment,
  CapturedTopic,
} from './backup-capture.ts'
import type { BackupDirectory } from './backup-directory.ts'
import type { BackupFiles } from './backup-files.ts'
import { cutIndex, INDEX_KINDS } from './backup-indexes.ts'
import { BROKER_FILE } from './directory-evidence.ts'
import { LEADER_EPOCH_FILE } from './leader-epochs.ts'
import { CLEANER_OFFSETS, LOG_STARTS, RECOVERY_POINTS } from './log-checkpoints.ts'
import { newIdentity } from './log-identity.ts'
import { snapshotOffsets, snapshotPath } from './producer-snapshots.ts'
import { partitionDirectory } from './topic-directory.ts'

/** Each waits for the device. */
const PARTITIONS_AT_ONCE = 4
const FILES_AT_ONCE = 4

/** What a backup is taken of, and into. */
export interface BackupInput {
  /** Of the log. */
  readonly source: StorageDriver
  readonly captured: CapturedLog
  readonly target: BackupDirectory
  readonly files: BackupFiles
  /** See `BackupManifest`. */
  readonly logId: string
  readonly directoryId: string
  readonly createdMs: number
  /** Of the state before, and what was made in its directory since. */
  readonly obsolete: Iterable<string>
  readonly randomBytes: (byteLength: number) => Uint8Array
}

/** Takes the backup. Whatever fails leaves the state before as it was. */
export function* writeBackup(input: BackupInput): Procedure<void> {
  const { captured, target, logId, directoryId, createdMs } = input
  const all = captured.topics.flatMap(({ partitions }) => partitions)
  yield* sideBySide(
    mapped(all, (partition) => bringPartition(input, partition)),
    PARTITIONS_AT_ONCE,
  )
  const topics: CapturedTopic[] = []
  for (const topic of captured.topics) {
    if (topic.partitions.every((partition) => isWhole(target, partition))) topics.push(topic)
    else for (const partition of topic.partitions) yield* target.drop(folderOf(partition)) // I1
  }
  const partitions = topics.flatMap((topic) => topic.partitions)
  yield* bringSmallFiles(input, topics, partitions)
  const removed = [...input.obsolete].filter((path) => !target.files.has(path))
  yield* target.commit({
    logId,
    directoryId,
    createdMs,
    partitions: partitions.map(({ topic, partition, logStartOffset, logEndOffset }) => {
      return { topic, partition, logStartOffset, logEndOffset }
    }),
    removed,
  })
}

/** Where its topic is deleted meanwhile, what was brought of it is not whole. */
function* bringPartition(input: BackupInput, captured: CapturedPartition): Procedure<void> {
  const { log } = captured
  try {
    yield* bringFiles(input, captured)
  } catch (error) {
    if (log.end !== 'deleted') throw error
  }
}

/** partition.metadata comes last: it says that the rest is there. */
function isWhole(target: BackupDirectory, partition: CapturedPartition): boolean {
  return target.files.has(`${folderOf(partition)}/partition.metadata`)
}

function* bringFiles(input: BackupInput, captured: CapturedPartition): Procedure<void> {
  const { files, source } = input
  const { log, segments } = captured
  const folder = folderOf(captured)
  // First: a checkpoint may replace the newest of them at any time.
  if (!source.volatile) yield* bringSnapshots(input, captured)
  yield* sideBySide(
    mapped(segments, (segment) => bringSegment(input, captured, segment)),
    FILES_AT_ONCE,
  )
  yield* files.bringBytes(`${folder}/${LEADER_EPOCH_FILE}`, captured.epochs)
  yield* files.bringBytes(`${folder}/partition.metadata`, formatPartitionMetadata(log.topicId))
}

function* bringSnapshots(
  { files, source }: BackupInput,
  { log, logEndOffset, ...of }: CapturedPartition,
): Procedure<void> {
  for (const offset of snapshotOffsets(source.list(log.directory))) {
    if (offset > logEndOffset) continue
    const sourcePath = snapshotPath(log.directory, offset)
    const sizeBytes = source.status(sourcePath)?.sizeBytes
    if (sizeBytes === undefined) continue // A checkpoint wrote a newer one.
    const path = snapshotPath(folderOf(of), offset)
    yield* files.bringFile({ driver: source, sourcePath, path, sizeBytes, isShareable: false })
  }
}

function* bringSegment(
  input: BackupInput,
  captured: CapturedPartition,
  of: CapturedSegment,
): Procedure<void> {
  const { files, source: driver } = input
  const { log, logEndOffset } = captured
  const { baseOffset, isShareable, isLast, segment } = of
  const folder = folderOf(captured)
  const named = { driver, directory: log.directory, baseOffset }
  // A swap that came to nothing left the segment under that name, and an old one under its own.
  const isSwap = segment.logPath !== segmentPath(named, '.log')
  const place = isSwap ? ({ ...named, suffix: '.swap' } as const) : named
  const copy = { driver, directory: folder, baseOffset }
  const sourcePath = segmentPath(place, '.log')
  // A damaged one keeps every byte of its .log, for repair.
  const wholeBytes = segment.isDamaged ? driver.status(sourcePath)?.sizeBytes : undefined
  const sizeBytes = wholeBytes ?? of.sizeBytes
  const indexes = isLast ? readIndexes(place, captured, of) : []
  yield* files.bringFile({
    driver,
    sourcePath,
    path: segmentPath(copy, '.log'),
    sizeBytes,
    isShareable,
  })
  if (isLast) {
    const end = { baseOffset, sizeBytes, logEndOffset }
    for (const { kind, bytes } of indexes) {
      yield* files.bringBytes(segmentPath(copy, kind), cutIndex(kind, bytes, end))
    }
    return
  }
  for (const kind of INDEX_KINDS) {
    const indexPath = segmentPath(place, kind)
    const indexBytes = driver.status(indexPath)?.sizeBytes
    if (indexBytes === undefined) continue
    // Of a segment that it takes as it is, recovery may write into this index alone.
    const mayShare = isShareable && kind !== '.txnindex'
    const path = segmentPath(copy, kind)
    yield* files.bringFile({
      driver,
      sourcePath: indexPath,
      path,
      sizeBytes: indexBytes,
      isShareable: mayShare,
    })
  }
}

/** All of them in one turn: none has an entry of a batch that another does not know of. */
function readIndexes(
  place: Parameters<typeof segmentPath>[0],
  { log }: CapturedPartition,
  { segment }: CapturedSegment,
): readonly { readonly kind: (typeof INDEX_KINDS)[number]; readonly bytes: Buffer }[] {
  if (log.end === undefined) segment.writeIndexes()
  return INDEX_KINDS.flatMap((kind) => {
    const bytes = readWholeFile(place.driver, segmentPath(place, kind))
    return bytes === undefined ? [] : [{ kind, bytes }]
  })
}

/** What lies beside the partitions. */
function* bringSmallFiles(
  input: BackupInput,
  topics: readonly CapturedTopic[],
  partitions: readonly CapturedPartition[],
): Procedure<void> {
  const { files, source, captured } = input
  const listed = new Map(
    topics.map(({ name, metadata, partitions: all }) => {
      return [name, { ...metadata, partitions: all.length }] as const
    }),
  )
  const metadata = { ...emptyMetadata(), ...captured.metadata, topics: listed, deleting: [] }
  yield* files.bringBytes(METADATA_FILE, formatMetadata(metadata))
  const ends = partitions.map(({ topic, partition, logEndOffset: offset }) => {
    return { topic, partition, offset }
  })
  yield* files.bringBytes(RECOVERY_POINTS, formatOffsetCheckpoint(ends)) // I2
  const starts = partitions.map(({ topic, partition, logStartOffset: offset }) => {
    return { topic, partition, offset }
  })
  yield* files.bringBytes(
    LOG_STARTS,
    formatOffsetCheckpoint(starts.filter(({ offset }) => offset > 0)),
  )
  const cleaned = readWholeFile(source, CLEANER_OFFSETS)
  const entries = cleaned === undefined ? undefined : parseOffsetCheckpoint(cleaned)
  if (entries !== undefined) {
    const names = new Set(partitions.map(folderOf))
    const kept = entries.filter((entry) => names.has(folderOf(entry)))
    yield* files.bringBytes(CLEANER_OFFSETS, formatOffsetCheckpoint(kept))
  }
  const brokers = readWholeFile(source, BROKER_FILE)
  if (brokers !== undefined) yield* files.bringBytes(BROKER_FILE, brokers)
  yield* files.bringBytes(META_PROPERTIES_FILE, identityOf(input))
}

/** The log's own, but for the id of the directory: two directories are never one. */
function identityOf({ source, directoryId, randomBytes }: BackupInput): Buffer {
  const bytes = readWholeFile(source, META_PROPERTIES_FILE) ?? newIdentity(randomBytes)
  const meta = parseMetaProperties(bytes) ?? parseMetaProperties(newIdentity(randomBytes))
  return meta === undefined ? bytes : formatMetaProperties({ ...meta, directoryId })
}

function folderOf({ topic, partition }: { topic: string; partition: number }): string {
  return partitionDirectory(topic, partition)
}

function* mapped<T, R>(all: Iterable<T>, map: (one: T) => R): Generator<R, void, undefined> {
  for (const one of all) yield map(one)
}
