/**
 * RecordIteration: `for await (const record of consumer)`. Asking for the next record makes the one
 * before handled; `break`, `throw` and an error end the member's membership.
 *
 *   I1  calls of `next` are answered in order, however many wait at once
 *   I2  once it is over it stays over, and its member has left, or is about to
 * Hot: a record that is at hand costs one promise, which the language asks for.
 */
import type { GroupMember } from './group-member.ts'
import { awaitAnswer, beginAsk, NO_LIMITS } from './member-ask.ts'

type Result<R> = IteratorResult<R, undefined>
/** Reading the clock costs half of what a record does. */
const ASKS_PER_LOOK = 64
const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** The records of one member, one after the other. */
export class RecordIteration<R> implements AsyncIterator<R, undefined> {
  readonly #member: GroupMember
  /** What the member belongs to in the user's hands: kept, so that it is not taken for gone. */
  readonly #owner: object
  #isOver = false
  #askCount = 0
  /** Calls of `next` that wait, and when the last of them is answered. */
  #waitingCount = 0
  #lastAnswer: Promise<unknown> = Promise.resolve()

  /** `owner` is kept alive as long as the iteration is. */
  constructor(member: GroupMember, owner: object) {
    this.#member = member
    this.#owner = owner
  }

  /** The consumer that is iterated over. */
  get owner(): object {
    return this.#owner
  }

  next(): Promise<Result<R>> {
    if (this.#waitingCount > 0) return this.#waitInTurn()
    if (this.#isOver) return Promise.resolve(END)
    if (this.#mayGiveBack()) return this.#waitInTurn()
    try {
      const record = this.#nextNow()
      if (record !== undefined) return Promise.resolve({ done: false, value: record })
    } catch (error) {
      return this.#fail(error)
    }
    return this.#isOver ? Promise.resolve(END) : this.#waitInTurn()
  }

  async return(): Promise<Result<R>> {
    this.#isOver = true
    this.#member.handOver.abandon()
    await this.#member.leave()
    return END
  }

  async throw(error?: unknown): Promise<Result<R>> {
    await this.return()
    throw error
  }

  /** Whether others are to have their turn of the event loop; the clock is asked now and then. */
  #mayGiveBack(): boolean {
    this.#askCount += 1
    return this.#askCount % ASKS_PER_LOOK === 0 && this.#member.turn.isSpent
  }

  #nextNow(): R | undefined {
    if (!beginAsk(this.#member, 'next')) {
      this.#isOver = true
      return undefined
    }
    return this.#look()
  }

  readonly #look = (): R | undefined => {
    const record: unknown = this.#member.handOver.nextRecord()
    return record as R | undefined // The consumer's topics say what R is.
  }

  #waitInTurn(): Promise<Result<R>> {
    this.#waitingCount += 1
    const isFirst = this.#waitingCount === 1
    const answer = isFirst ? this.#wait() : this.#lastAnswer.then(() => this.#wait())
    this.#lastAnswer = answer.catch(() => undefined)
    return answer
  }

  async #wait(): Promise<Result<R>> {
    try {
      if (this.#isOver) return END
      const record = await awaitAnswer(this.#member, 'next', this.#look, NO_LIMITS)
      if (record !== undefined) return { done: false, value: record }
      this.#isOver = true
      return END
    } catch (error) {
      return await this.#fail(error)
    } finally {
      this.#waitingCount -= 1
    }
  }

  /** Rejects once the member has left: whoever joins next gets its partitions. */
  async #fail(error: unknown): Promise<Result<R>> {
    this.#isOver = true
    this.#member.handOver.abandon()
    await this.#member.leaveQuietly()
    throw error
  }
}
