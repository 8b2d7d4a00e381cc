/**
 * ReadPace: whether the next batches are read on the event loop or beside it. What lies in memory
 * is read at once; a read that took over a millisecond came from the device, and those that follow
 * it would too: they wait off the event loop until they are fast again.
 */
import type { Clock } from '../log/clock.ts'

/** A read over 1 ms was not from memory. */
const SLOW_READ_MS = 1

/** Whatever reads batches, either way (record-source.ts). */
interface Loadable {
  load(): boolean
  loadAhead(): Promise<boolean>
}

/** How one reader reads. */
export class ReadPace {
  readonly #clock: Clock
  #readsAhead = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The next read is to be one of `loadAhead`. */
  get readsAhead(): boolean {
    return this.#readsAhead
  }

  /** Reads now; false where there is nothing more. @throws {LogError} As the source does. */
  load(source: Loadable): boolean {
    const startedMs = this.#clock.monotonicNow()
    const loaded = source.load()
    if (this.#clock.monotonicNow() - startedMs > SLOW_READ_MS) this.#readsAhead = true
    return loaded
  }

  /** Reads beside the event loop. @throws {LogError} As the source does. */
  async loadAhead(source: Loadable): Promise<boolean> {
    const startedMs = this.#clock.monotonicNow()
    const loaded = await source.loadAhead()
    if (this.#clock.monotonicNow() - startedMs <= SLOW_READ_MS) this.#readsAhead = false
    return loaded
  }

  /** There is nothing left to read: what comes next comes from memory. */
  caughtUp(): void {
    this.#readsAhead = false
  }
}
