/**
 * What a log that was opened read-only refuses: whatever would change it. One answer for all calls.
 */
import { LogError } from '../errors/log-error.ts'

/** The refusal of `call` by a log that another process writes, or nobody. */
export function readOnlyLog(call: string): LogError<'READ_ONLY'> {
  return new LogError(
    'READ_ONLY',
    `${call}: this log was opened read-only: let the process that writes it do that, or open it ` +
      'without readOnly where there is none',
    { call },
  )
}
