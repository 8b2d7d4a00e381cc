/**
 * Procedure: a sequence of synchronous steps with waits for the device in between.
 *
 * It is a generator that yields what has to be waited for. `runProcedure` drives it over a durable
 * driver; `completeProcedure` drives it to its end in one call over a volatile one, where there is
 * nothing to wait for, and `performProcedure` over a simulated disk, where waits take no time. So
 * creating a topic, say, is written once, and the in-memory log has it synchronously. A wait that
 * fails is thrown into the procedure at its yield.
 */

/** One wait for the device: called once, when everything before it has been done. */
export type DeviceWait = () => Promise<unknown>

/** Steps that may wait; each `yield` is one wait, `return` is the result. */
export type Procedure<T> = Generator<DeviceWait, T, undefined>

/** Runs `procedure` to its end, waiting where it asks to; `begin` may wait in another way. */
export async function runProcedure<T>(
  procedure: Procedure<T>,
  begin: (wait: DeviceWait) => Promise<unknown> = waitAsAsked,
): Promise<T> {
  let step = procedure.next()
  while (!step.done) {
    try {
      await begin(step.value)
    } catch (error) {
      step = procedure.throw(error)
      continue
    }
    step = procedure.next()
  }
  return step.value
}

function waitAsAsked(wait: DeviceWait): Promise<unknown> {
  return wait()
}

/**
 * Runs `procedure` to its end at once; what it would wait for does not exist on volatile storage.
 */
export function completeProcedure<T>(procedure: Procedure<T>): T {
  let step = procedure.next()
  while (!step.done) step = procedure.next()
  return step.value
}

/**
 * Runs `procedure` to its end at once over storage that has done its work when a wait for it
 * begins, and that does not fail: a simulated disk. Each wait begins; none is waited for.
 */
export function performProcedure<T>(procedure: Procedure<T>): T {
  let step = procedure.next()
  while (!step.done) {
    step.value().catch(() => undefined)
    step = procedure.next()
  }
  return step.value
}

/** One of several procedures that go side by side. */
interface Strand<T> {
  readonly index: number
  readonly procedure: Procedure<T>
  /** What it waits for. */
  wait: DeviceWait
  /** Of its last wait; undefined where that did not fail. */
  failure: { readonly error: unknown } | undefined
}

/**
 * Goes through `procedures` side by side, `atOnce` of them: they wait for the device together, all
 * for the slowest, and step one after the other in between. Results are in the order given.
 * Whichever fails first ends them all, between waits.
 */
export function* sideBySide<T>(
  procedures: Iterable<Procedure<T>>,
  atOnce: number,
): Procedure<readonly T[]> {
  const results: T[] = []
  let strands: Strand<T>[] = []
  const waiting = procedures[Symbol.iterator]()
  let begun = 0
  try {
    for (;;) {
      while (strands.length < atOnce) {
        const next = waiting.next()
        if (next.done === true) break
        const strand = { index: begun++, procedure: next.value, failure: undefined }
        const step = strand.procedure.next()
        if (step.done === true) results[strand.index] = step.value
        else strands.push({ ...strand, wait: step.value })
      }
      if (strands.length === 0) return results
      const together = strands
      yield () => Promise.all(together.map(waitOut))
      strands = together.filter((strand) => !hasEnded(strand, results))
    }
  } finally {
    // `as`: nobody uses what a procedure gives that was ended.
    for (const { procedure } of strands) procedure.return(undefined as never)
  }
}

async function waitOut<T>(strand: Strand<T>): Promise<void> {
  try {
    await strand.wait()
  } catch (error) {
    strand.failure = { error }
  }
}

/** Steps on to the next wait, or to the end, which is noted. */
function hasEnded<T>(strand: Strand<T>, results: T[]): boolean {
  const { procedure, failure } = strand
  strand.failure = undefined
  const step = failure === undefined ? procedure.next() : procedure.throw(failure.error)
  if (step.done === true) results[strand.index] = step.value
  else strand.wait = step.value
  return step.done === true
}

/** Runs procedures one after the other: what they change together stays in step. */
export class ProcedureQueue {
  #last: Promise<unknown> = Promise.resolve()
  #lastTicket = 0

  /** The number of the procedure that was asked for last. */
  get lastTicket(): number {
    return this.#lastTicket
  }

  /** Runs the procedure that `begin` makes when all earlier ones are over; never at once. */
  run<T>(begin: () => Procedure<T>): Promise<T> {
    this.#lastTicket += 1
    const result = this.#last.then(() => runProcedure(begin()))
    // Whoever asked for it is told; the next one runs all the same.
    this.#last = result.catch(() => undefined)
    return result
  }
}
