/**
 * The outline of zstd frames (RFC 8878): where each ends, and how much can come out of it at most.
 *
 *   28 b5 2f fd | descriptor | window (1)? | dictionary (0-4) | content size (0-8)    little-endian
 *   then blocks:  bit 0 last | bits 1-2 kind | bits 3-23 size, and that many bytes (RLE: one)
 *   at last       checksum (4)?
 *
 *   5x 2a 4d 18 | size (4) | so many bytes of anything: a frame to skip
 *
 * Unpacking is libzstd's work. It is told what to expect, because Kafka writes no content size,
 * and it sees one whole frame at a time: Node.js up to 22.15 takes a frame that ends early for a
 * short one, and up to 24 nothing comes out behind a frame to skip.
 */
import { notCompressed } from './decompression-failure.ts'

/** One frame of a payload. */
export interface ZstdFrame {
  readonly start: number
  readonly end: number
  /** Holds no records, whatever it holds. */
  readonly isSkippable: boolean
  /** What the frame says it unpacks to; -1 where it does not say. */
  readonly contentBytes: number
  /** The most that its blocks can unpack to, which is `contentBytes` where that is known. */
  readonly maxContentBytes: number
}

const MAGIC = 0xfd2f_b528
const SKIPPABLE_MAGIC = 0x184d_2a50
const DESCRIPTOR_AT = 4
const SINGLE_SEGMENT = 0x20
const RESERVED = 0x08
const CHECKSUM = 0x04
const DICTIONARY = 0x03
const TWO_BYTE_SIZE_BASE = 256
const CHECKSUM_BYTES = 4
const BLOCK_HEADER_BYTES = 3
const MAX_BLOCK_BYTES = 131_072
const RLE_BLOCK = 1
const PACKED_BLOCK = 2

/**
 * The frame that starts at `start`.
 *
 * @throws {CorruptBytes} `compression` when there is none, or not all of it.
 */
export function readZstdFrame(source: Buffer, start: number): ZstdFrame {
  requireBytes(source, start, DESCRIPTOR_AT + 1)
  const magic = source.readUInt32LE(start)
  if ((magic & ~0xf) === SKIPPABLE_MAGIC) return skippableFrame(source, start)
  if (magic !== MAGIC) throw notCompressed('no zstd frame', start)
  const descriptor = source.readUInt8(start + DESCRIPTOR_AT)
  if ((descriptor & (RESERVED | DICTIONARY)) !== 0) {
    throw notCompressed('a zstd frame of a kind that Kafka has not', start + DESCRIPTOR_AT)
  }
  const isSingleSegment = (descriptor & SINGLE_SEGMENT) !== 0
  const sizeAt = start + DESCRIPTOR_AT + (isSingleSegment ? 1 : 2)
  const sizeKind = descriptor >>> 6
  const sizeBytes = sizeKind === 0 ? Number(isSingleSegment) : 1 << sizeKind
  requireBytes(source, sizeAt, sizeBytes)
  const contentBytes = contentBytesAt(source, sizeAt, sizeBytes)
  let position = sizeAt + sizeBytes
  let maxContentBytes = 0
  for (let isLast = false; !isLast;) {
    requireBytes(source, position, BLOCK_HEADER_BYTES)
    const header = source.readUIntLE(position, BLOCK_HEADER_BYTES)
    isLast = (header & 1) === 1
    const kind = (header >>> 1) & 3
    const blockBytes = header >>> 3
    if (kind > PACKED_BLOCK || blockBytes > MAX_BLOCK_BYTES) {
      throw notCompressed('a bad zstd block', position)
    }
    maxContentBytes += kind === PACKED_BLOCK ? MAX_BLOCK_BYTES : blockBytes
    position += BLOCK_HEADER_BYTES + (kind === RLE_BLOCK ? 1 : blockBytes)
  }
  const end = position + ((descriptor & CHECKSUM) === 0 ? 0 : CHECKSUM_BYTES)
  if (end > source.length) throw endsEarly(source)
  if (contentBytes > maxContentBytes) throw notCompressed('a zstd frame promises too much', start)
  const bound = contentBytes === -1 ? maxContentBytes : contentBytes
  return { start, end, isSkippable: false, contentBytes, maxContentBytes: bound }
}

function skippableFrame(source: Buffer, start: number): ZstdFrame {
  requireBytes(source, start, 2 * 4)
  const end = start + 2 * 4 + source.readUInt32LE(start + 4)
  if (end > source.length) throw endsEarly(source)
  return { start, end, isSkippable: true, contentBytes: 0, maxContentBytes: 0 }
}

function contentBytesAt(source: Buffer, at: number, sizeBytes: number): number {
  switch (sizeBytes) {
    case 0:
      return -1
    case 1:
      return source.readUInt8(at)
    case 2:
      return source.readUInt16LE(at) + TWO_BYTE_SIZE_BASE
    case 4:
      return source.readUInt32LE(at)
    default: // Rounded beyond 2^53: more than any blocks hold.
      return source.readUInt32LE(at + 4) * 0x1_0000_0000 + source.readUInt32LE(at)
  }
}

function requireBytes(source: Buffer, at: number, byteCount: number): void {
  if (at + byteCount > source.length) throw endsEarly(source)
}

function endsEarly(source: Buffer): Error {
  return notCompressed('a zstd frame ends early', source.length)
}
