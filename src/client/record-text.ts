/**
 * A record as a line of text for people: JSON, what is UTF-8 as text and what is not as base64.
 *
 *   {"partition":0,"offset":12,"timestamp":1767225600000,"key":"o-1","value":"twelve","headers":[]}
 *   {… "key":"AAE=","keyEncoding":"base64","value":"/w==","encoding":"base64",
 *       "headers":[{"name":"trace","value":"/w==","encoding":"base64"}]}
 *
 * Pure, and exact: the key, value, headers, timestamp and partition of a record are read again as
 * they were, byte for byte. Keys, values and values of headers may be null.
 */
import { isUtf8 } from 'node:buffer'
import { isJsonObject, parseJson, type JsonObject } from '../storage/sealed-json.ts'
import type { Bytes } from './topic-ref.ts'

/** A record that a line says. */
export interface TextRecord {
  /** Undefined where the line names none. */
  readonly partition: number | undefined
  /** Undefined where the line has none, or the record had none. */
  readonly timestamp: number | undefined
  readonly key: Bytes
  readonly value: Bytes
  readonly headers: readonly (readonly [string, Bytes])[]
}

/** A record to be written as a line. */
export interface WritableRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly keyBytes: Bytes
  readonly valueBytes: Bytes
  readonly headers: Iterable<readonly [string, Bytes]>
}

const MEMBERS: ReadonlySet<string> = new Set([
  'partition',
  'offset',
  'timestamp',
  'key',
  'keyEncoding',
  'value',
  'encoding',
  'headers',
])
const HEADER_MEMBERS: ReadonlySet<string> = new Set(['name', 'value', 'encoding'])
const LONE_SURROGATE = /\p{Surrogate}/u

/** The line of a record, with the end of the line. */
export function lineOf(record: WritableRecord): string {
  const { partition, offset, timestamp, keyBytes, valueBytes } = record
  const key = textOf(keyBytes)
  const members = {
    partition,
    offset,
    timestamp,
    key: key.text,
    ...(key.isBase64 ? { keyEncoding: 'base64' } : {}),
    ...valueMembers(valueBytes),
    headers: Array.from(record.headers, ([name, value]) => ({ name, ...valueMembers(value) })),
  }
  return `${JSON.stringify(members)}\n`
}

/** What a line says, or why it says no record. */
export function recordOf(line: string): TextRecord | string {
  const members = parseJson(line)
  if (!isJsonObject(members)) return 'it is no JSON object'
  const unknown = Object.keys(members).find((name) => !MEMBERS.has(name))
  if (unknown !== undefined) return `'${unknown}' is no member of a record`
  if (members['value'] === undefined) return "it has no 'value': null where the record has none"
  const { partition, timestamp, offset } = members
  if (!isCount(partition, 0)) return "'partition' is an integer from 0 on"
  if (!isCount(offset, 0)) return "'offset' is an integer from 0 on"
  if (!isCount(timestamp, -1)) return "'timestamp' is milliseconds since 1970, an integer"
  const key = bytesOf(members, 'key', 'keyEncoding')
  if (typeof key === 'string') return key
  const value = bytesOf(members, 'value', 'encoding')
  if (typeof value === 'string') return value
  const headers = headersOf(members['headers'])
  if (typeof headers === 'string') return headers
  return { partition, timestamp: timestamp === -1 ? undefined : timestamp, key, value, headers }
}

function valueMembers(bytes: Bytes): { value: string | null; encoding?: 'base64' } {
  const { text, isBase64 } = textOf(bytes)
  return isBase64 ? { value: text, encoding: 'base64' } : { value: text }
}

function textOf(bytes: Bytes): { readonly text: string | null; readonly isBase64: boolean } {
  if (bytes === null) return { text: null, isBase64: false }
  const isBase64 = !isUtf8(bytes)
  return { text: bytes.toString(isBase64 ? 'base64' : 'utf8'), isBase64 }
}

/** The bytes of a member, or what is wrong with it. */
function bytesOf(members: JsonObject, name: string, encodingName: string): Bytes | string {
  const text = members[name] ?? null
  const encoding = members[encodingName]
  if (encoding !== undefined && encoding !== 'base64' && encoding !== 'utf8') {
    return `'${encodingName}' is 'base64' or 'utf8'`
  }
  if (text === null) return null
  if (typeof text !== 'string') return `'${name}' is a string or null; JSON goes in as text`
  if (encoding !== 'base64') {
    return LONE_SURROGATE.test(text) ? `'${name}' has half a character` : Buffer.from(text)
  }
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : `'${name}' is no base64`
}

function headersOf(value: unknown): TextRecord['headers'] | string {
  if (value === undefined) return []
  if (!Array.isArray(value)) return "'headers' is a list of { name, value }"
  const headers: (readonly [string, Bytes])[] = []
  const list: readonly unknown[] = value
  for (const header of list) {
    if (!isJsonObject(header)) return 'a header is an object { name, value }'
    const unknown = Object.keys(header).find((name) => !HEADER_MEMBERS.has(name))
    if (unknown !== undefined) return `'${unknown}' is no member of a header`
    const { name } = header
    if (typeof name !== 'string') return "the 'name' of a header is a string"
    if (LONE_SURROGATE.test(name)) return "the 'name' of a header has half a character"
    const bytes = bytesOf(header, 'value', 'encoding')
    if (typeof bytes === 'string') return `header '${name}': ${bytes}`
    headers.push([name, bytes])
  }
  return headers
}

function isCount(value: unknown, min: number): value is number | undefined {
  if (value === undefined) return true
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min
}
