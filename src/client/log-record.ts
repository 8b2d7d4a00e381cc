/**
 * LogRecord: one record as users read it, and the class behind it, which decodes on demand.
 *
 *   I1  immutable: getters over private fields; key, value and headers are decoded once, when asked
 *   I2  its memory is private and never changes, so it can be decoded from at any time
 *   I3  bytes handed out are the user's: writing into them changes no other answer of this record
 *   I4  what cannot be decoded throws at each access, and only there: the record itself is sound
 * Hot: one small object a record; no byte of it is looked at before somebody asks, and where its
 * fields are is found then.
 */
import { inspect, type InspectOptions } from 'node:util'
import { LogError } from '../errors/log-error.ts'
import { RecordFields } from '../format/record-fields.ts'
import { describeValue } from './check-options.ts'
import { ownedBytes, shownBytes } from './owned-bytes.ts'
import { headersIn, NO_HEADERS, shownHeaders, type RecordHeaders } from './record-headers.ts'
import type { Field, RecordTypes } from './record-types.ts'
import { BuiltInSerde, type Serde } from './serde.ts'
import type { Bytes } from './topic-ref.ts'

/** One record of a topic. Immutable; `key`, `value` and `headers` are decoded when first read. */
export interface LogRecord<K = Bytes, V = Bytes, N extends string = string> {
  readonly topic: N
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970; −1 only in files that Kafka wrote without. */
  readonly timestamp: number
  readonly leaderEpoch: number
  /** @throws {LogError} `INVALID_RECORD` where it cannot be decoded; `keyBytes` has the bytes. */
  readonly key: K
  /** @throws {LogError} `INVALID_RECORD` where it cannot be decoded; `valueBytes` has the bytes. */
  readonly value: V
  /** The key as stored. Owned. */
  readonly keyBytes: Bytes
  /** The value as stored. Owned. */
  readonly valueBytes: Bytes
  readonly headers: RecordHeaders
  /**
   * What `JSON.stringify` and `console.log` show. Bytes are shown as text where they are UTF-8,
   * else as `base64:…`; so is a key or value that cannot be decoded.
   */
  toJSON(): {
    topic: N
    partition: number
    offset: number
    timestamp: number
    key: unknown
    value: unknown
    headers: readonly (readonly [string, string | null])[]
  }
}

/** What the records of one batch have in common, or those of them that share their memory. */
export interface StoredBatch {
  readonly types: RecordTypes
  readonly partition: number
  readonly leaderEpoch: number
  /** What the timestamps of its records count from. */
  readonly baseTimestamp: number
  /** Private, and never changed (record-memory.ts). */
  readonly memory: Buffer
  /** Of its only record, where the value is long: no other bytes; in `memory` it is empty then. */
  readonly longValue: Buffer | null
}

/** What few ask for, so that few records have room for it. */
interface Extras {
  keyBytes: Bytes | undefined
  valueBytes: Bytes | undefined
  headers: RecordHeaders | undefined
}

/** Stands for what was not decoded yet; undefined and null are values. */
const UNREAD: unique symbol = Symbol('unread')

/** Of the record that is being decoded: nothing runs between finding a field and taking it. */
const FIELDS = new RecordFields()

/** A record in private memory. */
export class StoredRecord implements LogRecord<unknown, unknown> {
  readonly #batch: StoredBatch
  readonly #offset: number
  readonly #timestampDelta: number
  readonly #fieldsStart: number
  #key: unknown = UNREAD
  #value: unknown = UNREAD
  #extras: Extras | undefined = undefined

  /** Of the record whose fields start at `fieldsStart` of the batch's memory. */
  constructor(batch: StoredBatch, offset: number, timestampDelta: number, fieldsStart: number) {
    this.#batch = batch
    this.#offset = offset
    this.#timestampDelta = timestampDelta
    this.#fieldsStart = fieldsStart
  }

  get topic(): string {
    return this.#batch.types.topic
  }

  get partition(): number {
    return this.#batch.partition
  }

  get offset(): number {
    return this.#offset
  }

  get timestamp(): number {
    return this.#batch.baseTimestamp + this.#timestampDelta
  }

  get leaderEpoch(): number {
    return this.#batch.leaderEpoch
  }

  get key(): unknown {
    if (this.#key === UNREAD) this.#key = this.#read('key')
    return this.#key
  }

  get value(): unknown {
    if (this.#value === UNREAD) this.#value = this.#read('value')
    return this.#value
  }

  get keyBytes(): Bytes {
    // `as`: without a serde the key is its bytes.
    if (this.#batch.types.key === null) return this.key as Bytes
    const extras = this.#more()
    if (extras.keyBytes === undefined) extras.keyBytes = this.#copyOf('key')
    return extras.keyBytes
  }

  get valueBytes(): Bytes {
    // `as`: without a serde the value is its bytes.
    if (this.#batch.types.value === null) return this.value as Bytes
    const extras = this.#more()
    if (extras.valueBytes === undefined) extras.valueBytes = this.#copyOf('value')
    return extras.valueBytes
  }

  get headers(): RecordHeaders {
    const { memory } = this.#batch
    FIELDS.read(memory, this.#fieldsStart)
    if (FIELDS.headerCount === 0) return NO_HEADERS
    const extras = this.#more()
    extras.headers ??= headersIn(memory, FIELDS.headersStart, FIELDS.headerCount)
    return extras.headers
  }

  toJSON(): ReturnType<LogRecord['toJSON']> {
    return {
      topic: this.topic,
      partition: this.partition,
      offset: this.offset,
      timestamp: this.timestamp,
      key: this.#shown('key'),
      value: this.#shown('value'),
      headers: shownHeaders(this.headers),
    }
  }

  #more(): Extras {
    this.#extras ??= { keyBytes: undefined, valueBytes: undefined, headers: undefined }
    return this.#extras
  }

  #read(field: Field): unknown {
    const { memory, types } = this.#batch
    FIELDS.read(memory, this.#fieldsStart)
    if (field === 'key') {
      const { keyStart, keyLength } = FIELDS
      if (types.key !== null) return this.#decode(field, types.key, memory, keyStart, keyLength)
      return keyLength < 0 ? null : ownedBytes(memory, keyStart, keyLength)
    }
    const { longValue } = this.#batch
    const { valueStart, valueLength } = FIELDS
    if (types.value === null) {
      if (longValue !== null) return longValue
      return valueLength < 0 ? null : ownedBytes(memory, valueStart, valueLength)
    }
    return longValue === null
      ? this.#decode(field, types.value, memory, valueStart, valueLength)
      : this.#decode(field, types.value, longValue, 0, longValue.length)
  }

  /** A typed record decodes from its memory at any time, so its bytes are copies (I3). */
  #copyOf(field: Field): Bytes {
    const { memory, longValue } = this.#batch
    const isKey = field === 'key'
    if (!isKey && longValue !== null) return Buffer.from(longValue)
    FIELDS.read(memory, this.#fieldsStart)
    const start = isKey ? FIELDS.keyStart : FIELDS.valueStart
    const byteLength = isKey ? FIELDS.keyLength : FIELDS.valueLength
    return byteLength < 0 ? null : Buffer.from(memory.subarray(start, start + byteLength))
  }

  #decode(
    field: Field,
    serde: Serde<unknown, unknown>,
    memory: Buffer,
    start: number,
    byteLength: number,
  ): unknown {
    if (byteLength < 0) {
      if (this.#batch.types.readsNull(field)) return null
      throw this.#undecodable(field, 'it is null, and its type has no null', undefined)
    }
    try {
      if (serde instanceof BuiltInSerde) return readWith(serde, memory, start, byteLength)
      // A serde of the user's may keep the bytes or write into them: it gets its own (I3).
      return serde.deserialize(Buffer.from(memory.subarray(start, start + byteLength)))
    } catch (error) {
      const own = LogError.is(error, 'INVALID_RECORD')
      const text = error instanceof Error ? error.message : describeValue(error)
      throw this.#undecodable(field, text, own ? error.cause : error)
    }
  }

  #undecodable(field: Field, why: string, cause: unknown): LogError<'INVALID_RECORD'> {
    return new LogError(
      'INVALID_RECORD',
      `${this.topic}-${this.partition}: the ${field} of the record at offset ${this.offset} ` +
        `cannot be decoded: ${why}. Its bytes are in record.${field}Bytes`,
      {},
      cause === undefined ? undefined : { cause },
    )
  }

  #shown(field: Field): unknown {
    let shown: unknown
    try {
      shown = this[field]
    } catch (error) {
      if (!LogError.is(error, 'INVALID_RECORD')) throw error
      shown = field === 'key' ? this.keyBytes : this.valueBytes
    }
    return Buffer.isBuffer(shown) ? shownBytes(shown) : shown
  }
}

/** What `console.log` shows. Its name is no part of the declared class: it is Node's own. */
Object.defineProperty(StoredRecord.prototype, inspect.custom, {
  value(this: StoredRecord, _depth: number, options: InspectOptions): string {
    return `LogRecord ${inspect(this.toJSON(), options)}`
  },
})

function readWith(
  serde: BuiltInSerde<unknown, unknown>,
  memory: Buffer,
  start: number,
  byteLength: number,
): unknown {
  return serde.decode(memory, start, start + byteLength)
}
