/**
 * partition.metadata: which topic a partition folder belongs to. Two lines, the last without end:
 *
 *   version: 0\n
 *   topic_id: AAAAAAAAAAAAAAAAAAAAKg
 *
 * Pure. A folder whose id is not the topic's is a leftover of an older topic of that name.
 */
import { assert } from '../errors/invariant.ts'
import { parseTopicId } from './topic-id.ts'

/** The bytes for the topic with id `topicId`. */
export function formatPartitionMetadata(topicId: string): Buffer {
  assert(parseTopicId(topicId) !== undefined, 'topic id: 22 characters of base64url')
  return Buffer.from(`version: 0\ntopic_id: ${topicId}`)
}

/** The topic id that the bytes name; undefined when they are damaged. */
export function parsePartitionMetadata(bytes: Buffer): string | undefined {
  const topicId = /^version: 0\ntopic_id: ([A-Za-z0-9_-]{22})\n?$/.exec(bytes.toString())?.[1]
  return topicId !== undefined && parseTopicId(topicId) !== undefined ? topicId : undefined
}
