/** Room, waiting for it, and the ends of a producer: drained, flush, close, signals. */
import { getActiveResourcesInfo } from 'node:process'
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { HeldDisk } from '../support/held-disk.ts'
import { ProducerLog, isSettled, settled } from './producer-log.ts'
import { refusal, rejection } from './refusal.ts'

/** A record of exactly 100 bytes. */
const RECORD = { topic: 't', value: 'x'.repeat(91) }

describe('send', () => {
  it('waits for room in order, with everything sent after it', async () => {
    const { log, disk } = ProducerLog.held()
    const topic = log.topic('t')
    const producer = log.producer({ bufferBytes: 250 })
    const sent = [1, 2, 3].map(() => producer.send(RECORD))
    const small = producer.send({ topic: 't', value: 'small' })
    producer.enqueue({ topic: 't', value: 'enqueued' })
    await settled()
    expect(topic.partitions[0]?.logEndOffset).toBe(2)
    disk.holds = false
    disk.endFlushes()
    expect(await Promise.all(sent)).toMatchObject([{ offset: 0 }, { offset: 1 }, { offset: 2 }])
    expect(await small).toMatchObject({ offset: 3 })
    await producer.flush()
    expect(topic.values().slice(3)).toEqual(['small', 'enqueued'])
  })

  it('copies the bytes of a record that waits', async () => {
    const { log, disk } = ProducerLog.held()
    const topic = log.topic('t')
    const producer = log.producer({ bufferBytes: 110 })
    const first = producer.send(RECORD)
    const key = Buffer.from('key')
    const value = Buffer.from('value')
    const header = Buffer.from('header')
    const second = producer.send({ topic: 't', key, value, headers: { header } })
    for (const bytes of [key, value, header]) bytes.fill('x')
    disk.holds = false
    await first
    await second
    expect(topic.records()[1]).toMatchObject({ key: 'key', value: 'value' })
  })

  it('that waits for room lets nothing linger', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const producer = log.producer({ bufferBytes: 110, lingerMs: 1_000_000 })
    const first = producer.send(RECORD)
    const second = producer.send(RECORD)
    await first
    expect(await isSettled(second)).toBe(false)
    log.clock.advance(1_000_000)
    await second
  })

  it('waits while acks 1 has less to wait for than acks all', async () => {
    const { log } = ProducerLog.held()
    log.topic('t')
    const producer = log.producer({ bufferBytes: 110, acks: 1 })
    await Promise.all([producer.send(RECORD), producer.send(RECORD), producer.send(RECORD)])
  })

  it('with acks 0 waits for room, not for more', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const producer = log.producer({ bufferBytes: 110, acks: 0 })
    const [first, second] = [producer.send(RECORD), producer.send(RECORD)]
    await first
    const atOnce = await Promise.race([second, Promise.resolve('waits')])
    expect(atOnce).toBe('waits')
    expect(await second).toMatchObject({ offset: -1 })
  })
})

describe('sendAll', () => {
  it('waits for room where it has none, in order', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ bufferBytes: 250 })
    const values = Array.from({ length: 20 }, (_, at) => `${at}`.padStart(91, '0'))
    const results = await producer.sendAll(values.map((value) => ({ topic: 't', value })))
    expect(results.map(({ offset }) => offset)).toEqual(values.map((_, at) => at))
    expect(topic.values()).toEqual(values)
  })
})

describe('enqueue', () => {
  it('returns false from bufferBytes on and takes the record all the same', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ bufferBytes: 250 })
    const answers = [1, 2, 3, 4].map(() => producer.enqueue(RECORD))
    expect(answers).toEqual([true, true, false, false])
    await producer.drained()
    expect(topic.records()).toHaveLength(4)
    expect(producer.enqueue(RECORD)).toBe(true)
  })

  it('counts what waits before it', () => {
    const { log } = ProducerLog.held()
    log.topic('t')
    const producer = log.producer({ bufferBytes: 210 })
    void producer.send(RECORD)
    void producer.send(RECORD)
    void producer.send(RECORD)
    expect(producer.enqueue({ topic: 't' })).toBe(false)
  })

  it('that filled the buffer lets nothing linger', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ bufferBytes: 100, lingerMs: 1_000_000 })
    expect(producer.enqueue(RECORD)).toBe(false)
    await producer.drained()
    expect(topic.records()).toHaveLength(1)
  })
})

describe('drained', () => {
  it('resolves at once where there is room, else when half of it is free', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('t', { partitions: 4 })
    const producer = log.producer({ bufferBytes: 400 })
    for (const partition of [0, 1, 2]) producer.enqueue({ ...RECORD, partition })
    await producer.drained()
    producer.enqueue({ ...RECORD, partition: 3 })
    const drained = producer.drained()
    expect(await isSettled(drained)).toBe(false)
    disk.flushes[0]?.end()
    expect(await isSettled(drained)).toBe(false)
    disk.flushes[0]?.end()
    await drained
    disk.holds = false
    disk.endFlushes()
    await producer.close()
  })
})

describe('flush', () => {
  it('waits for what was sent before it, not for what is sent after', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('t', { partitions: 2 })
    const producer = log.producer()
    producer.enqueue({ topic: 't', partition: 0 })
    const flushed = producer.flush()
    const later = producer.send({ topic: 't', partition: 1 })
    await nextTurn()
    disk.flushes.find(({ path }) => path.startsWith('t-0'))?.end()
    await flushed
    expect(await isSettled(later)).toBe(false)
    disk.endFlushes()
    await later
  })

  it('waits for records that wait for room', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ bufferBytes: 110, lingerMs: 1_000 })
    for (let count = 0; count < 5; count += 1) void producer.send(RECORD)
    await producer.flush()
    expect(topic.records()).toHaveLength(5)
  })

  it('of nothing resolves, and does not reject for sends that were rejected', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer()
    await producer.flush()
    const sent = rejection(producer.send({ topic: 't' }))
    topic.delete()
    await producer.flush()
    await sent
  })
})

describe('close', () => {
  it('finishes what was sent, refuses what comes, and may be called again', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ lingerMs: 1_000 })
    const sent = producer.send({ topic: 't' })
    const closed = producer.close()
    expect((await rejection(producer.send({ topic: 't' }))).code).toBe('CLOSED')
    expect((await rejection(producer.sendAll([]))).code).toBe('CLOSED')
    expect(refusal(() => producer.enqueue({ topic: 't' })).code).toBe('CLOSED')
    expect(await sent).toMatchObject({ offset: 0 })
    await closed
    await producer.close()
    expect((await rejection(producer.flush())).code).toBe('CLOSED')
    expect((await rejection(producer.drained())).code).toBe('CLOSED')
    expect(topic.records()).toHaveLength(1)
    expect(log.closed).toEqual([producer])
  })

  it('is what leaving an await using block does', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    {
      await using producer = log.producer({ lingerMs: 1_000 })
      producer.enqueue({ topic: 't' })
    }
    expect(topic.records()).toHaveLength(1)
  })

  it('rejects sends that are in flight when their partition is closed', async () => {
    const { log } = ProducerLog.held()
    const topic = log.topic('t')
    const producer = log.producer()
    const sent = rejection(producer.send({ topic: 't' }))
    await nextTurn()
    for (const partition of topic.partitions) partition.finish('closed')
    expect((await sent).code).toBe('CLOSED')
    await producer.close()
  })

  it('by the log never rejects, and keeps the error for a close of the user', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer()
    producer.enqueue({ topic: 't' })
    topic.delete()
    await producer.shutdown()
    expect((await rejection(producer.close())).code).toBe('TOPIC_NOT_FOUND')
    await producer.close()
  })

  it('by a log without time rejects what is not appended', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const producer = log.producer({ lingerMs: 1_000 })
    const sent = rejection(producer.send({ topic: 't' }))
    producer.abandon(new LogError('CLOSED', 'the log is closed', {}))
    expect((await sent).code).toBe('CLOSED')
  })
})

describe('a signal', () => {
  it('closes the producer and rejects what is not appended, with its reason as cause', async () => {
    const { log, disk } = ProducerLog.held()
    const topic = log.topic('t')
    const controller = new AbortController()
    const producer = log.producer({ bufferBytes: 210, signal: controller.signal })
    const appended = producer.send(RECORD)
    await nextTurn()
    const gathered = rejection(producer.send(RECORD))
    const waiting = rejection(producer.send(RECORD))
    producer.enqueue(RECORD)
    const all = rejection(producer.sendAll([RECORD, RECORD]))
    const reason = new Error('shutting down')
    controller.abort(reason)
    for (const error of await Promise.all([gathered, waiting])) {
      expect(error.code).toBe('ABORTED')
      expect(error.name).toBe('AbortError')
      expect(error.cause).toBe(reason)
    }
    expect((await all).details).toMatchObject({ failed: [{ index: 0 }, { index: 1 }] })
    expect((await rejection(producer.send(RECORD))).code).toBe('CLOSED')
    disk.endFlushes()
    expect(await appended).toMatchObject({ offset: 0 })
    expect((await rejection(producer.close())).code).toBe('ABORTED')
    await producer.close()
    expect(topic.records()).toHaveLength(1)
    expect(log.closed).toEqual([producer])
  })

  it('ends a flush that waits for records it gives up, once what is in the log is synced', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('t')
    const controller = new AbortController()
    const producer = log.producer({ bufferBytes: 110, signal: controller.signal })
    const appended = producer.send(RECORD)
    const waiting = rejection(producer.send(RECORD))
    const flushed = producer.flush()
    controller.abort()
    expect((await waiting).code).toBe('ABORTED')
    expect(await isSettled(flushed)).toBe(false)
    disk.endFlushes()
    await flushed
    await appended
  })

  it('that was aborted before closes the producer at once', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const producer = log.producer({ signal: AbortSignal.abort() })
    expect((await rejection(producer.send({ topic: 't' }))).code).toBe('CLOSED')
    await settled()
    expect(log.closed).toEqual([producer])
  })
})

describe('the process', () => {
  const RETRIED = { retry: 3 }

  /** Timers that keep the process alive, beside those of the test runner. */
  function timers(): number {
    return getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  }

  // The runner's own timers come and go meanwhile; a hold that is wrong is wrong each time.
  it('is held while records of a disk log are on their way, and no longer', RETRIED, async () => {
    const disk = new HeldDisk()
    const log = new ProducerLog(disk.driver, true)
    log.topic('t')
    const idle = timers()
    const producer = log.producer({ bufferBytes: 110, lingerMs: 5 })
    expect(timers()).toBe(idle)
    const sent = [producer.send(RECORD), producer.send(RECORD)]
    expect(timers()).toBe(idle + 1)
    await settled()
    expect(timers()).toBe(idle + 1)
    disk.holds = false
    disk.endFlushes()
    await sent[0]
    expect(timers()).toBe(idle + 1)
    log.clock.advance(5)
    await sent[1]
    expect(timers()).toBe(idle)
  })

  it('is not held by a log in memory', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const idle = timers()
    const sent = log.producer().send({ topic: 't' })
    expect(timers()).toBe(idle)
    await sent
  })
})
