/**
 * Zstd as Kafka uses it: frames back to back, usually one, at the default level 3.
 *
 * The work is done by Node.js where it has zstd (from 22.15 and 23.8), else by zstd-wasm.ts. Owns
 * which of the two, the bound on what comes out, and that each frame is whole (zstd-frame.ts).
 */
import { constants } from 'node:buffer'
import zlib from 'node:zlib'
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { beyondLimit, codeOf, notCompressed } from './decompression-failure.ts'
import { type ZstdFrame, readZstdFrame } from './zstd-frame.ts'
import { compressByWasm, decompressByWasm, isZstdPackageAvailable } from './zstd-wasm.ts'

interface OutputOptions {
  readonly maxOutputLength: number
  readonly chunkSize: number
}

/** The part of `node:zlib` that older versions lack. */
interface BuiltInZstd {
  readonly zstdCompressSync: (source: Uint8Array) => Buffer
  readonly zstdDecompressSync: (frame: Uint8Array, options: OutputOptions) => Buffer
}

/** Larger sources become several frames: WebAssembly has 2 GiB, and twice a frame must fit. */
const WASM_FRAME_BYTES = 67_108_864
/** Below this, chunks come from Node.js's shared pool, which users must never get hold of. */
const MIN_CHUNK_BYTES = 4_096
const MAX_CHUNK_BYTES = 1_048_576
/** Records rarely pack better than this; where they do, a second chunk is taken. */
const USUAL_RATIO = 8

/** Whether zstd can be read and written here: by Node.js itself, or by the package. */
export function isZstdAvailable(): boolean {
  return builtIn() !== null || isZstdPackageAvailable()
}

/**
 * `source` as a zstd frame, with its content size. Owned.
 *
 * @throws {CorruptBytes} `codec-missing`.
 */
export function compressZstd(source: Buffer): Buffer {
  const zstd = builtIn()
  if (zstd !== null) return zstd.zstdCompressSync(source)
  if (source.length <= WASM_FRAME_BYTES) return compressByWasm(source)
  const frames: Buffer[] = []
  for (let at = 0; at < source.length; at += WASM_FRAME_BYTES) {
    frames.push(compressByWasm(source.subarray(at, at + WASM_FRAME_BYTES)))
  }
  return Buffer.concat(frames)
}

/**
 * What the frames in `source` hold, one after the other. Owned.
 *
 * @throws {CorruptBytes} `compression`; `limit` before more than `maxBytes` come out;
 * `codec-missing`.
 */
export function decompressZstd(source: Buffer, maxBytes: number): Buffer {
  const parts: Buffer[] = []
  let totalBytes = 0
  let position = 0
  do {
    const frame = readZstdFrame(source, position)
    if (frame.contentBytes > maxBytes - totalBytes) throw beyondLimit(maxBytes)
    if (!frame.isSkippable) {
      const part = decompressFrame(source, frame, maxBytes - totalBytes)
      if (part === null) throw beyondLimit(maxBytes)
      parts.push(part)
      totalBytes += part.length
    }
    position = frame.end
  } while (position < source.length)
  const [first] = parts
  return first !== undefined && parts.length === 1 ? first : Buffer.concat(parts, totalBytes)
}

/** What one frame holds; null when that is more than `maxBytes`. */
function decompressFrame(source: Buffer, frame: ZstdFrame, maxBytes: number): Buffer | null {
  const bytes = source.subarray(frame.start, frame.end)
  const boundBytes = Math.min(frame.maxContentBytes, maxBytes)
  const zstd = builtIn()
  let content: Buffer | null
  try {
    content =
      zstd === null
        ? decompressByWasm(bytes, boundBytes)
        : zstd.zstdDecompressSync(bytes, {
            maxOutputLength: Math.min(Math.max(maxBytes, 1), constants.MAX_LENGTH),
            chunkSize: chunkBytesFor(frame),
          })
  } catch (error) {
    if (error instanceof CorruptBytes) throw error
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return null
    throw notCompressed('bad zstd data', frame.start, error)
  }
  const isMoreThanClaimed = content === null && boundBytes < maxBytes
  const isOtherThanClaimed = frame.contentBytes >= 0 && content?.length !== frame.contentBytes
  if (isMoreThanClaimed || isOtherThanClaimed) {
    throw notCompressed('a zstd frame holds less or more than it says', frame.start)
  }
  return content === null || content.length > maxBytes ? null : content
}

/**
 * A chunk that takes all the output at once where its size is known: half the time of zlib's
 * default. One byte more than the size: zlib asks for another chunk when one is exactly full.
 */
function chunkBytesFor({ start, end, contentBytes, maxContentBytes }: ZstdFrame): number {
  const likelyBytes = contentBytes >= 0 ? contentBytes : (end - start) * USUAL_RATIO
  const expectedBytes = Math.min(likelyBytes, maxContentBytes) + 1
  return Math.min(Math.max(expectedBytes, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES)
}

function builtIn(): BuiltInZstd | null {
  return 'zstdDecompressSync' in zlib
    ? (zlib as unknown as BuiltInZstd) // where one function is, the other is: they came together
    : null
}
