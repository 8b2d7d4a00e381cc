/**
 * MemberWork: one member of a run: takes records from its feed as long as there are slots for them,
 * and knows what its handlers hold.
 *
 *   I1  nothing is taken that no slot has a use for: what is held is bounded by `concurrency` takes
 *       in partition order, by key-order.ts in key order
 *   I2  once it stops nothing more is begun; what was begun is waited for until it is abandoned
 */
import type { Clock } from '../../log/clock.ts'
import { LogError } from '../../errors/log-error.ts'
import type { AnyRecord, GroupAdmin, TopicPartition } from '../group-types.ts'
import { Attempts } from './attempts.ts'
import { Claim, type ClaimOwner } from './claim.ts'
import type { DeadLetters } from './dead-letters.ts'
import { HandlerSlots } from './handler-slots.ts'
import { KeyOrder } from './key-order.ts'
import type { MemberFeed, TakenRecords } from './member-feed.ts'
import { PartitionOrder } from './partition-order.ts'
import type { Handling } from './run-handling.ts'
import type { RunPlan } from './run-options.ts'
import type { TurnBudget } from './turn-budget.ts'
import type { WorkOrder } from './work-order.ts'

/** What the members of a run have in common. */
export interface RunParts<R extends AnyRecord> {
  readonly group: GroupAdmin
  readonly clock: Clock
  readonly plan: RunPlan
  readonly handling: Handling<R>
  readonly deadLetters: DeadLetters | null
  readonly turn: TurnBudget
  /** Ends the run with an error. */
  readonly fail: (error: unknown) => void
}

/** See the file's header. */
export class MemberWork<R extends AnyRecord> implements ClaimOwner<R> {
  readonly memberId: string
  readonly group: GroupAdmin
  readonly feed: MemberFeed<R>
  readonly #parts: RunParts<R>
  readonly #order: WorkOrder<R>
  readonly #claims = new Set<Claim<R>>()
  #isStopping = false
  #wakeIntake: (() => void) | undefined
  #whenIdle: (() => void) | undefined

  constructor(feed: MemberFeed<R>, parts: RunParts<R>) {
    const { plan, turn, handling, fail } = parts
    this.feed = feed
    this.memberId = feed.memberId
    this.group = parts.group
    this.#parts = parts
    const slots = new HandlerSlots(plan.concurrency, () => {
      this.#order.slotFree()
      this.#wakeIntake?.()
    })
    const attempts = new Attempts({ ...parts, slots })
    const orderParts = { feed, handling, attempts, slots, turn, fail }
    this.#order =
      plan.orderedBy === 'key' ? new KeyOrder(orderParts) : new PartitionOrder(orderParts)
    feed.onRevoking((partition) => this.#revoking(partition))
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Claims that handlers or backoffs hold. */
  get claims(): ReadonlySet<Claim<R>> {
    return this.#claims
  }

  /** Takes and works until it is stopped or its feed ends. Never rejects. */
  async run(): Promise<void> {
    const { turn, fail } = this.#parts
    try {
      while (!this.#isStopping) {
        if (!this.#order.wantsMore) await this.#slotFree()
        else if (turn.isSpent) await turn.next()
        else {
          const taken = await this.#take()
          if (taken === undefined) return
          this.#begin(taken)
        }
      }
    } catch (error) {
      // The log closed, or the member left, under a take: that is the end, and no failure.
      if (!this.#isStopping && !LogError.is(error, 'CLOSED')) fail(error)
    }
  }

  /** Begins nothing more. Resolves when no handler has anything of it. */
  stop(): Promise<void> {
    this.#isStopping = true
    this.#wakeIntake?.()
    for (const claim of [...this.#claims]) claim.checkWanted()
    return new Promise((resolve) => {
      this.#whenIdle = resolve
      if (this.#claims.size === 0) resolve()
    })
  }

  /** Tells its handlers to give up; what they finish all the same counts. */
  abort(reason: unknown): void {
    for (const claim of [...this.#claims]) claim.abort(reason)
  }

  /** Gives up what its handlers hold: it counts as not handled. */
  abandon(reason: unknown): void {
    for (const claim of [...this.#claims]) claim.abandon(reason)
  }

  released(claim: Claim<R>): void {
    this.#claims.delete(claim)
    if (this.#claims.size === 0) this.#whenIdle?.()
  }

  /** What is at hand is taken without waiting, unless a batch may wait for more. */
  #take(): TakenRecords<R> | undefined | Promise<TakenRecords<R> | undefined> {
    const { max, waitMs } = this.#parts.plan
    const now = waitMs === 0 ? this.feed.takeNow(max) : undefined
    return now ?? this.feed.take({ max, waitMs })
  }

  #begin(taken: TakenRecords<R>): void {
    const claim = new Claim(taken, this)
    this.#claims.add(claim)
    if (claim.isUnwanted) claim.release()
    else this.#order.begin(claim)
  }

  /** Resolves when there may be a use for more. */
  #slotFree(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeIntake = () => {
        this.#wakeIntake = undefined
        resolve()
      }
    })
  }

  #revoking({ topic, partition }: TopicPartition): void {
    for (const claim of [...this.#claims]) {
      const { taken } = claim
      if (taken.topic === topic && taken.partition === partition) claim.checkWanted()
    }
  }
}
