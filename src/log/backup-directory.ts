/**
 * BackupDirectory: the directory that a backup is written into, and how one state of it takes the
 * place of the one before.
 *
 *   orders-0/00000000000000000000.log.backup-3   a file of generation 3 that is not in place yet
 *   streambed.backup                             the manifest: which files the backup consists of
 *
 *   1  every file that is new, or not what it was, is written, or linked, under a name of its own
 *   2  files and folders are flushed; the manifest of the new state is put in place: this commits
 *   3  the new files take their names, folders are flushed, what is no part of it is removed, and
 *      the manifest forgets what that was
 *
 *   I1  before 2 no file of the state before is touched; behind it the manifest says what is left
 *       to do, and whoever comes next does it first (`finishBackup`): the last good state is there
 *       after a stop at any line
 *   I2  nothing is removed but what a manifest names, once, and files that were not in place yet:
 *       whoever opens the backup as a log may make a file of the same name
 *   I3  a file is never written under its own name: it may be a hard link of a file of the log
 */
import { replaceFile } from '../storage/checkpoint-file.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver, StorageFile } from '../storage/storage-driver.ts'
import { parentOf } from '../storage/storage-path.ts'
import {
  BACKUP_MANIFEST_FILE,
  formatBackupManifest,
  readBackupManifest,
  type BackupFile,
  type BackupManifest,
} from './backup-manifest.ts'
import { nextTurn } from './clock.ts'

const STAGED = /^(.+)\.backup-(\d{1,16})$/
const NAMES_A_TURN = 64

/** A file that is not in place yet. */
export interface StagedFile {
  readonly stagedPath: string
  readonly path: string
  readonly generation: number
}

/** What `path` is, where it is the name of a file that is not in place yet. */
export function parseStagedPath(stagedPath: string): StagedFile | undefined {
  const match = STAGED.exec(stagedPath)
  if (match === null) return undefined
  const [, path = '', generation] = match
  return { stagedPath, path, generation: Number(generation) }
}

/** The name under which a file of `generation` waits. */
export function stagedPathOf(path: string, generation: number): string {
  return `${path}.backup-${generation}`
}

/** Writes one state of a backup. */
export class BackupDirectory {
  readonly driver: StorageDriver
  readonly generation: number
  /** What the new state consists of. */
  readonly files: Map<string, BackupFile> = new Map()
  readonly #folders = new Set<string>([''])
  #isCommitting = false

  /** `generation` is higher than that of the state before. */
  constructor(driver: StorageDriver, generation: number) {
    this.driver = driver
    this.generation = generation
  }

  /** A new file, empty, that takes the place of `path` with the commit. */
  create(path: string): StorageFile {
    return this.driver.openFile(this.#stage(path), 'create')
  }

  /** As `create`, as one more name of a file of `source`; false where that cannot be. */
  link(path: string, source: StorageDriver, sourcePath: string): boolean {
    return source.link?.(sourcePath, this.driver, this.#stage(path)) ?? false
  }

  /** Leaves out what is staged below `folder`. */
  *drop(folder: string): Procedure<void> {
    for (const path of [...this.files.keys()]) {
      if (parentOf(path) === folder) this.files.delete(path)
    }
    for (const { stagedPath } of stagedIn(this.driver, folder)) {
      yield () => this.driver.unlink(stagedPath)
    }
    yield* removeEmpty(this.driver, folder)
    this.#folders.delete(folder)
  }

  /**
   * Removes what is staged, unless the new state was committed all the same: what is left to do of
   * that is left to `finishBackup`.
   */
  *discard(): Procedure<void> {
    const { driver, generation } = this
    const manifest = yield* readBackupManifest(driver)
    if (manifest?.generation === generation) return
    const staged = [...this.#folders].flatMap((folder) => stagedIn(driver, folder))
    yield* removeStaged(driver, staged)
  }

  /** From here on it is quicker to come to the end than to be stopped. */
  get isCommitting(): boolean {
    return this.#isCommitting
  }

  /** Makes the new state the one that counts (I1). */
  *commit(of: Omit<BackupManifest, 'generation' | 'files'>): Procedure<void> {
    const { driver, generation, files } = this
    for (const folder of this.#folders) yield () => driver.flushDirectory(folder)
    this.#isCommitting = true
    const manifest = { ...of, generation, files }
    yield* replaceFile(driver, BACKUP_MANIFEST_FILE, yield* formatBackupManifest(manifest))
    yield* putInPlace(driver, manifest)
  }

  #stage(path: string): string {
    const folder = parentOf(path)
    if (!this.#folders.has(folder)) {
      if (this.driver.status(folder) === undefined) this.driver.createDirectory(folder)
      this.#folders.add(folder)
    }
    return stagedPathOf(path, this.generation)
  }
}

/** Does what a stop left to do of a backup that was committed. True where there is a backup. */
export function* finishBackup(driver: StorageDriver): Procedure<boolean> {
  const manifest = yield* readBackupManifest(driver)
  if (manifest === undefined) return false
  if (manifest !== null) yield* putInPlace(driver, manifest)
  return true
}

/** True where `finishBackup` has something to do: files may have names that are not theirs yet. */
export function* isUnfinishedBackup(driver: StorageDriver): Procedure<boolean> {
  const manifest = yield* readBackupManifest(driver)
  if (manifest === undefined || manifest === null) return false
  if (manifest.removed.length > 0) return true
  const folders = new Set(['', ...[...manifest.files.keys()].map(parentOf)])
  return [...folders].some((folder) =>
    stagedIn(driver, folder).some(
      ({ generation, path }) => generation === manifest.generation && manifest.files.has(path),
    ),
  )
}

/** Removes files that were never put in place, for what was never committed. */
export function* removeStaged(
  driver: StorageDriver,
  staged: readonly StagedFile[],
): Procedure<void> {
  const folders = new Set<string>()
  for (const { stagedPath } of staged) {
    yield () => driver.unlink(stagedPath)
    folders.add(parentOf(stagedPath))
  }
  for (const folder of folders) yield* removeEmpty(driver, folder)
  for (const folder of new Set([...folders, ''])) {
    if (driver.status(folder) !== undefined) yield () => driver.flushDirectory(folder)
  }
}

/** Line 3. */
function* putInPlace(driver: StorageDriver, manifest: BackupManifest): Procedure<void> {
  yield* renameStaged(driver, manifest)
  if (manifest.removed.length === 0) return
  yield* removeNamed(driver, manifest)
  const done = yield* formatBackupManifest({ ...manifest, removed: [] })
  yield* replaceFile(driver, BACKUP_MANIFEST_FILE, done)
}

function* renameStaged(
  driver: StorageDriver,
  { generation, files }: BackupManifest,
): Procedure<void> {
  const changed = new Set<string>()
  const folders = new Set(['', ...[...files.keys()].map(parentOf)])
  let count = 0
  for (const folder of folders) {
    for (const staged of stagedIn(driver, folder)) {
      if (staged.generation !== generation || !files.has(staged.path)) continue
      driver.rename(staged.stagedPath, staged.path)
      changed.add(folder)
      if (++count % NAMES_A_TURN === 0) yield nextTurn
    }
  }
  for (const folder of changed) yield () => driver.flushDirectory(folder)
}

/** Flushed before the manifest forgets them. */
function* removeNamed(driver: StorageDriver, { files, removed }: BackupManifest): Procedure<void> {
  const changed = new Set<string>()
  for (const path of removed) {
    if (files.has(path) || driver.status(path)?.kind !== 'file') continue
    yield () => driver.unlink(path)
    changed.add(parentOf(path))
  }
  for (const folder of changed) yield* removeEmpty(driver, folder)
  for (const folder of new Set([...changed, ''])) {
    if (driver.status(folder) !== undefined) yield () => driver.flushDirectory(folder)
  }
}

function stagedIn(driver: StorageDriver, folder: string): readonly StagedFile[] {
  if (driver.status(folder)?.kind !== 'directory') return []
  return driver.list(folder).flatMap((name) => {
    const staged = parseStagedPath(folder === '' ? name : `${folder}/${name}`)
    return staged === undefined ? [] : [staged]
  })
}

function* removeEmpty(driver: StorageDriver, folder: string): Procedure<void> {
  if (folder === '' || driver.status(folder)?.kind !== 'directory') return
  if (driver.list(folder).length === 0) yield () => driver.removeDirectory(folder)
}
