/**
 * SharedProcedure: requests of one kind that wait in a queue of procedures together, and that one
 * procedure serves together: what each would wait for alone, they wait for once.
 *
 *   I1  order: a request is served after everything that was asked for before it, and before
 *       everything that was asked for later; it joins those that wait last in the queue, or nobody
 *   I2  two requests of one key are never served together: the later one meets what the first did
 *   I3  a request fails by itself; all that are served together fail where the procedure itself
 *       does
 */
import { assert } from '../errors/invariant.ts'
import type { Procedure, ProcedureQueue } from './procedure.ts'

/** A request that may share. */
export interface SharedRequest {
  /** What it is about (I2). */
  readonly key: string
  /** Its part of what may be served together. */
  readonly weight: number
}

interface Group<Request, Result> {
  readonly requests: Request[]
  readonly keys: Set<string>
  weight: number
  /** Of the queue, when its procedure was asked for. */
  readonly ticket: number
  readonly results: Promise<readonly PromiseSettledResult<Result>[]>
}

/** Requests of one kind. */
export class SharedProcedure<Request extends SharedRequest, Result> {
  readonly #queue: ProcedureQueue
  readonly #most: number
  readonly #serve: (
    requests: readonly Request[],
  ) => Procedure<readonly PromiseSettledResult<Result>[]>
  /** The last that was asked for, until it begins. */
  #waiting: Group<Request, Result> | undefined

  /** At most `most` of weight is served together; `serve` gives a result for each, in order. */
  constructor(
    queue: ProcedureQueue,
    most: number,
    serve: (requests: readonly Request[]) => Procedure<readonly PromiseSettledResult<Result>[]>,
  ) {
    this.#queue = queue
    this.#most = most
    this.#serve = serve
  }

  /** Serves `request`, with others where some wait. */
  async run(request: Request): Promise<Result> {
    const group = this.#groupFor(request)
    const index = group.requests.push(request) - 1
    group.keys.add(request.key)
    group.weight += request.weight
    const result = (await group.results)[index]
    assert(result !== undefined, 'there is a result for each request')
    if (result.status === 'rejected') throw result.reason
    return result.value
  }

  #groupFor({ key, weight }: Request): Group<Request, Result> {
    const waiting = this.#waiting
    const isJoined =
      waiting !== undefined &&
      waiting.ticket === this.#queue.lastTicket && // I1
      !waiting.keys.has(key) &&
      waiting.weight + weight <= this.#most
    return isJoined ? waiting : this.#newGroup()
  }

  #newGroup(): Group<Request, Result> {
    const requests: Request[] = []
    const results = this.#queue.run(() => {
      if (this.#waiting?.requests === requests) this.#waiting = undefined
      return this.#serve(requests)
    })
    const ticket = this.#queue.lastTicket
    this.#waiting = { requests, keys: new Set(), weight: 0, ticket, results }
    return this.#waiting
  }
}
