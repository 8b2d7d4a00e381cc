/**
 * GroupRun: what `group.run` and `group.runBatches` return: members that call a handler, from the
 * first join to the last leave.
 *
 *   joining -> working -> stopping -> over    over when no handler has anything any more, or when
 *                                             the deadline passed: what is held is abandoned
 *   I1  whatever ended it, its members leave, and what was handled without a gap is committed
 *   I2  `done` settles last: it resolves where somebody stopped it, and rejects where it failed
 *   I3  `done` is not marked as handled: who ignores it hears of a failure from the process
 */
import { LogError, invalidArgument } from '../../errors/log-error.ts'
import { holdProcess } from '../../log/clock.ts'
import { checkOptions, describeValue } from '../check-options.ts'
import type { AnyRecord, Running } from '../group-types.ts'
import { DeadLetters } from './dead-letters.ts'
import { MemberWork, type RunParts } from './member-work.ts'
import type { Handling } from './run-handling.ts'
import type { HandlerRun, RunHost, RunWaiting } from './run-host.ts'
import type { RunPlan } from './run-options.ts'
import { TurnBudget } from './turn-budget.ts'

/** As that of `log.close`. */
const DEFAULT_TIMEOUT_MS = 10_000
/** A longer timer would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff

/** A promise that is settled from outside. */
class Latch {
  readonly settled: Promise<void>
  #resolve: (() => void) | undefined
  #reject: ((error: unknown) => void) | undefined

  constructor() {
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  resolve(): void {
    this.#resolve?.()
  }

  reject(error: unknown): void {
    this.#reject?.(error)
  }
}

/** See the file's header. */
export class GroupRun<R extends AnyRecord> implements Running, HandlerRun {
  readonly #host: RunHost<R>
  readonly #parts: RunParts<R>
  readonly #members: MemberWork<R>[] = []
  readonly #joins: Promise<void>[] = []
  readonly #ready = new Latch()
  readonly #done = new Latch()
  readonly #stopAsked = new Latch()
  readonly #deadlinePassed = new Latch()
  /** Resolves when it is over, failed or not. */
  readonly #over: Promise<void>
  #isStopping = false
  #endedCount = 0
  #failure: { readonly error: unknown } | undefined
  #deadlineMs = Infinity
  #deadlineTimer: unknown

  private constructor(host: RunHost<R>, handling: Handling<R>, plan: RunPlan) {
    const { group, clock } = host
    this.#host = host
    const topic = plan.deadLetterTopic
    const deadLetters = topic === null ? null : new DeadLetters(host, topic)
    const turn = new TurnBudget(clock)
    const fail = (error: unknown): void => this.#fail(error)
    this.#parts = { group, clock, plan, handling, deadLetters, turn, fail }
    // `done` says the same: who waits for `ready` alone is not told twice.
    this.#ready.settled.catch(() => undefined)
    this.#over = this.#live()
  }

  /**
   * Joins and begins.
   * @throws {LogError} CLOSED; INVALID_ARGUMENT for dead letters that the group itself would get.
   */
  static start<R extends AnyRecord>(
    host: RunHost<R>,
    handling: Handling<R>,
    plan: RunPlan,
  ): GroupRun<R> {
    host.checkOpen('group.run')
    checkDeadLetterTopic(host, plan.deadLetterTopic)
    return new GroupRun(host, handling, plan)
  }

  get ready(): Promise<void> {
    return this.#ready.settled
  }

  get done(): Promise<void> {
    return this.#done.settled
  }

  async stop(options?: { timeoutMs?: number | undefined }): Promise<void> {
    checkOptions(options, ['timeoutMs'], 'running.stop')
    const timeoutMs = options?.timeoutMs ?? DEFAULT_TIMEOUT_MS
    if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 0) {
      throw invalidArgument(
        `running.stop: timeoutMs is an integer from 0 on, not ${describeValue(timeoutMs)}`,
        { option: 'timeoutMs', value: timeoutMs },
      )
    }
    await this.finish(timeoutMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async finish(timeoutMs: number): Promise<void> {
    this.#stop(timeoutMs)
    await this.#over
  }

  waiting(): RunWaiting {
    const claims = this.#members.flatMap((member) => [...member.claims])
    const places = (count: 'handlerCount' | 'backoffCount'): readonly string[] =>
      claims
        .filter((claim) => claim[count] > 0)
        .map(({ taken }) => `${taken.topic}-${taken.partition} of group ${this.#host.group.id}`)
    return { forHandlers: places('handlerCount'), forBackoff: places('backoffCount') }
  }

  /** From the first join to the last leave. Never rejects. */
  async #live(): Promise<void> {
    const { signal } = this.#parts.plan
    const release = this.#host.holdsProcess ? holdProcess() : () => undefined
    const unregister = this.#host.register(this)
    signal?.addEventListener('abort', this.#aborted, { once: true })
    if (signal?.aborted === true) this.#aborted()
    await this.#begin()
    await this.#stopAsked.settled
    await this.#end()
    signal?.removeEventListener('abort', this.#aborted)
    unregister()
    release()
    this.#settle()
  }

  async #begin(): Promise<void> {
    const { deadLetters, plan } = this.#parts
    try {
      if (!this.#isStopping) await deadLetters?.prepare(this.#host.topics())
    } catch (error) {
      this.#fail(error)
    }
    if (this.#isStopping) return
    // All in one turn: so many members are one rebalance.
    for (let count = 0; count < plan.members; count += 1) this.#joins.push(this.#join())
    Promise.all(this.#joins).then(
      () => this.#isStopping || this.#ready.resolve(),
      (error: unknown) => this.#fail(error),
    )
  }

  /** Resolves when the member is ready. */
  async #join(): Promise<void> {
    const feed = await this.#host.join()
    const member = new MemberWork(feed, this.#parts)
    this.#members.push(member)
    if (this.#isStopping) {
      // Too late for `#end`, where its deadline has passed.
      await member.stop()
      await feed.leave()
      return
    }
    void member.run().then(() => this.#memberEnded())
    await feed.ready()
  }

  /** Its feed ended: the log closed, or somebody made it leave. */
  #memberEnded(): void {
    this.#endedCount += 1
    if (this.#endedCount === this.#parts.plan.members) this.#stop(DEFAULT_TIMEOUT_MS)
  }

  /** Waits for what handlers hold, and leaves. */
  async #end(): Promise<void> {
    const idle = Promise.all(this.#members.map((member) => member.stop()))
    const joined = Promise.allSettled(this.#joins)
    await idle // The deadline gives up what is held, so that this ends.
    await Promise.race([joined, this.#deadlinePassed.settled])
    this.#host.clock.clearTimeout(this.#deadlineTimer)
    const left = await Promise.allSettled(this.#members.map(({ feed }) => feed.leave()))
    for (const result of left) {
      if (result.status === 'rejected') this.#failure ??= { error: result.reason }
    }
  }

  #settle(): void {
    const failure = this.#failure
    const message = 'the run was stopped before its members were ready'
    this.#ready.reject(failure?.error ?? new LogError('ABORTED', message, {}))
    if (failure === undefined || this.#host.isGone) this.#done.resolve()
    else this.#done.reject(failure.error)
  }

  /** Begins nothing more, and gives up what is held after `timeoutMs`, or an earlier deadline. */
  #stop(timeoutMs: number): void {
    const { clock } = this.#host
    const wasStopping = this.#isStopping
    this.#isStopping = true
    if (!wasStopping) for (const member of this.#members) void member.stop()
    const deadlineMs = clock.monotonicNow() + timeoutMs
    if (deadlineMs < this.#deadlineMs) {
      this.#deadlineMs = deadlineMs
      if (this.#deadlineTimer !== undefined) clock.clearTimeout(this.#deadlineTimer)
      if (timeoutMs === 0) this.#giveUp()
      else this.#deadlineTimer = clock.setTimeout(this.#giveUp, Math.min(timeoutMs, MAX_TIMER_MS))
    }
    this.#stopAsked.resolve()
  }

  readonly #giveUp = (): void => {
    const message = 'the run was stopped, and its handler was not done in time'
    const reason = new LogError('ABORTED', message, {})
    for (const member of this.#members) member.abandon(reason)
    this.#deadlinePassed.resolve()
  }

  readonly #aborted = (): void => {
    const reason: unknown = this.#parts.plan.signal?.reason
    for (const member of this.#members) member.abort(reason)
    this.#stop(DEFAULT_TIMEOUT_MS)
  }

  /** What fails while it stops is the next run's to meet again. */
  #fail(error: unknown): void {
    if (this.#isStopping) return
    this.#failure = { error }
    this.#stop(DEFAULT_TIMEOUT_MS)
  }
}

/** A letter that its own group cannot handle either would become a letter, and so on. */
function checkDeadLetterTopic<R extends AnyRecord>(
  host: RunHost<R>,
  topic: RunPlan['deadLetterTopic'],
): void {
  const name = typeof topic === 'string' ? topic : topic?.name
  if (name === undefined || !host.selects(name)) return
  throw invalidArgument(
    `group.run: deadLetterTopic '${name}' is one of the topics of group ${host.group.id}, which ` +
      'would handle its own dead letters: choose a name that the group does not select',
    { option: 'deadLetterTopic', value: name, group: host.group.id },
  )
}
