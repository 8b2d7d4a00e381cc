/**
 * StallWatch: notices a member that has not asked for records for `maxPollIntervalMs`. Only where
 * that is set; a member that waits for records never stalls.
 */
import type { Clock } from '../../log/clock.ts'

/** Of one member. */
export class StallWatch {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #stalled: () => void
  #timer: unknown
  #lastMs = 0
  #waiting = 0
  #isStopped = false

  /** `stalled` is called each time that the interval has passed without progress. */
  constructor(clock: Clock, intervalMs: number, stalled: () => void) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#stalled = stalled
  }

  /** The member asks, or gives something back. */
  progress(): void {
    if (this.#isStopped) return
    this.#lastMs = this.#clock.monotonicNow()
    this.#timer ??= this.#clock.setTimeout(this.#look, this.#intervalMs)
  }

  /** The member waits for records, until `waitEnded`. */
  waitBegan(): void {
    this.#waiting += 1
  }

  waitEnded(): void {
    this.#waiting -= 1
    this.progress()
  }

  stop(): void {
    this.#isStopped = true
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  readonly #look = (): void => {
    this.#timer = undefined
    if (this.#isStopped || this.#waiting > 0) return // `waitEnded` begins anew.
    const leftMs = this.#lastMs + this.#intervalMs - this.#clock.monotonicNow()
    if (leftMs <= 0) this.#stalled()
    else this.#timer = this.#clock.setTimeout(this.#look, leftMs)
  }
}
