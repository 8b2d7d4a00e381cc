/**
 * CutFile: one file as a page cache and a disk hold it apart, by sectors of 512 bytes.
 *
 * Reads see the cache; a flush brings the sectors that were dirty when it began to the disk. What a
 * power cut leaves is the disk, plus any of the dirty sectors, plus any size the file had since.
 */
import type { SeededRandom } from './seeded-random.ts'

/** What a disk writes as a whole. */
const SECTOR_BYTES = 512

/** How much of what was not synced a power cut keeps. */
export type Survival = 'none' | 'all' | 'some'

/** What a flush that began at some time has to bring to the disk. */
export interface FlushImage {
  readonly sizeBytes: number
  readonly sectors: readonly (readonly [sector: number, bytes: Buffer, version: number])[]
}

/** The two states of a file. */
export class CutFile {
  #cache: Buffer = Buffer.alloc(0)
  #sizeBytes = 0
  #disk: Buffer = Buffer.alloc(0)
  #diskSizeBytes = 0
  /** Dirty sectors with the number of the write that touched them last. */
  readonly #dirty = new Map<number, number>()
  /** Sizes since the last flush. */
  #sizesSince: number[] = []
  #writes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0 || this.#sizeBytes !== this.#diskSizeBytes
  }

  read(target: Uint8Array, targetStart: number, byteLength: number, position: number): number {
    const end = Math.min(position + byteLength, this.#sizeBytes)
    if (end <= position) return 0
    target.set(this.#cache.subarray(position, end), targetStart)
    return end - position
  }

  write(source: Uint8Array, sourceStart: number, byteLength: number, position: number): void {
    const end = position + byteLength
    if (end > this.#sizeBytes) this.#setSize(end)
    this.#cache.set(source.subarray(sourceStart, sourceStart + byteLength), position)
    this.#touch(position, end)
  }

  resize(sizeBytes: number): void {
    const before = this.#sizeBytes
    this.#setSize(sizeBytes)
    if (sizeBytes >= before) return
    this.#cache.fill(0, sizeBytes, before)
    this.#touch(sizeBytes, before)
  }

  beginFlush(): FlushImage {
    const sectors = [...this.#dirty].map(
      ([sector, version]) => [sector, this.#sector(this.#cache, sector), version] as const,
    )
    return { sizeBytes: this.#sizeBytes, sectors }
  }

  endFlush(image: FlushImage): void {
    for (const [sector, bytes, version] of image.sectors) {
      this.#store(sector, bytes)
      if (this.#dirty.get(sector) === version) this.#dirty.delete(sector)
    }
    this.#diskSizeBytes = image.sizeBytes
    this.#sizesSince = this.#sizeBytes === image.sizeBytes ? [] : [this.#sizeBytes]
  }

  /** A flush failed as Linux fails it: the pages count as clean, and never reach the disk. */
  dropDirty(): void {
    this.#dirty.clear()
  }

  /** What a power cut leaves of it. */
  afterPowerCut(survival: Survival, random: SeededRandom): CutFile {
    const left = new CutFile()
    const sizes = [this.#diskSizeBytes, ...this.#sizesSince]
    const size =
      survival === 'none'
        ? this.#diskSizeBytes
        : survival === 'all'
          ? this.#sizeBytes
          : (sizes[random.below(sizes.length)] ?? 0)
    const bytes = Buffer.alloc(Math.max(this.#disk.length, this.#cache.length))
    this.#disk.copy(bytes)
    for (const sector of this.#dirty.keys()) {
      if (survival === 'none' || (survival === 'some' && random.below(2) === 0)) continue
      this.#sector(this.#cache, sector).copy(bytes, sector * SECTOR_BYTES)
    }
    left.write(bytes, 0, Math.min(size, bytes.length), 0)
    left.resize(size)
    left.endFlush(left.beginFlush())
    return left
  }

  #sector(bytes: Buffer, sector: number): Buffer {
    const copy = Buffer.alloc(SECTOR_BYTES)
    bytes.copy(copy, 0, sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES)
    return copy
  }

  #store(sector: number, bytes: Buffer): void {
    const end = (sector + 1) * SECTOR_BYTES
    if (this.#disk.length < end) this.#disk = grown(this.#disk, end)
    bytes.copy(this.#disk, sector * SECTOR_BYTES)
  }

  #setSize(sizeBytes: number): void {
    if (sizeBytes === this.#sizeBytes) return
    if (this.#cache.length < sizeBytes) this.#cache = grown(this.#cache, sizeBytes)
    this.#sizeBytes = sizeBytes
    this.#sizesSince.push(sizeBytes)
  }

  #touch(start: number, end: number): void {
    this.#writes += 1
    const last = Math.floor((end - 1) / SECTOR_BYTES)
    for (let sector = Math.floor(start / SECTOR_BYTES); sector <= last; sector++) {
      this.#dirty.set(sector, this.#writes)
    }
  }
}

function grown(bytes: Buffer, neededBytes: number): Buffer {
  const sectors = Math.ceil(Math.max(neededBytes, bytes.length * 2) / SECTOR_BYTES)
  const larger = Buffer.alloc(sectors * SECTOR_BYTES)
  bytes.copy(larger)
  return larger
}
