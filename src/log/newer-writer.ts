/**
 * The refusal of a log that a newer version wrote so that this one may read it, but not write.
 */
import { LogError } from '../errors/log-error.ts'

/** What writing fails with where `features` are not known here. */
export function newerWriter(features: readonly string[]): LogError<'READ_ONLY'> {
  const message = `a newer version of streambed wrote this log with ${features.join(', ')}: this version may not write to it, install the newer one`
  return new LogError('READ_ONLY', message, { features })
}
