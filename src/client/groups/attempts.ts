/**
 * Attempts: what becomes of a unit whose handler failed: it is tried again after a backoff, then it
 * is a dead letter, or the end of the run.
 *
 *   I1  a unit that waits for its next attempt holds no slot: only its own partition or key waits
 *   I2  a unit counts as handled only once its handler was done or its dead letter is durable
 *   I3  what a transaction committed, or may have, is never tried again, and becomes no letter: it
 *       would be handled twice. The run ends, and says why
 *   I4  nothing is tried again, and no letter written, for a claim that is unwanted: whoever gets
 *       its partition next begins anew
 */
import { LogError } from '../../errors/log-error.ts'
import type { Clock } from '../../log/clock.ts'
import type { AnyRecord } from '../group-types.ts'
import { HandlerContext, UNORDERED, type Claim } from './claim.ts'
import type { DeadLetters } from './dead-letters.ts'
import { failureText } from './failure-text.ts'
import type { HandlerSlots } from './handler-slots.ts'
import type { Handling } from './run-handling.ts'
import type { RunPlan } from './run-options.ts'

/** What it works with. */
export interface AttemptParts<R extends AnyRecord> {
  readonly plan: RunPlan
  readonly clock: Clock
  readonly handling: Handling<R>
  /** Null: what cannot be handled ends the run. */
  readonly deadLetters: DeadLetters | null
  readonly slots: HandlerSlots
  /** Ends the run with an error. */
  readonly fail: (error: unknown) => void
}

/** The attempts after the first one, of the units of one member. */
export class Attempts<R extends AnyRecord> {
  readonly #parts: AttemptParts<R>

  constructor(parts: AttemptParts<R>) {
    this.#parts = parts
  }

  /**
   * Goes on after the first attempt failed with `error`, whose slot is held at the call and again
   * when it resolves: true where the unit counts as handled. Where not, the claim is unwanted or
   * the run has failed. Never rejects.
   */
  async recover(claim: Claim<R>, unit: number, error: unknown): Promise<boolean> {
    const { plan, handling } = this.#parts
    const nextOffset = handling.endOf(claim.taken, unit)
    const covered = plan.orderedBy === 'key' ? UNORDERED : nextOffset
    let failure = error
    for (let attempt = 1; !claim.isUnwanted; attempt += 1) {
      const outcome = claim.taken.coveredOutcome(covered)
      if (outcome !== undefined) return this.#end(claim, unit, { failure, outcome })
      if (attempt > plan.retries) return await this.#giveUp(claim, unit, attempt, failure)
      if (!(await this.#backOff(claim, attempt))) return false
      try {
        await handling.call(claim.taken, unit, new HandlerContext(claim, attempt + 1, covered))
        return true
      } catch (again) {
        failure = again
      }
    }
    return false
  }

  /** Waits for the next attempt, without a slot; false where there will be none. */
  async #backOff(claim: Claim<R>, attempt: number): Promise<boolean> {
    const { plan, slots, fail } = this.#parts
    let ms: number
    try {
      ms = plan.backoff(attempt)
    } catch (error) {
      fail(error)
      return false
    }
    claim.handlerCount -= 1
    claim.backoffCount += 1
    slots.release()
    await this.#sleep(claim, ms)
    await slots.take()
    claim.backoffCount -= 1
    claim.handlerCount += 1
    return !claim.isUnwanted
  }

  /** Resolves after `ms`, or when the claim is unwanted. */
  #sleep(claim: Claim<R>, ms: number): Promise<void> {
    const { clock } = this.#parts
    return new Promise((resolve) => {
      const wake = (): void => {
        clock.clearTimeout(timer)
        stopListening()
        resolve()
      }
      const timer = clock.setTimeout(wake, ms)
      const stopListening = claim.onUnwanted(wake)
    })
  }

  /** I3: true where the transaction was committed. */
  #end(claim: Claim<R>, unit: number, { failure, outcome }: TransactionEnded): boolean {
    const { handling, fail } = this.#parts
    const records = handling.recordsOf(claim.taken, unit)
    fail(failedAfter(claim, records, { failure, outcome }))
    return outcome === 'committed'
  }

  async #giveUp(claim: Claim<R>, unit: number, attempts: number, error: unknown): Promise<boolean> {
    const { deadLetters, handling, fail } = this.#parts
    const records = handling.recordsOf(claim.taken, unit)
    if (deadLetters === null) {
      fail(notHandled(claim, records, attempts, error))
      return false
    }
    try {
      await deadLetters.send(records, error, attempts)
      claim.taken.uncover()
      return true
    } catch (failure) {
      fail(failure)
      return false
    }
  }
}

/** A handler that failed when its transaction had ended. */
interface TransactionEnded {
  readonly failure: unknown
  readonly outcome: 'committed' | 'unknown'
}

function failedAfter<R extends AnyRecord>(
  claim: Claim<R>,
  records: readonly R[],
  { failure, outcome }: TransactionEnded,
): LogError<'INVALID_RECORD'> {
  const text = failureText(failure)
  const message =
    outcome === 'committed'
      ? `was committed by a transaction, then its handler failed: ${text}. It is not tried again, ` +
        'which would handle it twice: what may fail belongs into the transaction'
      : `may have been committed by a transaction, then its handler failed: ${text}. Opening the ` +
        'log again decides: the next run begins behind it, or with it'
  return failedWith(claim, records, { message, cause: failure })
}

function notHandled<R extends AnyRecord>(
  claim: Claim<R>,
  records: readonly R[],
  attempts: number,
  cause: unknown,
): LogError<'INVALID_RECORD'> {
  const count = attempts === 1 ? 'one attempt' : `${attempts} attempts`
  const message =
    `was not handled in ${count}: ${failureText(cause)}. Nothing from there on is committed: the ` +
    'next run begins with it. With a deadLetterTopic the run would put it aside and go on'
  return failedWith(claim, records, { message, cause })
}

function failedWith<R extends AnyRecord>(
  { taken: { topic, partition } }: Claim<R>,
  records: readonly R[],
  { message, cause }: { readonly message: string; readonly cause: unknown },
): LogError<'INVALID_RECORD'> {
  const first = records[0]?.offset
  const last = records.at(-1)?.offset
  const what = first === last ? `the record at offset ${first}` : `the batch ${first} to ${last}`
  const issue = { message: failureText(cause), path: [topic, partition, first ?? 0] }
  const text = `${topic}-${partition}: ${what} ${message}`
  return new LogError('INVALID_RECORD', text, { issues: [issue] }, { cause })
}
