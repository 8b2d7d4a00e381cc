/**
 * SpaceAhead: what the .log of an active segment has ready behind its batches, so that a durable
 * append has as little as possible to change but its own bytes, and so that there is room for what
 * must not fail for lack of it.
 *
 *   | batches          | zeroed ahead    | preallocated    |
 *   0              sizeBytes       stretchEnd       file size      all of it reads as zeros
 *
 * Owns how the file grows, when zeros are written, and what becomes of a write that failed.
 *   I1  zeros are written only where zeros are read: behind the batches
 *   I2  nothing here fails an append that might still succeed and needs no room behind it
 *   I3  up to heldEnd the file has blocks, whether anything preallocates or not, and keeps them
 */
import { LogError } from '../errors/log-error.ts'
import type { BatchBytes } from './segment-contents.ts'
import type { StorageFile } from './storage-driver.ts'
import { ZEROS } from './zeros.ts'

const FIRST_GROWTH_BYTES = 65_536
const LAST_GROWTH_BYTES = 16_777_216
/**
 * So much is zeroed at once, in pieces as large as `ZEROS`, at multiples of their size: behind
 * larger ones small writes take longer.
 */
const STRETCH_BYTES = 262_144
/** Held beyond what is asked for, so that most appends find their room held. */
const HELD_MORE_BYTES = 16_384
/** From so many flushes on within a stretch, the next one is zeroed. */
const FREQUENT_FLUSHES = 2

/** What says how the file grows. */
export interface GrowthSettings {
  readonly preallocate: boolean
  /** Size at which the partition rolls: no file is preallocated beyond it. */
  readonly segmentBytes: number
}

/** What is needed of the .log. */
type GrowingFile = Pick<StorageFile, 'path' | 'sizeBytes' | 'read' | 'resize' | 'write'>

/** The free end of one .log. */
export class SpaceAhead {
  readonly #log: GrowingFile
  readonly #settings: GrowthSettings
  /** Up to here the file was zeroed, or it was found not to be worth it. */
  #stretchEnd = 0
  /** See I3. */
  #heldEnd = 0
  #flushesInStretch = 0
  #changeCount = 0

  constructor(log: GrowingFile, settings: GrowthSettings) {
    this.#log = log
    this.#settings = settings
  }

  /** Grows with whatever changes the file, batches and free space alike. */
  get changeCount(): number {
    return this.#changeCount
  }

  /**
   * Writes a batch behind `sizeBytes`, with `reservedBytes` of room behind it.
   * @throws {LogError} NO_SPACE or IO: it is not there; IO with `details.outcome: 'unknown'` where
   *   a crash may bring it back.
   */
  write(batch: BatchBytes, sizeBytes: number, reservedBytes: number): void {
    this.#changeCount += 1
    const heldBefore = this.#heldEnd
    this.#prepare(sizeBytes, batch.sizeBytes)
    if (reservedBytes > 0) this.#hold(sizeBytes, sizeBytes + batch.sizeBytes, reservedBytes)
    try {
      this.#log.write(batch.buffer, batch.start, batch.sizeBytes, sizeBytes)
    } catch (error) {
      const isWhole = this.#isWhole(batch, sizeBytes)
      this.#cutBack(sizeBytes, Math.max(heldBefore, sizeBytes))
      throw isWhole ? outcomeUnknown(this.#log.path, error) : error
    }
  }

  /**
   * Holds room behind `sizeBytes`.
   * @throws {LogError} NO_SPACE or IO.
   */
  reserve(sizeBytes: number, reservedBytes: number): void {
    this.#changeCount += 1
    this.#hold(sizeBytes, sizeBytes, reservedBytes)
  }

  /** Before a batch is written. Hot: most calls do nothing. */
  #prepare(sizeBytes: number, batchBytes: number): void {
    const neededBytes = sizeBytes + batchBytes
    if (neededBytes <= this.#stretchEnd || !this.#settings.preallocate) return
    if (neededBytes > this.#log.sizeBytes) this.#grow(sizeBytes, neededBytes)
    this.#nextStretch(neededBytes)
  }

  /** The file is flushed. */
  flushed(): void {
    this.#flushesInStretch += 1
  }

  /** Cuts everything behind the batches: nothing is ready any more. */
  cutTo(sizeBytes: number): void {
    this.#stretchEnd = 0
    this.#heldEnd = 0
    if (this.#log.sizeBytes === sizeBytes) return
    this.#changeCount += 1
    this.#log.resize(sizeBytes)
  }

  /**
   * Room behind `end`, where a batch from `sizeBytes` on will end: zeros are written there, as a
   * file may be large and have no blocks.
   */
  #hold(sizeBytes: number, end: number, reservedBytes: number): void {
    const neededEnd = end + reservedBytes
    if (neededEnd <= this.#heldEnd) return
    const from = Math.max(end, this.#heldEnd)
    try {
      this.#writeZeros(from, neededEnd + HELD_MORE_BYTES)
      this.#heldEnd = neededEnd + HELD_MORE_BYTES
    } catch (error) {
      if (!LogError.is(error, 'NO_SPACE')) throw error
      this.#holdExactly(sizeBytes, from, neededEnd)
    }
  }

  /** The disk is all but full: not a byte more than is needed. */
  #holdExactly(sizeBytes: number, from: number, neededEnd: number): void {
    try {
      this.#writeZeros(from, neededEnd)
      this.#heldEnd = neededEnd
    } catch (error) {
      this.#cutBack(sizeBytes, Math.max(this.#heldEnd, sizeBytes))
      throw error
    }
  }

  /**
   * Whether all of a batch is there although its write failed: a write may have taken every byte of
   * it but those that are zeros anyway, or fail after the last.
   */
  #isWhole(batch: BatchBytes, position: number): boolean {
    try {
      const there = Buffer.allocUnsafe(batch.sizeBytes)
      const read = this.#log.read(there, 0, batch.sizeBytes, position)
      const end = batch.start + batch.sizeBytes
      return read === batch.sizeBytes && batch.buffer.subarray(batch.start, end).equals(there)
    } catch {
      return true // Nobody knows.
    }
  }

  /** What a failed write left must not look like a torn batch to the next open; I3 holds. */
  #cutBack(sizeBytes: number, keptEnd: number): void {
    this.#stretchEnd = 0
    this.#heldEnd = keptEnd > sizeBytes ? keptEnd : 0
    try {
      if (this.#log.sizeBytes > keptEnd) this.#log.resize(keptEnd)
      if (keptEnd > sizeBytes) this.#writeZeros(sizeBytes, keptEnd)
    } catch {
      // The write's own error is the one to report; recovery cuts a torn batch as well.
    }
  }

  /**
   * Makes the file larger than the next batch needs, in steps: as much as it holds, from 64 KiB to
   * 16 MiB, so that most appends change no file metadata.
   */
  #grow(sizeBytes: number, neededBytes: number): void {
    const log = this.#log
    const stepBytes = Math.min(Math.max(sizeBytes, FIRST_GROWTH_BYTES), LAST_GROWTH_BYTES)
    const wantedBytes = Math.min(log.sizeBytes + stepBytes, this.#settings.segmentBytes)
    if (wantedBytes < neededBytes) return
    try {
      log.resize(wantedBytes)
    } catch (error) {
      // No room for a whole step is no reason to refuse a batch that may still fit.
      if (!LogError.is(error, 'NO_SPACE')) throw error
    }
  }

  /**
   * Writes zeros over the stretch from `start` on, where the last one was flushed often. Space that
   * was only reserved becomes data of the file at the first sync behind a write to it: that one has
   * the file's metadata to write too. Zeroed ahead, all of it becomes data with the first batch of
   * the stretch, and the syncs behind it have nothing but batches to write
   * (docs/decisions/040-zeroed-ahead.md).
   */
  #nextStretch(start: number): void {
    const isFrequent = this.#flushesInStretch >= FREQUENT_FLUSHES
    this.#flushesInStretch = 0
    const end = Math.min(start + STRETCH_BYTES, this.#log.sizeBytes)
    this.#stretchEnd = end
    if (isFrequent) this.#zero(start, end)
  }

  #zero(start: number, end: number): void {
    try {
      this.#writeZeros(start, end)
    } catch (error) {
      if (!LogError.is(error)) throw error // I2: what the batch meets, its own write will tell.
    }
  }

  #writeZeros(start: number, end: number): void {
    for (let at = start; at < end;) {
      const byteLength = Math.min(ZEROS.length - (at % ZEROS.length), end - at)
      this.#log.write(ZEROS, 0, byteLength, at)
      at += byteLength
    }
  }
}

function outcomeUnknown(file: string, cause: unknown): unknown {
  if (!LogError.is(cause)) return cause
  return new LogError(
    'IO',
    `${cause.message}; all of the batch may have been written: after a crash it may be there`,
    { file, outcome: 'unknown' },
    { cause },
  )
}
