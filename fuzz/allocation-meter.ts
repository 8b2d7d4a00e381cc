/**
 * AllocationMeter: how many bytes a stretch of code asked of Buffer.
 *
 * Memory that a parser takes because the bytes say so is taken through Buffer. Counting the calls
 * is exact where measuring memory is not: the same for the same input, and nothing that was freed
 * in between is missed. What native code and the heap take is watched from outside, by the limits
 * of the campaign's worker.
 */

/** Counts what `Buffer.alloc`, `allocUnsafe`, `allocUnsafeSlow` and `concat` are asked for. */
export class AllocationMeter {
  #bytes = 0
  readonly #original = {
    alloc: Buffer.alloc,
    allocUnsafe: Buffer.allocUnsafe,
    allocUnsafeSlow: Buffer.allocUnsafeSlow,
  }

  /** Bytes asked for since the last `reset`. */
  get bytes(): number {
    return this.#bytes
  }

  /** Starts over. */
  reset(): void {
    this.#bytes = 0
  }

  /** Puts the meter between the code and Buffer. */
  install(): void {
    const { alloc, allocUnsafe, allocUnsafeSlow } = this.#original
    Object.assign(Buffer, {
      alloc: (size: number, ...rest: []): Buffer => {
        this.#bytes += size
        return alloc(size, ...rest)
      },
      allocUnsafe: (size: number): Buffer => {
        this.#bytes += size
        return allocUnsafe(size)
      },
      allocUnsafeSlow: (size: number): Buffer => {
        this.#bytes += size
        return allocUnsafeSlow(size)
      },
    })
  }

  /** Takes it away again. */
  remove(): void {
    Object.assign(Buffer, this.#original)
  }
}
