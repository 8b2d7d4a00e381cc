/**
 * Sticky: loads that differ by at most one, and as few partitions moved as that takes (KIP-54),
 * with the results of Kafka's StickyAssignor where all members subscribe to the same topics. The
 * two assignors here divide alike; how partitions move then is the membership's part.
 */
import { assert } from '../../errors/invariant.ts'
import { Allotment, NOBODY } from './allotment.ts'
import type { Assignment, AssigningMember, GroupAssignor } from './group-assignor.ts'
import { levelLoads } from './load-levelling.ts'

/** Kafka's `sticky`: all stop while partitions move. */
export const stickyAssignor: GroupAssignor = {
  name: 'sticky',
  isEager: true,
  assign: assignSticky,
}

/** Kafka's `cooperative-sticky` (KIP-429): what does not move is never paused. */
export const cooperativeStickyAssignor: GroupAssignor = {
  name: 'cooperative-sticky',
  isEager: false,
  assign: assignSticky,
}

function assignSticky(
  members: readonly AssigningMember[],
  partitionCounts: ReadonlyMap<string, number>,
): Assignment {
  const allotment = new Allotment(members, partitionCounts)
  const { topics } = allotment
  if (topics.every(({ subscribers }) => subscribers.length === members.length)) {
    const quota = Math.floor(allotment.partitionCount / members.length)
    keepUpToQuota(allotment, quota)
    dealOut(allotment, quota)
  } else {
    levelLoads(allotment)
  }
  return allotment.assignment()
}

/**
 * Takes from everybody what is above the quota. As many as the division leaves over may keep one
 * more: first come, by member, those that have one more already. That is what makes the number of
 * moves the smallest.
 */
function keepUpToQuota(allotment: Allotment, quota: number): void {
  let extras = allotment.partitionCount % Math.max(1, allotment.members.length)
  const room = allotment.members.map((_, member) => {
    if (extras === 0 || allotment.loadOf(member) <= quota) return quota
    extras -= 1
    return quota + 1
  })
  for (let partition = 0; partition < allotment.partitionCount; partition += 1) {
    const owner = allotment.ownerOf(partition)
    if (owner === NOBODY) continue
    const left = room[owner] ?? 0
    if (left === 0) allotment.take(partition)
    else room[owner] = left - 1
  }
}

/** Deals out what nobody owns: in turn to those below the quota, then one more to some. */
function dealOut(allotment: Allotment, quota: number): void {
  const below: number[] = []
  const full: number[] = []
  for (const member of allotment.members.keys()) {
    const load = allotment.loadOf(member)
    if (load < quota) below.push(member)
    else if (load === quota) full.push(member)
  }
  let turn = 0
  let next = 0
  for (let partition = 0; partition < allotment.partitionCount; partition += 1) {
    if (allotment.ownerOf(partition) !== NOBODY) continue
    if (turn >= below.length) turn = 0
    const member = below[turn] ?? full[next]
    assert(member !== undefined, 'quotas add up to the number of partitions')
    allotment.give(partition, member)
    if (below.length === 0) {
      next += 1
    } else if (allotment.loadOf(member) === quota) {
      below.splice(turn, 1)
      full.push(member)
    } else {
      turn += 1
    }
  }
}
