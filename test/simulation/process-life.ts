/**
 * ProcessLife: one process with an open log, from its start to its end: what it waits for, and
 * whether an error that it was given fits what went wrong.
 *
 *   I1  every promise that the library gave is awaited here, so that none can hang unnoticed
 *   I2  an error is a LogError of a code that the call may fail with, or that a fault explains
 *   I3  once the process has stopped nothing that it says counts
 */
import { LogError, type EventLog, type LogErrorCode, type LogWarning } from '../../src/index.ts'
import type { Blame, FaultPlan } from './fault-plan.ts'
import type { ScheduledDriver } from './scheduled-driver.ts'
import type { Scheduler } from './scheduler.ts'
import { must } from './simulation-failure.ts'

/** Codes that a fault may bring about in any call that reaches files. */
const BLAMED_ON: ReadonlyMap<LogErrorCode, readonly Blame[]> = new Map([
  ['NO_SPACE', ['NO_SPACE']],
  ['IO', ['IO', 'sync', 'read', 'NO_SPACE']],
  ['READ_ONLY', ['sync', 'EROFS']],
] as const)

/** What a call is expected to come to. */
export interface Expectation<T> {
  readonly what: string
  /** Codes with which it may fail though nothing went wrong. */
  readonly mayFailWith?: readonly LogErrorCode[]
  /** Nothing fails any more, so nothing that failed before explains it. */
  readonly isCalm?: boolean
  readonly done?: (value: T) => void
  readonly failed?: (error: LogError) => void
}

type Judged = Pick<Expectation<never>, 'what' | 'mayFailWith' | 'isCalm'>

/** See the file's header. */
export class ProcessLife {
  readonly scheduler: Scheduler
  readonly driver: ScheduledDriver
  readonly faults: FaultPlan
  isClosing = false
  /** Of the machine that it runs on. */
  bootId = ''
  /** Bytes were damaged: CORRUPT is a right answer. */
  isTainted: () => boolean = () => false
  /** Hears of each partition whose sync failed. */
  onReadOnly: (details: LogWarning['details']) => void = () => undefined
  /** Whether a position that is not in the log any more was moved as it should be. */
  isRightReset: (details: LogWarning['details']) => boolean = () => false
  /** What broke while nobody could be told. */
  failure: unknown
  #log: EventLog | undefined
  readonly #pending = new Map<number, string>()
  #calls = 0

  constructor(scheduler: Scheduler, driver: ScheduledDriver, faults: FaultPlan) {
    this.scheduler = scheduler
    this.driver = driver
    this.faults = faults
  }

  get log(): EventLog {
    must(this.#log !== undefined, () => 'no log is open')
    return this.#log
  }

  set log(log: EventLog) {
    this.#log = log
  }

  /** Promises that have not settled. */
  get pendingCount(): number {
    return this.#pending.size
  }

  /** What is waited for, for messages. */
  readonly waiting = (): string =>
    `${[...this.#pending.values()].slice(0, 6).join(', ')} (${this.driver.openCount} files open)`

  /** Waits for a promise of the library (I1). */
  track<T>(promise: Promise<T>, expectation: Expectation<T>): void {
    const call = this.#calls++
    this.#pending.set(call, expectation.what)
    const settle = (then: () => void): void => {
      if (this.faults.isStopped) return
      this.#pending.delete(call)
      try {
        then()
      } catch (error) {
        this.failure ??= error
      }
    }
    promise.then(
      (value) => {
        settle(() => {
          this.scheduler.trace.number(3)
          expectation.done?.(value)
        })
      },
      (error: unknown) => {
        settle(() => {
          const fitting = this.judge(error, expectation)
          this.scheduler.trace.text(fitting.code)
          expectation.failed?.(fitting)
        })
      },
    )
  }

  /** A call that answers at once; undefined where it failed as it may. */
  now<T>(call: () => T, expectation: Expectation<T>): T | undefined {
    try {
      const value = call()
      if (!this.faults.isStopped) expectation.done?.(value)
      return value
    } catch (error) {
      if (this.faults.isStopped) return undefined
      const fitting = this.judge(error, expectation)
      this.scheduler.trace.text(fitting.code)
      expectation.failed?.(fitting)
      return undefined
    }
  }

  /** I2. */
  judge(error: unknown, { what, mayFailWith = [], isCalm }: Judged): LogError {
    if (!LogError.is(error)) throw error
    const { code } = error
    const blames = BLAMED_ON.get(code) ?? []
    const fits =
      mayFailWith.includes(code) ||
      (isCalm !== true && blames.some((blame) => this.faults.seen.has(blame))) ||
      (code === 'CLOSED' && this.isClosing) ||
      (this.isTainted() && (code === 'CORRUPT' || code === 'IO'))
    if (!fits) throw unexplained(what, error)
    return error
  }

  /** What the log noticed by itself is explained by a fault as well. */
  readonly warned = (warning: LogWarning): void => {
    const { code, message, cause } = warning
    if (code === 'CONFIG_CHANGED' || this.faults.isStopped) return
    const { seen } = this.faults
    if (code === 'PARTITION_READ_ONLY') this.onReadOnly(warning.details)
    const fits =
      this.isTainted() ||
      (code === 'PARTITION_READ_ONLY' && seen.has('sync')) ||
      (code === 'HOUSEKEEPING_FAILED' && seen.size > 0) ||
      (code === 'CLOCK_JUMPED' && this.scheduler.wasSetAhead) ||
      (code === 'OFFSET_RESET' && this.isRightReset(warning.details))
    if (!fits) {
      this.failure ??= unexplained(
        `the log warned of ${code}`,
        cause instanceof Error ? cause : new Error(message),
      )
    }
  }

  /** Throws what broke meanwhile. */
  throwFailure(): void {
    if (this.failure !== undefined) throw this.failure
  }
}

function unexplained(what: string, cause: Error): Error {
  const code = LogError.is(cause) ? `${cause.code}: ` : ''
  return new Error(`${what}: no fault explains ${code}${cause.message}`, { cause })
}
