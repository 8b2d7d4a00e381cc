/**
 * RecordLookup: finds single records by their offset, anywhere in a partition.
 *
 *   offset -> segment -> index entry -> marks of its batch -> a few lengths -> record
 *
 * A batch is first read whole, by a LogCursor: that checks its CRC, rebuilds wrong indexes and
 * tells damage. From then on the index knows that it was checked, and of a large one some marks are
 * remembered (record-marks.ts): just the stretch of the record is looked at, in the mapping of its
 * segment, or by one short read. The compressed batch of the last lookup is kept unpacked
 * (decoded-batch.ts).
 *   I1  nothing is taken from a batch that did not pass its CRC in this process
 *   I2  whatever is not as it was then is left to the cursor, which says what it is
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeBytesOf,
  checkBatchHeader,
  lastOffsetOf,
} from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import type { OffsetIndex } from '../storage/offset-index.ts'
import type { Segment } from '../storage/segment.ts'
import { isSafeHeader } from './batch-walk.ts'
import { DecodedBatch } from './decoded-batch.ts'
import { LogCursor } from './log-cursor.ts'
import type { LogSource } from './log-source.ts'
import { type MarkedBatch, RecordMarks } from './record-marks.ts'
import { ReusedBuffer } from './reused-buffer.ts'
import type { Tail } from './tail.ts'

/** One record is wanted: a stretch of the index and a batch fit. */
const CURSOR_OPTIONS = { readBytes: 16_384, borrow: true }
/** Where entries are further apart than this, the later one most likely is the batch's own. */
const FAR_BYTES = 8_192
/** Headers looked at, one after the other, from an entry on. */
const MAX_STEPS = 64
/** Batches of fewer records are walked, however long these are. */
const MARKED_FROM_RECORDS = 16
const NOWHERE = -1
const NO_BYTES = Buffer.alloc(0)

/** What is looked up in. */
export interface LookupSource extends LogSource {
  readonly config: { readonly maxDecompressedBytes: number }
  /** Rises where segments were replaced. */
  readonly rewriteCount: number
}

/** Lookups in one partition. */
export class RecordLookup {
  readonly #source: LookupSource
  readonly #cursor: LogCursor
  readonly #reader = new RecordBatchReader()
  readonly #marks: RecordMarks
  readonly #room = new ReusedBuffer()
  /** Of the log that `#marks` and `#decoded` are of. */
  #rewriteCount = 0
  #decoded: DecodedBatch | undefined
  /** Where `#show` has put what it was asked for. */
  #bytes: Buffer = NO_BYTES

  /** Looks records of `source` up. */
  constructor(source: LookupSource, marks: RecordMarks = new RecordMarks()) {
    this.#source = source
    this.#cursor = new LogCursor(source, 0, CURSOR_OPTIONS)
    this.#marks = marks
  }

  /**
   * A reader at the record of `offset`, which lies inside the log; undefined where compaction
   * removed it or it is a control record. Borrowed until the next call of anything that reads or
   * changes a log.
   *
   * @throws {LogError} CORRUPT for a batch that is not what was written.
   * @throws {CorruptBytes} for one that was written like that.
   */
  find(offset: number): RecordBatchReader | undefined {
    try {
      return this.#find(offset)
    } catch (error) {
      if (!LogError.is(error, 'IO') || !this.#source.lookAgain()) throw error
      return this.#find(offset) // Another process has replaced a file meanwhile.
    }
  }

  #find(offset: number): RecordBatchReader | undefined {
    const { rewriteCount } = this.#source
    if (rewriteCount !== this.#rewriteCount) {
      this.#rewriteCount = rewriteCount
      this.#marks.clear() // A batch may be another one under the same offsets.
      this.#decoded = undefined
    }
    if (this.#decoded?.holds(offset) === true && this.#showDecoded(offset)) return this.#reader
    const held = this.#source.tail.find(offset) ?? this.#taken(offset)
    if (held !== undefined) return this.#inBatch(held.chunk.buffer, held.start, offset)
    return this.#inChecked(offset) ?? this.#byCursor(offset)
  }

  /** In the tail, where another process writes the log and it was taken in just now. */
  #taken(offset: number): ReturnType<Tail['find']> {
    const { segments, tail } = this.#source
    if (offset < segments.active.nextOffset) return undefined
    while (offset >= segments.active.nextOffset && this.#source.extend());
    return tail.find(offset)
  }

  #byCursor(offset: number): RecordBatchReader | undefined {
    this.#cursor.seek(offset)
    const run = this.#cursor.next(this.#endOfStretch(offset))
    if (run === undefined) return undefined
    let at = run.start
    while (at < run.end && lastOffsetOf(run.buffer, at) < offset) {
      at += batchSizeBytesOf(run.buffer, at)
    }
    return at < run.end ? this.#inBatch(run.buffer, at, offset) : undefined
  }

  /** What is read is checked up to the next index entry: then the whole of its stretch counts. */
  #endOfStretch(offset: number): number {
    const segment = this.#source.segments.floor(offset)
    if (segment.needsIndexRebuild) return offset + 1
    const { offsetIndex } = segment
    const next = offsetIndex.slotForOffset(offset) + 1
    return next < offsetIndex.slotCount
      ? Math.max(offset + 1, offsetIndex.offsetOfSlot(next))
      : offset + 1
  }

  /** The record, where its batch was checked before and is found at once. */
  #inChecked(offset: number): RecordBatchReader | undefined {
    const segment = this.#source.segments.floor(offset)
    if (segment.needsIndexRebuild) return undefined
    const { offsetIndex } = segment
    const floor = offsetIndex.slotForOffset(offset)
    const isItself = floor >= 0 && offsetIndex.offsetOfSlot(floor) === offset
    const ceiling = isItself ? floor : floor + 1
    if (ceiling >= offsetIndex.slotCount) return this.#fromSlot(segment, offsetIndex, floor, offset)
    const marked = this.#marks.of(offsetIndex.offsetOfSlot(ceiling))
    if (marked?.segment === segment && marked.baseOffset <= offset) {
      return this.#inMarked(segment, marked, offset)
    }
    const isBehind = marked !== undefined && marked.baseOffset > offset
    const isFar =
      offsetIndex.positionOfSlot(ceiling) - offsetIndex.positionOfSlot(floor) > FAR_BYTES
    const found =
      isFar && !isBehind ? this.#fromSlot(segment, offsetIndex, ceiling, offset) : undefined
    return found ?? this.#fromSlot(segment, offsetIndex, floor, offset)
  }

  /** Walks headers from the batch of an index entry on, all of them in its checked stretch. */
  #fromSlot(
    segment: Segment,
    offsetIndex: OffsetIndex,
    slot: number,
    offset: number,
  ): RecordBatchReader | undefined {
    if (!offsetIndex.isVerified(slot)) return undefined
    let expectedOffset = -1
    let position = offsetIndex.positionOfSlot(slot)
    const isLast = slot + 1 >= offsetIndex.slotCount
    const end = isLast ? segment.sizeBytes : offsetIndex.positionOfSlot(slot + 1)
    const from = position
    // One read for all of a short stretch costs less than one for each header.
    const isShort = end - from <= FAR_BYTES
    const shown = isShort ? this.#show(segment, from, end - from) : NOWHERE
    if (isShort && shown === NOWHERE) return undefined
    for (let step = 0; step < MAX_STEPS && position + BATCH_HEADER_BYTES <= end; step++) {
      const at = isShort
        ? shown + position - from
        : this.#show(segment, position, BATCH_HEADER_BYTES)
      if (at === NOWHERE) return undefined
      const bytes = this.#bytes
      const check = checkBatchHeader(bytes, at, at + BATCH_HEADER_BYTES)
      if (check !== 'ok' && check !== 'incomplete') return undefined
      if (!isSafeHeader(bytes, at)) return undefined
      const baseOffset = baseOffsetOf(bytes, at)
      const lastOffset = lastOffsetOf(bytes, at)
      // An entry has the last offset of its batch; the others follow on it.
      const isNamed = step === 0 && slot >= 0
      if (isNamed ? lastOffset !== offsetIndex.offsetOfSlot(slot) : baseOffset < expectedOffset)
        return undefined
      if (baseOffset > offset) return undefined
      const sizeBytes = batchSizeBytesOf(bytes, at)
      if (lastOffset >= offset) {
        const marked = this.#marks.of(lastOffset)
        if (marked?.baseOffset === baseOffset && marked.sizeBytes === sizeBytes) {
          marked.segment = segment
          marked.position = position
          return this.#inMarked(segment, marked, offset)
        }
        if (position + sizeBytes > end) return undefined
        const start = isShort ? at : this.#show(segment, position, sizeBytes)
        return start === NOWHERE ? undefined : this.#inBatch(this.#bytes, start, offset)
      }
      expectedOffset = lastOffset + 1
      position += sizeBytes
    }
    return undefined
  }

  /** The record in a batch of a file that has marks: its header need not be looked at. */
  #inMarked(segment: Segment, marked: MarkedBatch, offset: number): RecordBatchReader | undefined {
    const mark = Math.floor((offset - marked.baseOffset) / marked.recordsPerMark)
    const place = marked.places[mark] ?? 0
    const byteLength = (marked.places[mark + 1] ?? marked.sizeBytes) - place
    const start = this.#show(segment, marked.position + place, byteLength)
    if (start === NOWHERE) return undefined
    return this.#fromMark(marked, mark, this.#bytes, start, offset)
  }

  /** The record in the batch at `at`, all of which is at hand and was checked. */
  #inBatch(buffer: Buffer, at: number, offset: number): RecordBatchReader | undefined {
    const reader = this.#reader
    reader.reset(buffer, at, this.#source.config.maxDecompressedBytes)
    if (reader.isControl || offset < reader.baseOffset) return undefined
    const isLarge = reader.recordCount >= MARKED_FROM_RECORDS
    const marked = isLarge && reader.isPlain ? this.#marksOf(buffer, at) : undefined
    if (marked !== undefined) {
      const mark = Math.floor((offset - reader.baseOffset) / marked.recordsPerMark)
      const start = at + (marked.places[mark] ?? 0)
      return this.#fromMark(marked, mark, buffer, start, offset)
    }
    // Only what was read of this batch counts: one that compaction left may have no record at all.
    while (reader.next()) {
      if (reader.offset < offset) continue
      if (reader.buffer !== buffer) this.#decoded = DecodedBatch.of(reader)
      return reader.offset === offset ? reader : undefined
    }
    return undefined
  }

  /** In the batch that was unpacked last; false where that does not tell, and is forgotten. */
  #showDecoded(offset: number): boolean {
    const decoded = this.#decoded
    const isAllowed = (decoded?.payloadBytes ?? 0) <= this.#source.config.maxDecompressedBytes
    if (isAllowed && decoded?.show(this.#reader, offset) === true) return true
    this.#decoded = undefined
    return false
  }

  /**
   * The marks of a plain batch, which is read whole for them where it has none yet. Undefined where
   * a record of it is broken: what lies before that one can be read all the same.
   */
  #marksOf(buffer: Buffer, at: number): MarkedBatch | undefined {
    const reader = this.#reader
    const facts = reader.facts()
    const sizeBytes = batchSizeBytesOf(buffer, at)
    const known = this.#marks.of(facts.lastOffset)
    if (known?.baseOffset === facts.baseOffset && known.sizeBytes === sizeBytes) return known
    const { maxDecompressedBytes } = this.#source.config
    const isWhole = isSound(reader)
    reader.reset(buffer, at, maxDecompressedBytes)
    if (!isWhole) return undefined
    const marked = this.#marks.add(facts, sizeBytes)
    for (let index = 0; index < facts.recordCount; index++) {
      if (index % marked.recordsPerMark === 0) {
        marked.places[index / marked.recordsPerMark] = reader.position - at
      }
      reader.next()
    }
    return marked
  }

  /** The record in the stretch of a mark, which is at `start` of `buffer`. */
  #fromMark(
    marked: MarkedBatch,
    mark: number,
    buffer: Buffer,
    start: number,
    offset: number,
  ): RecordBatchReader | undefined {
    const reader = this.#reader
    const { places, recordsPerMark } = marked
    const index = mark * recordsPerMark
    const end = start + (places[mark + 1] ?? marked.sizeBytes) - (places[mark] ?? 0)
    reader.resume(marked, buffer, start, end, index, offset - marked.baseOffset - index)
    return reader.next() && reader.offset === offset ? reader : undefined
  }

  /** Puts bytes of a segment into `#bytes`; returns where they start there. */
  #show(segment: Segment, position: number, byteLength: number): number {
    const lent = segment.lend(byteLength, position)
    if (lent !== undefined) {
      this.#bytes = lent.bytes
      const start = position - lent.position
      return start + byteLength <= lent.bytes.length ? start : NOWHERE
    }
    this.#bytes = this.#room.of(byteLength)
    return segment.read(this.#bytes, 0, byteLength, position) === byteLength ? 0 : NOWHERE
  }
}

/** Reads all records of a batch; false where one is broken. */
function isSound(reader: RecordBatchReader): boolean {
  try {
    while (reader.next());
    return true
  } catch (error) {
    if (error instanceof CorruptBytes) return false
    throw error
  }
}
