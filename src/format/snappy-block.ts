/**
 * One raw snappy block: how long it says it is, and whether it keeps its word.
 *
 *   varint(size of the output) | elements, by the low two bits of their first byte
 *     00 literal  length in the upper six bits; 60 to 63: in the next 1 to 4 bytes
 *     01 copy     3 bits length, 11 bits offset      10 copy  6 bits length, 16 bits offset
 *     11 copy     6 bits length, 32 bits offset
 *
 * `snappyjs` trusts a block: it neither notices one that yields too little or too much, nor comes
 * to an end on a literal of a negative length. So blocks are walked here before it sees them.
 */

const MAX_VARINT_BYTES = 5
/** No element of a block yields more than this for each byte it takes: 64 from a copy of 3. */
const MAX_EXPANSION = 22
const LONG_LITERAL = 60

/** What `source[start, end)` says it unpacks to; -1 when no such block can say so. */
export function declaredSnappyBytes(source: Buffer, start: number, end: number): number {
  const elements = startOfElements(source, start, end)
  if (elements === -1) return -1
  let bytes = 0
  for (let at = elements - 1; at >= start; at--) bytes = bytes * 128 + (byteAt(source, at) & 0x7f)
  return bytes <= (end - elements) * MAX_EXPANSION ? bytes : -1
}

/** Whether `source[start, end)` is a block that yields exactly what it declares. */
export function isSoundSnappyBlock(source: Buffer, start: number, end: number): boolean {
  const declaredBytes = declaredSnappyBytes(source, start, end)
  if (declaredBytes === -1) return false
  let position = startOfElements(source, start, end)
  let produced = 0
  while (position < end) {
    const tag = byteAt(source, position++)
    const kind = tag & 3
    if (kind === 0) {
      let literalBytes = (tag >>> 2) + 1
      if (literalBytes > LONG_LITERAL) {
        const lengthBytes = literalBytes - LONG_LITERAL
        if (position + lengthBytes > end) return false
        literalBytes = source.readUIntLE(position, lengthBytes) + 1
        position += lengthBytes
      }
      position += literalBytes
      produced += literalBytes
      if (position > end) return false
    } else {
      const offsetBytes = kind === 3 ? 4 : kind
      if (position + offsetBytes > end) return false
      const stored = source.readUIntLE(position, offsetBytes)
      const offset = kind === 1 ? ((tag >>> 5) << 8) + stored : stored
      if (offset === 0 || offset > produced) return false
      position += offsetBytes
      produced += kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    }
  }
  return produced === declaredBytes
}

/** One past the varint at `start`; -1 when it does not end in time. */
function startOfElements(source: Buffer, start: number, end: number): number {
  const last = Math.min(end, start + MAX_VARINT_BYTES)
  for (let at = start; at < last; at++) if (byteAt(source, at) < 0x80) return at + 1
  return -1
}

function byteAt(source: Buffer, at: number): number {
  return source[at] as number // Every caller has compared `at` with the end, which is inside.
}
