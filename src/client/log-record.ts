/**
 * LogRecord: one record as users read it, and the class behind it, which decodes on demand.
 *
 *   I1  immutable: getters over private fields; key, value and headers are decoded once, when asked
 *   I2  the chunk is private to its reader and never changes, so it can be decoded from at any time
 *   I3  bytes handed out are the user's: writing into them changes no other answer of this record
 *   I4  what cannot be decoded throws at each access, and only there: the record itself is sound
 * Hot: one object a record; no byte of it is looked at before somebody asks.
 */
import { inspect, type InspectOptions } from 'node:util'
import { LogError } from '../errors/log-error.ts'
import type { RecordBatchReader } from '../format/record-batch-reader.ts'
import { describeValue } from './check-options.ts'
import { ownedBytes, shownBytes } from './owned-bytes.ts'
import { headersIn, shownHeaders, type RecordHeaders } from './record-headers.ts'
import type { Field, RecordTypes } from './record-types.ts'
import { BuiltInSerde } from './serde.ts'
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

/** Stands for what was not decoded yet; undefined and null are values. */
const UNREAD: unique symbol = Symbol('unread')

/** A record in a private chunk. Positions are those of the chunk; a length of −1 is null. */
export class StoredRecord implements LogRecord<unknown, unknown> {
  readonly #types: RecordTypes
  readonly #partition: number
  readonly #offset: number
  readonly #timestamp: number
  readonly #leaderEpoch: number
  readonly #chunk: Buffer
  readonly #keyStart: number
  readonly #keyLength: number
  readonly #valueStart: number
  readonly #valueLength: number
  readonly #headersStart: number
  readonly #headerCount: number
  #key: unknown = UNREAD
  #value: unknown = UNREAD
  #keyBytes: Bytes | undefined = undefined
  #valueBytes: Bytes | undefined = undefined
  #headers: RecordHeaders | undefined = undefined

  constructor(
    types: RecordTypes,
    partition: number,
    offset: number,
    timestamp: number,
    leaderEpoch: number,
    chunk: Buffer,
    keyStart: number,
    keyLength: number,
    valueStart: number,
    valueLength: number,
    headersStart: number,
    headerCount: number,
  ) {
    this.#types = types
    this.#partition = partition
    this.#offset = offset
    this.#timestamp = timestamp
    this.#leaderEpoch = leaderEpoch
    this.#chunk = chunk
    this.#keyStart = keyStart
    this.#keyLength = keyLength
    this.#valueStart = valueStart
    this.#valueLength = valueLength
    this.#headersStart = headersStart
    this.#headerCount = headerCount
  }

  /** The record that `reader` is at. */
  static at(reader: RecordBatchReader, types: RecordTypes, partition: number): StoredRecord {
    return new StoredRecord(
      types,
      partition,
      reader.offset,
      reader.timestamp,
      reader.leaderEpoch,
      reader.buffer,
      reader.keyStart,
      reader.keyLength,
      reader.valueStart,
      reader.valueLength,
      reader.headersStart,
      reader.headerCount,
    )
  }

  /** As `at`, from a copy of the record's own bytes: the reader's may be gone at the next call. */
  static copyAt(reader: RecordBatchReader, types: RecordTypes, partition: number): StoredRecord {
    const { buffer, keyStart, headersEnd } = reader
    // Its fields follow on each other, the first one from the key's place on.
    const chunk = Buffer.from(buffer.subarray(keyStart, headersEnd))
    return new StoredRecord(
      types,
      partition,
      reader.offset,
      reader.timestamp,
      reader.leaderEpoch,
      chunk,
      0,
      reader.keyLength,
      reader.valueStart - keyStart,
      reader.valueLength,
      reader.headersStart - keyStart,
      reader.headerCount,
    )
  }

  get topic(): string {
    return this.#types.topic
  }

  get partition(): number {
    return this.#partition
  }

  get offset(): number {
    return this.#offset
  }

  get timestamp(): number {
    return this.#timestamp
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  get key(): unknown {
    if (this.#key === UNREAD) {
      this.#key =
        this.#types.key === null
          ? this.keyBytes
          : this.#decode('key', this.#keyStart, this.#keyLength)
    }
    return this.#key
  }

  get value(): unknown {
    if (this.#value === UNREAD) {
      this.#value =
        this.#types.value === null
          ? this.valueBytes
          : this.#decode('value', this.#valueStart, this.#valueLength)
    }
    return this.#value
  }

  get keyBytes(): Bytes {
    this.#keyBytes ??= this.#bytes(this.#types.key !== null, this.#keyStart, this.#keyLength)
    return this.#keyBytes
  }

  get valueBytes(): Bytes {
    this.#valueBytes ??= this.#bytes(
      this.#types.value !== null,
      this.#valueStart,
      this.#valueLength,
    )
    return this.#valueBytes
  }

  get headers(): RecordHeaders {
    this.#headers ??= headersIn(this.#chunk, this.#headersStart, this.#headerCount)
    return this.#headers
  }

  toJSON(): ReturnType<LogRecord['toJSON']> {
    return {
      topic: this.#types.topic,
      partition: this.#partition,
      offset: this.#offset,
      timestamp: this.#timestamp,
      key: this.#shown('key'),
      value: this.#shown('value'),
      headers: shownHeaders(this.headers),
    }
  }

  /** A typed record decodes from the chunk at any time, so its bytes are copies (I3). */
  #bytes(typed: boolean, start: number, byteLength: number): Bytes {
    if (byteLength < 0) return null
    if (typed) return Buffer.from(this.#chunk.subarray(start, start + byteLength))
    return ownedBytes(this.#chunk, start, byteLength)
  }

  #decode(field: Field, start: number, byteLength: number): unknown {
    const types = this.#types
    const serde = types[field]
    if (byteLength < 0) {
      if (types.readsNull(field)) return null
      throw this.#undecodable(field, 'it is null, and its type has no null', undefined)
    }
    try {
      if (serde instanceof BuiltInSerde) return readWith(serde, this.#chunk, start, byteLength)
      // A serde of the user's may keep the bytes or write into them: it gets its own (I3).
      return serde?.deserialize(Buffer.from(this.#chunk.subarray(start, start + byteLength)))
    } catch (error) {
      const own = LogError.is(error, 'INVALID_RECORD')
      const text = error instanceof Error ? error.message : describeValue(error)
      throw this.#undecodable(field, text, own ? error.cause : error)
    }
  }

  #undecodable(field: Field, why: string, cause: unknown): LogError<'INVALID_RECORD'> {
    return new LogError(
      'INVALID_RECORD',
      `${this.topic}-${this.#partition}: the ${field} of the record at offset ${this.#offset} ` +
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
  chunk: Buffer,
  start: number,
  byteLength: number,
): unknown {
  return serde.decode(chunk, start, start + byteLength)
}
