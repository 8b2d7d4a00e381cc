/**
 * Records as plain objects, for the matchers of any test framework, and a matcher of our own that
 * needs none. Reads what the topic holds at the call, and blocks while it does.
 */
import { AssertionError } from 'node:assert'
import { isDeepStrictEqual } from 'node:util'
import type { LogRecord } from '../client/log-record.ts'
import type { Anything } from '../client/standard-schema.ts'
import type { Topic } from '../client/topic.ts'

/** A record with nothing but its data: bytes as UTF-8 text, of repeated headers the last. */
export interface PlainRecord<K = string | null, V = string | null> {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: K
  readonly value: V
  readonly headers: Readonly<Record<string, string | null>>
}

/** A key or value in a `PlainRecord`: text where the topic has bytes. */
export type Plain<T> = Buffer extends T ? string | null : T

/** What `expectRecords` gives: each throws an AssertionError where it does not hold. */
export interface RecordExpectations<K, V> {
  /** As many records, in that order; of each, only the fields given are compared. */
  toMatch(records: readonly Partial<PlainRecord<Plain<K>, Plain<V>>>[]): void
  /** No record. */
  toBeEmpty(): void
}

/**
 * All records of a topic as plain objects: partition by partition, in offset order.
 *
 * @example
 * ```ts
 * const { log } = testLog()
 * const orders = await log.createTopic('orders')
 * await orders.send({ key: 'o-1', value: 'paid' })
 * console.log(recordsOf(orders)[0]?.value) // paid
 * ```
 */
export function recordsOf<K, V>(
  topic: Topic<K, V, Anything, Anything, Anything>,
): PlainRecord<Plain<K>, Plain<V>>[] {
  const records: PlainRecord<Plain<K>, Plain<V>>[] = []
  for (const partition of topic.partitions) {
    for (const record of partition.records()) records.push(plainRecord(record))
  }
  return records
}

/**
 * Compares what a topic holds with what a test expects.
 *
 * @example
 * ```ts
 * const { log } = testLog()
 * const orders = await log.createTopic('orders')
 * await orders.send({ key: 'o-1', value: 'paid' })
 * expectRecords(orders).toMatch([{ key: 'o-1', value: 'paid' }])
 * ```
 */
export function expectRecords<K, V>(
  topic: Topic<K, V, Anything, Anything, Anything>,
): RecordExpectations<K, V> {
  return {
    toMatch(expected) {
      const records = recordsOf(topic)
      const actual = records.map((record, index) => fieldsOf(record, expected[index] ?? record))
      if (isDeepStrictEqual(actual, expected.map(definedFields))) return
      const found = `${records.length} record${records.length === 1 ? '' : 's'}`
      throw new AssertionError({
        message: `the records of ${topic.name} are not the expected ones (it holds ${found})`,
        actual,
        expected,
        operator: 'toMatch',
      })
    },
    toBeEmpty() {
      const actual = recordsOf(topic)
      if (actual.length === 0) return
      throw new AssertionError({
        message: `${topic.name} holds ${actual.length} records, expected none`,
        actual,
        expected: [],
        operator: 'toBeEmpty',
      })
    },
  }
}

function plainRecord<K, V>(record: LogRecord<K, V, Anything>): PlainRecord<Plain<K>, Plain<V>> {
  const headers = [...record.headers].map(
    ([name, value]) => [name, value?.toString() ?? null] as const,
  )
  return {
    topic: String(record.topic),
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key: plain(record.key),
    value: plain(record.value),
    headers: Object.fromEntries(headers),
  }
}

function plain<T>(value: T): Plain<T> {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString() : value
  return text as Plain<T> // Bytes became text, as Plain says; all else stays what it is.
}

/** Of `record`, the fields that `wanted` has. */
function fieldsOf(record: object, wanted: object): object {
  const fields = Object.keys(definedFields(wanted))
  return Object.fromEntries(Object.entries(record).filter(([name]) => fields.includes(name)))
}

function definedFields(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
}
