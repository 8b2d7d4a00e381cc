/**
 * Claim: one take of a member while handlers work on it, and what those handlers are told.
 *
 *   wanted     a next unit may be begun
 *   unwanted   nothing more is begun: the run stops, or the partition has to be given up. What a
 *              handler finishes still counts
 *   over       the partition is lost, or the claim was abandoned: nothing counts any more
 * The signal of the handlers is made when the first one asks for it: few do, and one costs more
 * than a whole record.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import type { AnyRecord, GroupAdmin, RunContext } from '../group-types.ts'
import type { Coverage, Covered } from './coverage.ts'
import type { TakenRecords } from './member-feed.ts'

/** The member that took it. */
export interface ClaimOwner<R extends AnyRecord> {
  readonly memberId: string
  readonly group: GroupAdmin
  /** Nothing more is begun. */
  readonly isStopping: boolean
  /** The claim is held no more. */
  released(claim: Claim<R>): void
}

/** See the file's header. */
export class Claim<R extends AnyRecord> {
  readonly taken: TakenRecords<R>
  readonly owner: ClaimOwner<R>
  /** Handlers that were called and have not settled. */
  handlerCount = 0
  /** Units that wait for their next attempt. */
  backoffCount = 0
  #controller: AbortController | undefined
  #abortedBy: { readonly reason: unknown } | undefined
  #isAbandoned = false
  #isHeld = true
  readonly #whenUnwanted = new Set<() => void>()

  constructor(taken: TakenRecords<R>, owner: ClaimOwner<R>) {
    this.taken = taken
    this.owner = owner
  }

  /** Nothing that is done with its records counts any more. */
  get isOver(): boolean {
    return this.#isAbandoned || this.taken.signal.aborted
  }

  /** Nothing more of it is begun. */
  get isUnwanted(): boolean {
    return this.owner.isStopping || this.#isAbandoned || this.taken.isRevoking
  }

  /** Aborts when the partition is lost, and when the run gives its handlers up. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      const { signal } = this.taken
      if (signal.aborted) this.abort(signal.reason)
      else if (this.#isHeld) signal.addEventListener('abort', this.#lost, { once: true })
      if (this.#abortedBy !== undefined) this.#controller.abort(this.#abortedBy.reason)
    }
    return this.#controller.signal
  }

  /** Tells its handlers to give up; what they finish all the same counts. */
  abort(reason: unknown): void {
    this.#abortedBy ??= { reason }
    this.#controller?.abort(reason)
  }

  /** Gives it up while handlers work on it: what they do counts no more. */
  abandon(reason: unknown): void {
    this.#isAbandoned = true
    this.abort(reason)
    this.checkWanted()
    this.release()
  }

  /** `listener` is called once when it may have become unwanted; returns how to stop that. */
  onUnwanted(listener: () => void): () => void {
    this.#whenUnwanted.add(listener)
    return () => void this.#whenUnwanted.delete(listener)
  }

  /** It may have become unwanted: whoever waits for something stops waiting. */
  checkWanted(): void {
    if (!this.isUnwanted) return
    for (const listener of [...this.#whenUnwanted]) listener()
  }

  /** Nobody works on it any more. A second call changes nothing. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    if (this.#controller !== undefined) {
      this.taken.signal.removeEventListener('abort', this.#lost)
    }
    this.owner.released(this)
    this.taken.release()
  }

  /** A closure of its own once a claim: the signal outlives claims, and must not keep them. */
  readonly #lost = (): void => this.abort(this.taken.signal.reason)
}

/** Behind no position: records of the partition are handled beside each other. */
export const UNORDERED: number = Infinity

/** What one call of a handler is told. */
export class HandlerContext<R extends AnyRecord> implements RunContext, Covered {
  readonly #claim: Claim<R>
  readonly attempt: number
  /** Behind what the handler was called with. */
  readonly #nextOffset: number

  /** `nextOffset` is behind what the handler is called with; UNORDERED where others are not. */
  constructor(claim: Claim<R>, attempt: number, nextOffset: number) {
    this.#claim = claim
    this.attempt = attempt
    this.#nextOffset = nextOffset
  }

  get signal(): AbortSignal {
    return this.#claim.signal
  }

  get memberId(): string {
    return this.#claim.owner.memberId
  }

  get group(): GroupAdmin {
    return this.#claim.owner.group
  }

  /** What a transaction commits of it. */
  coveredOffsets(): Coverage {
    if (this.#nextOffset !== UNORDERED) return this.#claim.taken.cover(this.#nextOffset)
    const { topic, partition } = this.#claim.taken
    throw invalidArgument(
      `transaction.commitOffsets: with orderedBy 'key' records of ${topic}-${partition} are ` +
        'handled beside each other, and a position would count those before it as handled: run ' +
        "with orderedBy 'partition'",
      { topic, partition },
    )
  }
}
