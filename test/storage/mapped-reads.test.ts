/**
 * Frozen files of a disk driver: whatever is read through mappings or not, they give the same
 * bytes, through renames, removals and closed descriptors, and are never cut.
 */
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { MappingPool } from '../../src/storage/mapping-pool.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import type { StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { canCountResources, descriptorCount, mappingCount } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const canMap = nativeBinding() !== null
const whyNot = canMap ? '' : ' (skipped: koffi is not installed or not for this platform)'

const BLOCK = 65_536
const FILE_BYTES = 2 * BLOCK + 777
const LIMITS = { maxWindows: 2, maxBytes: 100 * BLOCK, windowBytes: BLOCK }

/** How a driver reads, and the most files that it keeps open. */
type Setup = readonly ['everything' | 'points' | 'not enabled' | 'no pool' | 'memory', number]

const SETUPS: readonly Setup[] = [
  ['everything', 512],
  ['everything', 1],
  ['points', 512],
  ['points', 1],
  ['not enabled', 512],
  ['no pool', 512],
  ['memory', 512],
]

describe.each(SETUPS)('frozen files, mappings: %s, %i descriptors', (reads, maxOpenFiles) => {
  const isSkipped = (reads === 'everything' || reads === 'points') && !canMap

  it.skipIf(isSkipped)(`give what was written to them, however it is read${whyNot}`, () => {
    const { driver } = opened(reads, maxOpenFiles)
    const files = ['a', 'b', 'c'].map((name) => frozen(driver, name))
    const position = fc.nat({ max: FILE_BYTES + 10 })
    const byteLength = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: FILE_BYTES }))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 2 }), position, byteLength), { minLength: 1 }),
        (steps) => {
          for (const [index, at, count] of steps) expectSame(files[index], at, count)
        },
      ),
    )
  })

  it.skipIf(isSkipped)(
    `stay as they are under another name, and without one${whyNot}`,
    async () => {
      const { driver } = opened(reads, maxOpenFiles)
      const [moved, removed, replaced] = ['a', 'b', 'c'].map((name) => frozen(driver, name))
      for (const file of [moved, removed, replaced])
        for (let n = 0; n < 4; n++) expectSame(file, 5, 9)
      driver.rename('a', 'd')
      await driver.unlink('b')
      written(driver, 'new', Buffer.from('other bytes')).close()
      driver.rename('new', 'c')
      for (const file of [moved, removed, replaced]) {
        expectSame(file, 5, 9)
        expectSame(file, BLOCK - 5, 10)
        expect(file?.sizeBytes).toBe(FILE_BYTES)
      }
    },
  )

  it.skipIf(isSkipped)(`leave nothing mapped or open when they are closed${whyNot}`, () => {
    const { driver, directory } = opened(reads, maxOpenFiles)
    for (let round = 0; round < 50; round++) {
      const file = frozen(driver, `file-${round}`)
      for (let n = 0; n < 4; n++) expectSame(file, BLOCK + n, 100)
      file.close()
      file.close()
    }
    if (!canCountResources) return
    expect(mappingCount(directory)).toBe(0)
    const before = descriptorCount()
    driver.close()
    expect(descriptorCount()).toBeLessThanOrEqual(before)
  })
})

describe('frozen files of a disk', () => {
  it('are never cut, through whichever file that is open', () => {
    const { driver } = opened('no pool', 512)
    const file = frozen(driver, 'a')
    const other = driver.openFile('a', 'write')
    expect(() => file.resize(1)).toThrow(InvariantError)
    expect(() => other.resize(1)).toThrow(InvariantError)
    expect(() => other.resize(FILE_BYTES + 1)).toThrow(InvariantError)
    file.close()
    other.resize(1)
    expect(other.sizeBytes).toBe(1)
  })

  it.skipIf(!canMap)(`lend their bytes where they are mapped, until the next call${whyNot}`, () => {
    const { driver } = opened('everything', 512)
    const file = frozen(driver, 'a')
    const lent = file.borrow?.(BLOCK + 5, 10)
    expect(lent?.position).toBe(BLOCK)
    expect(lent?.bytes.subarray(5, 15)).toEqual(CONTENT.subarray(BLOCK + 5, BLOCK + 15))
    const kept = lent?.bytes
    file.close()
    expect(kept).toHaveLength(0)
    expect(() => file.borrow?.(0, 1)).toThrow(InvariantError)
    expect(() => file.freeze?.()).toThrow(InvariantError)
  })

  it.skipIf(!canMap)(`lend what is settled of a file that grows on${whyNot}`, () => {
    const { driver } = opened('everything', 512)
    const file = written(driver, 'a', CONTENT)
    const other = driver.openFile('a', 'write')
    file.settle?.(2 * BLOCK)
    expect(file.borrow?.(BLOCK, 10)?.bytes.subarray(0, 10)).toEqual(
      CONTENT.subarray(BLOCK, BLOCK + 10),
    )
    expect(file.borrow?.(2 * BLOCK - 1, 2)).toBeUndefined()
    file.resize(5 * BLOCK)
    for (const writer of [file, other]) {
      expect(() => writer.resize(2 * BLOCK - 1)).toThrow(InvariantError)
    }
    other.resize(2 * BLOCK)
    file.close()
    other.resize(1)
    expect(other.sizeBytes).toBe(1)
  })

  it('lend nothing where nothing is mapped', () => {
    const { driver } = opened('no pool', 512)
    const file = frozen(driver, 'a')
    for (let n = 0; n < 4; n++) expect(file.borrow?.(0, 10)).toBeUndefined()
  })

  it('refuse everything once they are closed', () => {
    const { driver } = opened(canMap ? 'everything' : 'no pool', 512)
    const file = frozen(driver, 'a')
    file.close()
    expect(() => file.read(Buffer.alloc(1), 0, 1, 0)).toThrow(InvariantError)
  })
})

const CONTENT = Buffer.alloc(FILE_BYTES)
for (let at = 0; at < FILE_BYTES; at++) CONTENT[at] = (at * 31 + (at >>> 8)) & 0xff

function opened(
  reads: Setup[0],
  maxOpenFiles: number,
): { readonly driver: StorageDriver; readonly directory: string } {
  const directory = temporaryDirectory()
  if (reads === 'memory') return { driver: openMemoryDriver(), directory }
  const mapped = reads === 'everything' || reads === 'points'
  const pool = mapped || reads === 'not enabled' ? poolOf(reads) : undefined
  const options = pool === undefined ? { maxOpenFiles } : { maxOpenFiles, mappings: pool }
  const driver = openDiskDriver(directory, options)
  onTestFinished(() => driver.close())
  written(driver, 'probe', Buffer.from('something')).close()
  if (mapped) expect(pool?.enable(join(directory, 'probe'))).toBeNull()
  return { driver, directory }
}

function poolOf(reads: Setup[0]): MappingPool {
  return new MappingPool(reads === 'points' ? 'points' : 'everything', LIMITS)
}

function written(driver: StorageDriver, name: string, bytes: Uint8Array): StorageFile {
  const file = driver.openFile(name, 'create')
  file.write(bytes, 0, bytes.byteLength, 0)
  return file
}

function frozen(driver: StorageDriver, name: string): StorageFile {
  const file = written(driver, name, CONTENT)
  file.freeze?.()
  file.freeze?.()
  return file
}

/** By a copy, and without one where that can be had. */
function expectSame(file: StorageFile | undefined, position: number, byteLength: number): void {
  if (file === undefined) throw new Error('no file')
  const expected = CONTENT.subarray(position, position + byteLength)
  const target = Buffer.alloc(byteLength)
  expect(file.read(target, 0, byteLength, position)).toBe(expected.length)
  expect(target.subarray(0, expected.length).equals(expected)).toBe(true)
  const lent = file.borrow?.(position, byteLength)
  if (lent === undefined) return
  const start = position - lent.position
  expect(lent.bytes.subarray(start, start + expected.length).equals(expected)).toBe(true)
}
