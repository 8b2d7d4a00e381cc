/**
 * ByteBudget: how many bytes long work may read and write in a second of the clock. What is taken
 * is waited for afterwards, so that a piece larger than the budget of a second passes too; what is
 * not used is kept for a moment only, so that a pause is followed by no burst.
 */
import type { DeviceWait } from '../storage/procedure.ts'
import type { Clock } from './clock.ts'

/** Unused budget is kept for so long. */
const KEPT_MS = 50

/** The budget of one log's long work. */
export class ByteBudget {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  /** Until then everything that was taken is paid for. */
  #paidUntilMs = -Infinity
  /** Ends the waits under way. */
  readonly #wakes = new Set<() => void>()
  #isStopped = false

  /** Infinity: no limit. */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bytesPerMs = bytesPerSecond / 1_000
  }

  /** Takes `byteLength`; what to wait for before going on, or undefined. */
  take(byteLength: number): DeviceWait | undefined {
    if (this.#bytesPerMs === Infinity || this.#isStopped) return undefined
    const nowMs = this.#clock.monotonicNow()
    const fromMs = Math.max(this.#paidUntilMs, nowMs - KEPT_MS)
    this.#paidUntilMs = fromMs + byteLength / this.#bytesPerMs
    const waitMs = this.#paidUntilMs - nowMs
    return waitMs > 0 ? () => this.#wait(waitMs) : undefined
  }

  /** Ends every wait, and asks for none any more. */
  stop(): void {
    this.#isStopped = true
    for (const wake of this.#wakes) wake()
  }

  async #wait(ms: number): Promise<void> {
    if (this.#isStopped) return
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(() => wake(), ms)
      const wake = (): void => {
        this.#clock.clearTimeout(timer)
        this.#wakes.delete(wake)
        resolve()
      }
      this.#wakes.add(wake)
    })
  }
}
