/**
 * IndexFile: the slots of one .index or .timeindex, in memory and in their file.
 *
 * Owns the bytes and what of them is in the file; what a slot means is offset-index.ts' and
 * time-index.ts' business. Indexes are hints that recovery can rebuild, so slots are written
 * behind, many at once, and only `flush` makes them durable. The file has the exact size of its
 * slots.
 *   I1  the first `writtenSlots` slots in memory equal the file's
 *   I2  slots are only appended, or cut from the end
 *   I3  a file with a part of an index looks like a whole one: what is rebuilt for a segment that
 *       recovery takes as it is stays in memory until it takes the place of the file as a whole
 *   I4  one that is another process's is read once, whole, and never touched again
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import {
  applyReplacement,
  prepareReplacement,
  readWholeFile,
  UNREADABLE_FILE,
} from './checkpoint-file.ts'
import { errorCodeOf, isDeviceFailure } from './file-failure.ts'
import { type Procedure, runProcedure } from './procedure.ts'
import type { StorageDriver, StorageFile } from './storage-driver.ts'
import { parentOf } from './storage-path.ts'

/** Slots held back at most before they are written: a crash loses no more hints than this. */
const WRITE_BEHIND_BYTES = 65_536
const FIRST_CAPACITY_SLOTS = 32
/** What a file that is another process's may fail with, and count as missing. */
const OUT_OF_REACH: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM', 'ENOENT', 'ESTALE'])

/** Slots of one size, appended in memory and written behind. */
export class IndexFile {
  readonly #driver: StorageDriver
  #path: string
  readonly #slotBytes: number
  #file: StorageFile | undefined
  #bytes: Buffer
  #view: DataView
  #slotCount = 0
  #writtenSlots = 0
  #unflushed = false
  /** A sync is on its way, which may fail yet. */
  #isFlushing = false
  #isDetached = false
  /** See I4. It is detached as well. */
  #isReadOnly = false
  #isClosed = false
  #wasMissing: boolean

  private constructor(
    driver: StorageDriver,
    path: string,
    slotBytes: number,
    file: StorageFile | undefined,
  ) {
    this.#wasMissing = file === undefined
    this.#driver = driver
    this.#path = path
    this.#slotBytes = slotBytes
    this.#file = file
    this.#bytes = Buffer.alloc(0)
    this.#view = new DataView(this.#bytes.buffer, 0, 0)
  }

  /** An empty file: a new one, or what was there cut to nothing. */
  static create(driver: StorageDriver, path: string, slotBytes: number): IndexFile {
    const exists = driver.status(path) !== undefined
    const file = driver.openFile(path, exists ? 'write' : 'create')
    try {
      if (file.sizeBytes > 0) file.resize(0)
    } catch (error) {
      file.close()
      throw error
    }
    return new IndexFile(driver, path, slotBytes, file)
  }

  /**
   * The file's whole slots, or none where it is missing or the device cannot read it; bytes behind
   * the last whole slot are ignored.
   */
  static load(driver: StorageDriver, path: string, slotBytes: number): IndexFile {
    const exists = driver.status(path) !== undefined
    const index = new IndexFile(
      driver,
      path,
      slotBytes,
      exists ? driver.openFile(path, 'write') : undefined,
    )
    try {
      index.#load()
    } catch (error) {
      index.#closeFile()
      if (!isDeviceFailure(error)) throw error
      // As if it were missing, but for its bad sectors: what is built anew takes its place (I3).
      index.#wasMissing = true
      index.detach()
    }
    return index
  }

  /**
   * As `load`, of a file that another process writes, or may write: whatever becomes of the slots
   * stays in memory (I4).
   */
  static readOnly(driver: StorageDriver, path: string, slotBytes: number): IndexFile {
    const index = new IndexFile(driver, path, slotBytes, undefined)
    index.#isReadOnly = true
    index.replaceLater()
    const bytes = foreignBytes(driver, path)
    if (bytes === undefined) return index
    index.#wasMissing = false
    index.#slotCount = Math.floor(bytes.byteLength / slotBytes)
    index.#hold(bytes)
    return index
  }

  /** Of one that is another process's: as if there were no file. */
  discard(): void {
    assert(this.#isReadOnly, 'I4: there is nothing to write to')
    this.#slotCount = 0
    this.#wasMissing = true
  }

  #load(): void {
    if (this.#file === undefined) return
    const slots = Math.floor(this.#file.sizeBytes / this.#slotBytes)
    this.#reserve(slots)
    const read = this.#file.read(this.#bytes, 0, slots * this.#slotBytes, 0)
    this.#slotCount = Math.floor(read / this.#slotBytes)
    this.#writtenSlots = this.#slotCount
  }

  /** Its file was renamed to `path`. */
  moved(path: string): void {
    this.#path = path
  }

  /** True where there was no file to load, or none that could be read. */
  get wasMissing(): boolean {
    return this.#wasMissing
  }
  /** Borrowed until the next `addSlot`. */
  get view(): DataView {
    return this.#view
  }
  /** Memory that its slots take. */
  get memoryBytes(): number {
    return this.#bytes.length
  }
  get slotCount(): number {
    return this.#slotCount
  }

  /** Makes room for one more slot and returns its number; its bytes are the caller's to write. */
  addSlot(): number {
    this.#reserve(this.#slotCount + 1)
    this.#slotCount += 1
    return this.#slotCount - 1
  }

  /** True once enough slots wait that writing them is worth a call. */
  get isBehind(): boolean {
    return (
      !this.#isDetached &&
      (this.#slotCount - this.#writtenSlots) * this.#slotBytes >= WRITE_BEHIND_BYTES
    )
  }

  /** Drops every slot from number `slotCount` on. */
  truncateTo(slotCount: number): void {
    assert(slotCount >= 0 && slotCount <= this.#slotCount, 'I2: slots are cut from the end')
    this.#slotCount = slotCount
    if (this.#isDetached || this.#writtenSlots <= slotCount) return
    this.#writtenSlots = slotCount
    this.#open().resize(slotCount * this.#slotBytes)
    this.#unflushed = true
  }

  /** Starts over without a slot, leaving the file as it is until `flush` replaces it (I3). */
  detach(): void {
    this.#slotCount = 0
    this.replaceLater()
  }

  /** Leaves the file as it is, whatever becomes of the slots, until `flush` replaces it (I3). */
  replaceLater(): void {
    this.#writtenSlots = 0
    this.#isDetached = true
  }

  /**
   * Brings the file up to date, and to its exact size.
   *
   * @throws {LogError} NO_SPACE or IO: the slots stay in memory, a later call tries again.
   */
  writeOut(): void {
    if (this.#isDetached) return
    const file = this.#open()
    const wholeBytes = this.#slotCount * this.#slotBytes
    if (this.#slotCount > this.#writtenSlots) {
      const from = this.#writtenSlots * this.#slotBytes
      file.write(this.#bytes, from, wholeBytes - from, from)
      this.#writtenSlots = this.#slotCount
      this.#unflushed = true
    }
    if (file.sizeBytes !== wholeBytes) {
      file.resize(wholeBytes)
      this.#unflushed = true
    }
  }

  /** True while the file differs from what is known to be on stable storage. */
  get isUnflushed(): boolean {
    if (this.#isReadOnly) return false
    const isBehind = this.#unflushed || this.#isFlushing || this.#slotCount > this.#writtenSlots
    return this.#isDetached || isBehind
  }

  /**
   * Forces what was written out to stable storage; what was rebuilt takes the place of its file.
   *
   * @throws {LogError} IO or NO_SPACE: it may be called again.
   */
  flush(): Promise<void> {
    if (this.#isReadOnly) return Promise.resolve()
    return this.#isDetached ? runProcedure(this.#replace(true)) : this.#flushInPlace()
  }

  /**
   * As `flush`, for whoever forces the directory afterwards, once for many files: until then a
   * file that was replaced may be found as it was before, whole as well (I3).
   *
   * @throws {LogError} IO or NO_SPACE: it may be called again.
   */
  flushBytes(): Promise<void> {
    if (this.#isReadOnly) return Promise.resolve()
    return this.#isDetached ? runProcedure(this.#replace(false)) : this.#flushInPlace()
  }

  async #flushInPlace(): Promise<void> {
    if (!this.#unflushed) return
    this.#unflushed = false
    this.#isFlushing = true
    try {
      await this.#open().flush()
    } catch (error) {
      // The kernel may have dropped any page of it: only bytes written anew reach the disk for
      // sure.
      this.#writtenSlots = 0
      this.#unflushed = true
      throw error
    } finally {
      this.#isFlushing = false
    }
  }

  /** Releases the file; slots that were not written out are lost. */
  close(): void {
    this.#isClosed = true
    this.#closeFile()
  }

  #closeFile(): void {
    this.#file?.close()
    this.#file = undefined
  }

  *#replace(forcesName: boolean): Procedure<void> {
    const slotCount = this.#slotCount
    const bytes = this.#bytes.subarray(0, slotCount * this.#slotBytes)
    if (this.#holds(bytes)) {
      // As good as a new file, and cheaper. Written once more, as the .log is: a sync that failed
      // may have left clean pages that never reached the disk.
      const file = this.#open()
      file.write(bytes, 0, bytes.byteLength, 0)
      yield () => file.flush()
    } else {
      this.#closeFile()
      yield* prepareReplacement(this.#driver, this.#path, bytes)
      if (this.#isClosed) return // The name may be another segment's by now.
      applyReplacement(this.#driver, this.#path)
    }
    if (forcesName) yield () => this.#driver.flushDirectory(parentOf(this.#path))
    this.#isDetached = false
    this.#writtenSlots = slotCount
    this.#unflushed = false
  }

  /** True where the file is there with just these bytes; one that cannot be read is not. */
  #holds(bytes: Buffer): boolean {
    const held = readWholeFile(this.#driver, this.#path)
    return held !== UNREADABLE_FILE && held?.equals(bytes) === true
  }

  #open(): StorageFile {
    if (this.#file !== undefined) return this.#file
    const exists = this.#driver.status(this.#path) !== undefined
    this.#file = this.#driver.openFile(this.#path, exists ? 'write' : 'create')
    return this.#file
  }

  #reserve(slots: number): void {
    const neededBytes = slots * this.#slotBytes
    if (neededBytes <= this.#bytes.byteLength) return
    const capacity = Math.max(
      neededBytes,
      this.#bytes.byteLength * 2,
      FIRST_CAPACITY_SLOTS * this.#slotBytes,
    )
    const grown = Buffer.alloc(capacity)
    this.#bytes.copy(grown)
    this.#hold(grown)
  }

  #hold(bytes: Buffer): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

/** All bytes of a file that its writer may take away meanwhile; undefined without it. */
function foreignBytes(driver: StorageDriver, path: string): Buffer | undefined {
  try {
    const bytes = readWholeFile(driver, path)
    return bytes === UNREADABLE_FILE ? undefined : bytes
  } catch (error) {
    if (!LogError.is(error, 'IO') || !OUT_OF_REACH.has(errorCodeOf(error.cause))) throw error
    return undefined
  }
}
