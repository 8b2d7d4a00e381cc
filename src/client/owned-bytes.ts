/**
 * Bytes that leave the library: whoever gets them may write into them, keep or transfer them.
 *
 * Readers copy each batch into a private heap chunk. So a small range of it can be lent for good as
 * a view; a long one, or one of a large chunk, is copied, or a key that somebody keeps would keep
 * megabytes alive.
 */
import { isUtf8 } from 'node:buffer'
import { markAsUntransferable } from 'node:worker_threads'

/** From here on bytes are copied: Buffer's own pool gives such a copy exactly the room it needs. */
const COPY_FROM_BYTES = 4_096
/** A view of a larger chunk would keep all of it alive, for a few bytes that somebody keeps. */
const MAX_SHARED_CHUNK_BYTES = 16 * 1_024

/** The bytes of the private chunk `chunk` from `start` on. Owned by whoever gets them. */
export function ownedBytes(chunk: Buffer, start: number, byteLength: number): Buffer {
  if (!mayLend(chunk, byteLength)) {
    const copy = Buffer.allocUnsafe(byteLength)
    chunk.copy(copy, 0, start, start + byteLength)
    return copy
  }
  // Transferring the view to another thread would take the chunk from all other records.
  markAsUntransferable(chunk.buffer)
  return chunk.subarray(start, start + byteLength)
}

/** `view` itself, where it may be lent for good, else a copy. Owned by whoever gets it. */
export function ownedView(view: Buffer): Buffer {
  if (!mayLend(view, view.length)) return Buffer.from(view)
  markAsUntransferable(view.buffer)
  return view
}

function mayLend({ buffer }: Buffer, byteLength: number): boolean {
  return byteLength < COPY_FROM_BYTES && buffer.byteLength <= MAX_SHARED_CHUNK_BYTES
}

/** Bytes as JSON and the console show them: text where they are UTF-8, else `base64:…`. */
export function shownBytes(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : `base64:${bytes.toString('base64')}`
}
