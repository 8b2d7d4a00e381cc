/**
 * murmur2 as Kafka's producers compute it from a record's key, to find the partition it belongs to.
 *
 * Words of four bytes, little-endian; seed 9747b28c. Another client that hashes the same key must
 * come to the same partition, so nothing here may ever change. Pure, allocates nothing.
 */

const SEED = 0x9747_b28c
const M = 0x5bd1_e995
const R = 24

/** The hash of `bytes`, an int32. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const wordsEnd = length & ~3
  let hash = SEED ^ length
  for (let at = 0; at < wordsEnd; at += 4) {
    const low = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8)
    const high = (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)
    const word = Math.imul(low | high, M)
    hash = Math.imul(hash, M) ^ Math.imul(word ^ (word >>> R), M)
  }
  if (wordsEnd < length) {
    let rest = 0
    for (let at = length - 1; at >= wordsEnd; at--) rest = (rest << 8) | byteAt(bytes, at)
    hash = Math.imul(hash ^ rest, M)
  }
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number // Every caller has compared `at` with the length.
}
