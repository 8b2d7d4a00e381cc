/**
 * Bytes that leave the library: whoever gets them may write into them, keep or transfer them.
 *
 * Records lie in private memory (record-memory.ts). So a range of it can be lent for good as a
 * view, where that keeps little else alive.
 */
import { isUtf8 } from 'node:buffer'

/** From here on bytes are copied: Buffer's own pool gives such a copy exactly the room it needs. */
const COPY_FROM_BYTES = 4_096
/** A view of more memory would keep all of it alive, for a few bytes that somebody keeps. */
const MAX_SHARED_BYTES = 16 * 1_024
/** Nor is a view lent of more memory than this times its own: many people keep keys. */
const MAX_SHARED_RATIO = 256

/** `byteLength` bytes of a record's memory from `start` on. Owned by whoever gets them. */
export function ownedBytes(memory: Buffer, start: number, byteLength: number): Buffer {
  if (mayLend(memory.length, byteLength)) return memory.subarray(start, start + byteLength)
  const copy = Buffer.allocUnsafe(byteLength)
  memory.copy(copy, 0, start, start + byteLength)
  return copy
}

/** `view` itself, where it may be lent for good, else a copy. Owned by whoever gets it. */
export function ownedView(view: Buffer): Buffer {
  return mayLend(view.buffer.byteLength, view.length) ? view : Buffer.from(view)
}

function mayLend(memoryBytes: number, byteLength: number): boolean {
  if (memoryBytes > MAX_SHARED_BYTES || byteLength >= COPY_FROM_BYTES) return false
  return byteLength * MAX_SHARED_RATIO >= memoryBytes
}

/** Bytes as JSON and the console show them: text where they are UTF-8, else `base64:…`. */
export function shownBytes(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : `base64:${bytes.toString('base64')}`
}
