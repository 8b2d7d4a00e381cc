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
import { AbortedTransactions } from '../aborted-transactions.ts'
import type { ResolvedTopicConfig } from '../log-config.ts'
import { LogCursor } from '../log-cursor.ts'
import type { CursorOptions } from '../log-source.ts'
import type { PartitionEnd, ReadablePartition } from '../readable-partition.ts'
import { SegmentList } from '../segment-list.ts'
import { Tail } from '../tail.ts'
import type { Procedure } from '../../storage/procedure.ts'
import type { FollowContext, FollowedPlace, WriterWord } from './follow-context.ts'

/** See the file's header. */
export class FollowedPartition implements ReadablePartition {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly directory: string
  readonly tail: Tail
  /** A writer decides; what it publishes as durable is decided. */
  readonly undecided: ReadablePartition['undecided'] = { lowestOffset: Infinity }
  readonly cuts: number[] = []
  readonly rewriteCount: number = 0
  readonly logStartOffset: number = 0
  readonly highWatermark: number = 0
  readonly lastStableOffset: number = 0
  readonly logEndOffset: number = 0
  readonly durableOffset: number = 0
  readonly #context: FollowContext
  readonly #place: FollowedPlace
  readonly #listeners = new Set<() => void>()
  #config: ResolvedTopicConfig
  #isGapless: boolean
  #aborted: AbortedTransactions | undefined
  #end: PartitionEnd | undefined

  /** Reads nothing yet: the first look does. */
  constructor(context: FollowContext, place: FollowedPlace) {
    this.#context = context
    this.#place = place
    this.topic = place.topic
    this.partition = place.partition
    this.topicId = place.topicId
    this.directory = place.directory
    this.tail = new Tail(context.tailBudget)
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
  get segments(): SegmentList {
    return new SegmentList([])
  }
  get logBytes(): number {
    return this.segments.sizeBytes
  }

  /** True where a look at the files could not be brought to its end: `refresh` tries again. */
  get isUnsettled(): boolean {
    return false
  }

  /**
   * The first look, in slices where it takes long: it walks what nobody has published. `refresh`
   * does the same in one go where nobody has called this.
   * @throws {LogError} IO where the files cannot be read.
   */
  // oxlint-disable-next-line require-yield
  *open(): Procedure<void> {
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
  heard(_word: WriterWord): void {}

  extend(): boolean {
    return false
  }

  lookAgain(): boolean {
    return false
  }

  isAborted(producerId: number, baseOffset: number): boolean {
    this.#aborted ??= new AbortedTransactions(this)
    return this.#aborted.covers(producerId, baseOffset)
  }

  /** A reader of whole batches from `offset` on. */
  cursor(offset: number, options?: CursorOptions): LogCursor {
    return new LogCursor(this, offset, options)
  }

  onChange(listener: () => void): () => void {
    const before = this.#listeners.size
    this.#listeners.add(listener)
    if (before === 0) this.#context.listening(true)
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
    for (const listener of this.#listeners) listener()
    if (this.#listeners.size > 0) this.#context.listening(false)
    this.#listeners.clear()
  }
}
