/** What a transaction carries: every codec, huge records, thousands of partitions; and how safe. */
import { describe, expect, it } from 'vitest'
import { COMPRESSION_CODECS, isCodecAvailable } from '../../../src/format/compression.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { READ_KINDS, openLog } from '../open-log.ts'
import { rejection } from '../refusal.ts'
import { opened, seen, sendIn } from './transacting.ts'

describe.each(READ_KINDS)('a transaction on %s', (kind) => {
  it.each(COMPRESSION_CODECS.filter((codec) => isCodecAvailable(codec, 'compress')))(
    'carries batches of codec %s, divided ones too',
    async (codec) => {
      const log = await openLog(kind)
      await log.createTopic('t', { maxMessageBytes: 2_000 })
      const producer = log.producer({ compression: codec })
      const values = Array.from({ length: 200 }, (_, index) => `${index}-${'x'.repeat(index)}`)
      await producer.transaction(
        (tx) => void tx.sendAll(values.map((value) => ({ topic: 't', value }))),
      )
      const dropped = await producer.begin()
      await dropped.sendAll(values.map((value) => ({ topic: 't', value })))
      await dropped.abort()
      await log.topic('t').send({ value: 'end' })
      expect(seen(log, 't')).toEqual([...values, 'end'])
    },
  )

  it('carries a record of many megabytes', async () => {
    const log = await openLog(kind)
    await log.createTopic('t', { maxMessageBytes: 20_000_000 })
    const value = Buffer.alloc(12_000_000, 'abc')
    await log.producer().transaction(async (tx) => {
      await tx.send({ topic: 't', value })
      await tx.send({ topic: 't', value: 'small' })
    })
    const records = [...log.topic('t').partition(0).records()]
    expect(records.map((record) => record.value?.length)).toEqual([12_000_000, 5])
    expect(records[0]?.value?.equals(value)).toBe(true)
  })

  it('reaches over segments that roll', async () => {
    const log = await openLog(kind)
    await log.createTopic('t', { segmentBytes: 2_000 })
    const producer = log.producer({ batchBytes: 500 })
    const values = Array.from({ length: 100 }, (_, index) => `value ${index} ${'x'.repeat(50)}`)
    const aborted = await producer.begin()
    for (const value of values) await sendIn(aborted, value)
    await aborted.abort()
    await producer.transaction(async (tx) => {
      for (const value of values) await sendIn(tx, value)
    })
    expect(seen(log, 't')).toEqual(values)
  })

  it('waits for room like any other send', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    const producer = log.producer({ bufferBytes: 2_000 })
    await producer.transaction((tx) => {
      for (let count = 0; count < 50; count += 1)
        void tx.send({ topic: 't', value: 'x'.repeat(900) })
    })
    expect(seen(log, 't')).toHaveLength(50)
    const error = await rejection(
      producer.transaction((tx) => void tx.send({ topic: 't', value: 'x'.repeat(3_000) })),
    )
    expect(LogError.is(error.cause, 'BUFFER_FULL')).toBe(true)
  })
})

describe('a transaction', () => {
  it('covers thousands of partitions', async () => {
    const log = await openLog('memory')
    await log.createTopic('t', { partitions: 3_000 })
    const producer = log.producer({ transactionalId: 'x' })
    const records = Array.from({ length: 3_000 }, (_, partition) => ({
      topic: 't',
      partition,
      value: 'v',
    }))
    await producer.transaction((tx) => tx.sendAll(records))
    const tx = await producer.begin()
    await tx.sendAll(records)
    await tx.abort()
    expect(seen(log, 't')).toHaveLength(3_000)
  })

  it.each([0, 1, 'all'] as const)(
    'that is committed with acks %s survives a power cut, in all its partitions',
    async (acks) => {
      const disk = new FaultDisk()
      const log = await disk.open()
      await log.createTopic('t', { partitions: 3 })
      const producer = log.producer({ acks, transactionalId: 'x' })
      const place = await producer.transaction(async (tx) => {
        await sendIn(tx, 'a', 't', 0)
        await sendIn(tx, 'b', 't', 1)
        return await tx.send({ topic: 't', partition: 2, value: 'c' })
      })
      expect(place.offset).toBe(0) // Whatever acks is: the send waits for its append.
      await opened(log.producer({ acks }), 'open')
      await disk.crash()
      const again = await disk.open()
      expect(seen(again, 't')).toEqual(['a', 'b', 'c'])
      await again.close()
    },
  )

  it('has the acks of its producer for everything beside it', async () => {
    const log = await openLog('memory')
    await log.createTopic('t')
    const producer = log.producer({ acks: 0 })
    const tx = await producer.begin()
    expect(await tx.send({ topic: 't' })).toMatchObject({ offset: 0 })
    expect(await producer.send({ topic: 't' })).toMatchObject({ offset: -1 })
    await tx.commit()
  })

  it('goes on in the epoch behind its id when the log was closed and opened', async () => {
    const disk = new FaultDisk()
    for (const value of ['a', 'b', 'c']) {
      const log = await disk.open()
      await log.ensureTopic('t', { partitions: 2 })
      const producer = log.producer({ transactionalId: 'x' })
      for (const suffix of [1, 2]) {
        await producer.transaction((tx) =>
          tx.sendAll([0, 1].map((partition) => ({ topic: 't', partition, value: value + suffix }))),
        )
      }
      await log.close()
    }
    const log = await disk.open()
    const expected = ['a1', 'a2', 'b1', 'b2', 'c1', 'c2']
    expect(seen(log, 't')).toEqual([...expected, ...expected])
    await log.close()
  })
})

describe('a transaction on a disk that fails', () => {
  it('is aborted where a record had no room, and the next one is not', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    await log.createTopic('t', { preallocate: false })
    const producer = log.producer({ transactionalId: 'x' })
    await producer.transaction((tx) => sendIn(tx, 'a'))
    const tx = await opened(producer, 'b')
    disk.faults.inject({ fault: 'ENOSPC', action: 'write', path: /t-0\/.*\.log$/ })
    expect((await rejection(tx.send({ topic: 't', value: 'c' }))).code).toBe('NO_SPACE')
    const error = await rejection(tx.commit())
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(LogError.is(error.cause, 'NO_SPACE')).toBe(true)
    await producer.transaction((next) => sendIn(next, 'd'))
    expect(seen(log, 't')).toEqual(['a', 'd'])
    await log.close()
  })

  it('is aborted for certain where nobody knows of a record whether it was written', async () => {
    const disk = new FaultDisk()
    const log = await disk.open({ onWarning: () => undefined })
    await log.createTopic('t')
    const producer = log.producer({ transactionalId: 'x' })
    await producer.transaction((tx) => sendIn(tx, 'a'))
    for (const action of ['write', 'read'] as const) {
      disk.faults.inject({ fault: 'EIO', action, path: /t-0\/.*\.log$/, count: Infinity })
    }
    const plain = await rejection(log.topic('t').send({ value: 'no transaction' }))
    expect(plain).toMatchObject({ code: 'IO', details: { outcome: 'unknown' } })
    const error = await rejection(producer.transaction((tx) => tx.send({ topic: 't', value: 'b' })))
    expect(error.code).toBe('IO')
    expect(error.details).not.toHaveProperty('outcome')
    disk.faults.clear()
    await log.close().catch(() => undefined)
    const again = await disk.open()
    expect(seen(again, 't')).not.toContain('b')
    await again.close()
  })

  it('is unknown where its decision could not be synced, and opening again decides', async () => {
    const disk = new FaultDisk()
    const log = await disk.open({ onWarning: () => undefined })
    await log.createTopic('t')
    const producer = log.producer({ transactionalId: 'x' })
    await producer.transaction((tx) => sendIn(tx, 'a'))
    const tx = await opened(producer, 'b')
    disk.faults.inject({ fault: 'drop', action: 'flush', path: /t-0\/.*\.log$/ })
    const error = await rejection(tx.commit())
    expect(error).toMatchObject({ code: 'IO', details: { outcome: 'unknown' } })
    expect((await rejection(tx.abort())).details).toMatchObject({ outcome: 'unknown' })
    expect((await rejection(producer.begin())).code).toBe('READ_ONLY')
    await tx[Symbol.asyncDispose]()
    await log.close().catch(() => undefined)
    const again = await disk.open()
    expect([['a'], ['a', 'b']]).toContainEqual(seen(again, 't'))
    await again.producer({ transactionalId: 'x' }).transaction((next) => sendIn(next, 'c'))
    expect(seen(again, 't').at(-1)).toBe('c')
    await again.close()
  })
})
