/** Built-in serdes: Kafka's bytes, both ways in and out, and what they refuse. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { BuiltInSerde, isSerde, serdes, type Serde } from '../../src/client/serde.ts'
import type { StandardSchemaV1 } from '../../src/client/standard-schema.ts'
import { refusal } from './refusal.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

function ours<T>(serde: Serde<T>): BuiltInSerde<T> {
  if (!(serde instanceof BuiltInSerde)) throw new Error('not one of ours')
  return serde as BuiltInSerde<T>
}

/** Writes and reads a value the public way, and from the middle of a chunk the inner way. */
function roundTrips<T>(serde: Serde<T>, value: T): readonly T[] {
  const bytes = Buffer.from(serde.serialize(value))
  const chunk = Buffer.concat([Buffer.from('..'), bytes, Buffer.from('..')])
  return [serde.deserialize(bytes), ours(serde).decode(chunk, 2, 2 + bytes.length)]
}

describe('built-in serdes', () => {
  it("write what Kafka's serializers write", () => {
    expect(hex(serdes.int32.serialize(1))).toBe('00000001')
    expect(hex(serdes.int32.serialize(-2))).toBe('fffffffe')
    expect(hex(serdes.float64.serialize(1.5))).toBe('3ff8000000000000')
    expect(hex(serdes.string.serialize('é'))).toBe('c3a9')
    expect(hex(serdes.bytes.serialize(Uint8Array.of(0, 255)))).toBe('00ff')
    expect(hex(serdes.bytes.serialize('é'))).toBe('c3a9')
    expect(Buffer.from(serdes.json<{ a: number }>().serialize({ a: 1 })).toString()).toBe('{"a":1}')
    expect(
      Buffer.from(serdes.uuid.serialize('123E4567-e89b-12d3-a456-426614174000')).toString(),
    ).toBe('123e4567-e89b-12d3-a456-426614174000')
  })

  it('give back what they wrote, the public and the inner way', () => {
    const check = <T>(serde: Serde<T>, values: fc.Arbitrary<T>): void => {
      fc.assert(
        fc.property(values, (value) => {
          expect(roundTrips(serde, value)).toEqual([value, value])
        }),
      )
    }
    check(serdes.string, fc.string({ unit: 'grapheme' }))
    check(serdes.int32, fc.integer())
    check(serdes.float64, fc.double())
    check(serdes.uuid, fc.uuid())
    // Out of JSON: a value that was never there may be -0, of which JSON makes 0.
    const fromJson = fc.json().map((text): unknown => JSON.parse(text))
    check(serdes.json(), fromJson)
  })

  it('make a lone surrogate the replacement character', () => {
    expect(serdes.string.deserialize(Buffer.from(serdes.string.serialize('a\ud800')))).toBe(
      'a\ufffd',
    )
  })

  it('need no receiver, so that their functions can be passed on', () => {
    const { serialize, deserialize } = serdes.int32
    expect(deserialize(Buffer.from(serialize(7)))).toBe(7)
  })

  it('read a Uint8Array that is no Buffer', () => {
    const bytes: unknown = Uint8Array.from(serdes.string.serialize('abc'))
    expect(serdes.string.deserialize(bytes as Buffer)).toBe('abc')
  })

  it.each<[string, () => unknown]>([
    ['a fraction as int32', () => serdes.int32.serialize(1.5)],
    ['a number beyond int32', () => serdes.int32.serialize(2 ** 31)],
    ['text as float64', () => serdes.float64.serialize('1' as unknown as number)],
    ['a number as string', () => serdes.string.serialize(1 as unknown as string)],
    ['an object as bytes', () => serdes.bytes.serialize({} as unknown as string)],
    ['null as bytes', () => serdes.bytes.serialize(null)],
    ['text that is no UUID', () => serdes.uuid.serialize('123e4567')],
    ['undefined as JSON', () => serdes.json().serialize(undefined)],
    ['a function as JSON', () => serdes.json().serialize(() => {})],
    ['three bytes as int32', () => serdes.int32.deserialize(Buffer.alloc(3))],
    ['nine bytes as float64', () => serdes.float64.deserialize(Buffer.alloc(9))],
    ['other bytes as UUID', () => serdes.uuid.deserialize(Buffer.from('x'))],
  ])('refuse %s', (_, call) => {
    expect(refusal(call).code).toBe('INVALID_RECORD')
  })

  it('refuse what JSON cannot hold or read, with the reason as cause', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const value of [cycle, { big: 1n }]) {
      const error = refusal(() => serdes.json().serialize(value))
      expect(error.code).toBe('INVALID_RECORD')
      expect(error.cause).toBeInstanceOf(TypeError)
    }
    const error = refusal(() => serdes.json().deserialize(Buffer.from('{')))
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.cause).toBeInstanceOf(SyntaxError)
  })
})

describe('serdes.json with a schema', () => {
  const Invoice = z.object({ total: z.number(), currency: z.string().default('EUR') })

  it("stores the schema's output", () => {
    const bytes = serdes.json(Invoice).serialize({ total: 1 })
    expect(Buffer.from(bytes).toString()).toBe('{"total":1,"currency":"EUR"}')
  })

  it('shows the schema and reads without it', () => {
    const serde = serdes.json(Invoice)
    expect(serde.schema).toBe(Invoice)
    expect(serde.deserialize(Buffer.from('{"total":"many"}'))).toEqual({ total: 'many' })
  })

  it('refuses what the schema refuses, with its issues', () => {
    const error = refusal(() => serdes.json(Invoice).serialize({ total: 'x' } as never))
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.details).toMatchObject({ issues: [{ path: ['total'] }] })
    expect(error.message).toContain('total')
  })

  it('gives paths as plain keys where a schema has objects, and counts what it leaves out', () => {
    const issue = { message: 'bad', path: [{ key: 'a' }, 0] }
    const schema: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => ({ issues: [issue, issue, issue, issue, { message: 'worse' }] }),
      },
    }
    const error = refusal(() => serdes.json(schema).serialize(1))
    expect(error.details).toMatchObject({
      issues: { 0: { message: 'bad', path: ['a', 0] }, length: 5 },
    })
    expect(error.message).toContain('a.0: bad; a.0: bad; a.0: bad; and 2 more')
  })

  it('refuses an asynchronous schema where nothing can be awaited', async () => {
    const asynchronous = z.string().refine(async () => Promise.resolve(true))
    const schema: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async () => Promise.reject(new Error('no')),
      },
    }
    expect(refusal(() => serdes.json(schema).serialize('x')).code).toBe('INVALID_RECORD')
    expect(refusal(() => serdes.json(asynchronous).serialize('x')).code).toBe('INVALID_RECORD')
    await Promise.resolve() // A rejection that nobody handles would fail this run.
  })

  it('refuses what is no schema', () => {
    for (const schema of [null, 1, {}, { '~standard': { version: 2, validate() {} } }]) {
      const error = refusal(() => serdes.json(schema as unknown as StandardSchemaV1))
      expect(error.code).toBe('INVALID_ARGUMENT')
    }
  })
})

describe('isSerde', () => {
  it('knows a serde by its two functions', () => {
    expect(isSerde({ serialize() {}, deserialize() {} })).toBe(true)
    expect(isSerde(serdes.json())).toBe(true)
    for (const other of [null, 'x', {}, { serialize() {} }, z.string()])
      expect(isSerde(other)).toBe(false)
  })
})
