/**
 * Serdes: how a typed key or value becomes bytes and comes back. The type of the user's own, the
 * built-in ones, and Standard Schemas as JSON.
 *
 * Built-in serdes have an inner way (`encode`, `decode`) that saves a Buffer a record: text goes on
 * as text, which the batch builder encodes in place, and is read straight out of the batch. Only
 * there is an asynchronous schema of use.
 *   I1  what is stored is what Kafka's serializer of that name writes (Integer, Double, UUID …)
 *   I2  null never reaches a serde: a record's null key or value is no bytes (record-types.ts)
 */
import { isUint8Array } from 'node:util/types'
import { LogError, invalidArgument } from '../errors/log-error.ts'
import { describeValue } from './check-options.ts'
import {
  isPending,
  isStandardSchema,
  schemaOutput,
  type Anything,
  type Jsonified,
  type StandardSchemaV1,
} from './standard-schema.ts'
import type { Bytes, BytesInput } from './topic-ref.ts'

/** Turns values into bytes and back. What it throws becomes the cause of an `INVALID_RECORD`. */
export interface Serde<T, In = T> {
  /** The bytes to store. They are copied before it is called again: a reused buffer is fine. */
  serialize(value: In): Uint8Array
  /** The value in `bytes`, which are the serde's to keep. */
  deserialize(bytes: Buffer): T
  /** Where values are JSON under a schema: that schema. */
  readonly schema?: StandardSchemaV1<Anything, Anything> | undefined
}

/** What a topic definition takes as `key` or `value`. */
export type SerdeOrSchema = Serde<Anything, Anything> | StandardSchemaV1<Anything, Anything>

/** A key or value on its way into a batch: text is stored as UTF-8. */
export type EncodedValue = string | Uint8Array

const INT32_MIN = -0x8000_0000
const INT32_MAX = 0x7fff_ffff
const INT32_BYTES = 4
const FLOAT64_BYTES = 8
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The inner ways of a built-in serde. */
interface Coding<T, In> {
  encode(value: In): EncodedValue | Promise<EncodedValue>
  /** Reads the bytes from `start` up to `end`; keeps none of them. */
  decode(buffer: Buffer, start: number, end: number): T
}

/** A serde of ours. Its public functions need no `this`. */
export class BuiltInSerde<T, In = T> implements Serde<T, In> {
  readonly serialize: (value: In) => Uint8Array
  readonly deserialize: (bytes: Buffer) => T
  readonly schema?: StandardSchemaV1<Anything, Anything>
  readonly #coding: Coding<T, In>

  constructor(coding: Coding<T, In>, schema?: StandardSchemaV1<Anything, Anything>) {
    this.#coding = coding
    if (schema !== undefined) this.schema = schema
    this.serialize = (value) => {
      const encoded = coding.encode(value)
      if (typeof encoded === 'string') return Buffer.from(encoded)
      if (encoded instanceof Promise) throw refuseAsync(encoded)
      return encoded
    }
    this.deserialize = (bytes) => {
      const { buffer, byteOffset, byteLength } = bytes
      const all = Buffer.isBuffer(bytes) ? bytes : Buffer.from(buffer, byteOffset, byteLength)
      return coding.decode(all, 0, all.length)
    }
    Object.freeze(this)
  }

  /** The text or bytes to store; a promise only under an asynchronous schema. */
  encode(value: In): EncodedValue | Promise<EncodedValue> {
    return this.#coding.encode(value)
  }

  /** The value in the bytes from `start` up to `end`, none of which are kept. */
  decode(buffer: Buffer, start: number, end: number): T {
    return this.#coding.decode(buffer, start, end)
  }
}

/**
 * The refusal of a value whose schema answers with a promise, where nothing can be awaited. The
 * promise is nobody's from here on, so its failure must not count as unhandled.
 */
function refuseAsync(pending: Promise<unknown>): LogError<'INVALID_RECORD'> {
  pending.catch(() => {})
  return invalidRecord('its schema is asynchronous: use send, which awaits it')
}

/** Whether `value` is a Uint8Array, as every Buffer is; of another realm too, as under jest. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || isUint8Array(value)
}

/** Whether `value` has the two functions of a serde. */
export function isSerde(value: unknown): value is Serde<unknown, unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  if (!('serialize' in value) || !('deserialize' in value)) return false
  return typeof value.serialize === 'function' && typeof value.deserialize === 'function'
}

const bytes: Serde<Bytes, BytesInput> = new BuiltInSerde<Bytes, BytesInput>({
  encode(value) {
    if (typeof value === 'string' || isBytes(value)) return value
    throw unfit('serdes.bytes takes a string or a Uint8Array', value)
  },
  decode: (buffer, start, end) => Buffer.from(buffer.subarray(start, end)),
})

const string: Serde<string> = new BuiltInSerde<string>({
  encode(value) {
    if (typeof value === 'string') return value
    throw unfit('serdes.string takes a string', value)
  },
  decode: (buffer, start, end) => buffer.toString('utf8', start, end),
})

const int32: Serde<number> = new BuiltInSerde<number>({
  encode(value) {
    if (!Number.isInteger(value) || value < INT32_MIN || value > INT32_MAX) {
      throw unfit(`serdes.int32 takes an integer from ${INT32_MIN} to ${INT32_MAX}`, value)
    }
    const encoded = Buffer.allocUnsafe(INT32_BYTES)
    encoded.writeInt32BE(value)
    return encoded
  },
  decode(buffer, start, end) {
    if (end - start !== INT32_BYTES) throw wrongLength('serdes.int32', INT32_BYTES, end - start)
    return buffer.readInt32BE(start)
  },
})

const float64: Serde<number> = new BuiltInSerde<number>({
  encode(value) {
    if (typeof value !== 'number') throw unfit('serdes.float64 takes a number', value)
    const encoded = Buffer.allocUnsafe(FLOAT64_BYTES)
    encoded.writeDoubleBE(value)
    return encoded
  },
  decode(buffer, start, end) {
    if (end - start !== FLOAT64_BYTES) {
      throw wrongLength('serdes.float64', FLOAT64_BYTES, end - start)
    }
    return buffer.readDoubleBE(start)
  },
})

const uuid: Serde<string> = new BuiltInSerde<string>({
  encode(value) {
    if (typeof value !== 'string' || !UUID.test(value)) {
      throw unfit('serdes.uuid takes a UUID such as 123e4567-e89b-12d3-a456-426614174000', value)
    }
    // As Java writes them. As keys, two spellings of one UUID must be one key.
    return value.toLowerCase()
  },
  decode(buffer, start, end) {
    const text = buffer.toString('latin1', start, end)
    if (!UUID.test(text)) throw unfit('serdes.uuid reads a UUID of 36 characters', text)
    return text
  },
})

function json<I, O>(schema: StandardSchemaV1<I, O>): Serde<Jsonified<O>, I>
function json<T = unknown>(): Serde<T>
function json(schema?: unknown): Serde<unknown, unknown> {
  if (schema === undefined) return PLAIN_JSON
  if (!isStandardSchema(schema)) {
    throw invalidArgument(
      `serdes.json takes a Standard Schema (zod, valibot, arktype …), not ${describeValue(schema)}`,
      { schema },
    )
  }
  const standard = schema['~standard']
  const encode = (value: unknown): EncodedValue | Promise<EncodedValue> => {
    const answer = standard.validate(value)
    if (!isPending(answer)) return jsonText(schemaOutput(answer))
    return Promise.resolve(answer).then((settled) => jsonText(schemaOutput(settled)))
  }
  return new BuiltInSerde<unknown, unknown>({ encode, decode: parseJson }, schema)
}

const PLAIN_JSON = new BuiltInSerde<unknown, unknown>({ encode: jsonText, decode: parseJson })

function jsonText(value: unknown): string {
  let text: unknown // JSON.stringify is declared to give a string, but has none for undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw invalidRecord('JSON cannot hold it (a cycle, a bigint, or a toJSON that throws)', cause)
  }
  if (typeof text !== 'string') throw unfit('JSON has no text for it', value)
  return text
}

function parseJson(buffer: Buffer, start: number, end: number): unknown {
  try {
    return JSON.parse(buffer.toString('utf8', start, end))
  } catch (cause) {
    throw invalidRecord('it is not JSON', cause)
  }
}

function unfit(rule: string, value: unknown): LogError<'INVALID_RECORD'> {
  return invalidRecord(`${rule}, not ${describeValue(value)}`)
}

function wrongLength(name: string, expected: number, actual: number): LogError<'INVALID_RECORD'> {
  return invalidRecord(`${name} reads ${expected} bytes, not ${actual}`)
}

function invalidRecord(message: string, cause?: unknown): LogError<'INVALID_RECORD'> {
  return new LogError('INVALID_RECORD', message, {}, cause === undefined ? undefined : { cause })
}

/**
 * The built-in serdes.
 *
 * @example
 * ```ts
 * const Orders = defineTopic('orders', { key: serdes.string, value: serdes.json<Order>() })
 * ```
 */
export const serdes: {
  /** Bytes as they are; the only serde that lets null through on every topic. */
  readonly bytes: Serde<Bytes, BytesInput>
  /** UTF-8. Lone surrogates become U+FFFD. */
  readonly string: Serde<string>
  /** Four bytes, big-endian, as Kafka's IntegerSerializer. */
  readonly int32: Serde<number>
  /** Eight bytes, big-endian, as Kafka's DoubleSerializer. */
  readonly float64: Serde<number>
  /** 36 characters in lower case, as Kafka's UUIDSerializer. */
  readonly uuid: Serde<string>
  /** JSON of the schema's output. Reads are not validated: their type is what JSON gives back. */
  json<I, O>(schema: StandardSchemaV1<I, O>): Serde<Jsonified<O>, I>
  /** JSON, typed but not checked. */
  json<T = unknown>(): Serde<T>
} = Object.freeze({ bytes, string, int32, float64, uuid, json })
