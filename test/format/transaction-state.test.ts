/**
 * States of transactions in Kafka's bytes: its vectors both ways, other versions told apart, bytes
 * that are none refused, whatever they are.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import {
  encodeTransactionKey,
  encodeTransactionValue,
  MAX_TRANSACTION_STRING_BYTES,
  readTransactionKey,
  readTransactionValue,
  TRANSACTION_STATUSES,
  type StoredTransactionState,
  type TransactionState,
} from '../../src/format/transaction-state.ts'
import { fromHex, loadVectors } from './vectors.ts'

interface KeyVector {
  readonly kind: 'TransactionLogKey'
  readonly hex: string
  readonly fields: { readonly transactionalId: string }
}

interface ValueVector {
  readonly kind: 'TransactionLogValue'
  readonly version: number
  readonly hex: string
  readonly fields: {
    readonly producerId: string
    readonly producerEpoch: number
    readonly timeoutMs: number
    readonly status: number
    readonly partitions: TransactionState['topics']
    readonly lastUpdateTimestampMs: string
    readonly startTimestampMs: string
    readonly clientTransactionVersion?: number
    readonly unknownTag?: number
  }
}

const { vectors } = loadVectors<{ readonly vectors: readonly (KeyVector | ValueVector)[] }>(
  'transaction-state.json',
)
const keys = vectors.filter((vector) => vector.kind === 'TransactionLogKey')
const values = vectors.filter((vector) => vector.kind === 'TransactionLogValue')

/** Of a key that does not lie at the start of its buffer. */
function readKey(key: Buffer): string | undefined {
  const buffer = Buffer.concat([Buffer.alloc(3, 0x7f), key, Buffer.alloc(3, 0x7f)])
  return readTransactionKey(buffer, 3, key.length)
}

function readValue(value: Buffer): StoredTransactionState | undefined {
  const buffer = Buffer.concat([Buffer.alloc(3, 0x7f), value, Buffer.alloc(3, 0x7f)])
  return readTransactionValue(buffer, 3, value.length)
}

function stateOf({ fields }: ValueVector): TransactionState {
  const status = TRANSACTION_STATUSES[fields.status]
  if (status === undefined) throw new Error(`no status ${fields.status}`)
  return {
    producerId: Number(fields.producerId),
    producerEpoch: fields.producerEpoch,
    timeoutMs: fields.timeoutMs,
    status,
    topics: fields.partitions,
    lastUpdateTimestampMs: Number(fields.lastUpdateTimestampMs),
    startTimestampMs: Number(fields.startTimestampMs),
  }
}

const corrupt: unknown = expect.objectContaining({ name: 'CorruptBytes' })
const name = fc.string({ unit: 'grapheme', maxLength: 40 })
const states: fc.Arbitrary<TransactionState> = fc.record({
  producerId: fc.maxSafeInteger(),
  producerEpoch: fc.integer({ min: -1, max: 0x7fff }),
  timeoutMs: fc.integer({ min: -1, max: 0x7fff_ffff }),
  status: fc.constantFrom(...TRANSACTION_STATUSES),
  topics: fc.option(
    fc.array(
      fc.record({
        topic: name,
        partitions: fc.array(fc.integer({ min: 0, max: 0x7fff_ffff }), { maxLength: 8 }),
      }),
      { maxLength: 5 },
    ),
  ),
  lastUpdateTimestampMs: fc.maxSafeInteger(),
  startTimestampMs: fc.maxSafeInteger(),
})

describe('a key of Kafka', () => {
  it.each(keys)('is read and written: $hex', ({ hex, fields }) => {
    expect(readKey(fromHex(hex))).toBe(fields.transactionalId)
    expect(encodeTransactionKey(fields.transactionalId).toString('hex')).toBe(hex)
  })

  it.each(['00010000', '0001', '7fff0001aa'])('%s of another version is passed over', (hex) => {
    expect(readKey(fromHex(hex))).toBeUndefined()
  })
})

describe('a value of Kafka', () => {
  it('is there in both versions and with every status', () => {
    const kinds = new Set(values.map(({ version, fields }) => `${version} ${fields.status}`))
    for (const status of TRANSACTION_STATUSES.keys()) {
      expect([...kinds]).toEqual(expect.arrayContaining([`0 ${status}`, `1 ${status}`]))
    }
  })

  it.each(values)('is read: $hex', (vector) => {
    const clientTransactionVersion = vector.fields.clientTransactionVersion ?? 0
    expect(readValue(fromHex(vector.hex))).toEqual({ ...stateOf(vector), clientTransactionVersion })
  })

  it.each(values.filter(({ version }) => version === 0))('is written: $hex', (vector) => {
    expect(encodeTransactionValue(stateOf(vector)).toString('hex')).toBe(vector.hex)
  })

  it('of a version that is not known is told apart', () => {
    expect(readValue(fromHex('0002'))).toBeUndefined()
    expect(readValue(fromHex(`0002${'00'.repeat(60)}`))).toBeUndefined()
  })

  it('with tagged fields that came later, wherever they may be, is read without them', () => {
    const tagged = values.filter(({ fields }) => fields.unknownTag !== undefined)
    expect(tagged).toHaveLength(1)
    for (const vector of tagged) {
      expect(readValue(fromHex(vector.hex))).toMatchObject({ topics: stateOf(vector).topics })
    }
  })
})

describe('bytes that are no state of a transaction', () => {
  it.each(keys)('are refused: key $hex, cut anywhere', ({ hex }) => {
    for (let length = 0; length < hex.length / 2; length++) {
      expect(() => readKey(fromHex(hex).subarray(0, length)), `${length} bytes`).toThrow(corrupt)
    }
  })

  it.each(values)('are refused: value $hex, cut anywhere', ({ hex }) => {
    for (let length = 0; length < hex.length / 2; length++) {
      expect(() => readValue(fromHex(hex).subarray(0, length)), `${length} bytes`).toThrow(corrupt)
    }
  })

  it.each([
    ['a null id', '0000ffff'],
    ['an id longer than it', '00000005616263'],
    ['a negative version', 'ffff00036162'],
  ])('are refused: a key with %s', (_, hex) => {
    expect(() => readKey(fromHex(hex))).toThrow(corrupt)
  })

  const head = '00000000000000000fa000010000ea60'
  const times = '00'.repeat(16)
  it.each([
    ['a status that is none', `${head}08ffffffff${times}`],
    ['a negative status', `${head}ffffffffff${times}`],
    ['a negative count of topics', `${head}01fffffffe${times}`],
    ['a count of topics beyond it', `${head}017fffffff${times}`],
    ['a null topic', `${head}0100000001ffff00000000${times}`],
    ['a topic longer than it', `${head}01000000010fff00000000${times}`],
    ['a negative count of partitions', `${head}01000000010001740000fffffffe${times}`],
    ['a count of partitions beyond it', `${head}010000000100017400ffffff${times}`],
    ['a negative partition', `${head}010000000100017400000001ffffffff${times}`],
    ['a producer id beyond 2^53', `0000002000000000000000010000ea6000ffffffff${times}`],
    ['a time beyond 2^53', `${head}00ffffffff0020000000000000${'00'.repeat(8)}`],
    ['a negative version', `ffff${head.slice(4)}00ffffffff${times}`],
    ['an endless count', `0001${head.slice(4)}01ffffffffffff01${times}`],
    ['a null compact topic', `0001${head.slice(4)}0102000100${times}00`],
    ['tagged fields beyond it', `0001${head.slice(4)}0000${times}0102ffffffff0f`],
    ['a client version of one byte', `0001${head.slice(4)}0000${times}01020102`],
  ])('are refused: a value with %s', (_, hex) => {
    expect(() => readValue(fromHex(hex))).toThrow(corrupt)
  })

  it('are refused or read, and nothing else, whatever one changes', () => {
    const stored = fc.constantFrom(...vectors)
    const change = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) })
    fc.assert(
      fc.property(stored, fc.array(change, { minLength: 1, maxLength: 4 }), (vector, changes) => {
        const bytes = fromHex(vector.hex)
        for (const { at, byte } of changes) bytes[at % bytes.length] = byte
        refusedOrRead(() => readValue(bytes))
        refusedOrRead(() => readKey(bytes))
      }),
    )
    fc.assert(
      fc.property(fc.constantFrom('', '0000', '0001'), fc.uint8Array(), (version, bytes) => {
        const value = Buffer.concat([fromHex(version), bytes])
        refusedOrRead(() => readValue(value))
        refusedOrRead(() => readKey(value))
      }),
    )
  })
})

describe("a transaction's state", () => {
  it('reads as it was written, whatever it is', () => {
    fc.assert(
      fc.property(name, (transactionalId) => {
        expect(readKey(encodeTransactionKey(transactionalId))).toBe(transactionalId)
      }),
    )
    fc.assert(
      fc.property(states, (state) => {
        const read = readValue(encodeTransactionValue(state))
        expect(read).toEqual({ ...state, clientTransactionVersion: 0 })
      }),
    )
  })

  it('takes an id as long as its length can say', () => {
    const longest = 'x'.repeat(MAX_TRANSACTION_STRING_BYTES)
    expect(readKey(encodeTransactionKey(longest))).toBe(longest)
    expect(() => encodeTransactionKey(`${longest}x`)).toThrow('fits an int16')
  })
})

function refusedOrRead(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    expect(error).toBeInstanceOf(CorruptBytes)
  }
}
