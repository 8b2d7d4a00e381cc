/**
 * Lookup by time: the first offset whose record is as late as asked for, as Kafka's
 * UnifiedLog.fetchOffsetByTimestamp. Times need not ascend: it is the earliest offset that counts.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import {
  attributesOf,
  baseOffsetOf,
  batchSizeBytesOf,
  isControlBatch,
  nextOffsetOf,
} from '../format/record-batch.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import type { Segment } from '../storage/segment.ts'
import type { TimestampAndOffset } from '../storage/time-index.ts'
import { knownTimestampOf } from './batch-summary.ts'
import type { LogCursor } from './log-cursor.ts'
import type { ReadablePartition } from './readable-partition.ts'
import type { BatchRun } from './tail.ts'
import { undecodable } from './undecodable-batch.ts'

/** Is told of damage that is passed over, and where the log goes on. */
export type OnDamage = (error: LogError<'CORRUPT'>, resumesAt: number) => void

const READ_BYTES = 65_536
/** One batch is enough to judge an entry by. */
const HINT_BYTES = 8_192

/**
 * The first offset from the log's start on whose timestamp is at least `timestamp`; null where none
 * is. Timestamps that no number holds exactly are passed over.
 *
 * Damage on the way is passed over where somebody is told of it.
 *
 * @throws {LogError} CORRUPT for a batch on the way that is not what was written, or cannot be
 *   decoded; UNSUPPORTED_FORMAT without its codec.
 */
export function offsetForTimestamp(
  log: ReadablePartition,
  timestamp: number,
  onDamage?: OnDamage,
): number | null {
  try {
    return firstSince(log, timestamp, onDamage)
  } catch (error) {
    if (!LogError.is(error, 'IO') || !log.lookAgain()) throw error
    return firstSince(log, timestamp, onDamage) // Another process has replaced a file meanwhile.
  }
}

function firstSince(
  log: ReadablePartition,
  timestamp: number,
  onDamage: OnDamage | undefined,
): number | null {
  let searchedTo = log.logStartOffset
  for (;;) {
    // Each is looked up anew: where another process writes the log they come and go meanwhile.
    const segment = log.segments.firstSince(timestamp, searchedTo)
    if (segment === undefined) {
      searchedTo = Math.max(searchedTo, log.segments.active.nextOffset)
      if (!log.extend()) return null
      continue
    }
    const { nextOffset } = segment
    const from = Math.max(startOfSearch(log, segment, timestamp), searchedTo)
    const found = new TimestampSearch(log, timestamp, onDamage).firstFrom(from, nextOffset)
    if (found !== null) return found
    searchedTo = nextOffset
  }
}

/** An offset of the segment before which everything is earlier than `timestamp`. */
function startOfSearch(log: ReadablePartition, segment: Segment, timestamp: number): number {
  if (segment.needsIndexRebuild) log.segments.rebuildIndexes(segment)
  const before = segment.timeIndex.floor(timestamp - 1)
  if (before === undefined) return segment.baseOffset
  if (isTrue(log, before)) return before.offset + 1
  log.segments.rebuildIndexes(segment)
  return (segment.timeIndex.floor(timestamp - 1)?.offset ?? segment.baseOffset - 1) + 1
}

/** An entry is a hint: the batch that holds its offset has to have its timestamp. */
function isTrue(log: ReadablePartition, entry: TimestampAndOffset): boolean {
  const cursor = log.cursor(entry.offset, { borrow: true, readBytes: HINT_BYTES })
  try {
    const run = cursor.next(entry.offset + 1)
    return run !== undefined && knownTimestampOf(run.buffer, run.start) === entry.timestamp
  } catch (error) {
    if (LogError.is(error, 'CORRUPT')) return true // What it says can no longer be checked.
    throw error
  }
}

/** A walk over the records of a segment, from an offset on. */
class TimestampSearch {
  readonly #log: ReadablePartition
  readonly #timestamp: number
  readonly #onDamage: OnDamage | undefined
  readonly #reader = new RecordBatchReader()

  constructor(log: ReadablePartition, timestamp: number, onDamage: OnDamage | undefined) {
    this.#log = log
    this.#timestamp = timestamp
    this.#onDamage = onDamage
  }

  firstFrom(offset: number, limitOffset: number): number | null {
    const limit = Math.min(limitOffset, this.#log.highWatermark)
    const cursor = this.#log.cursor(offset, { borrow: true, readBytes: READ_BYTES })
    for (let run = this.#next(cursor, limit); run !== undefined; run = this.#next(cursor, limit)) {
      for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
        if (knownTimestampOf(run.buffer, at) < this.#timestamp) continue
        if (isControlBatch(attributesOf(run.buffer, at))) continue
        const found = this.#firstIn(run.buffer, at, offset)
        if (found !== null) return found
      }
    }
    return null
  }

  #next(cursor: LogCursor, limit: number): BatchRun | undefined {
    for (;;) {
      try {
        return cursor.next(limit)
      } catch (error) {
        if (!LogError.is(error, 'CORRUPT') || this.#onDamage === undefined) throw error
        this.#onDamage(error, cursor.skipDamage())
      }
    }
  }

  #firstIn(buffer: Buffer, at: number, offset: number): number | null {
    const [reader, baseOffset, nextOffset] = [
      this.#reader,
      baseOffsetOf(buffer, at),
      nextOffsetOf(buffer, at),
    ]
    try {
      reader.reset(buffer, at, this.#log.config.maxDecompressedBytes)
      while (reader.next()) {
        if (reader.timestamp >= this.#timestamp && reader.offset >= offset) return reader.offset
      }
    } catch (error) {
      if (!(error instanceof CorruptBytes)) throw error
      const failure = undecodable(this.#log, baseOffset, error)
      if (!LogError.is(failure, 'CORRUPT') || this.#onDamage === undefined) throw failure
      this.#onDamage(failure, nextOffset)
    }
    return null
  }
}
