/**
 * TimestampBounds: which of many segments may hold something as late as a time, found in steps that
 * double: a partition has thousands of them, with times in any order.
 *
 *   node 1: largest of all      2: of the left half   3: of the right      capacity + n: segment n
 *
 * Owns numbers alone. What a segment really holds is found out by whoever asks it, which may cost
 * a read (segment-list.ts): until somebody has, it counts as later than anything.
 *   I1  the bound of a segment is never below the largest timestamp it holds
 *   I2  a node's bound is the larger one of those below it; there is nothing beyond `count`
 */
import { assert } from '../errors/invariant.ts'

const UNKNOWN = Infinity
const NOTHING = -Infinity

/** Upper bounds of the largest timestamps of segments, by their number in the list. */
export class TimestampBounds {
  #count: number
  /** A power of two. */
  #capacity = 1
  #nodes: Float64Array = new Float64Array(2)

  /** Of `count` segments nobody was asked about yet. */
  constructor(count: number) {
    this.#count = count
    this.#build(this.#nodes.subarray(0, 0))
  }

  /** One more, behind the others. */
  add(): void {
    const [count, capacity] = [this.#count, this.#capacity]
    this.#count += 1
    if (count < capacity) this.set(count, UNKNOWN)
    else this.#build(this.#nodes.subarray(capacity, capacity + count))
  }

  /** Nothing in segment `index` is later than `timestamp`; Infinity where that is not known. */
  set(index: number, timestamp: number): void {
    assert(index >= 0 && index < this.#count, 'I2: one of the list')
    const nodes = this.#nodes
    let node = this.#capacity + index
    nodes[node] = timestamp
    for (node >>>= 1; node >= 1; node >>>= 1) {
      nodes[node] = Math.max(nodes[2 * node] ?? NOTHING, nodes[2 * node + 1] ?? NOTHING)
    }
  }

  /** The first from `index` on that may hold something as late as `timestamp`; `count` for none. */
  firstSince(index: number, timestamp: number): number {
    if (index >= this.#count) return this.#count
    let node = this.#capacity + index
    while (!this.#reaches(node, timestamp)) {
      // What is below a right child was all left behind with it.
      while (node % 2 === 1) node >>>= 1
      if (node === 0) return this.#count
      node += 1
    }
    while (node < this.#capacity) {
      node *= 2
      if (!this.#reaches(node, timestamp)) node += 1
    }
    return node - this.#capacity
  }

  #reaches(node: number, timestamp: number): boolean {
    return (this.#nodes[node] ?? NOTHING) >= timestamp
  }

  /** Room for twice as many as there are; of those behind `known` nothing is known. */
  #build(known: Float64Array): void {
    while (this.#capacity < 2 * this.#count) this.#capacity *= 2
    const capacity = this.#capacity
    const nodes = new Float64Array(2 * capacity).fill(NOTHING)
    nodes.fill(UNKNOWN, capacity, capacity + this.#count)
    nodes.set(known, capacity)
    for (let node = capacity - 1; node >= 1; node -= 1) {
      nodes[node] = Math.max(nodes[2 * node] ?? NOTHING, nodes[2 * node + 1] ?? NOTHING)
    }
    this.#nodes = nodes
  }
}
