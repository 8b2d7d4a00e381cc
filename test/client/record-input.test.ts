/** What a record may be, what becomes of it, and how it is refused. */
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  PreparedRecord,
  UNPLACED,
  prepare,
  prepareNow,
  topicOf,
  type InputKind,
} from '../../src/client/record-input.ts'
import { RecordTypes } from '../../src/client/record-types.ts'
import { serdes, type Serde } from '../../src/client/serde.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { refusal, rejection } from './refusal.ts'
import { RAW } from './stored-records.ts'

const NOW = 1_000
const COMPACTED = new RecordTypes('state', null, true)
const ORDERS = new RecordTypes(
  'orders',
  defineTopic('orders', { key: serdes.string, value: serdes.json<{ total: number }>() }),
  false,
)
const ASYNC = new RecordTypes(
  'slow',
  defineTopic('slow', {
    value: z.string().refine(async (text) => Promise.resolve(text !== 'bad')),
  }),
  false,
)

function prepared(
  input: unknown,
  types: RecordTypes = RAW,
  kind: InputKind = 'append',
): PreparedRecord {
  const record = new PreparedRecord()
  prepareNow(input, types, kind, NOW, record)
  return record
}

const refused = (input: unknown, types?: RecordTypes, kind?: InputKind): string =>
  refusal(() => prepared(input, types, kind)).code

describe('an untyped record', () => {
  it('is text, bytes or null, as given', () => {
    const bytes = Uint8Array.of(1)
    expect(prepared({ key: 'k', value: bytes })).toMatchObject({
      key: 'k',
      value: bytes,
      headers: null,
      timestamp: NOW,
      partition: UNPLACED,
    })
    expect(prepared({ key: null, value: undefined })).toMatchObject({ key: null, value: null })
    expect(prepared({})).toMatchObject({ key: null, value: null })
  })

  it('may say its timestamp, headers and, where it is sent, its partition', () => {
    const input = { value: 'v', timestamp: 0, headers: { a: '1' }, partition: 2 }
    expect(prepared(input, RAW, 'send')).toMatchObject({
      timestamp: 0,
      headers: ['a', '1'],
      partition: 2,
    })
    expect(prepared({ ...input, topic: 'raw' }, RAW, 'topic-record').partition).toBe(2)
  })

  it.each<unknown>([1, 1n, true, {}, [], new Date(0), Symbol('s'), new ArrayBuffer(1)])(
    'is refused with a key or value that is no text and no bytes (%#)',
    (part) => {
      expect(refused({ value: part })).toBe('INVALID_ARGUMENT')
      expect(refused({ key: part })).toBe('INVALID_ARGUMENT')
    },
  )

  it('needs a key on a compacted topic, and may have a null value there', () => {
    expect(refused({ value: 'v' }, COMPACTED)).toBe('INVALID_RECORD')
    expect(refused({ key: null, value: 'v' }, COMPACTED)).toBe('INVALID_RECORD')
    expect(prepared({ key: 'k' }, COMPACTED)).toMatchObject({ key: 'k', value: null })
  })
})

describe('what is no record', () => {
  it.each([
    undefined,
    null,
    'text',
    1,
    [],
    ['v'],
    () => {},
    Buffer.from('v'),
    Promise.resolve({}),
    new Map(),
    new Date(0),
  ])('is refused (%#)', (input) => {
    expect(refused(input)).toBe('INVALID_ARGUMENT')
  })

  it('is not an object without a prototype, or of a class with getters', () => {
    class Reading {
      get key(): string {
        return 'k'
      }
      get value(): string {
        return 'v'
      }
    }
    expect(prepared(Object.assign(Object.create(null), { value: 'v' })).value).toBe('v')
    expect(prepared(new Reading())).toMatchObject({ key: 'k', value: 'v' })
  })
})

describe('a property nobody knows', () => {
  it('is refused with the nearest known name', () => {
    const error = refusal(() => prepared({ val: 'v' }))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.details).toMatchObject({ property: 'val', nearest: 'value' })
  })

  it('may be known elsewhere: a partition where it is sent, a topic where a producer sends it', () => {
    expect(refused({ value: 'v', partition: 0 })).toBe('INVALID_ARGUMENT')
    expect(refused({ value: 'v', topic: 'raw' }, RAW, 'send')).toBe('INVALID_ARGUMENT')
  })

  it('called messages is answered with how to send here', () => {
    const input = { topic: 'raw', messages: [{ value: 'v' }] }
    for (const call of [() => topicOf(input), () => prepared(input, RAW, 'topic-record')]) {
      const error = refusal(call)
      expect(error.code).toBe('INVALID_ARGUMENT')
      expect(error.message).toContain('sendAll')
    }
  })
})

describe('timestamp and partition', () => {
  it.each([-1, 1.5, NaN, Infinity, 2 ** 53, '1', null, 1n, new Date(0)])(
    'refuse %s as timestamp',
    (timestamp) => {
      expect(refused({ value: 'v', timestamp })).toBe('INVALID_ARGUMENT')
    },
  )

  it.each([1.5, NaN, '1', null])('refuse %j as partition', (partition) => {
    expect(refused({ value: 'v', partition }, RAW, 'send')).toBe('INVALID_ARGUMENT')
  })

  it('find no negative partition', () => {
    expect(refused({ value: 'v', partition: -1 }, RAW, 'send')).toBe('PARTITION_NOT_FOUND')
  })
})

describe('a typed record', () => {
  it('goes through its serdes, as text where they give text', () => {
    const record = prepared({ key: 'k', value: { total: 1 } }, ORDERS)
    expect(record).toMatchObject({ key: 'k', value: '{"total":1}' })
    expect(record.valueInput).toEqual({ total: 1 })
  })

  it('may have no null, neither as key nor as value', () => {
    for (const input of [
      { value: { total: 1 } },
      { key: 'k' },
      { key: null, value: { total: 1 } },
      { key: 'k', value: null },
    ]) {
      expect(refused(input, ORDERS)).toBe('INVALID_RECORD')
    }
  })

  it('may be a tombstone on a compacted topic, but needs its key', () => {
    const State = defineTopic('s', {
      key: serdes.string,
      value: serdes.json<number>(),
      cleanupPolicy: 'compact',
    })
    const types = new RecordTypes('s', State, true)
    expect(prepared({ key: 'k', value: null }, types).value).toBeNull()
    expect(refused({ value: 1 }, types)).toBe('INVALID_RECORD')
    types.compacted = false
    expect(refused({ key: 'k', value: null }, types)).toBe('INVALID_RECORD')
  })

  it('may have null keys where the key is serdes.bytes or not defined', () => {
    for (const definition of [
      defineTopic('t', { key: serdes.bytes, value: serdes.string }),
      defineTopic('t', { value: serdes.string }),
    ]) {
      const types = new RecordTypes('t', definition, false)
      expect(prepared({ key: null, value: 'v' }, types)).toMatchObject({ key: null, value: 'v' })
      expect(prepared({ value: 'v' }, types).key).toBeNull()
    }
  })

  it('is refused as INVALID_RECORD by a serde, naming topic and field', () => {
    const error = refusal(() => prepared({ key: 1, value: { total: 1 } }, ORDERS))
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.message).toMatch(/orders.*key/)
  })

  it('is refused with the issues of its schema', () => {
    const definition = defineTopic('t', { value: z.object({ total: z.number() }) })
    const types = new RecordTypes('t', definition, false)
    const error = refusal(() => prepared({ value: { total: 'x' } }, types))
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.details).toMatchObject({ issues: [{ path: ['total'] }] })
  })

  it("is refused with what the user's serde threw as cause", () => {
    const reason = new Error('no')
    const serde: Serde<string> = {
      serialize() {
        throw reason
      },
      deserialize: String,
    }
    const types = new RecordTypes('t', defineTopic('t', { value: serde }), false)
    const error = refusal(() => prepared({ value: 'v' }, types))
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.cause).toBe(reason)
  })

  it.each<[string, () => unknown]>([
    ['text', () => 'x'],
    ['a promise', async () => Promise.reject(new Error('late'))],
    ['nothing', () => undefined],
  ])("is refused where the user's serde gives %s instead of bytes", (_, serialize) => {
    const serde = { serialize, deserialize: String } as unknown as Serde<string>
    const types = new RecordTypes('t', defineTopic('t', { value: serde }), false)
    expect(refused({ value: 'v' }, types)).toBe('INVALID_RECORD')
  })

  it("keeps its bytes where the user's serde writes them all into one buffer", () => {
    const shared = Buffer.alloc(1)
    const serde: Serde<number> = {
      serialize(value) {
        shared[0] = value
        return shared
      },
      deserialize: (bytes) => bytes[0] ?? 0,
    }
    const types = new RecordTypes('t', defineTopic('t', { key: serde, value: serde }), false)
    expect(prepared({ key: 1, value: 2 }, types)).toMatchObject({
      key: Buffer.of(1),
      value: Buffer.of(2),
    })
  })
})

describe('an asynchronous schema', () => {
  it('is refused where nothing can be awaited', () => {
    expect(refused({ value: 'good' }, ASYNC)).toBe('INVALID_RECORD')
    expect(refused({ value: 'bad' }, ASYNC)).toBe('INVALID_RECORD')
  })

  it('is awaited by prepare, which keeps what the user may change meanwhile', async () => {
    const record = new PreparedRecord()
    const key = Buffer.from('k')
    const header = Buffer.from('h')
    const pending = prepare({ key, value: 'good', headers: { header } }, ASYNC, 'send', NOW, record)
    key.fill(0)
    header.fill(0)
    await pending
    expect(record).toMatchObject({
      key: Buffer.from('k'),
      value: '"good"',
      headers: ['header', Buffer.from('h')],
    })
  })

  it('rejects with its issues', async () => {
    const pending = prepare({ value: 'bad' }, ASYNC, 'send', NOW, new PreparedRecord())
    const error = await rejection(pending)
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.details).toHaveProperty('issues')
  })

  it('of a key leaves no failure unhandled when the value is refused at once', async () => {
    const slow = z.string().refine(async () => Promise.resolve(false))
    const types = new RecordTypes('t', defineTopic('t', { key: slow, value: serdes.int32 }), false)
    expect(
      refusal(() => prepare({ key: 'k', value: 'x' }, types, 'send', NOW, new PreparedRecord()))
        .code,
    ).toBe('INVALID_RECORD')
    await Promise.resolve()
  })

  it('is not waited for by records that need none', () => {
    expect(prepare({ value: 'v' }, RAW, 'send', NOW, new PreparedRecord())).toBeUndefined()
  })
})

describe('reading a record', () => {
  it('reads each property once', () => {
    const reads: string[] = []
    const counted = <T extends object>(target: T): T =>
      new Proxy(target, {
        get(inner, name, receiver): unknown {
          reads.push(String(name))
          return Reflect.get(inner, name, receiver)
        },
      })
    prepared(
      counted({ key: 'k', value: 'v', headers: counted({ a: '1' }), timestamp: 1, partition: 0 }),
      RAW,
      'send',
    )
    const known = reads.filter((name) => name !== 'Symbol(Symbol.iterator)')
    expect(known.toSorted()).toEqual(['a', 'headers', 'key', 'partition', 'timestamp', 'value'])
  })

  it('forgets the record before when it is used again, and everything when cleared', () => {
    const record = new PreparedRecord()
    prepareNow(
      { key: 'k', value: 'v', headers: { a: '1' }, partition: 1 },
      RAW,
      'send',
      NOW,
      record,
    )
    prepareNow({ value: 'w' }, RAW, 'send', NOW, record)
    expect(record).toMatchObject({
      key: null,
      value: 'w',
      headers: null,
      partition: UNPLACED,
      keyInput: undefined,
    })
    record.clear()
    expect(record).toMatchObject({ value: null, valueInput: null })
  })
})

describe('topicOf', () => {
  it('gives the topic that a record names', () => {
    expect(topicOf({ topic: 'raw', value: 'v' })).toBe('raw')
  })

  it.each([undefined, 'raw', { value: 'v' }, { topic: 1 }, { topic: 'raw', partion: 1 }])(
    'refuses %j',
    (record) => {
      expect(refusal(() => topicOf(record)).code).toBe('INVALID_ARGUMENT')
    },
  )
})
