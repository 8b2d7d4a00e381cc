/**
 * The life of a log: what holds from opening to closing, and what is refused afterwards.
 */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import fs from 'node:fs'
import { EventLog } from '../../src/client/event-log.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { serdes } from '../../src/client/serde.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { systemClock } from '../../src/log/clock.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { LOG_KINDS, numbered, openLog, texts } from './open-log.ts'
import { refusal, rejection } from './refusal.ts'

const Orders = defineTopic('orders', { key: serdes.string, value: serdes.int32, partitions: 3 })

/** Fails every sync until the test is over; says how to end that earlier. */
function failSyncs(): () => void {
  const spy = vi.spyOn(fs, 'fdatasync').mockImplementation((_fd, done) => {
    setImmediate(done, Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }))
  })
  onTestFinished(() => spy.mockRestore())
  return () => spy.mockRestore()
}

describe.each(LOG_KINDS)('a log on %s', (kind) => {
  it('has the topics of its options when it is handed over', async () => {
    const log = await openLog(kind, { topics: [Orders, defineTopic('lines')] })
    expect(log.topics().map(({ name }) => name)).toEqual(['lines', 'orders'])
    expect(log.topic(Orders).partitions).toHaveLength(3)
    expect(log.topic('orders').partition(2).append({ value: 'x' }).baseOffset).toBe(0)
  })

  it('says where it is, what it found and what it keeps', async () => {
    const log = await openLog(kind)
    const { directory, recovery } = log
    expect(directory === null).toBe(kind !== 'disk')
    expect(recovery).toMatchObject({ clean: true, partitions: [], positions: [] })
    expect(recovery.durationMs).toBeGreaterThanOrEqual(0)
    const guarantees = log.guarantees()
    if (kind === 'memory') {
      expect(guarantees).toEqual({
        acks: { 0: 'nothing', 1: 'nothing', all: 'nothing' },
        syncMethod: 'memory',
        fileSystem: 'memory',
        reads: 'memory',
        readsReason: 'the log is in memory',
        lock: 'none',
      })
    } else {
      const isReal = kind === 'disk'
      const method = nativeBinding() === null ? 'pread' : 'mmap'
      expect(guarantees).toMatchObject({
        acks: { 0: 'nothing', 1: 'process-crash' },
        reads: isReal ? method : 'memory',
      })
      expect(['power-loss', 'process-crash']).toContain(guarantees.acks.all)
      expect(isReal ? ['kernel', 'portable'] : ['none']).toContain(guarantees.lock)
    }
  })

  it('refuses every call after close, and its getters keep their values', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const topic = log.topic('orders')
    const partition = topic.partition(1)
    const producer = log.producer()
    partition.append(numbered(3))
    await partition.deleteRecords(1)
    const iterator = partition.records()
    iterator.next()
    const stream = topic.read()
    await log.close()

    for (const call of [
      () => log.topic('orders'),
      () => log.topic(Orders),
      () => log.topic(topic),
      () => log.topics(),
      () => log.producer(),
      () => log.describe(),
      () => topic.size(),
      () => partition.append({ value: 'x' }),
      () => partition.records(),
      () => iterator.next(),
      () => partition.scan(() => {}),
      () => partition.get(1),
      () => partition.offsetForTimestamp(0),
      () => producer.enqueue({ topic: 'orders', value: 'x' }),
    ]) {
      expect(refusal(call).code, String(call)).toBe('CLOSED')
    }
    for (const call of [
      () => log.createTopic('a'),
      () => log.ensureTopic('orders'),
      () => log.deleteTopic('orders'),
      () => log.flush(),
      () => topic.send({ value: 'x' }),
      () => topic.sendAll([{ value: 'x' }]),
      () => topic.read().next(),
      () => topic.alterConfig({ retentionMs: 1 }),
      () => topic.addPartitions(9),
      () => topic.countRecords(),
      () => partition.read().next(),
      () => partition.deleteRecords(2),
      () => partition.flush(),
      () => producer.send({ topic: 'orders', value: 'x' }),
      () => producer.sendAll([{ topic: 'orders', value: 'x' }]),
      () => producer.flush(),
      () => producer.drained(),
    ]) {
      expect((await rejection(call())).code, String(call)).toBe('CLOSED')
    }
    expect(iterator.next()).toEqual({ done: true, value: undefined })
    expect(await stream.next()).toEqual({ done: true, value: undefined })
    expect(topic).toMatchObject({ name: 'orders', config: { partitions: 3 } })
    expect(topic.partition(1)).toBe(partition)
    expect(partition).toMatchObject({
      topic: 'orders',
      index: 1,
      logStartOffset: 1,
      highWatermark: 3,
      lastStableOffset: 3,
      logEndOffset: 3,
      durableOffset: 3,
    })
    await producer.close()
  })

  it('closes twice, disposes, and closes at once when nothing goes on', async () => {
    const log = await openLog(kind)
    const closing = [log.close(), log.close({ timeoutMs: 0 })]
    expect(await Promise.all(closing)).toEqual([undefined, undefined])
    await log.close()
    await log[Symbol.asyncDispose]()
    const refused = await rejection(log.close({ timeoutMs: -1 }))
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', details: { option: 'timeoutMs' } })
  })

  it('finishes what was sent before it closes', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const producer = log.producer({ lingerMs: 60_000 })
    const sent = Array.from({ length: 50 }, (_, value) =>
      producer.send(Orders, { key: `${value}`, value }),
    )
    const direct = log.topic(Orders).sendAll([{ key: 'a', value: 1 }])
    await log.close()
    const settled = await Promise.allSettled([...sent, direct])
    expect(settled.filter(({ status }) => status === 'rejected')).toEqual([])
  })

  it('rejects what a schema has not let through when the time is over', async () => {
    const validate = (): Promise<never> => new Promise(() => {})
    const schema = { '~standard': { version: 1, vendor: 'test', validate } } as const
    const Slow = defineTopic('slow', { value: schema })
    const log = await openLog(kind, { topics: [Slow] })
    const sent = rejection(log.topic(Slow).send({ value: 1 }))
    await log.close({ timeoutMs: 1 })
    expect((await sent).code).toBe('CLOSED')
  })

  it('takes the time from the clock it is given, in whole milliseconds', async () => {
    const log = await openLog(kind, { clock: { ...systemClock, now: () => 1_234.9 } })
    const topic = await log.createTopic('t')
    const stamped = await log.createTopic('s', { messageTimestampType: 'LogAppendTime' })
    expect(topic.partition(0).append({ value: 'x' }).timestamp).toBe(1_234)
    expect((await topic.send({ value: 'x' })).timestamp).toBe(1_234)
    expect(stamped.partition(0).append({ value: 'x', timestamp: 5 }).timestamp).toBe(1_234)
  })

  it('draws ids from the random source it is given', async () => {
    const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(7)
    const log = await openLog(kind, { random })
    const topic = await log.createTopic('t')
    expect(topic.id).toBe('BwcHBwcHRweHBwcHBwcHBw') // with the bits of a random UUID
    const short = await openLog(kind, { random: () => new Uint8Array(1) }).catch(
      (error: unknown) => error,
    )
    const refused = short instanceof EventLog ? await rejection(short.createTopic('t')) : short
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', details: { option: 'random' } })
  })

  it.each([
    ['unknown name', { topcis: [] }, { option: 'topcis', nearest: 'topics' }],
    ['null options', null, { value: null }],
    ['a list', [], { value: [] }],
    ['topics', { topics: Orders }, { option: 'topics' }],
    ['a topic', { topics: ['orders'] }, { option: 'topics' }],
    ['defaults', { topicDefaults: 5 }, { option: 'topicDefaults' }],
    ['a default', { topicDefaults: { partitions: 0 } }, { option: 'partitions', value: 0 }],
    ['a name of a default', { topicDefaults: { partition: 1 } }, { option: 'partition' }],
    ['expiration', { producerIdExpirationMs: -2 }, { option: 'producerIdExpirationMs' }],
    ['retention', { offsetsRetentionMs: 1.5 }, { option: 'offsetsRetentionMs', value: 1.5 }],
    ['a buffer', { cleanerBufferBytes: 0 }, { option: 'cleanerBufferBytes' }],
    ['a rate', { cleanerMaxBytesPerSecond: '1' }, { option: 'cleanerMaxBytesPerSecond' }],
    ['an interval', { housekeepingIntervalMs: Number.NaN }, { option: 'housekeepingIntervalMs' }],
    ['a listener', { onWarning: 'log' }, { option: 'onWarning' }],
    ['half a clock', { clock: { now: () => 1 } }, { option: 'clock' }],
    ['random', { random: 4 }, { option: 'random', value: 4 }],
  ])('refuses bad options: %s', async (_, options, details) => {
    const open = openLog as (kind: string, options: unknown) => Promise<EventLog> // as JavaScript
    const refused = await rejection(open(kind, options))
    expect(refused.code).toBe('INVALID_ARGUMENT')
    expect(refused.details).toMatchObject(details)
  })

  it('counts explicit undefined as absent', async () => {
    const log = await openLog(kind, {
      topics: undefined,
      topicDefaults: undefined,
      clock: undefined,
      random: undefined,
      onWarning: undefined,
      housekeepingIntervalMs: undefined,
    })
    const topic = await log.createTopic('t', { partitions: undefined })
    expect(topic.config.partitions).toBe(1)
    await log.close({ timeoutMs: undefined })
  })
})

describe('a log in memory', () => {
  it('has its topics in the same turn', () => {
    const log = EventLog.inMemory({ topics: [Orders] })
    const partition = log.topic(Orders).partition(0)
    partition.append({ key: 'a', value: 1 })
    expect(partition.durableOffset).toBe(1)
    expect(log.topic(Orders).config.segmentBytes).toBe(16_777_216)
    expect(partition.get(0)?.value).toBe(1)
  })

  it('has no options of directories', () => {
    const options: object = { lockTimeoutMs: 5 }
    expect(refusal(() => EventLog.inMemory(options))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { option: 'lockTimeoutMs' },
    })
  })

  it('is apart from every other', async () => {
    const one = EventLog.inMemory({ topics: [Orders] })
    const other = EventLog.inMemory()
    expect(other.topics()).toEqual([])
    await other.createTopic('orders')
    one.topic('orders').partition(0).append({ value: 'x' })
    expect(other.topic('orders').partition(0).logEndOffset).toBe(0)
    await Promise.all([one.close(), other.close()])
  })
})

describe('a log in a directory', () => {
  it('has everything again after it was opened anew', async () => {
    const directory = temporaryDirectory()
    const first = await EventLog.open(directory, { topics: [Orders] })
    const { id } = first.topic(Orders)
    first.topic('orders').partition(2).append(numbered(5))
    await first.topic('orders').partition(2).deleteRecords(2)
    await first.topic('orders').alterConfig({ retentionMs: 77 })
    await first.close()
    const second = await EventLog.open(directory)
    expect(second.recovery).toMatchObject({ clean: true, partitions: [] })
    const topic = second.topic('orders')
    expect(topic).toMatchObject({ id, config: { retentionMs: 77, partitions: 3 } })
    const partition = topic.partition(2)
    expect(partition).toMatchObject({ logStartOffset: 2, logEndOffset: 5, durableOffset: 5 })
    expect(texts(partition.records())).toEqual(['v2', 'v3', 'v4'])
    expect(partition.append({ value: 'v5' })).toMatchObject({ baseOffset: 5, leaderEpoch: 0 })
    await second.close()
  })

  it('rejects with IO once when it closes after a failed sync, and lets go of everything', async () => {
    const directory = temporaryDirectory()
    const warnings: string[] = []
    const log = await EventLog.open(directory, { onWarning: ({ code }) => warnings.push(code) })
    const topic = await log.createTopic('t')
    const endFailing = failSyncs()
    const sent = await rejection(topic.send({ value: 'a' }))
    expect(sent).toMatchObject({ code: 'IO', details: { outcome: 'unknown' } })
    expect(refusal(() => topic.partition(0).append({ value: 'b' })).code).toBe('READ_ONLY')
    expect((await rejection(topic.send({ value: 'b' }))).code).toBe('READ_ONLY')
    expect((await rejection(topic.partition(0).flush())).code).toBe('IO')
    expect(texts(topic.partition(0).records())).toEqual(['a'])
    expect(warnings).toEqual(['PARTITION_READ_ONLY'])
    endFailing()
    expect((await rejection(log.close())).code).toBe('IO')
    await log.close()
    const again = await EventLog.open(directory)
    expect(again.recovery.clean).toBe(false)
    expect(texts(again.topic('t').partition(0).records())).toEqual(['a'])
    await again.close()
  })

  it('rejects sends in flight whose sync fails while it closes', async () => {
    const log = await openLog('disk')
    const topic = await log.createTopic('t')
    failSyncs()
    const sent = rejection(topic.send({ value: 'a' }))
    expect((await rejection(log.close())).code).toBe('IO')
    expect((await sent).code).toBe('IO')
  })

  it('keeps the log closed and the directory free when its topics cannot be ensured', async () => {
    const directory = temporaryDirectory()
    const first = await EventLog.open(directory, { topics: [Orders] })
    first.topic('orders').partition(0).append(numbered(1))
    await first.close()
    const More = defineTopic('orders', { partitions: 9 })
    const refused = await rejection(EventLog.open(directory, { topics: [More] }))
    expect(refused.code).toBe('CONFIG_MISMATCH')
    const second = await EventLog.open(directory)
    expect(second.recovery.clean).toBe(true)
    await second.close()
  })

  it('finishes a deletion that has begun, and the next log frees its space', async () => {
    const directory = temporaryDirectory()
    const log = await EventLog.open(directory, { topics: [Orders, defineTopic('kept')] })
    log.topic('orders').partition(0).append(numbered(3))
    const deleted = log.deleteTopic('orders')
    await Promise.resolve() // It has begun, and the next one waits for it.
    const created = log.createTopic('new').catch((error: unknown) => error)
    await Promise.all([deleted, log.close()])
    expect(await created).toMatchObject({ code: 'CLOSED' })
    const again = await EventLog.open(directory)
    expect(again.topics().map(({ name }) => name)).toEqual(['kept'])
    await again.close()
    const folders = fs.readdirSync(directory).filter((name) => name.startsWith('orders'))
    expect(folders).toEqual([])
  })

  it('deletes a topic while it is sent to, read and synced', async () => {
    const log = await openLog('disk')
    const topic = await log.createTopic('t', { segmentBytes: 16_384 })
    const sends = Array.from({ length: 200 }, () =>
      topic.send({ value: Buffer.alloc(1_000) }).then(
        () => 'sent',
        (error: unknown) => (LogError.is(error) ? error.code : error),
      ),
    )
    const flushed = log.flush().catch((error: unknown) => error)
    await log.deleteTopic(topic)
    const outcomes = new Set(await Promise.all(sends))
    expect([...outcomes].every((one) => one === 'sent' || one === 'TOPIC_NOT_FOUND')).toBe(true)
    expect(await flushed).toBeUndefined()
    await log.close()
  })
})
