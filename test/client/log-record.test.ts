/** Records as users read them: decoded when asked, immutable, and owners of the bytes they give. */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { RecordTypes } from '../../src/client/record-types.ts'
import { serdes, type Serde } from '../../src/client/serde.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { refusal } from './refusal.ts'
import { storedRecord, storedRecords } from './stored-records.ts'

const TYPED = new RecordTypes(
  'orders',
  defineTopic('orders', { key: serdes.string, value: serdes.json() }),
  false,
)
/** Writes what the typed view would refuse. */
const BY_NAME = new RecordTypes('orders', null, false)

describe('a record', () => {
  it('can be taken apart', () => {
    const { topic, partition, offset, timestamp, leaderEpoch, key, value } = storedRecord(
      { key: 'k', value: { a: [1, null] }, timestamp: 7 },
      TYPED,
    )
    expect({ topic, partition, offset, timestamp, leaderEpoch, key, value }).toEqual({
      topic: 'orders',
      partition: 3,
      offset: 0,
      timestamp: 7,
      leaderEpoch: -1,
      key: 'k',
      value: { a: [1, null] },
    })
  })

  it('of an untyped topic has bytes or null, the same ones at every access', () => {
    const record = storedRecord({ key: 'é' })
    expect(record.key).toEqual(Buffer.from('é'))
    expect(record.value).toBeNull()
    expect(record.keyBytes).toBe(record.key)
    expect(record.valueBytes).toBeNull()
    expect(storedRecord({ value: '' }).value).toEqual(Buffer.alloc(0))
  })

  it('decodes its value once', () => {
    const record = storedRecord({ key: 'k', value: {} }, TYPED)
    expect(record.value).toBe(record.value)
  })

  it('cannot be changed', () => {
    const record = storedRecord({ key: 'k', value: 1 }, TYPED)
    for (const name of ['offset', 'key', 'value', 'headers', 'topic']) {
      expect(() => Reflect.set(record, name, 'x', record)).not.toThrow()
    }
    expect(record.offset).toBe(0)
    expect(record.key).toBe('k')
  })

  it('has its headers, and the shared empty ones where there are none', () => {
    expect(storedRecord({ headers: { a: '1' } }).headers.text('a')).toBe('1')
    expect(storedRecord({ value: 'a' }).headers).toBe(storedRecord({ value: 'b' }).headers)
  })

  it('follows the others of its batch, each with its own fields', () => {
    const inputs = Array.from({ length: 50 }, (_, at) => ({
      key: `k${at}`,
      value: at,
      timestamp: at,
    }))
    const records = storedRecords(inputs, TYPED)
    expect(records.map(({ key, value, timestamp }) => ({ key, value, timestamp }))).toEqual(inputs)
    expect(records.map(({ offset }) => offset)).toEqual(inputs.map((_, at) => at))
  })
})

describe('what cannot be decoded', () => {
  const broken = storedRecord({ key: 'k', value: '{' }, BY_NAME, TYPED)

  it('throws at each access, with the reason as cause, and nothing else does', () => {
    for (let time = 0; time < 2; time += 1) {
      const error = refusal(() => broken.value)
      expect(error.code).toBe('INVALID_RECORD')
      expect(error.cause).toBeInstanceOf(SyntaxError)
      expect(error.message).toContain('orders-3')
      expect(error.message).toContain('offset 0')
    }
    expect(broken.key).toBe('k')
    expect(broken.valueBytes).toEqual(Buffer.from('{'))
  })

  it("has what the user's serde threw as cause", () => {
    const reason = new RangeError('short')
    const serde: Serde<string> = {
      serialize: (text) => Buffer.from(text),
      deserialize() {
        throw reason
      },
    }
    const types = new RecordTypes('t', defineTopic('t', { value: serde }), false)
    expect(refusal(() => storedRecord({ value: 'v' }, types).value).cause).toBe(reason)
  })

  it('is null where the type has no null, which only records sent by name can be', () => {
    const record = storedRecord({}, BY_NAME, TYPED)
    expect(refusal(() => record.key).code).toBe('INVALID_RECORD')
    expect(refusal(() => record.value).code).toBe('INVALID_RECORD')
  })

  it('is not the null of a tombstone, nor that of an untyped half', () => {
    const State = defineTopic('s', {
      key: serdes.string,
      value: serdes.int32,
      cleanupPolicy: 'compact',
    })
    const compacted = new RecordTypes('s', State, true)
    expect(storedRecord({ key: 'k', value: null }, compacted).value).toBeNull()
    const altered = new RecordTypes('s', State, false)
    expect(storedRecord({ key: 'k' }, BY_NAME, altered).value).toBeNull()
    const halfTyped = new RecordTypes('h', defineTopic('h', { value: serdes.string }), false)
    expect(storedRecord({ value: 'v' }, halfTyped).key).toBeNull()
  })
})

describe('bytes handed out', () => {
  it('can be written into without any other answer changing', () => {
    const [untyped, other] = storedRecords([
      { key: 'aa', value: 'bb' },
      { key: 'cc', value: 'dd' },
    ])
    untyped?.keyBytes?.fill(0)
    expect(untyped?.value).toEqual(Buffer.from('bb'))
    expect(other?.key).toEqual(Buffer.from('cc'))
    const typed = storedRecord({ key: 'k', value: { a: 1 } }, TYPED)
    typed.keyBytes?.fill(0)
    typed.valueBytes?.fill(0)
    expect(typed.key).toBe('k')
    expect(typed.value).toEqual({ a: 1 })
  })

  it('cannot be transferred away together with those of other records', () => {
    const [one, other] = storedRecords([{ value: 'aa' }, { value: 'bb' }])
    const shared = one?.valueBytes?.buffer
    expect(shared).toBeInstanceOf(ArrayBuffer)
    try {
      structuredClone(shared, { transfer: shared instanceof ArrayBuffer ? [shared] : [] })
    } catch (error) {
      expect(error).toHaveProperty('name', 'DataCloneError') // From Node 21 on; 20 clones.
    }
    expect(other?.value).toEqual(Buffer.from('bb'))
  })

  it("are the serde's own, so that it may keep or change them", () => {
    const greedy: Serde<Buffer> = {
      serialize: (bytes) => bytes,
      deserialize: (bytes) => bytes.fill(0),
    }
    const types = new RecordTypes('t', defineTopic('t', { value: greedy }), false)
    const record = storedRecord({ value: Buffer.from('v') }, types)
    expect(record.value).toEqual(Buffer.alloc(1))
    expect(record.valueBytes).toEqual(Buffer.from('v'))
  })

  it('keep no more than a slab alive, and a long value nothing but itself', () => {
    const inputs = Array.from({ length: 500 }, (_, at) => ({
      key: `k${at}`,
      value: 'v'.repeat(99),
    }))
    const memories = new Set(storedRecords(inputs).map(({ valueBytes }) => valueBytes?.buffer))
    for (const memory of memories) expect(memory?.byteLength).toBeLessThanOrEqual(16_384)
    expect(memories.size).toBeLessThan(9) // 1, 2, 4 and 8 KiB, then 16 each.
    const headers = { h: '1' }
    const lone = storedRecord({ key: 'k', value: 'x'.repeat(4_095), headers })
    expect(lone.valueBytes?.buffer.byteLength).toBeLessThan(4_095 + 20)
    const long = storedRecord({ key: 'k', value: 'x'.repeat(4_096), headers })
    expect(long.valueBytes?.buffer.byteLength).toBe(4_096)
    for (const record of [lone, long]) {
      expect([String(record.key), record.headers.text('h')]).toEqual(['k', '1'])
      expect(String(record.value)).toMatch(/^x+$/)
    }
    const longKey = storedRecord({ key: 'k'.repeat(20_000), value: 'v' })
    expect(longKey.valueBytes?.buffer.byteLength).toBeLessThanOrEqual(Buffer.poolSize)
  })

  it('of a long value are decoded where its topic is typed, and given as copies', () => {
    const value = { text: 'é'.repeat(4_096) }
    const record = storedRecord({ key: 'k', value }, TYPED)
    expect(record.valueBytes?.fill(0)).toHaveLength(8_203)
    expect([record.key, record.value]).toEqual(['k', value])
  })
})

describe('a record as JSON and on the console', () => {
  it('shows what it holds, decoded', () => {
    const record = storedRecord(
      {
        key: 'k',
        value: { a: 1 },
        headers: [
          ['h', '1'],
          ['h', null],
        ],
      },
      TYPED,
    )
    const shown = {
      topic: 'orders',
      partition: 3,
      offset: 0,
      timestamp: 1_000,
      key: 'k',
      value: { a: 1 },
      headers: [
        ['h', '1'],
        ['h', null],
      ],
    }
    expect(JSON.parse(JSON.stringify(record))).toEqual(shown)
    expect(inspect(record)).toBe(`LogRecord ${inspect(shown)}`)
  })

  it('shows bytes as text, or as base64 where they are none', () => {
    const { key, value } = storedRecord({ key: 'é', value: Uint8Array.of(0xff, 0) }).toJSON()
    expect({ key, value }).toEqual({ key: 'é', value: 'base64:/wA=' })
    expect(storedRecord({}).toJSON()).toMatchObject({ key: null, value: null, headers: [] })
  })

  it('shows the bytes of what cannot be decoded', () => {
    expect(storedRecord({ key: 'k', value: '{' }, BY_NAME, TYPED).toJSON().value).toBe('{')
    expect(storedRecord({ key: 'k' }, BY_NAME, TYPED).toJSON().value).toBeNull()
  })
})
