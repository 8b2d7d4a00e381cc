/**
 * RemovalGate: who may remove files of an open log at a time: one step of its housekeeping, or
 * nobody while a copy is made of what is there. Writers, readers and changes of topics do not pass
 * here.
 *
 *   I1  one holds the gate at a time, in the order in which they asked
 */
import type { Procedure } from '../storage/procedure.ts'

/** A place in the order (I1). */
interface Pass {
  /** Resolves when everybody before has left. */
  readonly comes: Promise<unknown>
  /** Whether it was waited for or not. */
  readonly leave: () => void
}

/** The gate of one log. */
export class RemovalGate {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` while nothing else holds the gate; settles as it does. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    const pass = this.#ask()
    try {
      await pass.comes
      return await work()
    } finally {
      pass.leave()
    }
  }

  /** As `hold`, of a procedure. It must be run with its waits (`runProcedure`). */
  *through<T>(begin: () => Procedure<T>): Procedure<T> {
    const pass = this.#ask()
    try {
      yield () => pass.comes
      return yield* begin()
    } finally {
      pass.leave()
    }
  }

  #ask(): Pass {
    const before = this.#last
    let left: (() => void) | undefined
    const ours = new Promise<void>((resolve) => {
      left = resolve
    })
    this.#last = before.then(() => ours)
    return { comes: before, leave: () => left?.() }
  }
}
