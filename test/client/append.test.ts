/**
 * Appending without a producer: what is stored, what is refused, and that a refusal changes
 * nothing.
 */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { AppendOptions } from '../../src/client/partition.ts'
import type { RecordInput } from '../../src/client/record-input.ts'
import { serdes } from '../../src/client/serde.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { systemClock } from '../../src/log/clock.ts'
import { USABLE_CODECS } from '../support/usable-codecs.ts'
import { LOG_KINDS, numbered, numbers, openLog, openTopic, texts } from './open-log.ts'
import { refusal } from './refusal.ts'

describe.each(LOG_KINDS)('append to a log on %s', (kind) => {
  it('gives records consecutive offsets, one alone or several as one batch', async () => {
    const partition = (await openTopic(kind)).partition(0)
    expect(partition.append({ key: 'k', value: 'v0', timestamp: 5 })).toEqual({
      baseOffset: 0,
      lastOffset: 0,
      timestamp: 5,
      leaderEpoch: 0,
    })
    const batch = [
      { value: 'v1', timestamp: 30 },
      { value: 'v2', timestamp: 20 },
    ]
    expect(partition.append(batch)).toMatchObject({ baseOffset: 1, lastOffset: 2, timestamp: 30 })
    expect(partition).toMatchObject({ logEndOffset: 3, highWatermark: 3, lastStableOffset: 3 })
    const stored = Array.from(partition.records(), ({ offset, timestamp, partition: index }) => ({
      offset,
      timestamp,
      index,
    }))
    expect(stored).toEqual([
      { offset: 0, timestamp: 5, index: 0 },
      { offset: 1, timestamp: 30, index: 0 },
      { offset: 2, timestamp: 20, index: 0 },
    ])
  })

  it('keeps keys, values and headers as they were given', async () => {
    const partition = (await openTopic(kind)).partition(0)
    const big = Buffer.alloc(300_000, 'ab')
    const contents = [null, '', 'ä€😀', new Uint8Array([0, 255]), Buffer.alloc(0), big]
    for (const key of contents) for (const value of contents) partition.append({ key, value })
    const asBuffer = (content: string | Uint8Array | null): Buffer | null =>
      content === null ? null : Buffer.from(content)
    let offset = 0
    for (const key of contents) {
      for (const value of contents) {
        const record = partition.get(offset)
        offset += 1
        expect(record?.key?.equals(asBuffer(key) ?? Buffer.from('?')) ?? null).toBe(
          key === null ? null : true,
        )
        expect(record?.value?.equals(asBuffer(value) ?? Buffer.from('?')) ?? null).toBe(
          value === null ? null : true,
        )
      }
    }
    partition.append([{}, { key: undefined, value: undefined, headers: undefined }])
    expect(partition.get(offset + 1)).toMatchObject({ key: null, value: null })
  })

  it('keeps the order and repeats of headers, empty names and null values', async () => {
    const partition = (await openTopic(kind)).partition(0)
    partition.append({
      headers: [
        ['a', '1'],
        ['', 'empty'],
        ['ä', Buffer.from([1])],
        ['a', null],
        ['a', '3'],
      ],
    })
    partition.append({ headers: { x: 'y', z: null } })
    const headers = partition.get(0)?.headers
    const entries = Array.from(headers ?? [], ([name, value]) => [name, value?.toString() ?? null])
    expect(entries).toEqual([
      ['a', '1'],
      ['', 'empty'],
      ['ä', '\x01'],
      ['a', null],
      ['a', '3'],
    ])
    expect(headers?.text('a')).toBe('3')
    expect(headers?.getAll('a').map(String)).toEqual(['1', 'null', '3'])
    expect(headers?.get('b')).toBeUndefined()
    expect(partition.get(1)?.headers.get('z')).toBeNull()
  })

  it('stores lone surrogates as U+FFFD', async () => {
    const partition = (await openTopic(kind)).partition(0)
    partition.append({ key: 'a\ud800', value: '\udc00b', headers: { '\ud800': '\ud800' } })
    const record = partition.get(0)
    expect(String(record?.key)).toBe('a\ufffd')
    expect(String(record?.value)).toBe('\ufffdb')
    expect([...(record?.headers ?? [])].map(([name, value]) => `${name}${String(value)}`)).toEqual([
      '\ufffd\ufffd',
    ])
  })

  it('stamps records without a time with the time of the call', async () => {
    let time = 100
    const log = await openLog(kind, { clock: { ...systemClock, now: () => (time += 1) } })
    const partition = (await log.createTopic('t')).partition(0)
    time = 1_000
    const { timestamp } = partition.append([{ value: 'a' }, { value: 'b', timestamp: 3 }])
    expect(timestamp).toBe(1_001)
    expect(Array.from(partition.records(), (record) => record.timestamp)).toEqual([1_001, 3])
  })

  it('gives all records the time of the append where the topic says so', async () => {
    const log = await openLog(kind, { clock: { ...systemClock, now: () => 777 } })
    const topic = await log.createTopic('t', { messageTimestampType: 'LogAppendTime' })
    const result = topic.partition(0).append([{ timestamp: 5 }, { timestamp: 99_999 }])
    expect(result.timestamp).toBe(777)
    expect(Array.from(topic.partition(0).records(), ({ timestamp }) => timestamp)).toEqual([
      777, 777,
    ])
    expect(topic.partition(0).offsetForTimestamp(777)).toBe(0)
    expect(topic.partition(0).offsetForTimestamp(778)).toBeNull()
  })

  it.each(USABLE_CODECS)('compresses with %s what is read back the same', async (codec) => {
    const topic = await openTopic(kind)
    const partition = topic.partition(0)
    partition.append(numbered(500), { compression: codec })
    partition.append(numbered(1, 500), { compression: undefined })
    expect(texts(partition.records())).toEqual(numbers(501))
    expect(String(partition.get(250)?.value)).toBe('v250')
    if (codec !== 'none') expect(topic.size().bytes).toBeLessThan(4_000)
  })

  it('uses the codec of the topic, where that has one', async () => {
    const topic = await openTopic(kind, { compressionType: 'gzip' })
    topic.partition(0).append({ value: 'x'.repeat(10_000) })
    expect(topic.size().bytes).toBeLessThan(500)
    expect(String(topic.partition(0).get(0)?.value)).toHaveLength(10_000)
  })

  it('appends only at the offset that is expected', async () => {
    const partition = (await openTopic(kind)).partition(0)
    expect(partition.append({ value: 'v0' }, { expectOffset: 0 }).baseOffset).toBe(0)
    for (const expectOffset of [0, 2]) {
      expect(refusal(() => partition.append({ value: 'x' }, { expectOffset }))).toMatchObject({
        code: 'OFFSET_CONFLICT',
        details: { topic: 't', partition: 0, expectOffset, logEndOffset: 1 },
      })
    }
    expect(partition.logEndOffset).toBe(1)
    expect(partition.append({ value: 'v1' }, { expectOffset: 1 }).baseOffset).toBe(1)
  })

  it('refuses batches larger than maxMessageBytes and appends nothing of them', async () => {
    const partition = (await openTopic(kind, { maxMessageBytes: 1_000 })).partition(0)
    const value = 'x'.repeat(200)
    const five = Array.from({ length: 5 }, () => ({ value }))
    expect(refusal(() => partition.append(five))).toMatchObject({
      code: 'RECORD_TOO_LARGE',
      details: { maxMessageBytes: 1_000 },
    })
    expect(partition.logEndOffset).toBe(0)
    expect(partition.append(five, { compression: 'gzip' }).lastOffset).toBe(4)
    const exact = partition.append({ value: Buffer.alloc(1_000 - 61 - 9) })
    expect(exact.baseOffset).toBe(5)
    expect(refusal(() => partition.append({ value: Buffer.alloc(1_000 - 61 - 8) })).code).toBe(
      'RECORD_TOO_LARGE',
    )
  })

  it('gives a batch larger than a segment one of its own', async () => {
    const topic = await openTopic(kind, { segmentBytes: 1_024 })
    const partition = topic.partition(0)
    partition.append({ value: 'small' })
    partition.append({ value: 'x'.repeat(50_000) })
    partition.append({ value: 'small' })
    expect(topic.size()).toMatchObject({ offsets: 3, segments: 3 })
    expect(texts(partition.records()).map(({ length }) => length)).toEqual([5, 50_000, 5])
  })

  it.each([
    ['no records', []],
    ['nothing', undefined],
    ['null', null],
    ['text', 'value'],
    ['bytes', Buffer.from('value')],
    ['a nested list', [[{ value: 'x' }]]],
    ['a promise', Promise.resolve({ value: 'x' })],
    ['an unknown property', { value: 'x', vlaue: 'y' }],
    ['a partition', { value: 'x', partition: 0 }],
    ['a topic', { value: 'x', topic: 't' }],
    ['a number as value', { value: 5 }],
    ['an object as value', { value: { a: 1 } }],
    ['an array buffer', { value: new ArrayBuffer(4) }],
    ['a number as key', { key: 5 }],
    ['a number as header', { headers: { a: 5 } }],
    ['text as headers', { headers: 'a' }],
    ['half a header', { headers: [['a']] }],
    ['a negative time', { timestamp: -1 }],
    ['half a millisecond', { timestamp: 1.5 }],
    ['no number', { timestamp: Number.NaN }],
    ['an unsafe number', { timestamp: 2 ** 53 }],
    ['infinity', { timestamp: Infinity }],
    ['a date as time', { timestamp: new Date() }],
    ['text as time', { timestamp: '5' }],
    ['one bad record of several', [{ value: 'x' }, { value: 5 }]],
  ])('refuses %s and appends nothing', async (_, input) => {
    const partition = (await openTopic(kind)).partition(0)
    const records = input as RecordInput // as JavaScript may
    expect(refusal(() => partition.append(records)).code).toBe('INVALID_ARGUMENT')
    expect(partition.logEndOffset).toBe(0)
    expect(partition.append({ value: 'x' }).baseOffset).toBe(0)
  })

  it.each([
    ['an unknown option', { compress: 'gzip' }],
    ['an unknown codec', { compression: 'brotli' }],
    ['no codec', { compression: null }],
    ['a negative offset', { expectOffset: -1 }],
    ['half an offset', { expectOffset: 0.5 }],
    ['text as offset', { expectOffset: '0' }],
    ['null', null],
    ['a list', []],
  ])('refuses %s as options', async (_, given) => {
    const partition = (await openTopic(kind)).partition(0)
    const options = given as AppendOptions // as JavaScript may
    expect(refusal(() => partition.append({ value: 'x' }, options)).code).toBe('INVALID_ARGUMENT')
    expect(partition.logEndOffset).toBe(0)
  })

  it('refuses what the types of the topic have no place for', async () => {
    const Typed = defineTopic('typed', { key: serdes.string, value: serdes.int32 })
    const log = await openLog(kind, { topics: [Typed] })
    const partition = log.topic(Typed).partition(0)
    const inputs: readonly unknown[] = [
      { value: 1 },
      { key: 'k' },
      { key: 'k', value: null },
      { key: 'k', value: 1.5 },
      { key: 5, value: 1 },
    ]
    for (const input of inputs) {
      const record = input as { key: string; value: number } // as JavaScript may
      expect(refusal(() => partition.append(record)).code).toBe('INVALID_RECORD')
    }
    expect(partition.logEndOffset).toBe(0)
  })

  it('takes appends that getters and serdes make meanwhile', async () => {
    const topic = await openTopic(kind)
    const partition = topic.partition(0)
    const nested = {
      get value(): string {
        partition.append([{ value: 'inner 1' }, { value: 'inner 2' }])
        return 'outer'
      },
    }
    const result = partition.append([{ value: 'first' }, nested])
    expect(result.baseOffset).toBe(2)
    expect(texts(partition.records())).toEqual(['inner 1', 'inner 2', 'first', 'outer'])
    const conflict = refusal(() => partition.append(nested, { expectOffset: 4 }))
    expect(conflict.code).toBe('OFFSET_CONFLICT')
    expect(partition.logEndOffset).toBe(6)
  })

  it('keeps its records whatever else is appended while it reads them', async () => {
    const log = await openLog(kind)
    const topic = await log.createTopic('t')
    const partition = topic.partition(0)
    const other = (await log.createTopic('other')).partition(0)
    const producer = log.producer({ acks: 1 })
    const meanwhile = [
      (): unknown => partition.append(numbered(40)),
      (): unknown => other.append(numbered(40)),
      (): unknown =>
        refusal(() => partition.append([{ value: 'x' }, { key: 'x'.repeat(9), timestamp: -1 }])),
      async (): Promise<void> => {
        for (const record of numbered(40)) producer.enqueue(topic, record)
        await producer.flush()
      },
    ]
    for (const [round, append] of meanwhile.entries()) {
      const text = String(round).repeat(3_000)
      const outer = Array.from({ length: 5 }, (_, index) => ({
        key: `${text} key`,
        get value(): string {
          if (index === 3) void append()
          return text
        },
      }))
      const { baseOffset, lastOffset } = partition.append(outer)
      expect(lastOffset - baseOffset).toBe(4)
      const found = Array.from(partition.records({ from: baseOffset }), ({ key, value }) => [
        String(key),
        String(value),
      ])
      expect(found).toEqual(outer.map(() => [`${text} key`, text]))
    }
    await producer.close()
  })

  it('lets the bytes it was given be changed as soon as it returns', async () => {
    const partition = (await openTopic(kind)).partition(0)
    const bytes = Buffer.from('before')
    partition.append({ key: bytes, value: bytes, headers: { h: bytes } })
    bytes.fill('x')
    const record = partition.get(0)
    expect([record?.key, record?.value, record?.headers.get('h')].map(String)).toEqual([
      'before',
      'before',
      'before',
    ])
  })

  it('appends whatever bytes there are, and reads the same', async () => {
    const topic = await openTopic(kind, { segmentBytes: 2_048 })
    const partition = topic.partition(0)
    const bytes = fc.option(fc.uint8Array({ maxLength: 200 }))
    const record = fc.record({ key: bytes, value: bytes })
    const shown = (key: Uint8Array | null, value: Uint8Array | null): string =>
      `${key === null ? 'null' : Buffer.from(key).toString('hex')}:${value === null ? 'null' : Buffer.from(value).toString('hex')}`
    const property = fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), (records) => {
      const { baseOffset } = partition.append(records)
      const stored = Array.from(partition.records({ from: baseOffset }), ({ key, value }) =>
        shown(key, value),
      )
      expect(stored).toEqual(records.map(({ key, value }) => shown(key, value)))
    })
    fc.assert(property, { numRuns: 50 })
    expect(topic.size().offsets).toBe(partition.logEndOffset)
  })
})
