/**
 * FollowedPartition: one partition that another process writes, as its readers see it here.
 *
 * Owns the watermarks that readers see and when they move. Which files there are, and what of them
 * was taken in, is followed-segments.ts'; where nobody publishes, derived-watermarks.ts says where
 * transactions stand; who writes, and which topics there are, is followed-log.ts' to find out.
 *   I1  logStartOffset <= lastStableOffset <= highWatermark <= logEndOffset
 *   I2  none of them goes back, but by a cut of the log, which `cuts` tells of
 *   I3  nothing is handed out that did not pass its CRC here, nor anything behind what is published
 *   I4  nothing is written and no lock is taken
 */
import { completeProcedure, type Procedure } from '../../storage/procedure.ts'
import type { PublishedPartition } from '../../storage/control-slot.ts'
import { isGoneFile } from '../../storage/file-failure.ts'
import { AbortedTransactions } from '../aborted-transactions.ts'
import { nextTurn } from '../clock.ts'
import type { ResolvedTopicConfig } from '../log-config.ts'
import { LogCursor } from '../log-cursor.ts'
import type { CursorOptions } from '../log-source.ts'
import { endedError, filesGone } from '../partition-errors.ts'
import type { PartitionEnd, ReadablePartition } from '../readable-partition.ts'
import type { SegmentList } from '../segment-list.ts'
import { Tail } from '../tail.ts'
import { DerivedWatermarks, startOfReplay } from './derived-watermarks.ts'
import type { FollowContext, FollowedPlace, WriterWord } from './follow-context.ts'
import type { SwapStance } from './folder-listing.ts'
import { FollowedEpochs } from './followed-epochs.ts'
import { FollowedLayout } from './followed-layout.ts'
import {
  FollowedSegments,
  type FollowedEnd,
  type FollowedFolder,
  type Step,
} from './followed-segments.ts'
import { FollowedWatermarks, isSamePublication } from './followed-watermarks.ts'

/** Before somebody has said anything. */
const NO_WORD: WriterWord = { mode: 'derived', published: undefined, writerGeneration: undefined }

/** See the file's header. */
export class FollowedPartition implements ReadablePartition, FollowedFolder {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly directory: string
  readonly driver: FollowContext['driver']
  /** Made here: every segment ends where the next one starts. */
  readonly isOwn: boolean
  readonly tail: Tail
  /** A writer decides; what it publishes as durable is decided. */
  readonly undecided: ReadablePartition['undecided'] = { lowestOffset: Infinity }
  readonly cuts: number[] = []
  readonly #context: FollowContext
  readonly #place: FollowedPlace
  readonly #marks = new FollowedWatermarks()
  readonly #listeners = new Set<() => void>()
  #config: ResolvedTopicConfig
  #isGapless: boolean
  #word: WriterWord = NO_WORD
  #published: PublishedPartition | undefined
  /** Who published last. */
  #generation: number | undefined
  readonly #epochs: FollowedEpochs
  #files: FollowedSegments | undefined
  readonly #layout = new FollowedLayout()
  #isUnsettled = false
  #derived: DerivedWatermarks | undefined
  #aborted: AbortedTransactions | undefined
  #abortedOf = 0
  #end: PartitionEnd | undefined

  /** Reads nothing yet: the first look does. */
  constructor(context: FollowContext, place: FollowedPlace) {
    this.#context = context
    this.#place = place
    this.driver = context.driver
    this.topic = place.topic
    this.partition = place.partition
    this.topicId = place.topicId
    this.directory = place.directory
    this.isOwn = place.isOwn
    this.tail = new Tail(context.tailBudget)
    this.#epochs = new FollowedEpochs(this)
    this.#config = place.config
    this.#isGapless = place.isGapless
  }

  /** Complete settings of the topic. */
  get config(): ResolvedTopicConfig {
    return this.#config
  }
  /** No offset was ever left out: a gap is damage. */
  get isGapless(): boolean {
    return this.#isGapless
  }
  /** How the partition ended, where it has. */
  get end(): PartitionEnd | undefined {
    return this.#end
  }
  get logStartOffset(): number {
    return this.#marks.logStartOffset
  }
  get lastStableOffset(): number {
    return this.#marks.lastStableOffset
  }
  get highWatermark(): number {
    return this.#marks.highWatermark
  }
  get logEndOffset(): number {
    return this.#marks.logEndOffset
  }
  get durableOffset(): number {
    return this.#marks.durableOffset
  }
  get rewriteCount(): number {
    return (this.#files?.rewriteCount ?? 0) + this.cuts.length
  }
  /** @throws {LogError} IO where the files cannot be listed. */
  get segments(): SegmentList {
    return this.#opened().list
  }
  get logBytes(): number {
    return this.segments.sizeBytes
  }
  /** True where a look at the files could not be brought to its end: `refresh` tries again. */
  get isUnsettled(): boolean {
    return this.#isUnsettled
  }

  /**
   * The first look, in slices where it takes long: what nobody has published is walked. `refresh`
   * does the same in one go where nobody has called this.
   * @throws {LogError} IO where the files cannot be read.
   */
  *open(): Procedure<void> {
    this.#word = this.#context.word(this.#place)
    if (this.#word.mode === 'derived') {
      const files = this.#opened()
      while (this.#step(files, Infinity) === 'more') {
        yield nextTurn
        if (this.#end !== undefined) return
      }
    }
    this.refresh()
  }

  /** Looks at the slot of the partition, and does what `heard` does. */
  refresh(): void {
    if (this.#end === undefined) this.heard(this.#context.word(this.#place))
  }

  /**
   * Takes in what the writer says, or in derived mode what the files say; listeners are told where
   * something moved. Also tries again what could not be done before.
   * @throws {LogError} IO where the files cannot be read: what was known stays.
   */
  heard(word: WriterWord): void {
    const { changeCount } = this.#marks
    this.#word = word
    try {
      this.#takeIn(word)
    } catch (error) {
      if (!isGoneFile(error)) throw error
      this.#relist('plan') // What was being read was removed meanwhile.
      this.#takeIn(word)
    } finally {
      if (this.#marks.changeCount !== changeCount) this.#notify()
    }
  }

  #takeIn({ mode, published }: WriterWord): void {
    if (this.#end !== undefined) return
    if (mode === 'published' && published !== undefined) this.#takePublished(published)
    else if (mode === 'derived') this.#derive(published)
    if (this.#isUnsettled) this.#relist('wait')
  }

  /** See LogSource. Never beyond what is known as the end. */
  extend(): boolean {
    if (this.#end !== undefined) return false
    const files = this.#opened()
    const step = this.#step(files, this.logEndOffset)
    if (step !== 'stuck') return step === 'more'
    const count = this.#changeCount
    this.#lookAtFiles()
    if (this.#changeCount !== count) return true
    files.passDamage(this.logEndOffset, this.#reach(this.logEndOffset))
    return true
  }

  /** See LogSource. */
  lookAgain(): boolean {
    if (this.#end !== undefined || this.#files === undefined) return false
    const [count, start] = [this.#changeCount, this.logStartOffset]
    if (this.#isGapless) this.#context.gapFound(this.#place)
    this.#lookAtFiles()
    // What is not there any more was let go of before: a new start was published.
    if (this.#word.mode === 'published') this.refresh()
    return this.#changeCount !== count || this.logStartOffset !== start
  }

  isAborted(producerId: number, baseOffset: number): boolean {
    if (this.#end !== undefined) throw endedError(this) // A reader may still have batches at hand.
    if (this.#aborted === undefined || this.#abortedOf !== this.rewriteCount) {
      this.#aborted = new AbortedTransactions(this)
      this.#abortedOf = this.rewriteCount
    }
    return this.#aborted.covers(producerId, baseOffset)
  }

  /** A reader of whole batches from `offset` on. */
  cursor(offset: number, options?: CursorOptions): LogCursor {
    this.#epochs.begin()
    return new LogCursor(this, offset, options)
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) this.#context.listening(true)
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) {
        this.#context.listening(false)
      }
    }
  }

  /** Settings that its writer has changed. */
  applyConfig(config: ResolvedTopicConfig): void {
    this.#config = config
  }
  /** Its writer compacts it from now on: offsets may be left out. */
  markCompacted(): void {
    this.#isGapless = false
  }

  /** Ends the partition for its readers and closes its files. */
  finish(end: PartitionEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.tail.clear()
    this.#files?.close()
    this.#derived = undefined
    this.#notify()
    if (this.#listeners.size > 0) this.#context.listening(false)
    this.#listeners.clear()
  }

  #takePublished(published: PublishedPartition): void {
    const { writerGeneration, layoutEpoch } = published
    const isNewWriter = this.#generation !== undefined && this.#generation !== writerGeneration
    this.#generation = writerGeneration
    this.#derived = undefined
    // Where the control file was made anew generations are counted from 1 again.
    const isNews = !isSamePublication(published, this.#published)
    const growth = published.logEndOffset - this.logEndOffset
    this.#published = published
    if (isNewWriter || (isNews && growth < 0)) this.#meetWriter(published.logEndOffset)
    else if (growth > 0) this.#cutWhere(this.#epochs.grown(this.logEndOffset))
    this.#marks.take(published)
    const files = this.#files
    if (files === undefined) {
      this.#layout.seen(layoutEpoch, 0)
      return
    }
    const rolls = this.#layout.rollsTo(layoutEpoch)
    if (rolls !== undefined) files.rollOn(this.#reach(this.logEndOffset), rolls)
    if (!this.#layout.isExplained(layoutEpoch, files.rollCount)) this.#relist('wait')
  }

  /**
   * What its predecessor wrote and this one, whose log ends at `logEndOffset` at least, has not is
   * void. What of it is in the file yet is not: the writer says later than it writes.
   */
  #meetWriter(logEndOffset: number): void {
    const newEpochStart = this.#epochs.meetWriter(this.logEndOffset)
    const isShort = logEndOffset < this.logEndOffset
    const told = Math.min(newEpochStart ?? Infinity, isShort ? logEndOffset : Infinity)
    const last = this.#files?.lookAtLast(this.logEndOffset) ?? 'unknown'
    if (last === 'changed' && told === Infinity) this.#cutWhere(this.#files?.list.active.baseOffset)
    else if (last !== 'there') this.#cutWhere(told)
    this.#layout.forget()
  }

  #cutWhere(offset: number | undefined): void {
    if (offset !== undefined && offset < this.logEndOffset) this.#cutTo(offset)
  }

  /** One step forward, past the beginning of an epoch where that cuts nothing. */
  #step(files: FollowedSegments, limit: number): Step {
    const step = files.step(this.#reach(limit))
    const { newerEpoch } = files
    if (step !== 'stuck' || newerEpoch === undefined) return step
    const cut = this.#epochs.meetBatch(files.list.active.nextOffset, newerEpoch)
    if (cut !== undefined) this.#cutTo(cut)
    if (cut !== undefined) this.#relist('plan')
    return 'more'
  }

  #cutTo(offset: number): void {
    this.cuts.push(offset)
    this.#files?.cutTo(offset)
    this.#derived = undefined
    this.#layout.forget()
    this.#marks.cutTo(offset)
  }

  /** Nobody says how far the log goes: the files do. */
  #derive(published: PublishedPartition | undefined): void {
    const files = this.#opened()
    const checkpointed = this.#context.checkpointed(this.#place)
    if (published !== undefined) this.#marks.take(published)
    if (files.isOutdated) this.#relist('wait')
    let knownEnd = Math.max(this.logEndOffset, checkpointed.recoveryPoint)
    if (files.isActiveShort) {
      files.cutTo(files.list.active.baseOffset)
      this.#relist('plan')
      knownEnd = 0
    }
    const end = this.#walk(files, knownEnd)
    if (end < this.logEndOffset) this.#cutTo(end)
    const start = published === undefined ? undefined : published.lastStableOffset
    this.#derived ??= new DerivedWatermarks(
      this,
      start === undefined
        ? startOfReplay(this.driver, this, end)
        : { offset: Math.min(start, end), entries: [] },
    )
    this.#marks.derive({
      logStartOffset: Math.max(checkpointed.logStartOffset ?? 0, files.list.first.baseOffset),
      logEndOffset: end,
      durableOffset: published?.durableOffset ?? checkpointed.recoveryPoint,
    })
    completeProcedure(this.#derived.advance(end))
    this.#marks.stableUpTo(Math.min(this.#derived.firstUnstableOffset, end))
  }

  /** Takes in all that is whole; returns where the log ends. */
  #walk(files: FollowedSegments, knownEnd: number): number {
    for (;;) {
      while (this.#step(files, Infinity) === 'more');
      const { nextOffset } = files.list.active
      if (nextOffset >= knownEnd) return nextOffset
      const count = this.#changeCount
      this.#relist('wait')
      if (this.#changeCount === count) files.passDamage(knownEnd, this.#reach(Infinity))
    }
  }

  /** After something was not as expected. @throws {LogError} as `heard`, and once it has ended. */
  #lookAtFiles(): void {
    const word = this.#context.word(this.#place)
    if (word.mode === 'published') this.heard(word)
    this.#relist('plan')
    if (this.#end !== undefined) throw endedError(this)
  }

  #relist(stance: SwapStance): void {
    const files = this.#files
    if (files === undefined || this.#end !== undefined) return
    const { published } = this.#word
    const result = files.relist(this.#reach(this.#limit), stance)
    if (result === 'gone') {
      this.#context.missing()
      if (this.#end !== undefined) throw endedError(this) // Its files are closed.
      return
    }
    this.#isUnsettled = result === 'unsettled'
    if (this.#isUnsettled) return
    this.#layout.seen(published?.layoutEpoch, files.rollCount)
  }

  #opened(): FollowedSegments {
    if (this.#files !== undefined) return this.#files
    if (this.#end !== undefined) throw endedError(this)
    const files = FollowedSegments.open(this, this.#reach(this.#limit))
    if (files === undefined) {
      this.#context.missing()
      throw this.#end === undefined ? filesGone(this.directory) : endedError(this)
    }
    this.#epochs.begin()
    this.#files = files
    return files
  }

  get #limit(): number {
    return this.#word.mode === 'published' ? this.logEndOffset : Infinity
  }

  #reach(limit: number): FollowedEnd {
    const isThisBoot = this.#word.writerGeneration !== undefined
    return { limit, isThisBoot, newestEpoch: this.#epochs.known }
  }

  /** Rises where what is known of the files, or of the log, changed. */
  get #changeCount(): number {
    return (this.#files?.changeCount ?? 0) + this.cuts.length + (this.#isGapless ? 0 : 1)
  }

  readonly #notify = (): void => this.#listeners.forEach((listener) => listener())
}
