/**
 * RecordSource: the records of one partition within a range, one after the other, for every way of
 * reading but the lookup of a single offset.
 *
 * Synchronous: `take` gives the next record that is at hand, `load` brings the next batches to
 * hand. Waiting for more is its caller's business.
 *   I1  records come in offset order, each once, none outside the range, no control record
 *   I3  with read_committed none of an open transaction, which starts at the last stable offset or
 *       behind it, nor of one that was aborted
 *   I2  a run of batches is this source's until the next one; records have memory of their own
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import {
  baseOffsetOf,
  batchSizeBytesOf,
  isTransactionalBatch,
  nextOffsetOf,
  producerIdOf,
} from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import type { LogCursor } from '../log/log-cursor.ts'
import { endedError, logShortened, offsetRemoved } from '../log/partition-errors.ts'
import type { ReadablePartition } from '../log/readable-partition.ts'
import type { BatchRun } from '../log/tail.ts'
import { offsetForTimestamp, type OnDamage } from '../log/timestamp-lookup.ts'
import { undecodable } from '../log/undecodable-batch.ts'
import type { StoredRecord } from './log-record.ts'
import type { Range } from './position.ts'
import { RecordMemory } from './record-memory.ts'
import type { RecordTypes } from './record-types.ts'

/** What a source needs to know of where it reads. */
export interface SourceOptions {
  readonly range: Range
  /** Goes on behind the end that the log has now. */
  readonly live: boolean
  readonly onDamage: (error: LogError<'CORRUPT'>, resumesAt: number) => void
}

const NO_RUN: BatchRun = { buffer: Buffer.alloc(0), start: 0, end: 0 }

/** The records of one partition within a range. */
export class RecordSource {
  readonly log: ReadablePartition
  readonly #options: SourceOptions
  readonly #reader = new RecordBatchReader()
  readonly #memory: RecordMemory
  readonly #cursor: LogCursor
  /** Exclusive; Infinity for a live read without an end. */
  readonly #to: number
  readonly #stopTimestamp: number
  readonly #readsCommitted: boolean
  #from: number
  /** Of the log, those that are older than what was read here. */
  #cutCount: number
  #run: BatchRun = NO_RUN
  #at = 0
  #batchAt = 0
  #inBatch = false
  #isDone = false

  /**
   * The positions are those of this moment.
   * @throws {LogError} OFFSET_OUT_OF_RANGE where the range starts outside the log.
   */
  constructor(log: ReadablePartition, types: RecordTypes, options: SourceOptions) {
    const { range, live } = options
    log.refresh()
    this.log = log
    this.#cutCount = log.cuts.length
    this.#memory = new RecordMemory(types, log.partition)
    this.#options = options
    this.#readsCommitted = range.isolation === 'read_committed'
    const onDamage = range.onCorrupt === 'skip' ? options.onDamage : undefined
    this.#from = startOffset(log, range, onDamage)
    const end = endPosition(log, range, onDamage)
    this.#to = live ? end.to : Math.min(end.to, visibleEnd(log, range))
    this.#stopTimestamp = end.stopTimestamp
    this.#cursor = log.cursor(this.#from)
    this.#isDone = this.#from >= this.#to
  }

  /** Nothing will come any more. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Everything at hand was taken. */
  get needsLoad(): boolean {
    return !this.#inBatch && this.#at >= this.#run.end
  }

  /** Once everything at hand was taken: where the next batches begin, behind a gap as well. */
  get nextOffset(): number {
    return Math.max(this.#from, this.#cursor.offset)
  }

  /** Where what it may show ends now; its range may end before. */
  get visibleEnd(): number {
    return visibleEnd(this.log, this.#options.range)
  }

  /** How much the record that was taken last takes. */
  get recordBytes(): number {
    return this.#reader.headersEnd - this.#reader.fieldsStart
  }

  /** The next record at hand; undefined where `load` is needed first, or at the end. */
  take(): StoredRecord | undefined {
    const reader = this.advance()
    return reader === undefined ? undefined : this.#memory.next(reader)
  }

  /** As `take`, without a record of its own. Borrowed until the next call of anything here. */
  advance(): RecordBatchReader | undefined {
    const reader = this.#reader
    for (;;) {
      if (!this.#inBatch && !this.#enterBatch()) return undefined
      if (!this.#advance()) continue
      const { offset } = reader
      if (offset < this.#from) continue
      if (offset >= this.#to || reader.timestamp >= this.#stopTimestamp) {
        this.finish()
        return undefined
      }
      return reader
    }
  }

  /** Visits every record of the range; returns how many. False from `visit` ends it. */
  scan(visit: (cursor: RecordBatchReader) => void | boolean): number {
    const reader = this.#reader
    let visited = 0
    while (this.load()) {
      while (this.#inBatch || this.#enterBatch()) {
        while (this.#advance()) {
          if (reader.offset < this.#from) continue
          if (reader.offset >= this.#to || reader.timestamp >= this.#stopTimestamp) return visited
          visited += 1
          if (visit(reader) === false) return visited
        }
      }
    }
    return visited
  }

  /**
   * Reads the next batches; false where there are none now.
   * @throws {LogError} CORRUPT unless the range skips damage.
   */
  load(): boolean {
    if (this.#isDone) return false
    this.#look()
    for (;;) {
      const { nextOffset } = this
      try {
        return this.#accept(this.#cursor.next(this.#limit()), nextOffset)
      } catch (error) {
        // Another process took its segments away while they were read.
        if (LogError.is(error, 'OFFSET_OUT_OF_RANGE') && this.#isBehind) this.#catchUp()
        else this.#passDamage(error)
      }
    }
  }

  /** As `load`, waiting for the device off the event loop. */
  async loadAhead(): Promise<boolean> {
    if (this.#isDone) return false
    this.#look()
    for (;;) {
      const { nextOffset } = this
      try {
        return this.#accept(await this.#cursor.nextAhead(this.#limit()), nextOffset)
      } catch (error) {
        if (this.log.end !== undefined) throw endedError(this.log)
        if (this.#isDone) return false
        // Its segments went while they were read.
        if (LogError.is(error, 'OFFSET_OUT_OF_RANGE') && this.#isBehind) this.#catchUp()
        else this.#passDamage(error)
      }
    }
  }

  /** Ends the source and lets its memory go. */
  finish(): void {
    this.#isDone = true
    this.#inBatch = false
    this.#letGo()
  }

  /** Nothing is at hand: a thousand sources that wait hold no batches. */
  #letGo(): void {
    this.#run = NO_RUN
    this.#at = 0
    this.#reader.buffer = NO_RUN.buffer
  }

  /** What came of a read that began at `offset`. */
  #accept(run: BatchRun | undefined, offset: number): boolean {
    if (this.#isDone) return false // It was finished while the device was waited for.
    if (this.log.cuts.length > this.#cutCount) this.#checkCuts(offset)
    if (run === undefined) {
      this.#letGo()
      if (this.#cursor.offset >= this.#to) this.finish()
      return false
    }
    this.#run = run
    this.#at = run.start
    return true
  }

  /** Turns to the next batch that holds users' records; false where the run has none left. */
  #enterBatch(): boolean {
    while (this.#at < this.#run.end) {
      const { buffer } = this.#run
      this.#batchAt = this.#at
      this.#at += batchSizeBytesOf(buffer, this.#at)
      this.#memory.turn()
      try {
        this.#reader.reset(buffer, this.#batchAt, this.log.config.maxDecompressedBytes)
        this.#inBatch = !this.#reader.isControl && !this.#isHidden()
      } catch (error) {
        if (!(error instanceof CorruptBytes)) this.#at = this.#batchAt // It is asked for again.
        this.#passBatch(error)
      }
      if (this.#inBatch) return true
    }
    return false
  }

  /** Whether the batch is one of an aborted transaction, for who reads what is committed. */
  #isHidden(): boolean {
    const reader = this.#reader
    if (!this.#readsCommitted || !isTransactionalBatch(reader.attributes)) return false
    const producerId = producerIdOf(this.#run.buffer, this.#batchAt)
    if (!this.log.isAborted(producerId, reader.baseOffset)) return false
    if (this.#stopTimestamp !== Infinity) this.#endAtTime()
    return true
  }

  /** Aborted records are not shown, but the time that a read ends at is theirs as well. */
  #endAtTime(): void {
    const reader = this.#reader
    while (reader.next()) {
      if (reader.offset < this.#from || reader.timestamp < this.#stopTimestamp) continue
      this.finish()
      return
    }
  }

  /** To the next record of the batch; false behind its last one. */
  #advance(): boolean {
    try {
      this.#inBatch = this.#reader.next()
    } catch (error) {
      this.#inBatch = false
      this.#passBatch(error)
    }
    return this.#inBatch
  }

  /**
   * A batch with a sound CRC that cannot be decoded: an error, or passed over where the range says
   * so.
   */
  #passBatch(error: unknown): void {
    if (!(error instanceof CorruptBytes)) throw error
    const failure = undecodable(this.log, baseOffsetOf(this.#run.buffer, this.#batchAt), error)
    if (!LogError.is(failure, 'CORRUPT') || this.#options.range.onCorrupt === 'stop') throw failure
    this.#options.onDamage(failure, nextOffsetOf(this.#run.buffer, this.#batchAt))
  }

  #passDamage(error: unknown): void {
    if (!LogError.is(error, 'CORRUPT') || this.#options.range.onCorrupt === 'stop') throw error
    this.#options.onDamage(error, this.#cursor.skipDamage())
  }

  /**
   * What may have happened to the log since the last batches.
   * @throws {LogError} OFFSET_OUT_OF_RANGE where it was cut below what was read; why it ended.
   */
  #look(): void {
    const { log } = this
    if (this.#cursor.offset >= visibleEnd(log, this.#options.range)) log.refresh()
    if (log.end !== undefined) throw endedError(log)
    const { nextOffset } = this
    if (log.cuts.length > this.#cutCount) {
      this.#checkCuts(nextOffset)
      this.#cursor.seek(nextOffset) // Where it stood in a file may be another place now.
    }
    this.#catchUp()
  }

  /** Refuses what a reader at `nextOffset` would go on with behind a cut. */
  #checkCuts(nextOffset: number): void {
    const { cuts } = this.log
    for (; this.#cutCount < cuts.length; this.#cutCount++) {
      const cut = cuts[this.#cutCount] ?? Infinity
      if (nextOffset > cut) throw logShortened(this.log, nextOffset, cut)
    }
  }

  get #isBehind(): boolean {
    return this.#cursor.offset < this.log.logStartOffset
  }

  /** Records were deleted under a reader that is slow: it goes on where the log starts now. */
  #catchUp(): void {
    if (!this.#isBehind) return
    this.#from = this.log.logStartOffset
    this.#cursor.seek(this.#from)
  }

  #limit(): number {
    return Math.min(visibleEnd(this.log, this.#options.range), this.#to)
  }
}

/** Where a read starts. @throws {LogError} OFFSET_OUT_OF_RANGE for what the log does not have. */
export function startOffset(
  log: ReadablePartition,
  range: Range,
  onDamage: OnDamage | undefined,
): number {
  const { from } = range
  if (typeof from === 'number') {
    checkReadable(log, from, log.logEndOffset)
    return from
  }
  if (from === 'earliest') return log.logStartOffset
  const end = Math.max(visibleEnd(log, range), log.logStartOffset)
  if (from === 'latest') return end
  if ('last' in from) return Math.max(log.logStartOffset, end - from.last)
  return offsetForTimestamp(log, from.timestamp, onDamage) ?? end
}

/** Where a read ends: an offset, or the first record of a time. Both exclusive. */
interface EndOfRead {
  readonly to: number
  readonly stopTimestamp: number
}

/**
 * A time means the first offset from the log's start on that is as late, as everywhere: so the
 * parts of a range make up the whole, whatever the order of the times. Where there is none yet, the
 * first record to come that is as late ends the read.
 */
function endPosition(
  log: ReadablePartition,
  range: Range,
  onDamage: OnDamage | undefined,
): EndOfRead {
  const { to } = range
  if (to === null) return { to: Infinity, stopTimestamp: Infinity }
  if (typeof to === 'number') return { to, stopTimestamp: Infinity }
  const found = offsetForTimestamp(log, to.timestamp, onDamage)
  if (found !== null) return { to: found, stopTimestamp: Infinity }
  return { to: Infinity, stopTimestamp: to.timestamp }
}

function visibleEnd(log: ReadablePartition, { visibility, isolation }: Range): number {
  const isCommitted = isolation === 'read_committed'
  const end = isCommitted ? log.lastStableOffset : log.highWatermark
  if (visibility === 'written') return end
  const decided = isCommitted ? log.undecided.lowestOffset : Infinity
  return Math.min(end, log.durableOffset, decided)
}

/** Refuses an offset below the log's start or above `lastAllowed`. */
export function checkReadable(log: ReadablePartition, offset: number, lastAllowed: number): void {
  const { logStartOffset, logEndOffset, topic, partition } = log
  if (offset >= logStartOffset && offset <= lastAllowed) return
  if (offset < logStartOffset) throw offsetRemoved(log, offset)
  const isHeldBack = offset < logEndOffset
  const why = isHeldBack ? 'durable yet, and only that is shown' : 'there yet'
  throw new LogError(
    'OFFSET_OUT_OF_RANGE',
    `offset ${offset} of ${topic}-${partition} is not ${why} (the log ends at ${logEndOffset}): ` +
      "read from 'earliest' or 'latest' instead",
    { topic, partition, offset, logStartOffset, logEndOffset },
  )
}
