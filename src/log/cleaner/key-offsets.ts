/**
 * KeyOffsets: the last offset of each key, in memory of a fixed size. Keys are kept and compared as
 * they are: two that share a hash stay two.
 *
 *   slots   | entry, hash | 0, 0 | entry, hash | ...     open addressing, two words a slot
 *   arena   | - | entry | entry | ...                    words of four bytes
 *   entry   | offset, low 32 bits | length of the key, 11 bits; offset, high 21 | key, padded |
 *             where those 11 bits are all set, the length is in a word of its own before the key
 *
 * An entry costs 8 bytes and its key, a slot 8 bytes. Few keys have few slots, which fit a cache;
 * more of them are made between two batches, in slices. Who fills all of the memory cleans what it
 * has, and goes on behind that.
 *   I1  a slot names an entry, or is 0: words 0 of the arena is no entry's
 *   I2  at most four slots of five are taken: every search ends
 */
import { assert } from '../../errors/invariant.ts'
import type { Procedure } from '../../storage/procedure.ts'
import { nextTurn } from '../clock.ts'

/** A hash of the bytes of a key, any int32. */
export type KeyHash = (bytes: Uint8Array, start: number, end: number) => number

const SLOT_BYTES = 8
const LEAST_SLOTS = 16
const FIRST_SLOTS = 16_384
/** Of the memory, for slots. */
const SLOT_SHARE = 0.4
const MOST_TAKEN = 0.8
const LENGTH_SHIFT = 21
const HIGH_BITS = 0x1f_ffff
/** Lengths from here on take a word of their own. */
const LONG_LENGTH = 0x7ff
const TWO_POW_32 = 0x1_0000_0000
/** Words of slots that are emptied before others have their turn. */
const CLEARED_AT_ONCE = 524_288
/** Words of slots whose entries move before others have their turn. */
const MOVED_AT_ONCE = 65_536

/** See the file's header. */
export class KeyOffsets {
  readonly #hash: KeyHash
  readonly #mostSlots: number
  readonly #capacityWords: number
  #slots: Uint32Array
  #mask: number
  #maxCount: number
  #words: Uint32Array
  #bytes: Uint8Array
  #endWord = 1
  #count = 0

  /** In `bufferBytes` of memory, or a little more where that is next to nothing. */
  constructor(bufferBytes: number, hash: KeyHash = hashOf) {
    this.#hash = hash
    let most = LEAST_SLOTS
    while (2 * most * SLOT_BYTES <= SLOT_SHARE * bufferBytes) most *= 2
    this.#mostSlots = most
    const slots = Math.min(most, FIRST_SLOTS)
    this.#slots = new Uint32Array(2 * slots)
    this.#mask = slots - 1
    this.#maxCount = Math.floor(MOST_TAKEN * slots)
    this.#capacityWords = Math.max(1, Math.floor((bufferBytes - most * SLOT_BYTES) / 4))
    this.#words = new Uint32Array(this.#capacityWords)
    this.#bytes = new Uint8Array(this.#words.buffer)
  }

  /** Keys that it has. */
  get count(): number {
    return this.#count
  }

  /** True where a key that found no room may after `grow`. */
  get canGrow(): boolean {
    return this.#count >= this.#maxCount && this.#mask + 1 < this.#mostSlots
  }

  /**
   * Notes the offset of a key, in place of an earlier one. False, and nothing is noted, where there
   * is no room for another key; the first key always finds room. Hot: allocates nothing.
   */
  put(source: Uint8Array, start: number, length: number, offset: number): boolean {
    const hash = this.#hash(source, start, start + length) >>> 0
    const slots = this.#slots
    let slot = this.#slotOf(hash)
    for (;;) {
      const entry = slots[slot] as number // A slot is inside: the mask says so.
      if (entry === 0) break
      if (slots[slot + 1] === hash && this.#isKey(entry, source, start, length)) {
        this.#setOffset(entry, offset, length)
        return true
      }
      slot = this.#slotBehind(slot)
    }
    const entry = this.#add(source, start, length)
    if (entry === 0) return false
    this.#setOffset(entry, offset, length)
    slots[slot] = entry
    slots[slot + 1] = hash
    this.#count += 1
    return true
  }

  /** The offset noted for a key; -1 where there is none. Hot: allocates nothing. */
  offsetOf(source: Uint8Array, start: number, length: number): number {
    if (this.#count === 0) return -1
    const hash = this.#hash(source, start, start + length) >>> 0
    const slots = this.#slots
    let slot = this.#slotOf(hash)
    for (;;) {
      const entry = slots[slot] as number // A slot is inside: the mask says so.
      if (entry === 0) return -1
      if (slots[slot + 1] === hash && this.#isKey(entry, source, start, length)) {
        const high = (this.#words[entry + 1] as number) & HIGH_BITS // An entry is inside.
        return high * TWO_POW_32 + (this.#words[entry] as number) // As above.
      }
      slot = this.#slotBehind(slot)
    }
  }

  /** Makes more slots, where `canGrow`. Nothing is put or asked meanwhile. */
  *grow(): Procedure<void> {
    const old = this.#slots
    const slots = Math.min(4 * (this.#mask + 1), this.#mostSlots)
    const grown = new Uint32Array(2 * slots)
    this.#mask = slots - 1
    for (let from = 0; from < old.length; from += MOVED_AT_ONCE) {
      this.#move(old, from, Math.min(from + MOVED_AT_ONCE, old.length), grown)
      yield nextTurn
    }
    this.#slots = grown
    this.#maxCount = Math.floor(MOST_TAKEN * slots)
  }

  #move(old: Uint32Array, from: number, end: number, grown: Uint32Array): void {
    for (let at = from; at < end; at += 2) {
      const entry = old[at] as number // Inside, as `end` is.
      if (entry === 0) continue
      const hash = old[at + 1] as number // As above.
      let slot = this.#slotOf(hash)
      while (grown[slot] !== 0) slot = this.#slotBehind(slot)
      grown[slot] = entry
      grown[slot + 1] = hash
    }
  }

  /** Forgets everything, a few slots at a time. */
  *clear(): Procedure<void> {
    this.#endWord = 1
    this.#count = 0
    if (this.#words.length > this.#capacityWords) this.#useArena(this.#capacityWords)
    const slots = this.#slots
    for (let from = 0; from < slots.length; from += CLEARED_AT_ONCE) {
      slots.fill(0, from, from + CLEARED_AT_ONCE)
      yield nextTurn
    }
  }

  #slotOf(hash: number): number {
    return 2 * (hash & this.#mask)
  }

  #slotBehind(slot: number): number {
    return 2 * (((slot >>> 1) + 1) & this.#mask)
  }

  #isKey(entry: number, source: Uint8Array, start: number, length: number): boolean {
    const words = this.#words
    const stored = (words[entry + 1] as number) >>> LENGTH_SHIFT // An entry is inside.
    let at = 4 * entry + 8
    if (length < LONG_LENGTH) {
      if (stored !== length) return false
    } else {
      if (stored !== LONG_LENGTH || words[entry + 2] !== length) return false
      at += 4
    }
    const bytes = this.#bytes
    for (let index = 0; index < length; index++) {
      if (bytes[at + index] !== source[start + index]) return false
    }
    return true
  }

  #setOffset(entry: number, offset: number, length: number): void {
    const high = Math.floor(offset / TWO_POW_32)
    assert(high <= HIGH_BITS, 'an offset is below 2^53')
    this.#words[entry] = offset
    this.#words[entry + 1] = (Math.min(length, LONG_LENGTH) << LENGTH_SHIFT) | high
  }

  /** A new entry with its key; 0 where there is no room. */
  #add(source: Uint8Array, start: number, length: number): number {
    const isLong = length >= LONG_LENGTH
    const entry = this.#endWord
    const end = entry + (isLong ? 3 : 2) + ((length + 3) >>> 2)
    if (end > this.#words.length || this.#count >= this.#maxCount) {
      // One that is larger than all the memory must not hold up everything for ever.
      if (this.#count > 0) return 0
      this.#useArena(end)
    }
    let at = 4 * entry + 8
    if (isLong) {
      this.#words[entry + 2] = length
      at += 4
    }
    const bytes = this.#bytes
    for (let index = 0; index < length; index++) {
      bytes[at + index] = source[start + index] as number // Inside: the caller says where it is.
    }
    this.#endWord = end
    return entry
  }

  #useArena(words: number): void {
    this.#words = new Uint32Array(words)
    this.#bytes = new Uint8Array(this.#words.buffer)
  }
}

/**
 * Murmur3 with 32 bits: every bit of a key moves the low ones, which choose the slot. The hash that
 * chose the partition would not do: all keys of one share bits of it.
 */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start
  let at = start
  for (; at + 4 <= end; at += 4) {
    const low = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8)
    const high = (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)
    hash ^= mixed(low | high)
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe654_6b64) | 0
  }
  let rest = 0
  for (let last = end - 1; last >= at; last--) rest = (rest << 8) | byteAt(bytes, last)
  hash ^= mixed(rest)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return hash ^ (hash >>> 16)
}

function mixed(word: number): number {
  const product = Math.imul(word, 0xcc9e_2d51)
  return Math.imul((product << 15) | (product >>> 17), 0x1b87_3593)
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number // Every caller has compared `at` with the end, which is inside.
}
