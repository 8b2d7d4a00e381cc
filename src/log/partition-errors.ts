/**
 * What a partition refuses calls with, and what it says to those who wait for it.
 */
import { invalidArgument, LogError } from '../errors/log-error.ts'
import type { BatchProducer } from '../format/record-batch-builder.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import type { PartitionEnd } from './readable-partition.ts'

/** The partition that an error is about. */
export interface PartitionName {
  readonly topic: string
  readonly partition: number
}

/** What a call on an ended partition fails with. */
export function endedError(
  log: PartitionName & { readonly end: PartitionEnd | undefined },
): LogError<'CLOSED' | 'TOPIC_NOT_FOUND' | 'IO'> {
  const { topic, partition, end } = log
  if (end === 'deleted') {
    const message = `topic ${topic} was deleted; a topic created anew by that name needs a new handle`
    return new LogError('TOPIC_NOT_FOUND', message, { topic })
  }
  if (end === 'lost') {
    const message = `the directory of the log is gone: ${topic}-${partition} cannot be read any more`
    return new LogError('IO', message, {})
  }
  const message = `the log is closed: ${topic}-${partition} can be neither read nor written`
  return new LogError('CLOSED', message, { topic, partition })
}

/** What reading fails with where the files in `directory`, of another process, cannot be had. */
export function filesGone(directory: string): LogError<'IO'> {
  const message = `the files in ${directory} are gone, or change all the time: try again`
  return new LogError('IO', message, { file: directory })
}

/** What an append fails with after a sync has failed. */
export function readOnlySince(log: PartitionName, cause: LogError): LogError<'READ_ONLY'> {
  const { topic, partition } = log
  const message = `${topic}-${partition} is read-only since a sync failed: close the log and open it again`
  return new LogError('READ_ONLY', message, { topic, partition }, { cause })
}

/** What those who wait for a sync get when it fails. */
export function syncFailed(
  log: PartitionName & {
    readonly durableOffset: number
    readonly segments: { readonly active: { readonly logPath: string } }
  },
  cause: unknown,
): LogError<'IO'> {
  const { topic, partition, durableOffset, segments } = log
  const message =
    `${topic}-${partition}: a sync failed, so what was appended since offset ${durableOffset} may ` +
    'be lost at a power cut; the partition is read-only, close the log and open it again'
  const details = { file: segments.active.logPath, outcome: 'unknown' } as const
  return new LogError('IO', message, details, { cause })
}

/** What reading an offset fails with that lies below the start of the log. */
export function offsetRemoved(
  log: PartitionName & {
    readonly logStartOffset: number
    /** Where it ends, if that is known better than by what was read of it. */
    readonly logEndOffset?: number
    readonly segments: { readonly active: { readonly nextOffset: number } }
  },
  offset: number,
): LogError<'OFFSET_OUT_OF_RANGE'> {
  const { topic, partition, logStartOffset, segments } = log
  const { logEndOffset = segments.active.nextOffset } = log
  const message =
    `offset ${offset} of ${topic}-${partition} was removed (the log starts at ${logStartOffset}): ` +
    "read from 'earliest' or 'latest' instead"
  const details = { topic, partition, offset, logStartOffset, logEndOffset }
  return new LogError('OFFSET_OUT_OF_RANGE', message, details)
}

/** What a reader fails with that had read further than the log goes since it was cut at `cut`. */
export function logShortened(
  log: PartitionName & { readonly logStartOffset: number },
  offset: number,
  cut: number,
): LogError<'OFFSET_OUT_OF_RANGE'> {
  const { topic, partition, logStartOffset } = log
  const message =
    `${topic}-${partition} lost what was behind offset ${cut} when its writer was opened anew, and ` +
    `this reader was at ${offset}: what it saw behind ${cut} is not in the log; read on from there`
  const details = { topic, partition, offset, logStartOffset, logEndOffset: cut }
  return new LogError('OFFSET_OUT_OF_RANGE', message, details)
}

/** What reading a batch fails with that is not what was written. */
export function damagedBatch(
  { topic, partition }: PartitionName,
  place: { readonly file: string; readonly position: number; readonly offset: number },
  reason: string,
): LogError<'CORRUPT'> {
  const { file, position, offset } = place
  const message =
    `${topic}-${partition}: damaged batch at offset ${offset} (${file}, position ${position}: ` +
    `${reason}); read on behind it with onCorrupt: 'skip', or run EventLog.verify on the directory`
  return new LogError('CORRUPT', message, { topic, partition, file, position, offset })
}

/** What a batch is refused with that no reader would be allowed to fetch. */
export function batchTooLarge(
  log: PartitionName & { readonly config: ResolvedTopicConfig },
  batchBytes: number,
): LogError<'RECORD_TOO_LARGE'> {
  const { topic, partition, config } = log
  const { maxMessageBytes } = config
  const message =
    `${topic}-${partition}: a batch of ${batchBytes} bytes is larger than maxMessageBytes ` +
    `(${maxMessageBytes}): append fewer records at once, compress them, or raise the setting`
  return new LogError('RECORD_TOO_LARGE', message, {
    topic,
    partition,
    batchBytes,
    maxMessageBytes,
  })
}

/** What a batch or marker of a producer is refused with that a newer epoch of it has replaced. */
export function fencedProducer(
  log: PartitionName,
  producer: Pick<BatchProducer, 'producerId' | 'producerEpoch'>,
  currentEpoch: number,
): LogError<'FENCED'> {
  const { topic, partition } = log
  const { producerId, producerEpoch } = producer
  const message =
    `${topic}-${partition}: epoch ${producerEpoch} of producer ${producerId} was replaced by epoch ` +
    `${currentEpoch}: a newer producer of the same transactionalId has taken over, close this one`
  return new LogError('FENCED', message, {
    topic,
    partition,
    producerId,
    producerEpoch,
    currentEpoch,
  })
}

/** What a batch is refused with that does not follow on its producer's last one. */
export function outOfOrderSequence(
  log: PartitionName,
  producer: BatchProducer,
  expectedSequence: number,
): LogError<'OUT_OF_ORDER_SEQUENCE'> {
  const { topic, partition } = log
  const { producerId, producerEpoch, baseSequence } = producer
  const message =
    `${topic}-${partition}: a batch of producer ${producerId} starts at sequence ${baseSequence} ` +
    `where ${expectedSequence} comes next: a batch before it is missing, or it was appended too ` +
    'long ago to be recognised'
  return new LogError('OUT_OF_ORDER_SEQUENCE', message, {
    topic,
    partition,
    producerId,
    producerEpoch,
    baseSequence,
    expectedSequence,
  })
}

/** What a batch is refused with that would get into a transaction it does not belong to. */
export function transactionStillOpen(
  log: PartitionName,
  producer: BatchProducer,
  openEpoch: number,
): LogError<'INVALID_ARGUMENT'> {
  const { topic, partition } = log
  const { producerId, producerEpoch } = producer
  const message =
    `${topic}-${partition}: producer ${producerId} has a transaction of epoch ${openEpoch} open ` +
    'here, which this batch is no part of: commit or abort it first'
  return invalidArgument(message, { topic, partition, producerId, producerEpoch, openEpoch })
}

/** Of a log that cannot be closed cleanly: the next open looks for the transaction, and ends it. */
export function transactionLeftOpen({ topic, partition }: PartitionName): LogError<'IO'> {
  const message =
    `${topic}-${partition}: a transaction could not be ended: it is when the log is opened again, ` +
    'as what was decided about it says'
  return new LogError('IO', message, {})
}
