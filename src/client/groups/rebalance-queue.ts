/**
 * RebalanceQueue: what came and went for one member, told to its user's hooks one after the other,
 * in the order in which it became true. What has no hook is done at once.
 *
 *   I1  no hook is called before the one before has answered
 *   I2  whatever a hook does, what it was told of is done afterwards: nobody waits for it for ever
 *       but for the time it takes
 */
import type { PartitionFeed } from './partition-feed.ts'

/** Partitions that came, are to be given up, or are gone. */
export interface PartitionsMoved {
  readonly kind: 'assigned' | 'revoked' | 'lost'
  readonly feeds: readonly PartitionFeed[]
}

/** Who tells, and what is done after. */
export interface RebalanceSteps {
  /** Calls the hook; undefined where there is none. */
  tell(moved: PartitionsMoved): unknown
  /** What the hook was awaited for; with what it failed with, where it did. */
  finish(moved: PartitionsMoved, failure: { readonly error: unknown } | undefined): void
  /** Everything that came and went was told. */
  idle(): void
}

/** What came and went for one member. */
export class RebalanceQueue {
  readonly #steps: RebalanceSteps
  readonly #waiting: PartitionsMoved[] = []
  #isBusy = false

  constructor(steps: RebalanceSteps) {
    this.#steps = steps
  }

  get isIdle(): boolean {
    return !this.#isBusy && this.#waiting.length === 0
  }

  push(moved: PartitionsMoved): void {
    this.#waiting.push(moved)
    this.#work()
  }

  #work(): void {
    while (!this.#isBusy) {
      const moved = this.#waiting.shift()
      if (moved === undefined) return
      this.#isBusy = true
      const answer = this.#tell(moved)
      if (answer === undefined) this.#finish(moved, undefined)
      else void this.#await(moved, answer)
    }
  }

  #tell(moved: PartitionsMoved): Promise<unknown> | undefined {
    try {
      const answer = this.#steps.tell(moved)
      return answer === undefined ? undefined : Promise.resolve(answer)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #await(moved: PartitionsMoved, answer: Promise<unknown>): Promise<void> {
    let failure: { readonly error: unknown } | undefined
    try {
      await answer
    } catch (error) {
      failure = { error }
    }
    this.#finish(moved, failure)
    this.#work()
  }

  #finish(moved: PartitionsMoved, failure: { readonly error: unknown } | undefined): void {
    // Whatever follows from it is told after it: `finish` may push.
    this.#steps.finish(moved, failure)
    this.#isBusy = false
    if (this.#waiting.length === 0) this.#steps.idle()
  }
}
