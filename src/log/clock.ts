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

/**
 * As `nextTurn`, for work that nobody waits for: a process that has nothing else to do ends, and an
 * idle one goes on with it within a few milliseconds.
 */
export function idleTurn(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 0).unref())
}

/** Resolves after `ms` on `clock`. */
export function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimeout(resolve, ms))
}

/** So many records handed over in one turn of the event loop may share one reading of the clock. */
const RECORDS_PER_READING = 16

/**
 * The time of a producer's records that come without one. Reading the machine's clock costs a fifth
 * of what an enqueued record may; so records that are handed over one after the other in one turn
 * of the event loop share a reading, 16 at most. It is never ahead of the clock, and what one
 * producer takes never goes back unless the clock does. An injected clock is read each time:
 * whoever moves it between two records sees both times.
 */
export class RecordTime {
  readonly #clock: Clock
  readonly #mayShare: boolean
  /** Not a number at first, so that V8 keeps what was read as it is, not a copy for each call. */
  #readMs: number | undefined
  /** How many more records may have what was read. */
  #left = 0
  #endsWithTurn = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#mayShare = clock === systemClock
  }

  /** The time now. */
  exact(): number {
    const nowMs = this.#clock.now()
    this.#readMs = nowMs
    return nowMs
  }

  /** The time now, or that of one of the last calls in this turn. Hot. */
  recent(): number {
    const readMs = this.#readMs
    if (this.#left === 0 || readMs === undefined) return this.#read()
    this.#left -= 1
    return readMs
  }

  #read(): number {
    if (this.#mayShare) {
      this.#left = RECORDS_PER_READING - 1
      if (!this.#endsWithTurn) {
        this.#endsWithTurn = true
        afterTurn(this.#turnEnded)
      }
    }
    return this.exact()
  }

  readonly #turnEnded = (): void => {
    this.#endsWithTurn = false
    this.#left = 0
  }
}

const HOLD_INTERVAL_MS = 2 ** 30
let holds = 0
/** Kept once it was made: a producer that waits for each of its records holds for each of them. */
let holdTimer: NodeJS.Timeout | undefined

/** Keeps the process alive, as an open socket does, until `releaseProcess` was called as often. */
export function retainProcess(): void {
  holds += 1
  if (holds > 1) return
  if (holdTimer === undefined) holdTimer = setInterval(() => undefined, HOLD_INTERVAL_MS)
  else holdTimer.ref()
}

/** Ends one `retainProcess`. */
export function releaseProcess(): void {
  holds -= 1
  if (holds === 0) holdTimer?.unref()
}

/** Keeps the process alive, as an open socket does, until the function returned is called. */
export function holdProcess(): () => void {
  retainProcess()
  let held = true
  return () => {
    if (!held) return
    held = false
    releaseProcess()
  }
}
