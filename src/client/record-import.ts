/**
 * `log.importRecords`: lines of text (record-text.ts) into a topic, in their order, as fast as the
 * topic takes them: no more is read ahead than what is on its way.
 *
 *   I1  a line that says no record ends it: every line before is in the topic, durably, none behind
 */
import { isUtf8 } from 'node:buffer'
import { invalidArgument, LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import { checkOptions, describeValue } from './check-options.ts'
import { aborted } from './log-verify.ts'
import { signalOf } from './position.ts'
import type { Producer } from './producer.ts'
import type { ProducerOptions } from './producer-options.ts'
import { recordOf, type TextRecord } from './record-text.ts'
import { isBytes } from './serde.ts'
import { piecesOf, TextLines } from './text-lines.ts'
import type { Topic } from './topic.ts'

/** Options of `log.importRecords`. */
export interface ImportOptions {
  /** Ends it with `ABORTED`: the lines that were read by then are in the topic. */
  signal?: AbortSignal | undefined
}

/** What importing records did. */
export interface ImportReport {
  /** Records that are in the topic now. */
  readonly records: number
  readonly durationMs: number
}

/** The open log. */
interface ImportHost {
  readonly clock: Clock
  producer(options: ProducerOptions): Producer
}

const CALL = 'log.importRecords'
/** For any record that a line can say; what waits is bounded by the window. */
const BUFFER_BYTES = 536_870_912
/** What is on its way to the topic at most, in lines and in bytes of text. */
const WINDOW_LINES = 1_000
const WINDOW_BYTES = 4_194_304
/** What a batch of one record takes beside what its line says, at most. */
const BATCH_BYTES = 256

/** See `EventLog.importRecords`; `topic` takes bytes. */
export async function importLines(
  topic: Topic,
  source: unknown,
  options: ImportOptions | undefined,
  host: ImportHost,
): Promise<ImportReport> {
  const { clock } = host
  const producer = host.producer({ acks: 'all', bufferBytes: BUFFER_BYTES })
  const startedMs = clock.monotonicNow()
  const work = new Import(topic, producer)
  try {
    checkOptions(options, ['signal'], CALL)
    const signal = signalOf(options?.signal, CALL)
    const pieces = piecesOf(source)
    if (pieces === undefined) throw notAText(source)
    try {
      for (;;) {
        const next = await unlessAborted(() => pieces.next(), signal)
        if (next.done === true) break
        if (typeof next.value !== 'string' && !isBytes(next.value)) throw notAText(next.value)
        await work.take(next.value)
      }
    } catch (error) {
      await work.settle().catch(() => undefined) // I1; it fails with what failed it.
      // A source that waits may never hear of it: nobody waits for that.
      void Promise.resolve(pieces.return?.()).catch(() => undefined)
      throw error
    }
    await work.end()
    return Object.freeze({ records: work.records, durationMs: clock.monotonicNow() - startedMs })
  } finally {
    await producer.close()
  }
}

/** Reads lines, and keeps what is on its way to the topic within bounds. */
class Import {
  records = 0
  readonly #topic: Topic
  readonly #producer: Producer
  readonly #lines = new TextLines()
  #line = 0
  #pending: Promise<unknown>[] = []
  #pendingBytes = 0

  constructor(topic: Topic, producer: Producer) {
    this.#topic = topic
    this.#producer = producer
  }

  async take(piece: string | Uint8Array): Promise<void> {
    for (const line of this.#lines.take(piece)) {
      this.#line += 1
      if (line === undefined) throw this.#invalid('it is too long to be a record')
      await this.#takeLine(line)
    }
  }

  /** The last line may have no end. */
  async end(): Promise<void> {
    this.#line += 1
    try {
      await this.#takeLine(this.#lines.rest())
    } finally {
      await this.settle()
    }
  }

  /** Resolves when all that was sent is in the topic. @throws What failed first. */
  async settle(): Promise<void> {
    const results = await Promise.allSettled(this.#pending)
    this.#pending = []
    this.#pendingBytes = 0
    for (const result of results) if (result.status === 'rejected') throw result.reason
    this.records += results.length
  }

  async #takeLine(line: Buffer): Promise<void> {
    if (!isUtf8(line)) throw this.#invalid('it is no UTF-8')
    const text = line.toString().replace(/^\uFEFF/, '')
    if (text.trim() === '') return
    const record = recordOf(text)
    if (typeof record === 'string') throw this.#invalid(record)
    this.#check(record)
    this.#send(record)
    this.#pendingBytes += line.length
    const isFull = this.#pending.length >= WINDOW_LINES || this.#pendingBytes >= WINDOW_BYTES
    if (isFull || this.#mayBeTooLarge(line)) await this.settle()
  }

  /** Only the topic knows: none behind it is sent before that is known (I1). */
  #mayBeTooLarge(line: Buffer): boolean {
    // No record has more bytes than its line, but for those of a batch, and what packing adds.
    return line.length * 2 + BATCH_BYTES > this.#topic.config.maxMessageBytes
  }

  /** What the topic would refuse. */
  #check({ key, partition }: TextRecord): void {
    const { config, name } = this.#topic
    const partitionCount = this.#topic.partitions.length
    if (key === null && config.cleanupPolicy !== 'delete') {
      throw this.#invalid(`it has no key, and ${name} is compacted`)
    }
    if (partition === undefined || partition < partitionCount) return
    throw this.#invalid(
      `there is no partition ${partition} of ${name}, which has ${partitionCount}`,
    )
  }

  #send({ key, value, headers, timestamp, partition }: TextRecord): void {
    const line = this.#line
    const sent = this.#producer
      .send(this.#topic, {
        key,
        value,
        headers,
        ...(timestamp === undefined ? {} : { timestamp }),
        ...(partition === undefined ? {} : { partition }),
      })
      .catch((error: unknown) => {
        throw LogError.is(error, 'RECORD_TOO_LARGE') ? invalid(line, error.message, error) : error
      })
    sent.catch(() => undefined) // Heard of in `settle`.
    this.#pending.push(sent)
  }

  #invalid(why: string): LogError<'INVALID_RECORD'> {
    return invalid(this.#line, why)
  }
}

function invalid(line: number, why: string, cause?: unknown): LogError<'INVALID_RECORD'> {
  const message = `${CALL}: line ${line}: ${why}`
  const issues = [{ message: why, path: [line] }]
  return new LogError('INVALID_RECORD', message, { issues }, { cause })
}

function notAText(source: unknown): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(
    `${CALL}: source is a stream, an iterable or a text of lines, not ${describeValue(source)}`,
    { source },
  )
}

/** @throws {LogError} ABORTED, as soon as the signal says so. */
async function unlessAborted<T>(
  begin: () => T | Promise<T>,
  signal: AbortSignal | null,
): Promise<T> {
  if (signal === null) return await begin()
  if (signal.aborted) throw aborted(signal, CALL)
  let stop: (() => void) | undefined
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal, CALL))
    signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([begin(), stopped])
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}
