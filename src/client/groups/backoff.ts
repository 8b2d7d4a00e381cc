/**
 * Backoff: how long a record that was not handled waits for its next attempt, by a number of
 * milliseconds that doubles, or by the user's own function, whose answers are checked.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import { describeValue } from '../check-options.ts'
import type { RunOptions } from '../group-types.ts'

/** Milliseconds to wait after attempt number `attempt`, counted from 1, failed. */
export type Backoff = (attempt: number) => number

/** Where the user says nothing. */
const DEFAULT_BACKOFF_MS = 100
/** Where the doubling ends. */
const MAX_BACKOFF_MS = 30_000
/** A longer timer would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff
/** Doublings beyond this change nothing any more, and would become Infinity. */
const MAX_DOUBLINGS = 40

/**
 * The backoff that the option `backoffMs` asks for.
 * @throws {LogError} INVALID_ARGUMENT for what is neither a time nor a function.
 */
export function backoffOf(backoffMs: RunOptions['backoffMs'], where: string): Backoff {
  if (backoffMs === undefined) return doubling(DEFAULT_BACKOFF_MS)
  if (typeof backoffMs === 'number' && backoffMs >= 0 && Number.isFinite(backoffMs)) {
    return doubling(backoffMs)
  }
  if (typeof backoffMs !== 'function') {
    throw invalidArgument(
      `${where}: backoffMs is a number of milliseconds from 0 on or a function of the attempt, ` +
        `not ${describeValue(backoffMs)}`,
      { option: 'backoffMs', value: backoffMs },
    )
  }
  return (attempt) => {
    const ms: unknown = backoffMs(attempt)
    if (typeof ms === 'number' && ms >= 0 && ms <= MAX_TIMER_MS) return ms
    throw invalidArgument(
      `${where}: backoffMs gave ${describeValue(ms)} for attempt ${attempt}: it gives ` +
        `milliseconds from 0 to ${MAX_TIMER_MS}`,
      { option: 'backoffMs', value: ms, attempt },
    )
  }
}

function doubling(firstMs: number): Backoff {
  return (attempt) => Math.min(MAX_BACKOFF_MS, firstMs * 2 ** Math.min(attempt - 1, MAX_DOUBLINGS))
}
