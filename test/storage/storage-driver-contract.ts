/**
 * The contract of storage-driver.ts as a suite, run over every driver: what one of them does, all
 * do. Plain tests say what is promised, one by one; the model-based one looks for what nobody
 * thought of, against a map of paths.
 */
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { errorCodeOf } from '../../src/storage/file-failure.ts'
import type { StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { fileIdentityContract } from './file-identity-contract.ts'
import { runStorageModel, storageModelCommands } from './storage-driver-model.ts'

/** Runs the suite; `open` gives a fresh driver over an existing, empty directory. */
export function storageDriverContract(name: string, open: () => StorageDriver): void {
  const openForTest = (): StorageDriver => {
    const driver = open()
    onTestFinished(() => driver.close())
    return driver
  }
  describe(`${name}: files`, () => {
    fileContract(openForTest)
  })
  describe(`${name}: names`, () => {
    nameContract(openForTest)
  })
  describe(`${name}: which file it is`, () => {
    fileIdentityContract(openForTest)
  })
  describe(`${name}: open files outlive their names`, () => {
    openFileContract(openForTest)
  })
  it(`${name}: any history gives what a map of paths gives`, async () => {
    const histories = fc.assert(
      fc.asyncProperty(storageModelCommands, async (commands) => {
        const driver = open()
        try {
          await runStorageModel(driver, commands)
        } finally {
          for (const child of driver.list('')) await removeAny(driver, child)
          driver.close()
        }
      }),
    )
    await expect(histories).resolves.toBeUndefined()
  })
}

function fileContract(open: () => StorageDriver): void {
  it('a created file is empty, and holds what was written to it', () => {
    const file = open().openFile('a', 'create')
    expect(file.sizeBytes).toBe(0)
    file.write(Buffer.from('..hello..'), 2, 5, 0)
    expect(file.sizeBytes).toBe(5)
    expect(contentOf(file)).toBe('hello')
  })

  it('read stops at the end of the file and leaves the rest of the target alone', () => {
    const file = written(open(), 'a', 'hello')
    const target = Buffer.from('--------')
    expect(file.read(target, 2, 6, 3)).toBe(2)
    expect(target.toString()).toBe('--lo----')
    expect(file.read(target, 0, 8, 5)).toBe(0)
    expect(file.read(target, 0, 8, 500)).toBe(0)
    expect(file.read(target, 0, 0, 0)).toBe(0)
  })

  it('a write past the end leaves zeros in between', () => {
    const file = open().openFile('a', 'create')
    file.write(Buffer.from('x'), 0, 1, 200_000)
    expect(file.sizeBytes).toBe(200_001)
    const target = Buffer.alloc(200_001, 0xff)
    expect(file.read(target, 0, 200_001, 0)).toBe(200_001)
    expect(target.subarray(0, 200_000).every((byte) => byte === 0)).toBe(true)
    expect(target[200_000]).toBe('x'.charCodeAt(0))
  })

  it('resize grows with zeros, and what was cut does not come back', () => {
    const file = written(open(), 'a', 'hello')
    file.resize(2)
    expect(file.sizeBytes).toBe(2)
    file.resize(100_000)
    expect(file.sizeBytes).toBe(100_000)
    const target = Buffer.alloc(100_000, 0xff)
    file.read(target, 0, 100_000, 0)
    expect(target.subarray(0, 2).toString()).toBe('he')
    expect(target.subarray(2).every((byte) => byte === 0)).toBe(true)
  })

  it('bytes handed in may be changed afterwards, as may bytes handed out', async () => {
    const file = open().openFile('a', 'create')
    const source = Buffer.from('hello')
    file.write(source, 0, 5, 0)
    source.fill(0)
    const ahead = await file.readAhead(0, 5)
    ahead.fill(0)
    expect(contentOf(file)).toBe('hello')
  })

  it('readAhead is shorter than asked only at the end, and owns its whole ArrayBuffer', async () => {
    const file = written(open(), 'a', 'hello')
    const ahead = await file.readAhead(1, 1_000)
    expect(ahead.toString()).toBe('ello')
    expect(ahead.buffer.byteLength).toBe(4)
    expect((await file.readAhead(5, 10)).byteLength).toBe(0)
    expect((await file.readAhead(500, 10)).byteLength).toBe(0)
  })

  it('two files of one path see the same bytes and size at once', () => {
    const driver = open()
    const writer = driver.openFile('a', 'create')
    const reader = driver.openFile('a', 'read')
    const secondWriter = driver.openFile('a', 'write')
    writer.write(Buffer.from('one'), 0, 3, 0)
    expect([reader.sizeBytes, secondWriter.sizeBytes]).toEqual([3, 3])
    secondWriter.write(Buffer.from('two'), 0, 3, 3)
    expect([reader.sizeBytes, writer.sizeBytes]).toEqual([6, 6])
    expect(contentOf(reader)).toBe('onetwo')
    writer.close()
    secondWriter.resize(4)
    expect(reader.sizeBytes).toBe(4)
    secondWriter.close()
    expect(contentOf(reader)).toBe('onet')
  })

  it('flush resolves for a file just created, written, or opened to read', async () => {
    const driver = open()
    const file = driver.openFile('a', 'create')
    await expect(file.flush()).resolves.toBeUndefined()
    file.write(Buffer.from('x'), 0, 1, 0)
    await expect(Promise.all([file.flush(), file.flush()])).resolves.toHaveLength(2)
    await expect(driver.openFile('a', 'read').flush()).resolves.toBeUndefined()
    await expect(driver.flushDirectory('')).resolves.toBeUndefined()
  })

  it('a closed file takes a second close and nothing else', async () => {
    const file = written(open(), 'a', 'x')
    file.close()
    file.close()
    expect(() => file.read(Buffer.alloc(1), 0, 1, 0)).toThrow(InvariantError)
    expect(() => file.write(Buffer.alloc(1), 0, 1, 0)).toThrow(InvariantError)
    expect(() => file.resize(0)).toThrow(InvariantError)
    expect(() => file.sizeBytes).toThrow(InvariantError)
    await expect(file.flush()).rejects.toThrow(InvariantError)
    await expect(file.readAhead(0, 1)).rejects.toThrow(InvariantError)
  })

  it('a file closed while it is flushed or read ahead still gives both their result', async () => {
    const file = written(open(), 'a', 'hello')
    const waits = Promise.all([file.flush(), file.readAhead(0, 5)])
    file.close()
    expect((await waits)[1].toString()).toBe('hello')
  })

  it('a file opened to read cannot be written', () => {
    const driver = open()
    written(driver, 'a', 'x').close()
    const file = driver.openFile('a', 'read')
    expect(() => file.write(Buffer.alloc(1), 0, 1, 0)).toThrow(InvariantError)
    expect(() => file.resize(0)).toThrow(InvariantError)
  })

  it("ranges outside the caller's own bytes are refused", () => {
    const file = written(open(), 'a', 'hello')
    expect(() => file.write(Buffer.alloc(2), 1, 2, 0)).toThrow(InvariantError)
    expect(() => file.write(Buffer.alloc(2), 0, 1, -1)).toThrow(InvariantError)
    expect(() => file.read(Buffer.alloc(2), 1, 2, 0)).toThrow(InvariantError)
    expect(() => file.resize(1.5)).toThrow(InvariantError)
    expect(contentOf(file)).toBe('hello')
  })

  it('closing the driver closes its files, twice without complaint', () => {
    const driver = open()
    const file = written(driver, 'a', 'x')
    driver.close()
    driver.close()
    expect(() => file.read(Buffer.alloc(1), 0, 1, 0)).toThrow(InvariantError)
    expect(() => driver.list('')).toThrow(InvariantError)
  })
}

function nameContract(open: () => StorageDriver): void {
  it('creating what exists is IO with cause EEXIST and changes nothing', () => {
    const driver = open()
    written(driver, 'a', 'hello').close()
    driver.createDirectory('d')
    expectSystemError(() => driver.openFile('a', 'create'), 'EEXIST')
    expectSystemError(() => driver.openFile('d', 'create'), 'EEXIST')
    expectSystemError(() => driver.createDirectory('d'), 'EEXIST')
    expectSystemError(() => driver.createDirectory('a'), 'EEXIST')
    expect(contentOf(driver.openFile('a', 'read'))).toBe('hello')
  })

  it('opening what is missing is IO with cause ENOENT', () => {
    const driver = open()
    expectSystemError(() => driver.openFile('a', 'read'), 'ENOENT')
    expectSystemError(() => driver.openFile('a', 'write'), 'ENOENT')
    expectSystemError(() => driver.openFile('d/a', 'create'), 'ENOENT')
    expectSystemError(() => driver.createDirectory('d/e'), 'ENOENT')
    expectSystemError(() => driver.rename('a', 'b'), 'ENOENT')
    expectSystemError(() => driver.list('d'), 'ENOENT')
    expect(driver.list('')).toEqual([])
  })

  it('a directory cannot be opened as a file', () => {
    const driver = open()
    driver.createDirectory('d')
    expectSystemError(() => driver.openFile('d', 'read'), 'EISDIR')
    expectSystemError(() => driver.openFile('d', 'write'), 'EISDIR')
    expect(driver.list('d')).toEqual([])
  })

  it('status tells files from directories, with size, and undefined for nothing', () => {
    const driver = open()
    driver.createDirectory('d')
    written(driver, 'd/a', 'hello').close()
    expect(driver.status('')?.kind).toBe('directory')
    expect(driver.status('d')?.kind).toBe('directory')
    expect(driver.status('d/a')).toMatchObject({ kind: 'file', sizeBytes: 5 })
    expect(Number.isInteger(driver.status('d/a')?.modifiedMs)).toBe(true)
    expect(driver.status('b')).toBeUndefined()
    expect(driver.status('e/a')).toBeUndefined()
    expect(driver.status('d/a/b')).toBeUndefined()
  })

  it('list sorts by code unit', () => {
    const driver = open()
    for (const name of ['b', 'B', 'a-10', 'a-2', 'é', '.lock'])
      driver.openFile(name, 'create').close()
    expect(driver.list('')).toEqual(['.lock', 'B', 'a-10', 'a-2', 'b', 'é'])
  })

  it('rename replaces a file, and moves a directory with all it holds', () => {
    const driver = open()
    driver.createDirectory('d')
    written(driver, 'd/a', 'new').close()
    written(driver, 'b', 'old').close()
    driver.rename('d/a', 'b')
    expect(contentOf(driver.openFile('b', 'read'))).toBe('new')
    expect(driver.list('d')).toEqual([])
    written(driver, 'd/c', 'inside').close()
    driver.rename('d', 'e')
    expect(driver.list('')).toEqual(['b', 'e'])
    expect(contentOf(driver.openFile('e/c', 'read'))).toBe('inside')
  })

  it('rename onto itself changes nothing', () => {
    const driver = open()
    const file = written(driver, 'a', 'x')
    driver.rename('a', 'a')
    expect(contentOf(file)).toBe('x')
    expect(driver.list('')).toEqual(['a'])
  })

  it('rename refuses a directory in the way of a file, and a full one in the way of a directory', () => {
    const driver = open()
    driver.createDirectory('d')
    driver.createDirectory('e')
    written(driver, 'd/a', 'x').close()
    written(driver, 'b', 'y').close()
    expectSystemError(() => driver.rename('b', 'd'), 'EISDIR')
    expectSystemError(() => driver.rename('e', 'd'), 'ENOTEMPTY')
    expectSystemError(() => driver.rename('d', 'b'), 'ENOTDIR')
    expectSystemError(() => driver.rename('d', 'd/f'), 'EINVAL')
    expect(driver.list('')).toEqual(['b', 'd', 'e'])
    expect(contentOf(driver.openFile('d/a', 'read'))).toBe('x')
  })

  it('unlink removes a file and nothing else', async () => {
    const driver = open()
    driver.createDirectory('d')
    written(driver, 'a', 'x').close()
    await driver.unlink('a')
    expect(driver.list('')).toEqual(['d'])
    await expect(driver.unlink('a')).rejects.toSatisfy((error) => LogError.is(error, 'IO'))
    await expect(driver.unlink('d')).rejects.toSatisfy((error) => LogError.is(error, 'IO'))
    expect(driver.list('')).toEqual(['d'])
  })

  it('removeDirectory takes all below it, and nothing there is no error', async () => {
    const driver = open()
    driver.createDirectory('d')
    driver.createDirectory('d/e')
    written(driver, 'd/e/a', 'x').close()
    written(driver, 'a', 'y').close()
    await driver.removeDirectory('d')
    await driver.removeDirectory('d')
    expect(driver.list('')).toEqual(['a'])
    await expect(driver.removeDirectory('a')).rejects.toSatisfy((error) => LogError.is(error, 'IO'))
    expect(driver.list('')).toEqual(['a'])
  })

  it('flushDirectory of what is no directory is IO', async () => {
    const driver = open()
    await expect(driver.flushDirectory('d')).rejects.toSatisfy((error) => LogError.is(error, 'IO'))
  })

  it('createDirectory of the root is no error where it exists', () => {
    const driver = open()
    driver.createDirectory('')
    expect(driver.status('')?.kind).toBe('directory')
  })

  it('a path that leads out of the directory is refused', () => {
    const driver = open()
    for (const path of ['/a', '../a', 'd/../../a', './a', 'd//a', 'd/', 'd\\a', 'a\0b']) {
      expect(() => driver.openFile(path, 'create')).toThrow(InvariantError)
      expect(() => driver.status(path)).toThrow(InvariantError)
    }
  })
}

function openFileContract(open: () => StorageDriver): void {
  it('path follows renames of the file and of a directory above it', () => {
    const driver = open()
    driver.createDirectory('d')
    const file = written(driver, 'd/a', 'x')
    driver.rename('d/a', 'd/b')
    expect(file.path).toBe('d/b')
    driver.rename('d', 'e')
    expect(file.path).toBe('e/b')
    file.write(Buffer.from('y'), 0, 1, 1)
    expect(contentOf(driver.openFile('e/b', 'read'))).toBe('xy')
    expect(contentOf(file)).toBe('xy')
  })

  it('an unlinked file stays readable and writable, apart from a new one of its name', async () => {
    const driver = open()
    const old = written(driver, 'a', 'old')
    await driver.unlink('a')
    const fresh = written(driver, 'a', 'fresh!')
    old.write(Buffer.from('er'), 0, 2, 3)
    expect(contentOf(old)).toBe('older')
    expect(contentOf(fresh)).toBe('fresh!')
    old.close()
    expect(contentOf(driver.openFile('a', 'read'))).toBe('fresh!')
  })

  it('a replaced file stays readable by whoever has it open', () => {
    const driver = open()
    written(driver, 'a', 'old').close()
    const old = driver.openFile('a', 'read')
    const fresh = written(driver, 'a.tmp', 'fresh')
    driver.rename('a.tmp', 'a')
    expect(contentOf(old)).toBe('old')
    expect(fresh.path).toBe('a')
    expect(contentOf(driver.openFile('a', 'read'))).toBe('fresh')
  })

  it('a file in a removed directory stays readable', async () => {
    const driver = open()
    driver.createDirectory('d')
    written(driver, 'd/a', 'x').close()
    const file = driver.openFile('d/a', 'read')
    await driver.removeDirectory('d')
    expect(contentOf(file)).toBe('x')
    expect(driver.status('d/a')).toBeUndefined()
  })
}

function written(driver: StorageDriver, path: string, text: string): StorageFile {
  const file = driver.openFile(path, 'create')
  file.write(Buffer.from(text), 0, Buffer.byteLength(text), 0)
  return file
}

function contentOf(file: StorageFile): string {
  const target = Buffer.alloc(file.sizeBytes)
  expect(file.read(target, 0, target.byteLength, 0)).toBe(target.byteLength)
  return target.toString()
}

function expectSystemError(call: () => unknown, code: string): void {
  const error = thrownBy(call)
  expect(LogError.is(error, 'IO') && errorCodeOf(error.cause)).toBe(code)
}

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}

async function removeAny(driver: StorageDriver, path: string): Promise<void> {
  if (driver.status(path)?.kind === 'directory') await driver.removeDirectory(path)
  else await driver.unlink(path)
}
