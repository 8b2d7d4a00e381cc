/**
 * BatchIteration: `for await (const batch of consumer.batches())`. As record-iteration.ts, with
 * records of one partition at a time: asking for the next batch makes the one before handled.
 *
 *   I1  calls of `next` are answered in order, however many wait at once
 *   I2  once it is over it stays over, and its member has left, or is about to
 */
import type { AnyRecord, Batch } from '../group-types.ts'
import type { RecordStream } from '../record-stream.ts'
import type { GroupMember } from './group-member.ts'
import { HandedBatch } from './handed-batch.ts'
import type { RunLimit } from './hand-over.ts'
import { awaitAnswer } from './member-ask.ts'

type Result<R extends AnyRecord> = IteratorResult<Batch<R>, undefined>
const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** The batches of one member, one after the other. */
export class BatchIteration<R extends AnyRecord> implements RecordStream<Batch<R>> {
  readonly #member: GroupMember
  readonly #limit: RunLimit
  /** What the member belongs to in the user's hands: kept, so that it is not taken for gone. */
  readonly #owner: object
  #isOver = false
  /** The one before waits until records are there. */
  #lastAnswer: Promise<unknown> | undefined

  /** `owner` is kept alive as long as the iteration is. */
  constructor(member: GroupMember, limit: RunLimit, owner: object) {
    this.#member = member
    this.#limit = limit
    this.#owner = owner
  }

  /** The consumer that is iterated over. */
  get owner(): object {
    return this.#owner
  }

  next(): Promise<Result<R>> {
    const before = this.#lastAnswer
    const answer = before === undefined ? this.#next() : before.then(() => this.#next())
    const settled: Promise<unknown> = answer
      .catch(() => undefined)
      .then(() => {
        if (this.#lastAnswer === settled) this.#lastAnswer = undefined
      })
    this.#lastAnswer = settled
    return answer
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

  [Symbol.asyncIterator](): RecordStream<Batch<R>> {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async #next(): Promise<Result<R>> {
    if (this.#isOver) return END
    try {
      let isFirstLook = true
      const look = (): Batch<R> | undefined => {
        if (isFirstLook) this.#member.handOver.giveBack()
        isFirstLook = false
        const run = this.#member.handOver.batch(this.#limit)
        return run === undefined ? undefined : new HandedBatch<R>(this.#member, run)
      }
      const batch = await awaitAnswer(this.#member, 'batches', look, {
        signal: null,
        timeoutMs: undefined,
        dueInMs: () => this.#member.handOver.dueInMs(this.#limit.waitMs),
      })
      if (batch !== undefined) return { done: false, value: batch }
    } catch (error) {
      return await this.#fail(error)
    }
    this.#isOver = true
    return END
  }

  async #fail(error: unknown): Promise<Result<R>> {
    this.#isOver = true
    this.#member.handOver.abandon()
    await this.#member.leaveQuietly()
    throw error
  }
}
