/**
 * What an offset to commit has to be: of a partition that exists, no further than what was read,
 * and of text that is read again as it was written.
 */
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { MAX_OFFSET_STRING_BYTES } from '../format/offset-commit.ts'
import type { PartitionLog } from './partition-log.ts'

/** Kafka's offset.metadata.max.bytes. */
const MAX_METADATA_BYTES = 4_096

/** A position to commit. */
export interface OffsetCommit {
  readonly topic: string
  readonly partition: number
  /** The next offset to read: at most the end of the log. */
  readonly offset: number
  /** Of the last record before `offset`; -1: as the partition knows it. */
  readonly leaderEpoch: number
  /** At most 4,096 bytes. */
  readonly metadata: string
}

/** The topics of a log. */
interface Topics {
  partitionsOf(topic: string): readonly PartitionLog[] | undefined
}

/** The partition that is committed for. @throws {LogError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND. */
export function sourceOf(
  topics: Topics,
  { topic, partition }: Pick<OffsetCommit, 'topic' | 'partition'>,
): PartitionLog {
  const partitions = topics.partitionsOf(topic)
  if (partitions === undefined) {
    throw new LogError('TOPIC_NOT_FOUND', `there is no topic '${topic}' to commit for`, { topic })
  }
  const log = partitions[partition]
  if (log !== undefined) return log
  throw new LogError(
    'PARTITION_NOT_FOUND',
    `${topic} has partitions 0 to ${partitions.length - 1}, not ${partition}`,
    { topic, partition, partitions: partitions.length },
  )
}

/**
 * The epoch of the record before the committed offset.
 * @throws {LogError} OFFSET_OUT_OF_RANGE above the end of what that epoch has; INVALID_ARGUMENT.
 */
export function checkedEpoch(log: PartitionLog, { offset, leaderEpoch }: OffsetCommit): number {
  const { topic, partition, logStartOffset, logEndOffset, epochs } = log
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw invalidArgument(`${topic}-${partition}: ${offset} is no offset to commit`, {
      topic,
      partition,
      offset,
    })
  }
  const end = epochs.endOf(leaderEpoch, logEndOffset)
  if (offset <= end) return leaderEpoch < 0 ? epochs.at(offset - 1) : leaderEpoch
  throw new LogError(
    'OFFSET_OUT_OF_RANGE',
    `${topic}-${partition}: offset ${offset} cannot be committed, what was read ends at ${end}: ` +
      'commit at most one past the last record that was handled',
    { topic, partition, offset, logStartOffset, logEndOffset },
  )
}

/** As it will be read again. @throws {LogError} INVALID_ARGUMENT where it is too long. */
export function checkedMetadata(metadata: string): string {
  if (metadata === '') return metadata
  const bytes = Buffer.from(metadata)
  if (bytes.length <= MAX_METADATA_BYTES) return bytes.toString()
  throw invalidArgument(
    `metadata of a commit has at most ${MAX_METADATA_BYTES} bytes, not ${bytes.length}`,
    { bytes: bytes.length, maxBytes: MAX_METADATA_BYTES },
  )
}

/**
 * A group id that would not be read as it was written would be another group's after a restart.
 * @throws {LogError} INVALID_ARGUMENT.
 */
export function checkGroupId(groupId: string): void {
  const bytes = Buffer.from(groupId)
  if (bytes.length <= MAX_OFFSET_STRING_BYTES && bytes.toString() === groupId) return
  throw invalidArgument(
    `a group id is Unicode text of at most ${MAX_OFFSET_STRING_BYTES} bytes of UTF-8`,
    { groupId },
  )
}
