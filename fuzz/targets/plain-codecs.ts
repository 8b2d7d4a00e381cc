/**
 * Decoders of single LZ4 and snappy blocks, as short as the formats' descriptions and as slow as
 * that makes them: what the decoders of src/ and of the packages have to agree with.
 */

/** What an LZ4 block holds; null where it is not one, or reaches in front of itself. */
export function plainLz4Block(block: Buffer): Buffer | null {
  const output: number[] = []
  let at = 0
  const lengthFrom = (start: number): number => {
    let length = start
    if (start !== 15) return length
    let more = 255
    while (more === 255) {
      if (at >= block.length) return Infinity
      more = block[at++] ?? 0
      length += more
    }
    return length
  }
  while (at < block.length) {
    const token = block[at++] ?? 0
    const literals = lengthFrom(token >>> 4)
    if (at + literals > block.length) return null
    for (const end = at + literals; at < end; at++) output.push(block[at] ?? 0)
    if (at === block.length) return Buffer.from(output)
    if (at + 2 > block.length) return null
    const offset = block.readUInt16LE(at)
    at += 2
    const match = lengthFrom(token & 15) + 4
    if (offset === 0 || offset > output.length || match === Infinity) return null
    for (let count = 0; count < match; count++) output.push(output[output.length - offset] ?? 0)
  }
  return null
}

/** What a raw snappy block holds; null where it is not one. */
export function plainSnappyBlock(block: Buffer): Buffer | null {
  let declared = 0
  let at = 0
  for (let shift = 0; ; shift += 7) {
    const byte = block[at++]
    if (byte === undefined || shift > 28) return null
    declared += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  const output: number[] = []
  while (at < block.length) {
    const tag = block[at++] ?? 0
    const kind = tag & 3
    if (kind === 0) {
      let length = (tag >>> 2) + 1
      if (length > 60) {
        const extra = length - 60
        if (at + extra > block.length) return null
        length = block.readUIntLE(at, extra) + 1
        at += extra
      }
      if (at + length > block.length) return null
      for (const end = at + length; at < end; at++) output.push(block[at] ?? 0)
      continue
    }
    const offsetBytes = kind === 3 ? 4 : kind
    if (at + offsetBytes > block.length) return null
    const stored = block.readUIntLE(at, offsetBytes)
    const offset = kind === 1 ? ((tag >>> 5) << 8) | stored : stored
    const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    at += offsetBytes
    if (offset === 0 || offset > output.length) return null
    for (let count = 0; count < length; count++) output.push(output[output.length - offset] ?? 0)
  }
  return output.length === declared ? Buffer.from(output) : null
}
