/**
 * The small files of a log as repair makes them: what each says is known from the data, from the
 * other files, or is the value that is safe: a recovery point too low costs time, a leader epoch
 * too high costs nothing. The bytes that were there are kept beside it.
 *
 *   metadata.json.salvaged               what metadata.json held
 *   orders-0/partition.metadata.salvaged …
 */
import { readWholeFile, replaceFile } from '../storage/checkpoint-file.ts'
import { CLEAN_MARKER_FILE, removeCleanMarker } from '../storage/clean-marker.ts'
import {
  formatEpochCheckpoint,
  parseEpochCheckpoint,
  type EpochCheckpointEntry,
} from '../storage/epoch-checkpoint.ts'
import { META_PROPERTIES_FILE } from '../storage/meta-properties.ts'
import { METADATA_FILE, PREVIOUS_METADATA_FILE, writeMetadata } from '../storage/metadata-file.ts'
import { formatOffsetCheckpoint } from '../storage/offset-checkpoint.ts'
import { formatPartitionMetadata } from '../storage/partition-metadata.ts'
import { CONTROL_FILE } from '../storage/control-file.ts'
import { controlSlotKey } from '../storage/control-slot.ts'
import type { Procedure } from '../storage/procedure.ts'
import { segmentPath } from '../storage/segment-indexes.ts'
import { parentOf } from '../storage/storage-path.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { nextTurn } from './clock.ts'
import type { EpochRun } from './epoch-audit.ts'
import { LEADER_EPOCH_FILE } from './leader-epochs.ts'
import { openAnew } from './log-cut.ts'
import { CLEANER_OFFSETS, LOG_STARTS, RECOVERY_POINTS } from './log-checkpoints.ts'
import { newIdentity } from './log-identity.ts'
import { SectorReads } from './sector-reads.ts'
import { clearWay, salvagedName, setFileAside } from './segment-rewrite.ts'
import { encodeAborted } from './transaction-audit.ts'
import type { VerifiedFolder, VerifyFindings } from './verify-directory.ts'
import { syncedUntil } from './partition-evidence.ts'

const COPY_BYTES = 65_536

/** What a repair needs for small files. */
export interface FileRepair {
  readonly driver: StorageDriver
  readonly findings: VerifyFindings
  readonly randomBytes: (byteLength: number) => Uint8Array
  /** Partitions whose known end cannot have been one, by folder. */
  readonly implausibleEnds: ReadonlySet<string>
}

/**
 * Makes the damaged files of the log's own directory anew. The recovery points come first: they are
 * raised to what the clean marker knows before it goes.
 */
export function* repairDirectoryFiles(repair: FileRepair): Procedure<void> {
  const { driver, findings } = repair
  const damaged = new Set(findings.damage.map(({ file }) => file))
  for (const file of SMALL_FILES) if (damaged.has(file)) yield* keepCopy(driver, file)
  if (damaged.has(CONTROL_FILE)) yield* clearWay(driver, CONTROL_FILE)
  if (damaged.has(RECOVERY_POINTS) || repair.implausibleEnds.size > 0 || hasMarker(driver)) {
    yield* replaceFile(driver, RECOVERY_POINTS, formatOffsetCheckpoint(recoveryPoints(repair)))
  }
  yield* removeCleanMarker(driver)
  if (damaged.has(LOG_STARTS)) {
    yield* replaceFile(driver, LOG_STARTS, formatOffsetCheckpoint(logStarts(repair)))
  }
  if (damaged.has(CLEANER_OFFSETS)) {
    yield () => driver.unlink(CLEANER_OFFSETS)
    yield () => driver.flushDirectory('')
  }
  if (damaged.has(META_PROPERTIES_FILE)) {
    yield* replaceFile(driver, META_PROPERTIES_FILE, newIdentity(repair.randomBytes))
  }
  if (damaged.has(METADATA_FILE)) yield* writeMetadata(driver, findings.settled.metadata)
  // Written once more, so that the one before it is good as well.
  if (damaged.has(PREVIOUS_METADATA_FILE)) yield* writeMetadata(driver, findings.settled.metadata)
}

/** Makes the damaged small files of a partition's folder anew. */
export function* repairPartitionFiles(
  driver: StorageDriver,
  { input, findings }: VerifiedFolder,
): Procedure<void> {
  const { directory, topicId } = input
  yield* repairTransactionFiles(driver, { input, findings })
  const damaged = new Set(findings?.damage.map(({ file }) => file))
  const metadata = `${directory}/partition.metadata`
  if (damaged.has(metadata)) {
    yield* keepCopy(driver, metadata)
    yield* replaceFile(driver, metadata, Buffer.from(formatPartitionMetadata(topicId)))
  }
  const epochs = `${directory}/${LEADER_EPOCH_FILE}`
  if (damaged.has(epochs)) {
    const known = readWholeFile(driver, epochs)
    yield* keepCopy(driver, epochs)
    const stored = known === undefined ? undefined : parseEpochCheckpoint(known)
    const entries = epochsOf(findings?.epochs ?? [], stored ?? [], findings?.firstOffset ?? 0)
    yield* replaceFile(driver, epochs, formatEpochCheckpoint(entries))
  }
}

/** Takes snapshots away that are wrong, and makes the .txnindex files anew that are. */
function* repairTransactionFiles(
  driver: StorageDriver,
  { input, findings }: VerifiedFolder,
): Procedure<void> {
  for (const { file } of findings?.damage ?? []) {
    const isThere = file.endsWith('.snapshot') && driver.status(file) !== undefined
    if (isThere) yield* setFileAside(driver, file)
  }
  for (const { baseOffset, aborted } of findings?.segments ?? []) {
    const path = segmentPath({ driver, directory: input.directory, baseOffset }, '.txnindex')
    if (aborted === undefined) continue
    yield* clearWay(driver, path)
    if (aborted.length > 0) {
      yield* keepCopy(driver, path)
      yield* replaceFile(driver, path, encodeAborted(aborted))
    } else if (driver.status(path) !== undefined) {
      yield* setFileAside(driver, path)
    }
  }
}

/**
 * Copies the bytes of a file that is to be made anew, durably; where nothing is, nothing. What the
 * device cannot read is zeros in the copy.
 */
export function* keepCopy(driver: StorageDriver, path: string): Procedure<void> {
  const status = driver.status(path)
  if (status?.kind !== 'file' || status.sizeBytes === 0) return
  const source = driver.openFile(path, 'read')
  try {
    yield* keepBytes(driver, path, new SectorReads(source), status.sizeBytes)
  } finally {
    source.close()
  }
}

function* keepBytes(
  driver: StorageDriver,
  path: string,
  source: SectorReads,
  sizeBytes: number,
): Procedure<void> {
  const name = salvagedName(driver, path)
  const file = openAnew(driver, `${name}.tmp`)
  try {
    const bytes = Buffer.allocUnsafe(Math.min(COPY_BYTES, sizeBytes))
    for (let position = 0; position < sizeBytes; position += COPY_BYTES) {
      const wanted = Math.min(COPY_BYTES, sizeBytes - position)
      file.write(bytes, 0, source.read(bytes, 0, wanted, position), position)
      yield nextTurn
    }
    yield () => file.flush()
  } finally {
    file.close()
  }
  driver.rename(`${name}.tmp`, name)
  yield () => driver.flushDirectory(parentOf(path))
}

const SMALL_FILES: readonly string[] = [
  METADATA_FILE,
  PREVIOUS_METADATA_FILE,
  META_PROPERTIES_FILE,
  RECOVERY_POINTS,
  LOG_STARTS,
  CLEANER_OFFSETS,
  CLEAN_MARKER_FILE,
]

function hasMarker(driver: StorageDriver): boolean {
  return driver.status(CLEAN_MARKER_FILE) !== undefined
}

interface OffsetLine {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** As high as anything says that a partition was synced. */
function recoveryPoints({ findings, implausibleEnds }: FileRepair): readonly OffsetLine[] {
  return findings.folders.map(({ input }) => {
    const { topic, partition, directory, evidence } = input
    const offset = implausibleEnds.has(directory) ? 0 : syncedUntil(evidence)
    return { topic, partition, offset }
  })
}

/** What was last published, in whichever boot; else where the first segment starts. */
function logStarts({ findings }: FileRepair): readonly OffsetLine[] {
  const { control } = findings.evidence
  const lines = findings.folders.map(({ input, findings: found }) => {
    const { topic, topicId, partition, evidence } = input
    const published = control?.slots.get(controlSlotKey(topicId, partition))
    const firstBase = found?.segments[0]?.baseOffset ?? 0
    const known = evidence.described?.logStartOffset ?? published?.logStartOffset ?? 0
    return { topic, partition, offset: Math.max(known, firstBase) }
  })
  return lines.filter(({ offset }) => offset > 0)
}

/** The epochs that the batches have, and those that were begun behind them. */
function epochsOf(
  runs: readonly EpochRun[],
  stored: readonly EpochCheckpointEntry[],
  firstOffset: number,
): readonly EpochCheckpointEntry[] {
  const entries: EpochCheckpointEntry[] = []
  const nextOffset = runs.at(-1)?.nextOffset ?? firstOffset
  const behind = stored.filter(({ startOffset }) => startOffset >= nextOffset)
  for (const { leaderEpoch, startOffset } of [...runs, ...behind]) {
    const last = entries.at(-1)
    const isNew =
      last === undefined || (leaderEpoch > last.leaderEpoch && startOffset > last.startOffset)
    if (isNew) entries.push({ leaderEpoch, startOffset })
  }
  return entries.length > 0 ? entries : [{ leaderEpoch: 0, startOffset: firstOffset }]
}
