/**
 * Topic definitions: what they hold, what they refuse, and the types that they infer. Types are
 * checked by the compiler: `ok` takes only `true`, at run time it does nothing.
 */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import type { RecordInput, SendInput } from '../../src/client/record-input.ts'
import { serdes, type Serde } from '../../src/client/serde.ts'
import type { Jsonified } from '../../src/client/standard-schema.ts'
import {
  defineTopic,
  isTopicDefinition,
  type TopicDefinition,
} from '../../src/client/topic-definition.ts'
import type {
  AnyTopicRef,
  Bytes,
  BytesInput,
  InputOf,
  TopicRef,
} from '../../src/client/topic-ref.ts'
import { refusal } from './refusal.ts'

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const ok = <T extends true>(..._: readonly T[]): void => {}

describe('a definition', () => {
  it('holds name, serdes and the settings that were given', () => {
    const Orders = defineTopic('orders', {
      key: serdes.string,
      partitions: 4,
      cleanupPolicy: 'compact',
      retentionMs: undefined,
    })
    expect(Orders.name).toBe('orders')
    expect(Orders.key).toBe(serdes.string)
    expect(Orders.value).toBe(serdes.bytes)
    expect(Orders.config).toEqual({ partitions: 4, cleanupPolicy: 'compact' })
  })

  it('has bytes and no settings where nothing is said', () => {
    for (const definition of [
      defineTopic('raw'),
      defineTopic('raw', {}),
      defineTopic('raw', { key: undefined }),
    ]) {
      expect(definition).toMatchObject({
        name: 'raw',
        key: serdes.bytes,
        value: serdes.bytes,
        config: {},
      })
    }
  })

  it('takes a Standard Schema as serdes.json of it', () => {
    const schema = z.object({ total: z.number() })
    const { value } = defineTopic('orders', { value: schema })
    expect(value.schema).toBe(schema)
    expect(value.deserialize(Buffer.from(value.serialize({ total: 1 })))).toEqual({ total: 1 })
  })

  it('takes a schema that is a function, as arktype makes them', () => {
    const schema = Object.assign(() => {}, {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) => ({ value }),
      },
    })
    expect(defineTopic('orders', { value: schema }).value.schema).toBe(schema)
  })

  it("takes a user's own serde as it is", () => {
    const serde: Serde<Date> = {
      serialize: (date) => Buffer.from(date.toISOString()),
      deserialize: (bytes) => new Date(String(bytes)),
    }
    expect(defineTopic('dates', { value: serde }).value).toBe(serde)
  })

  it('is frozen, and so are its settings, even those that came as an array', () => {
    const groups = ['a']
    const definition = defineTopic('t', { retainUntilConsumed: groups })
    groups.push('b')
    expect(Object.isFrozen(definition)).toBe(true)
    expect(Object.isFrozen(definition.config)).toBe(true)
    expect(definition.config.retainUntilConsumed).toEqual(['a'])
  })

  it.each(['', '.', '..', 'a b', 'a/b', 'é', 'x'.repeat(250), 'ends.', 'NUL', 'com1.log'])(
    'is refused with the name %j',
    (name) => {
      const error = refusal(() => defineTopic(name))
      expect(error.code).toBe('INVALID_ARGUMENT')
      expect(error.details).toEqual({ name })
    },
  )

  it('is refused with an unknown setting, naming the nearest', () => {
    const error = refusal(() => defineTopic('t', { partions: 3 } as object))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.details).toMatchObject({ option: 'partions', nearest: 'partitions' })
    expect(error.message).toContain("defineTopic('t')")
  })

  it('is refused with a setting out of its bounds', () => {
    expect(refusal(() => defineTopic('t', { partitions: 0 })).code).toBe('INVALID_ARGUMENT')
  })

  it.each([null, 1, 'string', {}, { serialize() {} }, String])(
    'is refused where key or value is neither serde nor schema (%#)',
    (part) => {
      const serde = part as unknown as Serde<string>
      expect(refusal(() => defineTopic('t', { key: serde })).code).toBe('INVALID_ARGUMENT')
      expect(refusal(() => defineTopic('t', { value: serde })).details).toEqual({
        option: 'value',
        value: part,
      })
    },
  )

  it('is told from other things', () => {
    expect(isTopicDefinition(defineTopic('t'))).toBe(true)
    for (const other of [
      null,
      't',
      { name: 't' },
      { ...defineTopic('t'), name: 1 },
      { ...defineTopic('t'), key: {} },
    ]) {
      expect(isTopicDefinition(other)).toBe(false)
    }
  })
})

describe('the types of a definition', () => {
  it('are bytes where nothing is said', () => {
    const T = defineTopic('t2')
    ok<Equal<typeof T, TopicDefinition<Bytes, Bytes, 't2', BytesInput, BytesInput>>>()
    ok<Equal<typeof T, TopicDefinition<Bytes, Bytes, 't2'>>>()
    expectTypeOf(T.name).toEqualTypeOf<'t2'>()
  })

  it('are those of the serdes', () => {
    const T = defineTopic('t', { key: serdes.string, value: serdes.json<{ a: number }>() })
    ok<Equal<typeof T, TopicDefinition<string, { a: number }, 't', string, { a: number }>>>()
    const B = defineTopic('b', { key: serdes.bytes, value: serdes.float64, partitions: 2 })
    ok<Equal<typeof B, TopicDefinition<Bytes, number, 'b', BytesInput, number>>>()
  })

  it('are, under a schema, its input to write and what JSON leaves of its output to read', () => {
    const Invoice = z.object({
      currency: z.string().default('EUR'),
      issuedAt: z.coerce.date<string>(),
    })
    const T = defineTopic('invoices', { key: serdes.string, value: Invoice })
    type Read = { currency: string; issuedAt: string }
    type Write = { currency?: string | undefined; issuedAt: string }
    ok<Equal<typeof T, TopicDefinition<string, Read, 'invoices', string, Write>>>()
  })

  it('have null values on compacted topics only', () => {
    const Compacted = defineTopic('c', {
      key: serdes.string,
      value: serdes.int32,
      cleanupPolicy: 'compact',
    })
    ok<
      Equal<typeof Compacted, TopicDefinition<string, number | null, 'c', string, number | null>>
    >()
    const Both = defineTopic('d', { value: serdes.int32, cleanupPolicy: 'compact,delete' })
    ok<Equal<typeof Both, TopicDefinition<Bytes, number | null, 'd', BytesInput, number | null>>>()
    const Deleted = defineTopic('e', { value: serdes.int32, cleanupPolicy: 'delete' })
    ok<Equal<typeof Deleted, TopicDefinition<Bytes, number, 'e', BytesInput, number>>>()
  })

  it('make key and value of a record required where they have no null', () => {
    const record: RecordInput<string, number> = { key: 'k', value: 1 }
    // @ts-expect-error a keyed topic needs a key
    const keyless: RecordInput<string, number> = { value: 1 }
    const raw: RecordInput = { value: 'x', key: undefined, headers: { a: null }, timestamp: 1 }
    // @ts-expect-error the partition of an append is the one it is called on
    const placed: RecordInput = { value: 'x', partition: 1 }
    const sent: SendInput = { value: 'x', partition: 1 }
    expect([record, keyless, raw, placed, sent]).toHaveLength(5)
  })

  it('refuse unknown settings and wrong serdes', () => {
    // @ts-expect-error an option with a spelling mistake
    expect(() => defineTopic('t', { partions: 3 })).toThrow('partitions')
    // @ts-expect-error neither serde nor schema
    expect(() => defineTopic('t', { key: 'string' })).toThrow('serde')
  })

  it('fit the general ones: any reference, any definition, a list of both kinds', () => {
    const T = defineTopic('t', { key: serdes.string, value: serdes.json<{ a: number }>() })
    const any: AnyTopicRef = T
    const definitions: readonly TopicDefinition[] = [T, defineTopic('u')]
    const named: TopicRef<string, { a: number }, 't'> = T
    expect([any, named, ...definitions]).toHaveLength(4)
  })

  it('of input follow what is read', () => {
    ok<Equal<InputOf<Bytes>, BytesInput>>()
    ok<Equal<InputOf<string>, string>>()
    ok<Equal<InputOf<{ a: 1 }>, { a: 1 }>>()
    ok<Equal<Parameters<(typeof serdes.string)['serialize']>, [value: string]>>()
    expect(serdes.string).toBeDefined()
  })
})

describe('Jsonified', () => {
  it('is what JSON gives back', () => {
    ok<Equal<Jsonified<Date>, string>>()
    ok<Equal<Jsonified<unknown>, unknown>>()
    ok<Equal<Jsonified<string | null>, string | null>>()
    ok<Equal<Jsonified<Map<string, number>>, Record<string, never>>>()
    ok<
      Equal<
        Jsonified<{ a: Date; b?: number; c: readonly Date[] }>,
        { a: string; b?: number; c: readonly string[] }
      >
    >()
    ok<Equal<Jsonified<bigint>, never>>()
    ok<Equal<Jsonified<[Date, 1]>, [string, 1]>>()
    expect(JSON.parse(JSON.stringify({ map: new Map([['a', 1]]) }))).toEqual({ map: {} })
  })
})
