/**
 * PartitionFeed: one partition that a member of a group was assigned: its position and the records
 * that come next. How far the user is with those handed over is handled-place.ts's to know.
 *
 *   I1  position is the next offset to hand over; only records, gaps, `seek` and a reset move it
 *   I2  handled is the next offset to commit: never above what was handed over or sought
 *   I3  an offset that the log does not have any more is never passed over in silence: the group's
 *       reset policy decides, and a warning says so
 * Hot: `take` and `handleAll` run once a record.
 */
import { assert } from '../../errors/invariant.ts'
import { LogError } from '../../errors/log-error.ts'
import type { Clock } from '../../log/clock.ts'
import type { ReadablePartition } from '../../log/readable-partition.ts'
import type { OffsetsOutcome } from '../../log/staged-offsets.ts'
import { offsetReset, type Warn } from '../log-warnings.ts'
import type { StoredRecord } from '../log-record.ts'
import type { Range, StartPosition } from '../position.ts'
import { ReadPace } from '../read-pace.ts'
import { checkReadable, RecordSource, startOffset } from '../record-source.ts'
import type { RecordTypes } from '../record-types.ts'
import type { CoveredOffsets } from './covered-offsets.ts'
import { HandledPlace } from './handled-place.ts'

/** Where to begin where nothing was committed, or what was committed is gone. */
export type ResetPolicy = 'earliest' | 'latest' | 'none'

/** How the members of a group read. */
export interface FeedOptions {
  readonly groupId: string
  readonly clock: Clock
  readonly autoOffsetReset: ResetPolicy
  readonly range: Range
  readonly warn: Warn
  readonly damageFound: (error: LogError<'CORRUPT'>, resumesAt: number) => void
  /** `handled` moved, and was not told since it was written last. */
  readonly unwritten: (feed: PartitionFeed) => void
}

/** One partition of a member. */
export class PartitionFeed {
  readonly log: ReadablePartition
  readonly topic: string
  readonly partition: number
  readonly generation: number
  readonly pace: ReadPace
  /** Its `onAssigned` has run. */
  isActive = false
  isPaused = false
  /** The hooks believe that it is the member's. */
  isTold = false
  /** It has to be given up, once nothing of it is in the user's hands. */
  isRevoking = false
  /** `onRevoked` is told of it, or was. */
  isToldRevoked = false
  /** It is the member's no more. */
  isLost = false
  /** Waits for its turn. */
  isQueued = false
  /** A read off the event loop is under way. */
  isLoading = false
  /** How often something of it was handed over and not released. */
  takenCount = 0
  /** `handled` is not written. */
  isUnwritten = false
  /** Counts seeks: what was taken before one says nothing about positions any more. */
  seekCount = 0
  readonly #options: FeedOptions
  readonly #types: RecordTypes
  #source: RecordSource | undefined
  /** Undefined where the policy is 'none' and nothing was committed. */
  #position: number | undefined
  readonly #place: HandledPlace = new HandledPlace(() => this.#noteUnwritten())
  /** Taken from the source and not handed over yet. */
  #gathered: StoredRecord[] = []
  #gatheredBytes = 0
  #loss: AbortController | undefined
  /** Where the group went on in it, or began. */
  #startedAt: number | undefined

  /** Without a position: `locate` or `seek` gives one. */
  constructor(
    log: ReadablePartition,
    types: RecordTypes,
    generation: number,
    options: FeedOptions,
  ) {
    this.log = log
    this.topic = log.topic
    this.partition = log.partition
    this.generation = generation
    this.pace = new ReadPace(options.clock)
    this.#types = types
    this.#options = options
  }

  /** Records may be taken. */
  get mayRead(): boolean {
    return (
      this.isActive &&
      !this.isPaused &&
      !this.isRevoking &&
      !this.isLost &&
      this.log.end === undefined
    )
  }

  /** @throws {LogError} NO_OFFSET where nothing was committed and the policy is 'none'. */
  get position(): number {
    if (this.#gathered.length > 0) return this.#firstGathered()
    if (this.#position === undefined) throw this.#noOffset('nothing was committed for it')
    return this.#position
  }

  /** The log starts behind its position by now. */
  get isOvertaken(): boolean {
    return this.#position !== undefined && this.#position < this.log.logStartOffset
  }

  get hasPosition(): boolean {
    return this.#position !== undefined
  }

  /** The next offset to commit. */
  get handled(): number {
    return this.#place.handled
  }

  /** Something was handed over, or sought. */
  get hasMoved(): boolean {
    return this.#position !== undefined && this.position !== this.#startedAt
  }

  /** `handled` is not to be committed by itself. */
  get isCovered(): boolean {
    return this.#place.isCovered
  }

  /** How far transactions cover it. */
  get covered(): CoveredOffsets {
    return this.#place.covered
  }

  /** Aborts when the partition is lost. */
  get signal(): AbortSignal {
    this.#loss ??= new AbortController()
    if (this.isLost) this.#loss.abort()
    return this.#loss.signal
  }

  // --------------------------------------------------------------- positions

  /** Starts at what the group committed, or where its policy says. */
  locate(committed: number | undefined): void {
    if (committed === undefined) this.#startByPolicy()
    else if (this.#isReadable(committed)) this.#startAt(committed)
    else this.#reset(committed)
  }

  /**
   * Goes on at `to`. @throws {LogError} OFFSET_OUT_OF_RANGE: nothing changed.
   */
  seek(to: StartPosition): void {
    const { log } = this
    if (typeof to === 'number') checkReadable(log, to, log.logEndOffset)
    const offset = this.#offsetOf(to)
    this.discard()
    this.seekCount += 1
    this.#position = offset
    this.#place.sought(offset, this.takenCount > 0)
  }

  /** Everything handed over is handled. Hot. */
  handleAll(): void {
    const position = this.#gathered.length > 0 ? this.#firstGathered() : this.#position
    if (position !== undefined) this.#place.askedAt(position)
  }

  /** Everything below `offset` is handled; never moves back. */
  handleBelow(offset: number): void {
    if (offset > this.#place.handled) this.#place.moveTo(offset)
  }

  /** The user committed `offset`: what is in hand below it does not come again. */
  committed(offset: number): void {
    if (this.#position !== undefined && offset <= this.#position) this.#place.committed(offset)
  }

  /** A transaction covers everything below `offset`. */
  cover(offset: number): void {
    this.#place.cover(offset)
  }

  /** The transaction ended that covers everything below `offset`. */
  coveredEnded(offset: number, outcome: OffsetsOutcome): void {
    if (this.isLost) return
    this.#place.coveredEnded(offset, outcome)
    if (outcome === 'committed') this.committed(offset)
  }

  /** What is in the user's hands is not handled, and comes again: unless it sought elsewhere. */
  takeBack(): void {
    const position = this.#position
    const { beginsAgainAt } = this.#place
    if (position === undefined || beginsAgainAt === undefined || position <= beginsAgainAt) return
    this.discard()
    this.#position = beginsAgainAt
  }

  /** Drops what was read and not handed over: it is read again from the position on. */
  discard(): void {
    if (this.#gathered.length > 0) this.#position = this.#firstGathered()
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#endSource()
  }

  /** It is the member's no more. */
  lose(): void {
    this.isLost = true
    this.discard()
    this.#loss?.abort()
  }

  // ----------------------------------------------------------------- reading

  /** The next record at hand; undefined where `load` is needed first. Hot. */
  take(): StoredRecord | undefined {
    const source = this.#source
    if (source === undefined) return undefined
    try {
      const record = source.take()
      if (record !== undefined) this.#position = record.offset + 1
      return record
    } catch (error) {
      // A source goes on behind a batch that it cannot decode; the user has not decided to.
      this.#endSource()
      throw error
    }
  }

  /** How much the record that was taken last takes. */
  get recordBytes(): number {
    return this.#source?.recordBytes ?? 0
  }

  /** Reads the next batches; false where there are none now. @throws {LogError} NO_OFFSET … */
  load(): boolean {
    if (this.log.end !== undefined) return false
    const source = this.#prepared()
    try {
      return this.#loaded(source, this.pace.load(source))
    } catch (error) {
      this.#endSource()
      throw error
    }
  }

  /** As `load`, off the event loop. */
  async loadAhead(): Promise<boolean> {
    if (this.log.end !== undefined) return false
    const source = this.#prepared()
    try {
      return this.#loaded(source, await this.pace.loadAhead(source))
    } catch (error) {
      if (source !== this.#source) return false // Sought, lost or deleted meanwhile.
      this.#endSource()
      throw error
    }
  }

  // --------------------------------------------------------------- gathering

  get gatheredCount(): number {
    return this.#gathered.length
  }

  get gatheredBytes(): number {
    return this.#gatheredBytes
  }

  /** Keeps the record that was just taken, until a batch is handed over. */
  gather(record: StoredRecord): void {
    this.#gathered.push(record)
    this.#gatheredBytes += this.recordBytes
  }

  /** Hands over what was gathered. */
  takeGathered(): StoredRecord[] {
    const records = this.#gathered
    this.#gathered = []
    this.#gatheredBytes = 0
    return records
  }

  /** It is read anew from the position on; what was gathered in front of that stays. */
  #endSource(): void {
    this.#source?.finish()
    this.#source = undefined
  }

  #firstGathered(): number {
    const [first] = this.#gathered
    assert(first !== undefined, 'asked for only where something was gathered')
    return first.offset
  }

  #prepared(): RecordSource {
    if (this.position < this.log.logStartOffset && this.#gathered.length === 0) {
      this.#reset(this.position)
    }
    this.#source ??= new RecordSource(this.log, this.#types, {
      range: { ...this.#options.range, from: this.#position ?? this.position },
      live: true,
      onDamage: this.#options.damageFound,
    })
    return this.#source
  }

  #loaded(source: RecordSource, loaded: boolean): boolean {
    if (source !== this.#source) return false
    if (loaded) return true
    this.pace.caughtUp()
    this.#passGap(source.nextOffset)
    return false
  }

  #passGap(nextOffset: number): void {
    const from = this.#position
    if (from === undefined || nextOffset <= from) return
    this.#position = nextOffset
    if (this.#startedAt === from) this.#startedAt = nextOffset
    this.#place.passGap(from, nextOffset, this.takenCount > 0)
  }

  #noteUnwritten(): void {
    if (this.isUnwritten) return
    this.isUnwritten = true
    this.#options.unwritten(this)
  }

  #startAt(offset: number): void {
    this.#position = offset
    this.#place.startAt(offset)
    this.#startedAt = offset
  }

  #startByPolicy(): void {
    const { autoOffsetReset } = this.#options
    if (autoOffsetReset === 'none') return
    this.#startAt(this.#offsetOf(autoOffsetReset))
    // 'latest' is another place each time it is looked up: uncommitted, whatever is appended until
    // the next start would be passed over, with the record that was in hand.
    if (autoOffsetReset === 'latest') this.#place.moveTo(this.#place.handled)
  }

  /** @throws {LogError} NO_OFFSET where the policy is 'none'. */
  #reset(from: number): void {
    const { autoOffsetReset, groupId, warn } = this.#options
    this.discard()
    this.seekCount += 1
    this.#place.leave()
    if (autoOffsetReset === 'none') {
      this.#position = undefined
      if (this.isActive) throw this.#noOffset(`offset ${from} is gone`)
      return
    }
    const to = this.#offsetOf(autoOffsetReset)
    this.#position = to
    this.#place.moveTo(to)
    warn(offsetReset(this.log, groupId, { from, to }))
  }

  #isReadable(offset: number): boolean {
    return offset >= this.log.logStartOffset && offset <= this.log.logEndOffset
  }

  #offsetOf(from: StartPosition): number {
    const { range, damageFound } = this.#options
    const onDamage = range.onCorrupt === 'skip' ? damageFound : undefined
    return startOffset(this.log, { ...range, from }, onDamage)
  }

  #noOffset(why: string): LogError<'NO_OFFSET'> {
    const { topic, partition } = this
    const { groupId } = this.#options
    return new LogError(
      'NO_OFFSET',
      `group ${groupId} has no offset of ${topic}-${partition} to start at: ${why}, and ` +
        `autoOffsetReset is 'none': seek to a position (in onAssigned, say), or pause it`,
      { group: groupId, topic, partition },
    )
  }
}
