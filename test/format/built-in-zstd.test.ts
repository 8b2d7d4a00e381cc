/**
 * Zstd by Node.js itself, as from 22.15 on, also where these tests run on an older one: then the
 * package stands in for the two functions of node:zlib, refusing what they refuse.
 */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { compressByWasm, decompressByWasm } from '../../src/format/zstd-wasm.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'

enableZstdPackage()

const content = Buffer.from('streambed, streambed and streambeds. '.repeat(500))
const chunkSizes: number[] = []

vi.mock('node:zlib', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:zlib')>()),
  zstdCompressSync: (source: Buffer) => compressByWasm(source),
  zstdDecompressSync: (
    frame: Buffer,
    { maxOutputLength, chunkSize }: { maxOutputLength: number; chunkSize: number },
  ) => {
    chunkSizes.push(chunkSize)
    const bytes = decompressByWasm(frame, maxOutputLength)
    if (bytes !== null) return bytes
    throw Object.assign(new RangeError('too large'), { code: 'ERR_BUFFER_TOO_LARGE' })
  },
}))

describe('zstd of Node.js', () => {
  let codec: typeof import('../../src/format/zstd-codec.ts')
  beforeAll(async () => {
    codec = await import('../../src/format/zstd-codec.ts')
  })

  /** The same frame as Kafka writes it: the window is said, the content size is not. */
  const unsized = (frame: Buffer): Buffer =>
    Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), frame.subarray(7)])

  it('packs and unpacks, in one chunk where the size is known', () => {
    const frame = codec.compressZstd(content)
    chunkSizes.length = 0
    expect(codec.decompressZstd(frame, content.length).equals(content)).toBe(true)
    expect(chunkSizes).toEqual([content.length + 1])
  })

  it('unpacks what does not say its size, and no more than is allowed', () => {
    const frame = unsized(codec.compressZstd(content))
    expect(codec.decompressZstd(frame, content.length).equals(content)).toBe(true)
    expect(() => codec.decompressZstd(frame, content.length - 1)).toThrow(
      expect.objectContaining({ reason: 'limit' }),
    )
  })

  it('refuses a frame that it cannot read', () => {
    const frame = codec.compressZstd(content)
    frame.fill(0xff, 10)
    expect(() => codec.decompressZstd(frame, content.length)).toThrow(
      expect.objectContaining({ reason: 'compression' }),
    )
  })
})
