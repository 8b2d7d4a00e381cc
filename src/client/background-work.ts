/**
 * BackgroundWork: what an open log does by itself besides its housekeeping: checkpoints, and
 * freeing the space of deleted topics.
 *
 *   I1  nothing is begun once it was stopped, and nothing goes on once it has ended
 *   I2  one checkpoint at a time, and one that frees space; who changes topics waits for neither
 */
import type { Clock } from '../log/clock.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import type { ProcedureQueue } from '../storage/procedure.ts'
import { housekeepingFailed, type Warn } from './log-warnings.ts'

/** Recovery never reads more than what was appended in this time. */
const CHECKPOINT_INTERVAL_MS = 60_000
/** Small segments roll often: their checkpoints come together. */
const ROLL_CHECKPOINT_DELAY_MS = 1_000

/** The background of one open log. */
export class BackgroundWork {
  readonly #directory: LogDirectory
  readonly #procedures: ProcedureQueue
  readonly #clock: Clock
  readonly #warn: Warn
  /** Work that nobody waits for, until the log closes. */
  readonly #running = new Set<Promise<void>>()
  #freeing: Promise<void> | undefined
  #isStopped = false
  #wantsCheckpoint = false
  #isCheckpointing = false
  #checkpointTimer: unknown
  #rollTimer: unknown

  constructor(
    directory: LogDirectory,
    procedures: ProcedureQueue,
    { clock, warn }: { readonly clock: Clock; readonly warn: Warn },
  ) {
    this.#directory = directory
    this.#procedures = procedures
    this.#clock = clock
    this.#warn = warn
  }

  /** From now on checkpoints are written. */
  start(): void {
    if (this.#directory.driver.volatile) return
    this.#scheduleCheckpoint()
    void this.freeSpace()
  }

  /** Begins nothing any more. */
  stop(): void {
    this.#isStopped = true
    if (this.#checkpointTimer !== undefined) this.#clock.clearTimeout(this.#checkpointTimer)
    if (this.#rollTimer !== undefined) this.#clock.clearTimeout(this.#rollTimer)
  }

  /** Resolves when everything that was begun is over. */
  async ended(): Promise<void> {
    await Promise.all(this.#running)
  }

  /** A segment was sealed: a checkpoint comes soon. */
  rolled(): void {
    if (this.#directory.driver.volatile || this.#isStopped || this.#rollTimer !== undefined) return
    this.#rollTimer = this.#clock.setTimeout(() => {
      this.#rollTimer = undefined
      if (!this.#isStopped) void this.#run(this.#checkpoint())
    }, ROLL_CHECKPOINT_DELAY_MS)
  }

  /**
   * Frees what deleted topics held, and never rejects. A log that closes meanwhile leaves it to the
   * next one; what fails is tried again with the next call.
   */
  async freeSpace(): Promise<void> {
    if (this.#isStopped || !this.#directory.hasSpaceToFree) return
    this.#freeing ??= this.#run(this.#freeTopics()).finally(() => {
      this.#freeing = undefined
    })
    await this.#freeing
  }

  #scheduleCheckpoint(): void {
    this.#checkpointTimer = this.#clock.setTimeout(() => {
      if (this.#isStopped) return
      void this.#run(this.#checkpoint())
      this.#scheduleCheckpoint()
    }, CHECKPOINT_INTERVAL_MS)
  }

  /**
   * What the checkpoints may count is synced first: nobody who changes topics waits for that. Once
   * more where one was wanted meanwhile.
   */
  async #checkpoint(): Promise<void> {
    this.#wantsCheckpoint = true
    if (this.#isCheckpointing) return
    this.#isCheckpointing = true
    try {
      while (this.#wantsCheckpoint && !this.#isStopped) {
        this.#wantsCheckpoint = false
        await this.#directory.syncForCheckpoint()
        if (!this.#isStopped) await this.#procedures.run(() => this.#directory.writeCheckpoints())
      }
    } finally {
      this.#isCheckpointing = false
    }
  }

  async #freeTopics(): Promise<void> {
    const { housekeeping } = this.#directory
    while (!this.#isStopped && this.#directory.hasSpaceToFree) {
      const topicIds = await housekeeping.exclusive(() => this.#directory.freeSpace())
      if (this.#isStopped) return
      await this.#procedures.run(() => this.#directory.forgetDeleted(topicIds))
    }
  }

  #run(work: Promise<void>): Promise<void> {
    const settled = work
      .catch((cause: unknown) => {
        if (!this.#isStopped) this.#warn(housekeepingFailed(cause))
      })
      .finally(() => this.#running.delete(settled))
    this.#running.add(settled)
    return settled
  }
}
