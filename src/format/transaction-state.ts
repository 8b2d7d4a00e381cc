/**
 * A record of `__transaction_state`: how far the transaction of a transactional id has come.
 *
 *   key    version int16, 0 | transactionalId STRING
 *   value  version int16, 0 | producerId int64 | producerEpoch int16 | timeoutMs int32
 *          | status int8
 *          | count int32, -1 for none, of { topic STRING | count int32 of partition int32 }
 *          | lastUpdateTimestampMs int64 | startTimestampMs int64
 *
 * STRING is an int16 length and UTF-8; all big-endian, as Kafka's TransactionLogKey and -Value.
 * Version 0 is written. Read is also version 1 of a value: strings and counts are compact, and
 * tagged fields follow each topic and the value. A null value takes the id back. Keys and values of
 * other versions are told apart, not read.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'
import { readInt64, writeInt32, writeInt64 } from './int64.ts'

/** Longest transactional id or topic in bytes: its length is an int16. */
export const MAX_TRANSACTION_STRING_BYTES = 0x7fff

/** How far a transaction can have come, by Kafka's numbers. */
export const TRANSACTION_STATUSES = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
] as const

/** How far a transaction has come. */
export type TransactionStatus = (typeof TRANSACTION_STATUSES)[number]

/** Partitions of one topic in a transaction. */
export interface TransactionTopic {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** What a value says. */
export interface TransactionState {
  readonly producerId: number
  readonly producerEpoch: number
  readonly timeoutMs: number
  readonly status: TransactionStatus
  /** Where it wrote, as far as it is told; null where there is no transaction (status `Empty`). */
  readonly topics: readonly TransactionTopic[] | null
  readonly lastUpdateTimestampMs: number
  /** -1 where no transaction has begun. */
  readonly startTimestampMs: number
}

/** What a stored value says. */
export interface StoredTransactionState extends TransactionState {
  /**
   * How the client spoke to Kafka's coordinator; 0 where that is not told. From 2 on (KIP-890) the
   * epoch of a decision, and of its markers, is one above that of the transaction's batches.
   */
  readonly clientTransactionVersion: number
}

const KEY_VERSION = 0
const VALUE_VERSION = 0
const FLEXIBLE_VERSION = 1
const ID_AT = 2
const PRODUCER_ID_AT = 2
const PRODUCER_EPOCH_AT = 10
const TIMEOUT_AT = 12
const STATUS_AT = 16
const TOPICS_AT = 17
const FIXED_BYTES = 37
const CLIENT_VERSION_TAG = 2
const MAX_UVARINT_BYTES = 5

/** The key of `transactionalId`, which fits its length. Owned. */
export function encodeTransactionKey(transactionalId: string): Buffer {
  const key = Buffer.allocUnsafe(ID_AT + stringBytes(transactionalId))
  key.writeInt16BE(KEY_VERSION, 0)
  writeString(key, ID_AT, transactionalId)
  return key
}

/** A value that says `state`; each topic fits its length. Owned. */
export function encodeTransactionValue(state: TransactionState): Buffer {
  const topics = state.topics ?? []
  let bytes = FIXED_BYTES
  for (const { topic, partitions } of topics)
    bytes += stringBytes(topic) + 4 + 4 * partitions.length
  const value = Buffer.allocUnsafe(bytes)
  value.writeInt16BE(VALUE_VERSION, 0)
  writeInt64(value, PRODUCER_ID_AT, state.producerId)
  value.writeInt16BE(state.producerEpoch, PRODUCER_EPOCH_AT)
  writeInt32(value, TIMEOUT_AT, state.timeoutMs)
  value.writeInt8(TRANSACTION_STATUSES.indexOf(state.status), STATUS_AT)
  writeInt32(value, TOPICS_AT, state.topics === null ? -1 : topics.length)
  let at = TOPICS_AT + 4
  for (const { topic, partitions } of topics) {
    at = writeString(value, at, topic)
    writeInt32(value, at, partitions.length)
    at += 4
    for (const partition of partitions) {
      writeInt32(value, at, partition)
      at += 4
    }
  }
  writeInt64(value, at, state.lastUpdateTimestampMs)
  writeInt64(value, at + 8, state.startTimestampMs)
  return value
}

/**
 * The transactional id of the key of `length` bytes at `at`; undefined for a key of another
 * version, which is another kind of record.
 *
 * @throws {CorruptBytes} `record` when its fields do not fit it.
 */
export function readTransactionKey(buffer: Buffer, at: number, length: number): string | undefined {
  const fields = new FieldReader(buffer, at, length)
  if (fields.readVersion() !== KEY_VERSION) return undefined
  return fields.readString()
}

/**
 * What the value of `length` bytes at `at` says; undefined for a version that is not known. Owned.
 *
 * @throws {CorruptBytes} `record` when its fields do not fit it, a partition is negative or its
 * status is none, `number` for an id or time beyond 2^53 - 1.
 */
export function readTransactionValue(
  buffer: Buffer,
  at: number,
  length: number,
): StoredTransactionState | undefined {
  const fields = new FieldReader(buffer, at, length)
  const version = fields.readVersion()
  if (version > FLEXIBLE_VERSION) return undefined
  fields.isFlexible = version === FLEXIBLE_VERSION
  const producerId = fields.readInt64()
  const producerEpoch = fields.readInt16()
  const timeoutMs = fields.readInt32()
  const status = TRANSACTION_STATUSES[fields.readInt8()]
  if (status === undefined) throw broken('its status is none', at)
  return {
    producerId,
    producerEpoch,
    timeoutMs,
    status,
    topics: readTopics(fields),
    lastUpdateTimestampMs: fields.readInt64(),
    startTimestampMs: fields.readInt64(),
    clientTransactionVersion: readClientVersion(fields),
  }
}

function readTopics(fields: FieldReader): readonly TransactionTopic[] | null {
  const count = fields.readCount()
  if (count < 0) return null
  const topics: TransactionTopic[] = []
  // Each of them takes bytes, so that a count beyond them ends at the end of the value.
  for (let index = 0; index < count; index++) {
    const topic = fields.readString()
    const partitions: number[] = []
    for (let left = fields.readCount(); left > 0; left--) partitions.push(fields.readPartition())
    fields.skipTags()
    topics.push({ topic, partitions })
  }
  return topics
}

/** Reads the tagged fields at the end of a value. */
function readClientVersion(fields: FieldReader): number {
  if (!fields.isFlexible) return 0
  let version = 0
  for (let left = fields.readUvarint(); left > 0; left--) {
    const tag = fields.readUvarint()
    const bytes = fields.readUvarint()
    const at = fields.skip(bytes)
    if (tag !== CLIENT_VERSION_TAG) continue
    if (bytes !== 2) throw broken('the version of its client does not fit it', at)
    version = fields.buffer.readInt16BE(at)
  }
  return version
}

/** Takes the fields of one key or value from its bytes, in order, and never beyond them. */
class FieldReader {
  readonly buffer: Buffer
  /** Whether strings and counts are compact and tagged fields follow. */
  isFlexible = false
  readonly #end: number
  #at: number

  constructor(buffer: Buffer, at: number, length: number) {
    this.buffer = buffer
    this.#at = at
    this.#end = at + length
  }

  readVersion(): number {
    const version = this.readInt16()
    if (version < 0) throw broken('its version is negative', this.#at - 2)
    return version
  }

  readInt8(): number {
    return this.buffer.readInt8(this.skip(1))
  }

  readInt16(): number {
    return this.buffer.readInt16BE(this.skip(2))
  }

  readInt32(): number {
    return this.buffer.readInt32BE(this.skip(4))
  }

  readInt64(): number {
    return readInt64(this.buffer, this.skip(8))
  }

  readPartition(): number {
    const partition = this.readInt32()
    if (partition < 0) throw broken('a partition is negative', this.#at - 4)
    return partition
  }

  /** Of an array; -1 for null. */
  readCount(): number {
    if (this.isFlexible) return this.readUvarint() - 1
    const count = this.readInt32()
    if (count < -1) throw broken('a count is negative', this.#at - 4)
    return count
  }

  readString(): string {
    const length = this.isFlexible ? this.readUvarint() - 1 : this.readInt16()
    if (length < 0) throw broken('a string is null', this.#at)
    const start = this.skip(length)
    return this.buffer.toString('utf8', start, start + length)
  }

  /** Seven bits a byte, low ones first. */
  readUvarint(): number {
    let value = 0
    for (let index = 0; index < MAX_UVARINT_BYTES; index++) {
      const byte = this.buffer.readUInt8(this.skip(1))
      value += (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) return value
    }
    throw broken('a count does not end', this.#at)
  }

  /** Passes over tagged fields, which only flexible versions have. */
  skipTags(): void {
    if (!this.isFlexible) return
    for (let left = this.readUvarint(); left > 0; left--) {
      this.readUvarint()
      this.skip(this.readUvarint())
    }
  }

  /** Passes over `bytes` bytes and returns where they began. */
  skip(bytes: number): number {
    const start = this.#at
    if (bytes > this.#end - start) throw broken('it ends before a field', start)
    this.#at = start + bytes
    return start
  }
}

function stringBytes(text: string): number {
  const bytes = Buffer.byteLength(text)
  assert(bytes <= MAX_TRANSACTION_STRING_BYTES, 'the length of a string fits an int16')
  return 2 + bytes
}

/** Writes a STRING at `at` and returns the position behind it. */
function writeString(target: Buffer, at: number, text: string): number {
  const bytes = target.write(text, at + 2)
  target.writeInt16BE(bytes, at)
  return at + 2 + bytes
}

function broken(why: string, position: number): CorruptBytes {
  return new CorruptBytes('record', `a transaction's state is broken: ${why}`, position)
}
