/** Which records of a producer go together, how large batches get, and what is too large. */
import { describe, expect, it } from 'vitest'
import { partitioners } from '../../src/client/partitioner.ts'
import type { RecordMetadata } from '../../src/client/producer.ts'
import { COMPRESSION_CODECS, isCodecAvailable } from '../../src/format/compression.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { ProducerLog, isSettled, settled, type ProducerLogTopic } from './producer-log.ts'
import { refusal, rejection } from './refusal.ts'

/** How many records the batches of a partition have. */
function batchSizes(topic: ProducerLogTopic, partition?: number): readonly number[] {
  return topic.batches(partition).map((batch) => batch.records.length)
}

/** Text that no codec makes smaller. */
function noise(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  let state = 1
  for (let at = 0; at < bytes; at += 1) {
    state = (state * 48_271) % 0x7fff_ffff
    buffer[at] = state >>> 8
  }
  return buffer
}

describe('a batch', () => {
  it('without linger has what was sent in one turn, by send, sendAll and enqueue', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer()
    const sent = [producer.send({ topic: 't' }), producer.sendAll([{ topic: 't' }, { topic: 't' }])]
    await Promise.resolve()
    producer.enqueue({ topic: 't' })
    expect(batchSizes(topic)).toEqual([])
    await Promise.all(sent)
    await producer.send({ topic: 't' })
    expect(batchSizes(topic)).toEqual([4, 1])
  })

  it('waits lingerMs from its first record on', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ lingerMs: 10 })
    producer.enqueue({ topic: 't' })
    log.clock.advance(9)
    producer.enqueue({ topic: 't' })
    await settled()
    expect(batchSizes(topic)).toEqual([])
    log.clock.advance(1)
    expect(batchSizes(topic)).toEqual([2])
    producer.enqueue({ topic: 't' })
    log.clock.advance(9)
    expect(batchSizes(topic)).toEqual([2])
    log.clock.advance(1)
    expect(batchSizes(topic)).toEqual([2, 1])
  })

  it('lingers no longer than until flush or close, and leaves no timer behind', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ lingerMs: 1_000 })
    producer.enqueue({ topic: 't' })
    await producer.flush()
    expect(batchSizes(topic)).toEqual([1])
    producer.enqueue({ topic: 't' })
    await producer.close()
    expect(batchSizes(topic)).toEqual([1, 1])
    expect(log.clock.timerCount).toBe(0)
  })

  it('closes before the record that would take it beyond batchBytes', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ batchBytes: 400 })
    for (let count = 0; count < 7; count += 1) {
      producer.enqueue({ topic: 't', value: 'x'.repeat(100) })
    }
    await producer.flush()
    expect(batchSizes(topic)).toEqual([3, 3, 1])
    for (const batch of topic.batches()) expect(batch.sizeBytes).toBeLessThanOrEqual(400)
  })

  it('is filled to the last byte', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    // 61 bytes of header; a record is 7 bytes more than its value.
    const producer = log.producer({ batchBytes: 61 + 2 * 27 })
    for (let count = 0; count < 4; count += 1) {
      producer.enqueue({ topic: 't', value: 'x'.repeat(20) })
    }
    await producer.flush()
    expect(topic.batches().map((batch) => batch.sizeBytes)).toEqual([115, 115])
  })

  it('is appended at once when it is full, without waiting for the turn to end', () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ batchBytes: 200, acks: 1 })
    for (let count = 0; count < 5; count += 1) producer.enqueue({ topic: 't', value: noise(60) })
    expect(batchSizes(topic)).toEqual([2, 2])
  })

  it('of its own is what a record larger than batchBytes gets', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ batchBytes: 200 })
    producer.enqueue({ topic: 't', value: 'small' })
    producer.enqueue({ topic: 't', value: 'x'.repeat(10_000) })
    producer.enqueue({ topic: 't', value: 'small' })
    await producer.flush()
    expect(batchSizes(topic)).toEqual([1, 1, 1])
  })

  it('stays below the maxMessageBytes of its topic, also when that is lowered meanwhile', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxMessageBytes: 1_000 })
    const producer = log.producer()
    const send = (): Promise<RecordMetadata>[] =>
      Array.from({ length: 12 }, (_, at) =>
        producer.send({ topic: 't', value: `${at}`.repeat(50) }),
      )
    await Promise.all(send())
    for (const batch of topic.batches()) expect(batch.sizeBytes).toBeLessThanOrEqual(1_000)
    topic.alter({ maxMessageBytes: 500 })
    const sent = send()
    topic.alter({ maxMessageBytes: 250 })
    const offsets = (await Promise.all(sent)).map(({ offset }) => offset)
    expect(offsets).toEqual([12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])
    for (const batch of topic.batches().slice(2)) expect(batch.sizeBytes).toBeLessThanOrEqual(250)
  })

  it('without a key fills one partition before the next', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { partitions: 50 })
    const producer = log.producer({ batchBytes: 1_000 })
    for (let count = 0; count < 100; count += 1) producer.enqueue({ topic: 't', value: noise(90) })
    await producer.flush()
    const used = topic.partitions.filter((partition) => partition.logEndOffset > 0)
    expect(used.length).toBeGreaterThan(3)
    expect(used.length).toBeLessThan(10)
  })

  it('keeps records of round-robin in turn, those that wait for room included', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { partitions: 2 })
    const producer = log.producer({ partitioner: partitioners.roundRobin, bufferBytes: 150 })
    const sent = Array.from({ length: 6 }, (_, at) =>
      producer.send({ topic: 't', value: `${at}`.padStart(100, '0') }),
    )
    await Promise.all(sent)
    expect(topic.values(0).map(Number)).toEqual([0, 2, 4])
    expect(topic.values(1).map(Number)).toEqual([1, 3, 5])
  })
})

describe('a record that is too large', () => {
  it('alone fails, what is sent around it does not', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxMessageBytes: 300 })
    const producer = log.producer()
    const before = producer.send({ topic: 't', value: 'before' })
    const error = await rejection(producer.send({ topic: 't', value: 'x'.repeat(300) }))
    expect(error.code).toBe('RECORD_TOO_LARGE')
    expect(error.details).toMatchObject({ topic: 't', partition: 0, maxMessageBytes: 300 })
    await before
    await producer.send({ topic: 't', value: 'after' })
    expect(topic.values()).toEqual(['before', 'after'])
  })

  it('is refused from the first byte on that does not fit', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxMessageBytes: 61 + 108 })
    const producer = log.producer()
    await producer.send({ topic: 't', value: 'x'.repeat(99) })
    expect(topic.batches()[0]?.sizeBytes).toBe(61 + 108)
    const pending = producer.send({ topic: 't', value: 'x'.repeat(100) })
    expect((await rejection(pending)).code).toBe('RECORD_TOO_LARGE')
  })

  it('for the whole buffer is BUFFER_FULL', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const producer = log.producer({ bufferBytes: 100 })
    await producer.send({ topic: 't', value: 'x'.repeat(91) })
    const record = { topic: 't', value: 'x'.repeat(92) }
    expect((await rejection(producer.send(record))).code).toBe('BUFFER_FULL')
    expect((await rejection(producer.sendAll([record]))).code).toBe('BUFFER_FULL')
    expect(refusal(() => producer.enqueue(record)).code).toBe('BUFFER_FULL')
  })
})

describe('compression', () => {
  const available = COMPRESSION_CODECS.filter((codec) => isCodecAvailable(codec, 'compress'))

  it.each(available)('stores batches as %s', async (compression) => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer({ compression })
    await producer.sendAll([
      { topic: 't', value: 'a'.repeat(999) },
      { topic: 't', key: 'b' },
    ])
    expect(topic.batches()).toMatchObject([{ codec: compression, records: [{}, { key: 'b' }] }])
  })

  it("is the topic's where that has a codec of its own, also from the next batch on", async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { compressionType: 'gzip' })
    const producer = log.producer({ compression: 'none' })
    await producer.send({ topic: 't' })
    topic.alter({ compressionType: 'none' })
    await producer.send({ topic: 't' })
    topic.alter({ compressionType: 'producer' })
    await producer.send({ topic: 't' })
    expect(topic.batches().map((batch) => batch.codec)).toEqual(['gzip', 'none', 'none'])
  })

  it('lets a record pass that is too large only before it', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxMessageBytes: 500 })
    const producer = log.producer({ compression: 'gzip' })
    await producer.send({ topic: 't', value: 'a'.repeat(5_000) })
    expect(topic.batches()).toMatchObject([{ codec: 'gzip' }])
    const pending = producer.send({ topic: 't', value: noise(5_000) })
    expect((await rejection(pending)).code).toBe('RECORD_TOO_LARGE')
  })

  it('never makes a record too large that fits without it', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxMessageBytes: 500 })
    const value = noise(500 - 61 - 9)
    await log.producer({ compression: 'gzip' }).send({ topic: 't', value })
    expect(topic.batches()).toMatchObject([{ codec: 'none', sizeBytes: 500 }])
  })

  it('that leaves a batch too large has it divided until only records too large fail', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxMessageBytes: 3_000 })
    const producer = log.producer({ compression: 'gzip', lingerMs: 5 })
    const headers = { h: 'header' }
    const small = producer.send({ topic: 't', key: 'k', value: noise(900), headers, timestamp: 5 })
    const rest = Array.from({ length: 2 }, () => producer.send({ topic: 't', value: noise(900) }))
    topic.alter({ maxMessageBytes: 1_200 })
    const huge = rejection(producer.send({ topic: 't', value: noise(2_000) }))
    producer.enqueue({ topic: 't', value: noise(901) })
    log.clock.advance(5)
    expect((await huge).code).toBe('RECORD_TOO_LARGE')
    expect(await small).toMatchObject({ offset: 0, timestamp: 5 })
    expect(await Promise.all(rest)).toMatchObject([{ offset: 1 }, { offset: 2 }])
    await producer.flush()
    expect(topic.records().map(({ value }) => value?.length)).toHaveLength(4)
    expect(topic.records()[0]).toMatchObject({ key: 'k', timestamp: 5 })
    for (const batch of topic.batches()) expect(batch.sizeBytes).toBeLessThanOrEqual(1_200)
  })

  it('tells the next flush of an enqueued record in a batch that turned out too large', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxMessageBytes: 1_000 })
    const producer = log.producer({ compression: 'gzip' })
    const sent = producer.send({ topic: 't', value: 'fits' })
    producer.enqueue({ topic: 't', value: noise(4_000) })
    await sent
    expect((await rejection(producer.flush())).code).toBe('RECORD_TOO_LARGE')
    await producer.flush()
    expect(topic.values()).toEqual(['fits'])
  })

  it('refuses a record that readers would refuse to unpack', async () => {
    const log = new ProducerLog()
    log.topic('t', { maxDecompressedBytes: 1_000 })
    const producer = log.producer({ compression: 'gzip' })
    const error = await rejection(producer.send({ topic: 't', value: 'a'.repeat(1_000) }))
    expect(error.details).toMatchObject({ maxDecompressedBytes: 1_000 })
  })

  it('never makes a batch that readers would refuse to unpack', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxDecompressedBytes: 1_000 })
    const producer = log.producer({ compression: 'gzip' })
    const record = { topic: 't', value: 'a'.repeat(400) }
    await producer.sendAll([record, record, record])
    expect(batchSizes(topic)).toEqual([2, 1])
  })
})

describe('appends of one turn', () => {
  it('are all in the log before the first of them waits for a sync', async () => {
    const { log, disk } = ProducerLog.held()
    const topic = log.topic('t', { partitions: 4 })
    const producer = log.producer()
    const sent = [0, 1, 2, 3].map((partition) => producer.send({ topic: 't', partition }))
    expect(disk.flushes).toHaveLength(0)
    await nextTurn()
    expect(topic.partitions.map((partition) => partition.logEndOffset)).toEqual([1, 1, 1, 1])
    // Two syncs at a time; the others wait for their slots.
    expect(disk.flushes).toHaveLength(2)
    expect(await isSettled(Promise.race(sent))).toBe(false)
    disk.holds = false
    disk.endFlushes()
    await Promise.all(sent)
  })
})
