/**
 * What this version does not have yet, although its types are there. Such a call fails at once and
 * says so: no half of a feature is ever pretended.
 */
import { invalidArgument, type LogError } from '../errors/log-error.ts'

/** Features of the interface that come with later versions. */
export type LaterFeature = 'share groups' | 'attaching from worker threads'

/** The refusal of a call that needs `feature`. */
export function notAvailable(feature: LaterFeature, call: string): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(`${call}: ${feature} are not part of this version of streambed`, {
    feature,
    call,
  })
}
