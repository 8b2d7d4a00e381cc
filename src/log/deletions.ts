/**
 * Deletions: what one run of housekeeping deletes, once at its start and again while it compacts.
 *   I1  compaction is interrupted only between two slices of its work (`nextTurn`): whatever else
 *       it
 *       waits for, it may hold what deletion waits for
 */
import type { Procedure } from '../storage/procedure.ts'
import { nextTurn, type Clock } from './clock.ts'
import type { RetentionOutcome } from './retention-run.ts'

/** For so long what may be deleted waits for a compaction that goes on. */
const LONGEST_WAIT_MS = 60_000

/** See the file's header. */
export class Deletions {
  deletedSegments = 0
  deletedBytes = 0
  /** As the last of them left it. */
  kept: RetentionOutcome['kept'] = []
  /** Begun so far. */
  count = 0
  readonly #clock: Clock
  #begunMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** One begins. */
  begin(): void {
    this.count += 1
    this.#begunMs = this.#clock.monotonicNow()
  }

  /** One did so much. */
  add({ deletedSegments, deletedBytes, kept }: RetentionOutcome): void {
    this.deletedSegments += deletedSegments
    this.deletedBytes += deletedBytes
    this.kept = kept
  }

  /** Goes through `work`, and `deleting` whenever the last one is long ago (I1). */
  *beside<T>(work: Procedure<T>, deleting: () => Procedure<void>): Procedure<T> {
    try {
      let step = work.next()
      while (step.done !== true) {
        const wait = step.value
        let failure: { readonly error: unknown } | undefined
        try {
          yield wait
        } catch (error) {
          failure = { error }
        }
        if (wait === nextTurn && this.#isDue) yield* deleting()
        step = failure === undefined ? work.next() : work.throw(failure.error)
      }
      return step.value
    } finally {
      // `as`: nobody uses what a procedure gives that was ended.
      work.return(undefined as never)
    }
  }

  get #isDue(): boolean {
    return this.#clock.monotonicNow() - this.#begunMs >= LONGEST_WAIT_MS
  }
}
