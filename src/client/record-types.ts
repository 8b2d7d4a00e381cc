/**
 * RecordTypes: how the records of one handle are typed, at run time: which serdes turn keys and
 * values into bytes and back, and where null may stand.
 *
 *   null key            untyped: yes, unless the topic is compacted    typed: never
 *   null value          untyped: yes                  typed: a tombstone, on compacted topics only
 *   neither fits        INVALID_RECORD, when written and when read, so that the types do not lie
 *
 * One object per handle, shared by its records. Reads and writes no bytes of a batch itself.
 */
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { describeValue } from './check-options.ts'
import { BuiltInSerde, isBytes, serdes, type EncodedValue, type Serde } from './serde.ts'
import { isPending } from './standard-schema.ts'
import type { TopicDefinition } from './topic-definition.ts'

/** Which half of a record. */
export type Field = 'key' | 'value'

/** A serde of whatever types: what goes in and comes out was checked by the compiler. */
type AnySerde = Serde<unknown, unknown>

/** How the records of one handle are typed. */
export class RecordTypes {
  readonly topic: string
  /** Null: bytes as they are. */
  readonly key: AnySerde | null
  readonly value: AnySerde | null
  /** Keys and values are bytes as they are: no serde, no schema, nothing to wait for. */
  readonly isUntyped: boolean
  /** Whether the topic is compacted now; whoever alters its cleanup policy sets it. */
  compacted: boolean
  /** Whether the definition's value type has null, whatever became of the topic since. */
  readonly #nullableValue: boolean

  /** Without a definition, or with `serdes.bytes`, keys and values are bytes. */
  constructor(topic: string, definition: TopicDefinition | null, compacted: boolean) {
    this.topic = topic
    this.key = definition === null ? null : typedSerde(definition.key)
    this.value = definition === null ? null : typedSerde(definition.value)
    this.isUntyped = this.key === null && this.value === null
    this.compacted = compacted
    const policy = definition?.config.cleanupPolicy
    this.#nullableValue = policy !== undefined && policy !== 'delete'
  }

  /**
   * The key to store for `input`; a promise only under an asynchronous schema.
   * @throws {LogError} `INVALID_RECORD`, or `INVALID_ARGUMENT` for what an untyped key cannot be.
   */
  encodeKey(input: unknown): EncodedValue | null | Promise<EncodedValue> {
    if (this.key === null) return this.untypedKey(input)
    if (input === undefined || input === null) throw this.#missing('key')
    return this.#encode(this.key, input, 'key')
  }

  /** As `encodeKey`, where keys are bytes as they are. Hot. */
  untypedKey(input: unknown): EncodedValue | null {
    if (input !== undefined && input !== null) return plainBytes(input, 'key', this.topic)
    if (this.compacted) throw this.#missing('key')
    return null
  }

  /** The value to store for `input`, as `encodeKey`. Null on a compacted topic is a tombstone. */
  encodeValue(input: unknown): EncodedValue | null | Promise<EncodedValue> {
    if (this.value === null) return this.untypedValue(input)
    if (input !== undefined && input !== null) return this.#encode(this.value, input, 'value')
    if (this.compacted) return null
    throw this.#missing('value')
  }

  /** As `encodeValue`, where values are bytes as they are. Hot. */
  untypedValue(input: unknown): EncodedValue | null {
    if (input === undefined || input === null) return null
    return plainBytes(input, 'value', this.topic)
  }

  /**
   * Whether a key that was encoded before may still be stored.
   * @throws {LogError} `INVALID_RECORD` for null, where the topic became a compacted one since.
   */
  checkStored(key: EncodedValue | null): void {
    if (key === null && this.compacted) throw this.#missing('key')
  }

  /** Whether a stored null is what a reader of `field` may get. */
  readsNull(field: Field): boolean {
    if (field === 'key') return this.key === null
    return this.value === null || this.compacted || this.#nullableValue
  }

  #encode(serde: AnySerde, input: unknown, field: Field): EncodedValue | Promise<EncodedValue> {
    try {
      if (!(serde instanceof BuiltInSerde)) return ownBytes(serde.serialize(input))
      const encoded: EncodedValue | Promise<EncodedValue> = serde.encode(input)
      if (!(encoded instanceof Promise)) return encoded
      return encoded.catch((error: unknown) => {
        throw this.refused(field, error)
      })
    } catch (error) {
      throw this.refused(field, error)
    }
  }

  /** What a serde or schema threw, as the caller gets it. */
  refused(field: Field, error: unknown): LogError<'INVALID_RECORD'> {
    const what = `${this.topic}: the ${field} of a record was refused`
    if (LogError.is(error, 'INVALID_RECORD')) {
      const { message, details, cause } = error
      const options = cause === undefined ? undefined : { cause }
      return new LogError('INVALID_RECORD', `${what}: ${message}`, details, options)
    }
    const text = error instanceof Error ? error.message : describeValue(error)
    return new LogError('INVALID_RECORD', `${what}, its serde threw: ${text}`, {}, { cause: error })
  }

  #missing(field: Field): LogError<'INVALID_RECORD'> {
    const why =
      field === 'key' && this.compacted
        ? 'a compacted topic keeps the last record of each key, so each record needs one'
        : `its type has no null; only values on compacted topics may be null (tombstones)`
    return new LogError(
      'INVALID_RECORD',
      `${this.topic}: the ${field} of a record is null: ${why}`,
      {},
    )
  }
}

/** Null for `serdes.bytes`: bytes need no serde, and null may stand. */
function typedSerde(serde: AnySerde): AnySerde | null {
  return serde === serdes.bytes ? null : serde
}

function plainBytes(input: unknown, field: Field, topic: string): EncodedValue {
  if (typeof input === 'string' || isBytes(input)) return input
  throw invalidArgument(
    `${topic}: the ${field} of a record is a string, a Uint8Array or null, not ` +
      `${describeValue(input)}; for anything else, define the topic with a serde`,
    { [field]: input },
  )
}

/** Copies: a serde of the user's may write every value into one buffer of its own. */
function ownBytes(serialized: unknown): Uint8Array {
  if (isBytes(serialized)) return Buffer.from(serialized)
  if (isPending(serialized)) {
    Promise.resolve(serialized).catch(() => {}) // It is refused here: its own failure is no news.
    throw new LogError('INVALID_RECORD', 'serialize is synchronous, but gave a promise', {})
  }
  throw new LogError(
    'INVALID_RECORD',
    `serialize gave ${describeValue(serialized)}, not a Uint8Array`,
    {},
  )
}
