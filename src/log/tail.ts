/**
 * Tail: the last batches appended to a partition, kept in memory so that live readers need no I/O.
 *
 * Batches are encoded in place into append-only chunks. The oldest is dropped as a whole, when this
 * partition holds more than its share or all partitions of the log together more than theirs. The
 * memory of a dropped one is used again: fresh memory costs a page fault every 4 KiB. Chunks start
 * small, so that ten thousand quiet partitions cost little.
 *   I1  the batches of a tail are contiguous: [firstOffset, nextOffset) without a hole; only the
 *       newest chunk may be empty
 *   I2  bytes below a chunk's usedBytes never change while a tail holds it; nothing here is lent
 *       but what `reserve` gives to the one who appends, and what `find` shows to a lookup that is
 *       over before anything else happens: so a dropped chunk has no readers
 *   I3  one batch at a time is encoded in a tail's memory: before anybody else gets any of it, who
 *       encodes there is moved out
 */
import { assert } from '../errors/invariant.ts'
import { baseOffsetOf, batchSizeBytesOf, lastOffsetOf } from '../format/record-batch.ts'
import type { BatchBytes } from '../storage/segment-contents.ts'
import type { ReusedBuffer } from './reused-buffer.ts'

const FIRST_CHUNK_BYTES = 16_384
const LAST_CHUNK_BYTES = 1_048_576
const TAIL_BYTES = 4_194_304
/** One mark a stretch: where a search for an offset inside a chunk may start to walk. */
const MARK_INTERVAL_BYTES = 4_096

/** Whole batches: the first one holds the offset asked for, or follows it. */
export interface BatchRun {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

/** Who encodes a batch in a tail's memory, and can be told to go on elsewhere. */
export interface TailEncoder {
  /** From `start` on `buffer` is its, until it is moved out. */
  begin(buffer: Buffer, start: number): void
  /** Somebody else gets that memory. */
  moveOut(): void
}

/** A stretch of a tail's memory. */
interface Chunk {
  readonly buffer: Buffer
  firstOffset: number
  usedBytes: number
  readonly markOffsets: number[]
  readonly markStarts: number[]
}

/** Bounds the memory of all tails of one log: the oldest chunk of any of them goes first. */
export class TailBudget {
  readonly #maxBytes: number
  /** Every chunk with its tail, oldest first; a chunk that is given up is a tail's own oldest. */
  readonly #owners = new Map<Chunk, Tail>()
  #heldBytes = 0
  /** Memory of a chunk that was dropped, for the next one of full size. */
  #spare: Buffer | undefined

  /** For tails that may hold `maxBytes` together. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Memory of all chunks. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** A tail took a chunk; others may have to give theirs up. */
  took(tail: Tail, chunk: Chunk): void {
    this.#heldBytes += chunk.buffer.length
    this.#owners.set(chunk, tail)
    for (const [oldest, owner] of this.#owners) {
      if (this.#heldBytes <= this.#maxBytes || oldest === chunk) return
      owner.dropOldest()
    }
  }

  /** A tail gave its oldest chunk up. */
  gave(chunk: Chunk): void {
    this.#heldBytes -= chunk.buffer.length
    this.#owners.delete(chunk)
    if (chunk.buffer.length === LAST_CHUNK_BYTES) this.#spare = chunk.buffer
  }

  /** Memory for a chunk, of whatever contents. */
  allocate(chunkBytes: number): Buffer {
    const spare = this.#spare
    if (spare === undefined || chunkBytes !== spare.length)
      return Buffer.allocUnsafeSlow(chunkBytes)
    this.#spare = undefined
    return spare
  }
}

/** The newest batches of one partition. */
export class Tail {
  readonly #budget: TailBudget
  readonly #chunks: Chunk[] = []
  #heldBytes = 0
  #nextChunkBytes = FIRST_CHUNK_BYTES
  #nextOffset = 0
  /** See I3. */
  #encoder: TailEncoder | undefined

  constructor(budget: TailBudget) {
    this.#budget = budget
  }

  /** First offset held; Infinity where the tail is empty. */
  get firstOffset(): number {
    const first = this.#chunks[0]
    return first === undefined || first.usedBytes === 0 ? Infinity : first.firstOffset
  }

  /**
   * Memory in which the next batch may be encoded in place, from `start` on. Borrowed until
   * `accept`, by one who lets nobody else append before that.
   */
  reserve(): { readonly buffer: Buffer; readonly start: number } {
    const { buffer, usedBytes } = this.#roomyChunk()
    return { buffer, start: usedBytes }
  }

  /** As `reserve`, for `encoder`, which is told when it has to go (I3). Hot: allocates nothing. */
  begin(encoder: TailEncoder): void {
    const { buffer, usedBytes } = this.#roomyChunk()
    // Behind the chunk: what is dropped to make room for one may be all there is, and then whoever
    // encodes here is told to go.
    this.#encoder = encoder
    encoder.begin(buffer, usedBytes)
  }

  /** Keeps an appended batch: in place where it was encoded there, else as a copy. */
  accept(batch: BatchBytes, baseOffset: number): void {
    this.#moveEncoderOut()
    if (batch.sizeBytes > TAIL_BYTES) {
      this.clear() // I1: without this batch nothing before it may stay.
      return
    }
    let chunk = this.#chunks.at(-1)
    if (chunk === undefined || batch.buffer !== chunk.buffer || batch.start !== chunk.usedBytes) {
      if (chunk === undefined || chunk.buffer.length - chunk.usedBytes < batch.sizeBytes) {
        if (chunk?.usedBytes === 0) this.#dropEmpty(chunk)
        chunk = this.#addChunk(Math.max(this.#nextChunkBytes, batch.sizeBytes))
      }
      batch.buffer.copy(chunk.buffer, chunk.usedBytes, batch.start, batch.start + batch.sizeBytes)
    }
    if (chunk.usedBytes === 0) chunk.firstOffset = baseOffset
    const lastMark = chunk.markStarts.at(-1) ?? 0
    if (chunk.usedBytes - lastMark >= MARK_INTERVAL_BYTES) {
      chunk.markOffsets.push(baseOffset)
      chunk.markStarts.push(chunk.usedBytes)
    }
    chunk.usedBytes += batch.sizeBytes
    this.#nextOffset = batch.lastOffset + 1
  }

  /**
   * Where the batch that holds `offset` is; undefined where the tail does not hold it. Borrowed
   * until anything is appended to any partition.
   */
  find(offset: number): { readonly chunk: Chunk; readonly start: number } | undefined {
    if (offset < this.firstOffset || offset >= this.#nextOffset) return undefined
    const chunk = this.#chunkOf(offset)
    let start = startOfWalk(chunk, offset)
    while (lastOffsetOf(chunk.buffer, start) < offset)
      start += batchSizeBytesOf(chunk.buffer, start)
    return { chunk, start }
  }

  /**
   * Whole batches from the one that holds `offset` on, copied into `room`: about `maxBytes`, at
   * least one batch, none that starts at or behind `limitOffset`. Undefined where the tail does
   * not hold `offset`.
   */
  read(
    offset: number,
    limitOffset: number,
    maxBytes: number,
    room: ReusedBuffer,
  ): BatchRun | undefined {
    const found = this.find(offset)
    if (found === undefined) return undefined
    const { chunk, start } = found
    let end = start
    while (end < chunk.usedBytes && baseOffsetOf(chunk.buffer, end) < limitOffset) {
      const sizeBytes = batchSizeBytesOf(chunk.buffer, end)
      if (end > start && end + sizeBytes - start > maxBytes) break
      end += sizeBytes
    }
    if (end === start) return undefined
    const buffer = room.of(end - start)
    chunk.buffer.copy(buffer, 0, start, end)
    return { buffer, start: 0, end: end - start }
  }

  /** Forgets the batches below `offset`, with which one begins: they are not as they were. */
  forgetBelow(offset: number): void {
    if (offset <= this.firstOffset) return
    let second = this.#chunks[1]
    while (second !== undefined && second.usedBytes > 0 && second.firstOffset <= offset) {
      this.dropOldest()
      second = this.#chunks[1]
    }
    const first = this.#chunks[0]
    if (first !== undefined && first.usedBytes > 0) first.firstOffset = offset
  }

  /** Gives the oldest chunk up. */
  dropOldest(): void {
    const chunk = this.#chunks.shift()
    assert(chunk !== undefined, 'a tail without chunks owes none')
    this.#heldBytes -= chunk.buffer.length
    if (this.#chunks.length === 0) {
      this.#nextChunkBytes = FIRST_CHUNK_BYTES
      this.#moveEncoderOut()
    }
    this.#budget.gave(chunk)
  }

  /** The newest chunk, reserved for a batch that grew out of it: a hole before what is held. */
  #dropEmpty(chunk: Chunk): void {
    this.#chunks.pop()
    this.#heldBytes -= chunk.buffer.length
    this.#budget.gave(chunk)
  }

  /** Gives every chunk up. */
  clear(): void {
    while (this.#chunks.length > 0) this.dropOldest()
  }

  /** The newest chunk, with room for a batch: nobody's but the caller's. */
  #roomyChunk(): Chunk {
    this.#moveEncoderOut()
    const chunk = this.#chunks.at(-1)
    if (chunk !== undefined && chunk.buffer.length - chunk.usedBytes >= chunk.buffer.length >>> 3)
      return chunk
    return this.#addChunk(this.#nextChunkBytes)
  }

  #moveEncoderOut(): void {
    const encoder = this.#encoder
    if (encoder === undefined) return
    this.#encoder = undefined
    encoder.moveOut()
  }

  #addChunk(chunkBytes: number): Chunk {
    // First, so that the memory of what is dropped can be taken.
    while (this.#heldBytes + chunkBytes > TAIL_BYTES && this.#chunks.length > 0) this.dropOldest()
    const chunk: Chunk = {
      buffer: this.#budget.allocate(chunkBytes),
      firstOffset: 0,
      usedBytes: 0,
      markOffsets: [],
      markStarts: [],
    }
    this.#chunks.push(chunk)
    this.#nextChunkBytes = Math.min(this.#nextChunkBytes * 2, LAST_CHUNK_BYTES)
    this.#heldBytes += chunkBytes
    this.#budget.took(this, chunk)
    return chunk
  }

  #chunkOf(offset: number): Chunk {
    let index = this.#chunks.length - 1
    let chunk = this.#chunks[index]
    while (chunk !== undefined && (chunk.usedBytes === 0 || chunk.firstOffset > offset))
      chunk = this.#chunks[--index]
    assert(chunk !== undefined, 'I1: an offset between first and next is held')
    return chunk
  }
}

/** Start of the last marked batch at or before `offset`; of the chunk where none is. */
function startOfWalk(chunk: Chunk, offset: number): number {
  let low = 0
  // Marks below `low` are at or before `offset`; those from `high` on behind it.
  let high = chunk.markOffsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((chunk.markOffsets[middle] ?? 0) <= offset) low = middle + 1
    else high = middle
  }
  return low === 0 ? 0 : (chunk.markStarts[low - 1] ?? 0)
}
