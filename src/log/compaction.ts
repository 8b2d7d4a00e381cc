/**
 * Compaction of an open log: which of its partitions are dirty enough, and in what order they are
 * compacted (cleaner/cleaner.ts does it to one).
 *
 * As Kafka's LogCleanerManager: those that `maxCompactionLagMs` asks for come first, then the
 * dirtiest. What becomes dirty meanwhile is for the next run.
 *   I1  metadata.json says that a topic is compacted before the first of its segments is replaced
 *   I2  it goes on beside appends, reads and changes of topics; only its swaps keep these changes
 *       waiting (`change`), and wait for whoever copies the log (`through`)
 *   I3  once a topic is altered so that it is not compacted any more, nothing of it is replaced
 *   I4  one partition that fails does not stop the others. Where its bytes are damaged it is left
 *       alone until it changes: it would be read up to the same place each time
 */
import { LogError } from '../errors/log-error.ts'
import type { DeviceWait, Procedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { cleanableOf, type Cleanable } from './cleaner/cleanable.ts'
import { cleanPartition, type CleanResult } from './cleaner/cleaner.ts'
import type { CleanerProgress } from './cleaner-progress.ts'
import { type AppliedPolicy, isCompacted } from './cleanup-policy.ts'
import { nextTurn, type Clock } from './clock.ts'
import type { LogTopic } from './open-topics.ts'
import type { PartitionLog } from './partition-log.ts'
import type { SegmentRemoval } from './segment-removal.ts'
import { canSwap, type CleanedSegment, swapIn } from './segment-swap.ts'

/** Segments that are looked at before others have their turn. */
const LOOKS_A_TURN = 4_096

/** The log that is compacted. */
export interface CompactedLog {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly progress: CleanerProgress
  readonly removal: SegmentRemoval
  topics(): readonly LogTopic[]
  policyOf(topic: LogTopic): AppliedPolicy
  /** Says durably that offsets of a topic may be missing from now on. */
  markCompacted(topic: LogTopic): Procedure<void>
}

/** One run. */
export interface CompactionRun {
  /** Whatever can be compacted is, dirty enough or not. */
  readonly isForced: boolean
  /** Memory for keys. */
  readonly bufferBytes: number
  readonly throttle: (byteLength: number) => DeviceWait | undefined
  /** Runs a short procedure that changes files of the whole log, when those before it are over. */
  readonly change: <T>(begin: () => Procedure<T>) => Promise<T>
  /** Runs what removes files, alone. */
  readonly through: <T>(begin: () => Procedure<T>) => Procedure<T>
  readonly isStopped: () => boolean
  /** Runs what concerns one partition; undefined where it failed, which is said (I4). */
  readonly attempt: <T>(task: string, begin: () => Procedure<T>) => Procedure<T | undefined>
}

/** A partition that is to be compacted. */
interface Candidate {
  readonly topic: LogTopic
  readonly log: PartitionLog
  readonly cleanable: Cleanable
}

/** One partition that is being compacted. */
interface Work extends Pick<Candidate, 'topic' | 'log'> {
  readonly run: CompactionRun
}

/** See the file's header. */
export class Compaction {
  readonly #log: CompactedLog
  /** Partitions whose bytes are damaged, as they were then (I4). */
  readonly #damaged = new WeakMap<PartitionLog, number>()

  constructor(log: CompactedLog) {
    this.#log = log
  }

  /** One run; how many partitions were compacted. The caller sees to it that there is no other. */
  *run(run: CompactionRun): Procedure<number> {
    let compactedCount = 0
    for (const { topic, log } of yield* this.#dirtiest(run)) {
      if (run.isStopped()) break
      const task = `compaction of ${log.directory}`
      const hasCompacted = yield* run.attempt(task, () => this.#compact({ run, topic, log }))
      if (hasCompacted === true) compactedCount += 1
    }
    return compactedCount
  }

  /** What is due, in order. */
  *#dirtiest(run: CompactionRun): Procedure<readonly Candidate[]> {
    const candidates: Candidate[] = []
    let looks = 0
    for (const topic of this.#log.topics()) {
      for (const log of topic.partitions) {
        if (run.isStopped() || !isCompacted(this.#log.policyOf(topic))) break
        looks += 8 + log.segments.count
        if (looks > LOOKS_A_TURN) {
          looks = 0
          yield nextTurn
        }
        const cleanable = this.#dueOf(log, run)
        if (cleanable !== undefined) candidates.push({ topic, log, cleanable })
      }
    }
    return candidates.sort(byUrgency)
  }

  /** What can be compacted of a partition, where it is time. */
  #dueOf(log: PartitionLog, { isForced }: CompactionRun): Cleanable | undefined {
    if (log.end !== undefined || log.isReadOnly || !canSwap(log)) return undefined
    const { dirtyBytes, isDue, ...others } = this.cleanableOf(log)
    const hasWork = isForced ? dirtyBytes + others.cleanBytes > 0 : isDue
    if (!hasWork || (!isForced && this.#damaged.get(log) === log.layout.epoch)) return undefined
    return { dirtyBytes, isDue, ...others }
  }

  /** How much of a partition is dirty, and can be compacted. */
  cleanableOf(log: PartitionLog): Cleanable {
    const { progress, clock } = this.#log
    return cleanableOf(log, {
      firstDirtyOffset: progress.of(log),
      nowMs: clock.now(),
      modifiedMsOf: (segment) => this.#modifiedMsOf(segment),
    })
  }

  #modifiedMsOf(segment: Segment): number {
    return this.#log.driver.status(segment.logPath)?.modifiedMs ?? this.#log.clock.now()
  }

  /** Compacts one partition; true where something changed. */
  *#compact({ run, topic, log }: Work): Procedure<boolean> {
    const { progress } = this.#log
    // Much may have happened since it was looked at.
    if (!this.#isWanted(topic, log) || this.#dueOf(log, run) === undefined) return false
    const before = progress.of(log)
    const result = yield* this.#clean({ run, topic, log })
    if (result === undefined || log.end !== undefined) return false
    progress.set(log, result.firstDirtyOffset)
    return result.stats.newSegments > 0 || progress.of(log) > before
  }

  /** Its topic is there, and to be compacted. */
  #isWanted(topic: LogTopic, log: PartitionLog): boolean {
    return log.end === undefined && isCompacted(this.#log.policyOf(topic))
  }

  /** Undefined where it ended since nobody wants it any more. */
  *#clean({ run, topic, log }: Work): Procedure<CleanResult | undefined> {
    const { driver, clock, progress } = this.#log
    try {
      return yield* cleanPartition(log, {
        driver,
        firstDirtyOffset: progress.of(log),
        force: run.isForced,
        bufferBytes: run.bufferBytes,
        nowMs: clock.now(),
        modifiedMsOf: (segment) => this.#modifiedMsOf(segment),
        throttle: run.throttle,
        isStopped: () => run.isStopped() || !this.#isWanted(topic, log),
        swap: (old, cleaned) => this.#swap({ run, topic, log }, old, cleaned),
      })
    } catch (error) {
      if (!this.#isWanted(topic, log)) return undefined // Whatever it met of what is going.
      if (LogError.is(error, 'CORRUPT')) this.#damaged.set(log, log.layout.epoch)
      throw error
    }
  }

  /** Puts a cleaned segment in its place, when nobody minds (I2). */
  *#swap(
    { run, topic, log }: Work,
    old: readonly Segment[],
    cleaned: CleanedSegment,
  ): Procedure<void> {
    const { driver, removal } = this.#log
    const mark = (): Procedure<void> => this.#log.markCompacted(topic)
    const isWanted = (): boolean => this.#isWanted(topic, log)
    function* swapping(): Procedure<void> {
      if (!isWanted()) throw noLongerCompacted(log) // I3: changes of topics wait, from here on.
      yield* mark() // I1
      yield* swapIn({ driver, log, removal }, old, cleaned)
    }
    yield* run.through(function* () {
      yield () => run.change(swapping)
    })
  }
}

function noLongerCompacted({ directory }: PartitionLog): LogError {
  return new LogError('ABORTED', `${directory} is not compacted any more`, {})
}

/** Those that are overdue first, then the dirtiest. */
function byUrgency({ cleanable: a }: Candidate, { cleanable: b }: Candidate): number {
  if (a.isOverdue !== b.isOverdue) return a.isOverdue ? -1 : 1
  return b.dirtyRatio - a.dirtyRatio
}
