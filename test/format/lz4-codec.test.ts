/**
 * LZ4 frames: what Kafka's reader demands of ours, what ours takes of other writers, and that the
 * plain code unpacks blocks as the native package does.
 */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { compressFrameSync, compressSync, decompressFrameSync } from 'lz4-napi'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { measureLz4Block, unpackLz4Block } from '../../src/format/lz4-block.ts'
import { compressLz4, decompressLz4 } from '../../src/format/lz4-codec.ts'
import { xxHash32 } from '../../src/format/xx-hash32.ts'
import { fromHex } from './vectors.ts'
import { withoutPackages } from './without-packages.ts'

const text = Buffer.from('streambed, a log of logs. '.repeat(10_000))
const noise = randomBytes(100_000)
const loadCodec = () => import('../../src/format/lz4-codec.ts')

/** Flags and descriptor of a frame with the right header checksum, and what comes after. */
function frame(flags: number, descriptor: number, rest: string, size = ''): Buffer {
  const header = Buffer.concat([Buffer.from([flags, descriptor]), fromHex(size)])
  const checksum = (xxHash32(header, 0, header.length) >>> 8) & 0xff
  return Buffer.concat([fromHex('04224d18'), header, Buffer.from([checksum]), fromHex(rest)])
}

describe('xxHash32', () => {
  it.each([
    ['', 0x02cc_5d05],
    ['a', 0x550d_7456],
    ['abc', 0x32d1_53ff],
    ['Nobody inspects the spammish repetition', 0xe229_3b2f],
  ])('of "%s" is as published', (input, hash) => {
    const bytes = Buffer.from(`..${input}.`)
    expect(xxHash32(bytes, 2, bytes.length - 1)).toBe(hash)
  })
})

describe('a written LZ4 frame', () => {
  it('starts as Kafka’s do: blocks of 64 KiB that stand alone, no checksums, no size', () => {
    for (const content of [Buffer.alloc(0), text, noise]) {
      expect(compressLz4(content).subarray(0, 7).toString('hex')).toBe('04224d18604082')
      expect(compressLz4(content).subarray(-4).toString('hex')).toBe('00000000')
    }
  })

  it('stores as they are the blocks that do not get smaller', () => {
    const packed = compressLz4(noise)
    expect(packed.readUInt32LE(7)).toBe(0x8000_0000 + 65_536)
    expect(packed.length).toBe(7 + 4 + 65_536 + 4 + (100_000 - 65_536) + 4)
  })

  it('is read by another decoder', () => {
    for (const content of [Buffer.from('x'), text, noise, Buffer.alloc(500_000)]) {
      expect(decompressFrameSync(compressLz4(content)).equals(content)).toBe(true)
    }
  })
})

describe('an LZ4 frame of another writer', () => {
  it.each([
    { blockChecksums: false, contentChecksum: false },
    { blockChecksums: true, contentChecksum: false },
    { blockChecksums: false, contentChecksum: true },
    { blockChecksums: true, contentChecksum: true },
  ])('may have larger blocks and checksums: %o', (options) => {
    for (const content of [text, noise, Buffer.alloc(0), Buffer.alloc(5_000_000, 'ab')]) {
      const packed = compressFrameSync(content, options)
      expect(decompressLz4(packed, content.length).equals(content)).toBe(true)
    }
  })

  it.each([
    ['of a block', { blockChecksums: true }],
    ['of the content', { contentChecksum: true }],
  ])('is refused when the checksum %s differs', (_, options) => {
    const packed = Buffer.from(compressFrameSync(Buffer.from('streambed'), options))
    const at = 'blockChecksums' in options ? packed.length - 5 : packed.length - 1
    packed.writeUInt8(packed.readUInt8(at) ^ 1, at)
    expect(() => decompressLz4(packed, 1_000)).toThrow(
      expect.objectContaining({ reason: 'compression' }),
    )
  })

  it('may say its size, if that is right', () => {
    const block = '010000807800000000'
    expect(decompressLz4(frame(0x68, 0x40, block, '0100000000000000'), 1).toString()).toBe('x')
    expect(() => decompressLz4(frame(0x68, 0x40, block, '0200000000000000'), 9)).toThrow(
      expect.objectContaining({ reason: 'compression' }),
    )
    expect(() => decompressLz4(frame(0x68, 0x40, block, 'ffffffffffffffff'), 9)).toThrow(
      expect.objectContaining({ reason: 'limit' }),
    )
  })

  it('ends at its end mark, as for Kafka’s reader', () => {
    const packed = Buffer.concat([compressLz4(text), Buffer.from('more')])
    expect(decompressLz4(packed, text.length).equals(text)).toBe(true)
  })

  it.each([
    ['linked blocks', frame(0x40, 0x40, '00000000')],
    ['a dictionary', frame(0x61, 0x40, '00000000')],
    ['a reserved flag', frame(0x62, 0x40, '00000000')],
    ['another version', frame(0xa0, 0x40, '00000000')],
    ['a reserved bit in its descriptor', frame(0x60, 0x41, '00000000')],
    ['blocks of an unknown size', frame(0x60, 0x30, '00000000')],
    ['a wrong header checksum', fromHex('04224d1860408300000000')],
    ['a block larger than announced', frame(0x60, 0x40, `01000180${'00'.repeat(65_537)}00000000`)],
    ['a match from in front of the block', frame(0x60, 0x40, '040000001061020000000000')],
    ['another magic', fromHex('05224d1860408200000000')],
  ])('is refused for %s', (_, source) => {
    expect(() => decompressLz4(source, 1_000_000)).toThrow(CorruptBytes)
  })
})

describe('an LZ4 block', () => {
  it.each([
    ['nothing', ''],
    ['a match', '10610100'],
  ])('is not sound where it ends behind %s', (_, hex) => {
    const block = Buffer.from(hex, 'hex')
    expect(measureLz4Block(block, 0, block.length)).toBe(-1)
  })

  it('is measured and unpacked by the plain code as it was packed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.uint8Array({ maxLength: 40 }),
        fc.integer({ min: 1, max: 2_000 }),
        (pattern, tail, repeatedBytes) => {
          const content = Buffer.concat([Buffer.alloc(repeatedBytes, pattern), tail, pattern, tail])
          const block = compressSync(content)
          expect(measureLz4Block(block, 4, block.length)).toBe(content.length)
          const target = Buffer.alloc(content.length + 2, 0xee)
          expect(unpackLz4Block(block, 4, block.length, target, 1)).toBe(content.length + 1)
          expect(target.subarray(1, -1).equals(content)).toBe(true)
          expect([target.at(0), target.at(-1)]).toEqual([0xee, 0xee])
        },
      ),
    )
  })
})

describe('without lz4-napi', () => {
  it('frames are read, and writing one names what is missing', async () => {
    const packed = [text, noise, Buffer.alloc(300_000)].map((content) => compressLz4(content))
    await withoutPackages(['lz4-napi'], loadCodec, (codec) => {
      expect(codec.canCompressLz4()).toBe(false)
      expect(codec.decompressLz4(packed[0] ?? noise, text.length).equals(text)).toBe(true)
      expect(codec.decompressLz4(packed[1] ?? text, noise.length).equals(noise)).toBe(true)
      expect(codec.decompressLz4(packed[2] ?? text, 300_000).equals(Buffer.alloc(300_000))).toBe(
        true,
      )
      expect(() => codec.compressLz4(text)).toThrow(
        expect.objectContaining({ reason: 'codec-missing' }),
      )
    })
  })
})
