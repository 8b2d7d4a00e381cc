/**
 * TableEntries: the latest record of each key, as bytes, in memory of its own. Which records get
 * here, and who hears of it, is others' business.
 *
 *   I1  a key, by its bytes, has one entry: of its record with the greatest offset in a partition;
 *       between partitions that of the greatest timestamp, where equal the one that came last
 *   I2  an entry whose offset lies before the start of its partition counts as not there
 *   I3  an entry keeps its number while its key is there, so walking the numbers meets each once
 * Numbers are given in the order in which keys come; a new key may take that of one that is gone.
 */
import type { RecordBatchReader } from '../../format/record-batch-reader.ts'
import {
  ENTRY_HEADER_BYTES,
  EntryChunks,
  gapOf,
  offsetAt,
  unitsAt,
  UNIT_BYTES,
  unitsOf,
} from './entry-chunks.ts'
import { keyHash, KeySlots, NO_ENTRY } from './key-slots.ts'

const WORD = 2 ** 32
const WORDS_PER_UNIT = 2
const NO_BYTES = Buffer.alloc(0)

/** Entries by key. A cursor as well: `turnTo` shows one. */
export class TableEntries {
  /** Keeps tombstones: what comes later from another partition may be older. */
  keepsTombstones = false
  #slots = new KeySlots()
  #chunks = new EntryChunks()
  #size = 0
  #tombstoneCount = 0
  /** By partition. */
  #logStarts: number[] = []

  /** Of the entry turned to. Borrowed until anything changes; never to be handed out. */
  buffer: Buffer = NO_BYTES
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0
  isTombstone = false
  partition = 0
  offset = 0
  #timestamp = 0

  /** Keys that have a value. */
  get size(): number {
    return this.#size
  }

  /** One more than the greatest number ever given. */
  get numberCount(): number {
    return this.#chunks.numberCount
  }

  /** Bytes it holds. */
  get heldBytes(): number {
    return this.#chunks.heldBytes + this.#slots.heldBytes
  }

  /** Turns to the entry of the key in `bytes`; false where it has no value. */
  turnToKey(bytes: Uint8Array, start: number, end: number): boolean {
    const number = this.#find(keyHash(bytes, start, end), bytes, start, end)
    return number !== NO_ENTRY && this.#isShown()
  }

  /** Turns to the entry of that number; false where it is free, or has no value. */
  turnTo(number: number): boolean {
    const place = this.#chunks.placeOf(number)
    if (place <= 0) return false
    this.#show(place)
    return this.#isShown()
  }

  /**
   * Takes a record in that has a key; whether that changed anything. Hot. Afterwards no entry in
   * particular is turned to.
   */
  take(record: RecordBatchReader, partition: number): boolean {
    const { buffer, keyStart, keyLength } = record
    const hash = keyHash(buffer, keyStart, keyStart + keyLength)
    const number = this.#find(hash, buffer, keyStart, keyStart + keyLength)
    if (number === NO_ENTRY) {
      const hasValue = record.valueLength >= 0
      if (hasValue || this.keepsTombstones) this.#insert(hash, record, partition)
      return hasValue
    }
    const wasShown = this.#isShown()
    const isOlder = this.partition !== partition && timeOf(record) < this.#timestamp
    if (isOlder && this.offset >= this.#startOf(this.partition)) return false
    if (record.valueLength >= 0) {
      this.#replace(number, record, partition)
      return true
    }
    if (this.keepsTombstones) this.#replace(number, record, partition)
    else this.#remove(number)
    return wasShown
  }

  /** The log of a partition starts there now: what lies before is not there any more (I2). */
  startsAt(partition: number, offset: number): void {
    this.#logStarts[partition] = offset
  }

  /** Numbers of chunks that `gone` can be asked for. */
  get chunkCount(): number {
    return this.#chunks.chunks.length
  }

  /** The numbers of entries in a chunk that have to go: those before their log's start (I2). */
  gone(chunkNumber: number): readonly number[] {
    const chunk = this.#chunks.chunks[chunkNumber]
    if (chunk === undefined) return []
    const lastStart = this.#logStarts.reduce((last, start) => Math.max(last, start), 0)
    if (chunk.lowestOffset >= lastStart) return []
    const gone: number[] = []
    let lowestOffset = Infinity
    for (const number of this.#chunks.liveIn(chunk)) {
      this.#show(this.#chunks.placeOf(number))
      if (this.offset < this.#startOf(this.partition)) gone.push(number)
      else lowestOffset = Math.min(lowestOffset, this.offset)
    }
    chunk.lowestOffset = lowestOffset
    return gone
  }

  /** Tombstones that are kept. */
  get tombstoneCount(): number {
    return this.#tombstoneCount
  }

  /** Takes the entry of that number out, where it is one. */
  remove(number: number): void {
    const place = this.#chunks.placeOf(number)
    if (place <= 0) return
    this.#show(place)
    const { buffer, keyStart, keyEnd } = this
    this.#find(keyHash(buffer, keyStart, keyEnd), buffer, keyStart, keyEnd)
    this.#remove(number)
  }

  /** Takes everything out. */
  clear(): void {
    this.#slots = new KeySlots()
    this.#chunks = new EntryChunks()
    this.#size = 0
    this.#tombstoneCount = 0
    this.buffer = NO_BYTES
  }

  /** Takes everything out, and what `other` has in; that is not used any more. */
  adopt(other: TableEntries): void {
    this.#slots = other.#slots
    this.#chunks = other.#chunks
    this.#size = other.#size
    this.#tombstoneCount = other.#tombstoneCount
    this.#logStarts = other.#logStarts
    this.keepsTombstones = other.keepsTombstones
    this.buffer = NO_BYTES
  }

  #startOf(partition: number): number {
    return this.#logStarts[partition] ?? 0
  }

  #isShown(): boolean {
    return !this.isTombstone && this.offset >= this.#startOf(this.partition)
  }

  /** Turns to the entry of a key, tombstone or not. */
  #find(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const slots = this.#slots
    let number = slots.probe(hash)
    while (number !== NO_ENTRY) {
      const place = this.#chunks.placeOf(number)
      if (this.#chunks.hasKey(place, bytes, start, end)) {
        this.#show(place)
        return number
      }
      number = slots.probeNext()
    }
    return NO_ENTRY
  }

  #show(place: number): void {
    const chunk = this.#chunks.chunkOf(place)
    const unit = this.#chunks.unitOf(place)
    const { words } = chunk
    const word = unit * WORDS_PER_UNIT
    const keyLength = words[word + 1] ?? 0
    const valueLength = (words[word + 2] ?? 0) | 0
    const partitionWord = words[word + 3] ?? 0
    this.buffer = chunk.bytes
    this.keyStart = unit * UNIT_BYTES + ENTRY_HEADER_BYTES
    this.keyEnd = this.keyStart + keyLength
    this.valueStart = this.keyEnd + gapOf(partitionWord)
    this.valueEnd = this.valueStart + Math.max(0, valueLength)
    this.isTombstone = valueLength < 0
    this.partition = partitionWord & 0xff_ffff
    this.offset = offsetAt(chunk, unit)
    this.#timestamp = (words[word + 7] ?? 0) * WORD + (words[word + 6] ?? 0)
  }

  #insert(hash: number, record: RecordBatchReader, partition: number): void {
    const units = unitsOf(payloadBytes(record))
    this.#chunks.reserve(units)
    const number = this.#chunks.newNumber()
    this.#write(this.#chunks.allocate(number, units, record.offset), number, record, partition)
    this.#slots.add(hash, number)
    this.#count(record.valueLength < 0, 1)
  }

  /** Of the entry turned to. */
  #replace(number: number, record: RecordBatchReader, partition: number): void {
    const chunks = this.#chunks
    this.#count(this.isTombstone, -1)
    this.#count(record.valueLength < 0, 1)
    const units = unitsOf(payloadBytes(record))
    chunks.reserve(units) // It may move what is to be replaced.
    const place = chunks.placeOf(number)
    if (units === unitsAt(chunks.chunkOf(place), chunks.unitOf(place))) {
      const chunk = chunks.chunkOf(place)
      chunk.lowestOffset = Math.min(chunk.lowestOffset, record.offset)
      this.#write(place, number, record, partition)
      return
    }
    this.#write(chunks.allocate(number, units, record.offset), number, record, partition)
    chunks.release(place)
  }

  /** Takes out the entry that the slots were probed for last. */
  #remove(number: number): void {
    this.#count(this.isTombstone, -1)
    this.#slots.removeProbed()
    const place = this.#chunks.placeOf(number)
    this.#chunks.free(number)
    this.#chunks.release(place)
    if (this.#size === 0 && this.#tombstoneCount === 0) this.clear() // It may have been large.
  }

  #count(isTombstone: boolean, by: number): void {
    if (isTombstone) this.#tombstoneCount += by
    else this.#size += by
  }

  #write(place: number, number: number, record: RecordBatchReader, partition: number): void {
    const chunk = this.#chunks.chunkOf(place)
    const unit = this.#chunks.unitOf(place)
    const { words, bytes } = chunk
    const { buffer, keyStart, keyLength, valueLength, offset } = record
    const word = unit * WORDS_PER_UNIT
    const timestamp = timeOf(record)
    const payload = payloadBytes(record)
    const gap = valueLength < 0 ? 0 : record.valueStart - keyStart - keyLength
    words[word] = number
    words[word + 1] = keyLength
    words[word + 2] = valueLength
    words[word + 3] = (gap << 24) | partition
    words[word + 4] = offset
    words[word + 5] = Math.floor(offset / WORD)
    words[word + 6] = timestamp
    words[word + 7] = Math.floor(timestamp / WORD)
    buffer.copy(bytes, unit * UNIT_BYTES + ENTRY_HEADER_BYTES, keyStart, keyStart + payload)
  }
}

/** The bytes of key and value, with what lies between them. */
function payloadBytes({ keyStart, keyLength, valueStart, valueLength }: RecordBatchReader): number {
  return valueLength < 0 ? keyLength : valueStart + valueLength - keyStart
}

/** A record without a time is older than any other. */
function timeOf({ timestamp }: RecordBatchReader): number {
  return Math.max(0, timestamp)
}
