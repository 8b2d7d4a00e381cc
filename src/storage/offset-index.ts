/**
 * OffsetIndex: the sparse .index of a segment, last offset of a batch -> where the batch starts.
 *
 * One entry for the batch that follows each `indexIntervalBytes` of log, decided per batch as
 * recovery decides it, so that an index rebuilt from the log equals the one written beside it. The
 * first batch has none: a lookup below the first entry starts at position 0.
 *   I1  offsets and positions ascend strictly
 *   I2  an entry is a hint: who follows it checks that a batch really ends at that offset there
 */
import { assert } from '../errors/invariant.ts'
import {
  OFFSET_INDEX_ENTRY_BYTES,
  floorOffsetIndexSlot,
  readIndexPosition,
  readIndexRelativeOffset,
  writeOffsetIndexEntry,
} from '../format/offset-index-entry.ts'
import { IndexFile } from './index-file.ts'
import type { StorageDriver } from './storage-driver.ts'

/** Sparse map from offsets to positions of one segment. */
export class OffsetIndex {
  readonly #file: IndexFile
  readonly #baseOffset: number
  /** One bit a slot: the batches from its entry up to the next one's passed their CRC here. */
  #verified = new Uint8Array(16)

  private constructor(file: IndexFile, baseOffset: number) {
    this.#file = file
    this.#baseOffset = baseOffset
  }

  static create(driver: StorageDriver, path: string, baseOffset: number): OffsetIndex {
    return new OffsetIndex(IndexFile.create(driver, path, OFFSET_INDEX_ENTRY_BYTES), baseOffset)
  }

  /** What the file holds; `isSound` tells whether it can be used. */
  static load(driver: StorageDriver, path: string, baseOffset: number): OffsetIndex {
    return new OffsetIndex(IndexFile.load(driver, path, OFFSET_INDEX_ENTRY_BYTES), baseOffset)
  }

  /** As `load`, of a file that another process writes: it is never touched. */
  static readOnly(driver: StorageDriver, path: string, baseOffset: number): OffsetIndex {
    return new OffsetIndex(IndexFile.readOnly(driver, path, OFFSET_INDEX_ENTRY_BYTES), baseOffset)
  }

  get slotCount(): number {
    return this.#file.slotCount
  }
  get file(): IndexFile {
    return this.#file
  }

  /** True where I1 holds, and all lies inside a log of `logBytes` that ends at `logEndOffset`. */
  isSound(logBytes: number, logEndOffset: number): boolean {
    const { view, slotCount } = this.#file
    let offset = -1
    let position = -1
    for (let slot = 0; slot < slotCount; slot++) {
      const nextOffset = readIndexRelativeOffset(view, slot)
      const nextPosition = readIndexPosition(view, slot)
      if (nextOffset <= offset || nextPosition <= position || nextPosition >= logBytes) return false
      offset = nextOffset
      position = nextPosition
    }
    return slotCount === 0 || offset + this.#baseOffset < logEndOffset
  }

  append(entry: { readonly offset: number; readonly position: number }): void {
    const { slotCount } = this.#file
    assert(
      slotCount === 0 || entry.position > this.positionOfSlot(slotCount - 1),
      'I1: positions ascend',
    )
    assert(slotCount === 0 || entry.offset > this.offsetOfSlot(slotCount - 1), 'I1: offsets ascend')
    const slot = this.#file.addSlot()
    writeOffsetIndexEntry(this.#file.view, slot, entry.offset - this.#baseOffset, entry.position)
  }

  /**
   * The last slot whose batch ends at or before `offset`; -1 where even the first ends behind it.
   */
  slotForOffset(offset: number): number {
    return floorOffsetIndexSlot(
      this.#file.view,
      this.#file.slotCount,
      Math.min(offset - this.#baseOffset, 0x7fff_ffff),
    )
  }

  /**
   * The last slot whose position is at or before `position`; -1 for the stretch before the first
   * entry.
   */
  slotForPosition(position: number): number {
    const { view, slotCount } = this.#file
    let low = 0
    // Slots below `low` start at or before `position`; those from `high` on behind it.
    let high = slotCount
    while (low < high) {
      const middle = (low + high) >>> 1
      if (readIndexPosition(view, middle) <= position) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Where the stretch of `slot` starts; 0 for slot -1. */
  positionOfSlot(slot: number): number {
    return slot < 0 ? 0 : readIndexPosition(this.#file.view, slot)
  }

  offsetOfSlot(slot: number): number {
    return readIndexRelativeOffset(this.#file.view, slot) + this.#baseOffset
  }

  /** Position of the last indexed batch: what the next entry's distance is measured from. */
  get lastIndexedPosition(): number {
    return this.positionOfSlot(this.#file.slotCount - 1)
  }

  /** Drops the entries of batches that end at or behind `offset`. */
  truncateToOffset(offset: number): void {
    this.#file.truncateTo(this.slotForOffset(offset - 1) + 1)
    this.#verified.fill(0)
  }

  /** Starts over without an entry; the file stays as it is until it is flushed. */
  startAnew(): void {
    this.#file.detach()
    this.#verified.fill(0)
  }

  /** True where every batch from the slot's entry up to the next one's passed its CRC here. */
  isVerified(slot: number): boolean {
    const bit = slot + 1
    return ((this.#verified[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0
  }

  /** Notes that the batches of the slot's stretch passed their CRC. */
  markVerified(slot: number): void {
    const bit = slot + 1
    const byte = bit >>> 3
    if (byte >= this.#verified.length) {
      const grown = new Uint8Array(Math.max(byte + 1, this.#verified.length * 2))
      grown.set(this.#verified)
      this.#verified = grown
    }
    this.#verified[byte] = (this.#verified[byte] ?? 0) | (1 << (bit & 7))
  }

  close(): void {
    this.#file.close()
  }
}
