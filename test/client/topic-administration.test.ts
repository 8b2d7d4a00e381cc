/**
 * Settings that are changed while a log is open, partitions that are added, names that stay.
 */
import { describe, expect, it } from 'vitest'
import type { LogWarning } from '../../src/client/log-options.ts'
import { serdes } from '../../src/client/serde.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { EventLog } from '../../src/client/event-log.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { closeWhenDone, LOG_KINDS, numbered, openLog, texts } from './open-log.ts'
import { refusal, rejection } from './refusal.ts'

/** Lets what goes on in the background come to its end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await nextTurn()
}

describe.each(LOG_KINDS)('a topic that becomes a compacted one, on %s', (kind) => {
  it('keeps the records without a key that it has, and says how many', async () => {
    const warnings: LogWarning[] = []
    const log = await openLog(kind, { onWarning: (warning) => warnings.push(warning) })
    const topic = await log.createTopic('t', { partitions: 2 })
    topic.partition(0).append([{ value: 'a' }, { key: 'k', value: 'b' }, { value: 'c' }])
    topic.partition(1).append([{ value: 'd' }, { key: '', value: 'e' }])
    await topic.alterConfig({ cleanupPolicy: 'compact' })
    expect(warnings).toMatchObject([
      { code: 'CONFIG_CHANGED', details: { topic: 't', keylessRecords: 3 } },
    ])
    expect(texts(topic.partition(0).records())).toEqual(['a', 'b', 'c'])
    await topic.alterConfig({ cleanupPolicy: 'compact,delete' })
    await topic.alterConfig({ retentionMs: 5 })
    expect(warnings).toHaveLength(1)
  })

  it('says nothing where every record has a key', async () => {
    const warnings: LogWarning[] = []
    const log = await openLog(kind, { onWarning: (warning) => warnings.push(warning) })
    const topic = await log.createTopic('t')
    topic.partition(0).append([{ key: 'k', value: 'b' }])
    await topic.alterConfig({ cleanupPolicy: 'compact' })
    expect(warnings).toEqual([])
  })

  it('asks for keys at once, in every way of writing', async () => {
    const log = await openLog(kind, { onWarning: () => undefined })
    const topic = await log.createTopic('t')
    const producer = log.producer({ lingerMs: 1_000 })
    const tx = await log.producer().begin()
    const before = [
      producer.send({ topic: 't', value: 'lingers' }),
      tx.send({ topic: 't', value: 'in a transaction' }),
    ]
    expect(producer.enqueue({ topic: 't', value: 'enqueued' })).toBe(true)
    await topic.alterConfig({ cleanupPolicy: 'compact' })
    const end = topic.partition(0).logEndOffset
    expect(texts(topic.partition(0).records())).toHaveLength(3)
    expect(refusal(() => topic.partition(0).append({ value: 'v' })).code).toBe('INVALID_RECORD')
    expect(refusal(() => producer.enqueue({ topic: 't', value: 'v' })).code).toBe('INVALID_RECORD')
    for (const sending of [
      topic.send({ value: 'v' }),
      topic.sendAll([{ key: 'k', value: 'v' }, { value: 'v' }]),
      producer.send({ topic: 't', value: 'v' }),
      producer.send(topic, { key: null, value: 'v' }),
      tx.send({ topic: 't', value: 'v' }),
      log.topic('t').send({ value: 'v' }),
    ]) {
      expect((await rejection(sending)).code).toBe('INVALID_RECORD')
    }
    await producer.flush()
    expect((await Promise.all(before)).every(({ offset }) => offset < end)).toBe(true)
    await tx.abort()
    await topic.alterConfig({ cleanupPolicy: 'delete' })
    expect((await topic.send({ value: 'v' })).offset).toBeGreaterThanOrEqual(end)
  })

  it('refuses what waited for room when the change came', async () => {
    const log = await openLog(kind, { onWarning: () => undefined })
    const topic = await log.createTopic('t')
    const producer = log.producer({ bufferBytes: 2_000, lingerMs: 1_000 })
    const value = 'v'.repeat(900)
    const sent = Promise.allSettled(
      Array.from({ length: 9 }, (_, number) =>
        producer.send({ topic: 't', value, key: number === 8 ? 'k' : null }),
      ),
    )
    await topic.alterConfig({ cleanupPolicy: 'compact' })
    const end = topic.partition(0).logEndOffset
    await producer.flush()
    const results = await sent
    const refused = results.filter(({ status }) => status === 'rejected')
    const kept = Array.from(topic.partition(0).records()).filter(({ key }) => key === null)
    expect(refused).toHaveLength(8 - kept.length)
    expect(kept.every(({ offset }) => offset < end)).toBe(true)
    expect(results.at(-1)?.status).toBe('fulfilled')
  })
})

describe('a topic that becomes a compacted one', () => {
  it('is counted in the background where it is large', async () => {
    const warnings: LogWarning[] = []
    const log = EventLog.inMemory({ onWarning: (warning) => warnings.push(warning) })
    closeWhenDone(log)
    const topic = await log.createTopic('t')
    const value = 'v'.repeat(1_000)
    for (let round = 0; round < 15; round++) {
      topic.partition(0).append(Array.from({ length: 100 }, () => ({ value })))
    }
    await topic.alterConfig({ cleanupPolicy: 'compact' })
    topic.partition(0).append({ key: 'k', value })
    expect(warnings).toEqual([])
    await settled()
    expect(warnings).toMatchObject([{ details: { keylessRecords: 1_500 } }])
  })

  it('is not compacted after all where that cannot be written', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    closeWhenDone(log)
    const topic = await log.createTopic('t')
    disk.faults.inject({ fault: 'EIO', action: 'flush', path: /^metadata/ })
    expect((await rejection(topic.alterConfig({ cleanupPolicy: 'compact' }))).code).toBe('IO')
    disk.faults.clear()
    expect(topic.config.cleanupPolicy).toBe('delete')
    expect((await topic.send({ value: 'v' })).offset).toBe(0)
  })
})

describe.each(LOG_KINDS)('settings that are changed, on %s', (kind) => {
  it('are in force for the next append', async () => {
    const clock = new FakeClock()
    const log = await openLog(kind, { clock })
    const topic = await log.createTopic('t')
    const partition = topic.partition(0)
    partition.append(numbered(40))
    await topic.alterConfig({ segmentBytes: 1_024 })
    for (let round = 0; round < 10; round++) partition.append(numbered(20))
    expect(topic.size().segments).toBeGreaterThan(2)
    await topic.alterConfig({ segmentBytes: 1_048_576, segmentMs: 10 })
    const { segments } = topic.size()
    partition.append(numbered(1))
    clock.advance(11)
    partition.append(numbered(1))
    expect(topic.size().segments).toBeGreaterThan(segments)

    await topic.alterConfig({ messageTimestampType: 'LogAppendTime' })
    expect(partition.append({ value: 'v', timestamp: 5 }).timestamp).toBe(clock.now())
    await topic.alterConfig({ messageTimestampType: 'CreateTime' })
    expect(partition.append({ value: 'v', timestamp: 5 }).timestamp).toBe(5)

    await topic.alterConfig({ maxMessageBytes: 200 })
    const large = { value: 'v'.repeat(300) }
    expect(refusal(() => partition.append(large)).code).toBe('RECORD_TOO_LARGE')
    expect((await rejection(topic.send(large))).code).toBe('RECORD_TOO_LARGE')
    await topic.alterConfig({ maxMessageBytes: 10_000 })
    await topic.send(large)

    const { bytes } = topic.size()
    await topic.alterConfig({ compressionType: 'gzip' })
    const alike = Array.from({ length: 100 }, () => ({ value: 'alike '.repeat(10) }))
    partition.append(alike)
    await topic.sendAll(alike)
    expect(topic.size().bytes - bytes).toBeLessThan(1_500)
    await topic.alterConfig({ compressionType: 'producer' })
    partition.append(alike)
    expect(topic.size().bytes - bytes).toBeGreaterThan(5_000)
  })

  it('are kept by the topic, its handles and partitions that are added', async () => {
    const log = await openLog(kind)
    const T = defineTopic('t', { value: serdes.string })
    const topic = await log.createTopic(T, { retentionMs: 1 })
    const before = topic.config
    await topic.alterConfig({ retentionMs: 2, segmentBytes: 2_048, deleteRetentionMs: undefined })
    await topic.addPartitions(3)
    expect(log.topic('t').config).toBe(topic.config)
    expect(topic.config).toMatchObject({ retentionMs: 2, segmentBytes: 2_048, partitions: 3 })
    expect(topic.config.deleteRetentionMs).toBe(86_400_000)
    expect(before).toMatchObject({ retentionMs: 1, partitions: 1 })
    for (let round = 0; round < 10; round++) {
      topic.partition(2).append(Array.from({ length: 30 }, () => ({ value: 'v'.repeat(20) })))
    }
    expect(topic.size().segments).toBeGreaterThan(5)
  })

  it('are refused as a whole where one of them cannot be', async () => {
    const log = await openLog(kind)
    const topic = await log.createTopic('t')
    const { config } = topic
    for (const changes of [
      { retentionMs: 5, segmentBytes: 1 },
      { retentionMs: 5, partitions: 1 },
      { retentionMs: 5, retentionMz: 6 },
      { retentionMs: 5, name: 'u' },
      [],
      null,
    ]) {
      // @ts-expect-error what no settings are
      expect((await rejection(topic.alterConfig(changes))).code).toBe('INVALID_ARGUMENT')
    }
    expect(topic.config).toBe(config)
    const partitions = await rejection(topic.alterConfig({ partitions: 2 }))
    expect(partitions.message).toContain('addPartitions')
  })
})

describe('flushMs and flushMessages', () => {
  it('are in force when they are changed, and no more when they are taken back', async () => {
    const clock = new FakeClock()
    const disk = new FaultDisk({ clock })
    const log = await disk.open({ clock })
    closeWhenDone(log)
    const topic = await log.createTopic('t')
    const partition = topic.partition(0)
    partition.append(numbered(1))
    clock.advance(1_000)
    await settled()
    expect(partition.durableOffset).toBe(0)
    await topic.alterConfig({ flushMs: 100 })
    partition.append(numbered(1))
    clock.advance(101)
    await settled()
    expect(partition.durableOffset).toBe(2)
    await topic.alterConfig({ flushMs: -1, flushMessages: 3 })
    partition.append(numbered(2))
    clock.advance(1_000)
    await settled()
    expect(partition.durableOffset).toBe(2)
    partition.append(numbered(1))
    await settled()
    expect(partition.durableOffset).toBe(5)
  })
})

describe('a change of settings', () => {
  it('is there after a power cut once it has resolved', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    const topic = await log.createTopic('t')
    await topic.alterConfig({ cleanupPolicy: 'compact', minCompactionLagMs: 7 })
    await disk.crash()
    const again = await disk.open()
    closeWhenDone(again)
    expect(again.topic('t').config).toMatchObject({
      cleanupPolicy: 'compact',
      minCompactionLagMs: 7,
    })
    const refused = await rejection(again.topic('t').send({ value: 'no key' }))
    expect(refused.code).toBe('INVALID_RECORD')
  })

  it('changes how the next segment grows', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    closeWhenDone(log)
    const topic = await log.createTopic('t', { segmentBytes: 1_024 })
    topic.partition(0).append(numbered(10))
    await topic.alterConfig({ preallocate: false })
    for (let round = 0; round < 8; round++) topic.partition(0).append(numbered(20))
    const active = disk.files().findLast((path) => path.endsWith('.log'))
    const bytes = disk.readFile(active ?? '')
    expect(bytes?.length).toBeLessThan(1_024)
    expect(bytes?.at(-1)).toBeDefined()
  })
})

describe('the name of a topic', () => {
  it('stays, and every way to change it says why', async () => {
    const log = EventLog.inMemory()
    closeWhenDone(log)
    const topic = await log.createTopic('t')
    for (const trying of [
      topic.rename('u'),
      // @ts-expect-error no setting
      topic.alterConfig({ name: 'u' }),
      // @ts-expect-error no setting
      log.ensureTopic('t', { name: 'u' }),
    ]) {
      const refused = await rejection(trying)
      expect(refused.code).toBe('INVALID_ARGUMENT')
      expect(refused.message).toContain('keeps its name')
    }
    expect(() => Object.assign(topic, { name: 'u' })).toThrow(TypeError)
    expect(topic.name).toBe('t')
  })
})
