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
import type { HousekeepingRun } from '../log/housekeeping.ts'
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

/** One run. */
interface RunKind {
  readonly compaction: HousekeepingRun['compaction']
  /** Somebody waits for it. */
  readonly isAwaited: boolean
}

const CALL = 'log.runHousekeeping'
/** What `deleteRecords` cut off is freed soon; calls that come together share a run. */
const SOON_MS = 1_000
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
  /** Of a run that only deletes and frees; undefined where none is set. */
  #soonTimer: unknown
  #soonAtMs = Infinity
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
    if (this.#soonTimer !== undefined) this.#host.clock.clearTimeout(this.#soonTimer)
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
      return await this.#next({ compaction: force ? 'forced' : 'due', isAwaited: true })
    } finally {
      release()
    }
  }

  /** Records were deleted by hand: their segments may go. */
  recordsDeleted(): void {
    this.#deleteIn(SOON_MS)
  }

  #due(): void {
    this.start()
    if (this.#runs === 0) this.#unawaited('due')
  }

  /** A run that compacts nothing, unless the log is looked after only by hand. */
  #deleteIn(ms: number): void {
    const { clock } = this.#host
    const isByHand = this.#context.options.housekeepingIntervalMs === null
    const delayMs = Math.min(ms, MAX_TIMER_MS)
    const atMs = clock.monotonicNow() + delayMs
    if (isByHand || this.#isStopped || atMs >= this.#soonAtMs) return
    if (this.#soonTimer !== undefined) clock.clearTimeout(this.#soonTimer)
    this.#soonAtMs = atMs
    this.#soonTimer = clock.setTimeout(() => {
      this.#soonTimer = undefined
      this.#soonAtMs = Infinity
      this.#unawaited('none')
    }, delayMs)
  }

  #unawaited(compaction: RunKind['compaction']): void {
    this.#next({ compaction, isAwaited: false }).catch((cause: unknown) => {
      if (!this.#isStopped) this.#host.warn(housekeepingFailed(cause))
    })
  }

  #next(kind: RunKind): Promise<HousekeepingReport> {
    this.#runs += 1
    const run = this.#last.then(() => this.#perform(kind))
    this.#last = run
      .catch(() => undefined) // Whoever asked for it is told; the next one runs all the same.
      .finally(() => {
        this.#runs -= 1
      })
    return run
  }

  async #perform({ compaction, isAwaited }: RunKind): Promise<HousekeepingReport> {
    const { clock, groups, warn } = this.#host
    const { directory, procedures, options, freeTopics } = this.#context
    this.#checkGoesOn()
    const startedMs = clock.monotonicNow()
    const { housekeeping } = directory
    const run = housekeeping.run({
      ...options,
      compaction,
      hasMembers: (groupId) => groups.activity(groupId) !== undefined,
      change: (begin) => procedures.run(begin),
      warn: (event) => warn(housekeepingNoticed(event)),
    })
    const outcome = await runProcedure(run, (wait) => paced(wait, clock, isAwaited))
    this.#checkGoesOn()
    await freeTopics()
    this.#checkGoesOn()
    const freesInMs = (housekeeping.removal.nextDueMs ?? 0) - clock.now()
    // What is due and still there could not be freed: the next run that is due tries again.
    if (freesInMs > 0) this.#deleteIn(freesInMs)
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
