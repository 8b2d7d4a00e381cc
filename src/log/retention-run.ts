/**
 * RetentionRuns: deletes what retention lets go of, over all partitions of an open log.
 *
 * What may go is retention.ts' to say, what becomes of the files segment-removal.ts'. A partition
 * is looked at, and its active segment ended where that goes too, in one turn; then its log starts
 * behind what goes, durably, and from there on it is all the same who moved the start:
 *
 *   step                                            what a stop behind it leaves
 *   1  positions of groups are durable              everything
 *   2  the active segment is ended, where it goes   everything, and an empty segment
 *   3  what is below the new start is durable       the same, on stable storage
 *   4  the log start checkpoint is written          a log that starts there: the rest at open
 *   5  readers hear of it, segments leave the list
 *   6  their files -> ….deleted, oldest first       some of them below the start of the log
 *   7  the directory is synced                      they are gone; ….deleted is removed at open
 *
 *   I1  nothing goes before a start of the log behind it is on stable storage, and what the log
 *       goes on with: its next segment has a durable name
 *   I2  only positions that a power cut cannot take back let a segment go
 *   I3  one partition that fails does not stop the others
 *   I4  no more than so many files and segments are looked at in one turn
 */
import { LogError } from '../errors/log-error.ts'
import type { DeviceWait, Procedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { AppliedPolicy } from './cleanup-policy.ts'
import { nextTurn } from './clock.ts'
import type { CommittedOffsets } from './committed-offsets.ts'
import { OFFSETS_TOPIC } from './internal-topics.ts'
import type { LogTopic } from './open-topics.ts'
import type { PartitionLog } from './partition-log.ts'
import {
  countBelowStart,
  explainRetention,
  planRetention,
  type GroupProgress,
  type RetentionContext,
  type RetentionPlan,
  type SegmentVerdict,
  type UnconsumedSegments,
} from './retention.ts'
import type { SegmentRemoval } from './segment-removal.ts'
import { canSwap } from './segment-swap.ts'

/** Segments that lose their names in one turn: four files each, some 2 ms. */
const SEGMENTS_A_TURN = 8
/** Segments that are looked at in one turn. */
const LOOKS_A_TURN = 4_096
/** Files whose time is asked for in one turn. */
const FILES_A_TURN = 64

/** The log that is looked after. */
export interface RetainedTopics {
  readonly driver: StorageDriver
  readonly offsets: Pick<CommittedOffsets, 'get'>
  readonly removal: SegmentRemoval
  topics(): readonly LogTopic[]
  policyOf(topic: LogTopic): AppliedPolicy
}

/** One run. */
export interface RetentionRun {
  readonly nowMs: number
  /** Nothing is deleted by its age. */
  readonly clockJumped: boolean
  /** Makes logs start at these offsets, which are above where they start: durably, then for all. */
  readonly moveLogStarts: (starts: ReadonlyMap<PartitionLog, number>) => Promise<void>
  /** Runs a short procedure while no topic is made or deleted. */
  readonly change: <T>(begin: () => Procedure<T>) => Promise<T>
  /** Runs what removes files, alone. */
  readonly through: <T>(begin: () => Procedure<T>) => Procedure<T>
  readonly isStopped: () => boolean
  readonly warn: (event: RetentionEvent) => void
}

/** What users should hear of. */
export interface RetentionEvent {
  /** Segments stay for groups alone, or went before groups had consumed them. */
  readonly kind: 'retention-blocked' | 'unconsumed-deleted'
  readonly partition: PartitionLog
  readonly groups: readonly string[]
  readonly bytes: number
}

/** What a run did. */
export interface RetentionOutcome {
  readonly deletedSegments: number
  readonly deletedBytes: number
  /** Segments that are there although something asks for their deletion. */
  readonly kept: readonly { readonly file: string; readonly reason: string }[]
  /** What the first partition failed with that did. */
  readonly failure: LogError | undefined
}

/** Where groups are in each partition of a topic that is kept for them. */
type Positions = ReadonlyMap<PartitionLog, readonly GroupProgress[]>

/** See the file's header. */
export class RetentionRuns {
  readonly #log: RetainedTopics
  /** For whom segments stay, as it was said already. */
  readonly #said = new WeakMap<PartitionLog, string>()
  /** When sealed segments were written last: none is ever again. */
  readonly #sealedAtMs = new WeakMap<Segment, number>()

  constructor(log: RetainedTopics) {
    this.#log = log
  }

  /** One run; the caller sees to it that there is no other. Must be run with its waits. */
  *run(run: RetentionRun): Procedure<RetentionOutcome> {
    const findings = new Findings()
    const positions = yield* this.#durablePositions(findings)
    yield* this.#look(run, positions, findings)
    yield* this.#moveStarts(run, findings)
    for (const partition of this.#overtaken()) {
      if (run.isStopped()) break
      yield* findings.attempt(() => run.through(() => this.#remove(run, partition, findings)))
    }
    for (const { event, start } of findings.lost) {
      if (event.partition.logStartOffset >= start) run.warn(event)
    }
    const { deletedSegments, deletedBytes, kept, failure } = findings
    return { deletedSegments, deletedBytes, kept, failure }
  }

  /** Why each segment of a partition of `topic` is there. */
  explain(
    topic: LogTopic,
    partition: PartitionLog,
    nowMs: number,
  ): readonly SegmentVerdict<Segment>[] {
    const groups = this.#progressOf(topic, partition)
    const context = this.#contextOf(topic, groups, { nowMs, clockJumped: false })
    return explainRetention(partition, context)
  }

  /**
   * Partitions with segments below their start. Where a swap was not brought to its end they stay
   * until the next open has settled it: their files do not have the names of segments.
   */
  #overtaken(): readonly PartitionLog[] {
    const partitions = this.#log.topics().flatMap((topic) => topic.partitions)
    return partitions.filter(
      (log) => countBelowStart(log.segments, log.logStartOffset) > 0 && canSwap(log),
    )
  }

  /** What was committed now, once no power cut can take it back (I2). */
  *#durablePositions(findings: Findings): Procedure<Positions> {
    const positions = new Map<PartitionLog, readonly GroupProgress[]>()
    for (const topic of this.#log.topics()) {
      if (topic.config.retainUntilConsumed.length === 0) continue
      for (const log of topic.partitions) positions.set(log, this.#progressOf(topic, log))
    }
    if (positions.size === 0) return positions
    const offsets = this.#log.topics().find(({ name }) => name === OFFSETS_TOPIC)
    const logs = offsets?.partitions ?? []
    const isDurable = yield* findings.attempt(() => {
      return waitFor(() => Promise.all(logs.map((log) => log.makeDurable(log.logEndOffset))))
    })
    if (isDurable === true) return positions
    return new Map(Array.from(positions, ([log, groups]) => [log, groups.map(unknownProgress)]))
  }

  #progressOf({ name, config }: LogTopic, { partition }: PartitionLog): readonly GroupProgress[] {
    return config.retainUntilConsumed.map((groupId) => {
      return { groupId, offset: this.#log.offsets.get(groupId, name, partition)?.offset ?? null }
    })
  }

  /** Step 2, so many segments a turn (I4). */
  *#look(run: RetentionRun, positions: Positions, findings: Findings): Procedure<void> {
    let looks = 0
    for (const topic of this.#log.topics()) {
      for (const partition of topic.partitions) {
        looks += 8 + partition.segments.count
        if (looks > LOOKS_A_TURN) {
          looks = 0
          yield nextTurn
        }
        yield* this.#readTimes(partition, run.nowMs)
        if (run.isStopped()) return
        if (partition.end !== undefined) continue
        const context = this.#contextOf(topic, positions.get(partition) ?? [], run)
        const plan = planRetention(partition, context)
        findings.planned(partition, plan)
        this.#sayHeld(run, partition, plan.held)
      }
    }
  }

  /** Of segments whose records have no time that counts; the active one's is asked for later. */
  *#readTimes(partition: PartitionLog, nowMs: number): Procedure<void> {
    if (partition.config.retentionMs < 0) return
    let files = 0
    for (const segment of [...partition.segments]) {
      const { largestTimestamp, isSealed } = segment
      const isKnown = largestTimestamp >= 0 && largestTimestamp <= nowMs
      if (isKnown || !isSealed || this.#sealedAtMs.has(segment)) continue
      this.#sealedAtMs.set(segment, this.#modifiedMs(segment, nowMs))
      files += 1
      if (files % FILES_A_TURN === 0) yield nextTurn
    }
  }

  #modifiedMs(segment: Segment, nowMs: number): number {
    return this.#log.driver.status(segment.logPath)?.modifiedMs ?? nowMs
  }

  #contextOf(
    topic: LogTopic,
    groups: readonly GroupProgress[],
    { nowMs, clockJumped }: Pick<RetentionRun, 'nowMs' | 'clockJumped'>,
  ): RetentionContext<Segment> {
    return {
      nowMs,
      policy: this.#log.policyOf(topic),
      groups,
      trustsClock: !clockJumped,
      modifiedMs: (segment) => this.#sealedAtMs.get(segment) ?? this.#modifiedMs(segment, nowMs),
    }
  }

  /** Once, until it is for other groups. */
  #sayHeld(run: RetentionRun, partition: PartitionLog, held: UnconsumedSegments | null): void {
    if (held === null) {
      this.#said.delete(partition)
      return
    }
    const { groups, bytes } = held
    const said = groups.join()
    if (this.#said.get(partition) === said) return
    this.#said.set(partition, said)
    run.warn({ kind: 'retention-blocked', partition, groups, bytes })
  }

  /** Steps 3 to 5. */
  *#moveStarts(run: RetentionRun, findings: Findings): Procedure<void> {
    const { driver } = this.#log
    const starts = new Map<PartitionLog, number>()
    for (const [partition, start] of findings.starts) {
      const { directory } = partition
      const isReady = yield* findings.attempt(function* () {
        yield () => partition.makeDurable(start)
        // A segment that holds nothing yet is part of no sync: its name has to outlive the others.
        if (findings.rolled.has(partition) && partition.end === undefined) {
          yield () => driver.flushDirectory(directory)
        }
        return true
      })
      if (isReady === true && partition.end === undefined) starts.set(partition, start)
    }
    if (starts.size > 0 && !run.isStopped()) {
      yield* findings.attempt(() => this.#moveTogether(run, starts))
    }
  }

  /** On a full disk what waits for its delay makes room for the checkpoint that more waits for. */
  *#moveTogether(run: RetentionRun, starts: ReadonlyMap<PartitionLog, number>): Procedure<true> {
    const { removal } = this.#log
    try {
      return yield* waitFor(() => run.moveLogStarts(starts))
    } catch (error) {
      if (!LogError.is(error, 'NO_SPACE') || removal.pendingFiles === 0) throw error
      yield* run.through(() => removal.freeDue(Infinity))
      return yield* waitFor(() => run.moveLogStarts(starts))
    }
  }

  /** Steps 6 and 7, and what only the segments that went needed. */
  *#remove(run: RetentionRun, partition: PartitionLog, findings: Findings): Procedure<void> {
    const { driver, removal } = this.#log
    const { logStartOffset } = partition
    yield () => partition.makeDurable(logStartOffset) // I1
    let stuck: LogError | undefined
    let count = countBelowStart(partition.segments, logStartOffset)
    while (count > 0 && partition.end === undefined && !run.isStopped()) {
      const someCount = Math.min(count, SEGMENTS_A_TURN)
      const dropped = partition.layout.change(() => {
        const some = partition.dropSegments(someCount)
        stuck = removal.setAsideOrKeepTrying(partition, some)
        return some
      })
      findings.failed(stuck)
      count -= dropped.length
      findings.deletedSegments += dropped.length
      for (const { sizeBytes } of dropped) findings.deletedBytes += sizeBytes
      yield nextTurn
    }
    // Another topic may have the name of one that is deleted: its folder is not to be met.
    yield () => run.change(() => forgetGone(driver, partition, stuck === undefined))
  }
}

/** What only the segments needed that went: their names, snapshots, and their epochs at last. */
function* forgetGone(
  driver: StorageDriver,
  partition: PartitionLog,
  areGone: boolean,
): Procedure<void> {
  if (partition.end !== undefined) return
  yield () => driver.flushDirectory(partition.directory)
  yield () => partition.snapshots.removeUnneeded(partition)
  // Segments that kept their names may be found again, with batches of epochs before.
  if (areGone && partition.epochs.hasOld) yield* partition.epochs.save()
}

/** What a run found out so far. */
class Findings {
  readonly starts = new Map<PartitionLog, number>()
  /** Their active segment was ended: the new one has a name that a power cut may take away. */
  readonly rolled = new Set<PartitionLog>()
  readonly kept: { readonly file: string; readonly reason: string }[] = []
  /** Said once the log starts there. */
  readonly lost: { readonly event: RetentionEvent; readonly start: number }[] = []
  deletedSegments = 0
  deletedBytes = 0
  failure: LogError | undefined

  /** Notes a plan, and ends the active segment where it is to go: no append comes in between. */
  planned(partition: PartitionLog, plan: RetentionPlan): void {
    const { held, lost } = plan
    let start = plan.newLogStart
    if (plan.rollsActive) {
      const { baseOffset } = partition.segments.active
      if (this.#hasRolled(partition)) this.rolled.add(partition)
      else start = Math.max(baseOffset, partition.logStartOffset) // It stays this time.
    }
    if (start > partition.logStartOffset) this.starts.set(partition, start)
    if (lost !== null) {
      const { groups, bytes } = lost
      this.lost.push({ event: { kind: 'unconsumed-deleted', partition, groups, bytes }, start })
    }
    if (held === null) return
    const reason = `retainUntilConsumed: ${held.groups.join(', ')} did not consume it yet, durably`
    for (let index = held.first; index < held.first + held.count; index++) {
      this.kept.push({ file: partition.segments.at(index).logPath, reason })
    }
  }

  /** What the first thing failed with that did. */
  failed(error: LogError | undefined): void {
    this.failure ??= error
  }

  /** Undefined where it failed, which is noted (I3). */
  *attempt<T>(begin: () => Procedure<T>): Procedure<T | undefined> {
    try {
      return yield* begin()
    } catch (error) {
      if (!LogError.is(error)) throw error
      this.failed(error)
      return undefined
    }
  }

  #hasRolled(partition: PartitionLog): boolean {
    try {
      partition.roll()
      return true
    } catch (error) {
      if (!LogError.is(error)) throw error
      this.failed(error)
      return false
    }
  }
}

function* waitFor(wait: DeviceWait): Procedure<true> {
  yield wait
  return true
}

function unknownProgress({ groupId }: GroupProgress): GroupProgress {
  return { groupId, offset: null }
}
