/**
 * Who a log is for Kafka: the meta.properties of a new one.
 */
import { formatMetaProperties } from '../storage/meta-properties.ts'
import { randomTopicId } from '../storage/topic-id.ts'

/** The bytes of meta.properties with new ids. */
export function newIdentity(randomBytes: (byteLength: number) => Uint8Array): Buffer {
  return formatMetaProperties({
    version: 1,
    clusterId: randomTopicId(randomBytes),
    nodeId: 1,
    directoryId: randomTopicId(randomBytes),
    others: new Map(),
  })
}
