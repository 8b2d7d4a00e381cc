/**
 * InternalTopicReading: a topic of the log's own, read from its start: past what is damaged and
 * past
 * what cannot be decoded. At once in slices, when a log opens; or on and on, as it grows.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import { batchSizeBytesOf } from '../format/record-batch.ts'
import type { Procedure } from '../storage/procedure.ts'
import { nextTurn } from './clock.ts'
import type { Damage } from './damage.ts'
import type { ReadablePartition } from './readable-partition.ts'
import type { LogCursor } from './log-cursor.ts'
import type { BatchRun } from './tail.ts'

/** Bytes read before other work of the process gets its turn. */
const SLICE_BYTES = 1_048_576

/** Who reads. */
export interface InternalTopicReader {
  /** The next batch; one that it throws `CorruptBytes` for is left out. */
  takeBatch(buffer: Buffer, at: number): void
  /** Some of the log cannot be read; what comes next lies at `resumesAt` or behind it. */
  damaged(error: LogError<'CORRUPT'>, resumesAt: number): void
}

/** One partition of such a topic, as far as it was read. */
export class InternalTopicReading {
  readonly #cursor: LogCursor
  readonly #reader: InternalTopicReader

  constructor(log: ReadablePartition, reader: InternalTopicReader) {
    // One bad sector must not keep every topic from being opened.
    this.#cursor = log.cursor(log.logStartOffset, { passesBadSectors: true })
    this.#reader = reader
  }

  /**
   * Shows the reader the next batches below `limitOffset`; returns their bytes, undefined where
   * there are none.
   */
  next(limitOffset: number): number | undefined {
    const cursor = this.#cursor
    try {
      const run = cursor.next(limitOffset)
      if (run === undefined) return undefined
      takeRun(run, this.#reader)
      return run.end - run.start
    } catch (error) {
      if (!LogError.is(error, 'CORRUPT')) throw error
      this.#reader.damaged(error, cursor.skipDamage())
      return 0
    }
  }
}

/** Shows `reader` every batch of `log` that can be read, oldest first. */
export function* readInternalTopic(
  log: ReadablePartition,
  reader: InternalTopicReader,
): Procedure<void> {
  const reading = new InternalTopicReading(log, reader)
  let sliceBytes = 0
  for (;;) {
    const bytes = reading.next(log.highWatermark)
    if (bytes === undefined) return
    sliceBytes += bytes
    if (sliceBytes < SLICE_BYTES) continue
    sliceBytes = 0
    yield nextTurn
  }
}

function takeRun({ buffer, start, end }: BatchRun, reader: InternalTopicReader): void {
  for (let at = start; at < end; at += batchSizeBytesOf(buffer, at)) {
    try {
      reader.takeBatch(buffer, at)
    } catch (error) {
      if (!(error instanceof CorruptBytes)) throw error
    }
  }
}

/** What was met at `error`, as opening a log reports it. */
export function damageOf(
  { topic, partition }: ReadablePartition,
  error: LogError<'CORRUPT'>,
  resumesAt: number,
): Damage {
  const { file, position, offset } = error.details
  return {
    topic,
    partition,
    file,
    position,
    bytes: 0,
    firstOffset: offset,
    lastOffset: offset === null ? null : Math.max(offset, resumesAt - 1),
    reason: 'not what was written',
  }
}
