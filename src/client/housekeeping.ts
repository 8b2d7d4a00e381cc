/**
 * Housekeeper: when an open log is looked after, by its timer and by `log.runHousekeeping`. What is
 * done then is housekeeping.ts' business in log/.
 *
 *   I1  one run at a time, in the order in which they were asked for; the timer asks for none while
 *       there is one
 *   I2  nothing is begun once it was stopped; the run under way ends at its next step
 *   I3  only a run that somebody waits for keeps the process alive
 */
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { holdProcess, idleTurn, nextTurn, systemClock, type Clock } from '../log/clock.ts'
import type { HousekeepingOutcome } from '../log/housekeeping.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { runProcedure, type DeviceWait, type ProcedureQueue } from '../storage/procedure.ts'
import { checkOptions, describeValue } from './check-options.ts'
import type { CheckedLogOptions } from './log-options.ts'
import type { HousekeepingReport } from './log-reports.ts'
import { housekeepingFailed, housekeepingNoticed, type Warn } from './log-warnings.ts'

/** Options of `log.runHousekeeping`. */
export interface HousekeepingOptions {
  /** Compacts whatever can be compacted, whatever `minCleanableDirtyRatio` says. Default false. */
  force?: boolean | undefined
}

/** The open log, as far as it is looked after. */
export interface HousekeeperHost {
  readonly clock: Clock
  readonly holdsProcess: boolean
  readonly warn: Warn
  /** Who is in the groups. */
  readonly groups: { activity(groupId: string): unknown }
  checkOpen(call: string): void
}

/** What is looked after, and with what. */
export interface HousekeeperContext {
  readonly directory: LogDirectory
  readonly procedures: ProcedureQueue
  readonly options: CheckedLogOptions
  /** Frees what deleted topics held; never rejects. */
  readonly freeTopics: () => Promise<void>
}

const CALL = 'log.runHousekeeping'
/** A longer timer would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff

/** Looks after one open log. */
export class Housekeeper {
  readonly #host: HousekeeperHost
  readonly #context: HousekeeperContext
  /** Of the run that was asked for last. */
  #last: Promise<unknown> = Promise.resolve()
  /** Runs that are not over. */
  #runs = 0
  #timer: unknown
  #isStopped = false

  constructor(host: HousekeeperHost, context: HousekeeperContext) {
    this.#host = host
    this.#context = context
  }

  /** From now on the log is looked after by itself, where it is to be. */
  start(): void {
    const { housekeepingIntervalMs } = this.#context.options
    if (housekeepingIntervalMs === null || this.#isStopped) return
    this.#timer = this.#host.clock.setTimeout(
      () => this.#due(),
      Math.min(housekeepingIntervalMs, MAX_TIMER_MS),
    )
  }

  /** Begins nothing any more, and ends the run under way at its next step. */
  stop(): void {
    this.#isStopped = true
    if (this.#timer !== undefined) this.#host.clock.clearTimeout(this.#timer)
    this.#context.directory.housekeeping.stop()
  }

  /** Resolves when no run is under way. */
  async ended(): Promise<void> {
    await this.#last
  }

  /**
   * A run of its own, behind those that were asked for before.
   * @throws {LogError} INVALID_ARGUMENT; CLOSED where the log is closed before the run is over.
   */
  async run(options: HousekeepingOptions | undefined): Promise<HousekeepingReport> {
    checkOptions(options, ['force'], CALL)
    const force: unknown = options?.force ?? false
    if (typeof force !== 'boolean') {
      throw invalidArgument(`${CALL}: force is true or false, not ${describeValue(force)}`, {
        option: 'force',
        value: force,
      })
    }
    this.#host.checkOpen(CALL)
    const release = this.#host.holdsProcess ? holdProcess() : () => undefined
    try {
      return await this.#next({ force, isAwaited: true })
    } finally {
      release()
    }
  }

  #due(): void {
    this.start()
    if (this.#runs > 0) return
    this.#next({ force: false, isAwaited: false }).catch((cause: unknown) => {
      if (!this.#isStopped) this.#host.warn(housekeepingFailed(cause))
    })
  }

  #next(how: { force: boolean; isAwaited: boolean }): Promise<HousekeepingReport> {
    this.#runs += 1
    const run = this.#last.then(() => this.#perform(how))
    this.#last = run
      .catch(() => undefined) // Whoever asked for it is told; the next one runs all the same.
      .finally(() => {
        this.#runs -= 1
      })
    return run
  }

  async #perform({
    force,
    isAwaited,
  }: {
    force: boolean
    isAwaited: boolean
  }): Promise<HousekeepingReport> {
    const { clock, groups, warn } = this.#host
    const { directory, procedures, options, freeTopics } = this.#context
    this.#checkGoesOn()
    const startedMs = clock.monotonicNow()
    const run = directory.housekeeping.run({
      force,
      offsetsRetentionMs: options.offsetsRetentionMs,
      hasMembers: (groupId) => groups.activity(groupId) !== undefined,
      change: (begin) => procedures.run(begin),
      warn: (event) => warn(housekeepingNoticed(event)),
    })
    const outcome: HousekeepingOutcome = await runProcedure(run, (wait) =>
      paced(wait, clock, isAwaited),
    )
    this.#checkGoesOn()
    await freeTopics()
    this.#checkGoesOn()
    return { ...outcome, durationMs: clock.monotonicNow() - startedMs }
  }

  #checkGoesOn(): void {
    if (this.#isStopped) throw new LogError('CLOSED', `${CALL}: the log was closed`, { call: CALL })
  }
}

/**
 * Waits between two slices of work. Each wait asks the clock for the time: whoever moves it by hand
 * waits for work that goes on. What nobody waits for does not keep the process alive (I3).
 */
function paced(wait: DeviceWait, clock: Clock, isAwaited: boolean): Promise<unknown> {
  clock.monotonicNow()
  return wait === nextTurn && !isAwaited && clock === systemClock ? idleTurn() : wait()
}
