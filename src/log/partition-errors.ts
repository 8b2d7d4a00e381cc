/**
 * What a partition refuses calls with, and what it says to those who wait for it.
 */
import { LogError } from '../errors/log-error.ts'
import type { ResolvedTopicConfig } from './log-config.ts'

/** The partition that an error is about. */
export interface PartitionName {
  readonly topic: string
  readonly partition: number
}

/** What a call on an ended partition fails with. */
export function endedError(
  log: PartitionName & { readonly end: 'closed' | 'deleted' | undefined },
): LogError<'CLOSED' | 'TOPIC_NOT_FOUND'> {
  const { topic, partition, end } = log
  if (end === 'deleted') {
    const message = `topic ${topic} was deleted; a topic created anew by that name needs a new handle`
    return new LogError('TOPIC_NOT_FOUND', message, { topic })
  }
  const message = `the log is closed: ${topic}-${partition} can be neither read nor written`
  return new LogError('CLOSED', message, { topic, partition })
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
