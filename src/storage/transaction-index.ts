/**
 * TransactionIndex: the .txnindex of one segment, which says what was aborted by markers in it.
 *
 *   00000000000000004096.txnindex   34 bytes an entry, as Kafka's (format/aborted-transaction.ts)
 *
 * There is a file only where a transaction aborted. So its absence says nothing by itself, and no
 * CRC is in it: it is taken for true where a clean close vouches for its bytes, and from where on
 * this process has written it. For what lies before that, the log itself has to be asked.
 *   I1  entries ascend by lastOffset, which is the marker's
 *   I2  every abort whose marker is at `knownFrom` or behind it has an entry
 *   I3  an entry is in the file before its marker is in the log
 * Of a log that another process writes nothing is known here, and nothing is read: nobody vouches
 * for the file, and who reads the log meets its markers.
 */
import { assert } from '../errors/invariant.ts'
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import {
  ABORTED_TRANSACTION_BYTES,
  type AbortedTransaction,
  readAbortedTransaction,
  writeAbortedTransaction,
} from '../format/aborted-transaction.ts'
import { crc32c } from '../format/crc32c.ts'
import { IndexFile } from './index-file.ts'
import type { SegmentContents } from './segment-contents.ts'
import type { StorageDriver } from './storage-driver.ts'

/** Whose aborted transactions these are. */
export interface TransactionIndexPlace {
  readonly driver: StorageDriver
  /** Of the segment's files. */
  readonly directory: string
  readonly path: string
  readonly baseOffset: number
  /** As in `SegmentPlace`. */
  readonly readOnly?: boolean
}

/** What a clean close knows of a .txnindex. */
export type AbortedWitness = Pick<SegmentContents, 'abortedCount' | 'abortedCrc'>

/** The aborted transactions of one segment. */
export class TransactionIndex {
  #place: TransactionIndexPlace
  readonly #witness: AbortedWitness
  #knownFrom: number
  /** Where the segment ended then: what was added since is known. */
  readonly #openedAt: number
  #file: IndexFile | undefined
  /** The file was made, and its name may not be on stable storage. */
  #isNewName = false
  /** It was made here, and its name is on stable storage. */
  #isNamed = false
  /** The file may hold more than its entries. */
  #isUntidy = false
  #isClosed = false

  /** As `contents` describe it; nothing is read before it is needed. */
  constructor(
    place: TransactionIndexPlace,
    contents: AbortedWitness & Pick<SegmentContents, 'nextOffset'>,
  ) {
    const { abortedCount, abortedCrc, nextOffset } = contents
    this.#place = place
    this.#witness = { abortedCount, abortedCrc }
    this.#openedAt = nextOffset
    this.#knownFrom = abortedCount === null ? nextOffset : place.baseOffset
  }

  /** See I2. The file is read where it may have entries. */
  get knownFrom(): number {
    if (this.#place.readOnly === true) return Infinity
    if (this.#witness.abortedCount !== 0) this.#loaded()
    return this.#knownFrom
  }

  /** Its file, if there is one, was renamed to `path`. */
  moved(path: string): void {
    this.#place = { ...this.#place, path }
    this.#file?.moved(path)
  }

  /** What is known, ascending by markers: complete from `knownFrom` on. Owned. */
  get entries(): readonly AbortedTransaction[] {
    if (this.#place.readOnly === true) return []
    if (this.#file === undefined && this.#witness.abortedCount === 0) return []
    const file = this.#loaded()
    const bytes = bytesOf(file)
    const entries: AbortedTransaction[] = []
    for (let slot = 0; slot < file.slotCount; slot++) {
      entries.push(readAbortedTransaction(bytes, slot * ABORTED_TRANSACTION_BYTES))
    }
    return entries
  }

  /** For the clean marker, once everything is flushed. */
  get witness(): AbortedWitness {
    if (this.#file === undefined) return this.#witness
    if (this.#knownFrom > this.#place.baseOffset) return UNKNOWN
    const { slotCount } = this.#file
    return { abortedCount: slotCount, abortedCrc: checksum(this.#file, slotCount) }
  }

  /**
   * Adds an entry, and writes it (I3).
   * @throws {LogError} NO_SPACE or IO: it was not added.
   */
  add(entry: AbortedTransaction): void {
    const file = this.#loaded()
    assert(entry.lastOffset > this.#lastMarker, 'I1: markers ascend')
    if (file.wasMissing && !this.#isNamed) this.#isNewName = true
    const slot = file.addSlot()
    writeAbortedTransaction(bytesOf(file), slot * ABORTED_TRANSACTION_BYTES, entry)
    try {
      file.writeOut()
    } catch (error) {
      this.#truncate(file, slot)
      throw error
    }
  }

  /** The marker of the last entry was not written after all. */
  takeBackLast(): void {
    const file = this.#loaded()
    this.#truncate(file, file.slotCount - 1)
  }

  /** Drops what has its marker at `offset` or behind it: whoever calls adds all of it again. */
  truncateTo(offset: number): void {
    const file = this.#loaded()
    let slots = file.slotCount
    while (slots > 0 && this.#markerOf(file, slots - 1) >= offset) slots -= 1
    this.#truncate(file, slots)
    this.#knownFrom = Math.min(this.#knownFrom, Math.max(offset, this.#place.baseOffset))
  }

  /** @throws {LogError} NO_SPACE or IO: a later call tries again. */
  writeOut(): void {
    if (this.#file !== undefined) this.#write(this.#file)
  }

  /** True while the file differs from what is known to be on stable storage. */
  get isUnflushed(): boolean {
    return this.#isNewName || this.#isUntidy || this.#file?.isUnflushed === true
  }

  /** Forces what was written out to stable storage, with its name. */
  async flush(): Promise<void> {
    await this.flushBytes()
    if (!this.#isNewName || this.#isClosed) return
    this.#isNewName = false
    try {
      await this.#place.driver.flushDirectory(this.#place.directory)
      this.#isNamed = true
    } catch (error) {
      this.#isNewName = true
      throw error
    }
  }

  /** As `flush`, for whoever forces the directory afterwards. */
  async flushBytes(): Promise<void> {
    if (!this.#isClosed) await this.#file?.flushBytes()
  }

  /** Releases the file. */
  close(): void {
    this.#isClosed = true
    this.#file?.close()
  }

  get #lastMarker(): number {
    const file = this.#loaded()
    return file.slotCount === 0 ? -1 : this.#markerOf(file, file.slotCount - 1)
  }

  #markerOf(file: IndexFile, slot: number): number {
    return readAbortedTransaction(bytesOf(file), slot * ABORTED_TRANSACTION_BYTES).lastOffset
  }

  /** Never throws for what the disk refuses: the entries are gone in memory, the file follows. */
  #truncate(file: IndexFile, slots: number): void {
    try {
      file.truncateTo(slots)
      this.#write(file)
    } catch (error) {
      if (!LogError.is(error)) throw error
      this.#isUntidy = true
    }
  }

  /** No file is made for no entry. */
  #write(file: IndexFile): void {
    const isThere = !file.wasMissing || this.#isNewName || this.#isNamed || this.#isUntidy
    if (isThere || file.slotCount > 0) file.writeOut()
    this.#isUntidy = false
  }

  #loaded(): IndexFile {
    this.#file ??= this.#load()
    return this.#file
  }

  /** No marker that is in the log lies behind it; where that is not known, recovery sees to it. */
  get #endOffset(): number {
    return this.#witness.abortedCount === null ? Infinity : this.#openedAt
  }

  /** What cannot be an entry, and all behind it, is left out; then nothing vouches for the rest. */
  #load(): IndexFile {
    const { driver, path } = this.#place
    const file = IndexFile.load(driver, path, ABORTED_TRANSACTION_BYTES)
    const { abortedCount, abortedCrc } = this.#witness
    // One that is vouched to be empty may hold what could not be cut off: nothing of it counts.
    const sound = abortedCount === 0 ? 0 : soundSlots(file, this.#place.baseOffset, this.#endOffset)
    const isVouched = sound === abortedCount && checksum(file, sound) === abortedCrc
    if (!isVouched) this.#knownFrom = this.#openedAt
    if (sound < file.slotCount) {
      // In memory alone: the file is replaced as a whole, by whoever flushes it.
      file.detach()
      for (let slot = 0; slot < sound; slot++) file.addSlot()
    }
    return file
  }
}

const UNKNOWN: AbortedWitness = { abortedCount: null, abortedCrc: 0 }

/** As many entries from the start as can be what was written. */
function soundSlots(file: IndexFile, baseOffset: number, endOffset: number): number {
  const bytes = bytesOf(file)
  let lastMarker = baseOffset - 1
  for (let slot = 0; slot < file.slotCount; slot++) {
    const entry = entryAt(bytes, slot * ABORTED_TRANSACTION_BYTES)
    if (entry === undefined || entry.lastOffset >= endOffset) return slot
    if (entry.lastOffset <= lastMarker) return slot
    lastMarker = entry.lastOffset
  }
  return file.slotCount
}

function entryAt(bytes: Buffer, at: number): AbortedTransaction | undefined {
  try {
    const entry = readAbortedTransaction(bytes, at)
    const { producerId, firstOffset, lastOffset, lastStableOffset } = entry
    const isRange = firstOffset >= 0 && firstOffset < lastOffset
    const isStable = lastStableOffset >= 0 && lastStableOffset <= lastOffset + 1
    return producerId >= 0 && isRange && isStable ? entry : undefined
  } catch (error) {
    if (error instanceof CorruptBytes) return undefined
    throw error
  }
}

function checksum(file: IndexFile, slots: number): number {
  return slots === 0 ? 0 : crc32c(bytesOf(file), 0, slots * ABORTED_TRANSACTION_BYTES)
}

function bytesOf({ view }: IndexFile): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}
