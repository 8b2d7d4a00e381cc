/**
 * LogWindow: a sliding view of one .log for walks that read it from one end to the other. One
 * positioned read brings a megabyte; a batch larger than that widens the window for as long as it
 * is looked at.
 */
import type { Segment } from '../storage/segment.ts'

const WINDOW_BYTES = 1_048_576

/** A reused buffer over a stretch of a segment's file. */
export class LogWindow {
  readonly #segment: Segment
  readonly #fileBytes: number
  #buffer: Buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #position = 0
  #heldBytes = 0

  /** Looks at the first `fileBytes` bytes of `segment`'s log. */
  constructor(segment: Segment, fileBytes: number) {
    this.#segment = segment
    this.#fileBytes = fileBytes
  }

  /** Borrowed until the next `at`. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** End of the bytes held, as an index into `buffer`. */
  get end(): number {
    return this.#heldBytes
  }

  /**
   * Where in `buffer` the byte at `position` of the file is, with `byteLength` bytes from there on,
   * or as many as the file has.
   */
  at(position: number, byteLength: number): number {
    const wantedEnd = Math.min(position + byteLength, this.#fileBytes)
    if (position >= this.#position && wantedEnd <= this.#position + this.#heldBytes)
      return position - this.#position
    const windowBytes = Math.max(WINDOW_BYTES, wantedEnd - position)
    if (this.#buffer.length < windowBytes || this.#buffer.length > 4 * windowBytes) {
      this.#buffer = Buffer.allocUnsafeSlow(windowBytes)
    }
    const readBytes = Math.min(windowBytes, Math.max(this.#fileBytes - position, 0))
    this.#heldBytes = this.#segment.read(this.#buffer, 0, readBytes, position)
    this.#position = position
    return 0
  }
}
