/**
 * All codecs, from the outside: what Kafka and other producers wrote, round trips, bombs, damage.
 * What is special about one codec is in the test of its own file.
 */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { InvariantError } from '../../src/errors/invariant.ts'
import {
  COMPRESSION_CODECS,
  type Codec,
  type CodecDirection,
  attributeBitsOf,
  codecOfAttributes,
  compress,
  decompress,
  isCodecAvailable,
  missingPackageOf,
} from '../../src/format/compression.ts'
import { LZ4_PACKAGE } from '../../src/format/lz4-codec.ts'
import { ZSTD_PACKAGE } from '../../src/format/zstd-wasm.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'
import { fromHex, loadBatchVectors, loadVectors } from './vectors.ts'
import { withoutPackages } from './without-packages.ts'

enableZstdPackage()

const HEADER_BYTES = 61
const MIB = 1_048_576
const NO_LIMIT = 64 * MIB
const codecs = COMPRESSION_CODECS.filter((codec) => codec !== 'none')

interface CompactionFile {
  readonly vectors: readonly { readonly name: string; readonly inputHex: string }[]
}

/** Runs `work` and gives its CorruptBytes; null when it returns. */
function refusal(work: () => Buffer): CorruptBytes | null {
  try {
    work()
    return null
  } catch (error) {
    if (error instanceof CorruptBytes) return error
    throw error
  }
}

/** The records of a payload by their own lengths: right only if each byte is. */
function countRecords(payload: Buffer): number {
  let position = 0
  let recordCount = 0
  while (position < payload.length) {
    let zigzag = 0
    for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
      byte = payload.readUInt8(position++)
      zigzag |= (byte & 0x7f) << shift
    }
    position += zigzag >>> 1
    recordCount++
  }
  expect(position).toBe(payload.length)
  return recordCount
}

const everyKind = [
  { name: 'nothing', content: Buffer.alloc(0) },
  { name: 'one byte', content: Buffer.from('x') },
  { name: 'a short text', content: Buffer.from('streambed, streambed, streambed') },
  { name: '1 MiB of noise', content: randomBytes(MIB) },
  { name: '1 MiB and a bit of zeros', content: Buffer.alloc(MIB + 7) },
  { name: 'half a MiB of numbers', content: Buffer.from(numbers(MIB / 2)) },
]

function numbers(byteCount: number): string {
  let text = ''
  for (let index = 0; text.length < byteCount; index++)
    text += `{"id":${index},"n":${index * 7919}}\n`
  return text
}

describe('attributes', () => {
  it('name the codecs there are: to pack with another one is a mistake of ours', () => {
    const unknown = 'brotli' as Codec // what the compiler would not let pass
    expect(() => compress(unknown, Buffer.alloc(1))).toThrow(InvariantError)
    expect(() => decompress(unknown, Buffer.alloc(1), 1)).toThrow(InvariantError)
  })

  it('name the codec in their low three bits, whatever the others are', () => {
    for (const codec of COMPRESSION_CODECS) {
      expect(codecOfAttributes(attributeBitsOf(codec))).toBe(codec)
      expect(codecOfAttributes(attributeBitsOf(codec) | 0x78)).toBe(codec)
    }
    expect(COMPRESSION_CODECS.map(attributeBitsOf)).toEqual([0, 1, 2, 3, 4])
  })

  it.each([5, 6, 7])('that name codec %i are refused', (attributes) => {
    expect(() => codecOfAttributes(attributes)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes', reason: 'attributes' }),
    )
  })
})

describe('with all optional packages', () => {
  it.each(COMPRESSION_CODECS)('%s is there for both directions', (codec) => {
    expect(missingPackageOf(codec, 'compress')).toBeNull()
    expect(missingPackageOf(codec, 'decompress')).toBeNull()
    expect(isCodecAvailable(codec, 'compress')).toBe(true)
  })
})

describe('without any optional package', () => {
  it('says of each codec what it needs, and what for', async () => {
    const load = () => import('../../src/format/compression.ts')
    const zstd = 'zstdCompressSync' in process.getBuiltinModule('node:zlib') ? null : ZSTD_PACKAGE
    await withoutPackages([ZSTD_PACKAGE, LZ4_PACKAGE], load, (codec) => {
      const missing = (direction: CodecDirection): readonly (string | null)[] =>
        COMPRESSION_CODECS.map((name) => codec.missingPackageOf(name, direction))
      expect(missing('compress')).toEqual([null, null, null, LZ4_PACKAGE, zstd])
      expect(missing('decompress')).toEqual([null, null, null, null, zstd])
      expect(codec.isCodecAvailable('lz4', 'compress')).toBe(false)
      expect(codec.isCodecAvailable('lz4', 'decompress')).toBe(true)
    })
  })
})

describe('batches that others compressed', () => {
  const vectors = loadBatchVectors().filter(({ batch }) => batch.compression !== 'none')

  it('are there for each codec', () => {
    expect(new Set(vectors.map(({ batch }) => batch.compression))).toEqual(new Set(codecs))
  })

  it.each(vectors)('$name unpacks to all of its records', ({ hex, batch }) => {
    const payload = fromHex(hex).subarray(HEADER_BYTES)
    const content = decompress(batch.compression, payload, NO_LIMIT)
    expect(countRecords(content)).toBe(batch.count)
    expect(decompress(batch.compression, payload, content.length)).toEqual(content)
    const parts = batch.records.flatMap(({ key, value }) => [key ?? '', value ?? ''])
    expect(parts.filter((part) => !content.includes(fromHex(part)))).toEqual([])
  })

  it('of a compacted topic unpack too', () => {
    const file = loadVectors<CompactionFile>('compaction.json')
    const vector = file.vectors.find(({ name }) => name === 'compressed_partial')
    const batch = fromHex(vector?.inputHex ?? '')
    const codec = codecOfAttributes(batch.readInt16BE(21))
    expect(codec).toBe('lz4')
    expect(countRecords(decompress(codec, batch.subarray(HEADER_BYTES), NO_LIMIT))).toBe(
      batch.readInt32BE(57),
    )
  })

  it('that say gzip but are plain are refused', () => {
    const plain = fromHex('10000000026b02760014000202046b3204763200')
    expect(refusal(() => decompress('gzip', plain, NO_LIMIT))?.reason).toBe('compression')
  })
})

describe.each(COMPRESSION_CODECS)('%s', (codec) => {
  it.each(everyKind)('gives back $name', ({ content }) => {
    const packed = compress(codec, content)
    expect(decompress(codec, packed, NO_LIMIT).equals(content)).toBe(true)
    expect(decompress(codec, packed, content.length).equals(content)).toBe(true)
  })

  it('gives back any bytes, also from the middle of a buffer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(200), (bytes, repeats) => {
        const content = Buffer.alloc(bytes.length + repeats, bytes.length > 0 ? bytes : 1)
        const packed = Buffer.concat([
          Buffer.from('front'),
          compress(codec, content),
          Buffer.alloc(0),
        ])
        expect(decompress(codec, packed.subarray(5), content.length).equals(content)).toBe(true)
      }),
    )
  })

  it('refuses what unpacks to one byte more than allowed', () => {
    for (const { content } of everyKind.filter((kind) => kind.content.length > 0)) {
      const packed = compress(codec, content)
      expect(refusal(() => decompress(codec, packed, content.length - 1))?.reason).toBe('limit')
    }
  })

  it('asserts that the limit is a count', () => {
    expect(() => decompress(codec, Buffer.alloc(0), -1)).toThrow(InvariantError)
    expect(() => decompress(codec, Buffer.alloc(0), Number.NaN)).toThrow(InvariantError)
  })
})

describe.each(codecs)('%s, given damage', (codec) => {
  it('refuses a bomb and takes no memory for it', () => {
    const bomb = compress(codec, Buffer.alloc(32 * MIB))
    const before = process.memoryUsage().arrayBuffers
    expect(refusal(() => decompress(codec, bomb, MIB))?.reason).toBe('limit')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MIB)
  })

  it('refuses what ends early, wherever it ends', () => {
    const packed = compress(codec, Buffer.from(numbers(2_000)))
    for (let length = 0; length < packed.length; length++) {
      const cut = packed.subarray(0, length)
      // A snappy frame has no end mark: cut behind its header, it is a whole and empty one.
      const isWholeFrame = codec === 'snappy' && length === 16
      const reason = isWholeFrame ? undefined : 'compression'
      expect(refusal(() => decompress(codec, cut, NO_LIMIT))?.reason).toBe(reason)
    }
  })

  it('answers flipped bits and overwritten bytes with CorruptBytes or other bytes', () => {
    const packed = compress(codec, Buffer.from(numbers(3_000)))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const changed = Buffer.from(packed)
          for (const [at, byte] of changes) changed[at] = byte
          const wrong = refusal(() => decompress(codec, changed, MIB))
          if (wrong === null) return
          expect(['compression', 'limit']).toContain(wrong.reason)
          expect(wrong.position).toBeLessThanOrEqual(packed.length)
        },
      ),
    )
  })

  it('refuses noise, or makes bytes of it', () => {
    const start = compress(codec, Buffer.alloc(0)).subarray(0, 16)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(16), (noise, keptBytes) => {
        const source = Buffer.concat([start.subarray(0, keptBytes), noise])
        const reason = refusal(() => decompress(codec, source, MIB))?.reason
        expect([undefined, 'compression', 'limit']).toContain(reason)
      }),
    )
  })
})
