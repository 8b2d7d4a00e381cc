/** Where records go: Kafka's hash of the key, sticky without one, and a producer's own memory. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  checkPartition,
  partitionOfKey,
  partitionerFor,
  partitioners,
  type Partitioner,
  type PartitionerInstance,
} from '../../src/client/partitioner.ts'
import { PreparedRecord, prepareNow } from '../../src/client/record-input.ts'
import { RecordTypes } from '../../src/client/record-types.ts'
import { serdes } from '../../src/client/serde.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { refusal } from './refusal.ts'
import { RAW } from './stored-records.ts'

interface Vector {
  readonly hex: string
  readonly text: string | null
  readonly partition: Readonly<Record<string, number>>
}

const { vectors } = JSON.parse(
  readFileSync(new URL('../vectors/murmur2.json', import.meta.url), 'utf8'),
) as { readonly vectors: readonly Vector[] }

const BATCH_BYTES = 100

function prepared(input: unknown, types: RecordTypes = RAW): PreparedRecord {
  const record = new PreparedRecord()
  prepareNow(input, types, 'send', 0, record)
  return record
}

/** A producer's use of a partitioner, whose random numbers are 0, 1, 2 … */
function instance(partitioner: Partitioner): PartitionerInstance {
  let drawn = 0
  return partitionerFor(partitioner, BATCH_BYTES, (byteCount) => {
    const bytes = Buffer.alloc(byteCount)
    bytes.writeUInt32BE(drawn)
    drawn += 1
    return bytes
  })
}

const KEYLESS = prepared({ value: 'v' })
const KEYED = prepared({ key: 'k', value: 'v' })

describe('partitionOfKey', () => {
  it("puts every key where Kafka's default partitioner puts it", () => {
    for (const { hex, text, partition } of vectors) {
      for (const [count, expected] of Object.entries(partition)) {
        expect(partitionOfKey(Buffer.from(hex, 'hex'), Number(count))).toBe(expected)
        if (typeof text === 'string') expect(partitionOfKey(text, Number(count))).toBe(expected)
      }
    }
  })
})

describe('partitioners.murmur2', () => {
  it('places text, bytes and typed keys by their bytes', () => {
    const placed = instance(partitioners.murmur2)
    const expected = partitionOfKey('o-1', 7)
    const typed = new RecordTypes('t', defineTopic('t', { key: serdes.uuid }), false)
    const id = '123e4567-e89b-12d3-a456-426614174000'
    expect(placed.partition(prepared({ key: 'o-1' }), 'raw', 7)).toBe(expected)
    expect(placed.partition(prepared({ key: Buffer.from('o-1') }), 'raw', 7)).toBe(expected)
    expect(placed.partition(prepared({ key: id.toUpperCase() }, typed), 't', 7)).toBe(
      partitionOfKey(id, 7),
    )
  })

  it('is sticky for records without a key, an empty key being one', () => {
    const placed = instance(partitioners.murmur2)
    expect(placed.partition(KEYLESS, 'raw', 8)).toBe(0)
    placed.recorded('raw', 0, BATCH_BYTES, true)
    expect(placed.partition(KEYLESS, 'raw', 8)).toBe(1)
    expect(placed.partition(prepared({ key: '' }), 'raw', 8)).toBe(partitionOfKey('', 8))
  })
})

describe('partitioners.sticky', () => {
  it('stays until a batch was filled there, and moves on when one is closed', () => {
    const placed = instance(partitioners.sticky)
    expect(placed.partition(KEYED, 'raw', 8)).toBe(0)
    placed.recorded('raw', 0, BATCH_BYTES - 1, true)
    expect(placed.partition(KEYED, 'raw', 8)).toBe(0)
    placed.recorded('raw', 0, 1, false)
    expect(placed.partition(KEYLESS, 'raw', 8)).toBe(0)
    placed.recorded('raw', 0, 1, true)
    expect(placed.partition(KEYLESS, 'raw', 8)).toBe(1)
  })

  it('moves on in the middle of a batch once twice as much went there', () => {
    const placed = instance(partitioners.sticky)
    expect(placed.partition(KEYLESS, 'raw', 8)).toBe(0)
    placed.recorded('raw', 0, BATCH_BYTES * 2 - 1, false)
    expect(placed.partition(KEYLESS, 'raw', 8)).toBe(0)
    placed.recorded('raw', 0, 1, false)
    expect(placed.partition(KEYLESS, 'raw', 8)).toBe(1)
  })

  it('counts only what goes to its partition of that topic, anew after each move', () => {
    const placed = instance(partitioners.sticky)
    expect(placed.partition(KEYLESS, 'a', 8)).toBe(0)
    expect(placed.partition(KEYLESS, 'b', 8)).toBe(1)
    placed.recorded('a', 5, 1_000, true)
    placed.recorded('b', 0, 1_000, true)
    placed.recorded('c', 0, 1_000, true)
    expect(placed.partition(KEYLESS, 'a', 8)).toBe(0)
    placed.recorded('a', 0, BATCH_BYTES, true)
    expect(placed.partition(KEYLESS, 'a', 8)).toBe(2)
    placed.recorded('a', 2, BATCH_BYTES - 1, true)
    expect(placed.partition(KEYLESS, 'a', 8)).toBe(2)
    expect(placed.partition(KEYLESS, 'b', 8)).toBe(1)
  })

  it('draws anew where its partition is gone, and needs no chance for a single one', () => {
    const placed = instance(partitioners.sticky)
    expect(placed.partition(KEYLESS, 'one', 1)).toBe(0)
    expect(placed.partition(KEYLESS, 'a', 8)).toBe(0)
    placed.recorded('a', 0, BATCH_BYTES, true)
    expect(placed.partition(KEYLESS, 'a', 8)).toBe(1)
    expect(placed.partition(KEYLESS, 'a', 1)).toBe(0)
  })
})

describe('partitioners.roundRobin', () => {
  it('takes one partition after the other, in each topic and each producer for itself', () => {
    const placed = instance(partitioners.roundRobin)
    const turns = [1, 2, 3, 4].map(() => placed.partition(KEYED, 'raw', 3))
    expect(turns).toEqual([0, 1, 2, 0])
    expect(placed.partition(KEYED, 'other', 3)).toBe(0)
    expect(instance(partitioners.roundRobin).partition(KEYED, 'raw', 3)).toBe(0)
  })
})

describe('partitioners.consistent', () => {
  it('takes the remainder of the hash, never a negative one', () => {
    const placed = (hash: number): number =>
      instance(partitioners.consistent(() => hash)).partition(KEYED, 'raw', 4)
    expect([7, -1, -4, 0, 0xffff_ffff].map(placed)).toEqual([3, 3, 0, 0, 3])
    expect(Object.is(placed(-4), 0)).toBe(true)
  })

  it('hands the key over as bytes, and is sticky without one', () => {
    const keys: Buffer[] = []
    const partitioner = partitioners.consistent((key) => keys.push(key))
    instance(partitioner).partition(KEYED, 'raw', 4)
    expect(instance(partitioner).partition(KEYLESS, 'raw', 4)).toBe(0)
    expect(keys).toEqual([Buffer.from('k')])
  })

  it('refuses what is no function, and a hash that is no number or no integer', () => {
    expect(refusal(() => partitioners.consistent('crc' as never)).code).toBe('INVALID_ARGUMENT')
    const placed = (hash: unknown): string =>
      refusal(() =>
        instance(partitioners.consistent(() => hash as number)).partition(KEYED, 'raw', 4),
      ).code
    expect(placed('1')).toBe('INVALID_ARGUMENT')
    expect(placed(1.5)).toBe('PARTITION_NOT_FOUND')
    expect(placed(NaN)).toBe('PARTITION_NOT_FOUND')
  })
})

describe('partitioners.byField', () => {
  const types = new RecordTypes(
    't',
    defineTopic('t', { value: serdes.json<{ customer: string }>() }),
    false,
  )

  it('hashes a part of the value, as the value was given', () => {
    const placed = instance(partitioners.byField((value: { customer: string }) => value.customer))
    expect(placed.partition(prepared({ value: { customer: 'ada' } }, types), 't', 9)).toBe(
      partitionOfKey('ada', 9),
    )
    const ofBytes = instance(partitioners.byField(() => Buffer.from('ada')))
    expect(ofBytes.partition(KEYED, 't', 9)).toBe(partitionOfKey('ada', 9))
  })

  it('refuses what is no function, and a field that is no text and no bytes', () => {
    expect(refusal(() => partitioners.byField('customer' as never)).code).toBe('INVALID_ARGUMENT')
    const placed = instance(partitioners.byField(() => 5 as never))
    expect(refusal(() => placed.partition(KEYED, 't', 9)).code).toBe('INVALID_ARGUMENT')
  })
})

describe("a user's partitioner", () => {
  it('sees the record as given and as bytes, and the topic', () => {
    const seen: unknown[] = []
    const placed = instance((record, topic) => {
      seen.push({ ...record, headers: [...record.headers] }, topic)
      return 1
    })
    const typed = new RecordTypes(
      't',
      defineTopic('t', { key: serdes.int32, value: serdes.json<number>() }),
      false,
    )
    expect(
      placed.partition(prepared({ key: 1, value: 2, headers: { a: 'b' } }, typed), 't', 3),
    ).toBe(1)
    expect(placed.partition(prepared({}), 'raw', 3)).toBe(1)
    expect(seen).toEqual([
      {
        topic: 't',
        key: 1,
        keyBytes: Buffer.of(0, 0, 0, 1),
        value: 2,
        headers: [['a', Buffer.from('b')]],
      },
      { name: 't', partitionCount: 3 },
      { topic: 'raw', key: null, keyBytes: null, value: null, headers: [] },
      { name: 'raw', partitionCount: 3 },
    ])
  })

  it('cannot change the record through the bytes it sees', () => {
    const placed = instance((record) => record.keyBytes?.fill(0).indexOf(0) ?? 1)
    const key = Buffer.from('k')
    placed.partition(prepared({ key }), 'raw', 1)
    expect(key).toEqual(Buffer.from('k'))
  })

  it.each([-1, 3, 1.5, NaN, '1', undefined, Promise.resolve(1)])(
    'that gives %s is PARTITION_NOT_FOUND',
    (result) => {
      const error = refusal(() => instance(() => result as number).partition(KEYED, 'raw', 3))
      expect(error.code).toBe('PARTITION_NOT_FOUND')
    },
  )

  it('may throw, and its error goes through', () => {
    const reason = new Error('no')
    const placed = instance(() => {
      throw reason
    })
    expect(() => placed.partition(KEYED, 'raw', 3)).toThrow(reason)
  })

  it('may fall back on built-in ones, which then remember for its producer', () => {
    const wrapped: Partitioner = (record, topic) =>
      record.key === null
        ? partitioners.roundRobin(record, topic)
        : partitioners.murmur2(record, topic)
    const [one, other] = [instance(wrapped), instance(wrapped)]
    expect([1, 2].map(() => one.partition(KEYLESS, 'raw', 3))).toEqual([0, 1])
    expect(other.partition(KEYLESS, 'raw', 3)).toBe(0)
    expect(one.partition(KEYED, 'raw', 3)).toBe(partitionOfKey('k', 3))
  })

  it('has to be a function', () => {
    expect(refusal(() => instance('murmur2' as never)).code).toBe('INVALID_ARGUMENT')
  })
})

describe('a built-in partitioner called by itself', () => {
  it('gives a partition that exists', () => {
    const record = { topic: 'raw', key: null, keyBytes: null, value: null, headers: [] as never }
    for (const partitioner of [
      partitioners.murmur2,
      partitioners.sticky,
      partitioners.roundRobin,
    ]) {
      expect(partitioner(record, { name: 'raw', partitionCount: 2 })).toBe(0)
    }
  })
})

describe('checkPartition', () => {
  it('names topic, count and who chose', () => {
    const error = refusal(() => checkPartition(4, 'orders', 3, 'the record'))
    expect(error.details).toEqual({ topic: 'orders', partition: 4, partitionCount: 3 })
    expect(error.message).toContain('the record')
    expect(checkPartition(2, 'orders', 3, 'the record')).toBe(2)
  })
})
