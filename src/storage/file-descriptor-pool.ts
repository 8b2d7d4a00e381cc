/**
 * FileDescriptorPool: a bounded number of open descriptors for any number of files.
 *
 * Owns when a descriptor is opened and closed; how one is opened is its file's business. Opened at
 * first use; the one idle for longest is closed when the pool is full, and opened again when used.
 *   I1  a pinned descriptor (unsynced bytes, or a file without a name) is closed by its owner only
 *   I2  a descriptor with an asynchronous operation in flight is never closed: its number could be
 *       given to another file before the operation runs
 * Where I1 and I2 leave nothing to close, the pool grows past its bound rather than fail.
 */
import fs from 'node:fs'
import { assert } from '../errors/invariant.ts'
import { errorCodeOf } from './file-failure.ts'

const NOT_OPEN = -1

/** One descriptor of a pool: a number while it is open. */
export class PooledDescriptor {
  readonly #pool: FileDescriptorPool
  readonly #open: () => number
  readonly #onClosed: (() => void) | undefined
  #fd = NOT_OPEN
  #operationsInFlight = 0
  #closeWhenIdle = false
  /** The pool's use counter at the last use: the smallest is idle for longest. */
  #lastUse = 0
  /** Set while only the owner may close it (I1). */
  pinned = false

  /**
   * `open` opens the file and returns the number; it throws what the system threw. `onClosed` is
   * called whenever the descriptor was closed, and must not fail.
   */
  constructor(pool: FileDescriptorPool, open: () => number, onClosed?: () => void) {
    this.#pool = pool
    this.#open = open
    this.#onClosed = onClosed
  }

  get isOpen(): boolean {
    return this.#fd !== NOT_OPEN
  }

  get lastUse(): number {
    return this.#lastUse
  }

  get isEvictable(): boolean {
    return !this.pinned && this.#operationsInFlight === 0
  }

  /** The descriptor's number, valid until the next call into the pool. Opens it where needed. */
  use(): number {
    assert(!this.#closeWhenIdle, 'descriptor: not used after close')
    this.#lastUse = this.#pool.nextUse()
    if (this.#fd === NOT_OPEN) this.#fd = this.#pool.open(this, this.#open)
    return this.#fd
  }

  /** As `use`, and stays open until `endOperation` (I2). */
  beginOperation(): number {
    const fd = this.use()
    this.#operationsInFlight++
    return fd
  }

  endOperation(): void {
    assert(this.#operationsInFlight > 0, 'descriptor: each operation ends once')
    this.#operationsInFlight--
    if (this.#operationsInFlight === 0 && this.#closeWhenIdle) this.#closeNow(true)
  }

  /** Closes for good: at once, or when the last operation in flight ends. */
  close(inBackground: boolean): void {
    if (this.#closeWhenIdle) return
    this.#closeWhenIdle = true
    if (this.#operationsInFlight === 0) this.#closeNow(inBackground)
  }

  /** Closed until its next use; only the pool calls it, with `isEvictable`. */
  evict(): void {
    assert(this.isEvictable, 'I1, I2: neither pinned nor in use')
    // A failing close of a synced or unwritten file loses nothing, and belongs to no call.
    try {
      this.#closeNow(false)
    } catch {}
  }

  #closeNow(inBackground: boolean): void {
    if (this.#fd === NOT_OPEN) return
    const fd = this.#fd
    this.#fd = NOT_OPEN
    this.#pool.forget(this)
    this.#onClosed?.()
    if (inBackground) fs.close(fd, () => {})
    else fs.closeSync(fd)
  }
}

/** Keeps the descriptors of one driver below a bound. */
export class FileDescriptorPool {
  readonly #maxOpenFiles: number
  readonly #opened = new Set<PooledDescriptor>()
  #useCount = 0

  constructor(maxOpenFiles: number) {
    assert(Number.isSafeInteger(maxOpenFiles) && maxOpenFiles >= 1, 'maxOpenFiles: an integer >= 1')
    this.#maxOpenFiles = maxOpenFiles
  }

  /** Descriptors open now. */
  get openCount(): number {
    return this.#opened.size
  }

  /** The number of the next use. @internal */
  nextUse(): number {
    return ++this.#useCount
  }

  /** Makes room, then opens. @internal */
  open(descriptor: PooledDescriptor, open: () => number): number {
    while (this.#opened.size >= this.#maxOpenFiles && this.#evictOne()) {}
    for (;;) {
      try {
        const fd = open()
        this.#opened.add(descriptor)
        return fd
      } catch (error) {
        // The limit of the process or the machine may be below ours: give one back and try again.
        const code = errorCodeOf(error)
        if ((code !== 'EMFILE' && code !== 'ENFILE') || !this.#evictOne()) throw error
      }
    }
  }

  /** Closes the one idle for longest, for a descriptor elsewhere; false where none can be. */
  makeRoom(): boolean {
    return this.#evictOne()
  }

  /** @internal */
  forget(descriptor: PooledDescriptor): void {
    this.#opened.delete(descriptor)
  }

  /** Closes the evictable descriptor idle for longest; false where there is none. */
  #evictOne(): boolean {
    let idlest: PooledDescriptor | undefined
    for (const descriptor of this.#opened) {
      if (!descriptor.isEvictable) continue
      if (idlest === undefined || descriptor.lastUse < idlest.lastUse) idlest = descriptor
    }
    idlest?.evict()
    return idlest !== undefined
  }
}
