/**
 * Retention: which segments of a partition may go, and why the others stay. Pure: it looks at a
 * partition at one moment and changes nothing.
 *
 *   | below the start of the log | beyond retentionBytes | beyond retentionMs | kept ... | active |
 *
 * Kafka's order and comparisons (UnifiedLog.deleteOldSegments): each rule goes from the oldest
 * segment on and ends at the first that it does not take. What is below the start of the log goes
 * whatever else is asked for; `retainUntilConsumed` holds the other two back.
 *   I1  what may go is a run of the oldest segments; an active one only where all may go
 *   I2  nothing goes that neither a setting nor the start of the log asks for
 *   I3  of a time that the clock has not reached, or where there is none, the file's own counts
 */
import type { AppliedPolicy } from './cleanup-policy.ts'
import type { ResolvedTopicConfig } from './log-config.ts'

/** A segment as retention sees it. */
export interface RetainedSegment {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sizeBytes: number
  readonly largestTimestamp: number
  readonly logPath: string
}

/** A partition as retention sees it. */
export interface RetainedLog<S extends RetainedSegment = RetainedSegment> {
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly config: Pick<
    ResolvedTopicConfig,
    'retentionMs' | 'retentionBytes' | 'retainUntilConsumedMaxBytes'
  >
  /** Oldest first; the last is active. */
  readonly segments: Iterable<S>
}

/** What a plan is made by. */
export interface RetentionContext<S extends RetainedSegment = RetainedSegment> {
  readonly nowMs: number
  /** What may happen to records that nobody deleted. */
  readonly policy: AppliedPolicy
  /** Where the groups are that have to have read a segment before it goes, durably. */
  readonly groups: readonly GroupProgress[]
  /** Whether the time of day can be trusted. */
  readonly trustsClock: boolean
  /** When the .log of a segment was written last. */
  readonly modifiedMs: (segment: S) => number
}

/** How far a group has come. */
export interface GroupProgress {
  readonly groupId: string
  /** Everything below it was consumed; null where the group never committed. */
  readonly offset: number | null
}

/** What becomes of one segment. */
export interface SegmentVerdict<S extends RetainedSegment = RetainedSegment> {
  readonly segment: S
  readonly deletable: boolean
  /** Why it is there, for people. */
  readonly reason: string
  /**
   * From when on it may go, provided that groups have consumed it by then; null where no time can
   * be named.
   */
  readonly deletableAt: number | null
}

/** What may go of a partition. */
export interface RetentionPlan {
  /** How many of the oldest segments may go. */
  readonly deletableCount: number
  /** Where the log starts without them; where it does now where none may go. */
  readonly newLogStart: number
  /** The active segment may go too: a new one has to be there first. */
  readonly rollsActive: boolean
  /** What stays for groups alone; null where nothing does. */
  readonly held: UnconsumedSegments | null
  /** What goes before groups have consumed it: more would be held for them than may be. */
  readonly lost: UnconsumedSegments | null
}

/** Segments that groups have not consumed. */
export interface UnconsumedSegments {
  readonly groups: readonly string[]
  /** The oldest of them, among all of the log. */
  readonly first: number
  readonly count: number
  readonly bytes: number
}

/** What `context` lets go of `log`. */
export function planRetention<S extends RetainedSegment>(
  log: RetainedLog<S>,
  context: RetentionContext<S>,
): RetentionPlan {
  return new Retention(log, context).plan
}

/** What becomes of each segment of `log`, oldest first. */
export function explainRetention<S extends RetainedSegment>(
  log: RetainedLog<S>,
  context: RetentionContext<S>,
): readonly SegmentVerdict<S>[] {
  return new Retention(log, context).verdicts()
}

/** How many of the oldest segments lie below the start of their log; never the last. */
export function countBelowStart(
  segments: Iterable<Pick<RetainedSegment, 'baseOffset'>>,
  logStartOffset: number,
): number {
  let begun = 0
  for (const { baseOffset } of segments) {
    if (baseOffset > logStartOffset) break
    begun += 1
  }
  return Math.max(begun - 1, 0)
}

class Retention<S extends RetainedSegment> {
  readonly plan: RetentionPlan
  readonly #log: RetainedLog<S>
  readonly #context: RetentionContext<S>
  readonly #segments: readonly S[]
  /** Segments before it are below the start of the log. */
  readonly #started: number
  /** Segments before it may go, but for groups. */
  readonly #expired: number

  constructor(log: RetainedLog<S>, context: RetentionContext<S>) {
    this.#log = log
    this.#context = context
    this.#segments = [...log.segments]
    this.#started = countBelowStart(this.#segments, log.logStartOffset)
    this.#expired = this.#deletes ? this.#countExpired(this.#started) : this.#started
    this.plan = this.#planned()
  }

  verdicts(): readonly SegmentVerdict<S>[] {
    const { nowMs } = this.#context
    // The oldest goes first: none before those in front of it.
    let foreseenAt: number | null = nowMs
    return this.#segments.map((segment, index) => {
      const deletable = index < this.plan.deletableCount
      const expiresAt = deletable ? nowMs : this.#foreseen(segment, index)
      foreseenAt =
        foreseenAt === null || expiresAt === null ? null : Math.max(foreseenAt, expiresAt)
      const reason = deletable ? this.#excess(segment, index) : this.#keptBecause(segment, index)
      const prefix = index === this.#segments.length - 1 ? 'the active segment: ' : ''
      return { segment, deletable, reason: prefix + reason, deletableAt: foreseenAt }
    })
  }

  get #deletes(): boolean {
    const { policy } = this.#context
    return policy === 'delete' || policy === 'compact,delete'
  }

  #planned(): RetentionPlan {
    const { retainUntilConsumedMaxBytes: maxBytes } = this.#log.config
    const lost: number[] = []
    let end = this.#started
    let heldBytes = this.#bytesBetween(end, this.#expired)
    for (; end < this.#expired; end++) {
      const segment = this.#segments[end]
      if (segment === undefined) break
      if (this.#behind(segment).length > 0) {
        if (maxBytes < 0 || heldBytes <= maxBytes) break
        lost.push(end)
      }
      heldBytes -= segment.sizeBytes
    }
    return {
      deletableCount: end,
      newLogStart: Math.max(end > 0 ? this.#endOf(end - 1) : 0, this.#log.logStartOffset),
      rollsActive: end === this.#segments.length,
      held: this.#unconsumed(end, this.#expired),
      lost: lost.length === 0 ? null : this.#unconsumed(lost[0] ?? 0, (lost.at(-1) ?? 0) + 1),
    }
  }

  #unconsumed(first: number, end: number): UnconsumedSegments | null {
    const newest = this.#segments[end - 1]
    if (end <= first || newest === undefined) return null
    const bytes = this.#bytesBetween(first, end)
    return { groups: this.#behind(newest), first, count: end - first, bytes }
  }

  /** Groups that have not consumed all of it. */
  #behind({ nextOffset }: S): readonly string[] {
    const { groups } = this.#context
    if (groups.length === 0) return NO_GROUPS
    return groups
      .filter(({ offset }) => offset === null || offset < nextOffset)
      .map(({ groupId }) => groupId)
  }

  /** Where the next segment begins, or the log ends. */
  #endOf(index: number): number {
    return this.#segments[index + 1]?.baseOffset ?? this.#log.logEndOffset
  }

  #bytesBetween(first: number, end: number): number {
    let bytes = 0
    for (let index = first; index < end; index++) bytes += this.#segments[index]?.sizeBytes ?? 0
    return bytes
  }

  /** How many go by size and by time, each rule behind the one before. */
  #countExpired(first: number): number {
    const { retentionBytes } = this.#log.config
    let count = first
    let excess = this.#bytesBetween(count, this.#segments.length) - retentionBytes
    for (let segment = this.#at(count); segment !== undefined; segment = this.#at(count)) {
      excess -= segment.sizeBytes
      if (retentionBytes < 0 || excess < 0) break
      count += 1
    }
    for (let segment = this.#at(count); segment !== undefined; segment = this.#at(count)) {
      if (!this.#context.trustsClock || !this.#isOld(segment)) break
      count += 1
    }
    return count
  }

  /** The segment there; undefined behind the last, and for one that is active and holds nothing. */
  #at(index: number): S | undefined {
    const segment = this.#segments[index]
    const isLast = index === this.#segments.length - 1
    return isLast && segment?.sizeBytes === 0 ? undefined : segment
  }

  #isOld(segment: S): boolean {
    const expiresAt = this.#expiryOf(segment)
    return expiresAt !== null && this.#context.nowMs >= expiresAt
  }

  /** The first moment at which it is too old; null where no age is. */
  #expiryOf(segment: S): number | null {
    const { largestTimestamp } = segment
    const { retentionMs } = this.#log.config
    const { nowMs, modifiedMs } = this.#context
    if (retentionMs < 0) return null
    const isKnown = largestTimestamp >= 0 && largestTimestamp <= nowMs
    const writtenMs = isKnown ? largestTimestamp : Math.floor(modifiedMs(segment)) // I3
    return writtenMs + retentionMs + 1
  }

  /** When a segment that stays is too old by itself, where that is what it waits for. */
  #foreseen(segment: S, index: number): number | null {
    if (!this.#deletes || index < this.#expired || this.#at(index) === undefined) return null
    const { largestTimestamp } = segment
    const expiresAt = this.#expiryOf(segment)
    const isFuture = largestTimestamp > this.#context.nowMs
    // Then its time has come, and counts.
    if (expiresAt === null || !isFuture || expiresAt <= largestTimestamp) return expiresAt
    return largestTimestamp + this.#log.config.retentionMs + 1
  }

  /** What a segment goes for. */
  #excess(segment: S, index: number): string {
    const { retentionMs, retentionBytes } = this.#log.config
    if (index < this.#started) {
      return `all of it lies below the start of the log (${this.#log.logStartOffset})`
    }
    return this.#isOld(segment)
      ? `its newest record is older than retentionMs (${retentionMs})`
      : `the partition holds more than retentionBytes (${retentionBytes})`
  }

  #keptBecause(segment: S, index: number): string {
    const { policy, trustsClock } = this.#context
    const { retentionMs, retentionBytes } = this.#log.config
    if (this.#at(index) === undefined) return 'it holds nothing yet'
    if (policy === 'none') return 'the topic was adopted, and its settings name no cleanupPolicy'
    if (!this.#deletes) return "cleanupPolicy is 'compact': the last record of each key stays"
    if (index < this.#expired) {
      const groups = this.#behind(segment)
      return groups.length === 0
        ? 'retainUntilConsumed holds a segment before it: the oldest goes first'
        : `retainUntilConsumed: ${groups.join(', ')} did not consume it yet, durably`
    }
    if (retentionMs < 0) {
      return retentionBytes < 0
        ? 'neither retentionMs nor retentionBytes is set: nothing is deleted by itself'
        : `the partition would hold less than retentionBytes (${retentionBytes}) without it`
    }
    if (!this.#isOld(segment)) {
      return `its newest record is not older than retentionMs (${retentionMs})`
    }
    return trustsClock
      ? 'a segment before it stays: the oldest goes first'
      : 'the clock jumped: nothing is deleted by its age in this run'
  }
}

const NO_GROUPS: readonly string[] = []
