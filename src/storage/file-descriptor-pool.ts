/**
 * FileDescriptorPool: a bounded number of open descriptors for any number of files.
 *
 * Owns when a descriptor is opened and closed; how one is opened and synced is its file's business.
 * Opened at first use; the one idle for longest is closed when the pool is full, and opened again
 * when used.
 *   I1  a pinned descriptor (unsynced bytes, or a file without a name) is closed by its owner only,
 *       unless a sync unpins it first: from half of the bound on, files are synced in the
 *       background, those pinned for longest first; at the bound one is synced at once
 *   I2  a descriptor with an asynchronous operation in flight is never closed: its number could be
 *       given to another file before the operation runs
 *   I3  asynchronous operations take turns, so that those in flight hold a part of the bound only
 * Where I1 and I2 leave nothing to close, the pool grows past its bounds rather than fail.
 */
import fs from 'node:fs'
import { assert } from '../errors/invariant.ts'
import type { DescriptorBounds } from './descriptor-limit.ts'
import { errorCodeOf } from './file-failure.ts'

const NOT_OPEN = -1
/** Syncs in the background; a round of syncs for those who wait for durability has two. */
const RELIEFS_AT_ONCE = 1

/** The engine has four threads for all of them; more only hold descriptors (I2). */
const MAX_OPERATIONS = 64
/** What operations in flight may hold of the bound. */
const OPERATIONS_SHARE = 4

/** What a pool needs of a file. */
export interface DescriptorOwner {
  /** Opens the file and returns the number; throws what the system threw. */
  open(): number
  /** The descriptor was closed. Must not fail. */
  closed?(): void
  /** Syncs what is unsynced and unpins, now; false where that cannot be. Must not fail. */
  syncNow?(): boolean
  /** As `syncNow`, in the background; undefined where it cannot be. Must not fail. */
  syncSoon?(): Promise<void> | undefined
}

/** One descriptor of a pool: a number while it is open. */
export class PooledDescriptor {
  readonly #pool: FileDescriptorPool
  readonly #owner: DescriptorOwner
  #fd = NOT_OPEN
  #operationsInFlight = 0
  #closeWhenIdle = false
  /** The pool's use counter at the last use: the smallest is idle for longest. */
  #lastUse = 0
  #isPinned = false

  constructor(pool: FileDescriptorPool, owner: DescriptorOwner) {
    this.#pool = pool
    this.#owner = owner
  }

  get isOpen(): boolean {
    return this.#fd !== NOT_OPEN
  }

  get lastUse(): number {
    return this.#lastUse
  }

  get owner(): DescriptorOwner {
    return this.#owner
  }

  get isIdle(): boolean {
    return this.#operationsInFlight === 0
  }

  /** True while only the owner may close it (I1). */
  get isPinned(): boolean {
    return this.#isPinned
  }

  pin(): void {
    if (this.#isPinned) return
    this.#isPinned = true
    this.#pool.pinned(this)
  }

  unpin(): void {
    if (!this.#isPinned) return
    this.#isPinned = false
    this.#pool.unpinned(this)
  }

  /** The descriptor's number, valid until the next call into the pool. Opens it where needed. */
  use(): number {
    assert(!this.#closeWhenIdle, 'descriptor: not used after close')
    this.#lastUse = this.#pool.nextUse()
    if (this.#fd === NOT_OPEN) this.#fd = this.#pool.open(this)
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

  /** Closed until its next use; only the pool calls it. */
  evict(): void {
    assert(!this.#isPinned && this.isIdle, 'I1, I2: neither pinned nor in use')
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
    this.#owner.closed?.()
    if (inBackground) fs.close(fd, () => {})
    else fs.closeSync(fd)
  }
}

/** Keeps the descriptors of one driver below its bounds. */
export class FileDescriptorPool {
  readonly #bounds: DescriptorBounds
  /** Open ones, by whether they are pinned; those, first who is for longest. */
  readonly #evictable = new Set<PooledDescriptor>()
  readonly #pinned = new Set<PooledDescriptor>()
  #useCount = 0
  #reliefs = 0
  readonly #maxOperations: number
  #operations = 0
  readonly #waiting: (() => void)[] = []

  constructor(bounds: DescriptorBounds) {
    const { maxOpenFiles, maxDescriptors } = bounds
    assert(Number.isSafeInteger(maxOpenFiles) && maxOpenFiles >= 1, 'maxOpenFiles: an integer >= 1')
    assert(maxDescriptors >= maxOpenFiles, 'maxDescriptors: at least maxOpenFiles')
    this.#bounds = bounds
    const share = Math.floor(maxDescriptors / OPERATIONS_SHARE)
    this.#maxOperations = Math.max(1, Math.min(MAX_OPERATIONS, share))
  }

  /** Descriptors open now. */
  get openCount(): number {
    return this.#evictable.size + this.#pinned.size
  }

  /** The number of the next use. @internal */
  nextUse(): number {
    return ++this.#useCount
  }

  /** Makes room, then opens. @internal */
  open(descriptor: PooledDescriptor): number {
    const { maxOpenFiles, maxDescriptors } = this.#bounds
    while (this.#evictable.size >= maxOpenFiles && this.#evictOne()) {}
    while (this.openCount >= maxDescriptors && this.makeRoom()) {}
    for (;;) {
      try {
        const fd = descriptor.owner.open()
        const kind = descriptor.isPinned ? this.#pinned : this.#evictable
        kind.add(descriptor)
        return fd
      } catch (error) {
        // The limit of the process or the machine may be below ours: give one back and try again.
        const code = errorCodeOf(error)
        if ((code !== 'EMFILE' && code !== 'ENFILE') || !this.makeRoom()) throw error
      }
    }
  }

  /**
   * Before an asynchronous operation, which ends with `endTurn` (I3). Undefined where it may begin
   * at once.
   */
  beginTurn(): Promise<void> | undefined {
    if (this.#operations >= this.#maxOperations)
      return new Promise((resolve) => void this.#waiting.push(resolve))
    this.#operations++
    return undefined
  }

  endTurn(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#operations--
    else next() // The turn passes on.
  }

  /** Closes one, for a descriptor elsewhere; false where none can be closed. */
  makeRoom(): boolean {
    return this.#evictOne() || (this.#syncOne() && this.#evictOne())
  }

  /** @internal */
  pinned(descriptor: PooledDescriptor): void {
    if (!this.#evictable.delete(descriptor)) return // Not open yet.
    this.#pinned.add(descriptor)
    this.#relieve()
  }

  /** @internal */
  unpinned(descriptor: PooledDescriptor): void {
    if (this.#pinned.delete(descriptor)) this.#evictable.add(descriptor)
  }

  /** @internal */
  forget(descriptor: PooledDescriptor): void {
    this.#evictable.delete(descriptor)
    this.#pinned.delete(descriptor)
  }

  /** Closes the evictable descriptor idle for longest; false where there is none. */
  #evictOne(): boolean {
    let idlest: PooledDescriptor | undefined
    for (const descriptor of this.#evictable) {
      if (!descriptor.isIdle) continue
      if (idlest === undefined || descriptor.lastUse < idlest.lastUse) idlest = descriptor
    }
    idlest?.evict()
    return idlest !== undefined
  }

  /** Has the one synced that is pinned for longest, of those that can be; false where none can. */
  #syncOne(): boolean {
    for (const descriptor of this.#pinned) {
      if (descriptor.isIdle && descriptor.owner.syncNow?.() === true) return true
    }
    return false
  }

  /** Begun at half of the bound, so that nobody has to wait for a sync at it (I1). */
  #relieve(): void {
    const isTight = this.#pinned.size > this.#bounds.maxDescriptors / 2
    if (!isTight || this.#reliefs >= RELIEFS_AT_ONCE) return
    for (const descriptor of this.#pinned) {
      const relief = descriptor.isIdle ? descriptor.owner.syncSoon?.() : undefined
      if (relief === undefined) continue
      this.#reliefs++
      void relief.then(() => this.#relieved(descriptor))
      return
    }
  }

  #relieved(descriptor: PooledDescriptor): void {
    this.#reliefs--
    // Written to meanwhile: the others come first.
    if (this.#pinned.delete(descriptor)) this.#pinned.add(descriptor)
    this.#relieve()
  }
}
