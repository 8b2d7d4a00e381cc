/**
 * MappedFile: reads one file through windows of a pool, as far as it is frozen or settled, and the
 * pool gives any.
 *
 * Owns the windows of its file; everything it cannot or had better not do is left to positioned
 * reads, by saying so. Frozen, settled: nobody of ours changes or cuts these bytes while this is
 * open.
 *   I1  no window reaches behind what was settled when it was mapped
 *   I2  memory is touched only where the pages were just read, or the kernel was just told to: a
 *       page that has to come from disk costs ten times as much when it is waited for alone
 * With 'points', a granule of 16 KiB is read through its mapping once it was read otherwise twice:
 * its first touch costs as much as two reads, which a file read once here and there never gets
 * back.
 */
import type { MappedWindow } from './mapped-window.ts'
import type { MappingPool } from './mapping-pool.ts'

/** What is counted and advised as one; where pages are larger, advice is merely not taken. */
const GRANULE_BYTES = 16_384
/** Largest read that counts as one of a point. Longer ones gain nothing (docs/decisions). */
const MAX_POINT_BYTES = 65_536
/** Reads of a granule by which it earns its mapping, where reads are chosen. */
const READS_BEFORE_MAPPING = 2

/** Of a file that still grows less is not worth a mapping that will soon be too short. */
const LEAST_SETTLED_BYTES = 65_536

/** What is mapped: a file that nobody of ours changes or cuts any more, or the first part of it. */
export interface FrozenFile {
  /** A descriptor of it, good for the next call. */
  openDescriptor(): number
  /** Of the file as it is now, not as anybody remembers it. */
  readSizeBytes(): number
  /** How long that part is by now; undefined once it is the whole file, which no longer grows. */
  settledBytes(): number | undefined
}

/** One file as the pool maps it. */
export class MappedFile {
  readonly #pool: MappingPool
  readonly #file: FrozenFile
  readonly #requiredReads: number
  readonly #maxReadBytes: number
  readonly #windows: (MappedWindow | undefined)[] = []
  /** By granule of the file: reads so far, and one more once its pages were advised (I2). */
  #heat: Uint8Array = new Uint8Array(0)
  /** Of the whole file; undefined until the first read of a frozen one. */
  #sizeBytes: number | undefined
  #isClosed = false

  constructor(pool: MappingPool, file: FrozenFile) {
    this.#pool = pool
    this.#file = file
    const isChosen = pool.reads === 'points'
    this.#requiredReads = isChosen ? READS_BEFORE_MAPPING : 0
    this.#maxReadBytes = isChosen ? MAX_POINT_BYTES : Infinity
  }

  /**
   * The window that holds all of `byteLength` bytes from `position` on, or up to the end of the
   * file; undefined where they are to be read otherwise. Borrowed until the next call to any file
   * of the pool.
   */
  window(position: number, byteLength: number): MappedWindow | undefined {
    if (!this.#pool.isEnabled || this.#isClosed) return undefined
    const { windowBytes } = this.#pool.limits
    const use = this.#pool.nextUse()
    const end = this.#endOf(position, byteLength)
    const index = Math.floor(position / windowBytes)
    if (position >= end || end > (index + 1) * windowBytes) return undefined
    if (!this.#isWarm(position, end)) return undefined
    const window = this.#windowAt(index, end)
    if (window === undefined) return undefined
    window.lastUse = use
    this.#advise(window, position, end)
    return window
  }

  /**
   * Copies up to `byteLength` bytes from `position` on into `target`; fewer only at the end of the
   * file. -1, and part of them may be copied, where they are to be read otherwise.
   */
  read(target: Uint8Array, targetStart: number, byteLength: number, position: number): number {
    if (byteLength > this.#maxReadBytes || !this.#pool.isEnabled || this.#isClosed) return -1
    const { windowBytes } = this.#pool.limits
    const end = this.#endOf(position, byteLength)
    if (end < 0) return -1
    let at = position
    while (at < end) {
      const stop = Math.min(end, (Math.floor(at / windowBytes) + 1) * windowBytes)
      const window = this.window(at, stop - at)
      if (window === undefined) return -1
      const { bytes, position: first } = window
      bytes.copy(target, targetStart + at - position, at - first, stop - first)
      at = stop
    }
    return Math.max(0, end - position)
  }

  /** Unmaps all of it, for good. */
  close(): void {
    this.#isClosed = true
    this.#sizeBytes = 0
    for (const window of this.#windows) if (window !== undefined) this.#pool.release(window)
    this.#windows.length = 0
  }

  /**
   * Where a read ends: behind the last byte of a frozen file at most. -1 where some of it is not
   * settled.
   */
  #endOf(position: number, byteLength: number): number {
    const end = position + byteLength
    const sizeBytes = this.#size()
    if (end <= sizeBytes) return end
    return this.#sizeBytes === undefined ? -1 : sizeBytes
  }

  /** Bytes that may be mapped. Of a frozen file one look is enough. */
  #size(): number {
    if (this.#sizeBytes !== undefined) return this.#sizeBytes
    const settledBytes = this.#file.settledBytes()
    const sizeBytes = settledBytes ?? this.#file.readSizeBytes()
    if (settledBytes === undefined) this.#sizeBytes = sizeBytes
    const granules = Math.ceil(sizeBytes / GRANULE_BYTES)
    if (granules > this.#heat.length) {
      const isFinal = settledBytes === undefined
      const heat = new Uint8Array(isFinal ? granules : Math.max(granules, this.#heat.length * 2))
      heat.set(this.#heat)
      this.#heat = heat
    }
    return sizeBytes
  }

  /** Counts this read; true where all of it was read often enough before. */
  #isWarm(position: number, end: number): boolean {
    const heat = this.#heat
    const required = this.#requiredReads
    const last = Math.floor((end - 1) / GRANULE_BYTES)
    let isWarm = true
    for (let granule = Math.floor(position / GRANULE_BYTES); granule <= last; granule++) {
      const reads = heat[granule] ?? 0
      if (reads >= required) continue
      heat[granule] = reads + 1
      isWarm = false
    }
    return isWarm
  }

  /** The window number `index`, as far as `end` at least. */
  #windowAt(index: number, end: number): MappedWindow | undefined {
    const { windowBytes } = this.#pool.limits
    const position = index * windowBytes
    const byteLength = Math.min(windowBytes, this.#size() - position)
    const known = this.#windows[index]
    if (known !== undefined && !known.isClosed) {
      if (end <= position + known.byteLength) return known
      // Each new mapping of a growing file is twice as long as the one before, so there are few.
      const isFinal = this.#sizeBytes !== undefined || byteLength === windowBytes
      if (!isFinal && byteLength < 2 * known.byteLength) return undefined
      this.#pool.release(known)
    } else if (this.#sizeBytes === undefined && byteLength < LEAST_SETTLED_BYTES) {
      return undefined
    }
    if (!this.#pool.makeRoom(byteLength)) return undefined
    const descriptor = this.#file.openDescriptor()
    // Asked again each time: a file that somebody cut after all is not mapped any longer (I1).
    const isWhole = this.#file.readSizeBytes() >= this.#size()
    const window = isWhole ? this.#pool.map(descriptor, position, byteLength) : undefined
    if (window === undefined) this.close()
    else this.#windows[index] = window
    return window
  }

  /** Before the first touch of a granule (I2). */
  #advise(window: MappedWindow, position: number, end: number): void {
    const heat = this.#heat
    const advised = this.#requiredReads + 1
    const last = Math.floor((end - 1) / GRANULE_BYTES)
    let granule = Math.floor(position / GRANULE_BYTES)
    while (granule <= last && heat[granule] === advised) granule++
    if (granule > last) return
    const start = granule * GRANULE_BYTES - window.position
    const stop = (last + 1) * GRANULE_BYTES - window.position
    window.willNeed(start, Math.min(stop, window.byteLength))
    heat.fill(advised, granule, last + 1)
  }
}
