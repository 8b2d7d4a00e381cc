/**
 * SpaceAhead: what the .log of an active segment has ready behind its batches, so that a durable
 * append has as little as possible to change but its own bytes.
 *
 *   | batches          | zeroed ahead    | preallocated    |
 *   0              sizeBytes       stretchEnd       file size      all of it reads as zeros
 *
 * Owns how the file grows, and when zeros are written; what is in front of them is the segment's.
 *   I1  zeros are written only where zeros are read: behind the batches, inside the file
 *   I2  nothing here fails an append that might still succeed
 */
import { LogError } from '../errors/log-error.ts'
import type { StorageFile } from './storage-driver.ts'

const FIRST_GROWTH_BYTES = 65_536
const LAST_GROWTH_BYTES = 16_777_216
/** So much is zeroed at once, … */
const STRETCH_BYTES = 262_144
/** … in pieces at multiples of their size: behind larger ones small writes take longer. */
const ZEROS: Buffer = Buffer.alloc(65_536)
/** From so many flushes on within a stretch, the next one is zeroed. */
const FREQUENT_FLUSHES = 2

/** What says how the file grows. */
export interface GrowthSettings {
  readonly preallocate: boolean
  /** Size at which the partition rolls: no file is preallocated beyond it. */
  readonly segmentBytes: number
}

/** What is needed of the .log. */
type GrowingFile = Pick<StorageFile, 'sizeBytes' | 'resize' | 'write'>

/** The free end of one .log. */
export class SpaceAhead {
  readonly #log: GrowingFile
  readonly #settings: GrowthSettings
  /** Up to here the file was zeroed, or it was found not to be worth it. */
  #stretchEnd = 0
  #flushesInStretch = 0

  constructor(log: GrowingFile, settings: GrowthSettings) {
    this.#log = log
    this.#settings = settings
  }

  /**
   * Before a batch is written behind `sizeBytes`. Hot: most calls do nothing.
   * @throws {LogError} IO where the file cannot grow.
   */
  prepare(sizeBytes: number, batchBytes: number): void {
    const neededBytes = sizeBytes + batchBytes
    if (neededBytes <= this.#stretchEnd || !this.#settings.preallocate) return
    if (neededBytes > this.#log.sizeBytes) this.#grow(sizeBytes, neededBytes)
    this.#nextStretch(neededBytes)
  }

  /** The file is flushed. */
  flushed(): void {
    this.#flushesInStretch += 1
  }

  /** The file was cut behind its batches: nothing is ready any more. */
  cut(): void {
    this.#stretchEnd = 0
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
      for (let at = start; at < end;) {
        const byteLength = Math.min(ZEROS.length - (at % ZEROS.length), end - at)
        this.#log.write(ZEROS, 0, byteLength, at)
        at += byteLength
      }
    } catch (error) {
      if (!LogError.is(error)) throw error // I2: what the batch meets, its own write will tell.
    }
  }
}
