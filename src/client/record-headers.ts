/**
 * Headers of a record: what users write (`HeadersInput`), what they read (`RecordHeaders`), and the
 * flat form between (`FlatHeaders`: name, value, name, value …).
 *
 *   I1  order and repeats are kept; names may be empty; a value may be null
 *   I2  nothing is decoded before somebody asks, and then once
 *   I3  input is read once and checked whole, before any of it is encoded
 */
import { inspect, type InspectOptions } from 'node:util'
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { assert } from '../errors/invariant.ts'
import { LogError, invalidArgument } from '../errors/log-error.ts'
import { readHeaders, type FlatHeaders } from '../format/record.ts'
import { describeValue, isArray } from './check-options.ts'
import { ownedView, shownBytes } from './owned-bytes.ts'
import { isBytes } from './serde.ts'
import type { Bytes } from './topic-ref.ts'

/** Headers as they are written: by name, or as pairs where order or repeats matter. */
export type HeadersInput =
  | Readonly<Record<string, string | Uint8Array | null>>
  | readonly (readonly [string, string | Uint8Array | null])[]

/** Headers as they are read, in order and with repeats. */
export interface RecordHeaders extends Iterable<readonly [string, Bytes]> {
  /** The value of the last header of that name; null where it is null, undefined without one. */
  get(name: string): Bytes | undefined
  /** As `get`, read as UTF-8. */
  text(name: string): string | null | undefined
  /** The values of all headers of that name, in order. */
  getAll(name: string): readonly Bytes[]
  /** Name and value of each header, in order. */
  entries(): IterableIterator<readonly [string, Bytes]>
}

/** A header as it is read. Its value is the user's to keep. */
type Header = readonly [name: string, value: Bytes]

/** The headers of one record: encoded ones, until somebody asks, or a list. */
class LazyHeaders implements RecordHeaders {
  /** Null once decoded: the memory is not kept alive for nothing. */
  #memory: Buffer | null
  readonly #start: number
  readonly #headerCount: number
  #headers: readonly Header[]

  constructor(
    memory: Buffer | null,
    start: number,
    headerCount: number,
    headers: readonly Header[],
  ) {
    this.#memory = memory
    this.#start = start
    this.#headerCount = headerCount
    this.#headers = headers
  }

  get(name: string): Bytes | undefined {
    return this.#list().findLast((header) => header[0] === name)?.[1]
  }

  text(name: string): string | null | undefined {
    const value = this.get(name)
    return value === null || value === undefined ? value : value.toString('utf8')
  }

  getAll(name: string): readonly Bytes[] {
    const values: Bytes[] = []
    for (const header of this.#list()) if (header[0] === name) values.push(header[1])
    return values
  }

  entries(): IterableIterator<readonly [string, Bytes]> {
    return this.#list().values()
  }

  [Symbol.iterator](): IterableIterator<readonly [string, Bytes]> {
    return this.entries()
  }

  toJSON(): readonly (readonly [string, string | null])[] {
    return shownHeaders(this)
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `RecordHeaders ${inspect(this.toJSON(), options)}`
  }

  #list(): readonly Header[] {
    const memory = this.#memory
    if (memory !== null) {
      this.#headers = decodeHeaders(memory, this.#start, this.#headerCount)
      this.#memory = null
    }
    return this.#headers
  }
}

/** Of every record that has none. */
export const NO_HEADERS: RecordHeaders = new LazyHeaders(null, 0, 0, [])

/** The `headerCount` headers at `start` of private memory, decoded when first asked for. */
export function headersIn(memory: Buffer, start: number, headerCount: number): RecordHeaders {
  return new LazyHeaders(memory, start, headerCount, [])
}

/** Headers that were never encoded, as a partitioner sees them. */
export function headersOf(flat: FlatHeaders | null): RecordHeaders {
  return flat === null ? NO_HEADERS : new LazyHeaders(null, 0, 0, paired(flat, copied))
}

/** Pairs of name and text, as JSON and the console show headers (shownBytes). */
export function shownHeaders(headers: RecordHeaders): (readonly [string, string | null])[] {
  const pairs: (readonly [string, string | null])[] = []
  for (const [name, value] of headers) {
    pairs.push([name, value === null ? null : shownBytes(value)])
  }
  return pairs
}

/**
 * The headers that a user gave, flat; null where there are none. Values are not copied. Beside what
 * `HeadersInput` says, any iterable of pairs is taken: a Map, the headers of another record.
 *
 * @throws {LogError} `INVALID_ARGUMENT` naming the header and what is wrong with it.
 */
export function readHeadersInput(input: unknown, topic: string): FlatHeaders | null {
  if (input === undefined) return null
  if (typeof input !== 'object' || input === null) throw refusedHeaders(topic, input)
  const flat: (string | Uint8Array | null)[] = []
  if (isIterable(input)) {
    for (const pair of input) {
      if (!isArray(pair) || pair.length !== 2) throw refusedPair(topic, pair)
      const [name, value] = pair
      if (typeof name !== 'string') throw refusedName(topic, name)
      flat.push(name, headerValue(value, name, topic))
    }
  } else {
    for (const [name, value] of Object.entries(input)) {
      flat.push(name, headerValue(value, name, topic))
    }
  }
  return flat.length === 0 ? null : flat
}

/** The same headers with values that their author can no longer change, for records that wait. */
export function withOwnValues(flat: FlatHeaders): FlatHeaders {
  return flat.map((part) => (typeof part === 'string' ? part : copied(part)))
}

function decodeHeaders(chunk: Buffer, start: number, headerCount: number): readonly Header[] {
  try {
    return paired(readHeaders(chunk, start, headerCount), owned)
  } catch (error) {
    if (!(error instanceof CorruptBytes)) throw error
    const message = `the headers of a record cannot be decoded: ${error.message}`
    throw new LogError('INVALID_RECORD', message, {}, { cause: error })
  }
}

function paired<V>(
  flat: readonly (string | V)[],
  bytesOf: (value: string | V) => Bytes,
): readonly Header[] {
  const headers: Header[] = []
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const name = flat[at]
    const value = flat[at + 1]
    assert(
      typeof name === 'string' && value !== undefined,
      'flat headers: name, value, name, value',
    )
    headers.push([name, bytesOf(value)])
  }
  return headers
}

function copied(value: string | Uint8Array | null): Bytes {
  if (value === null) return null
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value)
}

function owned(value: string | Buffer | null): Bytes {
  assert(typeof value !== 'string', 'decoded headers: values are bytes')
  return value === null ? null : ownedView(value)
}

function isIterable(input: object): input is Iterable<unknown> {
  return Symbol.iterator in input && typeof input[Symbol.iterator] === 'function'
}

function headerValue(value: unknown, name: string, topic: string): string | Uint8Array | null {
  if (typeof value === 'string' || value === null || isBytes(value)) return value
  throw invalidArgument(
    `${topic}: the value of header '${name}' is a string, a Uint8Array or null, not ` +
      describeValue(value),
    { header: name, value },
  )
}

function refusedHeaders(topic: string, input: unknown): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(
    `${topic}: headers are an object or an array of [name, value] pairs, not ${describeValue(input)}`,
    { headers: input },
  )
}

function refusedPair(topic: string, pair: unknown): LogError<'INVALID_ARGUMENT'> {
  const what = isArray(pair) ? `an array of ${pair.length}` : describeValue(pair)
  return invalidArgument(`${topic}: a header is a pair [name, value], not ${what}`, {
    header: pair,
  })
}

function refusedName(topic: string, name: unknown): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(`${topic}: the name of a header is a string, not ${describeValue(name)}`, {
    header: name,
  })
}
