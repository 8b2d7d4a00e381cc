/**
 * Asking a member for what comes next, and waiting until it is there: the one loop that `for
 * await`, `batches`, `poll` and `run` wait in.
 *
 *   I1  nothing wakes unheard: between a look that found nothing and the sleep nothing else runs
 *   I2  who asks again and again, and always finds something, gives the event loop back every 2 ms
 *   I3  a waiting ask of a log on disk keeps the process alive, as an open socket does
 */
import { LogError } from '../../errors/log-error.ts'
import { releaseProcess, retainProcess } from '../../log/clock.ts'
import type { GroupMember } from './group-member.ts'

/** What ends an ask, beside an answer. */
export interface AskLimits {
  readonly signal: AbortSignal | null
  /** Milliseconds to wait for the first answer; undefined: as long as it takes. */
  readonly timeoutMs: number | undefined
  /** How long until another look may find what this one did not, though nothing happens. */
  readonly dueInMs: () => number | undefined
}

/** Waits as long as it takes. */
export const NO_LIMITS: AskLimits = {
  signal: null,
  timeoutMs: undefined,
  dueInMs: () => undefined,
}

/**
 * Begins an ask: a member that was evicted joins anew. False where it has left, or is about to.
 * @throws {LogError} FENCED; what a hook failed with.
 */
export function beginAsk(member: GroupMember, call: string): boolean {
  if (member.hasLeft) {
    member.checkFailure()
    return false
  }
  member.rejoin()
  member.checkUsable(call) // Coming back, it may find another one in its place.
  member.stallWatch?.progress()
  return true
}

/**
 * What `look` finds, now or later; undefined when the time is over, and once the member has left.
 * @throws {LogError} ABORTED by the signal; whatever `look` throws; FENCED; what a hook failed
 * with.
 */
export async function awaitAnswer<T>(
  member: GroupMember,
  call: string,
  look: () => T | undefined,
  limits: AskLimits,
): Promise<T | undefined> {
  const { signal } = limits
  const wake = (): void => member.reads.wake()
  const timer = new AskTimer(member, wake)
  let isLate = limits.timeoutMs === 0
  if (limits.timeoutMs !== undefined && !isLate) {
    timer.lateAfter(limits.timeoutMs, () => (isLate = true))
  }
  signal?.addEventListener('abort', wake, { once: true })
  member.stallWatch?.waitBegan()
  if (member.host.holdsProcess) retainProcess()
  try {
    if (member.turn.isSpent) await member.turn.next()
    for (;;) {
      if (signal?.aborted === true) throw abortedBy(signal, call)
      if (!beginAsk(member, call)) return undefined
      const answer = look()
      if (answer !== undefined) return answer
      // The device is waited for in any case: what it reads would be thrown away again and again.
      if (isLate && !member.reads.isLoading) return undefined
      timer.lookAgainAfter(limits.dueInMs())
      await member.reads.sleep()
      member.turn.began()
    }
  } finally {
    timer.stop()
    signal?.removeEventListener('abort', wake)
    member.stallWatch?.waitEnded()
    if (member.host.holdsProcess) releaseProcess()
  }
}

/** The error of a call that its signal ended. */
function abortedBy(signal: AbortSignal, call: string): LogError<'ABORTED'> {
  const cause: unknown = signal.reason
  return new LogError('ABORTED', `consumer.${call} was aborted by its signal`, {}, { cause })
}

/** The times at which an ask looks again though nothing happened. */
class AskTimer {
  readonly #member: GroupMember
  readonly #wake: () => void
  #late: unknown
  #due: unknown

  constructor(member: GroupMember, wake: () => void) {
    this.#member = member
    this.#wake = wake
  }

  lateAfter(ms: number, mark: () => void): void {
    this.#late = this.#member.host.clock.setTimeout(() => {
      mark()
      this.#wake()
    }, ms)
  }

  lookAgainAfter(ms: number | undefined): void {
    if (this.#due !== undefined) this.#member.host.clock.clearTimeout(this.#due)
    this.#due = ms === undefined ? undefined : this.#member.host.clock.setTimeout(this.#wake, ms)
  }

  stop(): void {
    const { clock } = this.#member.host
    if (this.#late !== undefined) clock.clearTimeout(this.#late)
    if (this.#due !== undefined) clock.clearTimeout(this.#due)
  }
}
