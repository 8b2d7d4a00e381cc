/** A mapped file: the bytes that a positioned read gives, or a plain no. */
import {
  closeSync,
  fstatSync,
  openSync,
  readSync,
  truncateSync,
  writeFileSync,
  appendFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { MappedFile } from '../../src/storage/mapped-file.ts'
import { type MappedReads, MappingPool } from '../../src/storage/mapping-pool.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { canCountResources, mappingCount } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const native = nativeBinding()
const describeMapped = native === null ? describe.skip : describe
const whyNot = native === null ? ' (skipped: koffi is not installed or not for this platform)' : ''

const BLOCK = 65_536
const FILE_BYTES = 3 * BLOCK + 1000

describe('MappedFile', () => {
  it('leaves every read to others while its pool maps nothing', () => {
    const { mapped } = opened('everything', { isEnabled: false })
    expect(mapped.read(Buffer.alloc(10), 0, 10, 0)).toBe(-1)
    expect(mapped.window(0, 10)).toBeUndefined()
  })
})

describeMapped(`MappedFile${whyNot}`, () => {
  it('reads what a positioned read reads, across windows and at the end of the file', () => {
    const { mapped, descriptor } = opened('everything')
    const range = { max: FILE_BYTES + 100 }
    fc.assert(
      fc.property(
        fc.nat(range),
        fc.nat(range),
        fc.nat({ max: 5 }),
        (position, byteLength, start) => {
          const [ours, theirs] = [
            Buffer.alloc(start + byteLength),
            Buffer.alloc(start + byteLength),
          ]
          const count = mapped.read(ours, start, byteLength, position)
          expect(count).toBe(readSync(descriptor, theirs, start, byteLength, position))
          expect(ours.equals(theirs)).toBe(true)
        },
      ),
    )
  })

  it('lends a window where one holds all of the range, and the range cut at the end of the file', () => {
    const { mapped, content } = opened('everything')
    const window = mapped.window(2 * BLOCK + 5, 100)
    expect(window?.position).toBe(2 * BLOCK)
    expect(window?.bytes.subarray(5, 105)).toEqual(content.subarray(2 * BLOCK + 5, 2 * BLOCK + 105))
    expect(mapped.window(BLOCK - 5, 10)).toBeUndefined()
    expect(mapped.window(3 * BLOCK + 990, 100)?.byteLength).toBe(1000)
    expect(mapped.window(FILE_BYTES, 1)).toBeUndefined()
  })

  it('maps a window once', () => {
    const { mapped, pool } = opened('everything')
    expect(mapped.window(0, 10)).toBe(mapped.window(BLOCK - 10, 10))
    expect(pool.windowCount).toBe(1)
  })

  it('maps a window again that the pool had closed', () => {
    const { mapped, pool } = opened('everything', { maxWindows: 1 })
    const first = mapped.window(0, 10)
    mapped.window(BLOCK, 10)
    expect(first?.isClosed).toBe(true)
    const again = mapped.window(0, 10)
    expect(again?.isClosed).toBe(false)
    expect(pool.windowCount).toBe(1)
  })

  it('maps nothing more where all logs of the process have mapped enough', () => {
    const other = opened('everything')
    other.mapped.window(0, 10)
    const { mapped, pool } = opened('everything', { maxWindowsOfProcess: 2 })
    expect(mapped.window(0, 10)?.isClosed).toBe(false)
    other.mapped.window(BLOCK, 10)
    expect(mapped.window(BLOCK, 10)).toBeUndefined()
    other.pool.close()
    expect(mapped.window(0, 10)?.isClosed).toBe(false)
    expect(pool.windowCount).toBe(1)
  })

  it('where reads are chosen, maps what was read twice before, and no long reads', () => {
    const { mapped, pool } = opened('points')
    const target = Buffer.alloc(2 * BLOCK)
    expect(mapped.read(target, 0, 100, 500)).toBe(-1)
    expect(mapped.read(target, 0, 100, 16_384)).toBe(-1)
    expect(mapped.read(target, 0, 100, 16_300)).toBe(-1)
    expect(pool.windowCount).toBe(0)
    expect(mapped.read(target, 0, 100, 7000)).toBe(100)
    expect(mapped.window(16_384, 100)?.isClosed).toBe(false)
    expect(mapped.window(40_000, 100)).toBeUndefined()
    for (let time = 0; time < 4; time++) expect(mapped.read(target, 0, BLOCK + 1, 0)).toBe(-1)
  })

  it('no longer maps a file that somebody cut, and keeps to the end it had where it grew', () => {
    const { mapped, pool, path, content } = opened('everything')
    const target = Buffer.alloc(2000)
    expect(mapped.read(target, 0, 10, 0)).toBe(10)
    appendFileSync(path, Buffer.alloc(BLOCK))
    expect(mapped.read(target, 0, 2000, FILE_BYTES - 1000)).toBe(1000)
    expect(target.subarray(0, 1000)).toEqual(content.subarray(FILE_BYTES - 1000))
    truncateSync(path, BLOCK)
    expect(mapped.window(BLOCK, 10)).toBeUndefined()
    expect(mapped.window(0, 10)).toBeUndefined()
    expect(mapped.read(target, 0, 10, 0)).toBe(-1)
    expect(pool.windowCount).toBe(0)
  })

  it('gives of a file that grows what is settled, by few mappings, and all once it is frozen', () => {
    const { mapped, pool, path, content, settled } = opened('everything')
    const target = Buffer.alloc(FILE_BYTES)
    const map = vi.spyOn(pool, 'map')
    settled.bytes = BLOCK - 1
    expect(mapped.window(0, 10)).toBeUndefined() // Too little to be worth it.
    for (let bytes = BLOCK; bytes < 3 * BLOCK; bytes += 1_000) {
      settled.bytes = bytes
      truncateSync(path, Math.max(bytes, FILE_BYTES))
      expect(mapped.read(target, 0, 10, bytes - 9)).toBe(-1)
      expect(mapped.window(bytes - 9, 10)).toBeUndefined()
      const position = Math.floor(bytes / 3)
      if (mapped.read(target, 0, 500, position) < 0) continue
      const expected = Buffer.concat([content, Buffer.alloc(BLOCK)])
      expect(target.subarray(0, 500)).toEqual(expected.subarray(position, position + 500))
    }
    expect(mapped.read(target, 0, 5_000, 0)).toBe(5_000)
    expect(map.mock.calls.length).toBeLessThan(20)
    settled.bytes = undefined
    truncateSync(path, FILE_BYTES)
    expect(mapped.read(target, 0, FILE_BYTES, 5)).toBe(FILE_BYTES - 5)
    expect(target.subarray(0, FILE_BYTES - 5)).toEqual(content.subarray(5))
  })

  it.runIf(canCountResources)('unmaps all of it when it is closed', () => {
    const { mapped, pool, directory } = opened('everything')
    mapped.read(Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0)
    expect(mappingCount(directory)).toBeGreaterThan(0)
    mapped.close()
    mapped.close()
    expect(mappingCount(directory)).toBe(0)
    expect(pool.windowCount).toBe(0)
    expect(mapped.window(0, 10)).toBeUndefined()
    expect(mapped.read(Buffer.alloc(10), 0, 10, 0)).toBe(-1)
  })
})

interface Opened {
  readonly mapped: MappedFile
  readonly pool: MappingPool
  readonly directory: string
  readonly path: string
  readonly descriptor: number
  readonly content: Buffer
  /** Undefined where the whole file is frozen. */
  readonly settled: { bytes: number | undefined }
}

function opened(
  reads: MappedReads,
  given: { maxWindows?: number; maxWindowsOfProcess?: number; isEnabled?: boolean } = {},
): Opened {
  const { isEnabled = true, ...bounds } = { maxWindows: 10, ...given }
  const directory = temporaryDirectory()
  const path = join(directory, 'file')
  const content = Buffer.alloc(FILE_BYTES)
  for (let at = 0; at < FILE_BYTES; at++) content[at] = (at * 31 + (at >>> 8)) & 0xff
  writeFileSync(path, content)
  const descriptor = openSync(path, 'r')
  const settled: Opened['settled'] = { bytes: undefined }
  const pool = new MappingPool(reads, { ...bounds, maxBytes: 100 * BLOCK, windowBytes: BLOCK })
  if (isEnabled) expect(pool.enable(path)).toBeNull()
  const mapped = new MappedFile(pool, {
    openDescriptor: () => descriptor,
    readSizeBytes: () => fstatSync(descriptor).size,
    settledBytes: () => settled.bytes,
  })
  onTestFinished(() => {
    pool.close()
    closeSync(descriptor)
  })
  return { mapped, pool, directory, path, descriptor, content, settled }
}
