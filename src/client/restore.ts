/**
 * `EventLog.restore`: makes a log in a new directory of a backup. The backup is only read; nobody
 * may be writing it meanwhile.
 */
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { holdProcess, systemClock } from '../log/clock.ts'
import { BackupDirectory, removeStaged } from '../log/backup-directory.ts'
import { BackupFiles } from '../log/backup-files.ts'
import { type BackupInspection, inspectBackup } from '../log/backup-inspection.ts'
import { BACKUP_MANIFEST_FILE, type BackupManifest } from '../log/backup-manifest.ts'
import { bytesToRestore, restoreBackup } from '../log/backup-restore.ts'
import { liesWithin } from '../storage/backup-location.ts'
import { openDiskDriver } from '../storage/disk-driver.ts'
import { existingLogDirectory, modesOf } from '../storage/existing-directory.ts'
import { refuseLiveWriter } from '../storage/live-writer.ts'
import { META_PROPERTIES_FILE } from '../storage/meta-properties.ts'
import { runProcedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { type BackupOptions, writeInto } from './backup.ts'
import { checkDirectory, checkOptions } from './check-options.ts'
import type { BackupReport } from './log-reports.ts'
import {
  aborted,
  loadDecoders,
  progressOf,
  verifyDirectory,
  type OnProgress,
} from './log-verify.ts'
import { signalOf } from './position.ts'

const CALL = 'EventLog.restore'

/** Restores a backup; see `EventLog.restore`. */
export async function restoreLog(
  backup: string,
  directory: string,
  options: BackupOptions | undefined,
): Promise<BackupReport> {
  checkDirectory(backup, CALL)
  checkDirectory(directory, CALL)
  checkOptions(options, ['onProgress', 'signal'], CALL)
  const onProgress = progressOf(options?.onProgress, CALL)
  const signal = signalOf(options?.signal, CALL)
  const path = existingLogDirectory(backup, () => true, CALL)
  const target = resolve(directory)
  if (liesWithin(target, path) || liesWithin(path, target)) {
    throw invalidArgument(`${CALL}: ${target} and ${path} lie in one another`, {
      backup: path,
      directory: target,
    })
  }
  const release = holdProcess()
  const startedMs = systemClock.monotonicNow()
  loadDecoders()
  const source = openDiskDriver(path)
  try {
    refuseLiveWriter(path, CALL)
    const { manifest, found } = await readBackup(source, path, signal)
    const modes = modesOf(path, META_PROPERTIES_FILE)
    const counts = await writeInto(target, modes, systemClock, async (driver) => {
      await clearTarget(driver, target)
      return await restoreInto(driver, { source, manifest, found, onProgress, signal })
    })
    return Object.freeze({ ...counts, durationMs: systemClock.monotonicNow() - startedMs })
  } finally {
    source.close()
    release()
  }
}

/** What is restored, by whom it is followed and stopped. */
interface Restoring {
  readonly source: StorageDriver
  readonly manifest: BackupManifest
  readonly found: BackupInspection
  readonly onProgress: OnProgress
  readonly signal: AbortSignal | null
}

async function restoreInto(
  driver: StorageDriver,
  { source, manifest, found, onProgress, signal }: Restoring,
): Promise<BackupFiles['counts']> {
  const target = new BackupDirectory(driver, 1)
  const files = new BackupFiles(target, new Map())
  const totalBytes = bytesToRestore({ source, manifest, found })
  const directoryId = randomTopicId(randomBytes)
  const restoring = restoreBackup({ source, manifest, found, target, files, directoryId })
  try {
    await runProcedure(restoring, async (wait) => {
      if (target.isCommitting) return await wait()
      if (signal?.aborted === true) throw aborted(signal, CALL)
      await wait()
      const { progress } = files
      onProgress?.({ ...progress, totalBytes: Math.max(totalBytes, progress.bytes) })
    })
    return files.counts
  } catch (error) {
    await runProcedure(target.discard()).catch(() => undefined) // It fails with what failed it.
    throw error
  }
}

async function readBackup(
  driver: StorageDriver,
  path: string,
  signal: AbortSignal | null,
): Promise<Pick<Restoring, 'manifest' | 'found'>> {
  const found = await runProcedure(inspectBackup(driver))
  const { manifest } = found
  if (manifest === undefined) {
    throw invalidArgument(`${CALL}: ${path} holds no backup`, { backup: path })
  }
  if (manifest === null) {
    const message = `${CALL}: the manifest of the backup in ${path} is damaged: open it as a log`
    const file = BACKUP_MANIFEST_FILE
    throw new LogError('CORRUPT', message, {
      topic: '',
      partition: -1,
      file,
      position: 0,
      offset: null,
    })
  }
  if (found.wasOpened) {
    const { damage } = await verifyDirectory(path, signal === null ? {} : { signal })
    const [first] = damage
    if (first !== undefined) {
      const { topic, partition, file, position, firstOffset: offset, reason } = first
      const message = `${CALL}: ${file} is damaged (${reason}): repair ${path} first`
      throw new LogError('CORRUPT', message, { topic, partition, file, position, offset })
    }
  }
  return { manifest, found }
}

/** An empty directory, but for what a restore that was stopped has left there. */
async function clearTarget(driver: StorageDriver, path: string): Promise<void> {
  const { manifest, foreign, byEngine, abandoned } = await runProcedure(inspectBackup(driver))
  const others = [...foreign, ...byEngine]
  if (manifest !== undefined || others.length > 0) {
    throw invalidArgument(`${CALL}: ${path} is not empty: name an empty or a new directory`, {
      directory: path,
      found: others.slice(0, 10),
    })
  }
  await runProcedure(removeStaged(driver, abandoned))
}
