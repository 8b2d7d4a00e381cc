/**
 * LogWindow: a sliding view of one .log for walks that read it from one end to the other. One
 * positioned read brings a megabyte; a batch larger than that widens the window for as long as it
 * is looked at.
 */

/** Whose bytes are looked at: a segment, or its file. */
export interface ReadableLog {
  read(target: Buffer, targetStart: number, byteLength: number, position: number): number
}

const WINDOW_BYTES = 1_048_576

/** A reused buffer over a stretch of a log. */
export class LogWindow {
  readonly #log: ReadableLog
  readonly #fileBytes: number
  #buffer: Buffer = Buffer.alloc(0)
  #position = 0
  #heldBytes = 0

  /** Looks at the first `fileBytes` bytes of `log`. */
  constructor(log: ReadableLog, fileBytes: number) {
    this.#log = log
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
    const leftBytes = Math.max(this.#fileBytes - position, 0)
    const windowBytes = Math.min(Math.max(WINDOW_BYTES, byteLength), leftBytes)
    if (this.#buffer.length < windowBytes || this.#buffer.length > 4 * WINDOW_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(windowBytes)
    }
    this.#heldBytes = this.#log.read(this.#buffer, 0, windowBytes, position)
    this.#position = position
    return 0
  }
}
