/**
 * SeededRandom: choices that a seed repeats. Every fault of a FaultDisk, and what a crash leaves,
 * comes from one: the same calls after the same seed give the same.
 */

/** A sequence of choices that depends on nothing but its seed. */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to, but not including, 1. */
  fraction(): number {
    // Mulberry32: every step of a 32-bit counter, mixed.
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer from 0 up to, but not including, `end`. */
  below(end: number): number {
    return Math.floor(this.fraction() * end)
  }

  /** One of `choices`; name one several times to have it more often. */
  oneOf<T>(first: T, ...others: readonly T[]): T {
    const choices = [first, ...others]
    return choices[this.below(choices.length)] ?? first
  }
}
