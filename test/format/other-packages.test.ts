/**
 * Optional packages that load, but are not what they should be: each is tried out before it is
 * trusted, and what it cannot do is done without it.
 */
import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'
import { withOtherPackages } from './without-packages.ts'

const require = createRequire(import.meta.url)
const bytes = Buffer.alloc(5_000, 'streambed')

describe('@node-rs/crc32', () => {
  it.each([
    ['computes something else', { crc32c: () => 7 }],
    ['has no such function', {}],
    ['is not installed', null],
  ])('is not used where it %s', async (_, loaded) => {
    const others = new Map([['@node-rs/crc32', loaded]])
    await withOtherPackages(
      others,
      () => import('../../src/format/crc32c.ts'),
      ({ crc32c, loadNativeCrc32c }) => {
        expect(loadNativeCrc32c()).toBe(false)
        expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe306_9283)
      },
    )
  })

  it('computes long ranges where it is asked for, once and for all, and short ones never', async () => {
    const { crc32c: right } = await import('../../src/format/crc32c.ts')
    const lengths: number[] = []
    const counting = (range: Uint8Array): number => {
      lengths.push(range.length)
      return right(range, 0, range.length) | 0 // Signed, as a native one may give it.
    }
    const others = new Map([['@node-rs/crc32', { crc32c: counting }]])
    await withOtherPackages(
      others,
      () => import('../../src/format/crc32c.ts'),
      ({ crc32c, loadNativeCrc32c }) => {
        const expected = [255, 256, 4_000].map((end) => right(bytes, 1, end + 1))
        const computed = (): readonly number[] =>
          [255, 256, 4_000].map((end) => crc32c(bytes, 1, end + 1))
        expect(computed()).toEqual(expected)
        expect(lengths).toEqual([])
        expect(loadNativeCrc32c()).toBe(true)
        expect(lengths).toEqual([9]) // It was tried out.
        expect(loadNativeCrc32c()).toBe(true)
        expect(computed()).toEqual(expected)
        expect(lengths).toEqual([9, 256, 4_000])
      },
    )
  })

  it('is loaded by itself once so much was summed that it pays, where it may be', async () => {
    const { crc32c: right } = await import('../../src/format/crc32c.ts')
    const mebibyte = Buffer.alloc(1_048_576, 'streambed')
    const expected = right(mebibyte, 0, mebibyte.length)
    const lengths: number[] = []
    const counting = (range: Uint8Array): number => {
      lengths.push(range.length)
      return right(range, 0, range.length)
    }
    await withOtherPackages(
      new Map([['@node-rs/crc32', { crc32c: counting }]]),
      () => import('../../src/format/crc32c.ts'),
      ({ crc32c, loadNativeCrc32cOncePaid }) => {
        const compute = (times: number): void => {
          for (let i = 0; i < times; i++) expect(crc32c(mebibyte, 0, 1_048_576)).toBe(expected)
        }
        loadNativeCrc32cOncePaid()
        compute(3)
        loadNativeCrc32cOncePaid()
        expect(lengths).toEqual([])
        compute(2)
        expect(lengths).toEqual([9, 1_048_576, 1_048_576])
        loadNativeCrc32cOncePaid()
        compute(1)
        expect(lengths).toHaveLength(4)
      },
    )
  })

  it('is not loaded by itself before a log was opened, however much was summed', async () => {
    const calls: number[] = []
    const counting = (range: Uint8Array): number => calls.push(range.length)
    await withOtherPackages(
      new Map([['@node-rs/crc32', { crc32c: counting }]]),
      () => import('../../src/format/crc32c.ts'),
      ({ crc32c }) => {
        for (let i = 0; i < 6; i++) crc32c(Buffer.alloc(1_048_576), 0, 1_048_576)
        expect(calls).toEqual([])
      },
    )
  })
})

describe('lz4-napi', () => {
  it('is not used where it does not give back what it was given', async () => {
    const broken = { compressSync: (content: Buffer) => content, uncompressSync: () => bytes }
    await withOtherPackages(
      new Map([['lz4-napi', broken]]),
      () => import('../../src/format/compression.ts'),
      ({ isCodecAvailable, missingPackageOf }) => {
        expect(isCodecAvailable('lz4', 'decompress')).toBe(true)
        expect(missingPackageOf('lz4', 'compress')).toBe('lz4-napi')
      },
    )
  })
})

describe('@bokuweb/zstd-wasm', () => {
  const loadWasm = async (): Promise<typeof import('../../src/format/zstd-wasm.ts')> => {
    const wasm = await import('../../src/format/zstd-wasm.ts')
    const { enableZstdPackage: enable } = await import('../../src/storage/zstd-package.ts')
    enable()
    return wasm
  }

  /** A copy of the inside of the package that nobody else has. */
  function privateGlue(): { readonly Module: { _malloc: (byteLength: number) => number } } {
    const inside = createRequire(require.resolve('@bokuweb/zstd-wasm'))
    const path = inside.resolve('./zstd.js')
    Reflect.deleteProperty(inside.cache, path)
    const glue: unknown = inside(path)
    Reflect.deleteProperty(inside.cache, path)
    return glue as ReturnType<typeof privateGlue> // as emscripten makes it
  }

  it('is not used where its inside is another one', async () => {
    const glue = {
      Module: { init: () => undefined, _ZSTD_compressBound: () => 0 },
    }
    await withOtherPackages(
      new Map([['zstd.js', glue]]),
      loadWasm,
      ({ isZstdPackageAvailable }) => {
        expect(isZstdPackageAvailable()).toBe(false)
      },
    )
  })

  it('says so where it gets no memory, and is there for the next call', async () => {
    const glue = privateGlue()
    await withOtherPackages(new Map([['zstd.js', glue]]), loadWasm, (wasm) => {
      expect(wasm.isZstdPackageAvailable()).toBe(true)
      const { _malloc } = glue.Module
      glue.Module._malloc = () => 0
      expect(() => wasm.compressByWasm(bytes)).toThrow(RangeError)
      glue.Module._malloc = _malloc
      const frame = wasm.compressByWasm(bytes)
      expect(wasm.decompressByWasm(frame, bytes.length)?.equals(bytes)).toBe(true)
    })
  })

  it('is left to others who loaded it before, as they know it', async () => {
    enableZstdPackage()
    const inside = createRequire(require.resolve('@bokuweb/zstd-wasm'))
    const shared: unknown = inside('./zstd.js')
    try {
      await withOtherPackages(new Map(), loadWasm, ({ compressByWasm }) => {
        expect(compressByWasm(bytes).length).toBeGreaterThan(0)
        expect(inside('./zstd.js')).toBe(shared)
      })
    } finally {
      // Other files of this process look for what is there.
      Reflect.deleteProperty(inside.cache, inside.resolve('./zstd.js'))
    }
  })
})
