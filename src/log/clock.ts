/**
 * Clock: the only source of time and of turns of the event loop. Everything above reads time from
 * an injected one, so that a test can run a week in a millisecond. `systemClock` is the real one.
 *
 * Timers of the system clock never keep the process alive by themselves: an idle log must let it
 * end. Who waits for something on a user's behalf holds the process with `holdProcess`.
 */

/**
 * `now` for timestamps and retention (wall clock, ms), `monotonicNow` for timeouts (ms, never
 * steps). Timers fire once, not before `ms` have passed.
 */
export interface Clock {
  now(): number
  monotonicNow(): number
  setTimeout(fn: () => void, ms: number): unknown
  clearTimeout(handle: unknown): void
}

/** The machine's clock; its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicNow: () => performance.now(),
  setTimeout(fn: () => void, ms: number): unknown {
    return setTimeout(fn, ms).unref()
  },
  clearTimeout(handle: unknown): void {
    clearTimeout(handle as NodeJS.Timeout) // only ever what setTimeout above returned
  },
}

/** Calls `fn` when the current turn of the event loop is over and pending I/O was looked at. */
export function afterTurn(fn: () => void): void {
  setImmediate(fn)
}

/** Resolves in the next turn of the event loop: what long work waits for between its slices. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Resolves after `ms` on `clock`. */
export function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimeout(resolve, ms))
}

const HOLD_INTERVAL_MS = 2 ** 30
let holds = 0
let holdTimer: NodeJS.Timeout | undefined

/** Keeps the process alive, as an open socket does, until the function returned is called. */
export function holdProcess(): () => void {
  holds += 1
  holdTimer ??= setInterval(() => undefined, HOLD_INTERVAL_MS)
  let held = true
  return () => {
    if (!held) return
    held = false
    holds -= 1
    if (holds > 0) return
    clearInterval(holdTimer)
    holdTimer = undefined
  }
}
