/**
 * Recovery of one partition after a stop that was not clean: finds out what is whole, cuts what is
 * torn, keeps what is damaged, and ends with a sync.
 *
 * From the recovery point on every batch is checked. What is bad above it is a torn write: it is
 * cut, its bytes kept in a .salvaged file. What is bad or missing below it was on stable storage
 * once: that is damage, nothing is cut, and the log goes on in a new segment behind it.
 *   I1  nothing is cut before its bytes are on stable storage elsewhere
 *   I2  logEndOffset is never below the recovery point, nor below any whole batch behind damage
 *   I3  every byte accepted above the recovery point is written again before it is synced: a sync
 *       that failed before the stop may have left clean pages that never reached the disk
 *   I4  a cut removes snapshots, index entries and epochs at or above it, durably, before any
 *       append
 */
import {
  parseSegmentFileName,
  segmentFileName,
  type SegmentSuffix,
} from '../format/segment-name.ts'
import type { Procedure } from '../storage/procedure.ts'
import { Segment, emptyContents } from '../storage/segment.ts'
import type { SegmentContents, SegmentPlace } from '../storage/segment.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  checkBatchHeader,
  lastOffsetOf,
  maxTimestampOf,
} from '../format/record-batch.ts'
import { nextTurn } from './clock.ts'
import { rebuildIndexes } from './index-rebuild.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import { SegmentList } from './segment-list.ts'
import { SegmentScan, type ScanExpectation } from './segment-scan.ts'

const REWRITE_BYTES = 1_048_576
const INDEX_SUFFIXES: readonly SegmentSuffix[] = ['.index', '.timeindex', '.txnindex']

/** A stretch of a partition that cannot be read any more. */
export interface Damage {
  readonly topic: string
  readonly partition: number
  /** Relative to the log's directory. */
  readonly file: string
  readonly position: number
  readonly bytes: number
  /** First and last offset that are gone; null where that is not known. */
  readonly firstOffset: number | null
  readonly lastOffset: number | null
  readonly reason: string
}

/** What recovery did to one partition. */
export interface PartitionRecovery {
  readonly topic: string
  readonly partition: number
  /** Bytes of torn writes moved into .salvaged files. */
  readonly cutBytes: number
  readonly cutAtOffset: number | null
  readonly rebuiltIndexes: number
  readonly damage: readonly Damage[]
}

/** What is known of a partition before its files are looked at. */
export interface RecoveryInput {
  readonly driver: StorageDriver
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly config: ResolvedTopicConfig
  /** Synced up to here, by the checkpoint and, in the same boot, by the control file. */
  readonly recoveryPoint: number
  /**
   * Log end that was published in this boot, when nothing but the process can have been lost; else
   * 0.
   */
  readonly publishedEndOffset: number
  readonly logStartOffset: number
  readonly isGapless: boolean
  readonly epochs: LeaderEpochs
}

/** A partition that is whole again; everything in it is on stable storage. */
export interface RecoveredPartition {
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
  readonly #segments: Segment[] = []
  readonly #damage: Damage[] = []
  /** Segments to be written again from a position on, oldest first (I3). */
  readonly #accepted: { readonly segment: Segment; readonly from: number }[] = []
  #cutBytes = 0
  #cutAtOffset: number | null = null
  #rebuiltIndexes = 0

  constructor(input: RecoveryInput) {
    this.#input = input
  }

  *run(): Procedure<RecoveredPartition> {
    const { driver, directory, logStartOffset, topic, partition } = this.#input
    const bases = yield* this.#tidy()
    const firstChecked = floorIndex(bases, this.#input.recoveryPoint)
    for (let index = 0; index < firstChecked; index++)
      this.#openSynced(bases[index] ?? 0, bases[index + 1] ?? 0)
    const nextOffset = yield* this.#check(bases.slice(firstChecked))
    this.#endSegments(nextOffset)
    yield* this.#sync()
    yield () => driver.flushDirectory(directory)
    const segments = new SegmentList(this.#segments)
    const report = {
      topic,
      partition,
      cutBytes: this.#cutBytes,
      cutAtOffset: this.#cutAtOffset,
      rebuiltIndexes: this.#rebuiltIndexes,
      damage: this.#damage,
    }
    return { segments, logStartOffset: Math.max(logStartOffset, segments.first.baseOffset), report }
  }

  /** Removes what a stop in mid-work left behind; returns the base offsets there are, ascending. */
  *#tidy(): Procedure<readonly number[]> {
    const { driver, directory } = this.#input
    const names = driver.list(directory)
    const bases = new Set<number>()
    for (const name of names) {
      const parsed = parseSegmentFileName(name)
      if (parsed?.suffix === '.log') bases.add(parsed.baseOffset)
    }
    for (const name of names) {
      const parsed = parseSegmentFileName(name)
      const isOrphan =
        parsed !== undefined &&
        INDEX_SUFFIXES.includes(parsed.suffix) &&
        !bases.has(parsed.baseOffset)
      if (isOrphan || name.endsWith('.deleted') || name.endsWith('.tmp'))
        yield () => driver.unlink(`${directory}/${name}`)
    }
    return [...bases].sort((a, b) => a - b)
  }

  /** A segment whose end lies below the recovery point: synced with its indexes, taken as it is. */
  #openSynced(baseOffset: number, nextBaseOffset: number): void {
    const sizeBytes = this.#logFileBytes(baseOffset)
    const segment = Segment.openSealed(this.#place(baseOffset), this.#input.config, {
      sizeBytes,
      nextOffset: nextBaseOffset,
    })
    if (segment.needsIndexRebuild) {
      rebuildIndexes(segment)
      this.#rebuiltIndexes += 1
      this.#accepted.push({ segment, from: sizeBytes })
    }
    this.#segments.push(segment)
  }

  /** Checks the segments from the recovery point on; returns where the log ends. */
  *#check(bases: readonly number[]): Procedure<number> {
    const { isGapless, epochs, logStartOffset } = this.#input
    const expected: ScanExpectation = { nextOffset: bases[0] ?? logStartOffset, isGapless, epochs }
    for (const [index, baseOffset] of bases.entries()) {
      const missing = isGapless && baseOffset !== expected.nextOffset
      if (missing || baseOffset < expected.nextOffset) {
        if (!this.#isDamage(expected.nextOffset)) {
          yield* this.#cutSegments(bases.slice(index), expected.nextOffset)
          return expected.nextOffset
        }
        this.#addDamage({
          baseOffset,
          position: 0,
          bytes: 0,
          firstOffset: expected.nextOffset,
          resumesAt: baseOffset,
          reason: 'missing',
        })
      }
      expected.nextOffset = Math.max(expected.nextOffset, baseOffset)
      const wasCut = yield* this.#checkSegment(baseOffset, expected, bases.slice(index + 1))
      if (wasCut) return expected.nextOffset
    }
    // A log that ends below what was synced once has lost its end, however whole the rest looks.
    if (this.#isDamage(expected.nextOffset)) {
      const baseOffset = bases.at(-1) ?? expected.nextOffset
      const resumesAt = this.#leastEnd(expected.nextOffset)
      this.#addDamage({
        baseOffset,
        position: this.#segments.at(-1)?.sizeBytes ?? 0,
        bytes: 0,
        firstOffset: expected.nextOffset,
        resumesAt,
        reason: 'missing',
      })
      expected.nextOffset = resumesAt
    }
    return expected.nextOffset
  }

  /** True where the log was cut inside this segment, so that none of the later ones is left. */
  *#checkSegment(
    baseOffset: number,
    expected: ScanExpectation,
    later: readonly number[],
  ): Procedure<boolean> {
    const fileBytes = this.#logFileBytes(baseOffset)
    const segment = Segment.open(
      this.#place(baseOffset),
      this.#input.config,
      unknownContents(baseOffset, fileBytes),
    )
    const start = this.#startOfCheck(segment, fileBytes)
    segment.rewind(start)
    if (start.sizeBytes > 0) expected.nextOffset = start.nextOffset
    this.#segments.push(segment)
    const scan = new SegmentScan(segment, fileBytes)
    for (;;) {
      const end = yield* scan.run(expected)
      if (end.kind === 'whole') break
      if (!this.#isDamage(end.offset) && !segment.isDamaged) {
        yield* this.#cut(segment, scan, end.position, later)
        this.#accepted.push({ segment, from: start.sizeBytes })
        return true
      }
      const found = yield* scan.findBatch(end.position + 1, end.offset)
      const resumesAt =
        found < 0
          ? (later[0] ?? this.#leastEnd(end.offset))
          : baseOffsetOf(scan.copy(found, BATCH_HEADER_BYTES), 0)
      const bytes = (found < 0 ? fileBytes : found) - end.position
      this.#addDamage({
        baseOffset,
        position: end.position,
        bytes,
        firstOffset: end.offset,
        resumesAt,
        reason: end.reason,
      })
      segment.markDamaged()
      expected.nextOffset = Math.max(resumesAt, expected.nextOffset)
      if (found < 0) {
        segment.restoreEnd(fileBytes, expected.nextOffset)
        break
      }
      segment.skipDamageTo(found)
    }
    if (!segment.isDamaged) this.#accepted.push({ segment, from: start.sizeBytes })
    return false
  }

  /**
   * The batch at or before the recovery point that the indexes lead to; the start where they do
   * not.
   */
  #startOfCheck(segment: Segment, fileBytes: number): SegmentContents {
    const { recoveryPoint } = this.#input
    const start = emptyContents(segment.baseOffset)
    if (recoveryPoint <= segment.baseOffset || fileBytes < BATCH_HEADER_BYTES) return start
    if (segment.needsIndexRebuild) {
      this.#rebuiltIndexes += 1
      return start
    }
    const slot = segment.offsetIndex.slotForOffset(recoveryPoint - 1)
    if (slot < 0) return start
    const position = segment.offsetIndex.positionOfSlot(slot)
    const offset = segment.offsetIndex.offsetOfSlot(slot)
    const header = readHeader(segment, position)
    const first = readHeader(segment, 0)
    if (header === undefined || first === undefined || lastOffsetOf(header, 0) !== offset) {
      this.#rebuiltIndexes += 1
      return start
    }
    const largest = segment.timeIndex.lastUpTo(offset)
    return {
      sizeBytes: position,
      nextOffset: baseOffsetOf(header, 0),
      largestTimestamp: largest?.timestamp ?? -1,
      offsetOfLargestTimestamp: largest?.offset ?? -1,
      firstTimestamp: maxTimestampOf(first, 0),
      recordCount: null,
    }
  }

  /** Cuts the log at `position` of `segment`, after everything from there on is kept elsewhere. */
  *#cut(
    segment: Segment,
    scan: SegmentScan,
    position: number,
    later: readonly number[],
  ): Procedure<void> {
    const { driver, directory, epochs } = this.#input
    const contentBytes = scan.endOfContent(position) - position
    if (contentBytes > 0) {
      yield* this.#salvage(segment.baseOffset, position, scan, contentBytes)
      this.#cutBytes += contentBytes
    }
    yield* this.#setAside(later)
    yield () => driver.flushDirectory(directory) // I1: kept elsewhere first, cut afterwards.
    segment.trim()
    this.#cutAtOffset = segment.nextOffset
    epochs.truncateTo(segment.nextOffset)
    yield* this.#removeSnapshots(segment.nextOffset)
  }

  /** Nothing of these segments follows on what is whole: they are set aside. */
  *#cutSegments(bases: readonly number[], offset: number): Procedure<void> {
    const { driver, directory, epochs } = this.#input
    yield* this.#setAside(bases)
    yield () => driver.flushDirectory(directory)
    this.#cutAtOffset = offset
    epochs.truncateTo(offset)
    yield* this.#removeSnapshots(offset)
  }

  *#salvage(
    baseOffset: number,
    position: number,
    scan: SegmentScan,
    contentBytes: number,
  ): Procedure<void> {
    const { driver, directory } = this.#input
    const file = driver.openFile(this.#salvageName(baseOffset, position), 'create')
    for (let done = 0; done < contentBytes; done += REWRITE_BYTES) {
      const bytes = scan.copy(position + done, Math.min(REWRITE_BYTES, contentBytes - done))
      file.write(bytes, 0, bytes.length, done)
    }
    yield () => file.flush()
    file.close()
    yield () => driver.flushDirectory(directory)
  }

  /**
   * From the newest to the oldest, so that a stop in between leaves a log that is cut the same way.
   */
  *#setAside(bases: readonly number[]): Procedure<void> {
    const { driver, directory } = this.#input
    for (const baseOffset of bases.toReversed()) {
      const log = `${directory}/${segmentFileName(baseOffset, '.log')}`
      const sizeBytes = driver.status(log)?.sizeBytes ?? 0
      this.#cutBytes += sizeBytes
      if (sizeBytes > 0) driver.rename(log, this.#salvageName(baseOffset, 0))
      else yield () => driver.unlink(log)
      for (const suffix of INDEX_SUFFIXES) {
        const path = `${directory}/${segmentFileName(baseOffset, suffix)}`
        if (driver.status(path) !== undefined) yield () => driver.unlink(path)
      }
    }
  }

  #salvageName(baseOffset: number, position: number): string {
    const { driver, directory } = this.#input
    const stem = `${directory}/${segmentFileName(baseOffset, '.log').slice(0, -'.log'.length)}.${position}`
    let name = `${stem}.salvaged`
    for (let again = 1; driver.status(name) !== undefined; again++)
      name = `${stem}.${again}.salvaged`
    return name
  }

  *#removeSnapshots(fromOffset: number): Procedure<void> {
    const { driver, directory } = this.#input
    for (const name of driver.list(directory)) {
      const parsed = parseSegmentFileName(name)
      if (parsed?.suffix === '.snapshot' && parsed.baseOffset > fromOffset)
        yield () => driver.unlink(`${directory}/${name}`)
    }
  }

  /**
   * Seals every segment but the one that the log goes on in, and makes that one where it is
   * missing.
   */
  #endSegments(nextOffset: number): void {
    const { config, logStartOffset } = this.#input
    const endOffset = Math.max(nextOffset, logStartOffset)
    for (const segment of this.#segments.slice(0, -1)) segment.seal()
    const last = this.#segments.at(-1)
    if (last !== undefined && !last.isDamaged && !last.isSealed && last.nextOffset === endOffset) {
      last.trim()
      return
    }
    last?.seal()
    this.#segments.push(Segment.create(this.#place(endOffset), config))
  }

  /** Writes what was accepted once more and forces it, older files first, with the indexes (I3). */
  *#sync(): Procedure<void> {
    for (const { segment, from } of this.#accepted) {
      for (let position = from; position < segment.sizeBytes; position += REWRITE_BYTES) {
        const bytes = Buffer.allocUnsafe(Math.min(REWRITE_BYTES, segment.sizeBytes - position))
        const read = segment.read(bytes, 0, bytes.length, position)
        segment.rewrite(bytes, read, position)
        yield nextTurn
      }
      segment.writeIndexes()
      yield () => segment.flushLog()
      yield () => segment.flushIndexes()
    }
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

  #addDamage(found: FoundDamage): void {
    const { topic, partition, directory } = this.#input
    this.#damage.push({
      topic,
      partition,
      reason: found.reason,
      file: `${directory}/${segmentFileName(found.baseOffset, '.log')}`,
      position: found.position,
      bytes: found.bytes,
      firstOffset: found.firstOffset,
      lastOffset: found.resumesAt - 1,
    })
  }

  #place(baseOffset: number): SegmentPlace {
    return { driver: this.#input.driver, directory: this.#input.directory, baseOffset }
  }

  #logFileBytes(baseOffset: number): number {
    const { driver, directory } = this.#input
    return driver.status(`${directory}/${segmentFileName(baseOffset, '.log')}`)?.sizeBytes ?? 0
  }
}

interface FoundDamage {
  readonly baseOffset: number
  readonly position: number
  readonly bytes: number
  readonly firstOffset: number
  readonly resumesAt: number
  readonly reason: string
}

/** Number of the last base at or below `offset`; 0 where all are above. */
function floorIndex(bases: readonly number[], offset: number): number {
  return Math.max(
    bases.findLastIndex((base) => base <= offset),
    0,
  )
}

/** So that the indexes can be judged before the walk finds out what is there. */
function unknownContents(baseOffset: number, fileBytes: number): SegmentContents {
  return { ...emptyContents(baseOffset), sizeBytes: fileBytes, nextOffset: Number.MAX_SAFE_INTEGER }
}

function readHeader(segment: Segment, position: number): Buffer | undefined {
  const header = Buffer.allocUnsafe(BATCH_HEADER_BYTES)
  const read = segment.read(header, 0, BATCH_HEADER_BYTES, position)
  const check = checkBatchHeader(header, 0, read)
  return read === BATCH_HEADER_BYTES && (check === 'ok' || check === 'incomplete')
    ? header
    : undefined
}
