/**
 * IndexAudit: holds the entries of one index file against the batches of its .log, both read once,
 * side by side: neither has to fit into memory.
 *
 * Indexes are sparse and written behind, so entries may be missing; one that is there has to be
 * true. What was never synced for certain is not judged: recovery builds it anew. The first wrong
 * entry is reported with all behind it, for nothing of such a file is to be trusted.
 */
import {
  OFFSET_INDEX_ENTRY_BYTES,
  readIndexPosition,
  readIndexRelativeOffset,
} from '../format/offset-index-entry.ts'
import {
  readTimeIndexRelativeOffset,
  readTimeIndexTimestamp,
  TIME_INDEX_ENTRY_BYTES,
} from '../format/time-index-entry.ts'
import { isDeviceFailure } from '../storage/file-failure.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import type { StorageFile } from '../storage/storage-driver.ts'
import { UNREADABLE } from './sector-reads.ts'

const READ_SLOTS = 4096

/** A batch that was found whole. */
export interface AuditedBatch {
  readonly position: number
  readonly baseOffset: number
  readonly lastOffset: number
  /** -1 where there is none, or none that a number holds. */
  readonly maxTimestamp: number
}

/** How far a file can be judged. */
export interface AuditScope {
  /** The file was synced as a whole: it has to be there, and to end with a whole entry. */
  readonly isSynced: boolean
  /** Entries of this offset and behind it were not. */
  readonly below: number
  /** Written here alone: an entry names the very last offset of its batch. */
  readonly isOwn: boolean
}

/** Where a file stops being true. */
export interface WrongEntry {
  readonly file: string
  readonly position: number
  readonly bytes: number
  readonly reason: string
}

/** One index file beside its .log. */
export class IndexAudit {
  readonly #path: string
  readonly #kind: '.index' | '.timeindex'
  readonly #scope: AuditScope
  readonly #baseOffset: number
  readonly #slotBytes: number
  readonly #file: StorageFile | undefined
  readonly #fileBytes: number
  readonly #bytes: Buffer
  readonly #view: DataView
  #firstSlot = 0
  #heldSlots = 0
  #slot = 0
  #lastTimestamp = -Infinity
  #wrong: WrongEntry | undefined

  constructor(place: SegmentPlace, kind: '.index' | '.timeindex', scope: AuditScope) {
    this.#path = segmentPath(place, kind)
    this.#kind = kind
    this.#scope = scope
    this.#baseOffset = place.baseOffset
    this.#slotBytes = kind === '.index' ? OFFSET_INDEX_ENTRY_BYTES : TIME_INDEX_ENTRY_BYTES
    const status = place.driver.status(this.#path)
    this.#file = status?.kind === 'file' ? place.driver.openFile(this.#path, 'read') : undefined
    this.#fileBytes = this.#file?.sizeBytes ?? 0
    this.#bytes = Buffer.alloc(Math.min(READ_SLOTS, this.#slotCount) * this.#slotBytes)
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength)
    if (status !== undefined && this.#file === undefined) this.#refuse('it is not a file')
    else if (this.#file === undefined && scope.isSynced) this.#refuse('missing')
  }

  /** The next whole batch, in the order of positions. */
  see(batch: AuditedBatch): void {
    while (this.#wrong === undefined && this.#slot < this.#slotCount) {
      const at = this.#slotInView()
      if (at < 0) return this.#refuse('shorter than it was')
      const verdict = this.#kind === '.index' ? this.#offsetAt(at, batch) : this.#timeAt(at, batch)
      if (verdict === 'later') return
      if (verdict !== 'true') return this.#refuse(verdict)
      this.#slot += 1
    }
  }

  /** Everything was seen; what is wrong with the file, if anything is. */
  finish(): WrongEntry | undefined {
    if (this.#wrong === undefined) {
      if (this.#isOneLeft()) this.#refuse('an entry names no batch')
      else if (this.#scope.isSynced && this.#fileBytes % this.#slotBytes !== 0) {
        this.#refuse('it ends within an entry')
      }
    }
    this.close()
    return this.#wrong
  }

  close(): void {
    this.#file?.close()
  }

  /** An entry that can be judged, and that no batch was seen for. */
  #isOneLeft(): boolean {
    if (this.#slot >= this.#slotCount) return false
    const at = this.#slotInView()
    if (at < 0) return true
    const view = this.#view
    return this.#kind === '.index'
      ? !this.#isUnjudged(readIndexRelativeOffset(view, at), readIndexPosition(view, at))
      : !this.#isUnjudged(readTimeIndexRelativeOffset(view, at), readTimeIndexTimestamp(view, at))
  }

  get #slotCount(): number {
    return Math.floor(this.#fileBytes / this.#slotBytes)
  }

  #offsetAt(at: number, batch: AuditedBatch): string {
    const position = readIndexPosition(this.#view, at)
    const relativeOffset = readIndexRelativeOffset(this.#view, at)
    const offset = relativeOffset + this.#baseOffset
    if (this.#isUnjudged(relativeOffset, position)) return 'later'
    if (position > batch.position) return 'later'
    if (position < batch.position) return 'an entry names no batch'
    // A broker's entry may be about several batches that it was handed together.
    const isRight = this.#scope.isOwn ? offset === batch.lastOffset : offset >= batch.lastOffset
    return isRight ? 'true' : 'an entry names another offset'
  }

  #timeAt(at: number, batch: AuditedBatch): string {
    const timestamp = readTimeIndexTimestamp(this.#view, at)
    const relativeOffset = readTimeIndexRelativeOffset(this.#view, at)
    const offset = relativeOffset + this.#baseOffset
    if (this.#isUnjudged(relativeOffset, timestamp)) return 'later'
    if (offset > batch.lastOffset) return 'later'
    if (offset < batch.baseOffset) return 'an entry names no batch'
    const isKnown = batch.maxTimestamp >= 0
    if (isKnown && timestamp !== batch.maxTimestamp) return 'an entry has another timestamp'
    if (timestamp <= this.#lastTimestamp) return 'timestamps do not ascend'
    this.#lastTimestamp = timestamp
    return 'true'
  }

  /** Above what was synced, or the zeros that a broker reserves there. */
  #isUnjudged(relativeOffset: number, value: number): boolean {
    if (this.#scope.isSynced) return false
    const isAbove = this.#baseOffset + relativeOffset >= this.#scope.below
    return isAbove || (relativeOffset === 0 && value === 0)
  }

  /** Where the current slot is in the view; -1 where the file no longer has it. */
  #slotInView(): number {
    const at = this.#slot - this.#firstSlot
    if (at >= 0 && at < this.#heldSlots) return at
    const read = this.#readSlots()
    this.#firstSlot = this.#slot
    this.#heldSlots = Math.floor(read / this.#slotBytes)
    return this.#heldSlots > 0 ? 0 : -1
  }

  #readSlots(): number {
    try {
      const position = this.#slot * this.#slotBytes
      return this.#file?.read(this.#bytes, 0, this.#bytes.byteLength, position) ?? 0
    } catch (error) {
      if (!isDeviceFailure(error)) throw error
      this.#refuse(UNREADABLE)
      return 0
    }
  }

  #refuse(reason: string): void {
    if (this.#wrong !== undefined) return
    const position = Math.min(this.#slot * this.#slotBytes, this.#fileBytes)
    this.#wrong = { file: this.#path, position, bytes: this.#fileBytes - position, reason }
  }
}
