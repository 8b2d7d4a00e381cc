/**
 * CoverageMap: which branches a run took, and how often in steps of about twice as often.
 *
 * A feature is a branch with such a step; an input is worth keeping when it shows one that no kept
 * input has. Counters are bytes that the instrumented code adds to (instrument.ts).
 */

/** From a counter to the bit of its step: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128-255. */
const STEP_BITS: Uint8Array = Uint8Array.from({ length: 256 }, (_, count) => {
  if (count === 0) return 0
  if (count <= 3) return 1 << (count - 1)
  if (count < 8) return 8
  if (count < 16) return 16
  if (count < 32) return 32
  return count < 128 ? 64 : 128
})

/** Branches taken, over many runs. */
export class CoverageMap {
  /** What the instrumented code adds to. */
  readonly counters: Uint8Array
  readonly #words: Uint32Array
  readonly #seen: Uint8Array
  #branchCount = 0

  constructor(counterCount: number) {
    this.#words = new Uint32Array(Math.ceil(counterCount / 4))
    this.counters = new Uint8Array(this.#words.buffer)
    this.#seen = new Uint8Array(this.counters.length)
  }

  /** Branches taken by any input so far. */
  get branchCount(): number {
    return this.#branchCount
  }

  /** Forgets the last run. */
  begin(): void {
    this.counters.fill(0)
  }

  /** Takes in the run since `begin`; true where it showed a feature that none before it did. */
  take(): boolean {
    let isNew = false
    for (let word = 0; word < this.#words.length; word++) {
      if (this.#words[word] === 0) continue
      for (let at = 4 * word; at < 4 * word + 4; at++) {
        const bit = STEP_BITS[this.counters[at] ?? 0] ?? 0
        const seen = this.#seen[at] ?? 0
        if ((bit & ~seen) === 0) continue
        if (seen === 0) this.#branchCount += 1
        this.#seen[at] = seen | bit
        isNew = true
      }
    }
    return isNew
  }

  /** The features of the run since `begin`, as numbers. */
  features(): ReadonlySet<number> {
    const found = new Set<number>()
    for (const [at, count] of this.counters.entries()) {
      const bit = STEP_BITS[count] ?? 0
      if (bit !== 0) found.add(at * 256 + bit)
    }
    return found
  }
}
