/**
 * JSON objects that carry a checksum of themselves, as our own small files do.
 *
 *   { "any": "members", …, "crc": 3808858755 }
 *
 * `crc` is the CRC-32C of the UTF-8 bytes of the object's canonical text without `crc`: no white
 * space, members sorted by the UTF-16 code units of their names at every level, strings and numbers
 * as JSON.stringify writes them. So neither indentation nor the order of members counts. This
 * definition holds for every format version: a version has to be read before it can be refused.
 */
import { crc32c } from '../format/crc32c.ts'

/** An object as JSON.parse gives it.. */
export type JsonObject = Readonly<Record<string, unknown>>

/** True for what is an object in JSON, and no array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object of `members` without a prototype, so that a member may have any name. */
export function jsonObject(members: Iterable<readonly [name: string, value: unknown]>): JsonObject {
  const object = Object.create(null) as Record<string, unknown> // `as`: it has no members yet
  for (const [name, value] of members) object[name] = value
  return object
}

/** Canonical texts of objects that never change, for whoever seals most of them again. */
export type KnownTexts = WeakMap<object, string>

/** `members` with their `crc` behind them; texts of objects that are in `known` are taken. */
export function sealed(members: JsonObject, known?: KnownTexts): JsonObject {
  return jsonObject([...Object.entries(members), ['crc', checksumOf(members, known)]])
}

/** The members without `crc`; undefined where `value` is no sealed object, or was changed. */
export function unsealed(value: unknown): JsonObject | undefined {
  if (!isJsonObject(value)) return undefined
  const members = jsonObject(Object.entries(value).filter(([name]) => name !== 'crc'))
  try {
    return value['crc'] === checksumOf(members) ? members : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined // Nested deeper than any stack: not from us.
    throw error
  }
}

/** What a text says; undefined where it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** The canonical text that the checksum covers; see the header. */
export function canonicalJson(value: unknown, known?: KnownTexts): string {
  if (Array.isArray(value))
    return `[${value.map((entry) => canonicalJson(entry, known)).join(',')}]`
  if (!isJsonObject(value)) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${textOf(member, known)}`)
  return `{${members.join(',')}}`
}

function textOf(value: unknown, known: KnownTexts | undefined): string {
  return (isJsonObject(value) ? known?.get(value) : undefined) ?? canonicalJson(value, known)
}

function checksumOf(members: JsonObject, known?: KnownTexts): number {
  const bytes = Buffer.from(canonicalJson(members, known))
  return crc32c(bytes, 0, bytes.byteLength)
}
