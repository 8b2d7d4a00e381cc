/**
 * Making a log of a backup: every file is copied, and is what the manifest says, before any gets
 * its name. The new directory is written as a backup is (backup-directory.ts), so a stop at any
 * line leaves either a log that is whole, or nothing that opens.
 *
 * A backup that was opened as a log since is no longer what its manifest says: then all of the log
 * that it has become is copied, and whoever calls has verified it.
 */
import { LogError } from '../errors/log-error.ts'
import { parsePartitionDirectory } from '../format/segment-name.ts'
import { readWholeFile } from '../storage/checkpoint-file.ts'
import { CLEAN_MARKER_FILE } from '../storage/clean-marker.ts'
import { CONTROL_FILE } from '../storage/control-file.ts'
import {
  formatMetaProperties,
  META_PROPERTIES_FILE,
  parseMetaProperties,
} from '../storage/meta-properties.ts'
import { type Procedure, sideBySide } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { parentOf } from '../storage/storage-path.ts'
import { type BackupDirectory, stagedPathOf } from './backup-directory.ts'
import type { BackupFiles } from './backup-files.ts'
import type { BackupInspection } from './backup-inspection.ts'
import { BACKUP_MANIFEST_FILE, type BackupFile, type BackupManifest } from './backup-manifest.ts'

const FILES_AT_ONCE = 4
/** What says nothing of a copy, or is being removed. */
const LEFT_OUT = /\.(?:tmp|deleted|swap|cleaned)$/

/** What is restored, and into what. */
export interface RestoreInput {
  readonly source: StorageDriver
  readonly manifest: BackupManifest
  readonly found: BackupInspection
  readonly target: BackupDirectory
  readonly files: BackupFiles
  /** `directory.id` of the new log. */
  readonly directoryId: string
}

/** A file of the backup; `known` is null where nothing says what it has to be. */
interface RestoredFile {
  readonly path: string
  readonly sourcePath: string
  readonly known: BackupFile | null
}

/**
 * Makes the log.
 * @throws {LogError} CORRUPT where a file is missing, or is not what was backed up; nothing that
 *   opens is left.
 */
export function* restoreBackup(input: RestoreInput): Procedure<void> {
  const { source, manifest, target, files, directoryId } = input
  const all = [...filesOf(input)]
  const others = all.filter(({ path }) => path !== META_PROPERTIES_FILE)
  yield* sideBySide(
    others.map((file) => restoreFile(input, file)),
    FILES_AT_ONCE,
  )
  const identity = all.find(({ path }) => path === META_PROPERTIES_FILE)
  const bytes = identity && readWholeFile(source, identity.sourcePath)
  const meta = bytes === undefined ? undefined : parseMetaProperties(bytes)
  if (meta === undefined) throw notAsBackedUp(META_PROPERTIES_FILE, 'it cannot be read')
  yield* files.bringBytes(META_PROPERTIES_FILE, formatMetaProperties({ ...meta, directoryId }))
  yield* target.commit({ ...manifest, directoryId, removed: [] })
  // A log from here on, and the backup of none.
  yield () => target.driver.unlink(BACKUP_MANIFEST_FILE)
  yield () => target.driver.flushDirectory('')
}

/** Bytes of everything that `restoreBackup` reads. */
export function bytesToRestore(input: Pick<RestoreInput, 'source' | 'manifest' | 'found'>): number {
  let bytes = 0
  for (const { known, sourcePath } of filesOf(input)) {
    bytes += known?.sizeBytes ?? input.source.status(sourcePath)?.sizeBytes ?? 0
  }
  return bytes
}

function* filesOf({
  source,
  manifest,
  found,
}: Pick<RestoreInput, 'source' | 'manifest' | 'found'>): Generator<RestoredFile, void, undefined> {
  const { wasOpened, byEngine } = found
  const staged = stagedOf({ manifest, found })
  for (const [path, known] of manifest.files) {
    const stagedPath = stagedPathOf(path, manifest.generation)
    const sourcePath = staged.has(stagedPath) ? stagedPath : path
    if (!wasOpened) yield { path, sourcePath, known }
    else if (source.status(path) !== undefined) yield { path, sourcePath: path, known: null }
  }
  if (!wasOpened) return
  for (const path of byEngine) {
    const isMark = path === CONTROL_FILE || path === CLEAN_MARKER_FILE
    if (!isMark && !LEFT_OUT.test(path)) yield { path, sourcePath: path, known: null }
  }
}

/** What lies under the name of a file that is not in place: nothing is put in place here. */
function stagedOf({ manifest, found }: Pick<RestoreInput, 'manifest' | 'found'>): Set<string> {
  const { generation } = manifest
  const staged = found.abandoned.filter((one) => one.generation === generation)
  return new Set(staged.map(({ stagedPath }) => stagedPath))
}

function* restoreFile(
  { source: driver, files, target }: RestoreInput,
  { path, sourcePath, known }: RestoredFile,
): Procedure<void> {
  const status = driver.status(sourcePath)
  if (status?.kind !== 'file') throw notAsBackedUp(path, 'missing')
  const { sizeBytes } = status
  if (known !== null && known.sizeBytes !== sizeBytes) {
    throw notAsBackedUp(path, `${sizeBytes} bytes in place of ${known.sizeBytes}`)
  }
  yield* files.bringFile({ driver, sourcePath, path, sizeBytes, isShareable: false })
  const crc = target.files.get(path)?.crc
  if (known !== null && known.crc !== crc) throw notAsBackedUp(path, 'its bytes have changed')
}

function notAsBackedUp(file: string, why: string): LogError<'CORRUPT'> {
  const folder = parsePartitionDirectory(parentOf(file))
  const message = `${file} is not what was backed up: ${why}: restore another backup, or take this one anew`
  return new LogError('CORRUPT', message, {
    topic: folder?.topic ?? '',
    partition: folder?.partition ?? -1,
    file,
    position: 0,
    offset: null,
  })
}
