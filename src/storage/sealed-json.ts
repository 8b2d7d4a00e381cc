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
import { crc32c, extendCrc32c } from '../format/crc32c.ts'

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

const CLOSING_BRACE = Buffer.from('}')

/** Canonical texts of objects that never change, for whoever seals most of them again. */
export type KnownTexts = WeakMap<object, string>

/** `members` with their `crc` behind them; texts of objects that are in `known` are taken. */
export function sealed(members: JsonObject, known?: KnownTexts): JsonObject {
  return jsonObject([...Object.entries(members), ['crc', checksumOf(members, known)]])
}

/**
 * As `sealed`, as a text that has the canonical one of `members`, of which there are some, in it:
 * `isSealedText` needs no more than its bytes.
 */
export function sealedText(members: JsonObject): string {
  const text = canonicalJson(members)
  const bytes = Buffer.from(text)
  return `${text.slice(0, -1)}${crcText(crc32c(bytes, 0, bytes.byteLength))}`
}

/**
 * True where `bytes` are those of a `sealedText` with the checksum `crc`. Where they are not, the
 * object may be a sealed one all the same: in another order, say.
 */
export function isSealedText(bytes: Buffer, crc: unknown): boolean {
  if (typeof crc !== 'number') return false
  const end = Buffer.from(crcText(crc))
  const membersEnd = bytes.length - end.length
  if (membersEnd < 0 || !bytes.subarray(membersEnd).equals(end)) return false
  return extendCrc32c(crc32c(bytes, 0, membersEnd), CLOSING_BRACE) === crc
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
  if (Array.isArray(value)) return arrayText(value, known)
  if (!isJsonObject(value)) return JSON.stringify(value) ?? 'null'
  // Added up, not joined: a clean marker has ten members for each of thousands of segments.
  let text = ''
  for (const name of Object.keys(value).sort()) {
    const member = value[name]
    if (member === undefined) continue
    text += `${text === '' ? '' : ','}${nameText(name)}${textOf(member, known)}`
  }
  return `{${text}}`
}

function arrayText(entries: readonly unknown[], known: KnownTexts | undefined): string {
  let text = ''
  for (const entry of entries) text += `${text === '' ? '' : ','}${canonicalJson(entry, known)}`
  return `[${text}]`
}

/** Names are few, members with them many. */
const nameTexts = new Map<string, string>()
const MAX_NAME_TEXTS = 1_000

function nameText(name: string): string {
  const knownText = nameTexts.get(name)
  if (knownText !== undefined) return knownText
  const text = `${JSON.stringify(name)}:`
  if (nameTexts.size < MAX_NAME_TEXTS) nameTexts.set(name, text)
  return text
}

function textOf(value: unknown, known: KnownTexts | undefined): string {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  return (isJsonObject(value) ? known?.get(value) : undefined) ?? canonicalJson(value, known)
}

/** How a `sealedText` ends. */
function crcText(crc: number): string {
  return `,"crc":${crc}}`
}

function checksumOf(members: JsonObject, known?: KnownTexts): number {
  const bytes = Buffer.from(canonicalJson(members, known))
  return crc32c(bytes, 0, bytes.byteLength)
}
