/**
 * What this version does not have yet, although its types are there. Such a call fails at once and
 * says so: no half of a feature is ever pretended.
 */
import { invalidArgument, type LogError } from '../errors/log-error.ts'

/** The refusal of a call that needs share groups. */
export function noShareGroups(call: string): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(`${call}: share groups are not part of this version of streambed`, {
    feature: 'share groups',
    call,
  })
}
