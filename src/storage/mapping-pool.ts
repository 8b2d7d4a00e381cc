/**
 * MappingPool: a bounded number of mapped windows for all sealed files of one log.
 *
 * Owns whether this log maps at all, how much at a time, and which window has to go; a file's share
 * of it is mapped-file.ts.
 *   I1  nothing is mapped before a probe has shown that mappings work in this very directory
 *   I2  never more than `maxWindows` windows, `maxBytes` bytes, nor more windows of all logs than
 *       a process bears: past some tens of thousands of mappings it dies, and views count as
 *       memory to the garbage collector
 *   I3  once it is closed there is no window left, and there will be none
 * Where reads are chosen ('points'), a window is pushed out only by another one that was asked for
 * often: unmapping takes 40 us a MiB, which a look around a large log must not pay at each step.
 */
import { assert } from '../errors/invariant.ts'
import { MappedWindow } from './mapped-window.ts'
import { type MappingRefusal, probeMapping } from './mapping-probe.ts'
import { type NativeBinding, nativeBinding } from './native-binding.ts'

/** What is read through mappings: small reads where they are frequent, or whatever can be. */
export type MappedReads = 'points' | 'everything'

/** Bounds of a pool. */
export interface MappingLimits {
  readonly maxWindows: number
  /** Of all pools of this process; less than what the kernel allows it by default. */
  readonly maxWindowsOfProcess?: number
  readonly maxBytes: number
  /** A multiple of 64 KiB; a file is mapped in windows of this size. */
  readonly windowBytes: number
}

/**
 * Windows of 64 MiB: one is unmapped within 3 ms, and a log's largest segment takes 16. Measured in
 * docs/decisions/020-mapping.md. Those of small segments are as small: a log may have many.
 */
const DEFAULT_MAPPING_LIMITS: MappingLimits = {
  maxWindows: 1024,
  maxBytes: 4_294_967_296,
  windowBytes: 67_108_864,
}

/** Linux allows a process 65,530 mappings, of whatever kind. */
const MAX_WINDOWS_OF_PROCESS = 16_384

/** Requests that have to be made between two evictions, where reads are chosen. */
const REQUESTS_PER_EVICTION = 1024

/** Keeps the mappings of one log below a bound. */
export class MappingPool {
  readonly reads: MappedReads
  readonly limits: MappingLimits
  readonly #windows = new Set<MappedWindow>()
  #native: NativeBinding | null = null
  #mappedBytes = 0
  #useCount = 0
  #usesAtEviction = 0
  #isClosed = false

  constructor(reads: MappedReads, limits: MappingLimits = DEFAULT_MAPPING_LIMITS) {
    assert(limits.maxWindows >= 1, 'maxWindows: at least one')
    assert(limits.windowBytes % 65_536 === 0, 'windowBytes: a multiple of every page size')
    assert(limits.windowBytes <= limits.maxBytes, 'maxBytes: room for one window')
    this.reads = reads
    this.limits = limits
  }

  /**
   * Tries mapping on a file of the log's directory that holds something and is never truncated
   * (I1). @returns why this log cannot map, or null where it does from now on.
   */
  enable(file: string): MappingRefusal | null {
    assert(!this.#isClosed, 'pool: not used after close')
    const native = nativeBinding()
    const refusal = probeMapping(native, file)
    if (refusal === null) this.#native = native
    return refusal
  }

  /** Until `enable` found that mappings work, and after `close`, nothing is mapped. */
  get isEnabled(): boolean {
    return this.#native !== null
  }

  get windowCount(): number {
    return this.#windows.size
  }

  get mappedBytes(): number {
    return this.#mappedBytes
  }

  /** The number of the next use. @internal */
  nextUse(): number {
    return ++this.#useCount
  }

  /** Closes windows until `byteLength` more bytes fit; false where they cannot. @internal */
  makeRoom(byteLength: number): boolean {
    while (!this.#hasRoomFor(byteLength)) if (!this.#evictOne()) return false
    return true
  }

  /** A new window, for which room was made; undefined where the system refuses. @internal */
  map(descriptor: number, position: number, byteLength: number): MappedWindow | undefined {
    const native = this.#native
    if (native === null) return undefined
    assert(this.#hasRoomFor(byteLength), 'I2: room was made for it')
    const window = MappedWindow.map(native, descriptor, position, byteLength)
    if (window === undefined) return undefined
    this.#windows.add(window)
    this.#mappedBytes += byteLength
    window.lastUse = this.#useCount
    return window
  }

  /** Closes a window before its time. @internal */
  release(window: MappedWindow): void {
    if (!this.#windows.delete(window)) return
    this.#mappedBytes -= window.byteLength
    window.close()
  }

  /** Closes every window; views of them are empty from then on. */
  close(): void {
    this.#isClosed = true
    this.#native = null
    for (const window of this.#windows) this.release(window)
  }

  #hasRoomFor(byteLength: number): boolean {
    const { maxWindows, maxBytes, maxWindowsOfProcess = MAX_WINDOWS_OF_PROCESS } = this.limits
    if (MappedWindow.countOfProcess >= maxWindowsOfProcess) return false
    return this.#windows.size < maxWindows && this.#mappedBytes + byteLength <= maxBytes
  }

  /** Closes the window idle for longest; false where it may stay. */
  #evictOne(): boolean {
    const isEarned = this.#useCount - this.#usesAtEviction >= REQUESTS_PER_EVICTION
    if (this.reads === 'points' && !isEarned) return false
    let idlest: MappedWindow | undefined
    for (const window of this.#windows) {
      if (idlest === undefined || window.lastUse < idlest.lastUse) idlest = window
    }
    if (idlest === undefined) return false
    this.#usesAtEviction = this.#useCount
    this.release(idlest)
    return true
  }
}
