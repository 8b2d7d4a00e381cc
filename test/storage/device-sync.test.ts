/**
 * Syncs under Node's permission model, beside the driver's contract (disk-driver.test.ts): which
 * handles are opened when, and what becomes of them.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { checkSyncs, flushAncestorAt } from '../../src/storage/device-sync.ts'
import { type DiskDriverOptions, openDiskDriver } from '../../src/storage/disk-driver.ts'
import type { StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { pretendPermissionModel } from '../support/permission-model.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

vi.mock('../../src/storage/native-binding.ts', () => ({ nativeBinding: () => null }))

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a file of a disk driver under the permission model', () => {
  it('is synced through one handle, opened with its first change and kept', async () => {
    const { driver } = opened()
    const open = vi.spyOn(fs.promises, 'open')
    const byNumber = vi.spyOn(fs, 'fdatasync')
    const file = write(driver.openFile('a', 'create'), 'one')
    expect(open).toHaveBeenCalledOnce() // Before anybody asked for a sync.
    await file.flush()
    write(file, 'two')
    await file.flush()
    expect(open).toHaveBeenCalledOnce()
    expect(byNumber).not.toHaveBeenCalled()
  })

  it('opens no handle where the model is off', async () => {
    const directory = temporaryDirectory()
    const driver = openDiskDriver(directory)
    onTestFinished(() => driver.close())
    const open = vi.spyOn(fs.promises, 'open')
    await write(driver.openFile('a', 'create'), 'one').flush()
    expect(open).not.toHaveBeenCalled()
  })

  it('is synced where it is now, when it was renamed while the handle was being opened', async () => {
    const { driver } = opened()
    driver.createDirectory('old')
    const file = write(driver.openFile('old/a', 'create'), 'one')
    driver.rename('old', 'new')
    await file.flush()
    expect(file.path).toBe('new/a')
  })

  it('has nothing to sync once it has no name', async () => {
    const { driver } = opened()
    const file = write(driver.openFile('a', 'create'), 'one')
    await driver.unlink('a')
    await file.flush()
  })

  it('is not synced by the handle of a file that took its place', async () => {
    const { driver, directory } = opened()
    const file = driver.openFile('a', 'create')
    fs.rmSync(join(directory, 'a'))
    fs.writeFileSync(join(directory, 'a'), 'another')
    write(file, 'one')
    await expect(file.flush()).rejects.toMatchObject({ code: 'IO', cause: { code: 'ESTALE' } })
  })

  it('takes a descriptor from an idle file where there is none left for the handle', async () => {
    const { driver, directory } = opened()
    const idle = driver.openFile('idle', 'create')
    idle.close()
    const reader = driver.openFile('idle', 'read')
    reader.read(Buffer.alloc(1), 0, 1, 0)
    const open = vi.spyOn(fs.promises, 'open')
    open.mockRejectedValueOnce(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }))
    const close = vi.spyOn(fs, 'closeSync')
    await write(driver.openFile('a', 'create'), 'one').flush()
    expect(open).toHaveBeenCalledTimes(2)
    expect(close).toHaveBeenCalledOnce()
    expect(fs.readFileSync(join(directory, 'a'), 'utf8')).toBe('one')
  })

  it('leaves no handle open when it is closed, nor when its descriptor is given to another', async () => {
    const { driver } = opened({ descriptors: { maxOpenFiles: 1 } })
    const handles: Promise<fs.promises.FileHandle>[] = []
    const { open } = fs.promises
    vi.spyOn(fs.promises, 'open').mockImplementation((...call) => {
      const handle = open(...call)
      handles.push(handle)
      return handle
    })
    const first = write(driver.openFile('a', 'create'), 'one')
    await first.flush()
    const second = write(driver.openFile('b', 'create'), 'two') // Takes the descriptor of 'a'.
    await second.flush()
    second.close()
    await vi.waitFor(async () => {
      const numbers = (await Promise.all(handles)).map(({ fd }) => fd)
      expect(numbers).toEqual([-1, -1])
    })
  })
})

describe('checkSyncs', () => {
  it('finds nothing where files can be synced by handle', async () => {
    pretendPermissionModel()
    expect(await checkSyncs(temporaryDirectory())).toBeNull()
  })

  it('gives what refused it where no file can be synced', async () => {
    pretendPermissionModel()
    const denied = Object.assign(new Error('fsync API is disabled'), { code: 'ERR_ACCESS_DENIED' })
    await replaceSync(denied)
    expect(await checkSyncs(temporaryDirectory())).toBe(denied)
  })

  it('takes no file system that cannot sync directories for a refusal', async () => {
    pretendPermissionModel()
    await replaceSync(Object.assign(new Error('EINVAL'), { code: 'EINVAL' }))
    expect(await checkSyncs(temporaryDirectory())).toBeNull()
  })
})

describe('flushAncestorAt', () => {
  it.each(['EACCES', 'EPERM', 'ERR_ACCESS_DENIED'])(
    'passes over one that is not ours: %s',
    async (code) => {
      vi.spyOn(fs.promises, 'open').mockRejectedValue(Object.assign(new Error(code), { code }))
      await flushAncestorAt('/above')
    },
  )

  it('fails where the directory cannot be synced', async () => {
    vi.spyOn(fs.promises, 'open').mockRejectedValue(
      Object.assign(new Error('EIO'), { code: 'EIO' }),
    )
    await expect(flushAncestorAt('/above')).rejects.toMatchObject({ code: 'IO' })
  })
})

async function replaceSync(error: Error): Promise<void> {
  const handle = await fs.promises.open(temporaryDirectory(), 'r')
  onTestFinished(() => handle.close())
  vi.spyOn(handle, 'sync').mockRejectedValue(error)
  vi.spyOn(handle, 'close').mockResolvedValue()
  vi.spyOn(fs.promises, 'open').mockResolvedValue(handle)
}

function opened(options: DiskDriverOptions = {}): {
  readonly driver: StorageDriver
  readonly directory: string
} {
  pretendPermissionModel()
  const directory = temporaryDirectory()
  const driver = openDiskDriver(directory, options)
  onTestFinished(() => driver.close())
  return { driver, directory }
}

function write(file: StorageFile, text: string): StorageFile {
  const bytes = Buffer.from(text)
  file.write(bytes, 0, bytes.length, file.sizeBytes)
  return file
}
