/**
 * One record inside a batch, format v2: written in one pass, its headers read on demand.
 *
 *   length varint | attributes int8 = 0 | timestampDelta varlong | offsetDelta varint
 *   keyLength varint, key | valueLength varint, value | headerCount varint, headers
 *   header: nameLength varint, name | valueLength varint, value
 *
 * length counts what follows it; a length of -1 is null, which a header's name never is. Strings
 * are written as UTF-8, a lone surrogate as U+FFFD. Whoever writes sees to the room.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'
import { VarintReader, varintBytes, varlongBytes, writeVarint, writeVarlong } from './varint.ts'

/** Headers as name, value, name, value, …: a name is not null, order and repeats are kept. */
export type FlatHeaders = readonly (string | Uint8Array | null)[]

/** A key, a value, or a part of a header. */
type Field = string | Uint8Array | null

/** Bytes of a record of empty fields without headers: its length is not in it. */
const MIN_BODY_BYTES = 6
/** The same with every varint at its longest; 8 is a varlong of a safe integer. */
const MAX_FRAME_BYTES = 5 + 1 + 8 + 5 + 5 + 5 + 5
const MAX_VARINT_BYTES = 5
/** No UTF-16 unit takes more than three bytes of UTF-8. */
const MAX_BYTES_PER_UNIT = 3
/** -1, the length of null, as a varint. */
const NULL_LENGTH_BYTE = 0x01
/** A zigzag number takes one byte below it. */
const ONE_BYTE_END = 0x80
/** Measured: up to here a loop is faster than the call into the runtime. At most 63. */
const LOOP_UNITS = 24

/** The least bytes a key or value takes: of ASCII text a byte a unit. Free, unlike its size. */
export function unitCount(field: Field): number {
  if (typeof field === 'string') return field.length // A site of its own: it sees only strings.
  return field === null ? 0 : field.length
}

/** What no record exceeds whose key and value have `units` together. Free, but for headers. */
export function maxRecordBytes(units: number, headers: FlatHeaders | null): number {
  const bytes = MAX_FRAME_BYTES + MAX_BYTES_PER_UNIT * units
  return headers === null ? bytes : bytes + maxHeadersBytes(headers)
}

/** The exact size of a record, its length included. Allocates nothing. */
export function recordBytes(
  timestampDelta: number,
  offsetDelta: number,
  key: Field,
  value: Field,
  headers: FlatHeaders | null,
): number {
  let bytes = 1 + varlongBytes(timestampDelta) + varintBytes(offsetDelta)
  bytes += fieldBytes(key) + fieldBytes(value)
  if (headers === null) {
    bytes += 1
  } else {
    bytes += varintBytes(headers.length / 2)
    for (const field of headers) bytes += fieldBytes(field)
  }
  return varintBytes(bytes) + bytes
}

/**
 * Writes a record at `at`, where there is room for `recordBytes` of it, and returns the position
 * behind it. Hot: one pass, no size is computed before the bytes are there. `units` is the sum of
 * `unitCount` of key and value.
 */
export function writeRecord(
  buffer: Buffer,
  at: number,
  units: number,
  timestampDelta: number,
  offsetDelta: number,
  key: Field,
  value: Field,
  headers: FlatHeaders | null,
): number {
  // Room is left for the shortest length this record can have: never more than it takes, so that
  // an exact fit stays one. Where it turns out longer (text beyond ASCII, headers) the body moves.
  const bodyStart = at + varintBytes(MIN_BODY_BYTES + units)
  buffer[bodyStart] = 0
  let position = bodyStart + 1
  // Nearly every delta of time takes one byte: a call for it would cost as much again.
  const timeBits = timestampDelta << 1
  if (timeBits === timestampDelta * 2 && timeBits >= 0 && timeBits < ONE_BYTE_END) {
    buffer[position++] = timeBits
  } else {
    position = writeVarlong(buffer, position, timestampDelta)
  }
  if (offsetDelta >= 0 && offsetDelta < ONE_BYTE_END / 2) buffer[position++] = offsetDelta << 1
  else position = writeVarint(buffer, position, offsetDelta)
  position = writeField(buffer, position, key)
  position = writeField(buffer, position, value)
  if (headers === null) buffer[position++] = 0
  else position = writeHeaders(buffer, position, headers)
  return putLengthBefore(buffer, at, bodyStart, position)
}

/**
 * The `headerCount` headers at `start` as name, value, name, value, …; values are borrowed views.
 *
 * @throws {CorruptBytes} `record` when they do not end inside the buffer or a name is null.
 */
export function readHeaders(
  buffer: Buffer,
  start: number,
  headerCount: number,
): (string | Buffer | null)[] {
  const headers: (string | Buffer | null)[] = []
  const varints = new VarintReader()
  varints.position = start
  for (let i = 0; i < headerCount; i++) {
    const nameLength = readNameLength(varints, buffer, buffer.length)
    const nameStart = varints.position
    varints.position = nameStart + nameLength
    headers.push(buffer.toString('utf8', nameStart, varints.position))
    const valueLength = readFieldLength(varints, buffer, buffer.length)
    const valueStart = varints.position
    if (valueLength > 0) varints.position = valueStart + valueLength
    headers.push(valueLength < 0 ? null : buffer.subarray(valueStart, varints.position))
  }
  return headers
}

/** Moves `varints` behind `headerCount` headers, checking them as Kafka does. Allocates nothing. */
export function skipHeaders(
  varints: VarintReader,
  buffer: Buffer,
  end: number,
  headerCount: number,
): void {
  for (let i = 0; i < headerCount; i++) {
    const nameLength = readNameLength(varints, buffer, end)
    varints.position += nameLength
    const valueLength = readFieldLength(varints, buffer, end)
    if (valueLength > 0) varints.position += valueLength
  }
}

/**
 * The length before a key or value at `varints`, which is left where the bytes start; -1 for null.
 *
 * @throws {CorruptBytes} `record` when the bytes do not end before `end`.
 */
export function readFieldLength(varints: VarintReader, buffer: Buffer, end: number): number {
  const length = varints.readVarint(buffer, end)
  if (length < 0) return -1 // Kafka takes every negative length for null.
  if (length > end - varints.position) {
    throw new CorruptBytes('record', 'a field is longer than its record', varints.position)
  }
  return length
}

function readNameLength(varints: VarintReader, buffer: Buffer, end: number): number {
  const length = readFieldLength(varints, buffer, end)
  if (length < 0) throw new CorruptBytes('record', 'the name of a header is null', varints.position)
  return length
}

function writeHeaders(buffer: Buffer, at: number, headers: FlatHeaders): number {
  assert(headers.length % 2 === 0, 'headers are pairs of name and value')
  let position = writeVarint(buffer, at, headers.length / 2)
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? null
    assert(name !== null, 'the name of a header is not null')
    position = writeField(buffer, position, name)
    position = writeField(buffer, position, headers[i + 1] ?? null)
  }
  return position
}

function writeField(buffer: Buffer, at: number, field: Field): number {
  if (typeof field === 'string') {
    if (field.length > LOOP_UNITS) return writeText(buffer, at, field)
    return writeShortText(buffer, at, field)
  }
  if (field === null) {
    buffer[at] = NULL_LENGTH_BYTE
    return at + 1
  }
  const start = writeVarint(buffer, at, field.length)
  buffer.set(field, start)
  return start + field.length
}

/** A short text, most likely ASCII, without the call into the runtime that `write` is. */
function writeShortText(buffer: Buffer, at: number, text: string): number {
  const textUnits = text.length
  let position = at + 1
  let i = 0
  // Four at a time: asking of each whether it is ASCII takes longer than to store it.
  for (; i + 3 < textUnits; i += 4) {
    const first = text.charCodeAt(i)
    const second = text.charCodeAt(i + 1)
    const third = text.charCodeAt(i + 2)
    const fourth = text.charCodeAt(i + 3)
    if ((first | second | third | fourth) >= 0x80) return writeText(buffer, at, text)
    buffer[position] = first
    buffer[position + 1] = second
    buffer[position + 2] = third
    buffer[position + 3] = fourth
    position += 4
  }
  for (; i < textUnits; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) return writeText(buffer, at, text)
    buffer[position++] = unit
  }
  buffer[at] = textUnits << 1
  return position
}

function writeText(buffer: Buffer, at: number, text: string): number {
  const start = at + varintBytes(text.length)
  return putLengthBefore(buffer, at, start, start + buffer.write(text, start))
}

/**
 * Writes the length of the bytes from `start` to `end` at `at`. The gap between `at` and `start` is
 * a guess, never too wide: where the length takes more, the bytes move. Returns their new end.
 */
function putLengthBefore(buffer: Buffer, at: number, start: number, end: number): number {
  const length = end - start
  const shift = at + varintBytes(length) - start
  if (shift !== 0) buffer.copyWithin(start + shift, start, end)
  writeVarint(buffer, at, length)
  return end + shift
}

function fieldBytes(field: Field): number {
  if (field === null) return 1
  const bytes = typeof field === 'string' ? Buffer.byteLength(field) : field.length
  return varintBytes(bytes) + bytes
}

function maxHeadersBytes(headers: FlatHeaders): number {
  let bytes = 0
  for (const field of headers) bytes += MAX_VARINT_BYTES + MAX_BYTES_PER_UNIT * unitCount(field)
  return bytes
}
