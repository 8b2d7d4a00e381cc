/**
 * Stops at every call that taking or restoring a backup makes to the disk, by a kill and by losses
 * of power: what is left is the state before or the new one, byte for byte, never a mixture, and
 * never something that opens and is neither.
 */
import { describe, expect, it } from 'vitest'
import { captureLog } from '../../src/log/backup-capture.ts'
import { BackupDirectory, finishBackup, removeStaged } from '../../src/log/backup-directory.ts'
import { BackupFiles } from '../../src/log/backup-files.ts'
import { inspectBackup } from '../../src/log/backup-inspection.ts'
import { BACKUP_MANIFEST_FILE, readBackupManifest } from '../../src/log/backup-manifest.ts'
import { restoreBackup } from '../../src/log/backup-restore.ts'
import { writeBackup } from '../../src/log/backup-run.ts'
import { isLogDirectory } from '../../src/log/directory-open.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { readWholeFile } from '../../src/storage/checkpoint-file.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { parentOf } from '../../src/storage/storage-path.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { everyCrash } from '../support/every-crash.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'

const ID = 'AAAAAAAAAAAAAAAAAAAAKg'
type Tree = ReadonlyMap<string, string>

/** Takes a backup of the log into `driver`, as the client does. */
function* backUp(log: LogDirectory, driver: StorageDriver): Procedure<void> {
  yield* finishBackup(driver)
  const { manifest, byEngine, abandoned } = yield* inspectBackup(driver)
  yield* removeStaged(driver, abandoned)
  const target = new BackupDirectory(driver, (manifest?.generation ?? 0) + 1)
  const files = new BackupFiles(target, manifest?.files ?? new Map())
  yield* writeBackup({
    source: log.driver,
    captured: yield* captureLog(log),
    target,
    files,
    logId: 'log',
    directoryId: ID,
    createdMs: 1_000,
    obsolete: [...(manifest?.files.keys() ?? []), ...byEngine],
    randomBytes: (byteLength) => new Uint8Array(byteLength),
  })
}

function* restore(source: StorageDriver, driver: StorageDriver): Procedure<void> {
  const found = yield* inspectBackup(source)
  const { manifest } = found
  if (manifest === undefined || manifest === null) throw new Error('no backup')
  const { abandoned } = yield* inspectBackup(driver)
  yield* removeStaged(driver, abandoned)
  const target = new BackupDirectory(driver, 1)
  const files = new BackupFiles(target, new Map())
  yield* restoreBackup({ source, manifest, found, target, files, directoryId: ID })
}

/** Every file, but for the manifest, whose text is of its own generation. */
function treeOf(driver: StorageDriver): Tree {
  const tree = new Map<string, string>()
  for (const name of driver.list('')) {
    const isFolder = driver.status(name)?.kind === 'directory'
    const paths = isFolder ? driver.list(name).map((one) => `${name}/${one}`) : [name]
    for (const path of paths) tree.set(path, readWholeFile(driver, path)?.toString('latin1') ?? '')
  }
  return tree
}

function without(tree: Tree, ...paths: readonly string[]): Tree {
  return new Map([...tree].filter(([path]) => !paths.includes(path)))
}

/** Lays a tree, durably. */
function* lay(driver: StorageDriver, tree: Tree): Procedure<void> {
  for (const [path, text] of tree) {
    const folder = parentOf(path)
    if (driver.status(folder) === undefined) driver.createDirectory(folder)
    const file = driver.openFile(path, 'create')
    const bytes = Buffer.from(text, 'latin1')
    file.write(bytes, 0, bytes.length, 0)
    yield () => file.flush()
    file.close()
    yield () => driver.flushDirectory(folder)
  }
  yield () => driver.flushDirectory('')
}

/** A log, and two states of a backup of it: between them, much has changed. */
async function twoStates(): Promise<{ log: LogDirectory; before: Tree; after: Tree }> {
  const { log } = await openLog(new FaultDriver())
  const segments = { segmentBytes: 1_024 }
  await runProcedure(log.createTopic('orders', segments))
  await runProcedure(log.createTopic('gone', segments))
  appendMany(partitionOf(log, 'orders'), 14)
  appendMany(partitionOf(log, 'gone'), 3)
  const driver = new FaultDriver()
  await log.syncForCheckpoint()
  await runProcedure(backUp(log, driver))
  const before = treeOf(driver)
  await runProcedure(log.deleteTopic('gone'))
  await runProcedure(log.createTopic('new', segments))
  appendMany(partitionOf(log, 'orders'), 12)
  appendMany(partitionOf(log, 'new'), 2)
  await log.syncForCheckpoint()
  await runProcedure(backUp(log, driver))
  return { log, before, after: treeOf(driver) }
}

describe('a backup that is stopped at any call', () => {
  it('leaves nothing that opens, or all of it, where there was none before', async () => {
    const { log, after } = await twoStates()
    let whole = 0
    for await (const { driver, stoppedAt } of everyCrash(nothing, (disk) => backUp(log, disk))) {
      const manifest = await runProcedure(readBackupManifest(driver))
      if (manifest === undefined) {
        expect(isLogDirectory(driver.list(''))).toBe(false)
        const { foreign, byEngine } = await runProcedure(inspectBackup(driver))
        expect([...foreign, ...byEngine], `call ${stoppedAt}`).toEqual([])
      } else {
        await runProcedure(finishBackup(driver))
        expect(contents(driver), `call ${stoppedAt}`).toEqual(without(after, BACKUP_MANIFEST_FILE))
        whole += 1
      }
      // Whoever comes next takes it again, whatever lies there.
      await runProcedure(backUp(log, driver))
      expect(contents(driver)).toEqual(without(after, BACKUP_MANIFEST_FILE))
    }
    expect(whole).toBeGreaterThan(0)
  })

  it('leaves the state before, or the new one, where there was one', async () => {
    const { log, before, after } = await twoStates()
    const prepare = (disk: StorageDriver): Procedure<void> => lay(disk, before)
    const seen = new Set<number>()
    for await (const { driver, stoppedAt } of everyCrash(prepare, (disk) => backUp(log, disk))) {
      const manifest = await runProcedure(readBackupManifest(driver))
      expect(manifest, `call ${stoppedAt}`).toBeTruthy()
      const { generation = 0 } = manifest ?? {}
      seen.add(generation)
      await runProcedure(finishBackup(driver))
      const expected = without(generation === 1 ? before : after, BACKUP_MANIFEST_FILE)
      expect(contents(driver), `call ${stoppedAt}, generation ${generation}`).toEqual(expected)
    }
    expect(seen).toEqual(new Set([1, 2]))
  })

  it('can be restored as it is, before anybody finished it', async () => {
    const { log, before, after } = await twoStates()
    const prepare = (disk: StorageDriver): Procedure<void> => lay(disk, before)
    for await (const { driver, kind } of everyCrash(prepare, (disk) => backUp(log, disk))) {
      if (kind !== 'kill' && kind !== 'some') continue
      const manifest = await runProcedure(readBackupManifest(driver))
      const target = new FaultDriver()
      await runProcedure(restore(driver, target))
      const expected = manifest?.generation === 1 ? before : after
      expect(treeOf(target)).toEqual(without(expected, BACKUP_MANIFEST_FILE))
    }
  })

  it('is finished all the same where finishing it is stopped at any call', async () => {
    const { log, before, after } = await twoStates()
    const pending = await pendingState(log, before)
    const prepare = (disk: StorageDriver): Procedure<void> => lay(disk, pending)
    for await (const { driver } of everyCrash(prepare, finishBackup)) {
      await runProcedure(finishBackup(driver))
      expect(treeOf(driver)).toEqual(after)
    }
  })
})

describe('a restore that is stopped at any call', () => {
  it('leaves nothing that opens, or all of it, and can be made again', async () => {
    const { after } = await twoStates()
    const source = new FaultDriver()
    await runProcedure(lay(source, after))
    const expected = without(after, BACKUP_MANIFEST_FILE)
    for await (const { driver, stoppedAt } of everyCrash(nothing, (disk) =>
      restore(source, disk),
    )) {
      const isLog = isLogDirectory(driver.list(''))
      if (isLog) {
        await runProcedure(finishBackup(driver))
        expect(contents(driver), `call ${stoppedAt}`).toEqual(expected)
      } else {
        await runProcedure(restore(source, driver))
        expect(treeOf(driver), `call ${stoppedAt}`).toEqual(expected)
      }
    }
  })
})

/** All files of a backup that was finished; what was never committed may lie beside. */
function contents(driver: StorageDriver): Tree {
  const isLeft = (path: string): boolean => /\.backup-\d+$|\.tmp$/.test(path)
  const tree = treeOf(driver)
  const left = [...tree.keys()].filter(isLeft)
  return without(tree, BACKUP_MANIFEST_FILE, ...left)
}

/** What is left where the new state is committed, and none of it is in place. */
async function pendingState(log: LogDirectory, before: Tree): Promise<Tree> {
  const prepare = (disk: StorageDriver): Procedure<void> => lay(disk, before)
  for await (const { driver, kind } of everyCrash(prepare, (disk) => backUp(log, disk))) {
    const manifest = await runProcedure(readBackupManifest(driver))
    if (kind === 'kill' && manifest?.generation === 2) return treeOf(driver)
  }
  throw new Error('it was never committed')
}

function* nothing(): Procedure<void> {
  // An empty disk.
}
