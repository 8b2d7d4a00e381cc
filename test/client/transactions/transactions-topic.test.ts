/**
 * The topic that the states of transactions are kept in, as users meet it: they may read it, and
 * nothing else; how many partitions it has is theirs to say.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { MemoryLogOptions } from '../../../src/client/log-options.ts'
import { LOG_KINDS, openLog, type LogKind } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'

const TRANSACTIONS = '__transaction_state'

/** A log where the producer `mover` has written to two partitions at once. */
async function logWithTransaction(kind: LogKind, options?: MemoryLogOptions): Promise<EventLog> {
  const log = await openLog(kind, options)
  await log.createTopic('t', { partitions: 2 })
  await log.producer({ transactionalId: 'mover' }).transaction(async (tx) => {
    await tx.send({ topic: 't', partition: 0, value: 'a' })
    await tx.send({ topic: 't', partition: 1, value: 'b' })
  })
  return log
}

describe.each(LOG_KINDS)('the topic of transactions of a log on %s', (kind) => {
  it('is no topic before a transaction needs it, and then none that is listed', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    await log.producer().transaction((tx) => tx.send({ topic: 't', value: 'alone' }))
    expect(refusal(() => log.topic(TRANSACTIONS)).code).toBe('TOPIC_NOT_FOUND')
    const used = await logWithTransaction(kind)
    expect(used.topics().map(({ name }) => name)).toEqual(['t'])
    expect(used.describe().topics.map(({ name }) => name)).toEqual(['t'])
  })

  it('is read by its name', async () => {
    const log = await logWithTransaction(kind)
    const records = [...log.topic(TRANSACTIONS).partition(0).records()]
    expect(records.map(({ key }) => key?.toString('utf8', 4))).toEqual(['mover', 'mover'])
    expect(log.topic(TRANSACTIONS).config.cleanupPolicy).toBe('compact')
  })

  it.each<[string, (log: EventLog) => unknown]>([
    ['appended to', (log) => log.topic(TRANSACTIONS).partition(0).append({ value: 'v' })],
    ['sent to', (log) => log.topic(TRANSACTIONS).send({ key: 'k', value: 'v' })],
    [
      'written to in a transaction',
      (log) => log.producer().transaction((tx) => tx.send({ topic: TRANSACTIONS, value: 'v' })),
    ],
    ['deleted', (log) => log.deleteTopic(TRANSACTIONS)],
    ['given partitions', (log) => log.topic(TRANSACTIONS).addPartitions(2)],
    ['created', (log) => log.createTopic(TRANSACTIONS)],
  ])('is not %s by its users', async (_, call) => {
    const log = await logWithTransaction(kind)
    const refused = rejection(Promise.resolve().then(() => call(log)))
    expect((await refused).code).toBe('INVALID_ARGUMENT')
  })

  it('has as many partitions as the log was told, when it is made', async () => {
    const log = await logWithTransaction(kind, { transactionsTopicNumPartitions: 3 })
    expect(log.topic(TRANSACTIONS).partitions).toHaveLength(3)
    const usual = await logWithTransaction(kind)
    expect(usual.topic(TRANSACTIONS).partitions).toHaveLength(1)
    for (const wrong of [0, -1, 1.5, 100_001, '1']) {
      const options = { transactionsTopicNumPartitions: wrong as number } // as JavaScript
      const refused = await rejection(Promise.resolve().then(() => openLog(kind, options)))
      expect(refused.details).toMatchObject({ option: 'transactionsTopicNumPartitions' })
    }
  })
})
