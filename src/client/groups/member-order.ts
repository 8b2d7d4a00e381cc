/**
 * The order in which range and round-robin serve members: static ones first, by instanceId, then
 * the others by memberId, as Kafka orders them. So a static member that comes back under a new
 * memberId is given what it had.
 */
import type { AssigningMember } from './group-assignor.ts'

/** A copy of `members` in the order in which they are served. */
export function inServingOrder(members: readonly AssigningMember[]): readonly AssigningMember[] {
  return members.toSorted((a, b) => {
    if (a.instanceId !== undefined && b.instanceId !== undefined) {
      return compareText(a.instanceId, b.instanceId)
    }
    if (a.instanceId !== undefined) return -1
    if (b.instanceId !== undefined) return 1
    return compareText(a.memberId, b.memberId)
  })
}

/** By UTF-16 code units, which is also Java's order: no locale has a say in an assignment. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
