/**
 * What must hold in our own code. A broken invariant is a bug of this library: it is thrown as
 * `InvariantError`, which nothing catches, so that no later line runs on a state nobody designed.
 * Mistakes of the caller and failures of the machine are `LogError` (log-error.ts).
 */

/** A bug of streambed itself, never the caller's fault. */
export class InvariantError extends Error {
  override readonly name: string = 'InvariantError'
}

/** Throws `InvariantError` unless `condition` holds. `message` is a constant: it costs nothing. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/** Ends a `switch` over a closed union: the compiler proves that no case is missing. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${String(value)}`)
}
