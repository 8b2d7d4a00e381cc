/**
 * murmur2 of a string's UTF-8, as Kafka's producers hash string keys.
 *
 * ASCII text is hashed straight from its character codes: making a Buffer of a key takes longer
 * than hashing it. Anything else is encoded first.
 * Pure; the same numbers as murmur2.ts.
 */
import { murmur2 } from './murmur2.ts'

const SEED = 0x9747_b28c
const M = 0x5bd1_e995
const R = 24
/** A character code with any of these bits takes more than one byte of UTF-8. */
const BEYOND_ASCII = ~0x7f

/** The hash of `text` as UTF-8: int32. */
export function murmur2OfText(text: string): number {
  const length = text.length
  const wordsEnd = length & ~3
  let hash = SEED ^ length
  let codes = 0 // All character codes, or-ed: tells in the end whether this was ASCII.
  for (let at = 0; at < wordsEnd; at += 4) {
    const first = text.charCodeAt(at)
    const second = text.charCodeAt(at + 1)
    const third = text.charCodeAt(at + 2)
    const fourth = text.charCodeAt(at + 3)
    codes |= first | second | third | fourth
    const word = Math.imul(first | (second << 8) | (third << 16) | (fourth << 24), M)
    hash = Math.imul(hash, M) ^ Math.imul(word ^ (word >>> R), M)
  }
  if (wordsEnd < length) {
    let rest = 0
    for (let at = length - 1; at >= wordsEnd; at -= 1) {
      const code = text.charCodeAt(at)
      codes |= code
      rest = (rest << 8) | code
    }
    hash = Math.imul(hash ^ rest, M)
  }
  if ((codes & BEYOND_ASCII) !== 0) return murmur2(Buffer.from(text))
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}
