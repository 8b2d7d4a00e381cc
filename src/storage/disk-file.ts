/**
 * DiskFile: a StorageFile over a descriptor that the pool may close and open again meanwhile.
 *
 * Owns its descriptor and what of it is unsynced. Size and place are shared by all DiskFiles of
 * one file (disk-node.ts).
 *   I1  while bytes or a size set through it are unsynced, or the file has no name, its descriptor
 *       is pinned: a close could lose the error of a failed write-back, or the file itself
 *   I2  a descriptor is closed only after its asynchronous operations have ended
 *   I3  what was frozen or settled is never cut while it is open: it may be mapped
 *   I4  a sync that failed while nobody waited for it fails whoever flushes next: the system says
 *       it once, and what it could not write may be gone
 */
import fs from 'node:fs'
import { assert } from '../errors/invariant.ts'
import { canSyncNow, needsSyncHandles, syncData, SyncHandle } from './device-sync.ts'
import type { DiskNode } from './disk-node.ts'
import { type FileDescriptorPool, PooledDescriptor } from './file-descriptor-pool.ts'
import { fileFailure, systemError } from './file-failure.ts'
import { MappedFile } from './mapped-file.ts'
import type { MappingPool } from './mapping-pool.ts'
import { nativeBinding } from './native-binding.ts'
import { isInterruption, MAX_STALLS, readFully } from './positioned-reads.ts'
import type { BorrowedBytes, StorageFile } from './storage-driver.ts'

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants
// O_NONBLOCK: opening a pipe that lies here must fail, not wait. Windows has neither of the two.
// `as`: reading a name that is not there gives undefined, which is what Partial says.
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants as Partial<typeof fs.constants>

/** What a DiskFile is made of. */
export interface DiskFileParts {
  readonly pool: FileDescriptorPool
  readonly node: DiskNode
  readonly writable: boolean
  /** Of the file, where it is made. */
  readonly fileMode: number
  /** Through which it is read once it is frozen. */
  readonly mappings: MappingPool | undefined
  /** Called once, when it is closed. */
  readonly onClose: (file: DiskFile) => void
}

/** One open file of a disk driver. */
export class DiskFile implements StorageFile {
  readonly #node: DiskNode
  readonly #writable: boolean
  readonly #fileMode: number
  readonly #pool: FileDescriptorPool
  readonly #mappings: MappingPool | undefined
  readonly #onClose: (file: DiskFile) => void
  readonly #descriptor: PooledDescriptor
  readonly #syncHandle: SyncHandle | undefined
  /** Writes and resizes so far, and how many of them a successful flush has covered. */
  #changeCount = 0
  #syncedChangeCount = 0
  /** Of a sync that nobody waited for (I4). */
  #failedSync: Error | undefined
  #relief: Promise<void> | undefined
  #isWriter = false
  #isFrozen = false
  #isSettled = false
  #mapped: MappedFile | undefined
  #isClosed = false

  constructor(parts: DiskFileParts) {
    this.#node = parts.node
    this.#writable = parts.writable
    this.#fileMode = parts.fileMode
    this.#pool = parts.pool
    this.#mappings = parts.mappings
    this.#onClose = parts.onClose
    if (needsSyncHandles()) this.#syncHandle = new SyncHandle(parts.node, parts.pool)
    this.#descriptor = new PooledDescriptor(parts.pool, {
      open: () => this.#openDescriptor(),
      closed: () => this.#syncHandle?.close(),
      syncNow: () => this.#syncNow(),
      syncSoon: () => this.#syncSoon(),
    })
    this.#node.files.add(this)
  }

  get node(): DiskNode {
    return this.#node
  }

  get path(): string {
    return this.#node.path
  }

  get fileId(): string {
    return this.#node.fileId
  }

  /** Costs a system call where nobody in this driver has the file open for writing. */
  get sizeBytes(): number {
    assert(!this.#isClosed, 'file: not used after close')
    return this.#node.knownSizeBytes ?? this.#readSizeBytes()
  }

  /** Opens the descriptor now instead of at the first use, creating the file where it is new. */
  openNow(): void {
    try {
      this.#descriptor.use()
    } catch (error) {
      const action = this.#node.exists ? 'open' : 'create'
      const purpose = this.#writable ? 'opening-for-writing' : 'other'
      throw fileFailure(action, this.#node.absolutePath, error, purpose)
    }
  }

  read(target: Uint8Array, targetStart: number, byteLength: number, position: number): number {
    assert(!this.#isClosed, 'file: not used after close')
    assert(position >= 0 && targetStart >= 0 && byteLength >= 0, 'read: nothing negative')
    assert(targetStart + byteLength <= target.byteLength, 'read: target has room')
    const copied = this.#mapping?.read(target, targetStart, byteLength, position) ?? -1
    if (copied >= 0) return copied
    const fd = this.#use('read')
    let done = 0
    let stalls = 0
    while (done < byteLength) {
      let count = 0
      try {
        count = fs.readSync(fd, target, targetStart + done, byteLength - done, position + done)
      } catch (error) {
        if (!isInterruption(error) || ++stalls > MAX_STALLS) throw this.#failure('read', error)
        continue
      }
      if (count === 0) break
      done += count
    }
    return done
  }

  async readAhead(position: number, byteLength: number, into?: Buffer): Promise<Buffer> {
    assert(position >= 0 && byteLength >= 0, 'readAhead: nothing negative')
    const wanted = Math.max(0, Math.min(byteLength, this.sizeBytes - position))
    const isFit = into !== undefined && into.length >= wanted
    // Never from Node's pool: whoever gets it may keep or transfer it.
    const target = isFit ? into.subarray(0, wanted) : Buffer.allocUnsafeSlow(wanted)
    const done = await this.#inTurn('read', (fd) => readFully(fd, target, position))
    return done === wanted ? target : target.subarray(0, done)
  }

  write(source: Uint8Array, sourceStart: number, byteLength: number, position: number): void {
    assert(this.#writable, 'write: opened for writing')
    assert(position >= 0 && sourceStart >= 0 && byteLength >= 0, 'write: nothing negative')
    assert(sourceStart + byteLength <= source.byteLength, 'write: source holds the bytes')
    const fd = this.#use('write to')
    this.#markChanged()
    let done = 0
    let stalls = 0
    while (done < byteLength) {
      let count = 0
      try {
        count = fs.writeSync(fd, source, sourceStart + done, byteLength - done, position + done)
      } catch (error) {
        if (!isInterruption(error) || ++stalls > MAX_STALLS)
          throw this.#changeFailed('write to', fd, error)
        continue
      }
      if (count === 0 && ++stalls > MAX_STALLS) {
        throw this.#changeFailed('write to', fd, systemError('EIO', 'no byte was taken'))
      }
      done += count
      this.#node.writtenTo(position + done)
    }
  }

  resize(sizeBytes: number): void {
    assert(this.#writable, 'resize: opened for writing')
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, 'resize: an integer >= 0')
    assert(!this.#node.isFrozen, 'I3: a file that may be mapped is never cut')
    assert(sizeBytes >= this.#node.settledBytes, 'I3: nor is one below what may be mapped of it')
    const before = this.sizeBytes
    const fd = this.#use('resize')
    this.#markChanged()
    try {
      if (!growByBlocks(fd, before, sizeBytes)) fs.ftruncateSync(fd, sizeBytes)
    } catch (error) {
      // Some file systems keep a part of a growth that failed.
      if (sizeBytes > before) attempt(() => fs.ftruncateSync(fd, before))
      throw this.#changeFailed('resize', fd, error)
    }
    this.#node.resizedTo(sizeBytes)
  }

  async flush(): Promise<void> {
    assert(!this.#isClosed, 'file: not used after close')
    // Of two syncs at once only one is told of a failure, and not always the one that waits.
    if (this.#relief !== undefined) await this.#relief
    if (this.#failedSync !== undefined) throw this.#failedSync
    await this.#sync()
  }

  freeze(): void {
    assert(!this.#isClosed, 'file: not used after close')
    if (this.#isFrozen) return
    this.#isFrozen = true
    this.#node.freeze()
  }

  settle(byteLength: number): void {
    assert(!this.#isClosed, 'file: not used after close')
    if (this.#isFrozen || this.#mappings === undefined) return
    this.#node.settle(byteLength, !this.#isSettled)
    this.#isSettled = true
  }

  borrow(position: number, byteLength: number): BorrowedBytes | undefined {
    assert(!this.#isClosed, 'file: not used after close')
    assert(position >= 0 && byteLength >= 0, 'borrow: nothing negative')
    return this.#mapping?.window(position, byteLength)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#mapped?.close()
    if (this.#isFrozen) this.#node.thaw()
    if (this.#isSettled) this.#node.unsettle()
    this.#node.files.delete(this)
    if (this.#isWriter) this.#node.removeWriter()
    this.#onClose(this)
    try {
      // The last close of a file without a name frees its blocks, which may take long.
      this.#descriptor.close(!this.#node.hasName)
    } catch (error) {
      throw this.#failure('close', error)
    }
  }

  /** Opens the descriptor, if it still can be, and keeps it open until `close`. */
  holdOpen(): void {
    attempt(() => this.#descriptor.use())
    this.#descriptor.pin()
  }

  #openDescriptor(): number {
    const node = this.#node
    const access = this.#writable ? O_RDWR : O_RDONLY
    const creation = node.exists ? 0 : O_CREAT | O_EXCL
    const fd = fs.openSync(
      node.absolutePath,
      access | creation | O_NOFOLLOW | O_NONBLOCK,
      this.#fileMode,
    )
    try {
      const stat = fs.fstatSync(fd)
      if (node.exists) node.assertSame(stat)
      else node.identify(stat)
      if (this.#writable && !this.#isWriter) {
        node.addWriter(stat.size)
        this.#isWriter = true
      }
    } catch (error) {
      attempt(() => fs.closeSync(fd))
      throw error
    }
    return fd
  }

  /** Made at the first read: a log may have thousands of files that nobody reads. */
  get #mapping(): MappedFile | undefined {
    if (this.#mapped !== undefined || this.#mappings === undefined) return this.#mapped
    if (!this.#isFrozen && !this.#isSettled) return undefined
    this.#mapped = new MappedFile(this.#mappings, {
      openDescriptor: () => this.#use('map'),
      readSizeBytes: () => this.#readSizeBytes(),
      settledBytes: () => (this.#isFrozen ? undefined : this.#node.settledBytes),
    })
    return this.#mapped
  }

  #use(action: string): number {
    assert(!this.#isClosed, 'file: not used after close')
    try {
      return this.#descriptor.use()
    } catch (error) {
      throw this.#failure(action, error)
    }
  }

  #synced(changeCount: number): void {
    this.#syncedChangeCount = Math.max(this.#syncedChangeCount, changeCount)
    if (this.#syncedChangeCount === this.#changeCount && this.#node.hasName)
      this.#descriptor.unpin()
  }

  /** For the pool, which needs the descriptor: what nobody asked to be synced yet is. */
  #syncNow(): boolean {
    if (!this.#isRelievable || !canSyncNow()) return false
    try {
      fs.fdatasyncSync(this.#descriptor.use())
    } catch (error) {
      this.#failedSync = this.#failure('flush', error)
      return false
    }
    this.#synced(this.#changeCount)
    return true
  }

  #syncSoon(): Promise<void> | undefined {
    if (!this.#isRelievable) return undefined
    this.#relief = this.#sync()
      .catch((error: unknown) => {
        this.#failedSync = this.#failure('flush', error)
      })
      .then(() => {
        this.#relief = undefined
      })
    return this.#relief
  }

  async #sync(): Promise<void> {
    let changeCount = 0
    await this.#inTurn('flush', (fd) => {
      changeCount = this.#changeCount
      return this.#syncHandle === undefined ? syncData(fd) : this.#syncHandle.sync()
    })
    this.#synced(changeCount)
  }

  /** One asynchronous operation, when it is its turn. */
  async #inTurn<T>(action: string, operation: (fd: number) => Promise<T>): Promise<T> {
    const turn = this.#pool.beginTurn()
    if (turn !== undefined) await turn
    try {
      if (this.#isClosed) throw systemError('EBADF', 'it was closed meanwhile')
      const fd = this.#descriptor.beginOperation()
      try {
        return await operation(fd)
      } finally {
        this.#descriptor.endOperation()
      }
    } catch (error) {
      throw this.#failure(action, error)
    } finally {
      this.#pool.endTurn()
    }
  }

  /** Whether a sync would make the descriptor free to be closed. */
  get #isRelievable(): boolean {
    return this.#failedSync === undefined && this.#node.hasName && !this.#isClosed
  }

  #markChanged(): void {
    this.#changeCount++
    this.#descriptor.pin()
    this.#syncHandle?.open()
  }

  #readSizeBytes(): number {
    const node = this.#node
    try {
      // By path where no descriptor is open: asking thousands of files at open must not open them.
      if (this.#descriptor.isOpen || !node.hasName) return fs.fstatSync(this.#descriptor.use()).size
      const stat = fs.lstatSync(node.absolutePath)
      node.assertSame(stat)
      return stat.size
    } catch (error) {
      throw this.#failure('read the size of', error)
    }
  }

  #changeFailed(action: string, fd: number, cause: unknown): Error {
    attempt(() => this.#node.resizedTo(fs.fstatSync(fd).size))
    return this.#failure(action, cause)
  }

  #failure(action: string, cause: unknown): Error {
    return fileFailure(action, this.#node.absolutePath, cause)
  }
}

/**
 * Grows a file by blocks that are really there, where the kernel can be asked to: a full disk then
 * shows here and not in the middle of a batch, and later writes change no more metadata.
 * @returns false where it cannot, or the file does not grow.
 */
function growByBlocks(fd: number, fromBytes: number, toBytes: number): boolean {
  if (toBytes <= fromBytes) return false
  switch (nativeBinding()?.allocate(fd, fromBytes, toBytes - fromBytes)) {
    case 'done':
      return true
    case 'full':
      throw systemError('ENOSPC', 'no space left on device')
    case 'unsupported':
    case undefined:
      return false
  }
}

/** For what may fail without harm, beside an error that is already being reported. */
function attempt(action: () => unknown): void {
  try {
    action()
  } catch {}
}
