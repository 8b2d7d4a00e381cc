/**
 * PartitionVerification: reads a partition as a whole and says what of it is as it was written,
 * what is damaged, and what is the torn end that recovery will cut. Reads only, and judges by the
 * same evidence as recovery does (recovery.ts):
 *   I1  what is bad below the recovery point, below what a clean marker vouches for, or below the
 *       end that was published in this boot, is damage; what is bad above it is torn
 *   I2  what is bad below the start of the log is nobody's loss, and no damage
 *   I3  beside a living writer nothing behind the end that it had published is judged
 */
import type { AbortedTransaction } from '../format/aborted-transaction.ts'
import { segmentFileName } from '../format/segment-name.ts'
import { CLEAN_MARKER_FILE, type CleanSegment } from '../storage/clean-marker.ts'
import type { Procedure } from '../storage/procedure.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import { DamageList } from './damage-list.ts'
import { EpochAudit } from './epoch-audit.ts'
import { syncedUntil } from './partition-evidence.ts'
import type { PartitionFindings, SegmentFindings, VerifiedPartition } from './partition-findings.ts'
import { RecordAudit } from './record-audit.ts'
import { auditMetadata, auditSnapshots } from './folder-audit.ts'
import { TransactionAudit } from './transaction-audit.ts'
import { SegmentLayout } from './verify-layout.ts'
import type { BadPlace, SegmentVerification, VerifyState } from './verify-segment.ts'

/** The verification of one partition. */
export class PartitionVerification {
  readonly progress: {
    /** Of the .log files that are done. */
    doneBytes: number
    /** The .log that is being read. */
    file: string
    readonly state: { readonly positionBytes: number }
  }
  readonly #input: VerifiedPartition
  readonly #layout: SegmentLayout
  readonly #state: VerifyState
  readonly #leastEnd: number
  readonly #recoveryPoint: number
  readonly #logStartOffset: number
  readonly #damage: DamageList
  readonly #segments: SegmentFindings[] = []
  #tornBytes = 0

  constructor(input: VerifiedPartition) {
    this.#input = input
    this.#layout = new SegmentLayout(input)
    const { driver, directory, config, evidence, isGapless, isOwn } = input
    this.#recoveryPoint = syncedUntil(evidence)
    this.#leastEnd = Math.max(this.#recoveryPoint, evidence.published?.logEndOffset ?? 0)
    this.#logStartOffset = evidence.logStartOffset ?? 0
    this.#damage = new DamageList(input.topic, input.partition, this.#logStartOffset)
    this.#state = {
      nextOffset: 0,
      isGapless,
      startsBelow: Infinity,
      records: new RecordAudit(config.maxDecompressedBytes),
      epochs: new EpochAudit(driver, directory, isOwn),
      transactions: new TransactionAudit(),
      positionBytes: 0,
    }
    this.progress = { doneBytes: 0, file: directory, state: this.#state }
  }

  /** Reads all of it. */
  *run(): Procedure<PartitionFindings> {
    const bases = yield* this.#layout.list()
    for (const flaw of this.#layout.flaws) this.#damage.addFlaw(flaw)
    const firstOffset = this.#firstOffset(bases)
    this.#state.nextOffset = firstOffset
    if (yield* this.#readSegments(bases)) this.#checkEnd(bases)
    if (!this.#input.isLive) this.#checkSmallFiles()
    let [batches, records, bytes] = [0, 0, 0]
    for (const stretch of this.#segments.flatMap((segment) => segment.stretches)) {
      batches += stretch.batches
      records += stretch.records
      bytes += stretch.end - stretch.position
    }
    return {
      batches,
      records,
      bytes,
      tornBytes: this.#tornBytes,
      damage: this.#damage.all,
      segments: this.#segments,
      firstOffset,
      leastEnd: this.#leastEnd,
      epochs: this.#state.epochs.runs,
      storedEpochs: this.#state.epochs.stored,
    }
  }

  #firstOffset(bases: readonly number[]): number {
    const [first] = bases
    if (first === undefined) return this.#logStartOffset
    const { isOwn, evidence } = this.#input
    return isOwn && evidence.logStartOffset !== null ? Math.min(this.#logStartOffset, first) : first
  }

  /** False where the log ends torn, or is being written: its end is not to be judged. */
  *#readSegments(bases: readonly number[]): Procedure<boolean> {
    const { isOwn } = this.#input
    const state = this.#state
    for (const [index, baseOffset] of bases.entries()) {
      if (this.#layout.isGone(baseOffset)) {
        if (!this.#passMissing(bases[index + 1])) return false
        continue
      }
      if (!isOwn) this.#checkVouchedBefore(baseOffset)
      const isMissing = isOwn && baseOffset > Math.max(state.nextOffset, this.#logStartOffset)
      const isOverlapping = baseOffset < state.nextOffset
      if ((isMissing || isOverlapping) && index > 0 && !this.#isDamage(state.nextOffset)) {
        this.#tearFrom(bases.slice(index))
        return false
      }
      if (isOverlapping) {
        this.#addForeign(baseOffset)
        continue
      }
      if (isMissing) this.#addMissing(baseOffset, baseOffset)
      state.nextOffset = Math.max(state.nextOffset, baseOffset)
      if (!(yield* this.#readSegment(baseOffset, bases.slice(index + 1)))) return false
    }
    return true
  }

  /** False where the log ends in it. */
  *#readSegment(baseOffset: number, later: readonly number[]): Procedure<boolean> {
    const place = this.#layout.placeOf(baseOffset)
    this.progress.file = segmentPath(place, '.log')
    const segment = this.#layout.open(baseOffset, later[0])
    if (segment === 'no file') return this.#passNoFile(baseOffset, later[0])
    if (segment === undefined) {
      // Of a log that is open here, what is its own and not there got lost.
      const isLost = this.#input.openSegments !== undefined && !this.#layout.isGone(baseOffset)
      if (isLost) this.#addMissing(later[0] ?? this.#leastEnd, baseOffset)
      return this.#passMissing(later[0])
    }
    const damageBefore = this.#damage.count
    this.#state.startsBelow = later[0] ?? Infinity
    this.#state.transactions.begin(place)
    try {
      const tornFrom = yield* this.#readToEnd(segment, later)
      const isDamaged = this.#damage.count > damageBefore
      const isSealed = later.length > 0
      if (isDamaged && this.#layout.isReplaced(baseOffset, segment.fileBytes, isSealed)) {
        // Its files were being removed, or replaced, while they were read.
        this.#damage.cutTo(damageBefore)
        return this.#passMissing(later[0])
      }
      const isTorn = tornFrom !== undefined
      this.#segments.push({
        baseOffset,
        fileBytes: segment.fileBytes,
        stretches: segment.stretches,
        isDamaged,
        areIndexesDamaged: !isTorn && this.#checkIndexes(segment, isDamaged),
        aborted: isTorn ? undefined : this.#checkTransactions(place, later[0]),
        wholeBytes: tornFrom ?? segment.fileBytes,
      })
      if (!isTorn && !isDamaged) this.#checkMarker(segment)
      return !isTorn
    } finally {
      segment.close()
      this.progress.doneBytes += segment.fileBytes
      this.#state.positionBytes = 0
    }
  }

  /** Where its torn end starts; undefined where it has none. */
  *#readToEnd(
    segment: SegmentVerification,
    later: readonly number[],
  ): Procedure<number | undefined> {
    const [below = Infinity] = later
    // A segment that ended below the recovery point was whole: nothing of it can be torn.
    const isTearable = below > this.#recoveryPoint
    let isDamaged = false
    let position = 0
    while (position >= 0) {
      const bad = yield* segment.run(position, this.#state)
      if (bad === undefined) {
        this.#checkVouchedEnd(segment)
        return undefined
      }
      const isTorn = isTearable && !isDamaged && !bad.isWhole && !this.#isDamage(bad.offset)
      if (isTorn && !(yield* this.#isRot(segment, bad, later))) {
        const tornBytes = (yield* segment.endOfContent(bad.position)) - bad.position
        if (!this.#input.isLive) this.#tornBytes += tornBytes
        this.#tearFrom(later)
        return bad.position
      }
      isDamaged = true
      position = yield* this.#passDamage(segment, bad, below)
    }
    return undefined
  }

  /** As in recovery: what was durable before the power was lost, and has more behind it. */
  *#isRot(
    segment: SegmentVerification,
    bad: BadPlace,
    [below]: readonly number[],
  ): Procedure<boolean> {
    const knownEnd = this.#input.evidence.durableBefore
    if (bad.offset >= knownEnd) return false
    if (below !== undefined && this.#layout.logBytesOf(below) > 0) return true
    const limits = { below: Infinity, knownEnd }
    return (yield* segment.findBehind(bad, limits, this.#state)).position >= 0
  }

  /** What a clean marker says of a segment; undefined where there is none. */
  #vouchedOf(segment: SegmentVerification): CleanSegment | undefined {
    const { baseOffset } = segment.place
    const { described } = this.#input.evidence
    return described?.segments.find((vouched) => vouched.baseOffset === baseOffset)
  }

  /** A segment that was cut between two batches shows by what the clean marker says alone. */
  #checkVouchedEnd(segment: SegmentVerification): void {
    const resumesAt = this.#vouchedOf(segment)?.nextOffset ?? 0
    const firstOffset = this.#state.nextOffset
    if (firstOffset >= resumesAt) return
    const position = segment.fileBytes
    this.#damage.addLoss(segment.path, {
      position,
      bytes: 0,
      firstOffset,
      resumesAt,
      reason: 'missing',
    })
    this.#state.nextOffset = resumesAt
  }

  /** Where gaps are nothing new, a segment that is missing shows by the clean marker alone. */
  #checkVouchedBefore(baseOffset: number): void {
    for (const vouched of this.#input.evidence.described?.segments ?? []) {
      const { nextOffset: resumesAt } = vouched
      const isBetween = vouched.baseOffset >= this.#state.nextOffset && resumesAt <= baseOffset
      if (!isBetween || resumesAt <= this.#state.nextOffset) continue
      this.#addMissing(resumesAt, vouched.baseOffset)
      this.#state.nextOffset = resumesAt
    }
  }

  #checkIndexes(segment: SegmentVerification, isDamaged: boolean): boolean {
    const wrong = segment.finish().filter(({ file }) => this.#input.isUnjudged?.(file) !== true)
    // Where the .log is made anew, so are they.
    for (const one of isDamaged ? [] : wrong) this.#damage.addFlaw(one)
    return wrong.length > 0
  }

  #checkTransactions(
    place: SegmentPlace,
    nextBase: number | undefined,
  ): readonly AbortedTransaction[] | undefined {
    if (this.#input.isLive) return undefined
    const scope = this.#layout.scopeOf(place.baseOffset, nextBase)
    const found = this.#state.transactions.finish(place, scope, this.#state.nextOffset)
    if (found !== undefined) this.#damage.addFlaw(found.wrong)
    return found?.aborted
  }

  /** Where it goes on; -1 where the segment has nothing more. */
  *#passDamage(segment: SegmentVerification, bad: BadPlace, below: number): Procedure<number> {
    const state = this.#state
    state.transactions.forgetOpen()
    const { durableBefore } = this.#input.evidence
    const limits = { below, knownEnd: Math.max(this.#leastEnd, durableBefore) }
    const { position, offset } = yield* segment.findBehind(bad, limits, state)
    const isEnd = position < 0
    const leastEnd = below === Infinity ? this.#leastEnd : below
    const resumesAt = isEnd ? Math.max(leastEnd, offset) : offset
    const bytes = (isEnd ? segment.fileBytes : position) - bad.position
    const { reason } = bad
    const found = { position: bad.position, bytes, firstOffset: bad.offset, resumesAt, reason }
    this.#damage.addLoss(segment.path, found)
    state.nextOffset = resumesAt
    return position
  }

  /** These come behind a torn end: recovery sets them aside. */
  #tearFrom(bases: readonly number[]): void {
    if (this.#input.isLive) return
    for (const baseOffset of bases) this.#tornBytes += this.#layout.logBytesOf(baseOffset)
  }

  /** Removed since it was listed: by retention of a living writer. */
  #passMissing(nextBase: number | undefined): boolean {
    if (nextBase === undefined) return false
    this.#state.nextOffset = Math.max(this.#state.nextOffset, nextBase)
    return true
  }

  /** Something lies where its .log should. */
  #passNoFile(baseOffset: number, nextBase: number | undefined): boolean {
    const file = segmentPath(this.#layout.placeOf(baseOffset), '.log')
    this.#damage.addFlaw({ file, position: 0, bytes: 0, reason: 'it is not a file' })
    const flags = { isDamaged: true, areIndexesDamaged: true, aborted: undefined, wholeBytes: 0 }
    this.#segments.push({ baseOffset, fileBytes: 0, stretches: [], ...flags })
    return this.#passMissing(nextBase)
  }

  /** A segment whose offsets another one holds: a copy under a wrong name. */
  #addForeign(baseOffset: number): void {
    const file = segmentPath(this.#layout.placeOf(baseOffset), '.log')
    const fileBytes = this.#layout.logBytesOf(baseOffset)
    this.progress.doneBytes += fileBytes
    this.#damage.addFlaw({ file, position: 0, bytes: fileBytes, reason: 'overlaps another' })
    const flags = { isDamaged: true, areIndexesDamaged: true, aborted: undefined }
    const wholeBytes = fileBytes
    this.#segments.push({ baseOffset, fileBytes, wholeBytes, stretches: [], ...flags })
  }

  #addMissing(resumesAt: number, nextBase: number): void {
    this.#state.transactions.forgetOpen()
    const { driver, directory } = this.#input
    const file = segmentPath({ driver, directory, baseOffset: nextBase }, '.log')
    const firstOffset = this.#state.nextOffset
    this.#damage.addLoss(file, { position: 0, bytes: 0, firstOffset, resumesAt, reason: 'missing' })
  }

  /** A log that ends below what was synced once has lost its end. */
  #checkEnd(bases: readonly number[]): void {
    const firstOffset = Math.max(this.#state.nextOffset, this.#logStartOffset)
    if (!this.#isDamage(firstOffset)) return
    const baseOffset = bases.at(-1)
    const { directory } = this.#input
    const file =
      baseOffset === undefined ? directory : `${directory}/${segmentFileName(baseOffset, '.log')}`
    const position = this.#segments.at(-1)?.fileBytes ?? 0
    const resumesAt = this.#leastEnd
    this.#damage.addLoss(file, { position, bytes: 0, firstOffset, resumesAt, reason: 'missing' })
  }

  #checkMarker(segment: SegmentVerification): void {
    const vouched = this.#vouchedOf(segment)
    // It may be about those that a swap, which came to nothing while the log was open, replaces.
    if (vouched === undefined || segment.place.suffix !== undefined) return
    const { recordCount } = vouched
    const found = segment.contents
    const isSame =
      vouched.nextOffset === found.nextOffset &&
      vouched.largestTimestamp === found.largestTimestamp &&
      (recordCount === null || recordCount === found.recordCount) &&
      vouched.sizeBytes === segment.fileBytes
    if (isSame) return
    const reason = `it does not agree with ${segment.path}`
    this.#damage.addFlaw({ file: CLEAN_MARKER_FILE, position: 0, bytes: 0, reason })
  }

  #checkSmallFiles(): void {
    const { driver, directory, topicId, isOwn, evidence } = this.#input
    for (const flaw of this.#state.epochs.finish()) this.#damage.addFlaw(flaw)
    const isClean = evidence.described !== undefined || evidence.isBrokerClean
    const syncedTo = isClean ? Infinity : evidence.checkpointedPoint
    const vouched = evidence.described?.producers?.offset
    const snapshots = auditSnapshots(driver, directory, { syncedTo, vouched })
    for (const flaw of snapshots) this.#damage.addFlaw(flaw)
    const isOfTopic = { topicId, isRequired: isOwn }
    for (const flaw of auditMetadata(driver, directory, isOfTopic)) this.#damage.addFlaw(flaw)
  }

  #isDamage(offset: number): boolean {
    return offset < this.#leastEnd
  }
}
