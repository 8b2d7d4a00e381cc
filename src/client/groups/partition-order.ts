/**
 * PartitionOrder: each partition's units one after the other, several partitions at once. One take
 * of a partition is out at a time: while it waits for a backoff nothing piles up behind it.
 */
import type { AnyRecord } from '../group-types.ts'
import { HandlerContext, type Claim } from './claim.ts'
import type { WorkOrder, WorkParts } from './work-order.ts'

/** So many units run before the clock is asked whether the turn is over: that is not free. */
const UNITS_PER_READING = 8

/** See the file's header. */
export class PartitionOrder<R extends AnyRecord> implements WorkOrder<R> {
  readonly #parts: WorkParts<R>

  constructor(parts: WorkParts<R>) {
    this.#parts = parts
  }

  get wantsMore(): boolean {
    return this.#parts.slots.hasFree
  }

  begin(claim: Claim<R>): void {
    this.#parts.feed.pause(claim.taken)
    this.#work(claim).catch(this.#parts.fail)
  }

  slotFree(): void {
    // Nothing that was taken waits for one but in the slots' own queue.
  }

  async #work(claim: Claim<R>): Promise<void> {
    const { slots, feed } = this.#parts
    // A record that waited for its next attempt may have been faster.
    if (!slots.tryTake()) await slots.take()
    claim.handlerCount += 1
    try {
      await this.#handleAll(claim)
    } finally {
      claim.handlerCount -= 1
      claim.release()
      // Once it is lost, the pause of the partition is no longer this claim's: it may have come
      // back, and be in the hands of another one.
      if (!claim.isOver) feed.resume(claim.taken)
      slots.release()
    }
  }

  /** Hot: where handlers are not asynchronous nothing is awaited. */
  async #handleAll(claim: Claim<R>): Promise<void> {
    const { handling, attempts, turn, slots } = this.#parts
    const { taken } = claim
    const unitCount = handling.unitCount(taken)
    for (let unit = 0; unit < unitCount && !claim.isUnwanted; unit += 1) {
      const isReading = unit % UNITS_PER_READING === UNITS_PER_READING - 1
      if (slots.isWanted || (isReading && turn.isSpent)) {
        await this.#letOthers()
        if (claim.isUnwanted) return
      }
      const nextOffset = handling.endOf(taken, unit)
      try {
        const pending = handling.call(taken, unit, new HandlerContext(claim, 1, nextOffset))
        if (pending !== undefined) await pending
      } catch (error) {
        if (!(await attempts.recover(claim, unit, error))) return
      }
      if (claim.isOver) return
      taken.handled(nextOffset)
    }
  }

  /** Other partitions of the member, whose next attempt is due, and other work of the process. */
  async #letOthers(): Promise<void> {
    const { slots, turn } = this.#parts
    if (turn.isSpent) await turn.next()
    if (!slots.isWanted) return
    slots.release()
    await slots.take()
  }
}
