/** The pool of mappings: when it maps at all, and its bounds. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import type { MappedWindow } from '../../src/storage/mapped-window.ts'
import {
  type MappingLimits,
  type MappedReads,
  MappingPool,
} from '../../src/storage/mapping-pool.ts'
import type { NativeBinding } from '../../src/storage/native-binding.ts'
import { canCountResources, mappingCount } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** What the native binding is in the test that runs: its own where undefined. */
const replaced = vi.hoisted(() => ({ native: undefined as NativeBinding | null | undefined }))
const real = await vi.importActual<{ nativeBinding(): NativeBinding | null }>(
  '../../src/storage/native-binding.ts',
)
vi.mock('../../src/storage/native-binding.ts', () => ({
  nativeBinding: () => (replaced.native === undefined ? real.nativeBinding() : replaced.native),
}))
beforeEach(() => {
  replaced.native = undefined
})

const native = real.nativeBinding()
const describeMapped = native === null ? describe.skip : describe
const whyNot = native === null ? ' (skipped: koffi is not installed or not for this platform)' : ''

const BLOCK = 65_536
const LIMITS: MappingLimits = { maxWindows: 3, maxBytes: 3 * BLOCK, windowBytes: BLOCK }

describe('MappingPool: enable', () => {
  it('refuses where there is no native binding, and maps nothing', () => {
    replaced.native = null
    const { pool, file, descriptor } = opened('everything')
    expect(pool.enable(file)).toBe('no-binding')
    expect(pool.isEnabled).toBe(false)
    expect(pool.map(descriptor, 0, BLOCK)).toBeUndefined()
  })
})

describeMapped(`MappingPool: enable${whyNot}`, () => {
  it('maps nothing before, whatever it is asked for', () => {
    const { pool, descriptor } = opened('everything')
    expect(pool.map(descriptor, 0, BLOCK)).toBeUndefined()
  })

  it('leaves nothing mapped by itself', () => {
    const { pool, file, directory } = opened('everything')
    expect(pool.enable(file)).toBeNull()
    expect(pool.isEnabled).toBe(true)
    if (canCountResources) expect(mappingCount(directory)).toBe(0)
  })

  it('refuses a file that is not there or holds nothing: nothing is known then', () => {
    const { pool, directory } = opened('everything')
    writeFileSync(join(directory, 'empty'), '')
    expect(pool.enable(join(directory, 'empty'))).toBe('unsupported')
    expect(pool.enable(join(directory, 'missing'))).toBe('unsupported')
    expect(pool.enable(directory)).toBe('unsupported')
  })

  it('refuses a system that maps nothing, or throws', () => {
    const { pool, file } = opened('everything')
    replaced.native = withMapFile(() => null)
    expect(pool.enable(file)).toBe('unsupported')
    replaced.native = withMapFile(() => {
      throw new Error('no external buffers')
    })
    expect(pool.enable(file)).toBe('unsupported')
    expect(pool.isEnabled).toBe(false)
  })

  it('refuses a file system whose mappings show other bytes than its reads', () => {
    const { pool, file } = opened('everything')
    const unmapped: number[] = []
    replaced.native = {
      ...withMapFile(() => ({ bytes: new ArrayBuffer(4096), address: 7, byteLength: 4096 })),
      unmap: ({ address }) => unmapped.push(address),
    }
    expect(pool.enable(file)).toBe('mismatch')
    expect(unmapped).toEqual([7])
  })

  it('refuses an engine that cannot detach: it could never unmap', () => {
    const { pool, file } = opened('everything')
    const bytes = new Uint8Array(4096).fill(1).buffer
    Object.defineProperty(bytes, 'transfer', { value: () => bytes })
    replaced.native = withMapFile(() => ({ bytes, address: 7, byteLength: 4096 }))
    expect(pool.enable(file)).toBe('unsupported')
  })
})

describeMapped(`MappingPool: bounds${whyNot}`, () => {
  it('closes the window idle for longest when it is full', () => {
    const { map, pool } = enabled('everything')
    const windows = [map(0), map(1), map(2)]
    touch(pool, windows[0])
    expect(pool.windowCount).toBe(3)
    const fourth = map(3)
    expect(windows.map((window) => window?.isClosed)).toEqual([false, true, false])
    expect(fourth?.isClosed).toBe(false)
    expect(pool.windowCount).toBe(3)
    expect(pool.mappedBytes).toBe(3 * BLOCK)
  })

  it('keeps to a number of bytes too', () => {
    const { map, pool } = enabled('everything', { ...LIMITS, maxBytes: 2 * BLOCK, maxWindows: 100 })
    const windows = [map(0), map(1), map(2)]
    expect(windows.map((window) => window?.isClosed)).toEqual([true, false, false])
    expect(pool.mappedBytes).toBe(2 * BLOCK)
  })

  it('where reads are chosen, closes one only after many requests', () => {
    const { map, pool } = enabled('points')
    const first = map(0)
    for (const index of [1, 2]) map(index)
    expect(map(3)).toBeUndefined()
    for (let use = 0; use < 1024; use++) pool.nextUse()
    expect(map(3)?.isClosed).toBe(false)
    expect(first?.isClosed).toBe(true)
    expect(map(4)).toBeUndefined()
  })

  it('has room again for what was released', () => {
    const { map, pool } = enabled('points')
    const window = map(0)
    for (const index of [1, 2]) map(index)
    if (window !== undefined) pool.release(window)
    expect(window?.isClosed).toBe(true)
    expect(pool.mappedBytes).toBe(2 * BLOCK)
    expect(map(3)?.isClosed).toBe(false)
  })

  it('closes every window at its end and maps nothing afterwards', () => {
    const { map, pool, directory, file } = enabled('everything')
    const windows = [map(0), map(1)]
    pool.close()
    pool.close()
    expect(windows.map((window) => window?.isClosed)).toEqual([true, true])
    expect([pool.windowCount, pool.mappedBytes]).toEqual([0, 0])
    expect(map(2)).toBeUndefined()
    expect(() => pool.enable(file)).toThrow(InvariantError)
    if (canCountResources) expect(mappingCount(directory)).toBe(0)
  })

  it('refuses bounds that cannot be', () => {
    expect(() => new MappingPool('points', { ...LIMITS, maxWindows: 0 })).toThrow(InvariantError)
    expect(() => new MappingPool('points', { ...LIMITS, windowBytes: 4096 })).toThrow(
      InvariantError,
    )
    expect(() => new MappingPool('points', { ...LIMITS, maxBytes: 1 })).toThrow(InvariantError)
  })
})

interface OpenedPool {
  readonly pool: MappingPool
  readonly directory: string
  readonly file: string
  readonly descriptor: number
}

function opened(reads: MappedReads, limits: MappingLimits = LIMITS): OpenedPool {
  const directory = temporaryDirectory()
  const file = join(directory, 'file')
  writeFileSync(file, Buffer.alloc(8 * BLOCK, 1))
  const descriptor = openSync(file, 'r')
  const pool = new MappingPool(reads, limits)
  onTestFinished(() => {
    pool.close()
    closeSync(descriptor)
  })
  return { pool, directory, file, descriptor }
}

function enabled(
  reads: MappedReads,
  limits?: MappingLimits,
): OpenedPool & { readonly map: (index: number) => MappedWindow | undefined } {
  const parts = opened(reads, limits)
  const { pool, file, descriptor } = parts
  expect(pool.enable(file)).toBeNull()
  const map = (index: number): MappedWindow | undefined => {
    if (!pool.makeRoom(BLOCK)) return undefined
    const window = pool.map(descriptor, index * BLOCK, BLOCK)
    touch(pool, window)
    return window
  }
  return { ...parts, map }
}

function touch(pool: MappingPool, window: MappedWindow | undefined): void {
  if (window !== undefined) window.lastUse = pool.nextUse()
}

function withMapFile(mapFile: NativeBinding['mapFile']): NativeBinding {
  if (native === null) throw new Error('not skipped')
  return { ...native, mapFile, unmap: () => {} }
}
