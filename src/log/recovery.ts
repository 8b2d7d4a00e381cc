/**
 * Recovery of one partition after a stop that was not clean: finds out what is whole, cuts what is
 * torn, keeps what is damaged, and ends with a sync.
 *
 * Below the last checkpoint segments are taken as they are where their ends fit together
 * (sealed-end.ts); from there on every batch is checked. What is bad above the recovery point is a
 * torn write: it is cut, its bytes kept (log-cut.ts). What is bad or missing below it was on stable
 * storage once: that is damage, nothing is cut, and the log goes on in a new segment behind it.
 *   I1  nothing is cut before its bytes are on stable storage elsewhere
 *   I2  logEndOffset is never below the recovery point, nor below any whole batch behind damage
 *   I3  every byte accepted above the recovery point is written again before it is synced: a sync
 *       that failed before the stop may have left clean pages that never reached the disk
 *   I4  a cut removes snapshots, index entries and epochs at or above it, durably, before any
 *       append
 *   I5  what is bad below the start of the log is nobody's loss, and no damage
 */
import { BATCH_HEADER_BYTES, baseOffsetOf } from '../format/record-batch.ts'
import { segmentFileName } from '../format/segment-name.ts'
import { type Procedure, sideBySide } from '../storage/procedure.ts'
import { Segment } from '../storage/segment.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import { nextTurn } from './clock.ts'
import { DamageList, type FoundLoss } from './damage-list.ts'
import { LogCut } from './log-cut.ts'
import type { PartitionRecovery, RecoveryInput } from './partition-recovery.ts'
import { type KnownProducers, replayProducers } from './producer-replay.ts'
import { startOfCheck, uncheckedContents } from './recovery-start.ts'
import { findSealedEnd } from './sealed-end.ts'
import { SectorReads, UNREADABLE } from './sector-reads.ts'
import { SegmentList } from './segment-list.ts'
import { type ScanEnd, type ScanExpectation, SegmentScan } from './segment-scan.ts'

const REWRITE_BYTES = 1_048_576
/**
 * Segments that are synced side by side. More than the two syncs that a log in use allows itself:
 * nobody works with this one yet, and a journal that commits for several at once costs each less:
 * a thousand small segments on ext4 take about a third of the time. With 16 it is no less.
 */
const SEGMENTS_AT_ONCE = 8

/** A partition that is whole again; everything in it is on stable storage. */
export interface RecoveredPartition extends KnownProducers {
  readonly segments: SegmentList
  readonly logStartOffset: number
  readonly report: PartitionRecovery
}

/** Recovers one partition. Crashing anywhere in it and starting over gives the same log. */
export function* recoverPartition(input: RecoveryInput): Procedure<RecoveredPartition> {
  return yield* new Recovery(input).run()
}

class Recovery {
  readonly #input: RecoveryInput
  readonly #cut: LogCut
  readonly #logStartOffset: number
  readonly #segments: Segment[] = []
  readonly #damage: DamageList
  /** Segments to be written again from a position on, oldest first (I3). */
  readonly #accepted: { readonly segment: Segment; readonly from: number }[] = []
  #cutBytes = 0
  #cutAtOffset: number | null = null
  #rebuiltIndexes = 0

  constructor(input: RecoveryInput) {
    this.#input = input
    this.#cut = new LogCut(input.driver, input.directory)
    this.#logStartOffset = input.logStartOffset ?? 0
    this.#damage = new DamageList(input.topic, input.partition, this.#logStartOffset)
  }

  *run(): Procedure<RecoveredPartition> {
    const { topic, partition, isOwn } = this.#input
    const bases = yield* this.#cut.tidy()
    const endOffset = yield* this.#check(bases)
    this.#endSegments(Math.max(endOffset, this.#logStartOffset))
    const segments = new SegmentList(this.#segments)
    yield* this.#cut.removeSnapshots(segments.active.nextOffset) // I4: durable with the last sync.
    const known = yield* replayProducers({ ...this.#input, segments })
    yield* this.#sync()
    const report = {
      topic,
      partition,
      cutBytes: this.#cutBytes,
      cutAtOffset: this.#cutAtOffset,
      rebuiltIndexes: this.#rebuiltIndexes,
      damage: this.#damage.all,
    }
    // Compaction keeps the name of the first segment: one that starts later is one that got lost.
    const isKnown = isOwn && this.#input.logStartOffset !== null
    const firstOffset = isKnown ? 0 : segments.first.baseOffset
    const logStartOffset = Math.max(this.#logStartOffset, firstOffset)
    return { segments, logStartOffset, report, ...known }
  }

  /** Goes through the segments, oldest first; returns where the log ends. */
  *#check(bases: readonly number[]): Procedure<number> {
    const { isOwn, isGapless, epochs, checkpointedPoint } = this.#input
    const nextOffset = this.#firstOffset(bases)
    const expected: ScanExpectation = { nextOffset, isGapless, startsBelow: Infinity, epochs }
    for (const [index, baseOffset] of bases.entries()) {
      const isMissing = isOwn && baseOffset > Math.max(expected.nextOffset, this.#logStartOffset)
      if (isMissing || baseOffset < expected.nextOffset) {
        // The first segment was on stable storage before the topic existed.
        if (index > 0 && !this.#isDamage(expected.nextOffset)) {
          yield* this.#cutBehind(bases.slice(index), expected.nextOffset)
          return expected.nextOffset
        }
        const firstOffset = expected.nextOffset
        this.#addDamage(baseOffset, { ...NOWHERE, firstOffset, resumesAt: baseOffset })
      }
      expected.nextOffset = Math.max(expected.nextOffset, baseOffset)
      const nextBase = bases[index + 1] ?? Infinity
      expected.startsBelow = nextBase
      // A checkpoint at its very end was made while it was the newest: it may have been sealed, and
      // got the last entries of its indexes, after that.
      const isSynced = nextBase < checkpointedPoint
      if (isSynced && (yield* this.#takeSynced(baseOffset, expected, nextBase))) continue
      if (yield* this.#checkSegment(baseOffset, expected, bases.slice(index + 1))) {
        return expected.nextOffset
      }
    }
    return this.#endAtLeast(expected.nextOffset, bases)
  }

  #firstOffset(bases: readonly number[]): number {
    const first = bases[0]
    if (first === undefined) return this.#logStartOffset
    const { logStartOffset } = this.#input
    return logStartOffset === null ? first : Math.min(logStartOffset, first)
  }

  /** A log that ends below what was synced once has lost its end, however whole the rest looks. */
  #endAtLeast(nextOffset: number, bases: readonly number[]): number {
    const firstOffset = Math.max(nextOffset, this.#logStartOffset)
    if (!this.#isDamage(firstOffset)) return firstOffset
    const resumesAt = this.#leastEnd(firstOffset)
    const baseOffset = bases.at(-1) ?? firstOffset
    const position = this.#segments.at(-1)?.sizeBytes ?? 0
    this.#addDamage(baseOffset, { ...NOWHERE, position, firstOffset, resumesAt })
    return resumesAt
  }

  /**
   * A segment below the recovery point, synced with its indexes; false where its end is not sound.
   */
  *#takeSynced(
    baseOffset: number,
    expected: ScanExpectation,
    nextBase: number,
  ): Procedure<boolean> {
    const end = yield* findSealedEnd(this.#place(baseOffset))
    if (end === undefined || end.contents.nextOffset > nextBase) return false
    const { contents, epoch } = end
    this.#segments.push(Segment.openSealed(this.#place(baseOffset), this.#input.config, contents))
    // Where leader-epoch-checkpoint was lost, the epochs that were used are known from here.
    if (epoch !== undefined && epoch.leaderEpoch > expected.epochs.latest) {
      expected.epochs.assign(epoch.leaderEpoch, epoch.startOffset)
    }
    expected.nextOffset = contents.nextOffset
    return true
  }

  /** True where the log was cut inside this segment, so that none of the later ones is left. */
  *#checkSegment(
    baseOffset: number,
    expected: ScanExpectation,
    later: readonly number[],
  ): Procedure<boolean> {
    const fileBytes = this.#logFileBytes(baseOffset)
    const contents = uncheckedContents(baseOffset, fileBytes)
    const segment = Segment.open(this.#place(baseOffset), this.#input.config, contents)
    this.#segments.push(segment)
    const { recoveryPoint, checkpointedPoint } = this.#input
    const { start, isIndexWrong } = startOfCheck(segment, fileBytes, checkpointedPoint)
    if (isIndexWrong) this.#rebuiltIndexes += 1
    const synced = startOfCheck(segment, fileBytes, recoveryPoint).start
    segment.rewind(start)
    this.#accepted.push({ segment, from: Math.max(start.sizeBytes, synced.sizeBytes) })
    if (start.sizeBytes > 0) expected.nextOffset = start.nextOffset
    const scan = new SegmentScan(segment, fileBytes)
    const nextBase = later[0] ?? Infinity
    // A segment that ended below the recovery point was whole: nothing of it can be torn. One that
    // ends there may not have been sealed yet.
    const isTearable = nextBase >= recoveryPoint
    for (;;) {
      const end = yield* scan.run(expected)
      if (end.kind === 'whole') return false
      // What the device cannot read was written once: it is no torn write.
      const isDamage = this.#isDamage(end.offset) || end.reason === UNREADABLE
      const isTorn = isTearable && !isDamage && !segment.isDamaged
      if (isTorn && end.offset === nextBase) {
        // Nothing is missing before the next segment: a write failed here, and was cut back.
        yield* this.#salvageFrom(segment, scan, end.position)
        return false
      }
      if (isTorn && !(yield* this.#isRot(scan, end, later))) {
        yield* this.#cutInside(segment, scan, end.position, later)
        return true
      }
      yield* this.#passDamage(segment, scan, end, expected, nextBase)
    }
  }

  /**
   * What was durable before the power was lost is no torn write: these are behind it. Said only of
   * what is followed by more, so that a log that lost its end, as a copy may, is cut as ever.
   */
  *#isRot(
    scan: SegmentScan,
    { position, offset }: Extract<ScanEnd, { kind: 'bad' }>,
    [below]: readonly number[],
  ): Procedure<boolean> {
    const knownEnd = this.#input.durableBefore
    if (offset >= knownEnd) return false
    if (below !== undefined && this.#logFileBytes(below) > 0) return true
    return (yield* scan.findBatch({ position, offset, below: Infinity, knownEnd })) >= 0
  }

  /** Goes on at the next whole batch; at the end of the segment where it has none. */
  *#passDamage(
    segment: Segment,
    scan: SegmentScan,
    end: Extract<ScanEnd, { kind: 'bad' }>,
    expected: ScanExpectation,
    below: number,
  ): Procedure<void> {
    const { position, offset, reason } = end
    const knownEnd = this.#leastEnd(this.#input.durableBefore)
    const found = yield* scan.findBatch({ position, offset, below, knownEnd })
    const fileBytes = this.#logFileBytes(segment.baseOffset)
    // What the device cannot read held an offset at least: the log goes on behind it, never in a
    // segment of the same name.
    const leastOffset = reason === UNREADABLE ? offset + 1 : offset
    const resumesAt =
      found < 0
        ? Math.max(below === Infinity ? this.#leastEnd(leastOffset) : below, offset)
        : baseOffsetOf(scan.copy(found, BATCH_HEADER_BYTES), 0)
    this.#addDamage(segment.baseOffset, {
      position,
      bytes: (found < 0 ? fileBytes : found) - position,
      firstOffset: offset,
      resumesAt,
      reason,
    })
    segment.markDamaged()
    expected.nextOffset = resumesAt
    if (found < 0) segment.restoreEnd(fileBytes, resumesAt)
    else segment.skipDamageTo(found)
  }

  /**
   * Keeps elsewhere what of `segment` is at `position` and behind it; `#endSegments` cuts it (I1).
   */
  *#cutInside(
    segment: Segment,
    scan: SegmentScan,
    position: number,
    later: readonly number[],
  ): Procedure<void> {
    yield* this.#salvageFrom(segment, scan, position)
    yield* this.#cutBehind(later, segment.nextOffset)
  }

  /** Keeps elsewhere what of `segment` is at `position` and behind it (I1). */
  *#salvageFrom(segment: Segment, scan: SegmentScan, position: number): Procedure<void> {
    const contentBytes = (yield* scan.endOfContent(position)) - position
    if (contentBytes === 0) return
    yield* this.#cut.salvage(scan, { baseOffset: segment.baseOffset, position }, contentBytes)
    this.#cutBytes += contentBytes
  }

  /** Nothing of these segments follows on what is whole: they are set aside. */
  *#cutBehind(bases: readonly number[], endOffset: number): Procedure<void> {
    this.#cutBytes += yield* this.#cut.setAside(bases)
    this.#cutAtOffset = endOffset
    this.#input.epochs.truncateTo(endOffset)
  }

  /**
   * Seals every segment but the one that the log goes on in, and makes that one where it is
   * missing.
   */
  #endSegments(endOffset: number): void {
    for (const segment of this.#segments.slice(0, -1)) segment.seal()
    const last = this.#segments.at(-1)
    if (last !== undefined && !last.isDamaged && !last.isSealed && last.nextOffset === endOffset) {
      last.trim()
      return
    }
    last?.seal()
    this.#segments.push(Segment.create(this.#place(endOffset), this.#input.config))
  }

  /**
   * Writes what was accepted once more and forces it, with the indexes (I3). In any order: all of
   * it is above the recovery point, and nothing of it counts before all of it, and the directory,
   * are on stable storage.
   */
  *#sync(): Procedure<void> {
    yield* sideBySide(this.#syncs(), SEGMENTS_AT_ONCE)
    yield () => this.#input.driver.flushDirectory(this.#input.directory)
  }

  *#syncs(): Generator<Procedure<void>, void, undefined> {
    for (const { segment, from } of this.#accepted) yield this.#syncSegment(segment, from)
  }

  *#syncSegment(segment: Segment, from: number): Procedure<void> {
    const sectors = new SectorReads(segment)
    for (let position = from; position < segment.sizeBytes; position += REWRITE_BYTES) {
      const bytes = Buffer.allocUnsafe(Math.min(REWRITE_BYTES, segment.sizeBytes - position))
      const read = sectors.read(bytes, 0, bytes.length, position)
      // What the device cannot read is left for somebody who can: it is damage by now.
      if (!sectors.isLost(position, position + read)) segment.rewrite(bytes, read, position)
      yield nextTurn
    }
    // Below the last checkpoint the next recovery takes them at their word, and may come before
    // this one is over.
    const isTrusted = segment.baseOffset < this.#input.checkpointedPoint
    if (!isTrusted) segment.writeIndexes()
    yield () => segment.flushLog()
    yield () => (isTrusted ? segment.flushIndexesInOrder() : segment.flushIndexBytes())
  }

  /**
   * A bad or missing batch of `offset` was on stable storage once, or in memory that was not lost.
   */
  #isDamage(offset: number): boolean {
    return offset < this.#leastEnd(0)
  }

  /** Where the log ends at least: I2. */
  #leastEnd(offset: number): number {
    return Math.max(offset, this.#input.recoveryPoint, this.#input.publishedEndOffset)
  }

  #addDamage(baseOffset: number, found: FoundLoss): void {
    this.#damage.addLoss(segmentPath(this.#place(baseOffset), '.log'), found) // I5
  }

  #place(baseOffset: number): SegmentPlace {
    return { driver: this.#input.driver, directory: this.#input.directory, baseOffset }
  }

  #logFileBytes(baseOffset: number): number {
    const { driver, directory } = this.#input
    return driver.status(`${directory}/${segmentFileName(baseOffset, '.log')}`)?.sizeBytes ?? 0
  }
}

/** Of batches whose bytes are not there at all. */
const NOWHERE = { position: 0, bytes: 0, reason: 'missing' } as const
