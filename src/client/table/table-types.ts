/**
 * TableTypes: what a table's user gives and gets: keys to bytes, bytes to keys and values.
 *
 *   I1  a key is looked for by the bytes that storing it as it is read would give: a schema is not
 *       asked again, since what it put out is what keys are
 *   I2  what comes out is the user's: nothing in it is the table's memory
 */
import { LogError } from '../../errors/log-error.ts'
import { describeValue } from '../check-options.ts'
import type { Field, RecordTypes } from '../record-types.ts'
import { BuiltInSerde, serdes, type EncodedValue } from '../serde.ts'

const SCRATCH_BYTES = 4_096
/** A character of a string takes so many bytes at most. */
const BYTES_PER_CHARACTER = 3

/** Where a record is, as messages name it. */
export interface RecordPlace {
  readonly partition: number
  readonly offset: number
}

/** Keys and values of one table. */
export class TableTypes {
  readonly #types: RecordTypes
  readonly #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  /** Of the key looked for last: where its bytes are, from 0 up to `end`. Borrowed. */
  bytes: Uint8Array = this.#scratch
  end = 0

  constructor(types: RecordTypes) {
    this.#types = types
  }

  /**
   * Encodes a key into `bytes`; false for null, which no key is.
   * @throws {LogError} INVALID_RECORD or INVALID_ARGUMENT for what no key of the topic can be.
   */
  encode(key: unknown): boolean {
    const { key: serde } = this.#types
    if (serde === null && (key === null || key === undefined)) return false
    const output = serde instanceof BuiltInSerde && serde.schema !== undefined
    const encoded = output ? this.#json(key) : this.#types.encodeKey(key)
    if (typeof encoded === 'string') this.#encodeText(encoded)
    else if (encoded === null || encoded instanceof Promise) return false
    else {
      this.bytes = encoded
      this.end = encoded.length
    }
    return true
  }

  /** @throws {LogError} INVALID_RECORD where the bytes are no key of the topic's type. */
  key(buffer: Buffer, start: number, end: number, place: RecordPlace): unknown {
    return this.#decode('key', buffer, start, end, place)
  }

  /** @throws {LogError} INVALID_RECORD where the bytes are no value of the topic's type. */
  value(buffer: Buffer, start: number, end: number, place: RecordPlace): unknown {
    return this.#decode('value', buffer, start, end, place)
  }

  #json(key: unknown): EncodedValue {
    try {
      return JSON_SERDE.serialize(key)
    } catch (error) {
      throw this.#types.refused('key', error)
    }
  }

  #encodeText(text: string): void {
    if (text.length * BYTES_PER_CHARACTER <= SCRATCH_BYTES) {
      this.bytes = this.#scratch
      this.end = this.#scratch.write(text)
    } else {
      this.bytes = Buffer.from(text)
      this.end = this.bytes.length
    }
  }

  #decode(field: Field, buffer: Buffer, start: number, end: number, place: RecordPlace): unknown {
    const serde = this.#types[field]
    if (serde === null) return Buffer.from(buffer.subarray(start, end))
    try {
      if (serde instanceof BuiltInSerde) return serde.decode(buffer, start, end)
      return serde.deserialize(Buffer.from(buffer.subarray(start, end)))
    } catch (error) {
      const cause = LogError.is(error, 'INVALID_RECORD') ? error.cause : error
      const text = error instanceof Error ? error.message : describeValue(error)
      throw new LogError(
        'INVALID_RECORD',
        `${this.#types.topic}-${place.partition}: the ${field} of the record at offset ` +
          `${place.offset} cannot be decoded: ${text}`,
        {},
        cause === undefined ? undefined : { cause },
      )
    }
  }
}

const JSON_SERDE = serdes.json()
