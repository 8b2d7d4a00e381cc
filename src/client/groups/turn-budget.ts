/**
 * TurnBudget: how long handlers that never wait for anything may hold the event loop. Between two
 * of them everything else gets its turn: timers, I/O, other members. What holds it inside of one
 * handler, nobody can interrupt.
 */
import { nextTurn, type Clock } from '../../log/clock.ts'

/** Then the turn is given back. */
const TURN_MS = 2

/** Of a member, or shared by all members of a run. */
export class TurnBudget {
  readonly #clock: Clock
  #startedMs: number
  #next: Promise<void> | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonicNow()
  }

  /** Enough was done in this turn. */
  get isSpent(): boolean {
    return this.#next !== undefined || this.#clock.monotonicNow() - this.#startedMs > TURN_MS
  }

  /** Something was waited for: others had their turn. */
  began(): void {
    this.#startedMs = this.#clock.monotonicNow()
  }

  /** Resolves in the next turn, for all that wait for it at once. */
  next(): Promise<void> {
    this.#next ??= nextTurn().then(() => {
      this.#next = undefined
      this.#startedMs = this.#clock.monotonicNow()
    })
    return this.#next
  }
}
