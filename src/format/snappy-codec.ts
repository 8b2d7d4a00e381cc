/**
 * Snappy as Kafka uses it: raw blocks in the frame of Java's xerial library.
 *
 *   82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version (4) | compatible since (4)
 *   then, until the end:            block length (4) | raw block of at most 32 KiB of records
 *
 * Big-endian. A frame may be followed by another one, header and all. librdkafka writes one raw
 * block and no frame. Owns the framing and the bound; blocks are packed by `snappy`, which is
 * optional and native, or else by `snappyjs`, which is always there.
 */
import { createRequire } from 'node:module'
import { beyondLimit, notCompressed } from './decompression-failure.ts'
import { declaredSnappyBytes, isSoundSnappyBlock } from './snappy-block.ts'

const MAGIC = Buffer.from('82534e4150505900', 'hex')
const HEADER_BYTES = 16
const VERSION_AT = 8
const COMPATIBLE_AT = 12
const VERSION = 1
const BLOCK_LENGTH_BYTES = 4
const BLOCK_BYTES = 32_768

/** One raw block to or from its content; a block handed to `uncompress` is known to be sound. */
interface SnappyBlocks {
  readonly compress: (content: Buffer) => Buffer
  readonly uncompress: (block: Buffer) => Buffer
  /** Whether `uncompress` finds out by itself that a block is not sound. */
  readonly isStrict: boolean
}

/** Where one raw block lies in the source. */
interface BlockRange {
  readonly start: number
  readonly end: number
}

interface NativeSnappy {
  readonly compressSync: (input: Buffer, options: object) => Buffer
  readonly uncompressSync: (input: Buffer, options: object) => Buffer
}

interface PlainSnappy {
  readonly compress: (input: Buffer) => Buffer
  readonly uncompress: (input: Buffer) => Buffer
}

let blocks: SnappyBlocks | undefined

/** `source` in a xerial frame. Owned. */
export function compressSnappy(source: Buffer): Buffer {
  const { compress } = loadBlocks()
  const parts: Buffer[] = [newHeader()]
  for (let at = 0; at < source.length; at += BLOCK_BYTES) {
    const block = compress(source.subarray(at, at + BLOCK_BYTES))
    const length = Buffer.allocUnsafe(BLOCK_LENGTH_BYTES)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

/**
 * What a xerial frame, or a bare raw block, holds. Owned.
 *
 * @throws {CorruptBytes} `compression`, or `limit` before anything is unpacked.
 */
export function decompressSnappy(source: Buffer, maxBytes: number): Buffer {
  const ranges = startsFrame(source, 0) ? blockRanges(source) : [{ start: 0, end: source.length }]
  let totalBytes = 0
  for (const { start, end } of ranges) {
    const declaredBytes = declaredSnappyBytes(source, start, end)
    if (declaredBytes === -1) throw notCompressed('a bad snappy block', start)
    totalBytes += declaredBytes
    if (totalBytes > maxBytes) throw beyondLimit(maxBytes)
  }
  const [first] = ranges
  if (first !== undefined && ranges.length === 1) return decompressBlock(source, first)
  const content = Buffer.allocUnsafeSlow(totalBytes)
  let filledBytes = 0
  for (const range of ranges)
    filledBytes += decompressBlock(source, range).copy(content, filledBytes)
  return content
}

/** The blocks of the frame, or frames, in `source`. */
function blockRanges(source: Buffer): readonly BlockRange[] {
  const ranges: BlockRange[] = []
  let position = 0
  while (position < source.length) {
    // Never a length: its sign bit is set.
    if (startsFrame(source, position)) {
      position = skipHeader(source, position)
      continue
    }
    const start = position + BLOCK_LENGTH_BYTES
    const blockBytes = start <= source.length ? source.readInt32BE(position) : 0
    const end = start + blockBytes
    if (blockBytes <= 0 || end > source.length) {
      throw notCompressed('a snappy frame ends early', position)
    }
    ranges.push({ start, end })
    position = end
  }
  return ranges
}

function skipHeader(source: Buffer, at: number): number {
  const end = at + HEADER_BYTES
  if (end <= source.length && source.readInt32BE(at + VERSION_AT) >= VERSION) return end
  throw notCompressed('a bad snappy frame header', at)
}

function startsFrame(source: Buffer, at: number): boolean {
  const end = at + MAGIC.length
  return end <= source.length && source.compare(MAGIC, 0, MAGIC.length, at, end) === 0
}

function decompressBlock(source: Buffer, { start, end }: BlockRange): Buffer {
  const { uncompress, isStrict } = loadBlocks()
  if (!isStrict && !isSoundSnappyBlock(source, start, end)) {
    throw notCompressed('a bad snappy block', start)
  }
  try {
    return uncompress(source.subarray(start, end))
  } catch (error) {
    throw notCompressed('a bad snappy block', start, error)
  }
}

function newHeader(): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  MAGIC.copy(header)
  header.writeInt32BE(VERSION, VERSION_AT)
  header.writeInt32BE(VERSION, COMPATIBLE_AT)
  return header
}

function loadBlocks(): SnappyBlocks {
  blocks ??= loadNative() ?? loadPlain()
  return blocks
}

function loadNative(): SnappyBlocks | null {
  let native: NativeSnappy
  try {
    const require = createRequire(import.meta.url)
    const loaded: unknown = require('snappy')
    native = loaded as NativeSnappy // its documented functions; the call below proves them
    native.compressSync(MAGIC, {})
  } catch {
    return null // Not installed, or built for another platform.
  }
  // Copied output: memory that lives outside of V8's heap costs far more to make and to free.
  const options = { copyOutputData: true }
  return {
    compress: (content) => native.compressSync(content, options),
    uncompress: (block) => native.uncompressSync(block, options),
    isStrict: true,
  }
}

function loadPlain(): SnappyBlocks {
  const require = createRequire(import.meta.url)
  const loaded: unknown = require('snappyjs')
  const { compress, uncompress } = loaded as PlainSnappy // its documented functions
  return { compress, uncompress, isStrict: false }
}
