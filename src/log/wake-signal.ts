/**
 * WakeSignal: how the writer of a log wakes the readers of it that run in other threads of its
 * process, without a file, a message or a poll: two numbers in memory that all of them share.
 *
 *   cell 0   publications so far, in 32 bits that wrap; waited for by whoever waits for records
 *   cell 1   1 once the writer's log is closed; waited for by every attached log, all the time
 *
 *   I1  a reader that waits is woken by every publication behind its last look, or finds the number
 *       changed before it waits: none is missed, however the two interleave
 *   I2  the writer keeps nothing of a reader: a thread that is terminated leaves nothing here
 *   I3  neither keeps its thread alive: who waits for somebody holds the process (clock.ts)
 */
import { afterTurn } from './clock.ts'
import type { WakeSource } from './follow/wake-source.ts'

const PUBLICATIONS = 0
const IS_CLOSED = 1
const CELLS = 2

/** The writer's side. */
export class WakeSignal {
  readonly #cells = new Int32Array(new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT))

  /** What readers wait on; goes to other threads as it is. */
  get memory(): SharedArrayBuffer {
    return this.#cells.buffer
  }

  /** Something was published. Costs the same however many wait, and next to nothing if none do. */
  published(): void {
    Atomics.add(this.#cells, PUBLICATIONS, 1)
    Atomics.notify(this.#cells, PUBLICATIONS)
  }

  /** The log is closing: whoever reads ends. */
  close(): void {
    Atomics.store(this.#cells, IS_CLOSED, 1)
    Atomics.notify(this.#cells, IS_CLOSED)
  }
}

/** A reader's side: one for each log that is attached. */
export class SignalledWake implements WakeSource {
  readonly isComplete = true
  readonly #cells: Int32Array
  readonly #onClosed: () => void
  #onWake: (() => void) | undefined
  /** Publications when the log was last told to look. */
  #seen = 0
  /** A wait cannot be taken back: one that nobody wants any more is kept for who wants the next. */
  #isWaiting = false
  #isReleased = false

  /** `onClosed` is called once, when the writer closes; not if it has already: see `isClosed`. */
  constructor(memory: SharedArrayBuffer, onClosed: () => void) {
    this.#cells = new Int32Array(memory)
    this.#onClosed = onClosed
    this.#awaitClose()
  }

  /** The writer's log is closed, or closing. */
  get isClosed(): boolean {
    return Atomics.load(this.#cells, IS_CLOSED) !== 0
  }

  start(onWake: () => void): void {
    this.#onWake = onWake
    if (!this.#isWaiting) {
      this.#seen = Atomics.load(this.#cells, PUBLICATIONS)
      this.#wait()
    }
    // For what came between the last look and this.
    afterTurn(() => {
      if (this.#onWake === onWake) onWake()
    })
  }

  stop(): void {
    this.#onWake = undefined
  }

  /** Waits for nothing any more, for good. */
  release(): void {
    this.#onWake = undefined
    if (this.#isReleased) return
    this.#isReleased = true
    // What waits is remembered until it is woken: by us, as the writer may be idle for days. Others
    // that wait find nothing changed and wait again.
    Atomics.notify(this.#cells, PUBLICATIONS)
    Atomics.notify(this.#cells, IS_CLOSED)
  }

  #wait(): void {
    const wait = Atomics.waitAsync(this.#cells, PUBLICATIONS, this.#seen)
    this.#isWaiting = true
    if (wait.async) void wait.value.then(this.#woken)
    else afterTurn(this.#woken) // A writer that never rests must not keep our loop from turning.
  }

  readonly #woken = (): void => {
    this.#isWaiting = false
    if (this.#onWake === undefined) return
    const publications = Atomics.load(this.#cells, PUBLICATIONS)
    const isNews = publications !== this.#seen
    this.#seen = publications // Before looking: what is published meanwhile wakes again (I1).
    this.#wait()
    if (isNews) this.#onWake()
  }

  #awaitClose(): void {
    const wait = Atomics.waitAsync(this.#cells, IS_CLOSED, 0)
    if (!wait.async) return
    void wait.value.then(() => {
      if (this.#isReleased) return
      if (this.isClosed) this.#onClosed()
      else this.#awaitClose()
    })
  }
}
