/**
 * One LZ4 block, measured first and then unpacked: how much comes out is known before memory is
 * taken for it, so no bomb goes off, and the result has exactly the size it needs.
 *
 *   sequence   token | literal length, if 15: 255 .. | literals | offset (2) | match length ..
 *   token      high half: count of literals; low half: length of the match, less 4
 *
 * Lengths of 15 go on in the following bytes, each added, until one is below 255. Offsets count
 * back from where the match goes. The last sequence ends behind its literals. Blocks stand alone:
 * a match never reaches in front of its own block, as Kafka demands.
 */

const LONG_LENGTH = 15
const MIN_MATCH_BYTES = 4
const OFFSET_BYTES = 2
/** Measured: from about here a copy by the engine beats a loop over bytes. */
const BULK_BYTES = 32

/** How many bytes the block `source[start, end)` unpacks to; -1 when it is no sound block. */
export function measureLz4Block(source: Buffer, start: number, end: number): number {
  let position = start
  let produced = 0
  while (position < end) {
    const token = byteAt(source, position++)
    let literalBytes = token >>> 4
    if (literalBytes === LONG_LENGTH) {
      let more = 255
      while (more === 255) {
        if (position >= end) return -1
        more = byteAt(source, position++)
        literalBytes += more
      }
    }
    position += literalBytes
    produced += literalBytes
    if (position === end) return produced
    if (position + OFFSET_BYTES > end) return -1
    const offset = byteAt(source, position) | (byteAt(source, position + 1) << 8)
    if (offset === 0 || offset > produced) return -1
    position += OFFSET_BYTES
    let matchBytes = token & 15
    if (matchBytes === LONG_LENGTH) {
      let more = 255
      while (more === 255) {
        if (position >= end) return -1
        more = byteAt(source, position++)
        matchBytes += more
      }
    }
    produced += matchBytes + MIN_MATCH_BYTES
  }
  return -1
}

/**
 * Unpacks the block `source[start, end)` into `target` at `at` and returns the position behind it.
 * `measureLz4Block` has found the block sound, and `target` has room for what it measured.
 */
export function unpackLz4Block(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
): number {
  let position = start
  let filled = at
  for (;;) {
    const token = byteAt(source, position++)
    let literalBytes = token >>> 4
    if (literalBytes === LONG_LENGTH) {
      let more = 255
      while (more === 255) {
        more = byteAt(source, position++)
        literalBytes += more
      }
    }
    copyLiterals(source, position, target, filled, literalBytes)
    position += literalBytes
    filled += literalBytes
    if (position === end) return filled
    const offset = byteAt(source, position) | (byteAt(source, position + 1) << 8)
    position += OFFSET_BYTES
    let matchBytes = token & 15
    if (matchBytes === LONG_LENGTH) {
      let more = 255
      while (more === 255) {
        more = byteAt(source, position++)
        matchBytes += more
      }
    }
    matchBytes += MIN_MATCH_BYTES
    copyMatch(target, filled, offset, matchBytes)
    filled += matchBytes
  }
}

function copyLiterals(
  source: Buffer,
  from: number,
  target: Buffer,
  to: number,
  byteCount: number,
): void {
  if (byteCount >= BULK_BYTES) source.copy(target, to, from, from + byteCount)
  else
    for (let index = 0; index < byteCount; index++)
      target[to + index] = byteAt(source, from + index)
}

/** Copies what lies `offset` bytes before `to`; where they overlap, the copied bytes repeat. */
function copyMatch(target: Buffer, to: number, offset: number, byteCount: number): void {
  const from = to - offset
  if (byteCount < BULK_BYTES) {
    for (let index = 0; index < byteCount; index++)
      target[to + index] = byteAt(target, from + index)
    return
  }
  // The run from `from` up to what is copied already repeats itself: each step copies all of it.
  let copied = 0
  while (copied < byteCount) {
    const stepBytes = Math.min(offset + copied, byteCount - copied)
    target.copyWithin(to + copied, from, from + stepBytes)
    copied += stepBytes
  }
}

function byteAt(source: Buffer, at: number): number {
  return source[at] as number // Inside: measured blocks end where they say, and so does measuring.
}
