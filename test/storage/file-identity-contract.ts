/** What every StorageDriver says of which file a name stands for, and whether it changed. */
import { expect, it } from 'vitest'
import type { StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'

/** Part of the contract (storage-driver-contract.ts); `open` gives a fresh driver. */
export function fileIdentityContract(open: () => StorageDriver): void {
  it('fileId tells files apart, and is the same under any name and through any open file', () => {
    const driver = open()
    const idOf = (path: string): string | undefined => driver.status(path)?.fileId
    driver.createDirectory('d')
    const first = written(driver, 'd/a', 'hello')
    const second = written(driver, 'd/b', 'hello')
    const ids = [idOf(''), idOf('d'), idOf('d/a'), idOf('d/b')]
    expect(new Set(ids).size).toBe(4)
    expect([first.fileId, second.fileId]).toEqual([idOf('d/a'), idOf('d/b')])
    expect(driver.openFile('d/a', 'read').fileId).toBe(first.fileId)
    driver.rename('d', 'e')
    driver.rename('e/a', 'e/b')
    expect([idOf('e'), idOf('e/b')]).toEqual([ids[1], first.fileId])
    expect([first.fileId, second.fileId]).toEqual(ids.slice(2))
    driver.createDirectory('d')
    expect(ids).not.toContain(idOf('d'))
  })

  it('version is the same until a file is changed, and another one for what replaced it', () => {
    const driver = open()
    const file = written(driver, 'a', 'hello')
    const identityOf = (path: string): string => {
      const { fileId, version, sizeBytes } = driver.status(path) ?? {}
      return `${fileId} ${version} ${sizeBytes}`
    }
    const before = identityOf('a')
    expect(file.read(Buffer.alloc(5), 0, 5, 0)).toBe(5)
    expect(identityOf('a')).toBe(before)
    file.resize(4)
    const after = identityOf('a')
    expect(after).not.toBe(before)
    written(driver, 'b', 'hell').close()
    driver.rename('b', 'a')
    expect(identityOf('a')).not.toBe(after)
  })
}

function written(driver: StorageDriver, path: string, text: string): StorageFile {
  const file = driver.openFile(path, 'create')
  file.write(Buffer.from(text), 0, text.length, 0)
  return file
}
