/**
 * Text that comes in pieces, cut wherever they were, as lines. Holds one line at most.
 */
import { isBytes } from './serde.ts'

/** What lines come from: a stream of a file, chunks of any size, or a text. */
export type TextSource =
  | string
  | Uint8Array
  | AsyncIterable<string | Uint8Array>
  | Iterable<string | Uint8Array>

const LINE_FEED = 0x0a
const LONE_SURROGATE = /\p{Surrogate}/gu
/** No string can be longer by far. */
const MAX_LINE_BYTES = 469_762_048

/** Takes pieces, and gives lines. */
export class TextLines {
  #pieces: Buffer[] = []
  #pieceBytes = 0
  /** Of a text that was cut in the middle of a character. */
  #half = ''

  /** What has no end of a line yet. */
  rest(): Buffer {
    if (this.#half !== '') this.#hold(bytesOf(this.#half))
    this.#half = ''
    const [first = Buffer.alloc(0)] = this.#pieces
    const line = this.#pieces.length > 1 ? Buffer.concat(this.#pieces) : first
    this.#pieces = []
    this.#pieceBytes = 0
    return line
  }

  /**
   * The lines that end in `chunk`, without their ends; undefined: one is too long to be read.
   * Borrowed until the next one.
   */
  *take(chunk: string | Uint8Array): Generator<Buffer | undefined, void, undefined> {
    const text = typeof chunk === 'string' ? this.#half + chunk : this.#half
    const half = typeof chunk === 'string' && endsInHalf(text) ? text.slice(-1) : ''
    this.#half = ''
    if (typeof chunk !== 'string' && text !== '') this.#hold(bytesOf(text))
    const whole = text.slice(0, text.length - half.length)
    const bytes = typeof chunk === 'string' ? bytesOf(whole) : bufferOver(chunk)
    let start = 0
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, start)
      const piece = bytes.subarray(start, end < 0 ? bytes.length : end)
      if (piece.length > 0) this.#hold(piece)
      if (this.#pieceBytes > MAX_LINE_BYTES) yield undefined
      if (end < 0) break
      yield this.rest()
      start = end + 1
    }
    // Whoever gave it may use its memory again.
    const last = this.#pieces.at(-1)
    if (last !== undefined && typeof chunk !== 'string') {
      this.#pieces[this.#pieces.length - 1] = Buffer.from(last)
    }
    this.#half = half
  }

  #hold(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#pieceBytes += piece.length
  }
}

/** The pieces of a source; undefined for what is none. */
export function piecesOf(
  source: unknown,
): AsyncIterator<unknown, unknown, undefined> | Iterator<unknown, unknown, undefined> | undefined {
  if (typeof source === 'string' || isBytes(source)) return [source].values()
  if (typeof source !== 'object' || source === null) return undefined
  if (isAsyncIterable(source)) return source[Symbol.asyncIterator]()
  return isIterable(source) ? source[Symbol.iterator]() : undefined
}

function isAsyncIterable(source: object): source is AsyncIterable<unknown, unknown, undefined> {
  return Symbol.asyncIterator in source && typeof source[Symbol.asyncIterator] === 'function'
}

function isIterable(source: object): source is Iterable<unknown, unknown, undefined> {
  return Symbol.iterator in source && typeof source[Symbol.iterator] === 'function'
}

function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last <= 0xdbff
}

/** As UTF-8, which has nothing for half a character: a NUL stands there, and no JSON has one. */
function bytesOf(text: string): Buffer {
  return Buffer.from(text.replace(LONE_SURROGATE, '\0'))
}

function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
