/** What the batches of a producer say of who wrote them, and in which order. */
import { describe, expect, it } from 'vitest'
import { COMPRESSION_CODECS, isCodecAvailable } from '../../src/format/compression.ts'
import { batchSizeBytesOf, magicOf } from '../../src/format/record-batch.ts'
import type { BatchProducer } from '../../src/format/record-batch-builder.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { ProducerLog, producerAt, type ProducerLogTopic } from './producer-log.ts'
import { rejection } from './refusal.ts'

const NOBODY = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }

function sequences(topic: ProducerLogTopic, partition?: number): readonly number[] {
  return topic.batches(partition).map((batch) => batch.producer.baseSequence)
}

describe('batches of a producer', () => {
  it('say who wrote them, and count the records of their partition', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { partitions: 2 })
    const producer = log.producer()
    for (const count of [1, 3, 2]) {
      const records = Array.from({ length: count }, () => ({ topic: 't', partition: 0 }))
      await producer.sendAll([...records, { topic: 't', partition: 1 }])
    }
    expect(sequences(topic, 0)).toEqual([0, 1, 4])
    expect(sequences(topic, 1)).toEqual([0, 1, 2])
    const shared = log.producerIds.shared()
    for (const { producer: written } of [...topic.batches(0), ...topic.batches(1)]) {
      expect(written).toMatchObject({ producerId: shared, producerEpoch: 0, transactional: false })
    }
  })

  it('of one log have one id, whatever acks is, and count on together', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    for (const acks of [0, 1, 'all'] as const) {
      const producer = log.producer({ acks })
      await producer.send({ topic: 't' })
      await producer.flush()
    }
    expect(sequences(topic)).toEqual([0, 1, 2])
    expect(new Set(topic.batches().map((batch) => batch.producer.producerId)).size).toBe(1)
  })

  it('say nothing of a producer that is not idempotent', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    await log.producer({ idempotent: false }).send({ topic: 't' })
    await log.producer({ idempotent: true }).send({ topic: 't' })
    await log.producer({ idempotent: false }).send({ topic: 't' })
    const producers = topic.batches().map((batch) => batch.producer)
    expect(producers[0]).toEqual(NOBODY)
    expect(producers[1]).toMatchObject({ producerId: log.producerIds.shared(), baseSequence: 0 })
    expect(producers[2]).toEqual(NOBODY)
  })

  it.each(COMPRESSION_CODECS.filter((codec) => isCodecAvailable(codec, 'compress')))(
    'have their numbers with codec %s, divided or not',
    async (codec) => {
      const log = new ProducerLog()
      const topic = log.topic('t')
      const producer = log.producer({ compression: codec })
      const sent = producer.sendAll(
        Array.from({ length: 9 }, (_, index) => ({ topic: 't', value: noise(200, index) })),
      )
      topic.alter({ maxMessageBytes: 700 }) // What filled before is divided.
      await sent
      const batches = topic.batches()
      expect(batches.length).toBeGreaterThan(1)
      let next = 0
      for (const { producer: written, records } of batches) {
        expect(written.baseSequence).toBe(next)
        next += records.length
      }
      expect(next).toBe(9)
    },
  )

  it('leave no gap where one could not be appended', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer()
    await producer.send({ topic: 't' })
    const sent = producer.sendAll(
      ['a', 'x'.repeat(900), 'b'].map((value) => ({ topic: 't', value })),
    )
    topic.alter({ maxMessageBytes: 500 })
    expect((await rejection(sent)).code).toBe('RECORD_TOO_LARGE')
    await producer.send({ topic: 't' })
    expect(topic.values()).toEqual([null, 'a', 'b', null])
    expect(sequences(topic)).toEqual([0, 1, 2, 3])
  })
})

describe('batches as they lie in a file', () => {
  it('are numbered by producers, and by nobody where a partition appends', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    const topic = await log.createTopic('t')
    const producer = log.producer({ acks: 1 })
    await producer.sendAll([{ topic: 't' }, { topic: 't' }])
    topic.partition(0).append({ value: 'appended' })
    await topic.send({ value: 'sent by the log itself' })
    const tx = await producer.begin()
    await tx.send({ topic: 't' })
    await tx.commit()
    const file = disk.readFile('t-0/00000000000000000000.log')
    const [sent, appended, own, inTransaction, marker] = file === undefined ? [] : producersIn(file)
    expect(appended).toEqual(NOBODY)
    expect(sent).toMatchObject({ producerEpoch: 0, baseSequence: 0, transactional: false })
    expect(own).toEqual({ ...sent, baseSequence: 2 })
    expect(inTransaction).toMatchObject({ baseSequence: 0, transactional: true })
    expect(inTransaction?.producerId).not.toBe(sent?.producerId)
    expect(marker).toEqual({ ...inTransaction, baseSequence: -1 })
    await log.close()
  })
})

function producersIn(file: Buffer): readonly BatchProducer[] {
  const producers: BatchProducer[] = []
  // What follows the last batch is room: zeroes.
  for (let at = 0; at < file.length && magicOf(file, at) === 2; at += batchSizeBytesOf(file, at)) {
    producers.push(producerAt(file, at))
  }
  return producers
}

describe('batches on a disk that fails', () => {
  it('leave no gap where the disk was full', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    const topic = await log.createTopic('t', { preallocate: false })
    await topic.send({ value: 'a' })
    disk.faults.inject({ fault: 'ENOSPC', path: /\.log$/ })
    expect((await rejection(topic.send({ value: 'b' }))).code).toBe('NO_SPACE')
    await topic.send({ value: 'c' })
    expect(Array.from(topic.partition(0).records(), (record) => String(record.value))).toEqual([
      'a',
      'c',
    ])
    await log.close()
    const again = await disk.open()
    expect(again.recovery.clean).toBe(true)
    await again.topic('t').send({ value: 'd' })
    expect(again.topic('t').partition(0).logEndOffset).toBe(3)
    await again.close()
  })
})

/** Text that no codec makes smaller. */
function noise(bytes: number, seed: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  let state = seed + 1
  for (let at = 0; at < bytes; at += 1) {
    state = (state * 48_271) % 0x7fff_ffff
    buffer[at] = state >>> 8
  }
  return buffer
}
