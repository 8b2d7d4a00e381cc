/**
 * ReusedBuffer: memory that one reader reads into again and again. Fresh memory for each read costs
 * more than the read: the kernel has to find and clear every page of it.
 *
 * It grows with what is asked for, and one that is large is let go when nothing is left to read: a
 * thousand readers that wait for more hold no memory to speak of.
 */

const LEAST_BYTES = 4_096
/** More than this is not kept for small reads. */
const LARGE_BYTES = 1_048_576
/** More than this is not kept for a reader that waits. */
const KEPT_BYTES = 16_384

/** Memory of one reader. */
export class ReusedBuffer {
  #buffer: Buffer | undefined

  /** At least `byteLength` bytes, whatever they hold. Borrowed until the next call. */
  of(byteLength: number): Buffer {
    let buffer = this.#buffer
    const isFit = buffer !== undefined && buffer.length >= byteLength
    if (buffer === undefined || !isFit || buffer.length > Math.max(4 * byteLength, LARGE_BYTES)) {
      buffer = Buffer.allocUnsafeSlow(Math.max(byteLength, LEAST_BYTES))
      this.#buffer = buffer
    }
    return buffer
  }

  /** Nothing is read for now. */
  letGo(): void {
    if (this.#buffer !== undefined && this.#buffer.length > KEPT_BYTES) this.#buffer = undefined
  }
}
