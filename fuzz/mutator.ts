/**
 * Mutator: a new input from one that is known, by a few changes of the kinds that break parsers:
 * bits and bytes, numbers at the edge of every width and byte order, varints, digits of text, words
 * of the source, stretches that are cut, repeated, moved or taken from another input.
 *
 * Knows nothing of any format: what has to agree with the rest (a checksum, a length) is put right
 * by the target. The same seed makes the same inputs from the same corpus.
 */

/** Numbers at which something may change. */
const EDGES = [
  0,
  1,
  2,
  -1,
  -2,
  7,
  8,
  15,
  16,
  61,
  64,
  100,
  127,
  128,
  255,
  256,
  1_024,
  4_096,
  32_767,
  32_768,
  65_535,
  65_536,
  0x7fff_fffe,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_fffe,
  0xffff_ffff,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
] as const

const MAX_CHANGES = 6
const LONGEST_STRETCH = 64

/** Random choices that a seed repeats, as fast as they come. */
export class FuzzRandom {
  #state: number

  /** `seed` is an int32; 0 stands for another one. */
  constructor(seed: number) {
    this.#state = seed | 0 || 0x9e37_79b9
  }

  /** An integer from 0 up to and without `bound`, which is at least 1. */
  below(bound: number): number {
    let state = this.#state // xorshift32
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return (state >>> 0) % bound
  }

  /** One of `choices`. */
  oneOf<T>(choices: readonly [T, ...T[]] | readonly T[]): T {
    return choices[this.below(choices.length)] as T // `below` is inside
  }
}

/** Makes inputs. */
export class Mutator {
  readonly #random: FuzzRandom
  readonly #dictionary: readonly Buffer[]

  constructor(random: FuzzRandom, dictionary: readonly Buffer[]) {
    this.#random = random
    this.#dictionary = dictionary.length === 0 ? [Buffer.from([0])] : dictionary
  }

  /** `input` with a few changes, at most `maxBytes` long; `other` lends stretches. Owned. */
  mutate(input: Buffer, other: Buffer, maxBytes: number): Buffer {
    let bytes: Buffer = Buffer.from(input)
    // Mostly one or two: each further one more likely undoes what is interesting.
    let changes = 1
    while (changes < MAX_CHANGES && this.#random.below(2) === 0) changes += 1
    for (; changes > 0; changes -= 1) bytes = this.#change(bytes, other)
    return bytes.length > maxBytes ? bytes.subarray(0, maxBytes) : bytes
  }

  #change(bytes: Buffer, other: Buffer): Buffer {
    const random = this.#random
    if (bytes.length === 0) return this.#insert(bytes, 0, this.#stretchOf(other))
    const at = random.below(bytes.length)
    switch (random.below(14)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
        return bytes
      case 1:
        bytes[at] = random.below(256)
        return bytes
      case 2:
        bytes[at] = (bytes[at] ?? 0) + random.below(33) - 16
        return bytes
      case 3:
      case 4:
        return this.#overwrite(bytes, at, this.#number())
      case 5:
        return this.#insert(bytes, at, this.#number())
      case 6:
        return this.#overwrite(bytes, at, random.oneOf(this.#dictionary))
      case 7:
        return this.#insert(bytes, at, random.oneOf(this.#dictionary))
      case 8:
        return this.#cut(bytes, at)
      case 9:
        return this.#insert(bytes, at, this.#stretchOf(bytes))
      case 10:
        return this.#insert(bytes, at, this.#stretchOf(other))
      case 11:
        return this.#overwrite(bytes, at, this.#stretchOf(other))
      case 12:
        return this.#digits(bytes, at)
      default:
        return random.below(4) === 0 ? Buffer.from(bytes.subarray(0, at)) : this.#cut(bytes, at)
    }
  }

  /** An edge, or a small step from it, in some width and byte order, or as a zigzag varint. */
  #number(): Buffer {
    const random = this.#random
    const value = random.oneOf(EDGES) + random.below(3) - 1
    if (random.below(4) === 0) return varintOf(value)
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(BigInt.asIntN(64, BigInt(value)))
    const narrow = bytes.subarray(8 - random.oneOf([1, 2, 4, 8]))
    return random.below(4) === 0 ? reversed(narrow) : narrow
  }

  /** Another number where decimal digits stand, else a digit. */
  #digits(bytes: Buffer, at: number): Buffer {
    let start = at
    let end = at
    while (start > 0 && isDigit(bytes[start - 1])) start -= 1
    while (end < bytes.length && isDigit(bytes[end])) end += 1
    const text = String(this.#random.oneOf(EDGES) + this.#random.below(3) - 1)
    return Buffer.concat([bytes.subarray(0, start), Buffer.from(text), bytes.subarray(end)])
  }

  #stretchOf(source: Buffer): Buffer {
    if (source.length === 0) return Buffer.from([this.#random.below(256)])
    const start = this.#random.below(source.length)
    return source.subarray(start, start + 1 + this.#random.below(this.#stretchBytes(source)))
  }

  #cut(bytes: Buffer, at: number): Buffer {
    const end = at + 1 + this.#random.below(this.#stretchBytes(bytes))
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
  }

  /** Mostly short ones; now and then as long as the input. */
  #stretchBytes(source: Buffer): number {
    if (this.#random.below(8) === 0) return source.length
    return Math.min(LONGEST_STRETCH, source.length)
  }

  #insert(bytes: Buffer, at: number, word: Buffer): Buffer {
    return Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(at)])
  }

  #overwrite(bytes: Buffer, at: number, word: Buffer): Buffer {
    word.copy(bytes, at)
    return bytes
  }
}

/** In the other byte order. Owned. */
function reversed(bytes: Buffer): Buffer {
  return Buffer.from([...bytes].toReversed())
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

function varintOf(value: number): Buffer {
  let bits = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  const bytes: number[] = []
  for (; bits >= 0x80n; bits >>= 7n) bytes.push(Number(bits & 0x7fn) | 0x80)
  bytes.push(Number(bits))
  return Buffer.from(bytes)
}
