/**
 * Records of every kind that a log tells apart: null, empty and filled keys and values, text of
 * several scripts, bytes that are no text, headers that repeat or have no value, timestamps that go
 * back and forth. Made by counting: the same number gives the same record in every process.
 */
import type { LogRecord, RecordInput } from '../../src/index.ts'
import type { PlainRecord, RecordToSend } from './kafka-driver.ts'

const FIRST_TIMESTAMP = 1_700_000_000_000
const KEYS: readonly (string | null)[] = ['order', null, '', 'Kraków', '顧客', '🚚', 'a\nb\tc: d']

/** Record number `number` as Kafka and we compare it, without its offset. */
export function sampleRecord(number: number): Omit<PlainRecord, 'offset'> {
  const key = KEYS[number % KEYS.length] ?? null
  return {
    // Every seventh is older than the one before it.
    timestamp: FIRST_TIMESTAMP + number * 10 - (number % 7 === 3 ? 500 : 0),
    key: key === null || key === '' ? hexOf(key) : hexOf(`${key}-${number}`),
    value: sampleValue(number),
    headers: sampleHeaders(number),
  }
}

/** The record as input of an append. */
export function recordInput(record: Omit<PlainRecord, 'offset'>): RecordInput {
  return {
    timestamp: record.timestamp,
    key: bytesOf(record.key),
    value: bytesOf(record.value),
    headers: record.headers.map(([name, value]) => [name, bytesOf(value)] as const),
  }
}

/** Records `from` to `to` for a broker, each with a key where the topic is to be compacted. */
export function recordsToSend(
  place: { readonly topic: string; readonly partition?: number },
  from: number,
  to: number,
): readonly RecordToSend[] {
  const records: RecordToSend[] = []
  const { topic, partition = 0 } = place
  for (let number = from; number < to; number += 1) {
    records.push({ topic, partition, ...sampleRecord(number) })
  }
  return records
}

/** A record that was read, as it is compared. */
export function plainRecord(record: LogRecord): PlainRecord {
  const headers = [...record.headers].map(([name, value]) => [name, hexOf(value)] as const)
  const { offset, timestamp, key, value } = record
  return { offset, timestamp, key: hexOf(key), value: hexOf(value), headers }
}

function sampleValue(number: number): string | null {
  if (number % 11 === 5) return null
  if (number % 11 === 6) return ''
  // Neither text nor easy to compress, in lengths around those where a varint grows.
  const bytes = Buffer.alloc(50 + ((number * 37) % 150))
  for (let at = 0, state = number + 1; at < bytes.length; at += 1) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    bytes[at] = state >>> 16
  }
  return number % 2 === 0 ? hexOf(bytes) : hexOf('value '.repeat(number % 40))
}

function sampleHeaders(number: number): PlainRecord['headers'] {
  if (number % 3 !== 0) return []
  return [
    ['trace', hexOf(`trace-${number}`)],
    ['trace', hexOf('')],
    ['źródło', hexOf('源')],
    ['none', null],
  ]
}

function hexOf(bytes: string | Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('hex')
}

function bytesOf(hex: string | null): Buffer | null {
  return hex === null ? null : Buffer.from(hex, 'hex')
}
