/** What a producer does with one record, and with several at once. */
import { describe, expect, it } from 'vitest'
import { serdes } from '../../src/client/serde.ts'
import type { StandardSchemaV1 } from '../../src/client/standard-schema.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import type { TopicRecord } from '../../src/client/record-input.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { ProducerLog, settled } from './producer-log.ts'
import { refusal, rejection } from './refusal.ts'

/** A schema whose answers the test gives by hand. */
function slowSchema(): {
  readonly schema: StandardSchemaV1<string, string>
  readonly answer: (index: number) => void
  readonly refuse: (index: number) => void
} {
  const answers: ((answer: unknown) => void)[] = []
  const values: unknown[] = []
  const validate = (value: unknown): Promise<unknown> =>
    new Promise((resolve) => {
      values.push(value)
      answers.push(resolve)
    })
  return {
    schema: { '~standard': { version: 1, vendor: 'test', validate } },
    answer: (index) => answers[index]?.({ value: values[index] }),
    refuse: (index) => answers[index]?.({ issues: [{ message: 'no' }] }),
  }
}

describe('send', () => {
  it('resolves with the place and the timestamp of the record', async () => {
    const log = new ProducerLog()
    const topic = log.topic('orders', { partitions: 3 })
    const producer = log.producer()
    const sent = await Promise.all([
      producer.send({ topic: 'orders', value: 'a', partition: 2 }),
      producer.send({ topic: 'orders', value: 'b', partition: 2, timestamp: 7 }),
      producer.send({ topic: 'orders', value: 'c', partition: 0 }),
    ])
    expect(sent).toEqual([
      { topic: 'orders', partition: 2, offset: 0, timestamp: 1_000 },
      { topic: 'orders', partition: 2, offset: 1, timestamp: 7 },
      { topic: 'orders', partition: 0, offset: 0, timestamp: 1_000 },
    ])
    expect(topic.records(2)).toMatchObject([
      { offset: 0, timestamp: 1_000, value: 'a' },
      { offset: 1, timestamp: 7, value: 'b' },
    ])
  })

  it('takes the time of the call, not that of the append', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const producer = log.producer({ lingerMs: 50 })
    const sent = producer.send({ topic: 't', value: 'a' })
    log.clock.advance(50)
    expect(await sent).toMatchObject({ timestamp: 1_000 })
  })

  it('resolves with the time of the append where the topic has LogAppendTime', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { messageTimestampType: 'LogAppendTime' })
    const producer = log.producer({ lingerMs: 50 })
    const sent = producer.send({ topic: 't', value: 'a', timestamp: 3 })
    log.clock.advance(50)
    expect(await sent).toMatchObject({ timestamp: 1_050 })
    expect(topic.records()).toMatchObject([{ timestamp: 1_050 }])
  })

  it('puts records of one key where Kafka puts them, and explicit partitions before that', async () => {
    const log = new ProducerLog()
    log.topic('t', { partitions: 100 })
    const producer = log.producer()
    const first = await producer.send({ topic: 't', key: 'k' })
    const second = await producer.send({ topic: 't', key: 'k' })
    const third = await producer.send({ topic: 't', key: 'k', partition: 1 })
    expect(second.partition).toBe(first.partition)
    expect(third.partition).toBe(1)
  })

  it('sees partitions that were added since', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const producer = log.producer()
    const before = await rejection(producer.send({ topic: 't', partition: 1 }))
    expect(before.code).toBe('PARTITION_NOT_FOUND')
    log.topic('t', { partitions: 2 })
    expect(await producer.send({ topic: 't', partition: 1 })).toMatchObject({ partition: 1 })
  })

  it('writes through the serdes of a definition, and a name bypasses them', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const Numbers = defineTopic('t', { key: serdes.string, value: serdes.json<{ n: number }>() })
    const producer = log.producer()
    await producer.send(Numbers, { key: 'k', value: { n: 1 } })
    await producer.send({ topic: 't', value: 'raw' })
    expect(topic.records()).toMatchObject([{ key: 'k', value: '{"n":1}' }, { value: 'raw' }])
  })

  it('never throws, whatever it is given', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const { send } = log.producer() as { send: (...given: unknown[]) => Promise<unknown> }
    const Typed = defineTopic('t', { value: serdes.int32 })
    const calls: [string, ...unknown[]][] = [
      ['INVALID_ARGUMENT'],
      ['INVALID_ARGUMENT', null],
      ['INVALID_ARGUMENT', 'text'],
      ['INVALID_ARGUMENT', { value: 'no topic' }],
      ['INVALID_ARGUMENT', { topic: 3, value: 'no name' }],
      ['INVALID_ARGUMENT', { topic: 't', values: 'mistyped' }],
      ['INVALID_ARGUMENT', { topic: 't', messages: [{ value: 'x' }] }],
      ['INVALID_ARGUMENT', { topic: 't', value: {} }],
      ['INVALID_ARGUMENT', { topic: 't', timestamp: -1, value: 'x' }],
      ['INVALID_ARGUMENT', 't', { value: 'by name' }],
      ['INVALID_ARGUMENT', {}, { value: 'no ref' }],
      ['INVALID_RECORD', Typed, { value: 'no number' }],
      ['TOPIC_NOT_FOUND', { topic: 'u', value: 'x' }],
      ['PARTITION_NOT_FOUND', { topic: 't', value: 'x', partition: 1 }],
      ['PARTITION_NOT_FOUND', { topic: 't', value: 'x', partition: -1 }],
      ['INVALID_ARGUMENT', { topic: 't', value: 'x', partition: 0.5 }],
    ]
    for (const [code, ...given] of calls) expect((await rejection(send(...given))).code).toBe(code)
  })

  it('names send and sendAll to those who give messages', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const given = { topic: 't', messages: [{ value: 'x' }] } as unknown as TopicRecord
    expect((await rejection(log.producer().send(given))).message).toMatch(/send\(.*sendAll\(/s)
  })

  it("refuses a partition that a user's partitioner makes up, and passes on what it throws", async () => {
    const log = new ProducerLog()
    log.topic('t', { partitions: 2 })
    const wrong = log.producer({ partitioner: () => 2 })
    expect((await rejection(wrong.send({ topic: 't' }))).code).toBe('PARTITION_NOT_FOUND')
    const broken = log.producer({
      partitioner: () => {
        throw new RangeError('mine')
      },
    })
    await expect(broken.send({ topic: 't' })).rejects.toThrow(RangeError)
  })

  it('has read the bytes when it returns', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const value = Buffer.from('before')
    const sent = log.producer().send({ topic: 't', value })
    value.fill('x')
    await sent
    expect(topic.values()).toEqual(['before'])
  })

  it('rejects records of a topic that is deleted while they wait', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const sent = log.producer({ lingerMs: 5 }).send({ topic: 't' })
    topic.delete()
    log.clock.advance(5)
    expect((await rejection(sent)).code).toBe('TOPIC_NOT_FOUND')
  })

  it('may be called from inside a serde of the record that is being sent', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer()
    const Nested = defineTopic('t', {
      value: {
        serialize: (value: string) => {
          producer.enqueue({ topic: 't', value: `before ${value}` })
          return Buffer.from(value)
        },
        deserialize: String,
      },
    })
    await producer.send(Nested, { value: 'outer', key: 'k' })
    expect(topic.records()).toMatchObject([
      { key: null, value: 'before outer' },
      { key: 'k', value: 'outer' },
    ])
  })
})

describe('enqueue', () => {
  it('appends in order with send and returns true while there is room', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const producer = log.producer()
    expect(producer.enqueue({ topic: 't', value: '1' })).toBe(true)
    const sent = producer.send({ topic: 't', value: '2' })
    expect(producer.enqueue({ topic: 't', value: '3' })).toBe(true)
    expect(await sent).toMatchObject({ offset: 1 })
    expect(topic.values()).toEqual(['1', '2', '3'])
  })

  it('throws what can be known at once, and takes nothing then', () => {
    const log = new ProducerLog()
    log.topic('t', { maxMessageBytes: 200 })
    const producer = log.producer()
    const codes = [
      [{ topic: 'u' }, 'TOPIC_NOT_FOUND'],
      [{ topic: 't', partition: 3 }, 'PARTITION_NOT_FOUND'],
      [{ topic: 't', value: 'x'.repeat(200) }, 'RECORD_TOO_LARGE'],
    ] as const
    for (const [record, code] of codes) {
      expect(refusal(() => producer.enqueue(record)).code).toBe(code)
    }
  })

  it('tells of a later failure once, by the next flush, drained or close', async () => {
    for (const call of ['flush', 'drained', 'close'] as const) {
      const log = new ProducerLog()
      const topic = log.topic('t')
      const producer = log.producer()
      producer.enqueue({ topic: 't' })
      topic.delete()
      await settled()
      expect((await rejection(producer[call]())).code).toBe('TOPIC_NOT_FOUND')
      await producer.close()
    }
  })

  it('tells of a value that an asynchronous schema refuses by the next flush', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const { schema, refuse } = slowSchema()
    const producer = log.producer()
    producer.enqueue(defineTopic('t', { value: schema }), { value: 'bad' })
    const flushed = producer.flush()
    refuse(0)
    expect((await rejection(flushed)).code).toBe('INVALID_RECORD')
    await producer.flush()
    expect(topic.records()).toEqual([])
  })
})

describe('asynchronous schemas', () => {
  it('hold back what was sent after them', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const { schema, answer } = slowSchema()
    const Slow = defineTopic('t', { value: schema })
    const producer = log.producer()
    const first = producer.send(Slow, { value: 'first' })
    const bytes = Buffer.from('"second"')
    const second = producer.send({ topic: 't', value: bytes })
    const third = producer.send(Slow, { value: 'third' })
    bytes.fill('x')
    answer(1)
    await settled()
    expect(topic.values()).toEqual([])
    answer(0)
    expect(await first).toMatchObject({ offset: 0 })
    expect(await second).toMatchObject({ offset: 1 })
    expect(await third).toMatchObject({ offset: 2 })
    expect(topic.values()).toEqual(['"first"', '"second"', '"third"'])
  })

  it('that refuse let what was sent after them pass', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const { schema, refuse } = slowSchema()
    const producer = log.producer()
    const first = rejection(producer.send(defineTopic('t', { value: schema }), { value: 'first' }))
    const second = producer.send({ topic: 't', value: 'second' })
    refuse(0)
    expect((await first).code).toBe('INVALID_RECORD')
    await second
    expect(topic.values()).toEqual(['second'])
  })
})

describe('sendAll', () => {
  it('resolves in the order given, over partitions and topics', async () => {
    const log = new ProducerLog()
    log.topic('t', { partitions: 2 })
    log.topic('u')
    const results = await log.producer().sendAll([
      { topic: 't', value: '1', partition: 1 },
      { topic: 'u', value: '2' },
      { topic: 't', value: '3', partition: 1 },
      { topic: 't', value: '4', partition: 0 },
    ])
    const places = results.map(({ topic, partition, offset }) => `${topic}-${partition}@${offset}`)
    expect(places).toEqual(['t-1@0', 'u-0@0', 't-1@1', 't-0@0'])
  })

  it('of nothing resolves with nothing', async () => {
    expect(await new ProducerLog().producer().sendAll([])).toEqual([])
  })

  it('accepts nothing when one record is refused, and names each of those', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t', { maxMessageBytes: 500 })
    const producer = log.producer()
    const sent = producer.sendAll([
      { topic: 't', value: 'good' },
      { topic: 't', value: 'lost', partition: 4 },
      { topic: 't', value: 'x'.repeat(500) },
    ])
    const error = await rejection(sent)
    expect(error.code).toBe('PARTITION_NOT_FOUND')
    expect(error.details).toMatchObject({
      failed: [
        { index: 1, error: { code: 'PARTITION_NOT_FOUND' } },
        { index: 2, error: { code: 'RECORD_TOO_LARGE' } },
      ],
    })
    await producer.flush()
    expect(topic.records()).toEqual([])
  })

  it('accepts nothing when an asynchronous schema refuses one', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const { schema, answer, refuse } = slowSchema()
    const Slow = defineTopic('t', { value: schema })
    const producer = log.producer()
    const all = rejection(producer.sendAll(Slow, [{ value: 'a' }, { value: 'b' }]))
    const after = producer.send({ topic: 't', value: 'after' })
    answer(0)
    await settled()
    refuse(1)
    expect((await all).details).toMatchObject({ failed: [{ index: 1 }] })
    await after
    expect(topic.values()).toEqual(['after'])
  })

  it('keeps its place in the queue while a schema thinks', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const { schema, answer } = slowSchema()
    const Slow = defineTopic('t', { value: schema })
    const producer = log.producer()
    const all = producer.sendAll(Slow, [{ value: 'a' }, { value: 'b' }])
    producer.enqueue({ topic: 't', value: 'after' })
    answer(1)
    answer(0)
    expect(await all).toMatchObject([{ offset: 0 }, { offset: 1 }])
    await producer.flush()
    expect(topic.values()).toEqual(['"a"', '"b"', 'after'])
  })

  it('rejects as the first failure, naming all, when some fail later', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const gone = log.topic('gone')
    const producer = log.producer()
    const all = producer.sendAll([
      { topic: 't', value: '1' },
      { topic: 'gone', value: '2' },
      { topic: 'gone', value: '3' },
    ])
    gone.delete()
    const error = await rejection(all)
    expect(error.code).toBe('TOPIC_NOT_FOUND')
    expect(error.details).toMatchObject({ failed: [{ index: 1 }, { index: 2 }] })
    expect(error.cause).toBeInstanceOf(LogError)
  })

  it.each([[undefined], [null], [{}], ['text'], [{ topic: 't', value: 'x' }]])(
    'refuses %j in place of an array',
    async (given) => {
      const { sendAll } = new ProducerLog().producer() as {
        sendAll: (records: unknown) => Promise<unknown>
      }
      expect((await rejection(sendAll(given))).code).toBe('INVALID_ARGUMENT')
    },
  )
})

describe('transactions', () => {
  it('are refused to a producer that is not idempotent', async () => {
    const producer = new ProducerLog().producer({ idempotent: false })
    for (const pending of [producer.transaction(() => 1), producer.begin()]) {
      const error = await rejection(pending)
      expect(error.code).toBe('INVALID_ARGUMENT')
      expect(error.details).toMatchObject({ option: 'idempotent', value: false })
    }
  })

  it('are refused to a producer that is closed', async () => {
    const producer = new ProducerLog().producer()
    await producer.close()
    expect((await rejection(producer.transaction(() => 1))).code).toBe('CLOSED')
    expect((await rejection(producer.begin())).code).toBe('CLOSED')
  })
})
