/**
 * Scheduler: time and turns of one simulated process, decided by a seed. Whatever a process waits
 * for is an event here: the end of a driver call, a timer, a turn of the event loop. One event
 * happens at a time, then every promise runs as far as it gets, then the next one is drawn.
 *
 *   I1  nothing happens that the seed did not choose: the same choices give the same trace
 *   I2  calls that are under way end in any order; turns come in theirs; timers never early
 *   I3  time moves only between events, and inside a call that is said to be slow
 * A process that dies takes its scheduler along: what it waited for never happens.
 */
import type { Clock } from '../../src/log/clock.ts'
import type { SeededRandom } from '../../src/testing/seeded-random.ts'
import { SimulationFailure } from './simulation-failure.ts'

/**
 * Virtual time after which somebody who waits hangs: no wait of the engine is as long, be there a
 * thousand files to sync and each sync slow.
 */
const HANGS_AFTER_MS = 36_000_000
const HANGS_AFTER_EVENTS = 200_000
const REAL_TURN = globalThis.setImmediate
const REAL_INTERVAL = { set: globalThis.setInterval, clear: globalThis.clearInterval }

interface Timer {
  readonly fn: () => void
  readonly dueMs: number
}

interface PendingCall {
  readonly name: string
  readonly dueMs: number
  readonly end: () => void
}

/** See the file's header. */
export class Scheduler {
  /** Somebody set the wall clock ahead. */
  wasSetAhead = false
  /** What the process under test reads the time from. */
  readonly clock: Clock
  /** Every choice between events; a step may give it another seed. */
  random: SeededRandom
  /** Sums up everything that happened. */
  readonly trace: Trace
  readonly #turns: (() => void)[] = []
  readonly #calls: PendingCall[] = []
  readonly #timers: Timer[] = []
  #wallMs: number
  #monotonicMs = 1_000
  /** Milliseconds that a call takes longer than to its turn. */
  slowness: (name: string) => number = () => 0

  constructor(random: SeededRandom, startMs: number, trace: Trace) {
    this.random = random
    this.trace = trace
    this.#wallMs = startMs
    this.clock = {
      now: () => this.#wallMs,
      monotonicNow: () => this.#monotonicMs,
      setTimeout: (fn, ms) => {
        const timer = { fn, dueMs: this.#monotonicMs + ms }
        this.#timers.push(timer)
        return timer
      },
      clearTimeout: (handle) => {
        const index = this.#timers.findIndex((timer) => timer === handle)
        if (index >= 0) this.#timers.splice(index, 1)
      },
    }
  }

  /** Timers that are set and did not fire. */
  get timerCount(): number {
    return this.#timers.length
  }

  /** Driver calls that have not ended. */
  get callNames(): readonly string[] {
    return this.#calls.map(({ name }) => name)
  }

  /** A driver call begins: resolves when the seed has it end. */
  call(name: string): Promise<void> {
    return new Promise((resolve) => {
      this.#calls.push({ name, dueMs: this.#monotonicMs + this.slowness(name), end: resolve })
    })
  }

  /** A turn of the event loop was asked for. */
  turn(fn: () => void): void {
    this.#turns.push(fn)
  }

  /** Time passes in the middle of a call. */
  pass(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
  }

  /** Somebody sets the wall clock; timers do not care. */
  setWallClock(byMs: number): void {
    this.wasSetAhead ||= byMs > 0
    this.#wallMs = Math.max(1, this.#wallMs + byMs)
  }

  /** Lets up to `count` events happen. */
  async events(count: number): Promise<void> {
    await drained()
    for (let left = count; left > 0 && this.#event(); left--) await drained()
  }

  /** Lets `ms` pass with all that happens on the way. */
  async wait(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms
    await drained()
    for (let count = 0; ; count++) {
      if (count > HANGS_AFTER_EVENTS) throw new SimulationFailure('something goes on for ever')
      if (this.#event()) await drained()
      else if (!this.#skipTo(endMs)) break
    }
    this.pass(Math.max(0, endMs - this.#monotonicMs))
  }

  /** Goes on until `isDone`. Who waits for what never comes has met a deadlock. */
  async until(isDone: () => boolean, waiting: () => string): Promise<void> {
    const endMs = this.#monotonicMs + HANGS_AFTER_MS
    await drained()
    for (let count = 0; !isDone(); count++) {
      if (count > HANGS_AFTER_EVENTS) throw new SimulationFailure(`goes on for ever: ${waiting()}`)
      if (!this.#event() && !this.#skipTo(endMs)) {
        throw new SimulationFailure(`waits for ever: ${waiting()}`)
      }
      await drained()
    }
  }

  /** Lets one event happen; false where there is none before some time has passed. */
  #event(): boolean {
    const { random } = this
    if (random.below(4) === 0) this.pass(1)
    const calls = this.#calls
    let due = 0
    for (const call of calls) if (call.dueMs <= this.#monotonicMs) due += 1
    const timer = this.#timerDue()
    const choices = due + (this.#turns.length > 0 ? 1 : 0) + (timer === undefined ? 0 : 1)
    if (choices === 0) return false
    let choice = random.below(choices)
    if (this.#turns.length > 0 && choice-- === 0) {
      this.trace.number(1)
      this.#turns.shift()?.()
      return true
    }
    if (timer !== undefined && choice-- === 0) {
      this.trace.number(2)
      this.#timers.splice(this.#timers.indexOf(timer), 1)
      timer.fn()
      return true
    }
    for (const [index, call] of calls.entries()) {
      if (call.dueMs > this.#monotonicMs || choice-- > 0) continue
      calls.splice(index, 1)
      this.trace.text(call.name)
      call.end()
      return true
    }
    return false
  }

  #timerDue(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs > this.#monotonicMs) continue
      if (first === undefined || timer.dueMs < first.dueMs) first = timer
    }
    return first
  }

  /** Goes to the time of the next timer or slow call up to `endMs`; false where there is none. */
  #skipTo(endMs: number): boolean {
    let next = Number.POSITIVE_INFINITY
    for (const { dueMs } of this.#timers) next = Math.min(next, dueMs)
    for (const { dueMs } of this.#calls) next = Math.min(next, dueMs)
    if (next > endMs) return false
    this.pass(Math.max(0, next - this.#monotonicMs))
    return true
  }
}

/** A number that differs where anything that was noted differs. */
export class Trace {
  #hash = 0x811c9dc5
  /** Told of every note; for looking at a run. */
  listener: ((note: string) => void) | undefined

  number(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value ^ (value / 2 ** 32), 0x01000193)
    this.#hash ^= this.#hash >>> 15
  }

  text(value: string): void {
    this.listener?.(value)
    for (let index = 0; index < value.length; index++) this.number(value.charCodeAt(index))
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }
}

/** Resolves when every promise has run as far as it gets without an event. */
function drained(): Promise<void> {
  return new Promise((resolve) => void REAL_TURN(resolve))
}

/** What keeps the real process alive on behalf of a simulated one. */
const holds = new Set<object>()

/** Intervals that somebody set and nobody cleared. */
export function heldCount(): number {
  return holds.size
}

/**
 * Gives turns of the event loop to the scheduler that `current` names, until the function returned
 * is called. The clock of the engine reads time from what it is given, but takes turns from the
 * process; and its holds would keep the real one alive.
 */
export function takeOverTurns(current: () => Scheduler): () => void {
  const turn = (fn: () => void): object => {
    current().turn(fn)
    return {}
  }
  const hold = (): object => {
    const handle = {}
    holds.add(handle)
    return handle
  }
  Object.assign(globalThis, {
    setImmediate: turn,
    setInterval: hold,
    clearInterval: (handle: object) => holds.delete(handle),
  })
  // What is collected, and when, is nothing that a seed decides: nobody hears of it.
  const { register } = FinalizationRegistry.prototype
  Object.assign(FinalizationRegistry.prototype, { register: () => undefined })
  return () => {
    Object.assign(FinalizationRegistry.prototype, { register })
    Object.assign(globalThis, {
      setImmediate: REAL_TURN,
      setInterval: REAL_INTERVAL.set,
      clearInterval: REAL_INTERVAL.clear,
    })
  }
}
