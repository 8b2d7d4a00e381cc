/**
 * UnsyncedFiles: what of a partition's folder is not on stable storage, besides the active segment:
 * what the next sync round has to cover, in the order that commit-barrier.ts asks for, and indexes.
 *   I1  a sealed segment stays on the list until a round took it
 *   I2  names come behind sealed segments, and before the active one: a name that is durable names
 *       what is durable up to there
 */
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { Segment } from '../storage/segment.ts'

/** The unsynced part of one partition's folder. */
export class UnsyncedFiles {
  readonly #driver: StorageDriver
  readonly #directory: string
  /** Sealed ones whose .log has bytes that no sync has covered. Oldest first. */
  #sealed: Segment[] = []
  /** Segments that left the log: their files may be closed at any time. */
  readonly #dropped = new WeakSet<Segment>()
  /** Names were made in the directory since its last sync. */
  #names = false
  #recordCount = 0
  #indexesFlushed: Promise<void> = Promise.resolve()

  /** For the folder `directory`. */
  constructor(driver: StorageDriver, directory: string) {
    this.#driver = driver
    this.#directory = directory
  }

  /** A segment with unsynced bytes takes no more. */
  sealed(segment: Segment): void {
    if (!this.#driver.volatile) this.#sealed.push(segment)
  }

  /**
   * A segment left the log, and what it held is nobody's any more or on stable storage elsewhere:
   * it need not be synced, and a sync that fails says nothing.
   */
  dropped(segment: Segment): void {
    this.#dropped.add(segment)
    this.#sealed = this.#sealed.filter((one) => one !== segment)
  }

  /** A file was made. */
  nameMade(): void {
    this.#names = true
  }

  /** Records were appended; returns how many there are that no round has begun to sync. */
  appended(recordCount: number): number {
    this.#recordCount += recordCount
    return this.#recordCount
  }

  /** True where a round has more to do than to sync the active segment. */
  get hasSteps(): boolean {
    return this.#names || this.#sealed.length > 0
  }

  /** What a round that begins now has to do, one after the other. */
  takeSteps(active: Segment): readonly (() => Promise<void>)[] {
    const steps = this.#sealed.map((segment) => () => this.#flush(segment, flushLog))
    if (this.#names) steps.push(() => this.#driver.flushDirectory(this.#directory))
    steps.push(() => this.#flush(active, flushLog))
    this.#sealed = []
    this.#names = false
    this.#recordCount = 0
    return steps
  }

  /** Brings index files to stable storage, one caller after the other: one in work looks done. */
  flushIndexes(segments: Iterable<Segment>, isEnded: () => boolean): Promise<void> {
    const flushed = this.#indexesFlushed.then(async () => {
      for (const segment of [...segments]) {
        if (!segment.areIndexesUnflushed) continue
        if (isEnded()) return
        await this.#flush(segment, flushIndexes)
      }
    })
    this.#indexesFlushed = flushed.catch(() => undefined)
    return flushed
  }

  async #flush(segment: Segment, flush: (segment: Segment) => Promise<void>): Promise<void> {
    if (this.#dropped.has(segment)) return
    try {
      await flush(segment)
    } catch (error) {
      if (!this.#dropped.has(segment)) throw error
    }
  }
}

function flushLog(segment: Segment): Promise<void> {
  return segment.flushLog()
}

function flushIndexes(segment: Segment): Promise<void> {
  segment.writeIndexes()
  return segment.flushIndexes()
}
