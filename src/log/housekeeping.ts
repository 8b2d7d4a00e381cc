/**
 * Housekeeping: what keeps an open log from growing for ever, a run at a time: positions of groups
 * expire, retention deletes old segments, compacted topics are compacted, files give space back.
 *
 * Owns which topics may lose what, the order of a run, and what is said of what fails. A run is one
 * long procedure that others go on beside; only its small durable steps go through the log's queue
 * of procedures (`change`).
 *   I1  nothing is deleted or compacted that nobody asked for: of topics that were adopted, only
 *       once their stored settings name a cleanup policy
 *   I2  what fails is left as it was and said once, until it succeeds or fails in another way; the
 *       rest of the run goes on, and the next run tries again
 *   I3  once stopped, a run ends at its next step
 *   I4  compaction may take hours, where it is held back: what may be deleted does not wait for it
 */
import { LogError } from '../errors/log-error.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { ByteBudget } from './byte-budget.ts'
import { CleanerProgress } from './cleaner-progress.ts'
import { type AppliedPolicy, isCompacted } from './cleanup-policy.ts'
import { type Clock, nextTurn } from './clock.ts'
import type { CommittedOffsets } from './committed-offsets.ts'
import { Compaction } from './compaction.ts'
import { Deletions } from './deletions.ts'
import type { LogTopic } from './open-topics.ts'
import type { PartitionLog } from './partition-log.ts'
import { RemovalGate } from './removal-gate.ts'
import { RetentionRuns, type RetentionEvent, type RetentionOutcome } from './retention-run.ts'
import { type SegmentReason, reasonsOf } from './segment-reasons.ts'
import { SegmentRemoval } from './segment-removal.ts'

/** A wall clock that moved so much more than time passed was set, or stood still. */
const CLOCK_JUMP_MS = 3_600_000

/** The log that is looked after. */
export interface HousekeptLog {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly offsets: CommittedOffsets
  topics(): readonly LogTopic[]
  /** I1 is kept there. */
  policyOf(topic: LogTopic): AppliedPolicy
  /** Moves the starts of partitions up, durably. */
  moveLogStarts(starts: ReadonlyMap<PartitionLog, number>): Procedure<void>
  /** Says durably that offsets of a topic may be missing from now on. */
  markCompacted(topic: LogTopic): Procedure<void>
}

/** How one run is done. */
export interface HousekeepingRun {
  /** Whether it compacts, and whatever can be, dirty enough or not. */
  readonly compaction: 'none' | 'due' | 'forced'
  /** Memory for keys. */
  readonly cleanerBufferBytes: number
  /** Infinity: no limit. */
  readonly cleanerMaxBytesPerSecond: number
  /** Milliseconds that a group may do nothing; -1: any time. */
  readonly offsetsRetentionMs: number
  readonly hasMembers: (groupId: string) => boolean
  /** Runs a short procedure that changes files of the whole log, when those before it are over. */
  readonly change: <T>(begin: () => Procedure<T>) => Promise<T>
  readonly warn: (event: HousekeepingEvent) => void
}

/** What a run noticed. */
export type HousekeepingEvent =
  | RetentionEvent
  | {
      readonly kind: 'failed'
      /** As in 'retention', for people. */
      readonly task: string
      readonly cause: LogError
    }
  | {
      readonly kind: 'clock-jumped'
      /** How much further the wall clock went than time. */
      readonly byMs: number
    }

/** What a run did. */
export interface HousekeepingOutcome {
  readonly deletedSegments: number
  readonly deletedBytes: number
  readonly cleanedPartitions: number
  /** Segments that are still there although something asks for their deletion. */
  readonly kept: readonly { readonly file: string; readonly reason: string }[]
}

/** Looks after one open log. */
export class Housekeeping {
  /** Files of segments that left their logs. */
  readonly removal: SegmentRemoval
  readonly retention: RetentionRuns
  readonly compaction: Compaction
  readonly progress: CleanerProgress
  readonly #gate = new RemovalGate()
  readonly #log: HousekeptLog
  /** What failed in the last run, and how: said already (I2). */
  #failed: ReadonlyMap<string, string> = new Map()
  /** What fails in this one. */
  #failing = new Map<string, string>()
  #seen: { readonly wallMs: number; readonly monotonicMs: number }
  /** Of the compaction under way. */
  #budget: ByteBudget | undefined
  #isStopped = false

  constructor(log: HousekeptLog) {
    this.#log = log
    this.removal = new SegmentRemoval(log.driver, log.clock)
    const { driver, clock, offsets } = log
    this.progress = new CleanerProgress(driver)
    const topics = {
      driver,
      removal: this.removal,
      topics: () => log.topics(),
      policyOf: (topic: LogTopic) => log.policyOf(topic),
    }
    this.retention = new RetentionRuns({ ...topics, offsets })
    this.compaction = new Compaction({
      ...topics,
      clock,
      progress: this.progress,
      markCompacted: (topic) => log.markCompacted(topic),
    })
    this.#seen = this.#readClock()
  }

  /** Ends the run under way at its next step, for good. */
  stop(): void {
    this.#isStopped = true
    this.#budget?.stop()
  }

  /** Why each segment of a partition of `topic` is there. */
  reasonsOf(topic: LogTopic, partition: PartitionLog): readonly SegmentReason[] {
    const verdicts = this.retention.explain(topic, partition, this.#log.clock.now())
    const isCleaned = isCompacted(this.#log.policyOf(topic))
    return reasonsOf(verdicts, isCleaned ? this.compaction.cleanableOf(partition) : undefined)
  }

  /** Nothing is deleted, replaced or freed while `work` is under way. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    return await this.#gate.hold(work)
  }

  /** One run; the caller sees to it that there is no other meanwhile. */
  *run(run: HousekeepingRun): Procedure<HousekeepingOutcome> {
    this.#failed = this.#failing
    this.#failing = new Map()
    const jumpedByMs = this.#clockJump()
    const clockJumped = jumpedByMs > CLOCK_JUMP_MS
    if (clockJumped) run.warn({ kind: 'clock-jumped', byMs: jumpedByMs })
    yield* this.#attempt(run, 'expiry of positions', () => {
      this.#log.offsets.expire(run.offsetsRetentionMs, run.hasMembers)
    })
    // Nothing to do is done at once: whoever asks again and again lets others have their turn.
    yield nextTurn
    const deletions = new Deletions(this.#log.clock)
    const deleting = (): Procedure<void> => this.#delete(run, clockJumped, deletions)
    yield* deleting()
    // Tombstones go by their age, too.
    const isSkipped = run.compaction === 'none' || clockJumped
    const compacting = isSkipped ? undefined : this.#compact(run)
    const cleanedPartitions =
      compacting === undefined ? 0 : yield* deletions.beside(compacting, deleting)
    yield* this.#attempt(run, 'freeing space', () => this.#freeDue())
    const { deletedSegments, deletedBytes, kept } = deletions
    return { deletedSegments, deletedBytes, cleanedPartitions, kept }
  }

  /** What retention lets go is deleted; in the course of compaction again (I4). */
  *#delete(run: HousekeepingRun, clockJumped: boolean, deletions: Deletions): Procedure<void> {
    deletions.begin()
    const outcome = yield* this.#attempt(run, 'retention', () => this.#retain(run, clockJumped))
    if (outcome !== undefined) deletions.add(outcome)
    if (deletions.count > 1) yield* this.#attempt(run, 'freeing space', () => this.#freeDue())
  }

  *#retain(run: HousekeepingRun, clockJumped: boolean): Procedure<RetentionOutcome> {
    const partitions = this.#log.topics().flatMap((topic) => topic.partitions)
    // Settings are replaced as a whole: what was planned by others than those in force is left out.
    const planned = new Map(partitions.map((partition) => [partition, partition.config]))
    const unaltered = (starts: ReadonlyMap<PartitionLog, number>): typeof starts =>
      new Map([...starts].filter(([partition]) => planned.get(partition) === partition.config))
    const outcome = yield* this.retention.run({
      nowMs: this.#log.clock.now(),
      clockJumped,
      moveLogStarts: (starts) => run.change(() => this.#log.moveLogStarts(unaltered(starts))),
      change: run.change,
      through: (begin) => this.#gate.through(begin),
      isStopped: () => this.#isStopped,
      warn: run.warn,
    })
    if (outcome.failure !== undefined) this.#fails(run, 'retention', outcome.failure)
    return outcome
  }

  *#compact(run: HousekeepingRun): Procedure<number> {
    const budget = new ByteBudget(this.#log.clock, run.cleanerMaxBytesPerSecond)
    this.#budget = budget
    const cleanedPartitions = yield* this.compaction.run({
      isForced: run.compaction === 'forced',
      bufferBytes: run.cleanerBufferBytes,
      throttle: (byteLength) => budget.take(byteLength),
      change: run.change,
      through: (begin) => this.#gate.through(begin),
      isStopped: () => this.#isStopped,
      attempt: (task, begin) => this.#attempt(run, task, begin),
    })
    this.#budget = undefined
    const { change } = run
    const write = (): Procedure<void> => {
      return this.progress.write(this.#log.topics().flatMap(({ partitions }) => partitions))
    }
    yield* this.#attempt(run, 'the checkpoint of compaction', function* () {
      yield () => change(write)
    })
    return cleanedPartitions
  }

  *#freeDue(): Procedure<void> {
    const { removal } = this
    const nowMs = this.#log.clock.now()
    if (!removal.isDue(nowMs)) return
    const failure = yield* this.#gate.through(() => removal.freeDue(nowMs))
    if (failure !== undefined) throw failure
  }

  /** Runs a part of a run, whose failure concerns no other (I2). */
  *#attempt<T>(
    run: HousekeepingRun,
    task: string,
    begin: () => Procedure<T> | void,
  ): Procedure<T | undefined> {
    if (this.#isStopped) return undefined
    try {
      const steps = begin()
      return steps === undefined ? undefined : yield* steps
    } catch (cause) {
      if (!LogError.is(cause)) throw cause
      this.#fails(run, task, cause)
      return undefined
    }
  }

  #fails(run: HousekeepingRun, task: string, cause: LogError): void {
    // What is deleted meanwhile needs nothing any more.
    if (this.#isStopped || LogError.is(cause, 'TOPIC_NOT_FOUND', 'CLOSED')) return
    const isSaid = [this.#failed, this.#failing].some((all) => all.get(task) === cause.message)
    this.#failing.set(task, cause.message)
    if (!isSaid) run.warn({ kind: 'failed', task, cause })
  }

  /** How much further the wall clock went than time since the last run, or since the open. */
  #clockJump(): number {
    const before = this.#seen
    this.#seen = this.#readClock()
    const { wallMs, monotonicMs } = this.#seen
    return wallMs - before.wallMs - (monotonicMs - before.monotonicMs)
  }

  #readClock(): { wallMs: number; monotonicMs: number } {
    const { clock } = this.#log
    return { wallMs: clock.now(), monotonicMs: clock.monotonicNow() }
  }
}
