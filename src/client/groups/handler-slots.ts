/**
 * HandlerSlots: bounds how many handlers of one member run at once. Whoever waits for its next
 * attempt gives its slot back meanwhile, and gets one again before anything new is begun.
 */
import { Fifo } from '../fifo.ts'

/** The slots of one member. */
export class HandlerSlots {
  #freeCount: number
  readonly #waiting = new Fifo<() => void>()
  readonly #whenFree: () => void

  /** `whenFree` is called when a slot is free that nobody waits for. */
  constructor(count: number, whenFree: () => void) {
    this.#freeCount = count
    this.#whenFree = whenFree
  }

  get hasFree(): boolean {
    return this.#freeCount > 0
  }

  /** Somebody waits for one. */
  get isWanted(): boolean {
    return !this.#waiting.isEmpty
  }

  /** Takes a slot where one is free. */
  tryTake(): boolean {
    if (this.#freeCount === 0) return false
    this.#freeCount -= 1
    return true
  }

  /** Resolves once it has taken a slot; in the order of the calls. */
  take(): Promise<void> {
    if (this.tryTake()) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Gives a slot back. */
  release(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next() // The slot changes hands.
      return
    }
    this.#freeCount += 1
    this.#whenFree()
  }
}
