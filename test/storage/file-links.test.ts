/** Hard links between two directories, as the disk driver makes them, and where it cannot. */
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

interface TwoDirectories {
  readonly one: StorageDriver
  readonly other: StorageDriver
  readonly otherPath: string
}

function twoDirectories(): TwoDirectories {
  const otherPath = temporaryDirectory()
  const [one, other] = [openDiskDriver(temporaryDirectory()), openDiskDriver(otherPath)]
  onTestFinished(() => {
    one.close()
    other.close()
  })
  const file = one.openFile('a', 'create')
  file.write(Buffer.from('hello'), 0, 5, 0)
  file.close()
  return { one, other, otherPath }
}

describe('link', () => {
  it('gives a file a name in another directory, and tells one file from two', () => {
    const { one, other, otherPath } = twoDirectories()
    expect(one.link?.('a', other, 'b')).toBe(true)
    expect(fs.readFileSync(join(otherPath, 'b'), 'utf8')).toBe('hello')
    fs.writeFileSync(join(otherPath, 'c'), 'hello')
    expect(one.isLinked?.('a', other, 'b')).toBe(true)
    expect(one.isLinked?.('a', other, 'c')).toBe(false)
    expect(one.isLinked?.('a', other, 'nothing')).toBe(false)
    expect(one.isLinked?.('nothing', other, 'b')).toBe(false)
  })

  it.each(['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'])('is refused, and says so, with %s', (code) => {
    const { one, other, otherPath } = twoDirectories()
    const failing = vi.spyOn(fs, 'linkSync').mockImplementation(() => {
      throw Object.assign(new Error(code), { code })
    })
    onTestFinished(() => failing.mockRestore())
    expect(one.link?.('a', other, 'b')).toBe(false)
    expect(fs.existsSync(join(otherPath, 'b'))).toBe(false)
  })

  it('fails as any call does where there is no file, no room, or the name is taken', () => {
    const { one, other } = twoDirectories()
    expect(() => one.link?.('nothing', other, 'b')).toThrow(LogError)
    one.link?.('a', other, 'b')
    expect(() => one.link?.('a', other, 'b')).toThrow(LogError)
  })

  it('shares nothing with a log in memory', () => {
    const { one } = twoDirectories()
    const memory = openMemoryDriver()
    expect(one.link?.('a', memory, 'b')).toBe(false)
    expect(one.isLinked?.('a', memory, 'b')).toBe(false)
    expect(memory.link).toBeUndefined()
  })
})
