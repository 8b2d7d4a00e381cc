/** A transaction in its user's hands: what is taken, how it ends, and what each call says then. */
import { describe, expect, it } from 'vitest'
import type { Transaction } from '../../../src/client/group-types.ts'
import { LOG_KINDS, openLog } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'
import { opened, seen, sendIn, settled } from './transacting.ts'

describe.each(LOG_KINDS)('producer.transaction on %s', (kind) => {
  it('commits when its function returns, and resolves with what it returned', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    await log.createTopic('u', { partitions: 3 })
    const producer = log.producer()
    const value = await producer.transaction(async (tx) => {
      const first = await tx.send({ topic: 't', value: 'a' })
      expect(first).toMatchObject({ topic: 't', partition: 0, offset: 0 })
      const places = await tx.sendAll(
        [0, 1, 2].map((partition) => ({ topic: 'u', partition, value: 'b' })),
      )
      expect(places.map(({ partition, offset }) => [partition, offset])).toEqual([
        [0, 0],
        [1, 0],
        [2, 0],
      ])
      expect([seen(log, 't'), seen(log, 'u')]).toEqual([[], []])
      expect(seen(log, 't', 'read_uncommitted')).toEqual(['a'])
      return 42
    })
    expect(value).toBe(42)
    expect([seen(log, 't'), seen(log, 'u')]).toEqual([['a'], ['b', 'b', 'b']])
    expect(log.topic('t').partition(0).durableOffset).toBeGreaterThanOrEqual(1)
  })

  it('aborts when its function throws, and rejects with what it threw', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const boom = new Error('boom')
    const running = log.producer().transaction(async (tx) => {
      await sendIn(tx, 'a')
      throw boom
    })
    await expect(running).rejects.toBe(boom)
    await expect(
      log.producer().transaction(() => {
        throw boom
      }),
    ).rejects.toBe(boom)
    await log.topic('t').send({ value: 'b' })
    expect(seen(log, 't')).toEqual(['b'])
    expect(seen(log, 't', 'read_uncommitted')).toEqual(['a', 'b'])
  })

  it('rejects with TRANSACTION_ABORTED where its function aborted', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const error = await rejection(
      log.producer().transaction(async (tx) => {
        await sendIn(tx, 'a')
        await tx.abort()
        expect((await rejection(tx.send({ topic: 't', value: 'b' }))).code).toBe(
          'TRANSACTION_ABORTED',
        )
        await tx.abort() // Once more is no harm: it is what it should be.
        return 1
      }),
    )
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(seen(log, 't')).toEqual([])
  })

  it('commits what nobody awaited', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const sent: Promise<unknown>[] = []
    await log.producer({ lingerMs: 60_000 }).transaction((tx) => {
      for (const value of ['a', 'b', 'c']) sent.push(tx.send({ topic: 't', value }))
    })
    expect(seen(log, 't')).toEqual(['a', 'b', 'c'])
    expect(await Promise.all(sent)).toMatchObject([{ offset: 0 }, { offset: 1 }, { offset: 2 }])
  })

  it('does not linger where its producer, or the log, is flushed', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer({ lingerMs: 60_000 })
    const tx = await producer.begin()
    const sent = [tx.send({ topic: 't', value: 'a' })]
    await producer.flush()
    expect(await sent[0]).toMatchObject({ offset: 0 })
    sent.push(tx.send({ topic: 't', value: 'b' }))
    await log.flush()
    expect(await sent[1]).toMatchObject({ offset: 1 })
    await tx.commit()
  })

  it('leaves out what is sent beside it', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer()
    const running = producer.transaction(async (tx) => {
      await sendIn(tx, 'in')
      await producer.send({ topic: 't', value: 'beside' })
      throw new Error('boom')
    })
    await expect(running).rejects.toThrow('boom')
    expect(seen(log, 't')).toEqual(['beside'])
  })

  it('commits one that sent nothing without touching anything', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    expect(await log.producer().transaction(() => 'x')).toBe('x')
    expect(log.topic('t').partition(0).logEndOffset).toBe(0)
    expect(log.topics().map((topic) => topic.name)).toEqual(['t'])
  })

  it('runs those of one producer one after the other, in the order of the calls', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer()
    const events: string[] = []
    const run = (name: string): Promise<void> =>
      producer.transaction(async (tx) => {
        events.push(`${name} begins`)
        await sendIn(tx, name)
        await settled()
        events.push(`${name} ends`)
      })
    await Promise.all([run('a'), run('b'), run('c')])
    expect(events).toEqual(['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]))
    expect(seen(log, 't')).toEqual(['a', 'b', 'c'])
  })

  it('goes on after one that failed', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer({ transactionalId: 'x' })
    for (const value of ['a', 'b', 'c', 'd']) {
      const running = producer.transaction(async (tx) => {
        const sent = tx.send({ topic: 't', value })
        if (value === 'a' || value === 'c') throw new Error(value)
        await sent
      })
      await running.catch(() => undefined)
    }
    expect(seen(log, 't')).toEqual(['b', 'd'])
  })
})

describe('producer.transaction', () => {
  it.each([[undefined], [null], ['text'], [{}]])(
    'refuses %j in place of a function',
    async (given) => {
      const log = await openLog('memory')
      const { transaction } = log.producer() as unknown as {
        transaction(fn: unknown): Promise<unknown>
      }
      const error = await rejection(transaction.call(log.producer(), given))
      expect(error.code).toBe('INVALID_ARGUMENT')
    },
  )

  it('refuses one that is begun inside another where it can tell', async () => {
    const log = await openLog('memory')
    await log.createTopic('t')
    const producer = log.producer()
    const other = log.producer()
    await producer.transaction(async (tx) => {
      const nested = [producer.transaction(() => 1), producer.begin()]
      for (const one of nested) expect((await rejection(one)).code).toBe('INVALID_ARGUMENT')
      await other.transaction((inner) => sendIn(inner, 'other'))
      await sendIn(tx, 'outer')
    })
    expect(seen(log, 't')).toEqual(['other', 'outer'])
  })

  it('gives its function no way to commit early', async () => {
    const log = await openLog('memory')
    await log.producer().transaction((tx) => {
      expect(Object.keys(tx).toSorted()).toEqual(['abort', 'commitOffsets', 'send', 'sendAll'])
    })
  })

  it('refuses what its function sends after it returned', async () => {
    const log = await openLog('memory')
    await log.createTopic('t')
    let kept: Transaction | undefined
    await log.producer().transaction((tx) => {
      kept = tx
    })
    expect((await rejection(kept?.send({ topic: 't', value: 'late' }))).code).toBe('CLOSED')
    expect((await rejection(kept?.sendAll([{ topic: 't', value: 'late' }]))).code).toBe('CLOSED')
    expect((await rejection(kept?.abort())).code).toBe('CLOSED')
    expect(refusal(() => kept?.commitOffsets(log.consumerGroup('g'), [])).code).toBe('CLOSED')
    expect(seen(log, 't', 'read_uncommitted')).toEqual([])
  })
})

describe.each(LOG_KINDS)('producer.begin on %s', (kind) => {
  it('gives a transaction that commit ends', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const tx = await opened(log.producer(), 'a')
    expect(seen(log, 't')).toEqual([])
    await tx.commit()
    expect(seen(log, 't')).toEqual(['a'])
    expect((await rejection(tx.commit())).code).toBe('CLOSED')
    expect((await rejection(tx.abort())).code).toBe('CLOSED')
    expect((await rejection(tx.send({ topic: 't', value: 'b' }))).code).toBe('CLOSED')
    await tx[Symbol.asyncDispose]()
    expect(seen(log, 't')).toEqual(['a'])
  })

  it('gives a transaction that is aborted where nobody commits it', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer()
    {
      await using tx = await producer.begin()
      await sendIn(tx, 'dropped')
    }
    {
      await using tx = await producer.begin()
      await sendIn(tx, 'kept')
      await tx.commit()
    }
    expect(seen(log, 't')).toEqual(['kept'])
    expect(log.topic('t').partition(0).lastStableOffset).toBe(4)
  })

  it('waits until the one before is over', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer()
    const first = await opened(producer, 'a')
    const waiting = opened(producer, 'b')
    let hasBegun = false
    void waiting.then(() => (hasBegun = true))
    await settled()
    expect(hasBegun).toBe(false)
    await first.abort()
    await (await waiting).commit()
    expect(seen(log, 't')).toEqual(['b'])
  })

  it('refuses everything once it is aborted, and says so', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const tx = await opened(log.producer(), 'a')
    const unsent = tx.send({ topic: 't', value: 'unsent' })
    await tx.abort()
    await tx.abort()
    const calls = [
      unsent,
      tx.send({ topic: 't', value: 'b' }),
      tx.sendAll([{ topic: 't', value: 'b' }]),
      tx.commit(),
    ]
    for (const call of calls) expect((await rejection(call)).code).toBe('TRANSACTION_ABORTED')
    const given = refusal(() => tx.commitOffsets(log.consumerGroup('g'), []))
    expect(given.code).toBe('TRANSACTION_ABORTED')
    expect(seen(log, 't', 'read_uncommitted')).toEqual(['a'])
  })

  it('refuses what comes while it commits, and an abort is too late then', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    await log.createTopic('u')
    const tx = await opened(log.producer(), 'a', 't', 'u')
    const committing = tx.commit()
    expect((await rejection(tx.send({ topic: 't', value: 'b' }))).code).toBe('CLOSED')
    expect((await rejection(tx.commit())).code).toBe('CLOSED')
    await committing
    expect([seen(log, 't'), seen(log, 'u')]).toEqual([['a'], ['a']])
  })
})
