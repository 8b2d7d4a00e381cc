/**
 * ControlReader: the control file as readers in other processes look at it, while it is written.
 *
 *   kept     | header | slot 0 | slot 1 | ...    the bytes of the last look
 *   read     | header | slot 0 | slot 1 | ...    what differs was written since
 *
 * Owns one open file and what was last read of each slot; how far that is to be believed is log/'s
 * business. Every call looks at the file as it is now; none fails: without a control file the files
 * of the log tell, and `header` is undefined then.
 *   I1  what is said of a partition never goes back while one writer has the log: one whose slot
 *       was freed is gone for good
 *   I2  a slot that cannot be read, since it is being written, says what it said before
 *   I3  of two boots, or of two files, nothing is mixed
 */
import { LogError } from '../errors/log-error.ts'
import {
  CONTROL_FILE,
  controlSlotPosition,
  controlSlotsIn,
  MAX_CONTROL_BYTES,
} from './control-file.ts'
import { CONTROL_HEADER_BYTES, type ControlHeader, readControlHeader } from './control-header.ts'
import {
  CONTROL_SLOT_BYTES,
  type PublishedPartition,
  readSlot,
  type ReadSlot,
  SLOT_KEY_BYTES,
} from './control-slot.ts'
import type { StorageDriver, StorageFile } from './storage-driver.ts'

/** Of one read. */
const READ_BYTES = 65_536
/** A header that is read in the middle of its being written is whole a moment later. */
const HEADER_TRIES = 3

/** See the file's header. */
export class ControlReader {
  readonly #driver: StorageDriver
  #file: StorageFile | undefined
  #header: ControlHeader | undefined
  /** Of the last header that could be read: of that boot is what is known of slots. */
  #bootId: string | null | undefined
  /** The bytes that all below was read from; zeros behind them. */
  #kept: Buffer = Buffer.alloc(0)
  #keptBytes = 0
  /** By slot. */
  readonly #found: (ReadSlot | undefined)[] = []
  readonly #slots = new Map<string, number>()
  /** Made at the first look. */
  #chunk: Buffer = Buffer.alloc(0)

  /** Of the log that `driver` leads to. Opens nothing yet. */
  constructor(driver: StorageDriver) {
    this.#driver = driver
  }

  /** Who writes; the same object as long as it says the same. Undefined where it cannot be read. */
  get header(): ControlHeader | undefined {
    return this.#header
  }

  /** What was last read of a partition, by `controlSlotKey`; the same object while it holds. */
  published(key: string): PublishedPartition | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined ? undefined : this.#found[slot]?.published
  }

  /**
   * Reads all of it, 64 KiB at a time, and says of which partitions something else is published
   * than at the last look, or nothing any more, by `controlSlotKey`. What did not change costs a
   * comparison of bytes.
   */
  look(): readonly string[] {
    const changed: string[] = []
    this.#attempt((file) => {
      if (this.#chunk.length === 0) this.#chunk = Buffer.allocUnsafeSlow(READ_BYTES)
      this.#readHeader(file, changed)
      const before = changed.length
      const byteLength = this.#readSlots(file, changed)
      this.#forgetFrom(byteLength, changed)
      // A slot that a new writer has published never comes with the header of the one before.
      if (changed.length > before) this.#readHeader(file, changed)
    })
    return changed
  }

  /**
   * As `published`, looking at the file: at the header and at one slot, 128 bytes each; at all of
   * it where the partition had no slot.
   */
  readSlot(key: string): PublishedPartition | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined) this.look()
    else {
      this.#attempt((file) => {
        this.#readSlotAt(file, slot)
        this.#readHeader(file, [])
      })
    }
    return this.published(key)
  }

  /** As `readSlot`, at the slot alone: of a writer that came meanwhile nothing is known yet. */
  glanceAtSlot(key: string): PublishedPartition | undefined {
    const slot = this.#slots.get(key)
    if (slot !== undefined) this.#attempt((file) => this.#readSlotAt(file, slot))
    return this.published(key)
  }

  /**
   * Whether another file has the name now, or none, or one where none was: it is the one that the
   * next look is at, and nothing of the one before is said any more.
   */
  reopenIfReplaced(): boolean {
    const before = this.#file?.fileId
    if (this.#statusId() === before) return false
    this.close()
    return this.#open() !== undefined || before !== undefined
  }

  /** Lets go of the file, and of what was read. May be used again. */
  close(): void {
    this.#file?.close()
    this.#file = undefined
    this.#forgetHeader()
    this.#forgetFrom(0, [])
  }

  #statusId(): string | undefined {
    try {
      const status = this.#driver.status(CONTROL_FILE)
      return status?.kind === 'file' ? status.fileId : undefined
    } catch (error) {
      if (!LogError.is(error)) throw error
      return undefined
    }
  }

  #open(): StorageFile | undefined {
    try {
      this.#file ??= this.#driver.openFile(CONTROL_FILE, 'read')
    } catch (error) {
      if (!LogError.is(error)) throw error
    }
    return this.#file
  }

  /** What was read stays where the file cannot be read now, but for who writes. */
  #attempt(look: (file: StorageFile) => void): void {
    const file = this.#open()
    if (file === undefined) return
    try {
      look(file)
    } catch (error) {
      if (!LogError.is(error)) throw error
      this.#forgetHeader()
    }
  }

  #readHeader(file: StorageFile, changed: string[]): void {
    for (let tries = 1; ; tries++) {
      const byteLength = file.read(this.#chunk, 0, CONTROL_HEADER_BYTES, 0)
      if (byteLength === CONTROL_HEADER_BYTES && this.#isKept(0, byteLength, 0)) return
      const header = readControlHeader(this.#chunk.subarray(0, byteLength))
      if (header === undefined && tries < HEADER_TRIES) continue
      if (header === undefined) return this.#forgetHeader()
      if (header.bootId !== this.#bootId) this.#forgetFrom(0, changed) // I3
      this.#bootId = header.bootId
      this.#header = header
      this.#keep(CONTROL_HEADER_BYTES, 0, 0)
      return
    }
  }

  #forgetHeader(): void {
    this.#header = undefined
    this.#kept.fill(0, 0, Math.min(CONTROL_HEADER_BYTES, this.#kept.length))
  }

  #readSlotAt(file: StorageFile, slot: number): void {
    const position = controlSlotPosition(slot)
    const byteLength = file.read(this.#chunk, 0, CONTROL_SLOT_BYTES, position)
    const isWhole = byteLength === CONTROL_SLOT_BYTES
    if (isWhole && !this.#isKept(0, byteLength, position)) this.#takeSlot(slot, 0, [])
  }

  /** How many bytes there are. */
  #readSlots(file: StorageFile, changed: string[]): number {
    for (let position = CONTROL_HEADER_BYTES; ; position += READ_BYTES) {
      const byteLength = file.read(this.#chunk, 0, READ_BYTES, position)
      if (position + byteLength > MAX_CONTROL_BYTES) return 0
      if (!this.#isKept(0, byteLength, position)) {
        for (let at = 0; at + CONTROL_SLOT_BYTES <= byteLength; at += CONTROL_SLOT_BYTES) {
          if (this.#isKept(at, CONTROL_SLOT_BYTES, position + at)) continue
          this.#takeSlot(controlSlotsIn(position + at), at, changed)
        }
      }
      if (byteLength < READ_BYTES) return position + byteLength
    }
  }

  /** The slot's bytes, which have changed, are at `at` of the chunk. */
  #takeSlot(slot: number, at: number, changed: string[]): void {
    const before = this.#found[slot]
    const found = readSlot(this.#chunk, at)
    const position = controlSlotPosition(slot)
    if (before !== undefined && this.#isSameKey(at, position)) {
      if (found === undefined || !isNewer(found, before)) return // I1, I2
    } else if (before !== undefined) this.#forget(slot, changed)
    // The one that was there first counts, as long as it does.
    if (found !== undefined && this.#slots.has(found.key) && before?.key !== found.key) return
    this.#keep(CONTROL_SLOT_BYTES, at, position)
    if (found === undefined) return
    this.#found[slot] = found
    this.#slots.set(found.key, slot)
    changed.push(found.key)
  }

  #forget(slot: number, changed: string[]): void {
    const found = this.#found[slot]
    if (found === undefined) return
    this.#found[slot] = undefined
    this.#slots.delete(found.key)
    changed.push(found.key)
  }

  /** What lies behind that many bytes is gone. */
  #forgetFrom(byteLength: number, changed: string[]): void {
    if (byteLength >= this.#keptBytes) return
    const first = controlSlotsIn(byteLength)
    for (let slot = first; slot < this.#found.length; slot++) this.#forget(slot, changed)
    this.#found.length = Math.min(this.#found.length, first)
    this.#kept.fill(0, byteLength, this.#keptBytes)
    this.#keptBytes = byteLength
  }

  #isKept(at: number, byteLength: number, position: number): boolean {
    this.#reserve(position + byteLength)
    const end = position + byteLength
    return this.#chunk.compare(this.#kept, position, end, at, at + byteLength) === 0
  }

  #isSameKey(at: number, position: number): boolean {
    return this.#isKept(at, SLOT_KEY_BYTES, position)
  }

  #keep(byteLength: number, at: number, position: number): void {
    this.#reserve(position + byteLength)
    this.#chunk.copy(this.#kept, position, at, at + byteLength)
    this.#keptBytes = Math.max(this.#keptBytes, position + byteLength)
  }

  #reserve(byteLength: number): void {
    if (byteLength <= this.#kept.length) return
    const grown = Buffer.alloc(Math.max(byteLength, this.#kept.length * 2))
    this.#kept.copy(grown)
    this.#kept = grown
  }
}

/** Of one writer, a copy that is older is what is left where the newest one is damaged. */
function isNewer(found: ReadSlot, before: ReadSlot): boolean {
  const isOneWriter = found.published.writerGeneration === before.published.writerGeneration
  return !isOneWriter || ((found.sequence - before.sequence) | 0) > 0
}
