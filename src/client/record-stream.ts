/**
 * RecordStream: what `for await` runs over. Records that are at hand are given without waiting;
 * behind the last one a live stream sleeps until an append wakes it, once per batch.
 *
 *   I1  calls of `next` are answered in order, however many wait at once
 *   I2  `return`, `break`, an aborted signal and the end of the log release everything at once,
 *       also while a `next` waits
 *   I3  cold data is not read on the event loop: a read that took over a millisecond is followed by
 *       asynchronous ones until they are fast again
 *   I4  nothing wakes unheard: from the look that found no record until a call is answered, the
 *       stream listens without a gap; it listens no longer once nobody asks again
 */
import { LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import { holdProcess } from '../log/clock.ts'
import { ReadPace } from './read-pace.ts'
import type { RecordSource } from './record-source.ts'

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
const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** What is to come behind the call that runs now, and before the next turn. */
const NOW: Promise<void> = Promise.resolve()

/** Who made a call of `next`. */
interface Waiter<R> {
  readonly resolve: (result: Result<R>) => void
  readonly reject: (error: unknown) => void
}

/** The records of one or more sources, interleaved by batches. */
export class MergedStream<R> implements RecordStream<R> {
  readonly #host: StreamHost
  readonly #options: StreamOptions
  #sources: readonly RecordSource[] = []
  /** Why the first `next` rejects. */
  #refusal: { readonly error: unknown } | undefined
  /** The source whose turn it is; none before the first record is asked for. */
  #current = -1
  #isOver = false
  readonly #pace: ReadPace
  /** Calls of `next` that have no answer yet. */
  readonly #waiters: Waiter<R>[] = []
  /** Stops listening. */
  #release: (() => void) | undefined
  /** A look for the calls that wait is under way, or due. */
  #isServing = false
  /** Something happened since the last look began. */
  #isAwake = false

  /**
   * `open` is called at once, so that the positions of the sources are those of the call; what it
   * throws is what the first `next` rejects with.
   */
  constructor(host: StreamHost, options: StreamOptions, open: () => readonly RecordSource[]) {
    this.#host = host
    this.#options = options
    this.#pace = new ReadPace(host.clock)
    try {
      this.#sources = open()
    } catch (error) {
      this.#refusal = { error }
    }
  }

  next(): Promise<Result<R>> {
    if (this.#waiters.length > 0) return this.#wait()
    try {
      const record = this.#takeNow()
      if (record !== undefined) return Promise.resolve({ done: false, value: record })
    } catch (error) {
      this.#finish()
      return Promise.reject(error)
    }
    return this.#isOver ? Promise.resolve(END) : this.#wait()
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
    this.#finish()
  }

  #wait(): Promise<Result<R>> {
    const answer = new Promise<Result<R>>((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
    // A loop that asks for the next record at once goes on listening as it did.
    this.#release ??= this.#listen()
    if (!this.#isServing) this.#goOn()
    return answer
  }

  /** Something may have happened. Whoever told is not held up: the look is behind its call. */
  readonly #notice = (): void => {
    this.#isAwake = true
    if (this.#waiters.length > 0 && !this.#isServing) this.#goOn()
  }

  /** For the calls that wait, where the last look has not told that there is nothing for them. */
  #goOn(): void {
    if (this.#pace.readsAhead) void this.#serveAhead()
    else if (this.#isAwake) {
      this.#isServing = true
      void NOW.then(this.#serve)
    }
  }

  /** Answers what can be answered by now; what comes later is told of. Never throws. */
  readonly #serve = (): void => {
    try {
      this.#answerWaiters()
    } catch (error) {
      this.#fail(error)
    }
    this.#isServing = false
    if (this.#waiters.length === 0) void NOW.then(this.#rest)
    else this.#goOn()
  }

  /** As `#serve`, while reads are to wait for the device off the event loop. Never rejects. */
  async #serveAhead(): Promise<void> {
    this.#isServing = true
    try {
      while (this.#waiters.length > 0 && this.#pace.readsAhead) {
        await this.#loadAhead()
        this.#answerWaiters()
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#serve()
  }

  /** Behind those who were answered: stops listening, unless one of them has asked again. */
  readonly #rest = (): void => {
    if (this.#waiters.length === 0) this.#stopListening()
  }

  #stopListening(): void {
    this.#release?.()
    this.#release = undefined
  }

  #answerWaiters(): void {
    while (this.#waiters.length > 0) {
      const record = this.#takeNow()
      if (record === undefined) return
      this.#waiters.shift()?.resolve({ done: false, value: record })
    }
  }

  /** Listens to everything that may give a waiting call its answer; returns how to stop. */
  #listen(): () => void {
    const { signal } = this.#options
    const releases = this.#sources
      .filter((source) => !source.isDone)
      .map((source) => source.log.onChange(this.#notice))
    releases.push(this.#host.onClosing(() => this.#finish()))
    if (this.#host.holdsProcess) releases.push(holdProcess())
    const onAbort = (): void => {
      // With nobody waiting, it is what the next call is answered.
      if (this.#waiters.length > 0) this.#fail(abortedBy(signal))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    releases.push(() => signal?.removeEventListener('abort', onAbort))
    return () => {
      for (const release of releases) release()
    }
  }

  /** The next record that can be had without waiting; ends the stream where none can come. */
  #takeNow(): R | undefined {
    this.#isAwake = false
    if (this.#isOver) return undefined
    if (this.#refusal !== undefined) throw this.#refusal.error
    const { signal } = this.#options
    if (signal?.aborted === true) throw abortedBy(signal)
    if (!this.#host.isOpen) {
      this.#finish()
      return undefined
    }
    const record = this.#takeFromSources(this.#sources)
    if (record !== undefined) return record as R // The caller of the constructor says what R is.
    const isAtEnd = !this.#options.live && !this.#pace.readsAhead
    if (isAtEnd || this.#sources.every((source) => source.isDone)) this.#finish()
    return undefined
  }

  /** Turns to the next source when one has given a whole run, so that none starves the others. */
  #takeFromSources(sources: readonly RecordSource[]): unknown {
    const record = sources[this.#current]?.take()
    if (record !== undefined) return record
    for (let tried = 0; tried < sources.length; tried++) {
      this.#current = (this.#current + 1) % sources.length
      const next = this.#takeFrom(sources[this.#current])
      if (next !== undefined) return next
    }
    return undefined
  }

  #takeFrom(source: RecordSource | undefined): unknown {
    for (;;) {
      const record = source?.take()
      if (source === undefined || record !== undefined) return record
      // A run may hold control records alone.
      if (this.#pace.readsAhead || !this.#pace.load(source)) return undefined
    }
  }

  /** Asynchronous reads in turn, until a source has records at hand or none has more. */
  async #loadAhead(): Promise<void> {
    const sources = this.#sources
    const first = this.#current + 1
    for (let tried = 0; tried < sources.length && !this.#isOver; tried++) {
      const source = sources[(first + tried) % sources.length]
      if (source?.needsLoad !== true) continue
      if (await this.#pace.loadAhead(source)) return
    }
    this.#pace.caughtUp()
  }

  /**
   * The first call that waits is rejected; the others, and all later ones, find the stream over.
   */
  #fail(error: unknown): void {
    if (this.#isOver) return // Whoever waited was answered; nobody asks for this any more.
    const first = this.#waiters.shift()
    this.#finish()
    first?.reject(error)
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#refusal = undefined
    for (const source of this.#sources) source.finish()
    this.#sources = []
    this.#stopListening()
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(END)
  }
}

function abortedBy(signal: AbortSignal | null): LogError<'ABORTED'> {
  const cause: unknown = signal?.reason
  return new LogError('ABORTED', 'the read was aborted by its signal', {}, { cause })
}
