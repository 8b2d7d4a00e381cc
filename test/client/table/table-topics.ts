/**
 * Topics that tests of tables use, and waiting for what tables do in the background.
 */
import { serdes } from '../../../src/client/serde.ts'
import { defineTopic, type TopicDefinition } from '../../../src/client/topic-definition.ts'
import { nextTurn } from '../../../src/log/clock.ts'

/** What things cost, in one partition. */
export const Prices: TopicDefinition<string, { cents: number } | null, 'prices'> = defineTopic(
  'prices',
  {
    key: serdes.string,
    value: serdes.json<{ cents: number }>(),
    cleanupPolicy: 'compact',
  },
)

/** Words by words, in three partitions. */
export const Words: TopicDefinition<string, string | null, 'words'> = defineTopic('words', {
  key: serdes.string,
  value: serdes.string,
  cleanupPolicy: 'compact',
  partitions: 3,
})

/** Lets what goes on in the background come to its end. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await nextTurn()
}
