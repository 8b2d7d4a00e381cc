/** A transaction in which something failed, or takes its time: what then becomes of its commit. */
import { describe, expect, it } from 'vitest'
import type { Transaction } from '../../../src/client/group-types.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { openLog } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'
import { later, seen, sendIn, settled } from './transacting.ts'

const Checked = defineTopic('checked', {
  value: {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: async (value: unknown) => {
        await settled()
        return value === 'wrong' ? { issues: [{ message: 'wrong' }] } : { value }
      },
    },
  } as const,
})

describe('a transaction in which something failed', () => {
  it.each([
    [
      'is no record',
      (tx: Transaction) => tx.send({ topic: 't', valu: 'x' } as never),
      'INVALID_ARGUMENT',
    ],
    [
      'names no topic',
      (tx: Transaction) => tx.send({ topic: 'missing', value: 'x' }),
      'TOPIC_NOT_FOUND',
    ],
    [
      'names no partition',
      (tx: Transaction) => tx.send({ topic: 't', partition: 7 }),
      'PARTITION_NOT_FOUND',
    ],
    [
      'is too large',
      (tx: Transaction) => tx.send({ topic: 't', value: Buffer.alloc(2_000_000) }),
      'RECORD_TOO_LARGE',
    ],
    [
      'is in a list with others',
      (tx: Transaction) => tx.sendAll([{ topic: 't' }, { topic: 'missing' }]),
      'TOPIC_NOT_FOUND',
    ],
  ] as const)(
    'cannot commit, though its user caught it: a record that %s',
    async (_what, send, code) => {
      const log = await openLog('memory')
      await log.createTopic('t')
      const error = await rejection(
        log.producer().transaction(async (tx) => {
          await sendIn(tx, 'a')
          expect((await rejection(send(tx))).code).toBe(code)
        }),
      )
      expect(error.code).toBe('TRANSACTION_ABORTED')
      expect(LogError.is(error.cause, code)).toBe(true)
      expect(seen(log, 't')).toEqual([])
    },
  )

  it('cannot commit where nobody looked at it', async () => {
    const log = await openLog('memory')
    await log.createTopic('t', { maxMessageBytes: 1_000 })
    const error = await rejection(
      log.producer().transaction((tx) => {
        void tx.send({ topic: 't', value: 'a' })
        void tx.send({ topic: 't', value: Buffer.alloc(2_000) })
      }),
    )
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(LogError.is(error.cause, 'RECORD_TOO_LARGE')).toBe(true)
  })

  it.each([
    [
      'is too large',
      (tx: Transaction) => tx.sendAll([{ topic: 't', value: Buffer.alloc(2_000) }]),
      'RECORD_TOO_LARGE',
    ],
    [
      'has no room',
      (tx: Transaction, disk: FaultDisk) => {
        disk.faults.inject({ fault: 'ENOSPC', action: 'write', path: /t-0\/.*\.log$/ })
        return tx.sendAll([{ topic: 't', value: 'b' }])
      },
      'NO_SPACE',
    ],
    [
      'is refused by a schema in time',
      (tx: Transaction) => tx.sendAll(Checked, [{ value: 'fine' }, { value: 'wrong' }]),
      'INVALID_RECORD',
    ],
  ] as const)(
    'cannot commit where nobody waited for a list with a record that %s',
    async (_what, send, code) => {
      const disk = new FaultDisk()
      const log = await disk.open({ topics: [Checked] })
      await log.createTopic('t', { maxMessageBytes: 1_000, preallocate: false })
      const producer = log.producer()
      const inFunction = producer.transaction((tx) => {
        void tx.send({ topic: 'checked', value: 'a' })
        void send(tx, disk)
      })
      expect(LogError.is((await rejection(inFunction)).cause, code)).toBe(true)
      const tx = await producer.begin()
      void tx.send({ topic: 'checked', value: 'a' })
      void send(tx, disk)
      expect(LogError.is((await rejection(tx.commit())).cause, code)).toBe(true)
      expect(seen(log, 'checked')).toEqual([])
      expect(seen(log, 't')).toEqual([])
      await log.close()
    },
  )

  it('cannot commit where its positions were refused', async () => {
    const log = await openLog('memory')
    await log.createTopic('t')
    const error = await rejection(
      log.producer().transaction(async (tx) => {
        await sendIn(tx, 'a')
        expect(refusal(() => tx.commitOffsets('consumer' as never)).code).toBe('INVALID_ARGUMENT')
      }),
    )
    expect(error.code).toBe('TRANSACTION_ABORTED')
    expect(LogError.is(error.cause, 'INVALID_ARGUMENT')).toBe(true)
    expect(seen(log, 't')).toEqual([])
  })

  it('passes on what a partitioner of the user throws', async () => {
    const log = await openLog('memory')
    await log.createTopic('t')
    const boom = new TypeError('boom')
    const producer = log.producer({
      partitioner: () => {
        throw boom
      },
    })
    const error = await rejection(producer.transaction((tx) => void tx.send({ topic: 't' })))
    expect(error).toMatchObject({ code: 'TRANSACTION_ABORTED', cause: boom })
    expect(error.message).toContain('TypeError: boom')
  })
})

describe('a transaction with a schema that thinks', () => {
  const thinking = (answer: Promise<unknown>): never =>
    ({ '~standard': { version: 1, vendor: 'test', validate: () => answer } }) as never

  it('waits for it before it commits', async () => {
    const answer = later<{ value: string }>()
    const log = await openLog('memory')
    const typed = defineTopic('typed', { value: thinking(answer.promise) })
    await log.createTopic(typed)
    const running = log.producer().transaction((tx) => {
      void tx.send(typed, { value: 'x' } as never)
    })
    await settled()
    expect(log.topic('typed').partition(0).logEndOffset).toBe(0)
    answer.resolve({ value: 'thought' })
    await running
    expect(seen(log, 'typed')).toEqual(['"thought"'])
  })

  it('is aborted where the schema refuses, or never answers', async () => {
    const log = await openLog('memory')
    const refusing = Promise.resolve({ issues: [{ message: 'no' }] })
    const first = await log.createTopic(defineTopic('first', { value: thinking(refusing) }))
    const never = new Promise<never>(() => undefined)
    const second = await log.createTopic(defineTopic('second', { value: thinking(never) }))
    const producer = log.producer()
    const refused = await rejection(
      producer.transaction((tx) => void tx.send(first, { value: 'x' } as never)),
    )
    expect(refused.code).toBe('TRANSACTION_ABORTED')
    expect(LogError.is(refused.cause, 'INVALID_RECORD')).toBe(true)
    const tx = await producer.begin()
    const unanswered = tx.send(second, { value: 'x' } as never)
    const committing = tx.commit()
    await settled()
    await tx.abort()
    expect((await rejection(unanswered)).code).toBe('TRANSACTION_ABORTED')
    expect((await rejection(committing)).code).toBe('TRANSACTION_ABORTED')
    await producer.transaction(() => undefined)
  })
})
