/**
 * What each assignor does, by the results of Kafka's own (test/vectors/assignors.json) and by what
 * must hold for any group: properties over random ones.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignorOf } from '../../../src/client/groups/assignors.ts'
import { loadVectors } from '../../format/vectors.ts'
import { refusal } from '../refusal.ts'
import { expectWhole, keyOf, loadsOf, member, shown, smallGroups } from './assigning.ts'

interface AssignorVectors {
  readonly vectors: readonly {
    readonly assignor: string
    readonly case: string
    readonly topics: Readonly<Record<string, number>>
    readonly members: Readonly<
      Record<
        string,
        {
          readonly topics: readonly string[]
          readonly owned: readonly (readonly [string, number])[]
          readonly generation: number
          readonly groupInstanceId: string | null
        }
      >
    >
    readonly assignment: Readonly<Record<string, readonly (readonly [string, number])[]>>
  }[]
}

const { vectors } = loadVectors<AssignorVectors>('assignors.json')
const NAMES = ['range', 'roundrobin', 'sticky', 'cooperative-sticky'] as const

describe('the results of Kafka', () => {
  it.each(vectors)('$assignor: $case', (vector) => {
    const members = Object.entries(vector.members).map(([memberId, given]) => ({
      memberId,
      instanceId: given.groupInstanceId ?? undefined,
      topics: given.topics,
      owned: given.owned.map(([topic, partition]) => ({ topic, partition })),
      generation: given.generation,
    }))
    const counts = new Map(Object.entries(vector.topics))
    const target = shown(assignorOf(vector.assignor, 'test').assign(members, counts))
    // Kafka's cooperative one holds back what another member still owns; here the membership does
    // (group-membership.test.ts shows it with the same vectors), and the assignor gives the aim.
    const got = Object.entries(target).map(([memberId, given]) => [
      memberId,
      given.filter((key) => {
        if (vector.assignor !== 'cooperative-sticky') return true
        return !members.some((m) => m.memberId !== memberId && m.owned.map(keyOf).includes(key))
      }),
    ])
    const expected = Object.entries(vector.assignment).map(([memberId, given]) => [
      memberId,
      given.map(([topic, partition]) => keyOf({ topic, partition })),
    ])
    expect(Object.fromEntries(got)).toEqual(Object.fromEntries(expected))
  })
})

describe.each(NAMES)('%s', (name) => {
  const { assign } = assignorOf(name, 'test')

  it('gives every partition once, to a member that subscribes to its topic', () => {
    fc.assert(
      fc.property(smallGroups({ sameTopics: false }), (group) => {
        expectWhole(group, assign(group.members, group.partitionCounts))
      }),
    )
  })

  it('depends on the members and not on their order', () => {
    const shuffled = smallGroups({ sameTopics: false }).chain((group) =>
      fc
        .shuffledSubarray([...group.members], { minLength: group.members.length })
        .map((members) => ({ group, members })),
    )
    fc.assert(
      fc.property(shuffled, ({ group, members }) => {
        const counts = group.partitionCounts
        expect(shown(assign(members, counts))).toEqual(shown(assign(group.members, counts)))
      }),
    )
  })

  it('gives members of the same topics loads that differ by one at most, in a topic or in all', () => {
    fc.assert(
      fc.property(smallGroups({ sameTopics: true }), ({ members, partitionCounts }) => {
        const topics = name === 'range' ? [...partitionCounts] : []
        for (const [topic, count] of topics) {
          expectLevel(loadsOf(assign(members, new Map([[topic, count]]))))
        }
        if (name !== 'range') expectLevel(loadsOf(assign(members, partitionCounts)))
      }),
    )
  })

  it('gives nothing where nobody is and where nothing is wanted', () => {
    expect(assign([], new Map([['t', 3]])).size).toBe(0)
    expect(shown(assign([member('a', []), member('b', ['gone'])], new Map([['t', 3]])))).toEqual({
      a: [],
      b: [],
    })
  })
})

describe('range and round-robin', () => {
  it.each(['range', 'roundrobin'])(
    '%s keep what a static member had when its id changes',
    (name) => {
      const { assign } = assignorOf(name, 'test')
      const counts = new Map([['t', 7]])
      const others = [member('m1', ['t']), member('m2', ['t'], [], 'two')]
      const before = shown(assign([...others, member('m3', ['t'], [], 'one')], counts))
      const after = shown(assign([...others, member('m0', ['t'], [], 'one')], counts))
      expect(after).toEqual({ m0: before['m3'], m1: before['m1'], m2: before['m2'] })
    },
  )
})

describe('the option', () => {
  it('is cooperative-sticky where it is left out', () => {
    expect(assignorOf(undefined, 'test').name).toBe('cooperative-sticky')
  })

  it.each([
    'stick',
    null,
    7,
    {},
    { name: 'mine' },
    { name: '', assign: () => new Map() },
    { name: 'range', assign: () => new Map() },
  ])('is refused as %o', (option) => {
    expect(refusal(() => assignorOf(option, 'test')).code).toBe('INVALID_ARGUMENT')
  })
})

function expectLevel(loads: readonly number[]): void {
  expect((loads.at(-1) ?? 0) - (loads[0] ?? 0)).toBeLessThanOrEqual(1)
}
