/**
 * Which names a topic may have: Kafka's rules, and less where a file system cannot keep the name.
 *
 *   1 to 249 of  a-z A-Z 0-9 . _ -      but not '.' or '..', which are directories already
 *
 * A partition's folder is named `<topic>-<partition>`. Windows cannot make one whose part before
 * the first dot is a device, and drops dots at the end of names. Whether a name differs from an
 * existing one in more than its case is for whoever knows the existing ones.
 */

const MAX_TOPIC_NAME_LENGTH = 249
const KAFKA_CHARACTERS = /^[a-zA-Z0-9._-]*$/
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\.|$)/i

/** Why `name` is refused as the name of a new topic, as a sentence; null for a good one. */
export function checkTopicName(name: unknown): string | null {
  if (typeof name !== 'string') return 'the name of a topic is a string'
  const reason = refusedByKafka(name)
  if (reason !== null) return reason
  if (name.endsWith('.')) return "the name of a topic does not end in '.': Windows would drop it"
  if (WINDOWS_DEVICE.test(name)) return 'the name of a topic is not that of a device on Windows'
  return null
}

/** Whether a Kafka broker may have a topic of that name, though we would not create it. */
export function isKafkaTopicName(name: string): boolean {
  return refusedByKafka(name) === null
}

function refusedByKafka(name: string): string | null {
  if (name === '') return 'the name of a topic is not empty'
  if (name === '.' || name === '..') return "the name of a topic is not '.' or '..'"
  if (name.length > MAX_TOPIC_NAME_LENGTH) {
    return `the name of a topic has at most ${MAX_TOPIC_NAME_LENGTH} characters`
  }
  if (KAFKA_CHARACTERS.test(name)) return null
  return "the name of a topic has only ASCII letters, digits, '.', '_' and '-'"
}
