/**
 * That the sticky assignors move as little as they can and divide as evenly as subscriptions allow:
 * against every assignment there is, on groups small enough to try them all.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stickyAssignor } from '../../../src/client/groups/sticky-assignor.ts'
import {
  allPartitions,
  expectWhole,
  keyOf,
  loadsOf,
  member,
  shown,
  smallGroups,
  type Case,
} from './assigning.ts'

const { assign } = stickyAssignor
const MAX_TRIES = 20_000

/** Owner of each partition, by number of the member: every way in which all can be given. */
function* everyAssignment({ members, partitionCounts }: Case): Generator<readonly number[]> {
  const choices = allPartitions(partitionCounts)
    .map(({ topic }) => [...members.keys()].filter((m) => members[m]?.topics.includes(topic)))
    .filter((takers) => takers.length > 0)
  const tries = choices.reduce((product, { length }) => product * length, 1)
  for (let number = 0; number < tries; number += 1) {
    let rest = number
    yield choices.map((takers) => {
      const taker = takers[rest % takers.length] ?? 0
      rest = Math.floor(rest / takers.length)
      return taker
    })
  }
}

function fewEnough({ members, partitionCounts }: Case): boolean {
  return members.length ** allPartitions(partitionCounts).length <= MAX_TRIES
}

function unevenness(loads: readonly number[]): number {
  return loads.reduce((sum, load) => sum + load * load, 0)
}

function countLoads(owners: readonly number[], memberCount: number): number[] {
  const loads = Array.from({ length: memberCount }, () => 0)
  for (const owner of owners) loads[owner] = (loads[owner] ?? 0) + 1
  return loads
}

describe('sticky', () => {
  it('moves the fewest partitions that level loads take', () => {
    fc.assert(
      fc.property(smallGroups({ sameTopics: true }).filter(fewEnough), (group) => {
        const { members, partitionCounts } = group
        const partitions = allPartitions(partitionCounts).map(keyOf)
        const owned = members.map((m) => new Set(m.owned.map(keyOf)))
        let mostKept = 0
        for (const owners of everyAssignment(group)) {
          const loads = countLoads(owners, members.length)
          if (Math.max(...loads) - Math.min(...loads) > 1) continue
          const kept = partitions.filter((key, at) => owned[owners[at] ?? 0]?.has(key)).length
          mostKept = Math.max(mostKept, kept)
        }
        const result = shown(assign(members, partitionCounts))
        const kept = members.flatMap((m, at) =>
          (result[m.memberId] ?? []).filter((key) => owned[at]?.has(key)),
        )
        expect(kept.length).toBe(mostKept)
      }),
    )
  })

  it('divides as evenly as different subscriptions allow', () => {
    fc.assert(
      fc.property(smallGroups({ sameTopics: false }).filter(fewEnough), (group) => {
        const { members, partitionCounts } = group
        let best = Number.POSITIVE_INFINITY
        for (const owners of everyAssignment(group)) {
          best = Math.min(best, unevenness(countLoads(owners, members.length)))
        }
        expect(unevenness(loadsOf(assign(members, partitionCounts)))).toBe(best)
      }),
    )
  })

  it('moves nothing where its own result is assigned again', () => {
    fc.assert(
      fc.property(smallGroups({ sameTopics: false }), ({ members, partitionCounts }) => {
        const first = assign(members, partitionCounts)
        const again = members.map((m) => ({ ...m, owned: first.get(m.memberId) ?? [] }))
        expect(shown(assign(again, partitionCounts))).toEqual(shown(first))
      }),
    )
  })

  it('moves nothing but the partitions of a member that left, where all had the same', () => {
    const topics = ['t']
    const counts = new Map([['t', 12]])
    const four = ['a', 'b', 'c', 'd'].map((id) => member(id, topics))
    const before = assign(four, counts)
    const three = four.slice(1).map((m) => ({ ...m, owned: before.get(m.memberId) ?? [] }))
    const after = shown(assign(three, counts))
    for (const { memberId, owned } of three) {
      expect(after[memberId]).toEqual(expect.arrayContaining(owned.map(keyOf)))
    }
  })

  it('forgets claims on what does not exist, is not subscribed or is claimed by two alike', () => {
    const gone = [
      { topic: 't', partition: 9 },
      { topic: 'u', partition: 0 },
      { topic: 'none', partition: 0 },
    ]
    const group: Case = {
      members: [
        member('a', ['t'], [...gone, { topic: 't', partition: 1 }]),
        member('b', ['t'], [{ topic: 't', partition: 1 }]),
      ],
      partitionCounts: new Map([['t', 2]]),
    }
    const result = assign(group.members, group.partitionCounts)
    expectWhole(group, result)
    expect(shown(result)).toEqual({ a: ['t-0'], b: ['t-1'] })
  })
})
