/**
 * Topics: made, found, checked, changed and deleted, in logs on disk and in memory.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { LogWarning } from '../../src/client/log-options.ts'
import { serdes } from '../../src/client/serde.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { EventLog } from '../../src/client/event-log.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { LOG_KINDS, numbered, openLog, texts } from './open-log.ts'
import { refusal, rejection } from './refusal.ts'

const Orders = defineTopic('orders', {
  key: serdes.string,
  value: serdes.string,
  partitions: 2,
  retentionMs: 100,
})

describe.each(LOG_KINDS)('topics of a log on %s', (kind) => {
  it('are made with the settings of call, definition, log and defaults, in this order', async () => {
    const topicDefaults = { partitions: 5, retentionMs: 7, segmentMs: 8, segmentBytes: 2_048 }
    const log = await openLog(kind, { topicDefaults })
    const topic = await log.createTopic(Orders, { retentionMs: 9 })
    expect(topic.config).toMatchObject({ partitions: 2, retentionMs: 9, segmentMs: 8 })
    expect(topic.config).toMatchObject({ segmentBytes: 2_048, cleanupPolicy: 'delete' })
    expect((await log.createTopic('plain')).config).toMatchObject({ partitions: 5, retentionMs: 7 })
    expect(topic.partitions.map(({ topic: name, index }) => `${name}-${index}`)).toEqual([
      'orders-0',
      'orders-1',
    ])
  })

  it('have the default settings of the contract', async () => {
    const log = await openLog(kind)
    const { config, id } = await log.createTopic('t')
    expect(config).toEqual({
      partitions: 1,
      cleanupPolicy: 'delete',
      retentionMs: -1,
      retentionBytes: -1,
      retainUntilConsumed: [],
      retainUntilConsumedMaxBytes: -1,
      segmentBytes: kind === 'memory' ? 16_777_216 : 1_073_741_824,
      segmentMs: 604_800_000,
      indexIntervalBytes: 4_096,
      compressionType: 'producer',
      maxMessageBytes: 1_048_588,
      maxDecompressedBytes: 268_435_456,
      messageTimestampType: 'CreateTime',
      minCleanableDirtyRatio: 0.5,
      deleteRetentionMs: 86_400_000,
      minCompactionLagMs: 0,
      maxCompactionLagMs: -1,
      fileDeleteDelayMs: 60_000,
      flushMessages: -1,
      flushMs: -1,
      preallocate: true,
    })
    expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(Object.isFrozen(config)).toBe(true)
    expect(() => Object.assign(config, { retentionMs: 5 })).toThrow(TypeError)
  })

  it('are made once: a second time is TOPIC_EXISTS, and ensured takes the one there is', async () => {
    const log = await openLog(kind)
    const made = await log.createTopic(Orders)
    const again = await rejection(log.createTopic('orders'))
    expect(again).toMatchObject({ code: 'TOPIC_EXISTS', details: { topic: 'orders' } })
    expect(await log.ensureTopic(Orders)).toBe(made)
    expect(log.topic(Orders)).toBe(made)
    expect(log.topic(made)).toBe(made)
    expect(log.topic('orders')).not.toBe(made)
    expect(log.topic('orders')).toBe(log.topics()[0])
  })

  it('are made once by calls at the same time', async () => {
    const log = await openLog(kind)
    const [first, second] = await Promise.all([log.ensureTopic('t'), log.ensureTopic('t')])
    expect(first).toBe(second)
    const both = await Promise.allSettled([log.createTopic('u'), log.createTopic('u')])
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  it('are changed where ensured with other settings, and the log says so', async () => {
    const warnings: LogWarning[] = []
    const log = await openLog(kind, { onWarning: (warning) => warnings.push(warning) })
    const published: unknown[] = []
    const listener = (message: unknown): void => void published.push(message)
    subscribe('streambed:warning', listener)
    onTestFinished(() => void unsubscribe('streambed:warning', listener))
    const topic = await log.createTopic(Orders)
    const before = topic.config
    await log.ensureTopic(Orders)
    await log.ensureTopic('orders', { partitions: 1 })
    expect(warnings).toEqual([])
    await log.ensureTopic(Orders, { retentionMs: 5, retainUntilConsumed: ['g'] })
    expect(topic.config).toMatchObject({ retentionMs: 5, retainUntilConsumed: ['g'] })
    expect(before.retentionMs).toBe(100)
    expect(warnings).toEqual(published)
    expect(warnings).toMatchObject([
      {
        code: 'CONFIG_CHANGED',
        details: { topic: 'orders', changes: { retentionMs: 5, retainUntilConsumed: ['g'] } },
      },
    ])
  })

  it('are not changed in passing where that would move records', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const more = await rejection(log.ensureTopic('orders', { partitions: 3, retentionMs: 1 }))
    expect(more).toMatchObject({
      code: 'CONFIG_MISMATCH',
      details: { topic: 'orders', setting: 'partitions', asked: 3, actual: 2 },
    })
    const compact = await rejection(log.ensureTopic('orders', { cleanupPolicy: 'compact' }))
    expect(compact).toMatchObject({
      code: 'CONFIG_MISMATCH',
      details: { setting: 'cleanupPolicy', asked: 'compact', actual: 'delete' },
    })
    expect(log.topic(Orders).config).toMatchObject({ retentionMs: 100, cleanupPolicy: 'delete' })
  })

  it('read their settings at the call', async () => {
    const log = await openLog(kind)
    const config = { partitions: 2 }
    const made = log.createTopic('t', config)
    config.partitions = 9
    expect((await made).partitions).toHaveLength(2)
  })

  it.each([
    '',
    '.',
    '..',
    'a b',
    'ä',
    'a/b',
    'a:b',
    'a'.repeat(250),
    'ends.',
    'con',
    'NUL.txt',
    'Com1',
    '__consumer_offsets',
    '__transaction_state',
  ])('are not named %j', async (name) => {
    const log = await openLog(kind)
    expect((await rejection(log.createTopic(name))).code).toBe('INVALID_ARGUMENT')
    expect((await rejection(log.ensureTopic(name))).code).toBe('INVALID_ARGUMENT')
    expect(refusal(() => log.topic(name)).code).toBe('TOPIC_NOT_FOUND')
  })

  it.each([null, undefined, 5, {}, [], { name: 'a' }, Symbol('a')])(
    'are not named by %s',
    async (name) => {
      const log = await openLog(kind)
      const given = name as string // as JavaScript may
      expect((await rejection(log.createTopic(given))).code).toBe('INVALID_ARGUMENT')
      expect((await rejection(log.deleteTopic(given))).code).toBe('INVALID_ARGUMENT')
      expect(refusal(() => log.topic(given)).code).toBe('INVALID_ARGUMENT')
    },
  )

  it('are named with all that Kafka allows', async () => {
    const log = await openLog(kind)
    const names = ['a'.repeat(249), 'A.b_c-D', '_', '-', '0', '...a', 'con-1', '__mine', 'a-0']
    for (const name of names) {
      const topic = await log.createTopic(name)
      topic.partition(0).append({ value: name })
    }
    expect(log.topics().map(({ name }) => name)).toEqual(names.toSorted())
    for (const name of names) expect(texts(log.topic(name).partition(0).records())).toEqual([name])
  })

  it('do not differ from each other only in case', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const refused = await rejection(log.createTopic('Orders'))
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', details: { existing: 'orders' } })
    expect((await rejection(log.ensureTopic('ORDERS'))).code).toBe('INVALID_ARGUMENT')
  })

  it.each([
    { partitions: 0 },
    { partitions: 100_001 },
    { partitions: 1.5 },
    { segmentBytes: 1_023 },
    { segmentBytes: 2 ** 31 },
    { retentionMs: -2 },
    { cleanupPolicy: 'remove' },
    { compressionType: 'brotli' },
    { messageTimestampType: 'createTime' },
    { minCleanableDirtyRatio: 1.1 },
    { retainUntilConsumed: [''] },
    { preallocate: 1 },
    { retention: 5 },
    5,
  ] as readonly unknown[])('are not made with %o', async (config) => {
    const log = await openLog(kind)
    const options = config as TopicConfig // as JavaScript may
    expect((await rejection(log.createTopic('t', options))).code).toBe('INVALID_ARGUMENT')
    expect(log.topics()).toEqual([])
  })

  it('tell partitions that cannot be from those that are not there', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const topic = log.topic(Orders)
    for (const index of [1.5, Number.NaN, '0', undefined, Infinity]) {
      const given = index as number // as JavaScript may
      expect(refusal(() => topic.partition(given)).code).toBe('INVALID_ARGUMENT')
    }
    for (const index of [-1, 2]) {
      expect(refusal(() => topic.partition(index))).toMatchObject({
        code: 'PARTITION_NOT_FOUND',
        details: { topic: 'orders', partition: index, partitionCount: 2 },
      })
    }
    expect(refusal(() => topic.read({ partitions: [2] })).code).toBe('PARTITION_NOT_FOUND')
    const from = { offsets: [{ partition: 7, offset: 0 }] }
    expect(refusal(() => topic.read({ from })).code).toBe('PARTITION_NOT_FOUND')
    expect(refusal(() => topic.read({ from: 0 })).code).toBe('INVALID_ARGUMENT')
  })

  it('grow by partitions, which old and new handles see', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const topic = log.topic(Orders)
    const [first] = topic.partitions
    const others = topic.partitions
    await Promise.all([topic.addPartitions(3), topic.addPartitions(4)])
    expect(topic.partitions).toHaveLength(4)
    expect(others).toHaveLength(2)
    expect(topic.partition(0)).toBe(first)
    expect(topic.config.partitions).toBe(4)
    expect(log.topic('orders').partitions).toHaveLength(4)
    topic.partition(3).append({ key: 'k', value: 'v' })
    await topic.addPartitions(4)
    const wrong: readonly unknown[] = [3, 0, 1.5, undefined, 100_001]
    for (const total of wrong) {
      const refused = await rejection(topic.addPartitions(total as number)) // as JavaScript may
      expect(refused.code).toBe('INVALID_ARGUMENT')
    }
  })

  it('are altered while they are open, but for their partitions', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const topic = log.topic('orders')
    await topic.alterConfig({ segmentBytes: 4_096, maxMessageBytes: 200 })
    expect(topic.config).toMatchObject({ segmentBytes: 4_096, retentionMs: 100, partitions: 2 })
    const value = 'x'.repeat(300)
    expect(refusal(() => topic.partition(0).append({ value })).code).toBe('RECORD_TOO_LARGE')
    const refused = await rejection(topic.alterConfig({ partitions: 4 }))
    expect(refused.code).toBe('INVALID_ARGUMENT')
    expect(refused.message).toContain('addPartitions')
    const unknown: object = { retentionMillis: 4 }
    expect((await rejection(topic.alterConfig(unknown))).code).toBe('INVALID_ARGUMENT')
  })

  it('take tombstones once they are compacted, through handles made before', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const typed = log.topic(Orders)
    // As JavaScript may.
    const tombstone = { key: 'k', value: null } as { key: string; value: never }
    expect(refusal(() => typed.partition(0).append(tombstone)).code).toBe('INVALID_RECORD')
    await typed.alterConfig({ cleanupPolicy: 'compact' })
    typed.partition(0).append(tombstone)
    expect(typed.partition(0).get(0)?.value).toBeNull()
    const keyless = refusal(() => log.topic('orders').partition(0).append({ value: 'v' }))
    expect(keyless.code).toBe('INVALID_RECORD')
  })

  it('are gone once deleted, and their handles stay dead when the name is used again', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const old = log.topic(Orders)
    const partition = old.partition(0)
    partition.append({ key: 'k', value: 'old' })
    await log.deleteTopic(Orders)
    expect(log.topics()).toEqual([])
    expect(refusal(() => log.topic('orders')).code).toBe('TOPIC_NOT_FOUND')
    const made = await log.createTopic(Orders)
    expect(made).not.toBe(old)
    expect(made.id).not.toBe(old.id)
    expect(made.size()).toMatchObject({ offsets: 0 })
    for (const call of [
      () => log.topic(old),
      () => old.size(),
      () => partition.append({ key: 'k', value: 'v' }),
      () => partition.records(),
      () => partition.get(0),
      () => partition.scan(() => {}),
      () => partition.offsetForTimestamp(0),
    ]) {
      expect(refusal(call).code, String(call)).toBe('TOPIC_NOT_FOUND')
    }
    for (const call of [
      () => old.send({ key: 'k', value: 'v' }),
      () => old.read().next(),
      () => old.alterConfig({ retentionMs: 1 }),
      () => old.addPartitions(5),
      () => old.countRecords(),
      () => partition.flush(),
      () => partition.deleteRecords(1),
      () => log.deleteTopic(old),
      () => log.producer().send(old, { key: 'k', value: 'v' }),
    ]) {
      expect((await rejection(call())).code, String(call)).toBe('TOPIC_NOT_FOUND')
    }
    expect(partition.logEndOffset).toBe(1)
    expect(made.partition(0).append({ key: 'k', value: 'new' }).baseOffset).toBe(0)
  })

  it('are deleted by name, definition and handle', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    await log.deleteTopic('orders')
    await log.ensureTopic(Orders)
    await log.deleteTopic(log.topic(Orders))
    const missing = await rejection(log.deleteTopic(Orders))
    expect(missing).toMatchObject({ code: 'TOPIC_NOT_FOUND', details: { topic: 'orders' } })
    const both = [log.createTopic('a'), log.deleteTopic('a')]
    await Promise.all(both)
    expect(log.topics()).toEqual([])
  })

  it('know handles of other logs by name and types', async () => {
    const [one, other] = [await openLog(kind, { topics: [Orders] }), await openLog('memory')]
    const foreign = await other.createTopic(Orders)
    const topic = one.topic(foreign)
    topic.partition(0).append({ key: 'k', value: 'v' })
    expect(topic.partition(0).get(0)?.value).toBe('v')
    expect(foreign.partition(0).logEndOffset).toBe(0)
  })

  it('place keys where Kafka does, and only keys', async () => {
    const log = await openLog(kind, { topics: [Orders] })
    const topic = await log.createTopic('t', { partitions: 12 })
    expect(topic.partitionFor('21').index).toBe((-973_932_308 & 0x7f_ff_ff_ff) % 12)
    expect(refusal(() => topic.partitionFor(null)).code).toBe('INVALID_ARGUMENT')
    expect(log.topic(Orders).partitionFor('a').topic).toBe('orders')
  })
})

describe('many topics', () => {
  it.each(LOG_KINDS)('are made, written and found again on %s', async (kind) => {
    const log = await openLog(kind, { topicDefaults: { preallocate: false } })
    const names = Array.from({ length: 200 }, (_, at) => `t${String(at).padStart(3, '0')}`)
    const topics = await Promise.all(names.map((name) => log.createTopic(name)))
    for (const topic of topics) topic.partition(0).append(numbered(2))
    expect(log.topics().map(({ name }) => name)).toEqual(names)
    expect(log.describe().topics).toHaveLength(200)
    await log.flush()
  })

  it('are still there after the log was opened anew, and deleted ones are not', async () => {
    const directory = temporaryDirectory()
    const log = await EventLog.open(directory, { topics: [Orders, defineTopic('gone')] })
    const { id } = log.topic(Orders)
    await log.deleteTopic('gone')
    await log.topic(Orders).addPartitions(3)
    await log.close()
    const again = await EventLog.open(directory)
    expect(again.topics().map(({ name }) => name)).toEqual(['orders'])
    expect(again.topic(Orders)).toMatchObject({ id, config: { partitions: 3, retentionMs: 100 } })
    await again.close()
  })
})

describe('a listener for warnings that throws', () => {
  it('is reported as uncaught and does not disturb the log', async () => {
    const thrown = new Error('mine')
    const log = await openLog('memory', {
      topics: [Orders],
      onWarning: () => {
        throw thrown
      },
    })
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const uncaught = new Promise((resolve) => void process.once('uncaughtException', resolve))
    await log.ensureTopic(Orders, { retentionMs: 5 })
    expect(await uncaught).toBe(thrown)
    for (const listener of others) process.on('uncaughtException', listener)
    expect(log.topic(Orders).config.retentionMs).toBe(5)
  })
})
