/**
 * Decompressors: any bytes as one stream of a codec, with a limit on what comes out.
 *
 *   gzip, snappy, lz4, zstd   the stream as it comes; lz4's and gzip's once more with the checksums
 *                             right
 *   lz4-block, snappy-block   our own walk over a block, against a plain decoder of these targets
 *
 * What comes out is packed and unpacked once more; with one byte less allowed it must be refused.
 */
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { type Codec, compress, decompress } from '../../src/format/compression.ts'
import { measureLz4Block, unpackLz4Block } from '../../src/format/lz4-block.ts'
import { declaredSnappyBytes, isSoundSnappyBlock } from '../../src/format/snappy-block.ts'
import { xxHash32 } from '../../src/format/xx-hash32.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'
import { type FuzzTarget, promise, unlessCorrupt } from '../fuzz-target.ts'
import { plainLz4Block, plainSnappyBlock } from './plain-codecs.ts'

const LIMIT_BYTES = 32_768
/** What codecs take at once, whatever the limit. */
const CODEC_BYTES = 1_048_576

enableZstdPackage()

/** See the file's header. */
export const codecTargets: readonly FuzzTarget[] = [
  codecTarget('gzip', (input) => input),
  codecTarget('snappy', (input) => input),
  codecTarget('lz4', withLz4Checksums),
  codecTarget('zstd', (input) => input),
]

function codecTarget(codec: Codec, repaired: (input: Buffer) => Buffer): FuzzTarget {
  return {
    name: codec,
    maxInputBytes: 4_096,
    allocationLimit: (input) => 64 * input.length + 24 * LIMIT_BYTES + 12 * CODEC_BYTES,
    run(input) {
      unpackUnderLimits(codec, input)
      const sealed = repaired(input)
      if (sealed !== input) unpackUnderLimits(codec, sealed)
      const packed = compress(codec, input)
      promise(decompress(codec, packed, input.length).equals(input), 'unpacks to what was packed')
    },
  }
}

function unpackUnderLimits(codec: Codec, source: Buffer): void {
  const content = unlessCorrupt(() => decompress(codec, source, LIMIT_BYTES))
  if (content === undefined) return
  promise(content.length <= LIMIT_BYTES, 'no more comes out than is allowed')
  promise(decompress(codec, source, content.length).equals(content), 'the limit itself is allowed')
  if (content.length > 0) {
    promise(refusalOf(codec, source, content.length - 1) === 'limit', 'a byte more is not allowed')
  }
  const again = decompress(codec, compress(codec, content), content.length)
  promise(again.equals(content), 'what came out is packed and unpacked again')
}

function refusalOf(codec: Codec, source: Buffer, maxBytes: number): string | undefined {
  try {
    decompress(codec, source, maxBytes)
    return undefined
  } catch (error) {
    if (error instanceof CorruptBytes) return error.reason
    throw error
  }
}

/** A copy with the checksums of the LZ4 header, of blocks and of the content put right. */
function withLz4Checksums(input: Buffer): Buffer {
  if (input.length < 15) return input
  const frame = Buffer.from(input)
  const flags = frame.readUInt8(4)
  const headerEnd = (flags & 0x08) === 0 ? 6 : 14
  frame.writeUInt8((xxHash32(frame, 4, headerEnd) >>> 8) & 0xff, headerEnd)
  let at = headerEnd + 1
  while (at + 4 <= frame.length && frame.readUInt32LE(at) !== 0) {
    const start = at + 4
    const end = start + (frame.readUInt32LE(at) & 0x7fff_ffff)
    at = end
    if ((flags & 0x10) === 0) continue
    if (end + 4 > frame.length) break
    frame.writeUInt32LE(xxHash32(frame, start, end), end)
    at = end + 4
  }
  return frame
}

/** See the file's header. */
export const lz4BlockTarget: FuzzTarget = {
  name: 'lz4-block',
  maxInputBytes: 1_024,
  allocationLimit: (input) => 16 * input.length + 2 * LIMIT_BYTES,
  run(input) {
    const measured = measureLz4Block(input, 0, input.length)
    if (measured > LIMIT_BYTES) return
    const expected = plainLz4Block(input)
    promise((measured === -1) === (expected === null), 'sound for one decoder, not for the other')
    if (expected === null) return
    const target = Buffer.alloc(measured + 2, 0xee)
    promise(unpackLz4Block(input, 0, input.length, target, 1) === measured + 1, 'as measured')
    promise(target.subarray(1, measured + 1).equals(expected), 'two decoders give the same')
    promise(target[0] === 0xee && target[measured + 1] === 0xee, 'nothing is written beside it')
  },
}

/** See the file's header. */
export const snappyBlockTarget: FuzzTarget = {
  name: 'snappy-block',
  maxInputBytes: 1_024,
  allocationLimit: (input) => 16 * input.length + 4 * LIMIT_BYTES,
  run(input) {
    const declared = declaredSnappyBytes(input, 0, input.length)
    promise(declared <= 22 * input.length, 'no block yields more than its bytes can')
    const expected = plainSnappyBlock(input)
    const isSound = isSoundSnappyBlock(input, 0, input.length)
    promise(isSound === (expected !== null), 'sound for one decoder, not for the other')
    const content = unlessCorrupt(() => decompress('snappy', input, LIMIT_BYTES))
    if (input.subarray(0, 8).toString('latin1') === '\u0082SNAPPY\0') return
    if (expected === null) promise(content === undefined, 'an unsound block is refused')
    else promise(content?.equals(expected) === true, 'two decoders give the same')
  },
}
