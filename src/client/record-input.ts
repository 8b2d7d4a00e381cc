/**
 * RecordInput: a record as users write it, read once, checked, and put through its serdes: what the
 * batch builder and the partitioner need of it.
 *
 *   I1  each property is read exactly once, so that a getter cannot show two faces
 *   I2  everything is read and checked before any byte is encoded: a refused record changes nothing
 *   I3  a `PreparedRecord` may borrow bytes of the user's; they are good until the call returns
 *       (`keepBytes` for records that wait)
 * Hot: reading a plain record into a reused `PreparedRecord` allocates nothing.
 */
import { LogError, invalidArgument } from '../errors/log-error.ts'
import type { FlatHeaders } from '../format/record.ts'
import { describeValue, isArray, unknownName } from './check-options.ts'
import { readHeadersInput, withOwnValues, type HeadersInput } from './record-headers.ts'
import type { RecordTypes } from './record-types.ts'
import { isBytes, type EncodedValue } from './serde.ts'
import type { BytesInput } from './topic-ref.ts'

/** A record to append. `key` and `value` are required where their type has no null. */
export type RecordInput<K = BytesInput, V = BytesInput> = (null extends K
  ? { readonly key?: K | undefined }
  : { readonly key: K }) &
  (null extends V ? { readonly value?: V | undefined } : { readonly value: V }) & {
    readonly headers?: HeadersInput | undefined
    /** Milliseconds since 1970; the time of the call where it is absent (`enqueue`: nearly). */
    readonly timestamp?: number | undefined
  }

/** A record to send: the partitioner places it, unless `partition` does. */
export type SendInput<K = BytesInput, V = BytesInput> = RecordInput<K, V> & {
  readonly partition?: number | undefined
}

/** A record of bytes that names its topic. */
export type TopicRecord = SendInput & { readonly topic: string }

/** What a record may hold: `append` knows the partition, `send` the topic, a producer neither. */
export type InputKind = 'append' | 'send' | 'topic-record'

/** `partition` of a `PreparedRecord` that the partitioner is to place. */
export const UNPLACED = -1

const INPUT_NAMES: Readonly<Record<InputKind, readonly string[]>> = {
  append: ['key', 'value', 'headers', 'timestamp'],
  send: ['key', 'value', 'headers', 'timestamp', 'partition'],
  'topic-record': ['topic', 'key', 'value', 'headers', 'timestamp', 'partition'],
}

/** A record ready to be placed and encoded. Reused: it changes with the next one read into it. */
export class PreparedRecord {
  key: EncodedValue | null = null
  value: EncodedValue | null = null
  headers: FlatHeaders | null = null
  timestamp = 0
  /** UNPLACED where the user named none. */
  partition: number = UNPLACED
  /** Key and value as the user gave them, for partitioners. */
  keyInput: unknown = null
  valueInput: unknown = null

  /** Copies what is still the user's, so that the record can wait. */
  keepBytes(): void {
    const { key, value, headers } = this
    if (key !== null && typeof key !== 'string') this.key = Buffer.from(key)
    if (value !== null && typeof value !== 'string') this.value = Buffer.from(value)
    if (headers !== null) this.headers = withOwnValues(headers)
  }

  /** Forgets everything, so that a reused record keeps nothing of the user's alive. */
  clear(): void {
    this.key = null
    this.value = null
    this.headers = null
    this.keyInput = null
    this.valueInput = null
  }
}

/** The properties of an input, whose names were checked and whose values were not. */
interface RawInput {
  readonly key?: unknown
  readonly value?: unknown
  readonly headers?: unknown
  readonly timestamp?: unknown
  readonly partition?: unknown
}

/**
 * Reads one record of `kind` into `into`, where nothing can be awaited. `nowMs` is the timestamp of
 * a record without one.
 *
 * @throws {LogError} `INVALID_ARGUMENT` for an unknown property or a value of the wrong type,
 * `INVALID_RECORD` where a serde or schema refuses, null may not stand, or a schema is
 * asynchronous, `PARTITION_NOT_FOUND` for a negative partition. What is in `into` then is unusable.
 */
export function prepareNow(
  input: unknown,
  types: RecordTypes,
  kind: InputKind,
  nowMs: number,
  into: PreparedRecord,
): void {
  const pending = prepare(input, types, kind, nowMs, into)
  if (pending === undefined) return
  pending.catch(() => {}) // It is refused here: what the schema answers later is no news.
  throw new LogError(
    'INVALID_RECORD',
    `${types.topic}: a schema of this topic is asynchronous: append cannot await it, send does`,
    {},
  )
}

/**
 * As `prepareNow`, but an asynchronous schema is awaited: then the result is a promise, and `into`,
 * which holds copies of the user's bytes, belongs to it until it resolves. Else the result is
 * undefined, and the record is ready.
 */
export function prepare(
  input: unknown,
  types: RecordTypes,
  kind: InputKind,
  nowMs: number,
  into: PreparedRecord,
): Promise<void> | undefined {
  checkNames(input, kind, types.topic)
  const { key, value, headers, timestamp, partition } = input
  if (key === undefined && value === undefined) checkPlain(input, types.topic)
  into.timestamp = timestamp === undefined ? nowMs : checkTimestamp(timestamp, types.topic)
  into.partition =
    partition === undefined || kind === 'append'
      ? UNPLACED
      : checkNamedPartition(partition, types.topic)
  into.headers = headers === undefined ? null : readHeadersInput(headers, types.topic)
  into.keyInput = key
  into.valueInput = value
  if (!types.isUntyped) return prepareTyped(key, value, types, into)
  into.key = types.untypedKey(key)
  into.value = types.untypedValue(value)
  return undefined
}

/** Puts key and value through their serdes, either of which may have a schema that thinks. */
function prepareTyped(
  key: unknown,
  value: unknown,
  types: RecordTypes,
  into: PreparedRecord,
): Promise<void> | undefined {
  const encodedKey = types.encodeKey(key)
  // Handled from here on: the value may be refused while the key's schema still thinks.
  if (encodedKey instanceof Promise) encodedKey.catch(() => {})
  const encodedValue = types.encodeValue(value)
  if (encodedKey instanceof Promise || encodedValue instanceof Promise) {
    return prepareLater(encodedKey, encodedValue, into)
  }
  into.key = encodedKey
  into.value = encodedValue
  return undefined
}

/**
 * The topic that a record of a producer names, read once.
 * @throws {LogError} `INVALID_ARGUMENT`, with a hint for those who come from other clients.
 */
export function topicOf(record: unknown): string {
  checkNames(record, 'topic-record', 'send')
  const { topic } = record as { readonly topic?: unknown } // an object, see checkNames
  if (typeof topic === 'string') return topic
  throw invalidArgument(
    `send: topic is the name of a topic, not ${describeValue(topic)}; with a definition or a ` +
      'handle, send(topic, record)',
    { topic },
  )
}

async function prepareLater(
  key: EncodedValue | null | Promise<EncodedValue>,
  value: EncodedValue | null | Promise<EncodedValue>,
  into: PreparedRecord,
): Promise<void> {
  into.key = key instanceof Promise ? null : key
  into.value = value instanceof Promise ? null : value
  into.keepBytes()
  const [settledKey, settledValue] = await Promise.all([key, value])
  if (key instanceof Promise) into.key = settledKey
  if (value instanceof Promise) into.value = settledValue
}

/** Refuses what is no object, and properties that a record of `kind` does not have. */
function checkNames(input: unknown, kind: InputKind, where: string): asserts input is RawInput {
  if (typeof input !== 'object' || input === null || isArray(input)) throw noRecord(input, where)
  for (const name in input) {
    switch (name) {
      case 'key':
      case 'value':
      case 'headers':
      case 'timestamp':
        continue
      case 'partition':
        if (kind !== 'append') continue
        break
      case 'topic':
        if (kind === 'topic-record') continue
        break
    }
    throw refusedName(input, name, kind, where)
  }
}

function refusedName(
  input: object,
  name: string,
  kind: InputKind,
  where: string,
): LogError<'INVALID_ARGUMENT'> {
  if (isBytes(input)) return noRecord(input, where)
  if (name === 'messages') {
    return invalidArgument(
      `${where}: a record has no 'messages': send({ topic, key, value }) sends one record, ` +
        'sendAll([{ topic, key, value }, …]) several',
      { property: name, nearest: 'sendAll', known: INPUT_NAMES[kind] },
    )
  }
  return unknownName('property', name, INPUT_NAMES[kind], `${where}: a record`)
}

/** An object without key and value is a record only when it is plain: no promise, map or date. */
function checkPlain(input: object, where: string): void {
  if ('key' in input || 'value' in input) return
  const prototype: unknown = Object.getPrototypeOf(input)
  if (typeof prototype !== 'object' || prototype === null) return
  // Object.prototype, of whichever realm, is the one that ends a chain.
  if (Object.getPrototypeOf(prototype) !== null) throw noRecord(input, where)
}

function noRecord(input: unknown, where: string): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(
    `${where}: a record is an object { key, value, headers, timestamp }, not ${describeValue(input)}`,
    { record: input },
  )
}

function checkTimestamp(timestamp: unknown, where: string): number {
  if (typeof timestamp === 'number' && Number.isSafeInteger(timestamp) && timestamp >= 0) {
    return timestamp
  }
  const hint = timestamp instanceof Date ? '; give date.getTime()' : ''
  throw invalidArgument(
    `${where}: timestamp is an integer of milliseconds from 0, not ${describeValue(timestamp)}${hint}`,
    { timestamp },
  )
}

function checkNamedPartition(partition: unknown, topic: string): number {
  if (typeof partition !== 'number' || !Number.isSafeInteger(partition)) {
    throw invalidArgument(`${topic}: partition is an integer, not ${describeValue(partition)}`, {
      partition,
    })
  }
  if (partition >= 0) return partition
  throw new LogError(
    'PARTITION_NOT_FOUND',
    `${topic}: there is no partition ${partition}: leave it out to have the partitioner choose`,
    { topic, partition },
  )
}
