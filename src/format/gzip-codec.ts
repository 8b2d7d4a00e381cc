/**
 * Gzip as Kafka uses it: RFC 1952 members back to back, usually one, at the default level 6.
 *
 *   1f 8b 08 | flags | mtime (4) | xfl | os | deflate data | crc32 (4) | size modulo 2^32 (4)
 *
 * All of the work is zlib's. Owns the bound on what comes out, and zlib's chunk size.
 */
import { constants } from 'node:buffer'
import { gunzipSync, gzipSync } from 'node:zlib'
import { beyondLimit, codeOf, notCompressed } from './decompression-failure.ts'

const TRAILER_SIZE_BYTES = 4
/** Deflate cannot do better: 258 bytes from two bits. */
const MAX_RATIO = 1_032
/** Below this, chunks come from Node.js's shared pool, which users must never get hold of. */
const MIN_CHUNK_BYTES = 4_096
const MAX_CHUNK_BYTES = 1_048_576

/** One gzip member. Owned. */
export function compressGzip(source: Buffer): Buffer {
  return gzipSync(source)
}

/**
 * What the members in `source` hold, one after the other. Owned.
 *
 * @throws {CorruptBytes} `compression`, or `limit` as soon as more than `maxBytes` came out.
 */
export function decompressGzip(source: Buffer, maxBytes: number): Buffer {
  let bytes: Buffer
  try {
    const maxOutputLength = Math.min(Math.max(maxBytes, 1), constants.MAX_LENGTH)
    bytes = gunzipSync(source, { maxOutputLength, chunkSize: chunkBytesFor(source) })
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw beyondLimit(maxBytes)
    throw notCompressed('bad gzip data', 0, error)
  }
  if (bytes.length > maxBytes) throw beyondLimit(maxBytes)
  return bytes
}

/**
 * A chunk that takes all the output at once, by the size in the trailer: half the time of zlib's
 * default of 16 KiB. A trailer that lies costs chunks, nothing else. One byte more than the size:
 * zlib asks for another chunk when one is exactly full.
 */
function chunkBytesFor(source: Buffer): number {
  if (source.length < TRAILER_SIZE_BYTES) return MIN_CHUNK_BYTES
  const claimedBytes = source.readUInt32LE(source.length - TRAILER_SIZE_BYTES)
  const possibleBytes = Math.min(claimedBytes, source.length * MAX_RATIO)
  return Math.min(Math.max(possibleBytes + 1, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES)
}
