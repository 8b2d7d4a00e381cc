/**
 * What a group tells its members, case by case; random lives are in membership-model.test.ts. The
 * cooperative results of Kafka (test/vectors) are shown here, where partitions really move.
 */
import { describe, expect, it } from 'vitest'
import { assignorOf } from '../../../src/client/groups/assignors.ts'
import type { GroupAssignor } from '../../../src/client/groups/group-assignor.ts'
import { loadVectors } from '../../format/vectors.ts'
import { keyOf } from './assigning.ts'
import { FakeGroup } from './membership-harness.ts'

function group(assignor: unknown, partitionCount: number): FakeGroup {
  const made = new FakeGroup(assignorOf(assignor, 'test'))
  made.setTopic('t', partitionCount)
  return made
}

/** A cooperative group in which m1 and m2 own three partitions each, m2 answering late. */
function twoMembers(): FakeGroup {
  const made = group('cooperative-sticky', 6)
  made.join('m1')
  made.join('m2', { answering: 'when asked' })
  made.settle()
  for (const { told } of made.members.values()) told.length = 0
  return made
}

describe('a cooperative group', () => {
  it('makes one generation of joins that come together', () => {
    const made = group('cooperative-sticky', 6)
    for (let at = 0; at < 3; at += 1) made.join(`m${at}`)
    made.rebalance()
    expect(made.membership.generation).toBe(1)
    expect([...made.members.values()].map(({ told }) => told)).toEqual([
      ['generation 1', 'assigned t-0 t-3'],
      ['generation 1', 'assigned t-1 t-4'],
      ['generation 1', 'assigned t-2 t-5'],
    ])
  })

  it('takes only what moves, and gives it on when it is released', () => {
    const made = twoMembers()
    const newcomer = made.join('m3')
    made.rebalance()
    expect(made.members.get('m1')?.told).toEqual(['generation 2', 'revoke t-4'])
    expect(made.members.get('m2')?.told).toEqual(['generation 2', 'revoke t-5'])
    expect(newcomer.told).toEqual(['generation 2', 'assigned t-4'])
    expect(made.membership.stable).toBe(false)
    expect(made.membership.owns('m2', 't', 5)).toBe(true)
    made.members.get('m2')?.release()
    expect(newcomer.told.at(-1)).toBe('assigned t-5')
    expect(made.membership.owns('m2', 't', 5)).toBe(false)
    expect(made.membership.stable).toBe(true)
    expect(made.membership.generation).toBe(2)
  })

  it('gives a partition back to its owner where the one it was for leaves before it moved', () => {
    const made = twoMembers()
    const newcomer = made.join('m3')
    made.rebalance()
    made.leave(newcomer)
    made.settle()
    expect(made.owned()).toEqual({ m1: ['t-0', 't-2', 't-4'], m2: ['t-1', 't-3', 't-5'] })
  })

  it('frees what a member had at once when it leaves, and tells it nothing more', () => {
    const made = twoMembers()
    const [first, second] = [...made.members.values()]
    if (first === undefined || second === undefined) throw new Error('two members')
    made.leave(second)
    made.rebalance()
    expect(first.told).toEqual(['generation 2', 'assigned t-1 t-3 t-5'])
    expect(second.told).toEqual([])
  })

  it('counts nothing of a stalled member, and waits for its hooks before others get its share', () => {
    const made = twoMembers()
    const stalled = made.members.get('m2')
    if (stalled === undefined) throw new Error('two members')
    made.evict(stalled)
    made.rebalance()
    expect(stalled.told).toEqual(['lost t-1 t-3 t-5 evicted'])
    expect(made.membership.owns('m2', 't', 1)).toBe(false)
    expect(made.owned()).toEqual({ m1: ['t-0', 't-2', 't-4'] })
    expect(made.membership.stable).toBe(false)
    stalled.release()
    expect(made.owned()).toEqual({ m1: ['t-0', 't-1', 't-2', 't-3', 't-4', 't-5'] })
    made.join('m2')
    made.settle()
    expect(made.owned()['m2']?.length).toBe(3)
  })

  it('rebalances for its own topics only', () => {
    const made = twoMembers()
    made.membership.topicsChanged()
    expect(made.isDue).toBe(false)
    made.setTopic('t', 7)
    made.setTopic('a', 1)
    made.settle()
    expect(made.membership.generation).toBe(2)
    expect(Object.values(made.owned()).flat()).toHaveLength(8)
  })

  it('waits with a topic made anew until what was lost of the old one is answered', () => {
    const made = twoMembers()
    made.topics.delete('t')
    made.setTopic('t', 2)
    expect(made.members.get('m2')?.told).toEqual(['lost t-1 t-3 t-5 deleted'])
    made.rebalance()
    expect(made.owned()).toEqual({ m1: ['t-0'], m2: [] })
    made.members.get('m2')?.release()
    expect(made.owned()).toEqual({ m1: ['t-0'], m2: ['t-1'] })
    expect(made.membership.owns('m2', 't', 5)).toBe(false)
  })

  it('is empty when the last one left, and starts anew', () => {
    const made = twoMembers()
    for (const member of made.members.values()) made.leave(member)
    made.rebalance()
    expect(made.membership.describe()).toEqual({ state: 'Empty', members: [] })
    expect(made.membership.stable).toBe(true)
    made.join('m9')
    made.settle()
    expect(made.owned()['m9']).toHaveLength(6)
    expect(made.membership.generation).toBe(2)
  })

  it('ignores answers that nobody asked for', () => {
    const made = twoMembers()
    made.membership.released('m1', [{ topic: 't', partition: 0 }])
    made.membership.released('m1', [{ topic: 't', partition: 1 }])
    made.membership.released('who', [{ topic: 'what', partition: 9 }])
    expect(made.owned()).toEqual({ m1: ['t-0', 't-2', 't-4'], m2: ['t-1', 't-3', 't-5'] })
  })
})

describe('an eager group', () => {
  it.each(['range', 'roundrobin', 'sticky'])('%s takes everything before it gives any', (name) => {
    const made = group(name, 4)
    made.join('m1')
    made.join('m2', { answering: 'when asked' })
    made.settle()
    const [first, second] = [...made.members.values()].map(({ told }) => told)
    const joined = made.join('m3')
    made.rebalance()
    expect(made.membership.generation).toBe(1)
    expect(first?.at(-1)).toMatch(/^revoke t-\d t-\d$/)
    expect(second?.at(-1)).toMatch(/^revoke t-\d t-\d$/)
    expect(joined.told).toEqual([])
    made.join('m4')
    made.members.get('m2')?.release()
    expect(made.membership.generation).toBe(2)
    made.rebalance()
    expect(made.membership.generation).toBe(2)
    const sizes = Object.values(made.owned()).map(({ length }) => length)
    expect(sizes).toEqual([1, 1, 1, 1])
  })

  it('gives the same back where the sticky one has nothing to move', () => {
    const made = group('sticky', 4)
    made.join('m1')
    made.join('m2')
    made.settle()
    const before = made.owned()
    made.setTopic('a', 0)
    made.settle()
    expect(made.membership.generation).toBe(2)
    expect(made.owned()).toEqual(before)
  })
})

describe('a static member', () => {
  it('takes over what an older one of its instanceId has, and nothing else moves', () => {
    const made = group('cooperative-sticky', 6)
    made.join('m1')
    const older = made.join('m2', { instanceId: 'i', answering: 'when asked' })
    made.settle()
    const newer = made.join('m0', { instanceId: 'i' })
    expect(made.isDue).toBe(false)
    expect(older.told.slice(-2)).toEqual(['lost t-1 t-3 t-5 fenced', 'fenced'])
    expect(newer.told).toEqual(['generation 2'])
    expect(made.membership.owns('m2', 't', 1)).toBe(false)
    older.release()
    expect(newer.told).toEqual(['generation 2', 'assigned t-1 t-3 t-5'])
    expect(made.members.get('m1')?.told.slice(-1)).toEqual(['generation 2'])
    expect(made.membership.stable).toBe(true)
  })

  it('is fenced by a second one that joins in the same turn', () => {
    const made = group('cooperative-sticky', 2)
    const older = made.join('m1', { instanceId: 'i' })
    const newer = made.join('m2', { instanceId: 'i' })
    made.rebalance()
    expect(older.told).toEqual(['fenced'])
    expect(newer.told).toEqual(['generation 1', 'assigned t-0 t-1'])
  })

  it('is fenced where it stalled and comes back when another one has its place', () => {
    const made = group('cooperative-sticky', 2)
    const older = made.join('m1', { instanceId: 'i' })
    made.settle()
    made.evict(older)
    const newer = made.join('m2', { instanceId: 'i' })
    made.settle()
    const back = made.join('m1', { instanceId: 'i' })
    expect(back.told).toEqual(['fenced'])
    made.settle()
    expect(made.owned()).toEqual({ m2: ['t-0', 't-1'] })
    made.leave(newer)
    made.join('m1', { instanceId: 'i' })
    made.settle()
    expect(made.owned()).toEqual({ m1: ['t-0', 't-1'] })
  })

  it('gets what its older self was to get, once that is free', () => {
    const made = twoMembers()
    made.join('m3', { instanceId: 'i' })
    made.rebalance()
    const newer = made.join('m4', { instanceId: 'i' })
    made.settle()
    expect([...newer.own].toSorted()).toEqual(['t-4', 't-5'])
  })

  it('gives its partitions up when it leaves in order', () => {
    const made = group('cooperative-sticky', 2)
    made.join('m1')
    const second = made.join('m2', { instanceId: 'i' })
    made.settle()
    made.leave(second)
    made.settle()
    expect(made.owned()).toEqual({ m1: ['t-0', 't-1'] })
  })
})

describe('a group whose assignor fails', () => {
  /** Works while it is allowed to; gives everything to the first member. */
  function fickle(): { readonly made: FakeGroup; readonly mood: { works: boolean } } {
    const mood = { works: true }
    const made = group(
      {
        name: 'fickle',
        assign: (members: readonly { memberId: string }[], partitions: unknown) => {
          if (!mood.works) throw new Error('no')
          return new Map(members.slice(0, 1).map(({ memberId }) => [memberId, partitions]))
        },
      },
      2,
    )
    return { made, mood }
  }

  it('refuses those that just joined and keeps the assignment it had', () => {
    const { made, mood } = fickle()
    const first = made.join('m1')
    made.settle()
    mood.works = false
    const second = made.join('m2')
    expect(made.rebalance()?.code).toBe('INVALID_ARGUMENT')
    expect(second.refusal?.details).toMatchObject({ assignor: 'fickle' })
    expect(made.owned()).toEqual({ m1: ['t-0', 't-1'] })
    expect(first.told).toEqual(['generation 1', 'assigned t-0 t-1'])
    expect(made.membership.generation).toBe(1)
    expect(made.membership.stable).toBe(true)
  })

  it('says so where nobody joined, and asks again with the next change', () => {
    const { made, mood } = fickle()
    made.join('m1')
    made.settle()
    mood.works = false
    made.setTopic('t', 3)
    expect(made.rebalance()?.code).toBe('INVALID_ARGUMENT')
    expect(made.owned()).toEqual({ m1: ['t-0', 't-1'] })
    mood.works = true
    made.membership.topicsChanged()
    expect(made.rebalance()).toBeUndefined()
    expect(made.owned()).toEqual({ m1: ['t-0', 't-1', 't-2'] })
  })

  it('asks again where the assignor itself made a member join or leave', () => {
    const calls: number[] = []
    const made: FakeGroup = group(
      {
        name: 'meddling',
        assign: (members: readonly { memberId: string }[], partitions: unknown) => {
          calls.push(members.length)
          if (calls.length === 1) made.join('m2')
          return new Map(members.slice(-1).map(({ memberId }) => [memberId, partitions]))
        },
      },
      2,
    )
    made.join('m1')
    made.settle()
    expect(calls).toEqual([1, 2])
    expect(made.owned()).toEqual({ m1: [], m2: ['t-0', 't-1'] })
  })

  it('lets an error that is not about the answer through', () => {
    const broken: GroupAssignor = {
      name: 'broken',
      isEager: false,
      assign: () => {
        throw new RangeError('a bug of ours')
      },
    }
    const made = new FakeGroup(broken)
    made.setTopic('t', 1)
    made.join('m1')
    expect(() => made.rebalance()).toThrow(RangeError)
  })
})

interface CooperativeVectors {
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
          readonly groupInstanceId: string | null
        }
      >
    >
    readonly assignment: Readonly<Record<string, readonly (readonly [string, number])[]>>
  }[]
}

/** A group in which the members own what `owned` says, before any cooperative rebalance. */
function groupOf(owned: ReadonlyMap<string, readonly (readonly [string, number])[]>): FakeGroup {
  const cooperative = assignorOf('cooperative-sticky', 'test')
  let isFirst = owned.size > 0
  return new FakeGroup({
    name: 'as given, then cooperative',
    isEager: false,
    assign: (members, counts) => {
      if (!isFirst) return cooperative.assign(members, counts)
      isFirst = false
      const given = [...owned].map(
        ([id, list]) => [id, list.map(([topic, partition]) => ({ topic, partition }))] as const,
      )
      return new Map(given)
    },
  })
}

describe('the steps of a cooperative rebalance', () => {
  // All members of a real group subscribe to the same; the conflicting claims of one case cannot
  // come about where one membership keeps all of them (assignors.test.ts has both).
  const { vectors } = loadVectors<CooperativeVectors>('assignors.json')
  const usable = vectors.filter(
    (vector) =>
      vector.assignor === 'cooperative-sticky' &&
      !vector.case.startsWith('conflicting') &&
      Object.values(vector.members).every(
        ({ topics }) => topics.length === Object.keys(vector.topics).length,
      ),
  )

  it.each(usable)('are those of Kafka: $case', ({ topics, members, assignment }) => {
    const entries = Object.entries(members)
    const before = entries.filter(([, { owned }]) => owned.length > 0)
    const made = groupOf(new Map(before.map(([id, { owned }]) => [id, owned])))
    for (const [name, count] of Object.entries(topics)) made.setTopic(name, count)
    const join = ([id, { groupInstanceId }]: (typeof entries)[number]): void => {
      const instance = groupInstanceId === null ? {} : { instanceId: groupInstanceId }
      made.join(id, { answering: 'when asked', ...instance })
    }
    before.forEach(join)
    made.rebalance()
    entries.filter((entry) => !before.includes(entry)).forEach(join)
    made.setTopic('empty', 0) // Where nobody joined, this makes the group assign again.
    made.rebalance()
    const got = [...made.members.values()].map(({ memberId, own, toRelease }) => [
      memberId,
      [...own].filter((key) => !toRelease.has(key)).toSorted(),
    ])
    const expected = Object.entries(assignment).map(([id, list]) => [
      id,
      list.map(([topic, partition]) => keyOf({ topic, partition })),
    ])
    expect(Object.fromEntries(got)).toEqual(Object.fromEntries(expected))
  })
})
