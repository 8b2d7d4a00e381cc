/**
 * The disk driver: the contract, then what only a disk has: permissions, links, other processes,
 * failing system calls. Failures are injected into `node:fs`, for a test may run as root.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { LogError, type LogErrorCode } from '../../src/errors/log-error.ts'
import {
  type DiskDriverOptions,
  diskSyncMethod,
  openDiskDriver,
} from '../../src/storage/disk-driver.ts'
import { errorCodeOf } from '../../src/storage/file-failure.ts'
import type { NativeBinding } from '../../src/storage/native-binding.ts'
import type { StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { pretendPermissionModel } from '../support/permission-model.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { storageDriverContract } from './storage-driver-contract.ts'

/** What the native binding is to the driver in the test that runs. */
const native = vi.hoisted(() => ({
  isAbsent: false,
  allocate: undefined as NativeBinding['allocate'] | undefined, // `as`: set by single tests
}))
vi.mock('../../src/storage/native-binding.ts', async (importOriginal) => {
  const { nativeBinding } = await importOriginal<{ nativeBinding(): NativeBinding | null }>()
  return {
    nativeBinding: () => {
      const { isAbsent, allocate } = native
      return isAbsent ? null : allocate === undefined ? nativeBinding() : { allocate }
    },
  }
})
afterEach(() => {
  native.isAbsent = false
  native.allocate = undefined
})

storageDriverContract('disk driver', () => openDiskDriver(temporaryDirectory()))
storageDriverContract('disk driver without the native binding', () => {
  native.isAbsent = true
  return openDiskDriver(temporaryDirectory())
})
storageDriverContract('disk driver with one descriptor', () =>
  openDiskDriver(temporaryDirectory(), { descriptors: { maxOpenFiles: 1 } }),
)

storageDriverContract("disk driver under Node's permission model", () => {
  native.isAbsent = true
  pretendPermissionModel()
  return openDiskDriver(temporaryDirectory())
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe('disk driver: the file system', () => {
  it('makes files and directories that only their owner can use', () => {
    const { driver, directory } = opened()
    driver.createDirectory('d')
    driver.openFile('d/a', 'create')
    expect(fs.statSync(join(directory, 'd')).mode & 0o777).toBe(0o700)
    expect(fs.statSync(join(directory, 'd/a')).mode & 0o777).toBe(0o600)
  })

  it('refuses a symbolic link in place of a file, and says that it is one', () => {
    const { driver, directory } = opened()
    fs.writeFileSync(join(directory, 'a'), 'hello')
    fs.symlinkSync('a', join(directory, 'link'))
    fs.symlinkSync('nowhere', join(directory, 'dangling'))
    for (const mode of ['read', 'write'] as const)
      expectFailure(() => driver.openFile('link', mode), 'IO', 'ELOOP')
    expectFailure(() => driver.openFile('dangling', 'create'), 'IO', 'EEXIST')
    expect(driver.status('link')?.kind).toBe('other')
  })

  it('looks at many files of a directory at once: which each is, and how long', () => {
    const { driver, directory } = opened()
    driver.createDirectory('a')
    for (const [at, name] of ['1', '2', '3'].entries()) {
      driver.openFile(`a/${name}`, 'create').write(Buffer.alloc(at, 7), 0, at, 0)
    }
    const found = driver.look?.('a', ['1', '2', '3']) ?? []
    expect(found.map((look) => look?.sizeBytes)).toEqual([0, 1, 2])
    expect(found[2]?.fileId).toBe(driver.openFile('a/3', 'read').fileId)
    driver.createDirectory('a/5')
    fs.symlinkSync('1', join(directory, 'a/link'))
    expect(driver.look?.('a', ['4', '5', 'link'])).toEqual([undefined, undefined, undefined])
    expectFailure(() => driver.look?.('a', ['n'.repeat(300)]), 'IO', 'ENAMETOOLONG')
    fs.symlinkSync('a', join(directory, 'b'))
    expectFailure(() => driver.look?.('b', ['1']), 'IO', 'ELOOP')
    expect(() => driver.look?.('a', ['..'])).toThrow('no "." or ".."')
    expect(() => driver.look?.('', ['a/1'])).toThrow('names in the directory itself')
    driver.close()
  })

  it('reaches its root through a symbolic link', () => {
    const directory = temporaryDirectory()
    fs.mkdirSync(join(directory, 'real'))
    fs.symlinkSync('real', join(directory, 'link'))
    const { driver } = opened({}, join(directory, 'link'))
    write(driver.openFile('a', 'create'), 'x')
    expect(driver.status('')?.kind).toBe('directory')
    expect(fs.readFileSync(join(directory, 'real/a'), 'utf8')).toBe('x')
  })

  it('sees what another process wrote to a file it has open to read', () => {
    const { driver, directory } = opened()
    fs.writeFileSync(join(directory, 'a'), 'one')
    const file = driver.openFile('a', 'read')
    expect([file.sizeBytes, text(file)]).toEqual([3, 'one'])
    fs.appendFileSync(join(directory, 'a'), 'two')
    expect([file.sizeBytes, text(file)]).toEqual([6, 'onetwo'])
  })

  it('trusts its own count of bytes only while it has the file open for writing', () => {
    const { driver, directory } = opened()
    const writer = write(driver.openFile('a', 'create'), 'one')
    const reader = driver.openFile('a', 'read')
    writer.close()
    fs.appendFileSync(join(directory, 'a'), 'two')
    expect(reader.sizeBytes).toBe(6)
    expect(driver.openFile('a', 'write').sizeBytes).toBe(6)
  })

  it('refuses a file that was replaced behind its back instead of reading another', () => {
    const { driver, directory } = opened({ descriptors: { maxOpenFiles: 1 } })
    fs.writeFileSync(join(directory, 'a'), 'old')
    fs.writeFileSync(join(directory, 'b'), 'other')
    const file = driver.openFile('a', 'read')
    expect(text(file)).toBe('old')
    expect(text(driver.openFile('b', 'read'))).toBe('other') // Takes the only descriptor.
    fs.writeFileSync(join(directory, 'c'), 'new')
    fs.renameSync(join(directory, 'c'), join(directory, 'a'))
    expectFailure(() => text(file), 'IO', 'ESTALE')
    expect(text(driver.openFile('a', 'read'))).toBe('new')
  })

  it('creates a missing root with what is missing above it, and makes those names durable', async () => {
    const directory = temporaryDirectory()
    const { driver } = opened({}, join(directory, 'x/y/data'))
    expect(driver.status('')).toBeUndefined()
    driver.createDirectory('')
    const openDirectory = vi.spyOn(fs.promises, 'open')
    await driver.flushDirectory('')
    await driver.flushDirectory('')
    const flushed = openDirectory.mock.calls.map(([path]) => String(path))
    const data = join(directory, 'x/y/data')
    expect(flushed).toEqual([data, join(directory, 'x/y'), join(directory, 'x'), directory, data])
  })

  it('does not fail when the directory above the root may not be read', async () => {
    const { driver, directory } = opened()
    const { open } = fs.promises
    vi.spyOn(fs.promises, 'open').mockImplementation((path, ...rest) =>
      path === directory ? open(path, ...rest) : Promise.reject(systemError('EACCES')),
    )
    await expect(driver.flushDirectory('')).resolves.toBeUndefined()
  })

  it('takes a directory that cannot be synced for what the platform can do', async () => {
    const { driver } = opened()
    const handle = {
      sync: () => Promise.reject(systemError('EINVAL')),
      close: () => Promise.resolve(),
    }
    // `as`: all that the driver uses of a handle.
    const asHandle = handle as unknown as fs.promises.FileHandle
    vi.spyOn(fs.promises, 'open').mockResolvedValue(asHandle)
    await driver.flushDirectory('')
    handle.sync = () => Promise.reject(systemError('EIO'))
    await expect(driver.flushDirectory('')).rejects.toSatisfy((error) => LogError.is(error, 'IO'))
  })

  it('syncs with F_FULLFSYNC on macOS and fdatasync elsewhere', () => {
    expect(diskSyncMethod('darwin')).toBe('fullfsync')
    expect(diskSyncMethod('linux')).toBe('fdatasync')
  })
})

describe('disk driver: failures', () => {
  it('loops on short counts until all bytes are written and read', () => {
    const { driver } = opened()
    const { writeSync, readSync } = fs
    vi.spyOn(fs, 'writeSync').mockImplementation(takingAtMost(2, writeSync))
    vi.spyOn(fs, 'readSync').mockImplementation(takingAtMost(3, readSync))
    const file = write(driver.openFile('a', 'create'), 'hello, world')
    expect(text(file)).toBe('hello, world')
  })

  it('retries interrupted calls, but not for ever', () => {
    const { driver } = opened()
    const file = driver.openFile('a', 'create')
    const spy = vi.spyOn(fs, 'writeSync')
    spy.mockImplementationOnce(() => raise('EINTR')).mockImplementationOnce(() => raise('EAGAIN'))
    write(file, 'hello')
    expect(spy).toHaveBeenCalledTimes(3)
    vi.spyOn(fs, 'readSync').mockImplementationOnce(() => raise('EINTR'))
    expect(text(file)).toBe('hello')
    spy.mockImplementation(() => raise('EINTR'))
    expectFailure(() => write(file, 'x'), 'IO', 'EINTR')
    spy.mockImplementation(() => 0)
    expectFailure(() => write(file, 'x'), 'IO', 'EIO')
  })

  it.each(['ENOSPC', 'EDQUOT', 'EFBIG'])(
    'a write that meets %s is NO_SPACE with the file, and its part counts',
    (code) => {
      const { driver, directory } = opened()
      const file = driver.openFile('a', 'create')
      const { writeSync } = fs
      vi.spyOn(fs, 'writeSync')
        .mockImplementationOnce(takingAtMost(3, writeSync))
        .mockImplementationOnce(() => raise(code))
      const error = expectFailure(() => write(file, 'hello'), 'NO_SPACE', code)
      expect(error.details).toEqual({ file: join(directory, 'a') })
      expect(error.retriable).toBe(true)
      expect([file.sizeBytes, text(file)]).toEqual([3, 'hel'])
      file.resize(0)
      write(file, 'again')
      expect(text(file)).toBe('again')
    },
  )

  it('a growth that meets a full disk while allocating leaves the size as it was', () => {
    const { driver, directory } = opened()
    const file = write(driver.openFile('a', 'create'), 'hello')
    native.allocate = () => {
      fs.truncateSync(join(directory, 'a'), 1_000)
      return 'full'
    }
    expectFailure(() => file.resize(100_000), 'NO_SPACE', 'ENOSPC')
    expect([file.sizeBytes, driver.status('a')?.sizeBytes]).toEqual([5, 5])
  })

  it('a growth goes on without allocating where the file system cannot', () => {
    const { driver } = opened()
    const file = write(driver.openFile('a', 'create'), 'hello')
    native.allocate = () => 'unsupported'
    file.resize(100_000)
    expect([file.sizeBytes, driver.status('a')?.sizeBytes]).toEqual([100_000, 100_000])
  })

  it('a growth that fails leaves the size as it was, even where the file system kept a part', () => {
    native.isAbsent = true
    const { driver } = opened()
    const file = write(driver.openFile('a', 'create'), 'hello')
    const { ftruncateSync } = fs
    vi.spyOn(fs, 'ftruncateSync').mockImplementationOnce((fd) => {
      ftruncateSync(fd, 1_000)
      raise('ENOSPC')
    })
    expectFailure(() => file.resize(100_000), 'NO_SPACE', 'ENOSPC')
    expect([file.sizeBytes, driver.status('a')?.sizeBytes]).toEqual([5, 5])
  })

  it.each(['EACCES', 'EPERM', 'EROFS'])(
    '%s is READ_ONLY when opening to write or creating, IO otherwise',
    async (code) => {
      const { driver, directory } = opened()
      fs.writeFileSync(join(directory, 'a'), 'x')
      const file = driver.openFile('a', 'read')
      vi.spyOn(fs, 'openSync').mockImplementation(() => raise(code))
      vi.spyOn(fs, 'mkdirSync').mockImplementation(() => raise(code))
      vi.spyOn(fs, 'renameSync').mockImplementation(() => raise(code))
      const error = expectFailure(() => driver.openFile('b', 'create'), 'READ_ONLY', code)
      expect(error.details).toEqual({ file: join(directory, 'b') })
      expectFailure(() => driver.openFile('a', 'write'), 'READ_ONLY', code)
      expectFailure(() => driver.createDirectory('d'), 'READ_ONLY', code)
      expectFailure(() => text(file), 'IO', code)
      expectFailure(() => driver.rename('a', 'b'), 'IO', code)
    },
  )

  it('a failed sync or read ahead rejects with IO, the file and the cause', async () => {
    const { driver, directory } = opened()
    const file = write(driver.openFile('a', 'create'), 'hello')
    vi.spyOn(fs, 'fdatasync').mockImplementationOnce((_fd, done) => done(systemError('EIO')))
    const failure = await file.flush().catch((error: unknown) => error)
    expect(LogError.is(failure, 'IO') && failure.details).toEqual({ file: join(directory, 'a') })
    vi.spyOn(fs, 'read').mockImplementationOnce(failingRead('EIO'))
    await expect(file.readAhead(0, 5)).rejects.toSatisfy((error) => LogError.is(error, 'IO'))
    expect((await file.readAhead(0, 5)).toString()).toBe('hello')
  })

  it('a failed unlink or rename leaves names and open files as they were', async () => {
    const { driver } = opened()
    const file = write(driver.openFile('a', 'create'), 'hello')
    write(driver.openFile('b', 'create'), 'other')
    vi.spyOn(fs.promises, 'unlink').mockRejectedValueOnce(systemError('EPERM'))
    await expect(driver.unlink('a')).rejects.toSatisfy((error) => LogError.is(error, 'IO'))
    vi.spyOn(fs, 'renameSync').mockImplementationOnce(() => raise('EIO'))
    expectFailure(() => driver.rename('b', 'a'), 'IO', 'EIO')
    const second = driver.openFile('a', 'write')
    second.write(Buffer.from('!'), 0, 1, 5)
    expect([file.path, file.sizeBytes, text(file)]).toEqual(['a', 6, 'hello!'])
  })
})

function opened(
  options: DiskDriverOptions = {},
  directory: string = temporaryDirectory(),
): { driver: StorageDriver; directory: string } {
  const driver = openDiskDriver(directory, options)
  onTestFinished(() => driver.close())
  return { driver, directory }
}

function write(file: StorageFile, content: string): StorageFile {
  file.write(Buffer.from(content), 0, Buffer.byteLength(content), 0)
  return file
}

function text(file: StorageFile): string {
  const target = Buffer.alloc(64)
  return target.toString('utf8', 0, file.read(target, 0, 64, 0))
}

/** `call`, `readSync` or `writeSync`, which does no more than `mostBytes` at once. */
function takingAtMost<T extends typeof fs.readSync | typeof fs.writeSync>(
  mostBytes: number,
  call: T,
): T {
  type Positioned = (
    fd: number,
    bytes: Uint8Array,
    start: number,
    byteLength: number,
    position: number,
  ) => number
  const positioned = call as Positioned // `as`: the one overload that the driver uses.
  const limited: Positioned = (fd, bytes, start, byteLength, position) =>
    positioned(fd, bytes, start, Math.min(byteLength, mostBytes), position)
  return limited as T // `as`: the same overload.
}

function failingRead(code: string): typeof fs.read {
  const stub = (...args: readonly unknown[]): void => {
    const done = args.at(-1) as (error: Error) => void // `as`: the callback comes last.
    done(systemError(code))
  }
  return stub as typeof fs.read // `as`: it serves every overload.
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code })
}

function raise(code: string): never {
  throw systemError(code)
}

function expectFailure(call: () => unknown, code: LogErrorCode, cause: string): LogError {
  const error = thrownBy(call)
  if (!LogError.is(error)) throw new Error('no LogError was thrown', { cause: error })
  expect([error.code, errorCodeOf(error.cause)]).toEqual([code, cause])
  return error
}

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
