/**
 * Who waits for a record, and what they get: the promise of one `send`, or the one promise of a
 * `sendAll` over many records. Records that were enqueued have nobody waiting.
 *   I1  each pending send is told exactly once: `acknowledged` or `failed`
 *   I2  no user's code runs in here: what waits for a promise runs later
 */
import { LogError } from '../errors/log-error.ts'

/** Where a record ended up. */
export interface RecordMetadata {
  readonly topic: string
  readonly partition: number
  /** −1 with `acks: 0`, which does not wait for one. */
  readonly offset: number
  /** The record's own; the time of the append where the topic has `LogAppendTime`. */
  readonly timestamp: number
}

/** Somebody who waits for one record. */
export interface PendingSend {
  /** The record's place in its batch, kept here by the batch. */
  index: number
  /** The record's own timestamp, kept here by the batch. */
  timestamp: number
  acknowledged(metadata: RecordMetadata): void
  failed(error: unknown): void
}

/** A record of a `sendAll` that failed. */
export interface FailedRecord {
  readonly index: number
  readonly error: unknown
}

type Resolve<T> = (value: T) => void
type Reject = (error: unknown) => void

let lastResolve: Resolve<RecordMetadata>
let lastReject: Reject
/** One executor for the promises of all sends: a closure for each would be garbage at once. */
const keepFunctions = (resolve: Resolve<RecordMetadata>, reject: Reject): void => {
  lastResolve = resolve
  lastReject = reject
}

/** One `send`. */
export class SendResult implements PendingSend {
  index = 0
  timestamp = 0
  readonly promise: Promise<RecordMetadata>
  readonly #resolve: Resolve<RecordMetadata>
  readonly #reject: Reject

  constructor() {
    this.promise = new Promise(keepFunctions)
    this.#resolve = lastResolve
    this.#reject = lastReject
  }

  acknowledged(metadata: RecordMetadata): void {
    this.#resolve(metadata)
  }

  failed(error: unknown): void {
    this.#reject(error)
  }
}

/** One `sendAll`: settles when the last of its records did. */
export class SendAllResult {
  readonly promise: Promise<readonly RecordMetadata[]>
  readonly #results: RecordMetadata[]
  readonly #failed: FailedRecord[] = []
  #waitingCount: number
  #resolve: Resolve<readonly RecordMetadata[]> = () => undefined
  #reject: Reject = () => undefined

  constructor(recordCount: number) {
    this.#waitingCount = recordCount
    this.#results = Array.from({ length: recordCount })
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** The pending send of the record at `slot` of the call. */
  part(slot: number): PendingSend {
    return new SendAllPart(this, slot)
  }

  acknowledged(slot: number, metadata: RecordMetadata): void {
    this.#results[slot] = metadata
    this.#told()
  }

  failed(slot: number, error: unknown): void {
    this.#failed.push({ index: slot, error })
    this.#told()
  }

  /** None of the records was accepted, because of `failed`. */
  refused(failed: readonly FailedRecord[]): void {
    this.#reject(sendAllError(failed, this.#results.length))
  }

  #told(): void {
    this.#waitingCount -= 1
    if (this.#waitingCount > 0) return
    if (this.#failed.length === 0) this.#resolve(this.#results)
    else this.#reject(sendAllError(this.#failed, this.#results.length))
  }
}

class SendAllPart implements PendingSend {
  index = 0
  timestamp = 0
  readonly #result: SendAllResult
  readonly #slot: number

  constructor(result: SendAllResult, slot: number) {
    this.#result = result
    this.#slot = slot
  }

  acknowledged(metadata: RecordMetadata): void {
    this.#result.acknowledged(this.#slot, metadata)
  }

  failed(error: unknown): void {
    this.#result.failed(this.#slot, error)
  }
}

/** The first error of a `sendAll`, telling of all of them in `details.failed`, by index. */
function sendAllError(failed: readonly FailedRecord[], recordCount: number): unknown {
  const sorted = failed.toSorted((a, b) => a.index - b.index)
  const first = sorted[0]?.error
  if (!LogError.is(first)) return first // A user's own code threw: that goes through as it is.
  const message = `${sorted.length} of ${recordCount} records failed, the first: ${first.message}`
  const details = { ...first.details, failed: Object.freeze(sorted) }
  return new LogError(first.code, message, details, { cause: first })
}
