/** What the tests of transactions share: topics with records, and who sees which of them. */
import type { EventLog } from '../../../src/client/event-log.ts'
import type { OpenTransaction, Transaction } from '../../../src/client/group-types.ts'
import type { Isolation } from '../../../src/client/position.ts'
import type { Producer } from '../../../src/client/producer.ts'
import { nextTurn } from '../../../src/log/clock.ts'

/** The values that readers of `isolation` see in all partitions of a topic, in order. */
export function seen(
  log: EventLog,
  topic: string,
  isolation: Isolation = 'read_committed',
): readonly string[] {
  return log
    .topic(topic)
    .partitions.flatMap((partition) =>
      Array.from(partition.records({ isolation }), (record) => String(record.value)),
    )
}

/** Sends one record in a transaction; resolves when it is appended. */
export async function sendIn(
  tx: Transaction,
  value: string,
  topic: string = 't',
  partition?: number,
): Promise<void> {
  await tx.send(partition === undefined ? { topic, value } : { topic, value, partition })
}

/** A transaction that is open, with one record in each of these topics. */
export async function opened(
  producer: Producer,
  value: string,
  ...topics: readonly string[]
): Promise<OpenTransaction> {
  const tx = await producer.begin()
  for (const topic of topics.length === 0 ? ['t'] : topics) await sendIn(tx, value, topic)
  return tx
}

/** Everything has run that needs no time and no disk to end a call. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await nextTurn()
}

/** Something to be resolved later. */
export function later<T = void>(): {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
} {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((given) => {
    resolve = given
  })
  return { promise, resolve }
}
