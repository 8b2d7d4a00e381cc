/**
 * ChunkedBytes: the contents of a file in memory, growing without copying what it holds.
 *
 *   | chunk 0: 1 KiB, doubling up to 64 KiB | chunk 1: 64 KiB | (nothing: zeros) | chunk 3 …
 *
 * Owns its bytes: what goes in and out is copied. A chunk exists once something was written there,
 * so an empty file costs nothing and preallocated space next to nothing.
 *   I1  bytes of a chunk beyond the size are zero, so growing shows zeros
 */
import { assert } from '../errors/invariant.ts'

const CHUNK_BYTES = 65_536
const SMALLEST_CHUNK_BYTES = 1_024

/** Bytes that can be read and written anywhere, and cut. */
export class ChunkedBytes {
  #chunks: (Buffer | undefined)[] = []
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Copies up to `byteLength` bytes from `position` on; fewer only at the end. */
  read(target: Uint8Array, targetStart: number, byteLength: number, position: number): number {
    const end = Math.min(position + byteLength, this.#sizeBytes)
    let from = position
    while (from < end) {
      const number = chunkNumberOf(from)
      const at = from - number * CHUNK_BYTES
      const count = Math.min(end - from, CHUNK_BYTES - at)
      const start = targetStart + from - position
      const chunk = this.#chunks[number]
      const stored = chunk === undefined ? 0 : Math.max(0, Math.min(count, chunk.byteLength - at))
      if (stored > 0) chunk?.copy(target, start, at, at + stored)
      if (stored < count) target.fill(0, start + stored, start + count)
      from += count
    }
    return Math.max(0, end - position)
  }

  /** Copies `byteLength` bytes in at `position`. Throws RangeError where there is no memory. */
  write(source: Uint8Array, sourceStart: number, byteLength: number, position: number): void {
    const end = position + byteLength
    let from = position
    while (from < end) {
      const number = chunkNumberOf(from)
      const at = from - number * CHUNK_BYTES
      const count = Math.min(end - from, CHUNK_BYTES - at)
      const start = sourceStart + from - position
      this.#chunkWithRoom(number, at + count).set(source.subarray(start, start + count), at)
      from += count
      if (from > this.#sizeBytes) this.#sizeBytes = from
    }
  }

  /** Grows with zeros or cuts. */
  resize(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) {
      const kept = Math.ceil(sizeBytes / CHUNK_BYTES)
      if (this.#chunks.length > kept) this.#chunks.length = kept
      const last = chunkNumberOf(sizeBytes)
      this.#chunks[last]?.fill(0, Math.min(sizeBytes - last * CHUNK_BYTES, CHUNK_BYTES)) // I1
    }
    this.#sizeBytes = sizeBytes
  }

  #chunkWithRoom(number: number, neededBytes: number): Buffer {
    assert(neededBytes <= CHUNK_BYTES, 'chunk: a write stays inside one')
    const chunk = this.#chunks[number]
    if (chunk !== undefined && chunk.byteLength >= neededBytes) return chunk
    let chunkBytes = number === 0 ? SMALLEST_CHUNK_BYTES : CHUNK_BYTES
    while (chunkBytes < neededBytes) chunkBytes *= 2
    const grown = Buffer.alloc(chunkBytes)
    chunk?.copy(grown)
    while (this.#chunks.length < number) this.#chunks.push(undefined) // Keeps the array packed.
    this.#chunks[number] = grown
    return grown
  }
}

/** Positions go beyond 2^31, where a shift would not do. */
function chunkNumberOf(position: number): number {
  return Math.floor(position / CHUNK_BYTES)
}
