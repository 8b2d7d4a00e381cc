/** Consuming, transforming and producing in one: as in the contract's program 10-exactly-once. */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import { serdes } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { LOG_KINDS, openLog, type LogKind } from '../open-log.ts'
import { rejection } from '../refusal.ts'
import { seen } from './transacting.ts'

const Orders = defineTopic('orders', {
  key: serdes.string,
  value: serdes.json<{ total: number }>(),
  partitions: 3,
})
const Totals = defineTopic('totals', { key: serdes.string, value: serdes.float64 })
const ORDER_COUNT = 200

async function openShop(kind: LogKind): Promise<EventLog> {
  const log = await openLog(kind, { topics: [Orders, Totals] })
  await log.topic(Orders).sendAll(
    Array.from({ length: ORDER_COUNT }, (_, index) => ({
      key: `customer-${index % 7}`,
      value: { total: index },
    })),
  )
  return log
}

/** Everything that was moved, each once. */
function totals(log: EventLog): readonly number[] {
  return [...log.topic(Totals).partition(0).records({ isolation: 'read_committed' })]
    .map((record) => record.value)
    .toSorted((a, b) => a - b)
}

const ALL = Array.from({ length: ORDER_COUNT }, (_, index) => index)

describe.each(LOG_KINDS)('moving records between topics of a log on %s', (kind) => {
  it('moves each once over a loop of batches that fails in between', async () => {
    const log = await openShop(kind)
    const producer = log.producer({ transactionalId: 'totals' })
    const group = log.consumerGroup('totals', { topics: [Orders], maxPollRecords: 10 })
    let attempt = 0
    const move = async (): Promise<void> => {
      const consumer = await group.join()
      try {
        for await (const batch of consumer.batches()) {
          await producer.transaction(async (tx) => {
            await tx.sendAll(
              Totals,
              batch.records.map((record) => ({ key: record.key, value: record.value.total })),
            )
            tx.commitOffsets(batch)
            attempt += 1
            if (attempt % 5 === 0) throw new Error('on purpose')
          })
          if (totals(log).length === ORDER_COUNT) return
        }
      } finally {
        await consumer.leave()
      }
    }
    while (totals(log).length < ORDER_COUNT) await move().catch(onPurpose)
    expect(totals(log)).toEqual(ALL)
    expect(attempt).toBeGreaterThan(5)
    expect(log.consumerGroup('totals').lag().total).toBe(0)
  })

  it('moves each once with handlers of several members that fail in between', async () => {
    const log = await openShop(kind)
    const group = log.consumerGroup('totals', { topics: [Orders], maxPollRecords: 10 })
    let attempt = 0
    const running = group.runBatches(
      async (batch, context) => {
        const producer = log.producer()
        await producer.transaction(async (tx) => {
          for (const { key, value } of batch.records) {
            await tx.send(Totals, { key, value: value.total })
          }
          tx.commitOffsets(context)
          attempt += 1
          if (attempt % 5 === 0) throw new Error('on purpose')
        })
        await producer.close()
      },
      { concurrency: 2, members: 2, retries: 5, backoffMs: 1 },
    )
    await running.ready
    let left = ORDER_COUNT
    for await (const _ of log.topic(Totals).read({ isolation: 'read_committed', live: true })) {
      left -= 1
      if (left === 0) break
    }
    await running.stop()
    expect(totals(log)).toEqual(ALL)
    expect(log.consumerGroup('totals').lag().total).toBe(0)
  })

  it('moves no position where the transaction is aborted', async () => {
    const log = await openShop(kind)
    const group = log.consumerGroup('totals', { topics: [Orders] })
    const consumer = await group.join()
    await consumer.ready()
    const records = await consumer.poll({ max: 10 })
    expect(records.length).toBeGreaterThan(0)
    const tx = await log.producer().begin()
    tx.commitOffsets(consumer)
    await tx.abort()
    await consumer.leave()
    expect(log.consumerGroup('totals').offsets()).toEqual([])
    expect(totals(log)).toEqual([])
  })

  it('moves positions alone, with no record', async () => {
    const log = await openShop(kind)
    const group = log.consumerGroup('totals', { topics: [Orders] })
    const given = [{ topic: 'orders', partition: 0, offset: 5 }]
    const producer = log.producer({ transactionalId: 'x' })
    await producer.transaction((tx) => tx.commitOffsets(group, given))
    expect(group.offsets()).toMatchObject([{ topic: 'orders', partition: 0, offset: 5 }])
    await producer
      .transaction((tx) => {
        tx.commitOffsets(group, [{ topic: 'orders', partition: 0, offset: 6 }])
        void tx.abort()
      })
      .catch(() => undefined)
    expect(group.offsets()).toMatchObject([{ topic: 'orders', partition: 0, offset: 5 }])
  })

  it('refuses positions of another log', async () => {
    const [log, other] = [await openShop(kind), await openShop(kind)]
    const group = other.consumerGroup('totals', { topics: [Orders] })
    const error = await rejection(
      log.producer().transaction((tx) => {
        tx.commitOffsets(group, [{ topic: 'orders', partition: 0, offset: 1 }])
      }),
    )
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(seen(log, 'totals')).toEqual([])
  })
})

function onPurpose(error: unknown): void {
  if (!(error instanceof Error) || error.message !== 'on purpose') throw error
}
