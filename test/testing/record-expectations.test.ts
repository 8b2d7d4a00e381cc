/** Records as plain objects, and what a test says of them. */
import { AssertionError } from 'node:assert'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import { serdes } from '../../src/client/serde.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { expectRecords, recordsOf } from '../../src/testing/record-expectations.ts'

const Orders = defineTopic('orders', {
  key: serdes.string,
  value: serdes.json<{ total: number }>(),
  partitions: 2,
})

describe('recordsOf', () => {
  it('gives partition by partition what records hold, decoded by their topic', () => {
    const log = EventLog.inMemory({ topics: [Orders] })
    const orders = log.topic(Orders)
    orders.partition(1).append([{ key: 'b', value: { total: 2 }, timestamp: 5 }])
    orders.partition(0).append([
      {
        key: 'a',
        value: { total: 1 },
        timestamp: 7,
        headers: [
          ['h', '1'],
          ['h', '2'],
          ['n', null],
        ],
      },
    ])
    expect(recordsOf(orders)).toEqual([
      {
        topic: 'orders',
        partition: 0,
        offset: 0,
        timestamp: 7,
        key: 'a',
        value: { total: 1 },
        headers: { h: '2', n: null },
      },
      {
        topic: 'orders',
        partition: 1,
        offset: 0,
        timestamp: 5,
        key: 'b',
        value: { total: 2 },
        headers: {},
      },
    ])
  })

  it('gives bytes as text, and null as null', async () => {
    const topic = await EventLog.inMemory().createTopic('t')
    topic.partition(0).append([{ value: 'grün' }, { key: Buffer.from('k') }])
    const plain = recordsOf(topic).map(({ key, value }) => [key, value])
    expect(plain).toEqual([
      [null, 'grün'],
      ['k', null],
    ])
  })

  it('takes a header of any name for a name', async () => {
    const topic = await EventLog.inMemory().createTopic('t')
    topic.partition(0).append([
      {
        headers: [
          ['__proto__', 'x'],
          ['constructor', 'y'],
        ],
      },
    ])
    expect(Object.entries(recordsOf(topic)[0]?.headers ?? {})).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })
})

describe('expectRecords', () => {
  it('compares the fields given and no others, record by record', () => {
    const orders = EventLog.inMemory({ topics: [Orders] }).topic(Orders)
    expectRecords(orders).toBeEmpty()
    orders.partition(0).append([
      { key: 'a', value: { total: 1 } },
      { key: 'b', value: { total: 2 } },
    ])
    expectRecords(orders).toMatch([{ key: 'a' }, { value: { total: 2 }, offset: 1 }])
    expectRecords(orders).toMatch([{}, {}])
    for (const wrong of [
      [{ key: 'a' }],
      [{ key: 'a' }, { key: 'b' }, {}],
      [{ key: 'b' }, { key: 'a' }],
      [{ value: { total: 2 } }, {}],
    ]) {
      expect(() => expectRecords(orders).toMatch(wrong)).toThrow(AssertionError)
    }
    expect(() => expectRecords(orders).toBeEmpty()).toThrow('orders holds 2 records')
  })

  it('shows a runner what there is beside what there should be', async () => {
    const topic = await EventLog.inMemory().createTopic('t')
    topic.partition(0).append([{ value: 'x' }])
    const error = (() => {
      try {
        return expectRecords(topic).toMatch([{ value: 'y' }])
      } catch (failure) {
        return failure
      }
    })()
    expect(error).toMatchObject({ actual: [{ value: 'x' }], expected: [{ value: 'y' }] })
  })
})
