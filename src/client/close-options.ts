/**
 * Options of `log.close`, checked.
 */
import { invalidArgument } from '../errors/log-error.ts'
import { checkOptions, describeValue } from './check-options.ts'

/** Options of `log.close`. */
export interface CloseOptions {
  /** Milliseconds that handlers of groups, and sends, may take to finish. Default 10,000. */
  timeoutMs?: number | undefined
}

const DEFAULT_CLOSE_TIMEOUT_MS = 10_000
/** A longer timer would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff

/** @throws {LogError} INVALID_ARGUMENT. */
export function closeTimeoutOf(options: CloseOptions | undefined): number {
  checkOptions(options, ['timeoutMs'], 'log.close')
  const timeoutMs = options?.timeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS
  if (Number.isSafeInteger(timeoutMs) && timeoutMs >= 0) return Math.min(timeoutMs, MAX_TIMER_MS)
  throw invalidArgument(
    `log.close: timeoutMs is an integer from 0 on, not ${describeValue(timeoutMs)}`,
    { option: 'timeoutMs', value: timeoutMs },
  )
}
