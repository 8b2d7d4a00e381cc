/**
 * CachedBytes: one file as the page cache shows it, and what is needed to tell what the disk has.
 *
 *   cache      what reads see
 *   unsynced   for each write and cut since the last flush, in order, the bytes that were there
 *              before: undoing them from the newest back to the oldest gives the disk's bytes
 *   sizes      the same for the size
 *   diverged   pages that count as clean and are not on the disk as the cache has them: a failed
 *              flush dropped them, a device lost or misdirected them, a bit of them flipped
 *
 * So a write costs one copy and one note, a flush forgets notes, and a crash costs what is dirty.
 *   I1  numbers of changes ascend
 *   I2  bytes of the cache from `writtenEnd` on are zero
 *   I3  no page is both diverged and touched by an unsynced write
 */
import { assert } from '../errors/invariant.ts'
import { ChunkedBytes } from '../storage/chunked-bytes.ts'
import { type CrashChoices, lastKeptOf } from './survival.ts'

/** What a kernel reads and writes as a whole. */
export const PAGE_BYTES = 4096
/** Unsynced changes kept one by one; older ones are merged. */
const MAX_CHANGES = 4096

/** What becomes of a page on its way to the disk, when the device fails without saying so. */
export type WriteFate = 'arrives' | 'lost' | 'misdirected'

/** A write or a cut, and what it replaced; what is missing of `before` was zeros. */
interface UnsyncedWrite {
  readonly change: number
  readonly start: number
  readonly end: number
  readonly before: Buffer | null
  readonly fate: WriteFate
}

interface SizeChange {
  readonly change: number
  readonly before: number
}

/** See the file's header. */
export class CachedBytes {
  readonly #cache = new ChunkedBytes()
  readonly #diverged = new Map<number, Buffer>()
  #writtenEnd = 0
  #unsynced: UnsyncedWrite[] = []
  #sizes: SizeChange[] = []
  #mergeAt = MAX_CHANGES

  get sizeBytes(): number {
    return this.#cache.sizeBytes
  }

  /** True while a crash may change what is read. */
  get isDirty(): boolean {
    return this.#unsynced.length > 0 || this.#sizes.length > 0 || this.#diverged.size > 0
  }

  /** The oldest unsynced change; Infinity without one. */
  get firstChange(): number {
    const [write] = this.#unsynced
    const [size] = this.#sizes
    return Math.min(write?.change ?? Infinity, size?.change ?? Infinity)
  }

  read(target: Uint8Array, targetStart: number, byteLength: number, position: number): number {
    return this.#cache.read(target, targetStart, byteLength, position)
  }

  /** Hot: for each write of an engine. */
  write(
    change: number,
    source: Uint8Array,
    sourceStart: number,
    byteLength: number,
    position: number,
    fate: WriteFate,
  ): void {
    if (byteLength === 0) return
    const end = position + byteLength
    if (this.#diverged.size > 0) this.#dirtyAgain(change, position, end)
    const before = this.#bytesBefore(position, end)
    const sizeBytes = this.#cache.sizeBytes
    this.#cache.write(source, sourceStart, byteLength, position)
    this.#unsynced.push({ change, start: position, end, before, fate })
    if (end > sizeBytes) this.#noteSize(change, sizeBytes)
    if (end > this.#writtenEnd) this.#writtenEnd = end
    if (this.#unsynced.length > this.#mergeAt) this.#mergeOldest()
  }

  /** Grows with zeros or cuts. */
  resize(change: number, sizeBytes: number): void {
    const before = this.#cache.sizeBytes
    if (sizeBytes === before) return
    if (sizeBytes < this.#writtenEnd) {
      const end = this.#writtenEnd
      if (this.#diverged.size > 0) this.#dirtyAgain(change, sizeBytes, end)
      const bytes = this.#bytesBefore(sizeBytes, end)
      this.#unsynced.push({ change, start: sizeBytes, end, before: bytes, fate: 'arrives' })
      this.#writtenEnd = sizeBytes
    }
    this.#noteSize(change, before)
    this.#cache.resize(sizeBytes)
  }

  /**
   * Everything up to change `last` is on the disk, but for what the device lost on the way.
   * @returns pages that it wrote to a wrong place.
   */
  endFlush(last: number): readonly Buffer[] {
    const covered = countUpTo(this.#unsynced, last)
    const misdirected: Buffer[] = []
    for (let index = 0; index < covered; index++) {
      const write = this.#unsynced[index]
      if (write === undefined || write.fate === 'arrives') continue
      const cut = this.#unsynced.slice(covered)
      this.#forEachPage(write.start, write.end, (page) => {
        if (cut.some(({ start, end }) => touches(page, start, end))) return
        if (write.fate === 'misdirected') misdirected.push(this.#pageNow(page))
        this.#diverged.set(page, this.#pageOnDisk(page))
      })
    }
    dropFirst(this.#unsynced, covered)
    dropFirst(this.#sizes, countUpTo(this.#sizes, last))
    return misdirected
  }

  /**
   * A flush failed as kernels fail it: dirty pages count as clean and never reach the disk. With
   * `readable` they are seen until they leave the cache, as on ext4 and XFS; else reads show the
   * disk at once, as on Btrfs.
   */
  dropDirty(readable: boolean): void {
    const pages = new Set<number>()
    for (const { start, end } of this.#unsynced) {
      this.#forEachPage(start, end, (page) => pages.add(page))
    }
    const images = [...pages].map((page) => [page, this.#pageOnDisk(page)] as const)
    this.#unsynced = []
    for (const [page, image] of images) {
      if (readable) this.#diverged.set(page, image)
      else this.#putPage(page, image)
    }
  }

  /** Clean pages leave the cache: reads show what the disk has of them. */
  evict(): void {
    for (const [page, image] of this.#diverged) this.#putPage(page, image)
    this.#diverged.clear()
  }

  /**
   * A bit on the disk flips. The cache does not show it before the page leaves it; a page that is
   * dirty is written over it.
   * @returns false where the page is dirty: nothing was changed.
   */
  flipBit(position: number, bit: number): boolean {
    assert(position >= 0 && position < this.#cache.sizeBytes, 'flipBit: inside the file')
    const page = Math.floor(position / PAGE_BYTES)
    return this.divergePage(page, (image) => {
      const at = position - page * PAGE_BYTES
      image[at] = (image[at] ?? 0) ^ (1 << bit)
    })
  }

  /** Changes what the disk has of a clean page; false where it is dirty. */
  divergePage(page: number, change: (image: Buffer) => void): boolean {
    if (this.#unsynced.some(({ start, end }) => touches(page, start, end))) return false
    const image = this.#diverged.get(page) ?? this.#pageNow(page)
    change(image)
    this.#diverged.set(page, image)
    return true
  }

  /** What the crash leaves is what the disk has, and the cache shows it. */
  crash(choices: CrashChoices): void {
    const sizeBytes = choices.survival === 'some' ? this.#drawSize(choices) : undefined
    if (choices.survival === 'some') this.#keepGranules(choices)
    const last = Math.max(this.#unsynced.at(-1)?.change ?? 0, this.#sizes.at(-1)?.change ?? 0)
    const isDirty = this.#unsynced.length > 0 || this.#sizes.length > 0
    const lastKept = isDirty ? lastKeptOf(choices, this.firstChange, last) : last
    const kept =
      sizeBytes ?? this.#sizes.find(({ change }) => change > lastKept)?.before ?? this.sizeBytes
    this.#undoAfter(lastKept, choices)
    this.evict()
    this.#cache.resize(kept)
    this.#writtenEnd = Math.min(this.#writtenEnd, kept)
    this.#unsynced = []
    this.#sizes = []
  }

  /** Undoes what came after `lastKept`; of the first of it a device may have written a part. */
  #undoAfter(lastKept: number, choices: CrashChoices): void {
    const kept = countUpTo(this.#unsynced, lastKept)
    this.#undoDownTo(kept + 1)
    const torn = this.#unsynced[kept]
    if (torn === undefined) return
    const nextSize = this.#sizes.find(({ change }) => change > lastKept)
    const isNext = nextSize === undefined || nextSize.change >= torn.change
    const part = isNext ? this.#tornPart(torn, choices) : undefined
    this.#undo(torn)
    if (part !== undefined) this.#put(part, torn.start)
  }

  /** Each granule as the cache has it, or as the disk has it. */
  #keepGranules({ random, tearBytes }: CrashChoices): void {
    const granules = new Set<number>()
    for (const { start, end } of this.#unsynced) {
      for (let at = Math.floor(start / tearBytes); at * tearBytes < end; at++) granules.add(at)
    }
    const kept: (readonly [position: number, bytes: Buffer])[] = []
    for (const granule of granules) {
      if (random.below(2) === 0) continue
      const position = granule * tearBytes
      kept.push([position, this.#bytesAt(position, position + tearBytes)])
    }
    this.#undoDownTo(0)
    for (const [position, bytes] of kept) this.#put(bytes, position)
  }

  /** The first granules of a write; undefined where the crash tears nothing. */
  #tornPart({ start, end }: UnsyncedWrite, choices: CrashChoices): Buffer | undefined {
    const { random, tearBytes, survival } = choices
    if (survival !== 'prefix' && survival !== 'files') return undefined
    const first = Math.floor(start / tearBytes)
    const tornEnd = (first + random.below(Math.ceil(end / tearBytes) - first)) * tearBytes
    return tornEnd > start ? this.#bytesAt(start, tornEnd) : undefined
  }

  #undoDownTo(count: number): void {
    for (let index = this.#unsynced.length - 1; index >= count; index--) {
      const write = this.#unsynced[index]
      if (write !== undefined) this.#undo(write)
    }
    if (count < this.#unsynced.length) this.#unsynced.length = count
  }

  #drawSize({ random }: CrashChoices): number {
    const at = random.below(this.#sizes.length + 1)
    return this.#sizes[at]?.before ?? this.sizeBytes
  }

  #undo({ start, end, before }: UnsyncedWrite): void {
    const bytes = Buffer.alloc(end - start)
    before?.copy(bytes)
    this.#put(bytes, start)
  }

  #put(bytes: Buffer, position: number): void {
    this.#cache.write(bytes, 0, bytes.length, position)
    this.#writtenEnd = Math.max(this.#writtenEnd, position + bytes.length)
  }

  #putPage(page: number, image: Buffer): void {
    const position = page * PAGE_BYTES
    const byteLength = Math.min(PAGE_BYTES, this.#cache.sizeBytes - position)
    if (byteLength > 0) this.#put(image.subarray(0, byteLength), position)
  }

  /** A write into a page makes all of it dirty: what had been dropped is written after all. */
  #dirtyAgain(change: number, start: number, end: number): void {
    this.#forEachPage(start, end, (page) => {
      const before = this.#diverged.get(page)
      if (before === undefined) return
      this.#diverged.delete(page)
      const position = page * PAGE_BYTES
      const write = { start: position, end: position + PAGE_BYTES, before }
      this.#unsynced.push({ change, ...write, fate: 'arrives' })
    })
  }

  #noteSize(change: number, before: number): void {
    this.#sizes.push({ change, before })
    if (this.#sizes.length <= MAX_CHANGES) return
    this.#sizes = this.#sizes.filter((_, index) => index % 2 === 0)
  }

  #bytesBefore(start: number, end: number): Buffer | null {
    return start >= this.#writtenEnd ? null : this.#bytesAt(start, Math.min(end, this.#writtenEnd))
  }

  /** Copied; zeros beyond the end of the file. */
  #bytesAt(start: number, end: number): Buffer {
    const bytes = Buffer.alloc(end - start)
    this.#cache.read(bytes, 0, end - start, start)
    return bytes
  }

  #pageNow(page: number): Buffer {
    return this.#bytesAt(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
  }

  #pageOnDisk(page: number): Buffer {
    const image = this.#pageNow(page)
    const position = page * PAGE_BYTES
    for (let index = this.#unsynced.length - 1; index >= 0; index--) {
      const write = this.#unsynced[index]
      if (write === undefined || !touches(page, write.start, write.end)) continue
      const from = Math.max(write.start, position)
      const to = Math.min(write.end, position + PAGE_BYTES)
      image.fill(0, from - position, to - position)
      write.before?.copy(image, from - position, from - write.start, to - write.start)
    }
    return image
  }

  /**
   * Merges the older half, so that a file that is never synced does not grow: of each byte the
   * oldest note stays, which is the one that undoing ends with.
   */
  #mergeOldest(): void {
    const older = this.#unsynced.splice(0, this.#unsynced.length >> 1)
    const change = older.at(-1)?.change ?? 0
    const merged: UnsyncedWrite[] = []
    for (const write of older) {
      const last = merged.at(-1)
      if (last !== undefined && continues(last, write)) {
        merged[merged.length - 1] = { ...last, change, end: write.end }
      } else {
        for (const piece of uncovered(write, merged)) merged.push({ ...piece, change })
      }
    }
    this.#unsynced = [...merged, ...this.#unsynced]
    this.#mergeAt = merged.length + MAX_CHANGES
  }

  #forEachPage(start: number, end: number, visit: (page: number) => void): void {
    for (let page = Math.floor(start / PAGE_BYTES); page * PAGE_BYTES < end; page++) visit(page)
  }
}

function touches(page: number, start: number, end: number): boolean {
  return start < (page + 1) * PAGE_BYTES && end > page * PAGE_BYTES
}

/** An append behind an append. */
function continues(last: UnsyncedWrite, next: UnsyncedWrite): boolean {
  const bothAppend = last.before === null && next.before === null
  return bothAppend && next.start === last.end && last.fate === next.fate
}

/** The pieces of `write` that none of `earlier` touches. */
function uncovered(
  write: UnsyncedWrite,
  earlier: readonly UnsyncedWrite[],
): readonly UnsyncedWrite[] {
  let pieces = [write]
  for (const { start, end } of earlier) {
    if (pieces.length === 0) break
    if (end <= write.start || start >= write.end) continue
    pieces = pieces.flatMap((piece) => [
      ...(piece.start < start ? [pieceOf(piece, piece.start, Math.min(piece.end, start))] : []),
      ...(piece.end > end ? [pieceOf(piece, Math.max(piece.start, end), piece.end)] : []),
    ])
  }
  return pieces
}

function pieceOf(write: UnsyncedWrite, start: number, end: number): UnsyncedWrite {
  if (start === write.start && end === write.end) return write
  const before = write.before?.subarray(start - write.start, end - write.start) ?? null
  return { ...write, start, end, before }
}

/** How many of the first changes are not after `last`. */
function countUpTo(changes: readonly { readonly change: number }[], last: number): number {
  let count = changes.length
  while (count > 0 && (changes[count - 1]?.change ?? 0) > last) count -= 1
  return count
}

function dropFirst(list: unknown[], count: number): void {
  if (count === list.length) list.length = 0
  else if (count > 0) list.splice(0, count)
}
