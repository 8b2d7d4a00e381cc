/**
 * The topics that the engine writes itself, under Kafka's names: users read them by name, and
 * neither make, change, delete nor append to them.
 */
import type { TopicConfig } from './log-config.ts'

/** Where consumer groups keep their positions. */
export const OFFSETS_TOPIC = '__consumer_offsets'
/** As Kafka makes it: only the last position of a group in a partition has to be kept. */
export const OFFSETS_TOPIC_CONFIG: TopicConfig = {
  cleanupPolicy: 'compact',
  segmentBytes: 104_857_600,
}
/** Where the coordinator of transactions keeps its decisions. */
export const TRANSACTIONS_TOPIC = '__transaction_state'
/** As Kafka makes it: only the last state of a transactional id has to be kept. */
export const TRANSACTIONS_TOPIC_CONFIG: TopicConfig = {
  cleanupPolicy: 'compact',
  segmentBytes: 104_857_600,
}

/** Topics that the engine writes itself. */
export function isInternalTopic(name: string): boolean {
  return name === OFFSETS_TOPIC || name === TRANSACTIONS_TOPIC
}
