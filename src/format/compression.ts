/**
 * Compression: the codec of a batch, and its payload packed and unpacked as Kafka frames it.
 *
 *   attributes bits 0-2   0 none   1 gzip   2 snappy   3 lz4   4 zstd   (5 to 7 are no codec)
 *   payload               all records of the batch as one stream; the 61 header bytes stay plain
 *
 * Owns which codecs there are and what each needs; the framing of each is in its own file. Gzip,
 * snappy and reading lz4 are always there; writing lz4, and zstd below Node.js 22.15, take an
 * optional package. Packages are looked for when first needed, once, and never at import.
 * What unpacks to more than the caller allows is refused before that much memory is taken.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert, unreachable } from '../errors/invariant.ts'
import { compressGzip, decompressGzip } from './gzip-codec.ts'
import { LZ4_PACKAGE, canCompressLz4, compressLz4, decompressLz4 } from './lz4-codec.ts'
import { compressSnappy, decompressSnappy } from './snappy-codec.ts'
import { compressZstd, decompressZstd, isZstdAvailable } from './zstd-codec.ts'
import { ZSTD_PACKAGE } from './zstd-wasm.ts'

/** Every codec, at the index that is its number in a batch's attributes. */
export const COMPRESSION_CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** How the records of a batch are compressed. */
export type Codec = (typeof COMPRESSION_CODECS)[number]

/** What a codec is needed for: some can read without the package that writing takes. */
export type CodecDirection = 'compress' | 'decompress'

const CODEC_BITS = 0x07

/**
 * The codec that a batch's attributes name.
 *
 * @throws {CorruptBytes} `attributes` for the numbers that are no codec.
 */
export function codecOfAttributes(attributes: number): Codec {
  const codec = COMPRESSION_CODECS[attributes & CODEC_BITS]
  if (codec !== undefined) return codec
  throw new CorruptBytes('attributes', 'the attributes name a codec that does not exist', 0)
}

/** The attribute bits that name `codec`. */
export function attributeBitsOf(codec: Codec): number {
  return COMPRESSION_CODECS.indexOf(codec)
}

/** Whether `codec` can do this here and now: built in, or its package loads. */
export function isCodecAvailable(codec: Codec, direction: CodecDirection): boolean {
  return missingPackageOf(codec, direction) === null
}

/** The package to install so that `codec` can do this; null when nothing is missing. */
export function missingPackageOf(codec: Codec, direction: CodecDirection): string | null {
  if (codec === 'zstd') return isZstdAvailable() ? null : ZSTD_PACKAGE
  if (codec === 'lz4' && direction === 'compress') return canCompressLz4() ? null : LZ4_PACKAGE
  return null
}

/**
 * `source` as one stream of `codec`, framed so that Kafka and its clients read it.
 *
 * @returns Owned bytes; `source` itself for 'none'.
 * @throws {CorruptBytes} `codec-missing`: ask `missingPackageOf` first, it names the package.
 */
export function compress(codec: Codec, source: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return source
    case 'gzip':
      return compressGzip(source)
    case 'snappy':
      return compressSnappy(source)
    case 'lz4':
      return compressLz4(source)
    case 'zstd':
      return compressZstd(source)
    default:
      return unreachable(codec)
  }
}

/**
 * What was compressed into `source`: one whole stream of `codec`, of any encoder that Kafka reads.
 *
 * @returns Owned bytes, at most `maxBytes` of them; `source` itself for 'none'.
 * @throws {CorruptBytes} `compression` when `source` is no such stream, `limit` when it holds more
 * than `maxBytes`, `codec-missing` when there is no package to read it with.
 */
export function decompress(codec: Codec, source: Buffer, maxBytes: number): Buffer {
  assert(Number.isSafeInteger(maxBytes) && maxBytes >= 0, 'maxBytes: an integer, >= 0')
  switch (codec) {
    case 'none':
      if (source.length <= maxBytes) return source
      throw new CorruptBytes('limit', 'the records are larger than allowed', 0)
    case 'gzip':
      return decompressGzip(source, maxBytes)
    case 'snappy':
      return decompressSnappy(source, maxBytes)
    case 'lz4':
      return decompressLz4(source, maxBytes)
    case 'zstd':
      return decompressZstd(source, maxBytes)
    default:
      return unreachable(codec)
  }
}
