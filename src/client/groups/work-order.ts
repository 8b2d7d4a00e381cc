/**
 * WorkOrder: in which order the units of a member are begun. One for each value of `orderedBy`:
 * partition-order.ts, key-order.ts. What they have in common is here as types alone.
 */
import type { AnyRecord } from '../group-types.ts'
import type { Attempts } from './attempts.ts'
import type { Claim } from './claim.ts'
import type { HandlerSlots } from './handler-slots.ts'
import type { MemberFeed } from './member-feed.ts'
import type { Handling } from './run-handling.ts'
import type { TurnBudget } from './turn-budget.ts'

/** What an order works with. */
export interface WorkParts<R extends AnyRecord> {
  readonly feed: MemberFeed<R>
  readonly handling: Handling<R>
  readonly attempts: Attempts<R>
  readonly slots: HandlerSlots
  readonly turn: TurnBudget
  /** Ends the run with an error. */
  readonly fail: (error: unknown) => void
}

/** Begins units and ends claims. */
export interface WorkOrder<R extends AnyRecord> {
  /** There is a slot that nothing taken so far has a use for. */
  readonly wantsMore: boolean
  /** Works on a claim until it is released. Never throws. */
  begin(claim: Claim<R>): void
  /** A slot is free that nobody waits for. */
  slotFree(): void
}
