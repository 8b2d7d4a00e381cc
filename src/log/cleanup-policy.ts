/**
 * What may happen to old records of a topic: what its settings say, but for topics that nobody here
 * has made. Those that were found as folders are left alone until somebody names a policy; those of
 * the log itself are compacted, wherever they came from.
 */
import type { TopicMetadata } from '../storage/metadata-file.ts'
import { isInternalTopic } from './internal-topics.ts'
import { readStoredConfig, TOPIC_SETTINGS, type CleanupPolicy } from './log-config.ts'

/** As the setting; 'none' where only what `deleteRecords` cut off may go. */
export type AppliedPolicy = CleanupPolicy | 'none'

/** The policy of the topic `name`, of which metadata.json says `stored`. */
export function appliedPolicy(name: string, stored: TopicMetadata): AppliedPolicy {
  if (isInternalTopic(name)) return 'compact'
  const { cleanupPolicy } = readStoredConfig(stored.config)
  if (cleanupPolicy === undefined && stored.adopted === true) return 'none'
  return cleanupPolicy ?? TOPIC_SETTINGS.cleanupPolicy.default
}

/** Whether the last record of each key is kept, and older ones may go. */
export function isCompacted(policy: AppliedPolicy): boolean {
  return policy === 'compact' || policy === 'compact,delete'
}
