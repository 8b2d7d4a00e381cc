/**
 * Reading a topic of the log's own from its start, when a log opens: in slices, past what is
 * damaged and past what cannot be decoded.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import { batchSizeBytesOf } from '../format/record-batch.ts'
import type { Procedure } from '../storage/procedure.ts'
import { nextTurn } from './clock.ts'
import type { Damage } from './damage.ts'
import type { PartitionLog } from './partition-log.ts'
import type { BatchRun } from './tail.ts'

/** Bytes read before other work of the process gets its turn. */
const SLICE_BYTES = 1_048_576

/** Who reads. */
export interface InternalTopicReader {
  /** The next batch; one that it throws `CorruptBytes` for is left out. */
  takeBatch(buffer: Buffer, at: number): void
  /** Some of the log cannot be read; what comes next lies behind it. */
  damaged(damage: Damage): void
}

/** Shows `reader` every batch of `log` that can be read, oldest first. */
export function* readInternalTopic(
  log: PartitionLog,
  reader: InternalTopicReader,
): Procedure<void> {
  // One bad sector must not keep every topic from being opened.
  const cursor = log.cursor(log.logStartOffset, { passesBadSectors: true })
  let sliceBytes = 0
  for (;;) {
    try {
      const run = cursor.next(log.highWatermark)
      if (run === undefined) return
      takeRun(run, reader)
      sliceBytes += run.end - run.start
    } catch (error) {
      if (!LogError.is(error, 'CORRUPT')) throw error
      reader.damaged(damageOf(log, error, cursor.skipDamage()))
    }
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

function damageOf(
  { topic, partition }: PartitionLog,
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
