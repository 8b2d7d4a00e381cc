/**
 * ManualClock: a clock that stands still until a test moves it.
 *
 * Timers fire inside `advance`, in order, each at its own time; what one sets off has run before
 * the next one fires. "Has run" is: a few turns of the event loop passed in which nobody asked the
 * clock for anything, so it takes no real time to wait for work that takes none.
 */
import { invalidArgument } from '../errors/log-error.ts'
import { nextTurn, type Clock } from '../log/clock.ts'

/** 2026-01-01T00:00:00Z. */
const DEFAULT_START_MS = 1_767_225_600_000
/** Turns in which nothing happened before everything is taken to have run. */
const QUIET_TURNS = 3
/** Work that asks for the time in every turn has no end to wait for. */
const MAX_TURNS = 100_000

/** A clock that a test moves. For `EventLog.inMemory({ clock })`, `testLog` has its own. */
export interface ManualClock extends Clock {
  /**
   * Lets `ms` pass: fires the timers that come due on the way and waits for what they set off.
   * @throws {LogError} INVALID_ARGUMENT for a time that cannot pass.
   */
  advance(ms: number): Promise<void>
  /**
   * Sets what `now` says, as an administrator does: forwards or backwards, while no time passes, so
   * that no timer fires.
   */
  set(ms: number): Promise<void>
}

/** A clock that starts at `startMs`, by default 2026-01-01T00:00:00Z. */
export function manualClock(startMs: number = DEFAULT_START_MS): ManualClock {
  checkTime('manualClock', startMs)
  return new TestClock(startMs)
}

interface Timer {
  readonly fn: () => void
  readonly dueMs: number
}

/** See the file's header. */
export class TestClock implements ManualClock {
  readonly #startMs: number
  #nowMs: number
  #monotonicMs = 0
  /** In the order in which they fire. */
  readonly #timers: Timer[] = []
  #asked = 0

  constructor(startMs: number = DEFAULT_START_MS) {
    this.#startMs = startMs
    this.#nowMs = startMs
  }

  /** Changes with everything that asks this clock. */
  get activity(): number {
    return this.#asked
  }

  now(): number {
    this.#asked += 1
    return this.#nowMs
  }

  monotonicNow(): number {
    this.#asked += 1
    return this.#monotonicMs
  }

  setTimeout(fn: () => void, ms: number): unknown {
    this.#asked += 1
    const timer = { fn, dueMs: this.#monotonicMs + Math.max(0, ms) }
    const after = this.#timers.findLastIndex(({ dueMs }) => dueMs <= timer.dueMs)
    this.#timers.splice(after + 1, 0, timer)
    return timer
  }

  clearTimeout(handle: unknown): void {
    this.#asked += 1
    const at = this.#timers.findIndex((timer) => timer === handle)
    if (at >= 0) this.#timers.splice(at, 1)
  }

  async advance(ms: number): Promise<void> {
    checkTime('clock.advance', ms)
    await this.settle()
    const endMs = this.#monotonicMs + ms
    for (let [timer] = this.#timers; timer !== undefined; [timer] = this.#timers) {
      if (timer.dueMs > endMs) break
      this.#timers.shift()
      this.#moveTo(timer.dueMs)
      timer.fn()
      await this.settle()
    }
    this.#moveTo(endMs)
  }

  async set(ms: number): Promise<void> {
    checkTime('clock.set', ms)
    this.#nowMs = ms
    await this.settle()
  }

  /** Resolves when nobody asks for anything any more; `activity` may count what else happens. */
  async settle(activity: () => number = () => 0): Promise<void> {
    let quiet = 0
    let seen = this.#asked + activity()
    for (let turns = 0; quiet < QUIET_TURNS && turns < MAX_TURNS; turns++) {
      await nextTurn()
      const asked = this.#asked + activity()
      quiet = asked === seen ? quiet + 1 : 0
      seen = asked
    }
  }

  /** As new: the time it started with and no timers. Time that has passed stays passed. */
  restart(): void {
    this.#nowMs = this.#startMs
    this.#timers.length = 0
  }

  #moveTo(monotonicMs: number): void {
    const passedMs = Math.max(0, monotonicMs - this.#monotonicMs)
    this.#monotonicMs += passedMs
    this.#nowMs += passedMs
  }
}

function checkTime(where: string, ms: unknown): void {
  if (typeof ms === 'number' && Number.isFinite(ms) && ms >= 0) return
  throw invalidArgument(`${where}: a number of milliseconds from 0 on, not ${String(ms)}`, {
    value: ms,
  })
}
