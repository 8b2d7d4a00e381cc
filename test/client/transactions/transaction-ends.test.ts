/** What ends a transaction from outside: its time, a newer producer, the end of producer or log. */
import { describe, expect, it } from 'vitest'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { manualClock } from '../../../src/testing/manual-clock.ts'
import { LOG_KINDS, openLog } from '../open-log.ts'
import { rejection } from '../refusal.ts'
import { later, opened, seen, sendIn, settled } from './transacting.ts'

describe.each(LOG_KINDS)('a transaction whose time is over on %s', (kind) => {
  it('is aborted, to the millisecond, and says which option has the time', async () => {
    const clock = manualClock()
    const log = await openLog(kind, { clock })
    await log.createTopic('t')
    const tx = await opened(log.producer({ transactionTimeoutMs: 5_000 }), 'a')
    await clock.advance(4_999)
    await sendIn(tx, 'b')
    expect(log.topic('t').partition(0).lastStableOffset).toBe(0)
    await clock.advance(1)
    expect(log.topic('t').partition(0).lastStableOffset).toBe(3)
    const error = await rejection(tx.commit())
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(error.message).toContain('transactionTimeoutMs')
    expect((await rejection(tx.send({ topic: 't', value: 'c' }))).code).toBe('TRANSACTION_ABORTED')
    await tx.abort()
    expect(seen(log, 't')).toEqual([])
  })

  it('rejects at once though its function still runs, and the next one begins', async () => {
    const clock = manualClock()
    const log = await openLog(kind, { clock })
    await log.createTopic('t')
    const producer = log.producer({ transactionTimeoutMs: 1_000, transactionalId: 'x' })
    const [sent, gate] = [later(), later()]
    let late: Promise<LogError> | undefined
    const running = producer.transaction(async (tx) => {
      await sendIn(tx, 'a')
      sent.resolve()
      await gate.promise
      late = rejection(tx.send({ topic: 't', value: 'late' }))
      throw new Error('nobody hears of this')
    })
    const failed = rejection(running)
    const next = producer.transaction((tx) => sendIn(tx, 'b'))
    await sent.promise
    await clock.advance(1_000)
    expect((await failed).code).toBe('TRANSACTION_ABORTED')
    await next
    gate.resolve()
    await settled()
    expect((await late)?.code).toBe('TRANSACTION_ABORTED')
    expect(seen(log, 't')).toEqual(['b'])
  })

  it('has 60,000 ms by default, and a new 60,000 for each', async () => {
    const clock = manualClock()
    const log = await openLog(kind, { clock })
    await log.createTopic('t')
    const producer = log.producer()
    const first = await opened(producer, 'a')
    await clock.advance(59_999)
    await first.commit()
    const second = await opened(producer, 'b')
    await clock.advance(59_999)
    await second.commit()
    await clock.advance(60_000)
    expect(seen(log, 't')).toEqual(['a', 'b'])
  })

  it('ends one that waits for itself', async () => {
    const clock = manualClock()
    const log = await openLog(kind, { clock })
    await log.createTopic('t')
    const producer = log.producer({ transactionTimeoutMs: 1_000 })
    const [sent, ended] = [later(), later()]
    const outer = rejection(
      producer.transaction(async (tx) => {
        await sendIn(tx, 'outer')
        sent.resolve()
        await producer.transaction((inner) => sendIn(inner, 'inner'))
        ended.resolve()
      }),
    )
    await sent.promise
    await clock.advance(1_000)
    expect((await outer).code).toBe('TRANSACTION_ABORTED')
    await ended.promise
    expect(seen(log, 't')).toEqual(['inner'])
  })
})

describe.each(LOG_KINDS)('a newer producer of the same transactionalId on %s', (kind) => {
  it('fences the older one at its first transaction, and aborts what that has open', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const older = log.producer({ transactionalId: 'x' })
    const newer = log.producer({ transactionalId: 'x' })
    await older.transaction((tx) => sendIn(tx, 'a'))
    const tx = await opened(older, 'b') // The newer one has not begun yet.
    await newer.transaction((newTx) => sendIn(newTx, 'c'))
    const error = await rejection(tx.commit())
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(LogError.is(error.cause, 'FENCED')).toBe(true)
    expect((await rejection(older.begin())).code).toBe('FENCED')
    expect((await rejection(older.transaction(() => 1))).code).toBe('FENCED')
    await newer.transaction((newTx) => sendIn(newTx, 'd'))
    await older.send({ topic: 't', value: 'plain' })
    await older.close()
    await newer.transaction((newTx) => sendIn(newTx, 'e'))
    expect(seen(log, 't')).toEqual(['a', 'c', 'd', 'plain', 'e'])
  })

  it('interrupts a function that runs', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const [sent, gate] = [later(), later()]
    const running = rejection(
      log.producer({ transactionalId: 'x' }).transaction(async (tx) => {
        await sendIn(tx, 'a')
        sent.resolve()
        await gate.promise
      }),
    )
    await sent.promise
    await log.producer({ transactionalId: 'x' }).transaction((tx) => sendIn(tx, 'b'))
    const error = await running
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(LogError.is(error.cause, 'FENCED')).toBe(true)
    gate.resolve()
    expect(seen(log, 't')).toEqual(['b'])
  })

  it('leaves producers of other ids, and of none, alone', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const others = [log.producer({ transactionalId: 'y' }), log.producer(), log.producer()]
    const open = await Promise.all(others.map((producer, index) => opened(producer, `v${index}`)))
    await log.producer({ transactionalId: 'x' }).transaction((tx) => sendIn(tx, 'x'))
    for (const tx of open) await tx.commit()
    expect([...seen(log, 't')].toSorted()).toEqual(['v0', 'v1', 'v2', 'x'])
  })
})

describe.each(LOG_KINDS)('closing on %s', (kind) => {
  it('a producer aborts what it has open, and refuses what waits', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer()
    const tx = await opened(producer, 'a')
    const waiting = [producer.begin(), producer.transaction(() => 1)].map(rejection)
    const closing = producer.close()
    for (const one of waiting) expect((await one).code).toBe('CLOSED')
    await closing
    const error = await rejection(tx.commit())
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(LogError.is(error.cause, 'CLOSED')).toBe(true)
    expect((await rejection(producer.begin())).code).toBe('CLOSED')
    expect(log.topic('t').partition(0).lastStableOffset).toBe(2)
    expect(seen(log, 't')).toEqual([])
  })

  it('a producer interrupts a function that runs', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer({ transactionalId: 'x' })
    const sent = later()
    const running = rejection(
      producer.transaction(async (tx) => {
        await sendIn(tx, 'a')
        sent.resolve()
        await new Promise<never>(() => undefined)
      }),
    )
    await sent.promise
    await producer.close()
    expect((await running).code).toBe('TRANSACTION_ABORTED')
  })

  it('a producer waits for what is being committed', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    await log.createTopic('u')
    const producer = log.producer()
    const tx = await producer.begin()
    void tx.send({ topic: 't', value: 'a' })
    void tx.send({ topic: 'u', value: 'a' })
    const committing = tx.commit()
    await producer.close()
    await committing
    expect([seen(log, 't'), seen(log, 'u')]).toEqual([['a'], ['a']])
  })

  it('a producer while it begins its first leaves nothing open', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer({ transactionalId: 'x' })
    const beginning = rejection(producer.begin())
    await producer.close()
    expect((await beginning).code).toBe('CLOSED')
    await log.producer({ transactionalId: 'x' }).transaction((tx) => sendIn(tx, 'a'))
    expect(seen(log, 't')).toEqual(['a'])
  })

  it('the log aborts what is open', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const open = await opened(log.producer(), 'open')
    await log.producer({ transactionalId: 'x' }).transaction((tx) => sendIn(tx, 'kept'))
    await log.close()
    expect((await rejection(open.commit())).code).toBe('TRANSACTION_ABORTED')
    expect((await rejection(open.send({ topic: 't' }))).code).toBe('TRANSACTION_ABORTED')
  })
})

describe('the signal of a producer', () => {
  it('aborts what is open, and refuses what waits', async () => {
    const log = await openLog('memory')
    await log.createTopic('t')
    const controller = new AbortController()
    const producer = log.producer({ signal: controller.signal })
    const tx = await opened(producer, 'a')
    const waiting = rejection(producer.begin())
    controller.abort(new Error('enough'))
    expect((await waiting).code).toBe('CLOSED')
    const error = await rejection(tx.commit())
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(LogError.is(error.cause, 'ABORTED')).toBe(true)
    expect((await rejection(producer.transaction(() => 1))).code).toBe('CLOSED')
    await producer.close()
    expect(seen(log, 't')).toEqual([])
  })

  it('aborts one whose commit waits for a record that a schema holds', async () => {
    const log = await openLog('memory')
    const never = new Promise<never>(() => undefined)
    const schema = { '~standard': { version: 1, vendor: 'test', validate: () => never } } as never
    const topic = await log.createTopic(defineTopic('typed', { value: schema }))
    const controller = new AbortController()
    const producer = log.producer({ signal: controller.signal })
    const tx = await producer.begin()
    const sent = rejection(tx.send(topic, { value: 1 } as never))
    const committing = rejection(tx.commit())
    await settled()
    controller.abort()
    expect((await sent).code).toBe('TRANSACTION_ABORTED')
    expect((await committing).code).toBe('TRANSACTION_ABORTED')
    await producer.close()
  })
})
