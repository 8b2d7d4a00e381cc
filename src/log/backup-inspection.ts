/**
 * What lies in the directory that a backup goes to, or comes from: nothing, a backup, or something
 * that is not ours to touch. Writes nothing.
 *
 * A backup is a log: somebody may have opened it to look, and opening writes. What opening leaves
 * (a control file, a clean marker, markers of transactions, indexes) is replaced by the next
 * backup; records that somebody appended there are in no other place, and are not.
 */
import { crc32c } from '../format/crc32c.ts'
import {
  BATCH_HEADER_BYTES,
  attributesOf,
  baseOffsetOf,
  batchSizeBytesOf,
  checkBatchHeader,
  isControlBatch,
} from '../format/record-batch.ts'
import {
  parsePartitionDirectory,
  parseSegmentFileName,
  segmentFileName,
} from '../format/segment-name.ts'
import { readWholeFile } from '../storage/checkpoint-file.ts'
import { CLEAN_MARKER_FILE } from '../storage/clean-marker.ts'
import { CONTROL_FILE } from '../storage/control-file.ts'
import { isNobodysFile } from '../storage/log-location.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { parentOf } from '../storage/storage-path.ts'
import { parseStagedPath, type StagedFile } from './backup-directory.ts'
import {
  BACKUP_MANIFEST_FILE,
  isBackupPath,
  readBackupManifest,
  type BackupManifest,
} from './backup-manifest.ts'
import { nextTurn } from './clock.ts'
import { BROKER_FILE } from './directory-evidence.ts'
import { isInternalTopic } from './internal-topics.ts'
import { partitionDirectory } from './topic-directory.ts'

const FOLDERS_A_TURN = 64
const HEADERS_A_TURN = 256
/** What an engine makes besides a backup's files; anything else is left alone. */
const ENGINE_FILES: ReadonlySet<string> = new Set([
  CLEAN_MARKER_FILE,
  CONTROL_FILE,
  BROKER_FILE,
  'meta.properties',
  'metadata.json',
  'metadata.json.previous',
  'recovery-point-offset-checkpoint',
  'log-start-offset-checkpoint',
  'cleaner-offset-checkpoint',
  'partition.metadata',
  'leader-epoch-checkpoint',
])
/** Of a segment, on its way in or out. */
const ENGINE_SUFFIX = /^\d{20}\..*(?:tmp|deleted|salvaged|swap|cleaned)$/

/** What lies in a directory. */
export interface BackupInspection {
  /** Undefined where there is none; null where it is damaged. */
  readonly manifest: BackupManifest | null | undefined
  /** Files of a state that was never committed, and never will be. */
  readonly abandoned: readonly StagedFile[]
  /** What an engine has made since: see the file's header. */
  readonly byEngine: readonly string[]
  /** Everything else. */
  readonly foreign: readonly string[]
  /** It was opened as a log: its files may not be what the manifest says. */
  readonly wasOpened: boolean
}

/** Looks at a directory; a backup that was stopped behind its commit is left as it is. */
export function* inspectBackup(driver: StorageDriver): Procedure<BackupInspection> {
  const manifest = yield* readBackupManifest(driver)
  const abandoned: StagedFile[] = []
  const byEngine: string[] = []
  const foreign: string[] = []
  const leaving = new Set(manifest?.removed) // It is no part of the backup any more.
  for (const path of yield* listFiles(driver)) {
    const staged = parseStagedPath(path)
    if (staged !== undefined) abandoned.push(staged)
    else if (manifest?.files.has(path) === true || leaving.has(path)) continue
    else if (isEngineFile(path)) byEngine.push(path)
    else foreign.push(path)
  }
  const wasOpened =
    byEngine.some((path) => path === CONTROL_FILE || path === CLEAN_MARKER_FILE) ||
    byEngine.some((path) => path.endsWith('.log'))
  return { manifest, abandoned, byEngine, foreign, wasOpened }
}

/** A folder that somebody has appended records to; undefined where nobody has. */
export function* findAppended(
  driver: StorageDriver,
  { partitions, files }: BackupManifest,
  byEngine: readonly string[],
): Procedure<string | undefined> {
  const known = new Set<string>()
  for (const { topic, partition, logEndOffset } of partitions) {
    const folder = partitionDirectory(topic, partition)
    known.add(folder)
    if (isInternalTopic(topic)) continue
    // A topic that was made anew under the name begins at 0 again.
    const isSame = hasFile(driver, `${folder}/partition.metadata`, files)
    if (yield* holdsRecordsBehind(driver, folder, isSame ? logEndOffset : 0)) return folder
  }
  for (const folder of new Set(byEngine.map(parentOf))) {
    const parsed = parsePartitionDirectory(folder)
    if (parsed?.state !== 'live' || known.has(folder) || isInternalTopic(parsed.topic)) continue
    if (yield* holdsRecordsBehind(driver, folder, 0)) return folder
  }
  return undefined
}

function hasFile(driver: StorageDriver, path: string, files: BackupManifest['files']): boolean {
  const bytes = readWholeFile(driver, path)
  return bytes !== undefined && crc32c(bytes, 0, bytes.length) === files.get(path)?.crc
}

/** Every file at the top, and in folders that may be those of partitions. */
function* listFiles(driver: StorageDriver): Procedure<readonly string[]> {
  const paths: string[] = []
  let folderCount = 0
  for (const name of driver.list('')) {
    if (isNobodysFile(name) || isManifest(name)) continue
    const isFolder = driver.status(name)?.kind === 'directory'
    if (!isFolder || parsePartitionDirectory(name) === undefined) {
      paths.push(name)
      continue
    }
    for (const file of driver.list(name)) paths.push(`${name}/${file}`)
    if (++folderCount % FOLDERS_A_TURN === 0) yield nextTurn
  }
  return paths
}

function isManifest(name: string): boolean {
  return name === BACKUP_MANIFEST_FILE || name === `${BACKUP_MANIFEST_FILE}.tmp`
}

function isEngineFile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (!isBackupPath(path)) return false
  const isOfSegment = parseSegmentFileName(name) !== undefined || ENGINE_SUFFIX.test(name)
  return (name !== path && isOfSegment) || ENGINE_FILES.has(name.replace(/\.tmp$/, ''))
}

/** From the last segment of the backup on: whatever was appended since lies there. */
function* holdsRecordsBehind(
  driver: StorageDriver,
  folder: string,
  logEndOffset: number,
): Procedure<boolean> {
  if (driver.status(folder)?.kind !== 'directory') return false
  const bases = driver.list(folder).flatMap((name) => {
    const parsed = parseSegmentFileName(name)
    return parsed?.suffix === '.log' ? [parsed.baseOffset] : []
  })
  const firstLater = bases.findIndex((base) => base >= logEndOffset)
  const from = Math.max((firstLater < 0 ? bases.length : firstLater) - 1, 0)
  for (const base of bases.slice(from)) {
    const path = `${folder}/${segmentFileName(base, '.log')}`
    if (yield* hasRecordsFrom(driver, path, logEndOffset)) return true
  }
  return false
}

function* hasRecordsFrom(driver: StorageDriver, path: string, offset: number): Procedure<boolean> {
  const file = driver.openFile(path, 'read')
  try {
    const header = Buffer.alloc(BATCH_HEADER_BYTES)
    for (let position = 0, count = 1; ; count++) {
      if (file.read(header, 0, BATCH_HEADER_BYTES, position) < BATCH_HEADER_BYTES) return false
      const check = checkBatchHeader(header, 0, BATCH_HEADER_BYTES)
      if (check !== 'ok' && check !== 'incomplete') return false
      if (baseOffsetOf(header, 0) >= offset && !isControlBatch(attributesOf(header, 0))) return true
      position += batchSizeBytesOf(header, 0)
      if (count % HEADERS_A_TURN === 0) yield nextTurn
    }
  } finally {
    file.close()
  }
}
