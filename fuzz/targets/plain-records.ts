/**
 * A reader of uncompressed records as plain as the format's description, and as slow: what the two
 * ways of RecordBatchReader have to agree with. Shares no code with src/.
 */

/** One record; lengths below zero are null. */
export interface PlainRecord {
  readonly offsetDelta: number
  readonly timestampDelta: bigint
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

class Refused extends Error {}

/** The `count` records of `payload`; null where these bytes are not exactly as many records. */
export function plainRecords(
  payload: Buffer,
  count: number,
  lastOffsetDelta: number,
): readonly PlainRecord[] | null {
  if (count < 0) return null
  if (count === 0) return []
  const cursor = { bytes: payload, at: 0, end: payload.length }
  const records: PlainRecord[] = []
  let last = -1
  try {
    for (let index = 0; index < count; index++) {
      const length = Number(varint(cursor, 5))
      if (length <= 0 || cursor.at + length > payload.length) return null
      const inner = { bytes: payload, at: cursor.at, end: cursor.at + length }
      const record = recordIn(inner)
      if (inner.at !== inner.end) return null
      if (record.offsetDelta <= last || record.offsetDelta > lastOffsetDelta) return null
      last = record.offsetDelta
      records.push(record)
      cursor.at = inner.end
    }
  } catch (error) {
    if (error instanceof Refused) return null
    throw error
  }
  return cursor.at === cursor.end ? records : null
}

interface ByteCursor {
  readonly bytes: Buffer
  readonly end: number
  at: number
}

function recordIn(cursor: ByteCursor): PlainRecord {
  cursor.at += 1
  const timestampDelta = varint(cursor, 10)
  const offsetDelta = Number(varint(cursor, 5))
  const key = field(cursor)
  const value = field(cursor)
  const headers: (readonly [string, Buffer | null])[] = []
  const headerCount = Number(varint(cursor, 5))
  if (headerCount < 0) throw new Refused()
  for (let index = 0; index < headerCount; index++) {
    const name = field(cursor)
    if (name === null) throw new Refused()
    headers.push([name.toString(), field(cursor)])
  }
  return { offsetDelta, timestampDelta, key, value, headers }
}

function field(cursor: ByteCursor): Buffer | null {
  const length = Number(varint(cursor, 5))
  if (length < 0) return null
  if (cursor.at + length > cursor.end) throw new Refused()
  cursor.at += length
  return cursor.bytes.subarray(cursor.at - length, cursor.at)
}

/** Zigzag; bits beyond the type fall off. */
function varint(cursor: ByteCursor, maxBytes: 5 | 10): bigint {
  let bits = 0n
  for (let index = 0; index < maxBytes; index++) {
    if (cursor.at >= cursor.end) throw new Refused()
    const byte = cursor.bytes[cursor.at] ?? 0
    cursor.at += 1
    bits |= BigInt(byte & 0x7f) << BigInt(7 * index)
    if (byte >= 0x80) continue
    const unsigned = BigInt.asUintN(maxBytes === 5 ? 32 : 64, bits)
    return (unsigned >> 1n) ^ -(unsigned & 1n)
  }
  throw new Refused()
}
