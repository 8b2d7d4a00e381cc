/**
 * The descriptor pool, alone and under the disk driver: what it may close and what never.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { descriptorBounds } from '../../src/storage/descriptor-limit.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { FileDescriptorPool, PooledDescriptor } from '../../src/storage/file-descriptor-pool.ts'
import type { StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

describe('FileDescriptorPool', () => {
  it('closes the one idle for longest when it is full, and opens it again when used', () => {
    const {
      pool,
      descriptors: [a, b, c],
    } = poolOf(2, 3)
    a.use()
    b.use()
    a.use()
    c.use()
    expect([a.isOpen, b.isOpen, c.isOpen, pool.openCount]).toEqual([true, false, true, 2])
    b.use()
    expect([a.isOpen, b.isOpen, c.isOpen, pool.openCount]).toEqual([false, true, true, 2])
  })

  it('never closes a pinned one, and grows instead', () => {
    const {
      pool,
      descriptors: [a, b],
    } = poolOf(1, 2)
    a.use()
    a.pin()
    b.use()
    expect([a.isOpen, b.isOpen, pool.openCount]).toEqual([true, true, 2])
    a.unpin()
    b.use()
    expect(pool.openCount).toBe(2) // Only opening makes room.
  })

  it("never closes one with an operation in flight, its owner's close included", () => {
    const {
      pool,
      descriptors: [a, b],
    } = poolOf(1, 2)
    const fd = a.beginOperation()
    b.use()
    a.close(false)
    expect(fs.fstatSync(fd).isFile()).toBe(true)
    expect(a.isOpen).toBe(true)
    a.endOperation()
    expect([a.isOpen, pool.openCount]).toEqual([false, 1])
    expect(() => a.use()).toThrow(InvariantError)
  })

  it('gives one back and tries again when the process has no descriptors left', () => {
    const {
      descriptors: [a, b],
    } = poolOf(10, 2)
    a.use()
    const { openSync } = fs
    const spy = vi.spyOn(fs, 'openSync').mockImplementation((...args) => {
      if (a.isOpen) throw Object.assign(new Error('too many'), { code: 'EMFILE' })
      return openSync(...args)
    })
    b.use()
    expect([a.isOpen, b.isOpen, spy.mock.calls.length]).toEqual([false, true, 2])
    b.pin()
    spy.mockImplementation(() => {
      throw Object.assign(new Error('too many'), { code: 'EMFILE' })
    })
    expect(() => a.use()).toThrow('too many')
  })

  it('closes an evicted descriptor only once when its owner closes it too', () => {
    const {
      descriptors: [a, b],
    } = poolOf(1, 2)
    a.use()
    b.use()
    const close = vi.spyOn(fs, 'closeSync')
    a.close(false)
    expect(close).not.toHaveBeenCalled()
  })
})

describe('disk driver: descriptors', () => {
  it('keeps a file with unsynced bytes open until a flush that covers them has succeeded', async () => {
    const { driver, openNow } = driverWith(1)
    const dirty = driver.openFile('dirty', 'create')
    dirty.write(Buffer.from('x'), 0, 1, 0)
    read(driver, 'other')
    expect(openNow()).toContain('dirty')
    vi.spyOn(fs, 'fdatasync').mockImplementationOnce((_fd, done) => done(new Error('EIO')))
    await expect(dirty.flush()).rejects.toThrow('EIO')
    read(driver, 'third')
    expect(openNow()).toContain('dirty')

    const flushed = dirty.flush()
    dirty.write(Buffer.from('y'), 0, 1, 1) // Not covered by the flush under way.
    await flushed
    read(driver, 'other')
    expect(openNow()).toContain('dirty')

    await dirty.flush()
    read(driver, 'third')
    expect(openNow()).toEqual(['third'])
    expect(text(dirty)).toBe('xy')
  })

  it('a size that was set and not synced pins as well, and close releases', () => {
    const { driver, openNow } = driverWith(1)
    const dirty = driver.openFile('dirty', 'create')
    dirty.resize(100)
    read(driver, 'other')
    expect(openNow()).toContain('dirty')
    dirty.close()
    expect(openNow()).toEqual(['other'])
  })

  it('opens files to read only when they are used, and asks for their size without opening them', () => {
    const { driver, openNow } = driverWith(10)
    const file = driver.openFile('other', 'read')
    expect(file.sizeBytes).toBe(5)
    expect(openNow()).toEqual([])
    expect(text(file)).toBe('other')
    expect(openNow()).toEqual(['other'])
  })

  it('does not close a descriptor under a flush or read ahead, for all the reads that want one', async () => {
    const { driver } = driverWith(1)
    const file = driver.openFile('file', 'create')
    file.write(Buffer.from('file!'), 0, 5, 0)
    await file.flush()
    const waits = [file.readAhead(0, 5), file.flush(), file.readAhead(0, 5)]
    for (let round = 0; round < 10; round++)
      for (const name of ['other', 'third']) read(driver, name)
    const [ahead] = await Promise.all(waits)
    expect(String(ahead)).toBe('file!')
  })

  it('a file unlinked or replaced while its descriptor was closed stays readable', async () => {
    const { driver } = driverWith(1)
    const other = driver.openFile('other', 'read')
    const third = driver.openFile('third', 'read')
    expect([text(other), text(third)]).toEqual(['other', 'third'])
    await driver.unlink('other')
    driver.openFile('new', 'create').close()
    driver.rename('new', 'third')
    expect([text(other), text(third)]).toEqual(['other', 'third'])
    expect([other.sizeBytes, third.sizeBytes]).toEqual([5, 5])
  })

  it('leaves no descriptor behind when it closes', async () => {
    const { driver, openNow } = driverWith(10)
    const file = driver.openFile('file', 'create')
    const wait = file.flush()
    const other = driver.openFile('other', 'read')
    text(other)
    await driver.unlink('other')
    driver.close()
    await wait
    await vi.waitFor(() => expect(openNow()).toEqual([]))
  })
})

describe('disk driver: more unsynced files than descriptors', () => {
  it('syncs the one written first, at once, when all are taken, and keeps every byte', () => {
    const { driver } = boundedDriver(4)
    const sync = vi.spyOn(fs, 'fdatasyncSync')
    const files = Array.from({ length: 10 }, (_, n) => dirtyFile(driver, `f${n}`))
    expect(sync).toHaveBeenCalledTimes(6)
    expect(files.map((file) => text(file))).toEqual(files.map((file) => file.path))
    sync.mockClear()
    for (const file of files) file.write(Buffer.from('again'), 0, 5, 0)
    expect(sync.mock.calls.length).toBeGreaterThan(5)
    expect(files.every((file) => text(file).startsWith('again'))).toBe(true)
  })

  it('never has more open than its bound', () => {
    const { driver, openNow } = boundedDriver(4)
    for (let n = 0; n < 20; n++) {
      dirtyFile(driver, `f${n}`)
      expect(openNow().length).toBeLessThanOrEqual(4)
    }
  })

  it('syncs in the background from half of the bound on, so that nobody waits', async () => {
    const { driver } = boundedDriver(20)
    const { fdatasync } = fs
    let pendingCount = 0
    const soon = vi.spyOn(fs, 'fdatasync').mockImplementation((descriptor, done) => {
      pendingCount += 1
      fdatasync(descriptor, (error) => {
        pendingCount -= 1
        done(error)
      })
    })
    const now = vi.spyOn(fs, 'fdatasyncSync')
    for (let n = 0; n < 10; n++) dirtyFile(driver, `f${n}`)
    expect(soon).not.toHaveBeenCalled()
    for (let n = 10; n < 60; n++) {
      dirtyFile(driver, `f${n}`)
      await new Promise((resolve) => void setImmediate(resolve))
      // However long the device takes: what the next one finds is not a matter of that.
      await vi.waitFor(() => expect(pendingCount).toBe(0), { interval: 1 })
    }
    expect(soon.mock.calls.length).toBeGreaterThan(10)
    expect(now.mock.calls.length).toBeLessThan(40)
  })

  it('fails the next flush of a file whose sync at once failed: nobody else is told, for good', async () => {
    const { driver } = boundedDriver(2)
    const files = [dirtyFile(driver, 'one'), dirtyFile(driver, 'two')]
    vi.spyOn(fs, 'fdatasyncSync').mockImplementationOnce(() => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' })
    })
    files.push(dirtyFile(driver, 'three'))
    for (const attempt of ['first', 'second']) {
      const flushes = await Promise.allSettled(files.map((file) => file.flush()))
      const failed = flushes.flatMap((flush) =>
        flush.status === 'rejected' ? [flush.reason as unknown] : [],
      )
      expect(failed, attempt).toMatchObject([{ code: 'IO', cause: { code: 'EIO' } }])
    }
  })

  it('fails the flush of a file whose sync in the background fails meanwhile', async () => {
    const { driver } = boundedDriver(4)
    let fail = (): void => undefined
    vi.spyOn(fs, 'fdatasync').mockImplementationOnce((_fd, done) => {
      fail = () => done(Object.assign(new Error('EIO'), { code: 'EIO' }))
    })
    const lost = dirtyFile(driver, 'lost')
    dirtyFile(driver, 'second')
    dirtyFile(driver, 'last') // More than half: 'lost' is being synced.
    const flushed = lost.flush()
    fail()
    await expect(flushed).rejects.toMatchObject({ code: 'IO', cause: { code: 'EIO' } })
  })

  it('takes more descriptors than its bound where nothing can be synced, and works on', () => {
    const { driver, openNow } = boundedDriver(2)
    vi.spyOn(fs, 'fdatasyncSync').mockImplementation(() => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' })
    })
    vi.spyOn(fs, 'fdatasync').mockImplementation(() => undefined)
    const files = Array.from({ length: 5 }, (_, n) => dirtyFile(driver, `f${n}`))
    expect(openNow()).toHaveLength(5)
    expect(files.map((file) => text(file))).toEqual(files.map((file) => file.path))
  })

  it('has few operations hold descriptors at a time, however many are begun', async () => {
    const { driver, openNow } = boundedDriver(8)
    const files = Array.from({ length: 40 }, (_, n) => dirtyFile(driver, `f${n}`))
    let [now, most] = [0, 0]
    const { fdatasync } = fs
    vi.spyOn(fs, 'fdatasync').mockImplementation((fd, done) => {
      most = Math.max(most, ++now)
      fdatasync(fd, (error) => {
        now -= 1
        done(error)
      })
    })
    const flushes = files.map((file) => file.flush())
    const names = files.map(() => driver.flushDirectory(''))
    const reads = files.map((file) => file.readAhead(0, 10))
    expect(openNow().length).toBeLessThanOrEqual(8)
    await Promise.all([...flushes, ...names])
    const ahead = await Promise.all(reads)
    expect(ahead.map(String)).toEqual(files.map((file) => file.path))
    expect(most).toBe(2)
  })

  it('refuses a flush that waits for its turn when its file is closed', async () => {
    const { driver } = boundedDriver(4)
    const files = Array.from({ length: 3 }, (_, n) => dirtyFile(driver, `f${n}`))
    const flushes = Promise.allSettled(files.map((file) => file.flush()))
    files[2]?.close()
    expect((await flushes).map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
    ])
  })

  it('lists and flushes directories where files had taken every descriptor', async () => {
    const { driver } = boundedDriver(Infinity)
    dirtyFile(driver, 'a')
    const none = Object.assign(new Error('EMFILE'), { code: 'EMFILE' })
    vi.spyOn(fs, 'readdirSync').mockImplementationOnce(() => {
      throw none
    })
    const sync = vi.spyOn(fs, 'fdatasyncSync')
    expect(driver.list('')).toContain('a')
    expect(sync).toHaveBeenCalledOnce()
    dirtyFile(driver, 'b')
    vi.spyOn(fs.promises, 'open').mockRejectedValueOnce(none)
    await driver.flushDirectory('')
    expect(sync).toHaveBeenCalledTimes(2)
  })
})

describe('descriptorBounds', () => {
  it.each([
    [256, { maxOpenFiles: 128, maxDescriptors: 128 }],
    [20_000, { maxOpenFiles: 512, maxDescriptors: 10_000 }],
    [1, { maxOpenFiles: 1, maxDescriptors: 1 }],
    [Infinity, { maxOpenFiles: 512, maxDescriptors: Infinity }],
  ])('leaves the application half of %d', (limit, bounds) => {
    expect(descriptorBounds(limit)).toEqual(bounds)
  })
})

/** A driver over an empty directory that may take so many descriptors in all. */
function boundedDriver(maxDescriptors: number): ReturnType<typeof driverWith> {
  return driverWith(Math.min(maxDescriptors, 100), maxDescriptors)
}

function dirtyFile(driver: StorageDriver, path: string): StorageFile {
  const file = driver.openFile(path, 'create')
  file.write(Buffer.from(path), 0, path.length, 0)
  return file
}

type Three = [PooledDescriptor, PooledDescriptor, PooledDescriptor]

function poolOf(
  maxOpenFiles: number,
  count: number,
): { pool: FileDescriptorPool; descriptors: Three } {
  const directory = temporaryDirectory()
  const pool = new FileDescriptorPool({ maxOpenFiles, maxDescriptors: Infinity })
  const descriptors = Array.from({ length: count }, (_, number) => {
    const path = join(directory, String(number))
    fs.writeFileSync(path, '')
    return new PooledDescriptor(pool, { open: () => fs.openSync(path, 'r') })
  })
  onTestFinished(() => {
    for (const descriptor of descriptors) descriptor.close(false)
  })
  return { pool, descriptors: descriptors as Three } // as many as the test names
}

/** A driver over files 'other' and 'third', and which of its files are open now. */
function driverWith(
  maxOpenFiles: number,
  maxDescriptors: number = Infinity,
): {
  driver: StorageDriver
  openNow: () => readonly string[]
} {
  const directory = temporaryDirectory()
  for (const name of ['other', 'third']) fs.writeFileSync(join(directory, name), name)
  const numbers = new Map<number, string>()
  const { openSync, closeSync } = fs
  vi.spyOn(fs, 'openSync').mockImplementation((path, ...rest) => {
    const fd = openSync(path, ...rest)
    numbers.set(fd, String(path).slice(directory.length + 1))
    return fd
  })
  vi.spyOn(fs, 'closeSync').mockImplementation((fd) => {
    numbers.delete(fd)
    closeSync(fd)
  })
  const { close } = fs
  vi.spyOn(fs, 'close').mockImplementation((fd, done) => {
    numbers.delete(fd)
    close(fd, done)
  })
  const driver = openDiskDriver(directory, { descriptors: { maxOpenFiles, maxDescriptors } })
  onTestFinished(() => driver.close())
  return { driver, openNow: () => [...numbers.values()] }
}

function read(driver: StorageDriver, path: string): void {
  const file = driver.openFile(path, 'read')
  expect(text(file)).toBe(path)
  onTestFinished(() => file.close())
}

function text(file: StorageFile): string {
  const target = Buffer.alloc(64)
  return target.toString('utf8', 0, file.read(target, 0, 64, 0))
}
