/**
 * IndexBudget: bounds the memory of loaded indexes: those of sealed segments can be read again.
 *
 * A log of 100 GiB has half a gigabyte of them, and a reader that goes through it loads one after
 * the other. The one that nobody used for longest goes first. The budget itself keeps none alive:
 * a log that nobody holds any more goes with its indexes, whether it was closed or not.
 */

/** Indexes that were loaded from their files. */
export interface LoadedIndexes {
  /** Memory they take now. */
  readonly loadedBytes: number
  /** `useCount` of the budget when they were last used. */
  readonly lastUse: number
  /** Lets the memory go; false where what is in it is nowhere else, or still changes. */
  unload(): boolean
}

/** More than 12 GiB of log have indexes of this size. */
const MAX_BYTES = 67_108_864
/** What is left of the limit when it was passed: so that not every load has to make room. */
const KEPT_SHARE = 7 / 8

/** Unloads what is idle where there is too much. */
export class IndexBudget {
  readonly #maxBytes: number
  /** With the memory each took when it was loaded: adding that up anew is for when it counts. */
  readonly #loaded = new Map<WeakRef<LoadedIndexes>, number>()
  readonly #references = new WeakMap<LoadedIndexes, WeakRef<LoadedIndexes>>()
  #countedBytes = 0
  #useCount = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Counts loads: what is used between two of them is used at the same time. */
  get useCount(): number {
    return this.#useCount
  }

  /** Memory of all that is loaded. */
  get loadedBytes(): number {
    let bytes = 0
    for (const indexes of this.#alive()) bytes += indexes.loadedBytes
    return bytes
  }

  /** These were loaded, or more of them. Others may be unloaded, never these. */
  took(indexes: LoadedIndexes): void {
    this.#useCount += 1
    this.gave(indexes)
    const bytes = indexes.loadedBytes
    if (this.#countedBytes + bytes > this.#maxBytes) this.#makeRoom(bytes)
    const reference = this.#references.get(indexes) ?? new WeakRef(indexes)
    this.#references.set(indexes, reference)
    this.#loaded.set(reference, bytes)
    this.#countedBytes += bytes
  }

  /** These are closed. */
  gave(indexes: LoadedIndexes): void {
    const reference = this.#references.get(indexes)
    if (reference !== undefined) this.#forget(reference)
  }

  #makeRoom(neededBytes: number): void {
    let bytes = this.loadedBytes + neededBytes
    if (bytes <= this.#maxBytes) return // The rest of what was counted is nobody's any more.
    for (const idle of [...this.#alive()].sort(byLastUse)) {
      if (bytes <= this.#maxBytes * KEPT_SHARE) break
      const idleBytes = idle.loadedBytes
      if (!idle.unload()) continue
      this.gave(idle)
      bytes -= idleBytes
    }
  }

  #forget(reference: WeakRef<LoadedIndexes>): void {
    this.#countedBytes -= this.#loaded.get(reference) ?? 0
    this.#loaded.delete(reference)
  }

  *#alive(): Generator<LoadedIndexes, void, undefined> {
    for (const reference of this.#loaded.keys()) {
      const indexes = reference.deref()
      if (indexes === undefined) this.#forget(reference)
      else yield indexes
    }
  }
}

function byLastUse(a: LoadedIndexes, b: LoadedIndexes): number {
  return a.lastUse - b.lastUse
}

/** Shared by all logs of this process. */
export const indexBudget: IndexBudget = new IndexBudget(MAX_BYTES)
