/**
 * xxHash32 with seed 0, over a range of bytes: the checksum of LZ4 frames. Pure, allocates nothing.
 *
 * Four lanes take 16 bytes a round; what is left goes in by four bytes, then by single ones. All
 * arithmetic is modulo 2^32, in the signed numbers that `Math.imul` and `|` give.
 */

const PRIME_1 = 0x9e37_79b1 | 0
const PRIME_2 = 0x85eb_ca77 | 0
const PRIME_3 = 0xc2b2_ae3d | 0
const PRIME_4 = 0x27d4_eb2f
const PRIME_5 = 0x1656_67b1
const ROUND_BYTES = 16

/** xxHash32 of `source` from `start` up to and without `end`, as a uint32. */
export function xxHash32(source: Buffer, start: number, end: number): number {
  let at = start
  let hash = PRIME_5
  if (end - start >= ROUND_BYTES) {
    let lane1 = (PRIME_1 + PRIME_2) | 0
    let lane2 = PRIME_2
    let lane3 = 0
    let lane4 = -PRIME_1 | 0
    for (; at + ROUND_BYTES <= end; at += ROUND_BYTES) {
      lane1 = mixLane(lane1, source.readInt32LE(at))
      lane2 = mixLane(lane2, source.readInt32LE(at + 4))
      lane3 = mixLane(lane3, source.readInt32LE(at + 8))
      lane4 = mixLane(lane4, source.readInt32LE(at + 12))
    }
    hash = (rotate(lane1, 1) + rotate(lane2, 7) + rotate(lane3, 12) + rotate(lane4, 18)) | 0
  }
  hash = (hash + (end - start)) | 0
  for (; at + 4 <= end; at += 4) {
    hash = (hash + Math.imul(source.readInt32LE(at), PRIME_3)) | 0
    hash = Math.imul(rotate(hash, 17), PRIME_4)
  }
  for (; at < end; at++) {
    hash = (hash + Math.imul(source.readUInt8(at), PRIME_5)) | 0
    hash = Math.imul(rotate(hash, 11), PRIME_1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
  return (hash ^ (hash >>> 16)) >>> 0
}

function mixLane(lane: number, bits: number): number {
  return Math.imul(rotate((lane + Math.imul(bits, PRIME_2)) | 0, 13), PRIME_1)
}

function rotate(bits: number, count: number): number {
  return (bits << count) | (bits >>> (32 - count))
}
