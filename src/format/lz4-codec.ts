/**
 * LZ4 as Kafka uses it: one LZ4 frame of blocks that stand alone.
 *
 *   04 22 4d 18 | FLG | BD | content size (8)? | HC     little-endian, unlike all else in Kafka
 *   then        block length (4; high bit: stored as it is) | block | xxHash32 of it (4)?
 *   at last     00 00 00 00 | xxHash32 of the content (4)?
 *
 *   FLG  version 01 | blocks stand alone | block checksums | content size | content checksum | 00
 *   BD   0 | largest block: 4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB | 0000
 *   HC   second byte of the xxHash32 of FLG up to HC
 *
 * Written: FLG 60, BD 40, as Kafka's own writer. Read: all of the above; linked blocks and
 * dictionaries are refused as Kafka refuses them. Owns the frame. Blocks are packed by `lz4-napi`,
 * which is optional; they are measured by lz4-block.ts, and unpacked there if they are short or
 * the package is absent, else by the package, which sees none that is not sound.
 */
import { createRequire } from 'node:module'
import { beyondLimit, codecMissing, notCompressed } from './decompression-failure.ts'
import { measureLz4Block, unpackLz4Block } from './lz4-block.ts'
import { xxHash32 } from './xx-hash32.ts'

/** What writing LZ4 needs. */
export const LZ4_PACKAGE = 'lz4-napi'

const FRAME_START = Buffer.from('04224d18604082', 'hex')
const MAGIC = 0x184d_2204
const FLAGS_AT = 4
const MIN_HEADER_BYTES = 7
const CONTENT_SIZE_BYTES = 8
const VERSION_MASK = 0xc3 // with the two bits that must be 0: reserved, and dictionary
const VERSION_1 = 0x40
const BLOCKS_STAND_ALONE = 0x20
const BLOCK_CHECKSUMS = 0x10
const CONTENT_SIZE = 0x08
const CONTENT_CHECKSUM = 0x04
const MIN_BLOCK_SIZE_ID = 4
const WORD_BYTES = 4
const STORED = 0x8000_0000
const BLOCK_BYTES = 65_536

/** Measured: of shorter blocks the plain code is as fast. */
const NATIVE_FROM_BYTES = 2_048

/** `lz4-napi` on single blocks. Before a packed block stand four bytes: the size it unpacks to. */
interface Lz4Blocks {
  readonly compressSync: (content: Buffer) => Buffer
  readonly uncompressSync: (sizeAndBlock: Buffer) => Buffer
}

interface FrameHeader {
  readonly endPosition: number
  readonly maxBlockBytes: number
  /** -1 where the frame does not say. */
  readonly contentBytes: number
  readonly blockChecksumBytes: number
  readonly hasContentChecksum: boolean
}

let native: Lz4Blocks | null | undefined

/** Whether `compressLz4` can do its work: the package is there and loads. */
export function canCompressLz4(): boolean {
  return nativeBlocks() !== null
}

/**
 * `source` as an LZ4 frame. Owned.
 *
 * @throws {CorruptBytes} `codec-missing`.
 */
export function compressLz4(source: Buffer): Buffer {
  const blocks = nativeBlocks()
  if (blocks === null) throw codecMissing(LZ4_PACKAGE)
  const blockCount = Math.ceil(source.length / BLOCK_BYTES)
  const maxBytes = FRAME_START.length + source.length + (blockCount + 1) * WORD_BYTES
  const frame = Buffer.allocUnsafeSlow(maxBytes)
  let position = FRAME_START.copy(frame)
  for (let at = 0; at < source.length; at += BLOCK_BYTES) {
    const content = source.subarray(at, at + BLOCK_BYTES)
    const packed = blocks.compressSync(content)
    const packedBytes = packed.length - WORD_BYTES
    if (packedBytes < content.length) {
      position = frame.writeUInt32LE(packedBytes, position)
      position += packed.copy(frame, position, WORD_BYTES)
    } else {
      position = frame.writeUInt32LE(STORED + content.length, position)
      position += content.copy(frame, position)
    }
  }
  return frame.subarray(0, frame.writeUInt32LE(0, position))
}

/**
 * What the LZ4 frame at the start of `source` holds. Owned. Bytes behind the frame are ignored, as
 * Kafka's reader does.
 *
 * @throws {CorruptBytes} `compression`, or `limit` before anything is unpacked.
 */
export function decompressLz4(source: Buffer, maxBytes: number): Buffer {
  const header = readHeader(source)
  const content = Buffer.allocUnsafeSlow(measureFrame(source, header, maxBytes))
  let position = header.endPosition
  let filled = 0
  for (;;) {
    const word = wordAt(source, position)
    if (word === 0) break
    const start = position + WORD_BYTES
    const end = start + (word & ~STORED)
    if (word >= STORED) filled += source.copy(content, filled, start, end)
    else
      filled += unpack(source, start, end, content.subarray(filled, filled + header.maxBlockBytes))
    position = end + header.blockChecksumBytes
  }
  if (header.hasContentChecksum) {
    const checksumAt = position + WORD_BYTES
    if (wordAt(source, checksumAt) !== xxHash32(content, 0, content.length)) {
      throw notCompressed('the LZ4 content has another checksum', checksumAt)
    }
  }
  return content
}

/** Walks all blocks: each is sound, what they hold together is allowed and as the header says. */
function measureFrame(source: Buffer, header: FrameHeader, maxBytes: number): number {
  if (header.contentBytes > maxBytes) throw beyondLimit(maxBytes)
  let position = header.endPosition
  let totalBytes = 0
  for (;;) {
    const word = wordAt(source, position)
    if (word === 0) break
    const start = position + WORD_BYTES
    const end = start + (word & ~STORED)
    const isInside = end - start <= header.maxBlockBytes && end <= source.length
    if (!isInside) throw notCompressed('an LZ4 block ends early', position)
    const blockBytes = word >= STORED ? end - start : measureLz4Block(source, start, end)
    if (blockBytes < 0 || blockBytes > header.maxBlockBytes) {
      throw notCompressed('a bad LZ4 block', start)
    }
    if (header.blockChecksumBytes > 0 && wordAt(source, end) !== xxHash32(source, start, end)) {
      throw notCompressed('an LZ4 block has another checksum', end)
    }
    totalBytes += blockBytes
    if (totalBytes > maxBytes) throw beyondLimit(maxBytes)
    position = end + header.blockChecksumBytes
  }
  if (header.contentBytes >= 0 && header.contentBytes !== totalBytes) {
    throw notCompressed('the LZ4 frame holds less or more than it says', 0)
  }
  return totalBytes
}

/** Unpacks a sound block into `room`, which is enough for it, and returns how much came out. */
function unpack(source: Buffer, start: number, end: number, room: Buffer): number {
  const blocks = end - start < NATIVE_FROM_BYTES ? null : nativeBlocks()
  if (blocks === null) return unpackLz4Block(source, start, end, room, 0)
  const sizeAndBlock = Buffer.allocUnsafe(WORD_BYTES + end - start)
  sizeAndBlock.writeUInt32LE(room.length) // It may say too much; what is too much is cut off.
  source.copy(sizeAndBlock, WORD_BYTES, start, end)
  return blocks.uncompressSync(sizeAndBlock).copy(room)
}

function readHeader(source: Buffer): FrameHeader {
  if (source.length < MIN_HEADER_BYTES || source.readUInt32LE(0) !== MAGIC) {
    throw notCompressed('no LZ4 frame', 0)
  }
  const flags = source.readUInt8(FLAGS_AT)
  const descriptor = source.readUInt8(FLAGS_AT + 1)
  const blockSizeId = descriptor >>> 4
  const isReadable =
    (flags & VERSION_MASK) === VERSION_1 &&
    (flags & BLOCKS_STAND_ALONE) !== 0 &&
    (descriptor & 0x8f) === 0 &&
    blockSizeId >= MIN_BLOCK_SIZE_ID
  if (!isReadable) throw notCompressed('an LZ4 frame of a kind that Kafka has not', FLAGS_AT)
  const sizeAt = FLAGS_AT + 2
  const checksumAt = (flags & CONTENT_SIZE) === 0 ? sizeAt : sizeAt + CONTENT_SIZE_BYTES
  if (checksumAt >= source.length) throw notCompressed('the LZ4 frame ends early', source.length)
  const checksum = (xxHash32(source, FLAGS_AT, checksumAt) >>> 8) & 0xff
  if (source.readUInt8(checksumAt) !== checksum) {
    throw notCompressed('the LZ4 header has another checksum', checksumAt)
  }
  return {
    endPosition: checksumAt + 1,
    maxBlockBytes: 1 << (2 * blockSizeId + 8),
    contentBytes: (flags & CONTENT_SIZE) === 0 ? -1 : contentBytesAt(source, sizeAt),
    blockChecksumBytes: (flags & BLOCK_CHECKSUMS) === 0 ? 0 : WORD_BYTES,
    hasContentChecksum: (flags & CONTENT_CHECKSUM) !== 0,
  }
}

/** A uint64, rounded where it is beyond 2^53: larger than any limit anyhow. */
function contentBytesAt(source: Buffer, at: number): number {
  return source.readUInt32LE(at + WORD_BYTES) * 0x1_0000_0000 + source.readUInt32LE(at)
}

function wordAt(source: Buffer, at: number): number {
  if (at + WORD_BYTES <= source.length) return source.readUInt32LE(at)
  throw notCompressed('the LZ4 frame ends early', source.length)
}

function nativeBlocks(): Lz4Blocks | null {
  if (native === undefined) native = loadBlocks()
  return native
}

function loadBlocks(): Lz4Blocks | null {
  try {
    const require = createRequire(import.meta.url)
    const loaded: unknown = require('lz4-napi')
    const blocks = loaded as Lz4Blocks // proved by calling both functions
    const unpacked = blocks.uncompressSync(blocks.compressSync(FRAME_START))
    return unpacked.equals(FRAME_START) ? blocks : null
  } catch {
    return null // Not installed, or built for another platform.
  }
}
