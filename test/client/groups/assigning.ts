/**
 * What the tests of the assignors share: members, random groups of them, and what must be true of
 * any assignment.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { AssigningMember, Assignment } from '../../../src/client/groups/group-assignor.ts'
import type { TopicPartition } from '../../../src/client/group-types.ts'

/** A group as an assignor is given it. */
export interface Case {
  readonly members: readonly AssigningMember[]
  readonly partitionCounts: ReadonlyMap<string, number>
}

/** A member without a past. */
export function member(
  memberId: string,
  topics: readonly string[],
  owned: readonly TopicPartition[] = [],
  instanceId?: string,
): AssigningMember {
  return { memberId, instanceId, topics, owned, generation: owned.length === 0 ? -1 : 1 }
}

/** `t-3` and the like. */
export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

/** Members and what they got, in an order of their own. */
export function shown(assignment: Assignment): Record<string, readonly string[]> {
  const entries = [...assignment].map(([id, given]) => [id, given.map(keyOf).toSorted()] as const)
  return Object.fromEntries(entries)
}

/** Small groups; each partition is owned by one of the members, or by nobody. */
export function smallGroups(options: { readonly sameTopics: boolean }): fc.Arbitrary<Case> {
  const names = ['a', 'b', 'c']
  return fc
    .record({
      counts: fc.array(fc.nat(4), { minLength: 1, maxLength: 3 }),
      memberCount: fc.integer({ min: 1, max: 4 }),
      subscriptions: fc.array(fc.subarray(names, { minLength: 1 }), {
        minLength: 4,
        maxLength: 4,
      }),
      instances: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 4, maxLength: 4 }),
      owners: fc.array(fc.integer({ min: -1, max: 3 }), { minLength: 12, maxLength: 12 }),
    })
    .map(({ counts, memberCount, subscriptions, instances, owners }) => {
      const partitionCounts = new Map(counts.map((count, index) => [names[index] ?? '', count]))
      const partitions = allPartitions(partitionCounts)
      const members = Array.from({ length: memberCount }, (_, index): AssigningMember => {
        const topics = options.sameTopics ? names : (subscriptions[index] ?? [])
        const owned = partitions.filter((_tp, at) => owners[at] === index)
        // Every other one is static, in an order that is not that of the ids.
        const instance = index % 2 === 0 ? `i${instances[index]}` : undefined
        return member(`m${index}`, topics, owned, instance)
      })
      return { members, partitionCounts }
    })
}

/** Every partition there is. */
export function allPartitions(counts: ReadonlyMap<string, number>): TopicPartition[] {
  return [...counts].flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  )
}

/** Every member is named; every partition that somebody wants is given once, to such a member. */
export function expectWhole({ members, partitionCounts }: Case, assignment: Assignment): void {
  expect([...assignment.keys()].toSorted()).toEqual(members.map((m) => m.memberId).toSorted())
  for (const { memberId, topics } of members) {
    for (const { topic } of assignment.get(memberId) ?? []) expect(topics).toContain(topic)
  }
  const given = [...assignment.values()].flat().map(keyOf)
  const wanted = allPartitions(partitionCounts).filter(({ topic }) =>
    members.some(({ topics }) => topics.includes(topic)),
  )
  expect(given.toSorted()).toEqual(wanted.map(keyOf).toSorted())
}

/** How many partitions each member has, ascending. */
export function loadsOf(assignment: Assignment): number[] {
  return [...assignment.values()].map(({ length }) => length).toSorted((a, b) => a - b)
}
