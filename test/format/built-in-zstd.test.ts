/**
 * Zstd by Node.js itself, as from 22.15 on, also where these tests run on an older one: then the
 * package stands in for the two functions of node:zlib, refusing what they refuse.
 */
import { constants } from 'node:buffer'
import zlib from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { compressZstd, decompressZstd } from '../../src/format/zstd-codec.ts'
import { compressByWasm, decompressByWasm } from '../../src/format/zstd-wasm.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'

enableZstdPackage()

const content = Buffer.from('streambed, streambed and streambeds. '.repeat(500))
const chunkSizes: number[] = []
const limits: number[] = []

const STAND_INS = {
  zstdCompressSync: (source: Buffer) => compressByWasm(source),
  zstdDecompressSync: (
    frame: Buffer,
    { maxOutputLength, chunkSize }: { maxOutputLength: number; chunkSize: number },
  ) => {
    chunkSizes.push(chunkSize)
    limits.push(maxOutputLength)
    const bytes = decompressByWasm(frame, Math.min(maxOutputLength, content.length * 1_000))
    if (bytes !== null) return bytes
    throw Object.assign(new RangeError('too large'), { code: 'ERR_BUFFER_TOO_LARGE' })
  },
}

/** Runs `work` where Node.js has zstd, whether this one has it or not. */
function withBuiltIn(work: () => void): void {
  const { zstdCompressSync, zstdDecompressSync }: Record<string, unknown> = { ...zlib }
  Object.assign(zlib, STAND_INS)
  chunkSizes.length = 0
  limits.length = 0
  try {
    work()
  } finally {
    if (zstdCompressSync === undefined) {
      for (const name of Object.keys(STAND_INS)) Reflect.deleteProperty(zlib, name)
    } else {
      Object.assign(zlib, { zstdCompressSync, zstdDecompressSync })
    }
  }
}

describe('zstd of Node.js', () => {
  /** The same frame as Kafka writes it: the window is said, the content size is not. */
  const unsized = (frame: Buffer): Buffer =>
    Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), frame.subarray(7)])

  it('packs and unpacks, in one chunk where the size is known', () => {
    withBuiltIn(() => {
      const frame = compressZstd(content)
      expect(decompressZstd(frame, content.length).equals(content)).toBe(true)
      expect(chunkSizes).toEqual([content.length + 1])
    })
  })

  it('takes chunks by what likely comes out, never tiny or huge ones', () => {
    withBuiltIn(() => {
      const frame = unsized(compressZstd(content))
      expect(decompressZstd(frame, content.length).equals(content)).toBe(true)
      const noise = Buffer.from(Array.from({ length: 3_000 }, (_, index) => (index * index) >>> 3))
      const larger = unsized(compressZstd(noise))
      decompressZstd(larger, noise.length)
      decompressZstd(compressZstd(Buffer.alloc(5)), 5)
      decompressZstd(compressZstd(Buffer.alloc(3 << 20)), 3 << 20)
      const likely = Math.min(larger.length * 8, 131_072) + 1
      expect(chunkSizes).toEqual([4_096, likely, 4_096, 1 << 20])
    })
  })

  it('is asked for no more than is allowed, and for one byte at least', () => {
    withBuiltIn(() => {
      const empty = compressZstd(Buffer.alloc(0))
      expect(decompressZstd(empty, 0)).toHaveLength(0)
      expect(decompressZstd(empty, Number.MAX_SAFE_INTEGER)).toHaveLength(0)
      expect(decompressZstd(compressZstd(content), content.length + 9)).toHaveLength(content.length)
      expect(limits).toEqual([1, constants.MAX_LENGTH, content.length + 9])
    })
  })

  it('unpacks what does not say its size, and no more than is allowed', () => {
    withBuiltIn(() => {
      const frame = unsized(compressZstd(content))
      expect(decompressZstd(frame, content.length).equals(content)).toBe(true)
      expect(() => decompressZstd(frame, content.length - 1)).toThrow(
        expect.objectContaining({ reason: 'limit' }),
      )
    })
  })

  it('refuses a frame that it cannot read', () => {
    withBuiltIn(() => {
      const frame = compressZstd(content)
      frame.fill(0xff, 10)
      expect(() => decompressZstd(frame, content.length)).toThrow(
        expect.objectContaining({ reason: 'compression' }),
      )
    })
  })
})
