/**
 * RecordStream: what `for await` runs over. Records that are at hand are given without waiting;
 * behind the last one a live stream sleeps until an append wakes it, once per batch.
 *
 *   I1  calls of `next` are answered in order, however many wait at once
 *   I2  `return`, `break`, an aborted signal and the end of the log release everything at once,
 *       also
 *       while a `next` waits
 *   I3  cold data is not read on the event loop: a read that took over a millisecond is followed by
 *       asynchronous ones until they are fast again
 */
import { LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import { holdProcess } from '../log/clock.ts'
import { endedError } from '../log/partition-log.ts'
import type { RecordSource } from './record-source.ts'

/** A read over 1 ms was not from memory. */
const SLOW_READ_MS = 1

/** An async iterator of records that is disposed of as a whole. */
export interface RecordStream<R> extends AsyncIterableIterator<R>, AsyncDisposable {
  [Symbol.asyncIterator](): RecordStream<R>
}

/** What a stream needs of the log. */
export interface StreamHost {
  readonly clock: Clock
  /** False once the log closes. */
  readonly isOpen: boolean
  /** A waiting read keeps the process alive. */
  readonly holdsProcess: boolean
  /** Calls back when the log closes. */
  onClosing(listener: () => void): () => void
}

/** How a stream ends. */
export interface StreamOptions {
  readonly live: boolean
  readonly signal: AbortSignal | null
}

type Result<R> = IteratorResult<R, undefined>
const END: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** The records of one or more sources, interleaved by batches. */
export class MergedStream<R> implements RecordStream<R> {
  readonly #host: StreamHost
  readonly #open: () => readonly RecordSource[]
  readonly #options: StreamOptions
  #sources: readonly RecordSource[] | undefined
  /** The source whose turn it is; none before the first record is asked for. */
  #current = -1
  #isOver = false
  #readsAhead = false
  /** The last call that has to wait; later ones queue behind it (I1). */
  #queue: Promise<unknown> | undefined
  #wake: (() => void) | undefined

  /** `open` is called at the first `next`, and may throw what that rejects with. */
  constructor(host: StreamHost, options: StreamOptions, open: () => readonly RecordSource[]) {
    this.#host = host
    this.#options = options
    this.#open = open
  }

  next(): Promise<Result<R>> {
    if (this.#queue !== undefined) return this.#enqueue()
    try {
      const record = this.#takeNow()
      if (record !== undefined) return Promise.resolve({ done: false, value: record })
    } catch (error) {
      this.#finish()
      return Promise.reject(error)
    }
    return this.#isOver ? Promise.resolve(END) : this.#enqueue()
  }

  return(): Promise<Result<R>> {
    this.#finish()
    return Promise.resolve(END)
  }

  throw(error?: unknown): Promise<Result<R>> {
    this.#finish()
    return Promise.reject(error)
  }

  [Symbol.asyncIterator](): RecordStream<R> {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #enqueue(): Promise<Result<R>> {
    const before = this.#queue ?? Promise.resolve()
    const answer = before.then(() => this.#takeOrWait())
    const settled = answer
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        if (this.#queue === settled) this.#queue = undefined
      })
    this.#queue = settled
    return answer
  }

  async #takeOrWait(): Promise<Result<R>> {
    try {
      for (;;) {
        const record = this.#takeNow()
        if (record !== undefined) return { done: false, value: record }
        if (this.#isOver) return END
        // After an asynchronous read everything is looked at once more: between that look and the
        // sleep there is no wait in which an append could go unnoticed.
        if (this.#readsAhead) await this.#loadAhead()
        else await this.#sleep()
      }
    } catch (error) {
      this.#finish()
      throw error
    }
  }

  /** The next record that can be had without waiting; ends the stream where none can come. */
  #takeNow(): R | undefined {
    if (this.#isOver) return undefined
    this.#checkSignal()
    if (!this.#host.isOpen) {
      this.#finish()
      return undefined
    }
    this.#sources ??= this.#open()
    const record = this.#takeFromSources(this.#sources)
    if (record !== undefined) return record as R // The caller of the constructor says what R is.
    const atEnd = !this.#options.live && !this.#readsAhead
    if (atEnd || this.#sources.every((source) => source.isDone)) this.#finish()
    return undefined
  }

  /** Turns to the next source when one has given a whole run, so that none starves the others. */
  #takeFromSources(sources: readonly RecordSource[]): unknown {
    if (sources[this.#current]?.needsLoad !== false) this.#turn(sources)
    for (let mayHaveMore = true; mayHaveMore;) {
      mayHaveMore = false
      for (let tried = 0; tried < sources.length; tried++) {
        const source = sources[this.#current]
        if (source === undefined) return undefined
        if (source.needsLoad && !this.#readsAhead && this.#loadNow(source)) mayHaveMore = true
        const record = source.take()
        if (record !== undefined) return record
        this.#turn(sources)
      }
    }
    return undefined
  }

  #turn(sources: readonly RecordSource[]): void {
    this.#current = (this.#current + 1) % sources.length
  }

  #loadNow(source: RecordSource): boolean {
    const startedMs = this.#host.clock.monotonicNow()
    const loaded = source.load()
    if (this.#host.clock.monotonicNow() - startedMs > SLOW_READ_MS) this.#readsAhead = true
    return loaded
  }

  /** Asynchronous reads, until a source has records at hand or none has more. */
  async #loadAhead(): Promise<void> {
    for (const source of this.#sources ?? []) {
      if (!source.needsLoad) continue
      const startedMs = this.#host.clock.monotonicNow()
      const loaded = await source.loadAhead()
      if (this.#host.clock.monotonicNow() - startedMs <= SLOW_READ_MS) this.#readsAhead = false
      if (loaded) return
    }
    this.#readsAhead = false
  }

  /**
   * Resolves when one of the partitions changed, the log closes, the signal aborts or the stream
   * ends.
   */
  async #sleep(): Promise<void> {
    const releases: (() => void)[] = []
    const { signal } = this.#options
    try {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        for (const { log } of this.#sources ?? []) {
          if (log.end === 'deleted') throw endedError(log)
          releases.push(log.onChange(resolve))
        }
        releases.push(this.#host.onClosing(resolve))
        if (this.#host.holdsProcess) releases.push(holdProcess())
        const onAbort = (): void => resolve()
        signal?.addEventListener('abort', onAbort, { once: true })
        releases.push(() => signal?.removeEventListener('abort', onAbort))
      })
    } finally {
      this.#wake = undefined
      for (const release of releases) release()
    }
  }

  #checkSignal(): void {
    const { signal } = this.#options
    if (signal?.aborted === true)
      throw new LogError(
        'ABORTED',
        'the read was aborted by its signal',
        {},
        { cause: signal.reason },
      )
  }

  #finish(): void {
    this.#isOver = true
    for (const source of this.#sources ?? []) source.finish()
    this.#wake?.()
  }
}
