/**
 * `log.backup`: the copy of an open log, beside reads and writes. Owns where the backup goes, who
 * may write there meanwhile, and how it is stopped; what it consists of is log/backup-*.ts.
 *
 *   I1  one backup of a log at a time, in the order in which they were asked for
 *   I2  a log that closes ends the backup at its next step, and waits for that; what was committed
 *       by then is finished
 */
import { join, resolve } from 'node:path'
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { delay, holdProcess, type Clock } from '../log/clock.ts'
import { captureLog, type CapturedLog } from '../log/backup-capture.ts'
import { BackupDirectory, finishBackup, removeStaged } from '../log/backup-directory.ts'
import { BackupFiles } from '../log/backup-files.ts'
import { type BackupInspection, findAppended, inspectBackup } from '../log/backup-inspection.ts'
import type { BackupManifest } from '../log/backup-manifest.ts'
import { writeBackup } from '../log/backup-run.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { liesWithin } from '../storage/backup-location.ts'
import { readWholeFile } from '../storage/checkpoint-file.ts'
import { openDiskDriver } from '../storage/disk-driver.ts'
import type { FileModes } from '../storage/file-modes.ts'
import { prepareLogDirectory } from '../storage/log-location.ts'
import { META_PROPERTIES_FILE, parseMetaProperties } from '../storage/meta-properties.ts'
import { type DeviceWait, type ProcedureQueue, runProcedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { acquireWriterLock, LOCK_FILE } from '../storage/writer-lock.ts'
import { checkOptions, describeValue } from './check-options.ts'
import type { BackupReport, Progress } from './log-reports.ts'
import { aborted, progressOf, type OnProgress } from './log-verify.ts'
import { signalOf } from './position.ts'

/** Options of `log.backup` and `EventLog.restore`. */
export interface BackupOptions {
  /** Called as it goes on. What it throws ends the call and rejects it. */
  onProgress?: ((progress: Progress) => void) | undefined
  /** Ends it with `ABORTED`: what was there before is as it was. */
  signal?: AbortSignal | undefined
}

/** What a backup needs of its log. */
export interface BackupHost {
  readonly clock: Clock
  readonly holdsProcess: boolean
  readonly isOpen: boolean
  readonly randomBytes: (byteLength: number) => Uint8Array
  checkOpen(call: string): void
}

/** The log, and how its files are changed. */
export interface BackupContext {
  readonly directory: LogDirectory
  readonly procedures: ProcedureQueue
  readonly modes: FileModes
}

const CALL = 'log.backup'

/** Backups of one open log. */
export class Backups {
  readonly #host: BackupHost
  readonly #context: BackupContext
  #last: Promise<unknown> = Promise.resolve()
  #ownId: string | undefined

  constructor(host: BackupHost, context: BackupContext) {
    this.#host = host
    this.#context = context
  }

  /** Resolves when no backup is under way. */
  async ended(): Promise<void> {
    await this.#last
  }

  /** See `EventLog.backup`; `own` is the directory of the log, null where it has none. */
  async run(
    destination: string,
    options: BackupOptions | undefined,
    own: string | null,
  ): Promise<BackupReport> {
    checkOptions(options, ['onProgress', 'signal'], CALL)
    const onProgress = progressOf(options?.onProgress, CALL)
    const signal = signalOf(options?.signal, CALL)
    const path = destinationOf(destination, own)
    this.#host.checkOpen(CALL)
    const release = this.#host.holdsProcess ? holdProcess() : () => undefined
    const turn = this.#last.then(() => this.#backup(path, onProgress, signal)) // I1
    this.#last = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      release()
    }
  }

  async #backup(
    path: string,
    onProgress: OnProgress,
    signal: AbortSignal | null,
  ): Promise<BackupReport> {
    const { clock } = this.#host
    const { modes } = this.#context
    const startedMs = clock.monotonicNow()
    this.#check(signal)
    const counts = await writeInto(path, modes, clock, async (driver) => {
      return await this.#write(driver, path, onProgress, signal)
    })
    return Object.freeze({ ...counts, durationMs: clock.monotonicNow() - startedMs })
  }

  async #write(
    driver: StorageDriver,
    path: string,
    onProgress: OnProgress,
    signal: AbortSignal | null,
  ): Promise<BackupFiles['counts']> {
    const { directory, procedures } = this.#context
    const logId = this.#logId()
    const found = await runProcedure(this.#prepare(driver, path, logId))
    const { manifest } = found
    const target = new BackupDirectory(driver, (manifest?.generation ?? 0) + 1)
    const files = new BackupFiles(target, manifest?.files ?? new Map())
    try {
      await directory.housekeeping.exclusive(async () => {
        this.#check(signal)
        await directory.syncForCheckpoint() // What is synced may be shared.
        this.#check(signal)
        const captured = await procedures.run(() => captureLog(directory))
        const totalBytes = totalOf(captured)
        const run = writeBackup({
          source: directory.driver,
          captured,
          target,
          files,
          logId,
          directoryId: manifest?.directoryId ?? randomTopicId(this.#host.randomBytes),
          createdMs: this.#host.clock.now(),
          obsolete: [...(manifest?.files.keys() ?? []), ...found.byEngine],
          randomBytes: this.#host.randomBytes,
        })
        await runProcedure(run, async (wait: DeviceWait) => {
          if (target.isCommitting) return await wait()
          this.#check(signal)
          await wait()
          const { progress } = files
          onProgress?.({ ...progress, totalBytes: Math.max(totalBytes, progress.bytes) })
        })
      })
      return files.counts
    } catch (error) {
      await runProcedure(target.discard()).catch(() => undefined) // It fails with what failed it.
      throw error
    }
  }

  /** What is in the directory, once it is known that it may be written to. */
  *#prepare(
    driver: StorageDriver,
    path: string,
    logId: string,
  ): Generator<DeviceWait, BackupInspection & { manifest: BackupManifest | undefined }, undefined> {
    yield* finishBackup(driver)
    const found = yield* inspectBackup(driver)
    const { manifest, foreign, byEngine, abandoned } = found
    if (manifest === null) throw refused(path, 'the manifest of the backup there is damaged')
    if (manifest === undefined) {
      const others = [...foreign, ...byEngine]
      if (others.length > 0) throw refused(path, 'it is not empty, and no backup', others)
    } else if (manifest.logId !== logId) {
      throw refused(path, 'it holds the backup of another log')
    } else if (found.wasOpened) {
      const appended = yield* findAppended(driver, manifest, byEngine)
      if (appended !== undefined) {
        throw refused(path, `it was opened as a log, and records were appended to ${appended}`)
      }
    }
    yield* removeStaged(driver, abandoned)
    return { ...found, manifest }
  }

  /** Who the log is, for its backups. */
  #logId(): string {
    const bytes = readWholeFile(this.#context.directory.driver, META_PROPERTIES_FILE)
    const meta = bytes === undefined ? undefined : parseMetaProperties(bytes)
    if (meta?.directoryId !== undefined) return meta.directoryId
    if (meta?.clusterId !== undefined) return `${meta.clusterId}:${meta.nodeId ?? ''}`
    this.#ownId ??= randomTopicId(this.#host.randomBytes)
    return this.#ownId
  }

  #check(signal: AbortSignal | null): void {
    if (signal?.aborted === true) throw aborted(signal, CALL)
    if (!this.#host.isOpen) {
      throw new LogError('CLOSED', `${CALL}: the log was closed`, { call: CALL })
    }
  }
}

/**
 * Runs `work` over a directory that is made where it is missing, while nobody else writes there.
 * What locked it is gone afterwards; what was there before `work` was refused stays.
 */
export async function writeInto<T>(
  path: string,
  modes: FileModes,
  clock: Clock,
  work: (driver: StorageDriver) => Promise<T>,
): Promise<T> {
  await prepareLogDirectory(path, modes.directoryMode, () => true)
  const driver = openDiskDriver(path, { modes })
  try {
    return await writeLocked(driver, path, { modes, clock, work })
  } finally {
    driver.close()
  }
}

async function writeLocked<T>(
  driver: StorageDriver,
  path: string,
  {
    modes,
    clock,
    work,
  }: { modes: FileModes; clock: Clock; work: (driver: StorageDriver) => Promise<T> },
): Promise<T> {
  let mayRemove = driver.status(LOCK_FILE) === undefined
  const lock = await acquireWriterLock(path, {
    lockTimeoutMs: 0,
    fileMode: modes.fileMode,
    now: () => clock.now(),
    monotonicNow: () => clock.monotonicNow(),
    wait: (ms) => delay(clock, ms),
  })
  try {
    const result = await work(driver)
    mayRemove = true
    return result
  } finally {
    // Before the lock is given back: it is ours. Where it cannot go, it is in nobody's way.
    if (mayRemove) await driver.unlink(LOCK_FILE).catch(() => undefined)
    await lock.release()
  }
}

function destinationOf(destination: unknown, own: string | null): string {
  if (typeof destination !== 'string' || destination === '' || destination.includes('\0')) {
    throw invalidArgument(`${CALL}: destination is a path, not ${describeValue(destination)}`, {
      destination,
    })
  }
  const path = resolve(destination)
  if (own === null || !liesWithin(path, own)) return path
  throw invalidArgument(`${CALL}: ${path} lies in the directory of the log itself (${own})`, {
    destination: path,
    directory: own,
  })
}

function refused(path: string, why: string, found: readonly string[] = []): LogError {
  const names = found.slice(0, 3).map((name) => `'${join(name)}'`)
  const list = names.length === 0 ? '' : ` (it holds ${names.join(', ')})`
  return invalidArgument(`${CALL}: ${path}: ${why}${list}: name an empty or a new directory`, {
    destination: path,
    found: found.slice(0, 10),
  })
}

function totalOf({ topics }: CapturedLog): number {
  let bytes = 0
  for (const { partitions } of topics) {
    for (const { segments } of partitions) {
      for (const { sizeBytes } of segments) bytes += sizeBytes
    }
  }
  return bytes
}
