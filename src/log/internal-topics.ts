/**
 * The topics that the engine writes itself, under Kafka's names: users read them by name, and
 * neither make, change, delete nor append to them.
 */

/** Where consumer groups keep their positions. */
export const OFFSETS_TOPIC = '__consumer_offsets'
/** Where the coordinator of transactions keeps its decisions. */
const TRANSACTIONS_TOPIC = '__transaction_state'

/** Topics that the engine writes itself. */
export function isInternalTopic(name: string): boolean {
  return name === OFFSETS_TOPIC || name === TRANSACTIONS_TOPIC
}
