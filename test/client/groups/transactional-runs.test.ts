/**
 * Handlers that commit their records in transactions: what is tried again, put aside or given up
 * when a transaction is aborted, and that every record counts once.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { Batch, RunContext } from '../../../src/client/group-types.ts'
import type { ConsumerGroup } from '../../../src/client/groups/consumer-group.ts'
import type { Producer } from '../../../src/client/producer.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { testLog } from '../../../src/testing/test-log.ts'
import { LOG_KINDS, texts, type LogKind } from '../open-log.ts'
import { committedIn, fill, groupLog, offsetsOf, settle, type GroupLog } from './group-log.ts'

interface Moving extends GroupLog {
  readonly producer: Producer
  readonly group: ConsumerGroup
}

/** Records to be moved from `t` to `out`. */
async function moving(kind: LogKind, records = 3): Promise<Moving> {
  const made = await groupLog(kind, { records })
  await made.log.createTopic('out')
  const group = made.log.consumerGroup('g', { topics: /^t$/ })
  return { ...made, group, producer: made.log.producer() }
}

/** Moves one record, or a batch, and covers `delivered`. */
async function move(
  producer: Producer,
  values: readonly string[],
  delivered: RunContext | Batch,
  failure?: Error,
): Promise<void> {
  await producer.transaction(async (tx) => {
    for (const value of values) await tx.send({ topic: 'out', value })
    tx.commitOffsets(delivered)
    if (failure !== undefined) throw failure
  })
}

function moved(log: EventLog): readonly string[] {
  return texts(log.topic('out').partition(0).records({ isolation: 'read_committed' }))
}

/** Waits as long as the device takes, which the limit of the test bounds. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await settle()
}

describe.each(LOG_KINDS)('run on %s', (kind) => {
  it('commits each record with what its handler sends', async () => {
    const { log, group, producer, clock } = await moving(kind)
    const running = group.run(async (record, ctx) => {
      expect(committedIn(log) ?? 0).toBe(record.offset)
      await move(producer, [String(record.value)], ctx)
      expect(committedIn(log)).toBe(record.offset + 1)
    })
    await until(() => committedIn(log) === 3)
    clock.advance(1_000)
    await running.stop()
    expect(moved(log)).toEqual(['v0', 'v1', 'v2'])
    expect(log.topic('__consumer_offsets').partition(0).highWatermark).toBe(6)
  })

  it('handles a record again whose transaction was aborted, and commits nothing in between', async () => {
    const { log, group, producer, clock } = await moving(kind)
    const attempts: string[] = []
    const running = group.run(
      async (record, ctx) => {
        attempts.push(`${record.offset}/${ctx.attempt}`)
        clock.advance(1_000) // Whatever is committed by itself is by then.
        expect(committedIn(log) ?? 0).toBe(record.offset)
        const fails = record.offset === 1 && ctx.attempt < 3
        await move(producer, [String(record.value)], ctx, fails ? new Error('fails') : undefined)
      },
      { retries: 2, backoffMs: 0 },
    )
    await until(() => {
      clock.advance(1)
      return committedIn(log) === 3
    })
    await running.stop()
    expect(attempts).toEqual(['0/1', '1/1', '1/2', '1/3', '2/1'])
    expect(moved(log)).toEqual(['v0', 'v1', 'v2'])
  })

  it('puts a record aside whose transactions are all aborted, and goes on behind it', async () => {
    const { log, group, producer, clock } = await moving(kind)
    const running = group.run(
      async (record, ctx) => {
        const failure = record.offset === 1 ? new Error('never') : undefined
        await move(producer, [String(record.value)], ctx, failure)
      },
      { retries: 1, backoffMs: 0, deadLetterTopic: 't.dlt' },
    )
    await until(() => {
      clock.advance(1)
      return committedIn(log) === 3
    })
    await running.stop()
    expect(moved(log)).toEqual(['v0', 'v2'])
    expect(texts(log.topic('t.dlt').partition(0).records())).toEqual(['v1'])
  })

  it('commits behind a dead letter that is the last record', async () => {
    const { log, group, producer, clock } = await moving(kind, 1)
    const running = group.run((_record, ctx) => move(producer, [], ctx, new Error('never')), {
      deadLetterTopic: 't.dlt',
    })
    await until(() => {
      clock.advance(1)
      return committedIn(log) === 1
    })
    await running.stop()
    expect(group.lag().total).toBe(0)
  })

  it('ends without retries, and the next run begins with the record', async () => {
    const { log, group, producer } = await moving(kind)
    const running = group.run((record, ctx) => {
      const failure = record.offset === 1 ? new Error('fails') : undefined
      return move(producer, [String(record.value)], ctx, failure)
    })
    await expect(running.done).rejects.toMatchObject({ cause: { message: 'fails' } })
    expect(committedIn(log)).toBe(1)
    const next = await group.join()
    expect(offsetsOf(await next.poll())).toEqual([1, 2])
  })

  it('commits what handlers without a transaction were done with before', async () => {
    const { log, group, producer } = await moving(kind)
    const running = group.run((record, ctx) =>
      record.offset < 2 ? undefined : move(producer, [], ctx, new Error('fails')),
    )
    await expect(running.done).rejects.toMatchObject({ cause: { message: 'fails' } })
    expect(committedIn(log)).toBe(2)
  })

  it('tries nothing again that was committed: it ends, and says so', async () => {
    for (const deadLetterTopic of [undefined, 't.dlt']) {
      const { log, group, producer } = await moving(kind)
      let calls = 0
      const running = group.run(
        async (record, ctx) => {
          calls += 1
          await move(producer, [String(record.value)], ctx)
          throw new Error('too late')
        },
        { retries: 5, backoffMs: 0, deadLetterTopic },
      )
      await expect(running.done).rejects.toMatchObject({ cause: { message: 'too late' } })
      expect([calls, committedIn(log), moved(log)]).toEqual([1, 1, ['v0']])
      if (deadLetterTopic !== undefined) {
        expect(log.topic(deadLetterTopic).partition(0).highWatermark).toBe(0)
      }
      const next = await group.join()
      expect(offsetsOf(await next.poll())).toEqual([1, 2])
    }
  })

  it('never commits by itself what a transaction covers that its handler did not wait for', async () => {
    const { log, group, producer, clock } = await moving(kind, 1)
    const tx = await producer.begin()
    const running = group.run((_record, ctx) => tx.commitOffsets(ctx))
    await running.ready
    await settle()
    clock.advance(1_000)
    await running.stop()
    expect(committedIn(log)).toBeUndefined()
    await tx.abort()
    expect(committedIn(log)).toBeUndefined()
  })

  it('refuses the context of a handler where records are ordered by key', async () => {
    const { group, producer } = await moving(kind)
    const running = group.run((_record, ctx) => move(producer, [], ctx), { orderedBy: 'key' })
    const error: unknown = await running.done.catch((reason: unknown) => reason)
    expect(LogError.is(error) && LogError.is(error.cause, 'INVALID_ARGUMENT')).toBe(true)
  })

  it('takes positions that are given there', async () => {
    const { log, group, producer } = await moving(kind, 1)
    const running = group.run(
      ({ topic, partition, offset }, ctx) =>
        producer.transaction((tx) =>
          tx.commitOffsets(ctx.group, [{ topic, partition, offset: offset + 1 }]),
        ),
      { orderedBy: 'key' },
    )
    await until(() => committedIn(log) === 1)
    await running.stop()
  })
})

describe.each(LOG_KINDS)('runBatches on %s', (kind) => {
  it.each(['batch', 'context'] as const)('commits a whole batch by its %s, once', async (by) => {
    const { log, group, producer, clock } = await moving(kind, 6)
    const running = group.runBatches(
      async (batch, ctx) => {
        const values = texts(batch.records)
        const failure = ctx.attempt === 1 ? new Error('fails') : undefined
        await move(producer, values, by === 'batch' ? batch : ctx, failure)
      },
      { max: 2, retries: 1, backoffMs: 0 },
    )
    await until(() => {
      clock.advance(1)
      return committedIn(log) === 6
    })
    await running.stop()
    expect(moved(log)).toEqual(['v0', 'v1', 'v2', 'v3', 'v4', 'v5'])
  })
})

describe.each(LOG_KINDS)('a group on %s that reads what transactions wrote', (kind) => {
  it('has no lag once it has read all, behind markers and what was aborted', async () => {
    const { log, producer, clock } = await moving(kind, 0)
    await producer.transaction((tx) => tx.send({ topic: 't', value: 'a' }))
    const aborted = await producer.begin()
    await aborted.send({ topic: 't', value: 'never' })
    await aborted.abort()
    await log.topic('t').partition(0).flush() // Nobody waits for the marker of what was aborted.
    const group = log.consumerGroup('g', { topics: ['t'], visibility: 'durable' })
    const running = group.runBatches((batch, ctx) => move(producer, texts(batch.records), ctx))
    await until(() => moved(log).length === 1) // Its time is limited, and the clock the test's.
    await until(() => {
      clock.advance(100)
      return committedIn(log) === 4
    })
    expect(group.lag().total).toBe(0)
    const late = await producer.begin()
    await late.send({ topic: 't', value: 'never' })
    await late.abort()
    await log.topic('t').partition(0).flush()
    await until(() => {
      clock.advance(100)
      return group.lag().total === 0
    })
    await running.stop()
    expect(moved(log)).toEqual(['a'])
    expect(committedIn(log)).toBe(6)
  })

  it('passes no gap behind a record whose transaction was aborted', async () => {
    const { log, group, producer, clock } = await moving(kind, 0)
    await producer.transaction((tx) => tx.send({ topic: 't', value: 'a' }))
    for (const fails of [true, false]) {
      const consumer = await group.join()
      expect(texts(await consumer.poll({ max: 1 }))).toEqual(['a'])
      const commit = producer.transaction((tx) => {
        tx.commitOffsets(consumer)
        if (fails) throw new Error('fails')
      })
      await commit.catch(() => undefined)
      expect(await consumer.poll({ timeoutMs: 0 })).toEqual([])
      clock.advance(1_000)
      expect(consumer.lag().total).toBe(0)
      expect(committedIn(log)).toBe(fails ? undefined : 2)
      await consumer.leave()
      expect(group.lag().total).toBe(fails ? 2 : 0)
    }
  })

  it('waits at a transaction that is open, and passes it when it is aborted', async () => {
    const { log, producer, clock } = await moving(kind, 1)
    const consumer = await log.consumerGroup('g', { topics: ['t'] }).join()
    const open = await log.producer().begin()
    await open.send({ topic: 't', value: 'never' })
    expect(texts(await consumer.poll({ timeoutMs: 0 }))).toEqual(['v0'])
    await producer.transaction((tx) => tx.commitOffsets(consumer))
    expect(await consumer.poll({ timeoutMs: 0 })).toEqual([])
    expect([consumer.position({ topic: 't', partition: 0 }), consumer.lag().total]).toEqual([1, 1])
    await open.abort()
    const waiting = consumer.poll()
    await settle()
    clock.advance(100)
    expect([consumer.lag().total, committedIn(log)]).toEqual([0, 3])
    fill(log.topic('t').partition(0), 1)
    expect(texts(await waiting)).toEqual(['v0'])
  })
})

describe('settle() of a log in a test', () => {
  it('ends with everything moved exactly once', async () => {
    const t = testLog()
    const source = await t.log.createTopic('t', { partitions: 2 })
    await t.log.createTopic('out')
    const producer = t.log.producer()
    for (let value = 0; value < 10; value += 1) {
      const partition = value % 2
      if (value % 5 === 0) source.partition(partition).append([{ value: `${value}` }])
      else {
        const tx = await producer.begin()
        await tx.send({ topic: 't', partition, value: `${value}` })
        await (value % 3 === 0 ? tx.abort() : tx.commit())
      }
    }
    const group = t.log.consumerGroup('g', { topics: ['t'] })
    let calls = 0
    const running = group.run(
      async (record, ctx) => {
        calls += 1
        const failure = calls % 3 === 0 ? new Error('fails') : undefined
        await move(producer, [String(record.value)], ctx, failure)
      },
      { retries: Infinity, members: 2 },
    )
    for (let attempt = 0; attempt < 10; attempt += 1) await t.clock.advance(30_000)
    await t.settle()
    expect([...moved(t.log)].sort()).toEqual(['0', '1', '2', '4', '5', '7', '8'])
    expect(group.lag().total).toBe(0)
    await running.stop()
    await t.log.close()
  })
})
