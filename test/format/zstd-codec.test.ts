/**
 * Zstd frames in all the shapes that a reader meets, and both ways to unpack them: Node.js's own,
 * where this one has it, and the package. Which one runs here depends on the Node.js version.
 */
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { compressZstd, decompressZstd, isZstdAvailable } from '../../src/format/zstd-codec.ts'
import { readZstdFrame } from '../../src/format/zstd-frame.ts'
import { ZSTD_PACKAGE, compressByWasm, decompressByWasm } from '../../src/format/zstd-wasm.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'
import { fromHex } from './vectors.ts'
import { withoutPackages } from './without-packages.ts'

enableZstdPackage()

const content = Buffer.from('streambed, streambed and streambeds. '.repeat(2_000))
const frame = compressZstd(content)
const isBuiltIn = 'zstdCompressSync' in process.getBuiltinModule('node:zlib')

/** The same frame as Kafka writes it: the window is said, the content size is not. */
function asKafkaWrites(sized: Buffer): Buffer {
  const { contentBytes } = readZstdFrame(sized, 0)
  const sizeBytes = contentBytes < 256 ? 1 : contentBytes < 65_792 ? 2 : 4
  return Buffer.concat([fromHex('28b52ffd0058'), sized.subarray(5 + sizeBytes)])
}

describe('a zstd payload', () => {
  it('is written as one frame with its content size, without dictionary or checksum', () => {
    expect(frame.subarray(0, 4).toString('hex')).toBe('28b52ffd')
    expect(frame.readUInt8(4) & 0x0f).toBe(0)
    expect(readZstdFrame(frame, 0)).toMatchObject({
      start: 0,
      end: frame.length,
      contentBytes: content.length,
      maxContentBytes: content.length,
    })
  })

  it('need not say its content size, as Kafka’s does not', () => {
    const unsized = asKafkaWrites(frame)
    expect(readZstdFrame(unsized, 0).contentBytes).toBe(-1)
    expect(decompressZstd(unsized, content.length).equals(content)).toBe(true)
    expect(decompressZstd(unsized, 10 * content.length).equals(content)).toBe(true)
    expect(() => decompressZstd(unsized, content.length - 1)).toThrow(
      expect.objectContaining({ reason: 'limit' }),
    )
  })

  it('may be several frames, with others to skip before, between and behind them', () => {
    const skipped = fromHex('5a2a4d1803000000aabbcc')
    const parts = [skipped, frame, skipped, asKafkaWrites(frame), skipped]
    const twice = Buffer.concat([content, content])
    expect(decompressZstd(Buffer.concat(parts), twice.length).equals(twice)).toBe(true)
    expect(() => decompressZstd(Buffer.concat(parts), twice.length - 1)).toThrow(
      expect.objectContaining({ reason: 'limit' }),
    )
  })

  it('may be raw and repeated blocks', () => {
    const blocks = '28b52ffd00581800006162632b000064'
    expect(decompressZstd(fromHex(blocks), 8).toString()).toBe('abcddddd')
  })

  it.each([
    ['a dictionary', '28b52ffd015801010000'],
    ['a reserved bit', '28b52ffd0858010000'],
    ['a reserved kind of block', '28b52ffd0058070000'],
    ['a block larger than any may be', '28b52ffd0058ffffff'],
    ['less content than it says', '28b52ffd2005180000616263010000'],
    ['more content than it says', '28b52ffd2002190000616263'],
    ['bytes behind it that are no frame', '28b52ffd005819000061626300'],
    ['another magic', '29b52ffd0058190000616263'],
  ])('is refused for %s', (_, hex) => {
    expect(() => decompressZstd(fromHex(hex), 1_000)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes', reason: 'compression' }),
    )
  })

  it.each([
    ['a frame to skip', '5a2a4d1803000000aabb'],
    ['the checksum behind its blocks', '28b52ffd2400010000aabbcc'],
  ])('that ends within %s is refused', (_, hex) => {
    expect(() => decompressZstd(fromHex(hex), 100)).toThrow(
      expect.objectContaining({ reason: 'compression', position: hex.length / 2 }),
    )
  })

  it('becomes several frames where one would not fit, and reads as one', () => {
    const large = Buffer.alloc(67_108_864 + 1, 'streambed')
    const packed = compressZstd(large)
    expect(packed.length).toBeLessThan(100_000)
    expect(decompressZstd(packed, large.length).equals(large)).toBe(true)
  })

  it('that claims more than allowed is refused by its first bytes', () => {
    const claim = fromHex('28b52ffde0000000000001000003000061')
    expect(() => decompressZstd(claim, 1_000)).toThrow(CorruptBytes)
  })
})

describe('zstd from the package', () => {
  it('reads what Node.js writes, and the other way round', () => {
    expect(decompressByWasm(frame, content.length)?.equals(content)).toBe(true)
    expect(decompressZstd(compressByWasm(content), content.length).equals(content)).toBe(true)
  })

  it('answers null when there is no room, and throws when the frame is bad', () => {
    expect(decompressByWasm(frame, content.length - 1)).toBeNull()
    const bad = Buffer.from(frame)
    bad.fill(0xff, 12)
    expect(() => decompressByWasm(bad, content.length)).toThrow(Error)
  })

  it('goes on with a fresh copy after it took much memory', () => {
    const large = Buffer.alloc(80 * 1_048_576)
    const packed = compressByWasm(large)
    expect(decompressByWasm(packed, large.length)?.equals(large)).toBe(true)
    expect(decompressByWasm(frame, content.length)?.equals(content)).toBe(true)
  })

  it('leaves the module cache as it was', async () => {
    const { createRequire } = await import('node:module')
    const entry = createRequire(import.meta.url).resolve(ZSTD_PACKAGE)
    const { cache } = createRequire(entry)
    expect(Object.keys(cache).filter((path) => path.includes('zstd-wasm'))).toEqual([])
  })
})

describe('without the package', () => {
  const loadCodec = () => import('../../src/format/compression.ts')

  it('zstd is there if Node.js has it, else it names what is missing', async () => {
    expect(isZstdAvailable()).toBe(true)
    await withoutPackages([ZSTD_PACKAGE], loadCodec, (codecs) => {
      const missing = isBuiltIn ? null : ZSTD_PACKAGE
      expect(codecs.missingPackageOf('zstd', 'compress')).toBe(missing)
      expect(codecs.missingPackageOf('zstd', 'decompress')).toBe(missing)
      if (isBuiltIn) return
      for (const use of [
        () => codecs.compress('zstd', content),
        () => codecs.decompress('zstd', frame, content.length),
      ]) {
        expect(use).toThrow(expect.objectContaining({ reason: 'codec-missing' }))
      }
    })
  })
})
