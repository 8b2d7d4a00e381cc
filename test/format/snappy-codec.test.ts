/**
 * Snappy's framing, and raw blocks: what the native package says is sound must be sound for
 * snappy-block.ts, and the other way round. That is what makes `snappyjs` safe to use.
 */
import fc from 'fast-check'
import { compressSync, uncompressSync } from 'snappy'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { declaredSnappyBytes, isSoundSnappyBlock } from '../../src/format/snappy-block.ts'
import { compressSnappy, decompressSnappy } from '../../src/format/snappy-codec.ts'
import { fromHex } from './vectors.ts'
import { withoutPackages } from './without-packages.ts'

const HEADER = '82534e41505059000000000100000001'
const content = Buffer.from('streambed '.repeat(10_000))
const loadCodec = () => import('../../src/format/snappy-codec.ts')

function isRefusedBySnappy(block: Buffer): boolean {
  try {
    uncompressSync(block)
    return false
  } catch {
    return true
  }
}

describe('a snappy payload', () => {
  it('is written in a xerial frame of blocks of 32 KiB', () => {
    const frame = compressSnappy(content)
    expect(frame.subarray(0, 16).toString('hex')).toBe(HEADER)
    const sizes: number[] = []
    for (let at = 16; at < frame.length; at += 4 + frame.readInt32BE(at)) {
      sizes.push(declaredSnappyBytes(frame, at + 4, at + 4 + frame.readInt32BE(at)))
    }
    expect(sizes).toEqual([32_768, 32_768, 32_768, 100_000 - 3 * 32_768])
  })

  it('may be one raw block without a frame, as librdkafka writes it', () => {
    const block = compressSync(content)
    expect(decompressSnappy(block, content.length).equals(content)).toBe(true)
    expect(() => decompressSnappy(block, content.length - 1)).toThrow(
      expect.objectContaining({ reason: 'limit' }),
    )
  })

  it('may be several frames, one behind the other', () => {
    const frames = Buffer.concat([
      compressSnappy(content),
      fromHex(HEADER),
      compressSnappy(content),
    ])
    expect(decompressSnappy(frames, 200_000).equals(Buffer.concat([content, content]))).toBe(true)
  })

  it.each([
    ['an unknown version', '82534e4150505900000000000000000100000003010078'],
    ['a negative block length', `${HEADER}ffffffff`],
    ['an empty block', `${HEADER}00000000`],
    ['a block that claims more than it can hold', `${HEADER}00000003ffff03`],
    ['half a length', `${HEADER}0000`],
  ])('with %s is refused', (_, hex) => {
    expect(() => decompressSnappy(fromHex(hex), 1_000_000)).toThrow(CorruptBytes)
  })
})

describe('a raw snappy block', () => {
  it.each([
    ['a literal of a negative length', '05fcfbffffff6162636465'],
    ['less than it declares', '0a0c61626364'],
    ['more than it declares', '020c61626364'],
    ['a copy from in front of its start', '08006105ff'],
    ['a copy from nowhere', '0500610100'],
    ['a literal that runs past its end', '050861'],
    ['an offset that is cut off', '05006102'],
    ['a size of six bytes', '808080808001'],
  ])('with %s is not sound, and refused without the native package too', async (_, hex) => {
    const block = fromHex(hex)
    expect(isRefusedBySnappy(block)).toBe(true)
    expect(isSoundSnappyBlock(block, 0, block.length)).toBe(false)
    await withoutPackages(['snappy'], loadCodec, (codec) => {
      expect(() => codec.decompressSnappy(block, 1_000)).toThrow(
        expect.objectContaining({ name: 'CorruptBytes', reason: 'compression' }),
      )
    })
  })

  it('is sound exactly when the native package unpacks it', () => {
    const packed = compressSync(Buffer.from('abcabcabcabcabcdefghi'.repeat(40)))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { maxLength: 3 }),
        fc.nat(packed.length),
        (changes, length) => {
          const block = Buffer.from(packed.subarray(0, length))
          for (const [at, byte] of changes) if (at < length) block[at] = byte
          // The native package makes nothing of a block that declares too much for its memory.
          if (declaredSnappyBytes(block, 0, block.length) === -1) return
          expect(isSoundSnappyBlock(block, 0, block.length)).toBe(!isRefusedBySnappy(block))
        },
      ),
    )
  })
})

describe('without the native package', () => {
  it('snappy is written and read all the same', async () => {
    const native = compressSnappy(content)
    await withoutPackages(['snappy'], loadCodec, (codec) => {
      const plain = codec.compressSnappy(content)
      expect(decompressSnappy(plain, content.length).equals(content)).toBe(true)
      expect(codec.decompressSnappy(plain, content.length).equals(content)).toBe(true)
      expect(codec.decompressSnappy(native, content.length).equals(content)).toBe(true)
    })
  })
})
