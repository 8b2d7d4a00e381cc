/**
 * EntryChunks: the memory of a table's entries: keys and values one behind the other in chunks that
 * the garbage collector sees as one object each.
 *
 *   entry, in words of 4 bytes, at a multiple of 8 bytes:
 *     0 number   1 key length   2 value length, −1 for a tombstone   3 partition, gap << 24
 *     4 offset, lower   5 upper   6 timestamp, lower   7 upper
 *     8 the key's bytes, `gap` bytes that mean nothing, the value's bytes
 *
 *   I1  an entry is alive while `places` has its place under its number; everything else is garbage
 *   I2  of no chunk but the newest is more than half garbage: such a one is given up, and what is
 *       alive in it moves to the newest. A call moves the entries of one chunk at most
 *   I3  a place is above 0, so that what is not tells of a free number
 * Nothing of it is ever lent: whoever wants to keep bytes copies them.
 */
import { assert } from '../../errors/invariant.ts'

/** Everything is placed at multiples of so many bytes. */
export const UNIT_BYTES = 8
/** Before the key of an entry. */
export const ENTRY_HEADER_BYTES = 32
const FIRST_CHUNK_BYTES = 4_096
const CHUNK_BYTES = 262_144
const CHUNK_UNITS = CHUNK_BYTES / UNIT_BYTES
/** A place is chunk number << UNIT_BITS | unit, below 2^32. */
const UNIT_BITS = 15
const MAX_CHUNKS = 2 ** (32 - UNIT_BITS)
/** From here on an entry gets a chunk of its own. */
const ALONE_FROM_UNITS = CHUNK_UNITS / 4
const WORDS_PER_UNIT = 2
const NO_NUMBER = -1
const PLACES_PER_PAGE = 1_024
const WORD = 2 ** 32

/** A stretch of memory with entries. */
export interface Chunk {
  readonly number: number
  readonly bytes: Buffer
  readonly words: Uint32Array
  usedUnits: number
  liveUnits: number
  /** No entry in it has an offset below. */
  lowestOffset: number
}

/** Entries by number. */
export class EntryChunks {
  /** By number; the first is never used (I3). */
  readonly #chunks: (Chunk | undefined)[] = [undefined]
  readonly #freeChunks: number[] = []
  #newest: Chunk | undefined
  #nextChunkBytes = FIRST_CHUNK_BYTES
  #heldBytes = 0
  /** Where the entry of a number is; of a free number minus the next free one minus 1. */
  readonly #places: Float64Array[] = []
  #numberCount = 0
  #firstFree = NO_NUMBER

  /** One more than the greatest number ever given. */
  get numberCount(): number {
    return this.#numberCount
  }

  /** Bytes of all chunks and places. */
  get heldBytes(): number {
    return this.#heldBytes + this.#places.length * PLACES_PER_PAGE * 8
  }

  /** Chunks by number, where there are. */
  get chunks(): readonly (Chunk | undefined)[] {
    return this.#chunks
  }

  /** Where an entry is; at or below 0 for a free number. */
  placeOf(number: number): number {
    const page = this.#places[number >>> 10]
    return page === undefined ? 0 : (page[number & (PLACES_PER_PAGE - 1)] ?? 0)
  }

  /** The chunk of a place. */
  chunkOf(place: number): Chunk {
    const chunk = this.#chunks[place >>> UNIT_BITS]
    assert(chunk !== undefined, 'I1: a place is in a chunk')
    return chunk
  }

  /** The unit of a place within its chunk. */
  unitOf(place: number): number {
    return place & (CHUNK_UNITS - 1)
  }

  /** Whether the entry at `place` has the key in `bytes`. Hot. */
  hasKey(place: number, bytes: Uint8Array, start: number, end: number): boolean {
    const chunk = this.chunkOf(place)
    const unit = this.unitOf(place)
    if (chunk.words[unit * WORDS_PER_UNIT + 1] !== end - start) return false
    const own = chunk.bytes
    const shift = unit * UNIT_BYTES + ENTRY_HEADER_BYTES - start
    for (let at = start; at < end; at++) if (own[at + shift] !== bytes[at]) return false
    return true
  }

  /** A number for a new entry: one that is free again, or the next. */
  newNumber(): number {
    const free = this.#firstFree
    if (free !== NO_NUMBER) {
      this.#firstFree = -this.placeOf(free) - 1
      return free
    }
    const number = this.#numberCount
    if (number % PLACES_PER_PAGE === 0) this.#places.push(new Float64Array(PLACES_PER_PAGE))
    this.#numberCount += 1
    return number
  }

  /** Sees to it that the next `allocate` of so many units moves nothing. */
  reserve(units: number): void {
    if (units < ALONE_FROM_UNITS) this.#roomInNewest(units)
  }

  /** Room for an entry of `units`; its header has to be written before anything else happens. */
  allocate(number: number, units: number, offset: number): number {
    const isAlone = units >= ALONE_FROM_UNITS
    const chunk = isAlone ? this.#newChunk(units * UNIT_BYTES) : this.#roomInNewest(units)
    const unit = chunk.usedUnits
    chunk.usedUnits += units
    chunk.liveUnits += units
    chunk.lowestOffset = Math.min(chunk.lowestOffset, offset)
    const place = chunk.number * CHUNK_UNITS + unit
    this.#setPlace(number, place)
    return place
  }

  /** The entry at `place` is garbage: its number has another place, or is about to be free. */
  release(place: number): void {
    const chunk = this.chunkOf(place)
    chunk.liveUnits -= unitsAt(chunk, this.unitOf(place))
    if (chunk === this.#newest) return
    if (chunk.liveUnits * 2 < chunk.usedUnits) this.#giveUp(chunk)
  }

  /** No entry has this number any more. */
  free(number: number): void {
    this.#setPlace(number, -this.#firstFree - 1)
    this.#firstFree = number
  }

  /** The numbers of the live entries of a chunk. */
  liveIn(chunk: Chunk): readonly number[] {
    const numbers: number[] = []
    for (let unit = 0; unit < chunk.usedUnits; unit += unitsAt(chunk, unit)) {
      const number = chunk.words[unit * WORDS_PER_UNIT] ?? 0
      if (this.placeOf(number) === chunk.number * CHUNK_UNITS + unit) numbers.push(number)
    }
    return numbers
  }

  #setPlace(number: number, place: number): void {
    const page = this.#places[number >>> 10]
    assert(page !== undefined, 'every number has a page')
    page[number & (PLACES_PER_PAGE - 1)] = place
  }

  #roomInNewest(units: number): Chunk {
    for (;;) {
      const newest = this.#newest
      if (newest !== undefined && newest.bytes.length / UNIT_BYTES - newest.usedUnits >= units) {
        return newest
      }
      while (this.#nextChunkBytes < units * UNIT_BYTES) this.#nextChunkBytes *= 2
      this.#newest = this.#newChunk(this.#nextChunkBytes)
      this.#nextChunkBytes = Math.min(this.#nextChunkBytes * 2, CHUNK_BYTES)
      // What moves may take the room that was made: then there is another round.
      if (newest !== undefined && newest.liveUnits * 2 < newest.usedUnits) this.#giveUp(newest)
    }
  }

  #newChunk(byteLength: number): Chunk {
    const number = this.#freeChunks.pop() ?? this.#chunks.length
    assert(number < MAX_CHUNKS, 'a table holds less than 8 GiB')
    const bytes = Buffer.allocUnsafeSlow(byteLength)
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, byteLength / 4)
    const lowestOffset = Infinity
    const chunk = { number, bytes, words, usedUnits: 0, liveUnits: 0, lowestOffset }
    this.#chunks[number] = chunk
    this.#heldBytes += byteLength
    return chunk
  }

  /** I2: moves what is alive, in order. */
  #giveUp(chunk: Chunk): void {
    for (let unit = 0; chunk.liveUnits > 0 && unit < chunk.usedUnits;) {
      const units = unitsAt(chunk, unit)
      const number = chunk.words[unit * WORDS_PER_UNIT] ?? 0
      if (this.placeOf(number) === chunk.number * CHUNK_UNITS + unit) {
        const offset = offsetAt(chunk, unit)
        const place = this.allocate(number, units, offset)
        const target = this.chunkOf(place)
        const start = unit * UNIT_BYTES
        const targetStart = this.unitOf(place) * UNIT_BYTES
        chunk.bytes.copy(target.bytes, targetStart, start, start + units * UNIT_BYTES)
        chunk.liveUnits -= units
      }
      unit += units
    }
    this.#chunks[chunk.number] = undefined
    this.#freeChunks.push(chunk.number)
    this.#heldBytes -= chunk.bytes.length
  }
}

/** How many units an entry with so many bytes behind its header takes. */
export function unitsOf(payloadBytes: number): number {
  return Math.ceil((ENTRY_HEADER_BYTES + payloadBytes) / UNIT_BYTES)
}

/** How many units the entry at `unit` takes. */
export function unitsAt({ words }: Chunk, unit: number): number {
  const word = unit * WORDS_PER_UNIT
  const keyLength = words[word + 1] ?? 0
  const valueLength = Math.max(0, (words[word + 2] ?? 0) | 0)
  return unitsOf(keyLength + gapOf(words[word + 3] ?? 0) + valueLength)
}

/** Offset of the entry at `unit`. */
export function offsetAt({ words }: Chunk, unit: number): number {
  const word = unit * WORDS_PER_UNIT
  return (words[word + 5] ?? 0) * WORD + (words[word + 4] ?? 0)
}

/** Bytes between key and value. */
export function gapOf(partitionWord: number): number {
  return partitionWord >>> 24
}
