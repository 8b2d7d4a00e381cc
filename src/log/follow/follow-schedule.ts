/**
 * FollowSchedule: when a followed log looks at what its writer has published: on each wake while
 * somebody waits for a partition, with a poll as the net below it, else every second, so that files
 * that were removed do not keep their space for ever.
 *
 *   I1  nothing is counted: a look takes in whatever there is, so wakes may come twice, together,
 *       or not at all
 *   I2  whoever begins to wait is told of what came before the watch within the next look
 *   I3  nothing here keeps the process alive: who waits for somebody holds it (clock.ts)
 */
import { afterTurn, type Clock } from '../clock.ts'
import type { WakeSource } from './wake-source.ts'

/** What wakes may miss is found so soon. */
const POLL_MS = 50
/** Where there are no wakes. */
const UNWATCHED_POLL_MS = 10
/** While nobody waits. */
const IDLE_POLL_MS = 1_000

/** What a schedule drives. */
export interface FollowScheduleParts {
  readonly clock: Clock
  readonly wake: WakeSource
  /** For the first of a burst of wakes, at once: looks at what readers wait for. */
  readonly glance: () => void
  /** Looks at everything; `isPoll` where nothing has said that there is something new. */
  readonly look: (isPoll: boolean) => void
  /** The wake source failed: it is polled instead. Called once. */
  readonly onFallback: (cause: unknown) => void
}

/** See the file's header. */
export class FollowSchedule {
  readonly #parts: FollowScheduleParts
  #waiting = 0
  #isWatching = false
  #hasFailed = false
  #isLookDue = false
  #timer: unknown
  #isClosed = false

  constructor(parts: FollowScheduleParts) {
    this.#parts = parts
    this.#plan(IDLE_POLL_MS)
  }

  /** Somebody waits for one more partition, or one that was waited for is not any more. */
  listening(isListening: boolean): void {
    this.#waiting += isListening ? 1 : -1
    if (this.#isClosed || !isListening || this.#waiting > 1) return
    // Where they come and go the watch goes on: it ends with a poll that finds nobody.
    if (this.#isWatching) return
    this.#watch()
    this.#plan(0) // I2
  }

  /** Looks no more. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#parts.clock.clearTimeout(this.#timer)
    if (this.#isWatching) this.#parts.wake.stop()
  }

  #watch(): void {
    this.#isWatching = true
    if (this.#hasFailed) return
    this.#parts.wake.start(
      () => this.#wake(),
      (cause) => this.#fail(cause),
    )
  }

  #wake(): void {
    if (this.#isLookDue || this.#isClosed) return
    this.#isLookDue = true
    // A sleeping machine takes long for whatever comes before readers hear of their records.
    this.#parts.glance()
    // A burst of wakes is one look, in the same turn as the first of them.
    afterTurn(() => {
      this.#isLookDue = false
      if (!this.#isClosed) this.#parts.look(false)
    })
  }

  #fail(cause: unknown): void {
    if (this.#hasFailed || this.#isClosed) return
    this.#hasFailed = true
    this.#plan(0)
    this.#parts.onFallback(cause)
  }

  #poll(): void {
    if (this.#isClosed) return
    if (this.#waiting === 0 && this.#isWatching) {
      this.#isWatching = false
      this.#parts.wake.stop()
    }
    this.#plan(this.#pollMs)
    this.#parts.look(true)
  }

  get #pollMs(): number {
    if (this.#waiting === 0 || this.#parts.wake.isComplete === true) return IDLE_POLL_MS
    return this.#hasFailed ? UNWATCHED_POLL_MS : POLL_MS
  }

  #plan(ms: number): void {
    const { clock } = this.#parts
    if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
    this.#timer = clock.setTimeout(() => this.#poll(), ms)
  }
}
