/** A driver that reads: everything else is a bug, and the directory stays as it is. */
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { errorCodeOf } from '../../src/storage/file-failure.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { readOnlyDriver } from '../../src/storage/read-only-driver.ts'
import type { StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

interface Opened {
  readonly writing: StorageDriver
  readonly reading: StorageDriver
}

function onDisk(): Opened {
  const directory = temporaryDirectory()
  const descriptors = { maxOpenFiles: 1 }
  const reading = openDiskDriver(directory, { readOnly: true, descriptors })
  return { writing: openDiskDriver(directory), reading }
}

function inMemory(): Opened {
  const writing = openMemoryDriver()
  return { writing, reading: readOnlyDriver(writing) }
}

function opened(open: () => Opened): Opened {
  const both = open()
  onTestFinished(() => {
    both.reading.close()
    both.writing.close()
  })
  return both
}

function write(driver: StorageDriver, path: string, text: string): void {
  const file = driver.openFile(path, 'create')
  file.write(Buffer.from(text), 0, text.length, 0)
  file.close()
}

function textOf(file: StorageFile): string {
  const bytes = Buffer.alloc(file.sizeBytes)
  return bytes.toString('latin1', 0, file.read(bytes, 0, bytes.length, 0))
}

function causeOf(call: () => unknown): string | undefined {
  try {
    call()
  } catch (error) {
    return LogError.is(error, 'IO') ? errorCodeOf(error.cause) : String(error)
  }
  return undefined
}

describe.each([
  ['disk', onDisk],
  ['memory', inMemory],
])('a read-only driver over %s', (kind, open) => {
  it('reads what another one has written, and sees what it writes', async () => {
    const { writing, reading } = opened(open)
    expect([reading.kind, reading.volatile]).toEqual([kind, kind === 'memory'])
    writing.createDirectory('d')
    write(writing, 'd/a', 'one')
    write(writing, 'd/b', 'two')
    expect(reading.list('d')).toEqual(['a', 'b'])
    expect(reading.status('d/a')).toEqual(writing.status('d/a'))
    const file = reading.openFile('d/a', 'read')
    expect(textOf(file)).toBe('one')
    const appending = writing.openFile('d/a', 'write')
    appending.write(Buffer.from('more'), 0, 4, 3)
    expect(textOf(file)).toBe('onemore')
    expect((await file.readAhead(3, 9)).toString()).toBe('more')
  })

  it('refuses whatever would change something, before it does', async () => {
    const { writing, reading } = opened(open)
    writing.createDirectory('d')
    write(writing, 'd/a', 'one')
    expect(() => reading.openFile('d/a', 'write')).toThrow(InvariantError)
    expect(() => reading.openFile('d/new', 'create')).toThrow(InvariantError)
    expect(() => reading.createDirectory('e')).toThrow(InvariantError)
    expect(() => reading.createDirectory('')).toThrow(InvariantError)
    expect(() => reading.rename('d/a', 'd/b')).toThrow(InvariantError)
    await expect(reading.unlink('d/a')).rejects.toThrow(InvariantError)
    await expect(reading.removeDirectory('d')).rejects.toThrow(InvariantError)
    await expect(reading.flushDirectory('d')).rejects.toThrow(InvariantError)
    const file = reading.openFile('d/a', 'read')
    expect(() => file.write(Buffer.from('x'), 0, 1, 0)).toThrow(InvariantError)
    expect(() => file.resize(0)).toThrow(InvariantError)
    expect(reading.link?.('d/a', writing, 'd/b') ?? false).toBe(false)
    expect([writing.list(''), writing.list('d')]).toEqual([['d'], ['a']])
    expect(textOf(file)).toBe('one')
  })
})

describe('a file that is followed, and whose descriptor was given back', () => {
  it('is never another one that has its name by now: ESTALE, or ENOENT without one', async () => {
    const { writing, reading } = opened(onDisk)
    write(writing, 'a', 'old')
    write(writing, 'b', 'other')
    const [replaced, other] = [reading.openFile('a', 'read'), reading.openFile('b', 'read')]
    expect([textOf(replaced), textOf(other)]).toEqual(['old', 'other']) // One descriptor for both.
    write(writing, 'c', 'new')
    writing.rename('c', 'a')
    const stale = Buffer.alloc(3)
    expect(causeOf(() => replaced.read(stale, 0, 3, 0))).toBe('ESTALE')
    await expect(replaced.readAhead(0, 3)).rejects.toMatchObject({ cause: { code: 'ESTALE' } })
    expect(causeOf(() => replaced.sizeBytes)).toBe('ESTALE')
    expect(stale).toEqual(Buffer.alloc(3))
    expect(textOf(reading.openFile('a', 'read'))).toBe('new')
    await writing.unlink('b')
    expect(causeOf(() => other.read(stale, 0, 3, 0))).toBe('ENOENT')
    expect(replaced.fileId).not.toBe(reading.status('a')?.fileId)
  })

  it('stays readable as long as it is open, whatever becomes of its name', async () => {
    const { writing, reading } = opened(onDisk)
    write(writing, 'a', 'old')
    const file = reading.openFile('a', 'read')
    expect(textOf(file)).toBe('old')
    write(writing, 'c', 'new')
    writing.rename('c', 'a')
    expect(textOf(file)).toBe('old')
  })

  it('is opened in a directory that nobody may write', () => {
    const directory = temporaryDirectory()
    fs.writeFileSync(join(directory, 'a'), 'one')
    fs.chmodSync(join(directory, 'a'), 0o444)
    fs.chmodSync(directory, 0o555)
    onTestFinished(() => fs.chmodSync(directory, 0o755))
    const reading = openDiskDriver(directory, { readOnly: true })
    expect(textOf(reading.openFile('a', 'read'))).toBe('one')
    reading.close()
    expect(fs.readdirSync(directory)).toEqual(['a'])
  })
})
