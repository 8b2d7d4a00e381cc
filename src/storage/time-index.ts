/**
 * TimeIndex: the sparse .timeindex of a segment, largest timestamp so far -> last offset of the
 * batch that has it. Everything later than `timestamp` comes after `offset`.
 *
 * An entry is offered with each offset index entry and once more when the segment is sealed; it is
 * skipped unless its timestamp is above the last one's.
 *   I1  timestamps ascend strictly, offsets never fall
 */
import { assert } from '../errors/invariant.ts'
import {
  TIME_INDEX_ENTRY_BYTES,
  floorTimeIndexSlot,
  readTimeIndexRelativeOffset,
  readTimeIndexTimestamp,
  writeTimeIndexEntry,
} from '../format/time-index-entry.ts'
import { IndexFile } from './index-file.ts'
import type { StorageDriver } from './storage-driver.ts'

/** A timestamp and the last offset of the batch that holds it. */
export interface TimestampAndOffset {
  readonly timestamp: number
  readonly offset: number
}

/** Sparse map from timestamps to offsets of one segment. */
export class TimeIndex {
  readonly #file: IndexFile
  readonly #baseOffset: number

  private constructor(file: IndexFile, baseOffset: number) {
    this.#file = file
    this.#baseOffset = baseOffset
  }

  static create(driver: StorageDriver, path: string, baseOffset: number): TimeIndex {
    return new TimeIndex(IndexFile.create(driver, path, TIME_INDEX_ENTRY_BYTES), baseOffset)
  }

  /** What the file holds; `isSound` tells whether it can be used. */
  static load(driver: StorageDriver, path: string, baseOffset: number): TimeIndex {
    return new TimeIndex(IndexFile.load(driver, path, TIME_INDEX_ENTRY_BYTES), baseOffset)
  }

  /** As `load`, of a file that another process writes: it is never touched. */
  static readOnly(driver: StorageDriver, path: string, baseOffset: number): TimeIndex {
    return new TimeIndex(IndexFile.readOnly(driver, path, TIME_INDEX_ENTRY_BYTES), baseOffset)
  }

  get file(): IndexFile {
    return this.#file
  }
  get slotCount(): number {
    return this.#file.slotCount
  }

  /** True where I1 holds and every offset lies below `nextOffset`. */
  isSound(nextOffset: number): boolean {
    const { view, slotCount } = this.#file
    let timestamp = -Infinity
    let relativeOffset = 0
    for (let slot = 0; slot < slotCount; slot++) {
      const nextTimestamp = readTimeIndexTimestamp(view, slot)
      const nextRelative = readTimeIndexRelativeOffset(view, slot)
      const isHigher = nextTimestamp > timestamp && nextRelative >= relativeOffset
      if (!isHigher || !Number.isSafeInteger(nextTimestamp)) return false
      timestamp = nextTimestamp
      relativeOffset = nextRelative
    }
    return slotCount === 0 || relativeOffset + this.#baseOffset < nextOffset
  }

  /** Adds an entry unless it brings no later timestamp. */
  offer(entry: TimestampAndOffset): void {
    const last = this.last
    if (last !== undefined && entry.timestamp <= last.timestamp) return
    assert(last === undefined || entry.offset >= last.offset, 'I1: offsets never fall')
    const slot = this.#file.addSlot()
    writeTimeIndexEntry(this.#file.view, slot, entry.timestamp, entry.offset - this.#baseOffset)
  }

  get last(): TimestampAndOffset | undefined {
    const slot = this.#file.slotCount - 1
    return slot < 0 ? undefined : this.#at(slot)
  }

  /** The last entry whose timestamp is at or before `timestamp`. */
  floor(timestamp: number): TimestampAndOffset | undefined {
    const slot = floorTimeIndexSlot(this.#file.view, this.#file.slotCount, timestamp)
    return slot < 0 ? undefined : this.#at(slot)
  }

  /** The last entry that names `offset` or one before it. */
  lastUpTo(offset: number): TimestampAndOffset | undefined {
    for (let slot = this.#file.slotCount - 1; slot >= 0; slot--) {
      const entry = this.#at(slot)
      if (entry.offset <= offset) return entry
    }
    return undefined
  }

  /** Drops the entries that name offsets at or behind `offset`. */
  truncateToOffset(offset: number): void {
    let slots = this.#file.slotCount
    while (slots > 0 && this.#at(slots - 1).offset >= offset) slots -= 1
    this.#file.truncateTo(slots)
  }

  close(): void {
    this.#file.close()
  }

  #at(slot: number): TimestampAndOffset {
    const { view } = this.#file
    return {
      timestamp: readTimeIndexTimestamp(view, slot),
      offset: readTimeIndexRelativeOffset(view, slot) + this.#baseOffset,
    }
  }
}
