/** A clock that stands still until the test moves it; timers run inside `advance`, in order. */
import type { Clock } from '../../src/log/clock.ts'

interface Timer {
  readonly fn: () => void
  readonly dueMs: number
}

/** See the file's header. */
export class FakeClock implements Clock {
  #nowMs: number
  #timers: Timer[] = []

  constructor(startMs: number = 1_000) {
    this.#nowMs = startMs
  }

  /** Timers that are set and did not fire. */
  get timerCount(): number {
    return this.#timers.length
  }

  now(): number {
    return this.#nowMs
  }

  monotonicNow(): number {
    return this.#nowMs
  }

  setTimeout(fn: () => void, ms: number): unknown {
    const timer = { fn, dueMs: this.#nowMs + ms }
    this.#timers.push(timer)
    return timer
  }

  clearTimeout(handle: unknown): void {
    this.#timers = this.#timers.filter((timer) => timer !== handle)
  }

  /** Lets `ms` pass, firing what is due on the way. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      this.clearTimeout(next)
      next.fn()
    }
    this.#nowMs = endMs
  }

  #next(endMs: number): Timer | undefined {
    return this.#timers
      .filter((timer) => timer.dueMs <= endMs)
      .toSorted((a, b) => a.dueMs - b.dueMs)[0]
  }
}
