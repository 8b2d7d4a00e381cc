/**
 * KeySlots: where the entries with a hash are. A hash table of numbers over typed arrays that never
 * stops to grow as a whole: its slots lie in pages, and a page that is full splits into two.
 *
 *   directory   page by the upper bits of the hash; twice as long where a page needs one bit more
 *   page        open addressing by the lower bits: slot -> hash, entry
 *   I1  an entry is in the page that the directory names for its hash, between its home slot and
 *       the next empty one
 *   I2  one call moves the entries of one page at most: a few thousand, unless hashes collide
 * What a key is, and which entry of those with its hash has it, is the caller's to say. Entries are
 * numbers from 0 up to 2^32 - 2.
 */

const FIRST_PAGE_SLOTS = 16
const FULL_PAGE_SLOTS = 4_096
/** Fewer for each page of the directory, and its pages grow instead: their hashes collide. */
const ENTRIES_PER_SPLIT = 1_024
const HASH_BITS = 32
const MAX_DEPTH = 24
const M = 0x5bd1_e995
const SEED = 0x9747_b28c

/** What a probe gives where there is no (other) entry. */
export const NO_ENTRY = -1

interface Page {
  hashes: Int32Array
  /** Entry + 1; 0 for an empty slot. */
  entries: Uint32Array
  count: number
  /** How many upper bits all hashes of the page share. */
  readonly depth: number
}

/** Entries by hash. */
export class KeySlots {
  #directory: Page[] = [newPage(FIRST_PAGE_SLOTS, 0)]
  #depth = 0
  #count = 0
  /** Where the last probe stands. */
  #page: Page
  #hash = 0
  #slot = 0

  constructor() {
    this.#page = this.#pageOf(0)
  }

  /** The first entry with this hash, or NO_ENTRY. */
  probe(hash: number): number {
    const page = this.#pageOf(hash)
    this.#page = page
    this.#hash = hash
    this.#slot = hash & (page.entries.length - 1)
    return this.#entryFromHere()
  }

  /** The next entry with the hash of the last probe, or NO_ENTRY. */
  probeNext(): number {
    this.#slot = (this.#slot + 1) & (this.#page.entries.length - 1)
    return this.#entryFromHere()
  }

  /** Takes in an entry that is not there. */
  add(hash: number, entry: number): void {
    let page = this.#pageOf(hash)
    while ((page.count + 1) * 4 > page.entries.length * 3) {
      this.#makeRoom(page)
      page = this.#pageOf(hash)
    }
    place(page, hash, entry + 1)
    this.#count += 1
  }

  /** Takes the entry out that the last probe gave; nothing was added since. */
  removeProbed(): void {
    const { hashes, entries } = this.#page
    const mask = entries.length - 1
    let hole = this.#slot
    // What stands behind moves up where its home allows, so that no probe ends too early (I1).
    for (let slot = (hole + 1) & mask; entries[slot] !== 0; slot = (slot + 1) & mask) {
      const home = numberAt(hashes, slot) & mask
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      hashes[hole] = numberAt(hashes, slot)
      entries[hole] = numberAt(entries, slot)
      hole = slot
    }
    entries[hole] = 0
    this.#page.count -= 1
    this.#count -= 1
  }

  /** Bytes of the pages and the directory. */
  get heldBytes(): number {
    let bytes = this.#directory.length * 8
    for (const page of new Set(this.#directory)) {
      bytes += page.hashes.byteLength + page.entries.byteLength
    }
    return bytes
  }

  #entryFromHere(): number {
    const { hashes, entries } = this.#page
    const mask = entries.length - 1
    const hash = this.#hash
    for (let slot = this.#slot; ; slot = (slot + 1) & mask) {
      const entry = numberAt(entries, slot)
      if (entry !== 0 && numberAt(hashes, slot) !== hash) continue
      this.#slot = slot
      return entry - 1 // NO_ENTRY where the slot is empty.
    }
  }

  #pageOf(hash: number): Page {
    // A shift by 32 is none.
    const index = this.#depth === 0 ? 0 : hash >>> (HASH_BITS - this.#depth)
    return this.#directory[index] as Page // The directory has 2^depth pages.
  }

  #makeRoom(page: Page): void {
    const pages = 2 ** page.depth
    const mayHelp = page.depth < MAX_DEPTH && pages * ENTRIES_PER_SPLIT <= this.#count
    if (page.entries.length >= FULL_PAGE_SLOTS && mayHelp) this.#split(page)
    else grow(page)
  }

  #split(page: Page): void {
    if (page.depth === this.#depth) {
      this.#directory = this.#directory.flatMap((one) => [one, one])
      this.#depth += 1
    }
    const bit = HASH_BITS - 1 - page.depth
    const lower = newPage(page.entries.length, page.depth + 1)
    const upper = newPage(page.entries.length, page.depth + 1)
    for (let slot = 0; slot < page.entries.length; slot++) {
      const entry = numberAt(page.entries, slot)
      if (entry === 0) continue
      const hash = numberAt(page.hashes, slot)
      place(((hash >>> bit) & 1) === 0 ? lower : upper, hash, entry)
    }
    const first = this.#directory.indexOf(page)
    const span = 2 ** (this.#depth - page.depth)
    this.#directory.fill(lower, first, first + span / 2)
    this.#directory.fill(upper, first + span / 2, first + span)
  }
}

/** The hash of the bytes from `start` up to `end`, an int32: murmur2's steps. Hot. */
export function keyHash(bytes: Uint8Array, start: number, end: number): number {
  let hash = SEED ^ (end - start)
  let at = start
  for (; at + 4 <= end; at += 4) {
    const low = numberAt(bytes, at) | (numberAt(bytes, at + 1) << 8)
    const high = (numberAt(bytes, at + 2) << 16) | (numberAt(bytes, at + 3) << 24)
    const word = Math.imul(low | high, M)
    hash = Math.imul(hash, M) ^ Math.imul(word ^ (word >>> 24), M)
  }
  for (; at < end; at++) hash = Math.imul(hash ^ numberAt(bytes, at), M)
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}

function newPage(slotCount: number, depth: number): Page {
  return { hashes: new Int32Array(slotCount), entries: new Uint32Array(slotCount), count: 0, depth }
}

function grow(page: Page): void {
  const { hashes, entries } = page
  page.hashes = new Int32Array(hashes.length * 2)
  page.entries = new Uint32Array(entries.length * 2)
  page.count = 0
  for (let slot = 0; slot < entries.length; slot++) {
    const entry = numberAt(entries, slot)
    if (entry !== 0) place(page, numberAt(hashes, slot), entry)
  }
}

function place(page: Page, hash: number, entry: number): void {
  const { hashes, entries } = page
  const mask = entries.length - 1
  let slot = hash & mask
  while (entries[slot] !== 0) slot = (slot + 1) & mask
  hashes[slot] = hash
  entries[slot] = entry
  page.count += 1
}

function numberAt(numbers: Int32Array | Uint32Array | Uint8Array, index: number): number {
  return numbers[index] as number // Every caller keeps the index below the length.
}
