/**
 * FuzzTarget: what one parser promises of any bytes at all, as a function that throws where the
 * promise is broken.
 *
 * A target is given bytes and decides what they are: often twice, as they come and once more with
 * the checksums put right, because no mutation hits a CRC. It must be deterministic, keep nothing
 * from one call to the next, and take time that is about linear in its input.
 *   I1  what is refused is refused with the error that the parser documents, and no other
 *   I2  what is accepted means the same after it was written and read once more
 *   I3  memory is bounded by the input, or by a limit, whatever lengths the input claims
 */
import { CorruptBytes } from '../src/errors/corrupt-bytes.ts'
import { LogError } from '../src/errors/log-error.ts'

/** One parser under test. */
export interface FuzzTarget {
  readonly name: string
  /** How much of the time it gets, for the one part that others get: 1 where it is not said. */
  readonly share?: number
  /** Longer inputs find nothing that shorter ones don't, but slowly. */
  readonly maxInputBytes: number
  /** Bytes that the target may allocate through Buffer for an input, besides 64 KiB. */
  readonly allocationLimit: (input: Buffer) => number
  /** @throws whatever it is: the promise is broken. */
  readonly run: (input: Buffer) => void
}

/** A promise that was not kept. */
export class BrokenPromise extends Error {
  override readonly name: string = 'BrokenPromise'
}

/** Throws `BrokenPromise` unless `condition` holds. */
export function promise(condition: boolean, what: string): asserts condition {
  if (!condition) throw new BrokenPromise(what)
}

/** Throws `BrokenPromise` unless the two say the same. `bigint`, Map and views are not compared. */
export function promiseEqual(actual: unknown, expected: unknown, what: string): void {
  const left = JSON.stringify(actual)
  const right = JSON.stringify(expected)
  if (left !== right) throw new BrokenPromise(`${what}: ${left} is not ${right}`)
}

/** What `parse` gives; undefined where it refuses with `CorruptBytes` (I1). */
export function unlessCorrupt<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof CorruptBytes) return undefined
    throw error
  }
}

/** What `call` gives; undefined where it refuses with a `LogError` of one of `codes` (I1). */
export function unlessRefused<T>(codes: readonly string[], call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (LogError.is(error) && codes.includes(error.code)) return undefined
    throw error
  }
}
