/**
 * Random lives of groups: members of every kind join, leave, stall, come back and answer late,
 * while topics come, grow and go. After each step the members' own accounts (membership-harness.ts)
 * and the membership's agree, and nothing is owned twice; once all is quiet, everything is owned,
 * evenly.
 */
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { assignorOf } from '../../../src/client/groups/assignors.ts'
import type { GroupAssignor } from '../../../src/client/groups/group-assignor.ts'
import type { TopicPartition } from '../../../src/client/group-types.ts'
import { FakeGroup, must, type FakeMember } from './membership-harness.ts'

type Step =
  | {
      readonly kind: 'join'
      readonly slot: number
      readonly isStatic: boolean
      readonly isSlow: boolean
    }
  | { readonly kind: 'leave' | 'evict' | 'leave after eviction' | 'answer'; readonly slot: number }
  | { readonly kind: 'set topic'; readonly slot: number; readonly partitionCount: number }
  | { readonly kind: 'delete topic' | 'make topic anew'; readonly slot: number }
  | { readonly kind: 'answer one'; readonly slot: number }
  | { readonly kind: 'rebalance' | 'settle' }

const slot = fc.nat(5)
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('join' as const),
        slot,
        isStatic: fc.boolean(),
        isSlow: fc.boolean(),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          'leave',
          'evict',
          'leave after eviction',
          'answer',
          'answer one',
          'delete topic',
          'make topic anew',
        ),
        slot,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('set topic' as const),
        slot,
        partitionCount: fc.nat(7),
      }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('rebalance', 'settle') }) },
  ),
  { maxLength: 40, size: 'max' },
)

/** One group and the ids it has used. */
class Life {
  readonly group: FakeGroup
  readonly #isEager: boolean
  readonly #isEven: boolean
  #joined = 0

  constructor(assignor: GroupAssignor, isEven: boolean) {
    this.group = new FakeGroup(assignor)
    this.#isEager = assignor.isEager
    this.#isEven = isEven
    this.group.setTopic('a', 3)
  }

  run(step: Step): void {
    const { group } = this
    switch (step.kind) {
      case 'join':
        return this.#join(step)
      case 'leave':
        return this.#with(step.slot, (member) => group.leave(member))
      case 'evict':
        return this.#with(step.slot, (member) => group.evict(member))
      case 'leave after eviction': {
        const member = group.former[step.slot]
        if (member !== undefined && !group.members.has(member.memberId)) group.leave(member)
        return
      }
      case 'answer':
        return this.#with(step.slot, (member) => member.release(), true)
      case 'answer one':
        return this.#with(
          step.slot,
          (member) => member.release([...member.toRelease.values()].slice(0, 1)),
          true,
        )
      case 'set topic':
        return this.#setTopic(topicOf(step.slot), step.partitionCount)
      case 'delete topic':
        return group.deleteTopic(topicOf(step.slot))
      case 'make topic anew': {
        // Without a word in between, as when a change is told once for both.
        group.topics.delete(topicOf(step.slot))
        return group.setTopic(topicOf(step.slot), 2)
      }
      case 'rebalance':
        group.rebalance()
        return
      case 'settle':
        return this.#settle()
    }
  }

  #join({ slot: at, isStatic, isSlow }: Step & { readonly kind: 'join' }): void {
    if (this.group.members.size >= 6) return
    this.#joined += 1
    // An evicted member may come again under its id, at once.
    const evicted = this.group.former.find(
      ({ memberId, instanceId }) => instanceId === undefined && !this.group.members.has(memberId),
    )
    const memberId =
      at === 0 && evicted !== undefined
        ? evicted.memberId
        : `m${(this.#joined * 7) % 100}-${this.#joined}`
    this.group.join(memberId, {
      ...(isStatic ? { instanceId: `i${at % 3}` } : {}),
      answering: isSlow ? 'when asked' : 'at once',
    })
  }

  /** One of the members, and of those that have something to release where `orFormer`. */
  #with(at: number, call: (member: FakeMember) => void, orFormer = false): void {
    const { members, former } = this.group
    const answering = orFormer ? former.filter(({ toRelease }) => toRelease.size > 0) : []
    const all = [...members.values(), ...answering]
    const member = all[at % Math.max(1, all.length)]
    if (member !== undefined) call(member)
  }

  #setTopic(name: string, partitionCount: number): void {
    const known = this.group.topics.get(name)
    if (known === undefined || known.partitions.length < partitionCount)
      this.group.setTopic(name, partitionCount)
  }

  /** From a quiet state to the next: what has the same owner before and after never moved. */
  #settle(): void {
    const { group } = this
    group.settle()
    this.#checkQuiet()
    if (!this.#isEager) this.#checkJoin()
  }

  #checkQuiet(): void {
    const { group } = this
    must(
      group.former.every(({ toRelease }) => toRelease.size === 0),
      'all is released',
    )
    if (group.members.size === 0 || !this.#isEven) return
    const partitions = [...group.topics].flatMap(
      ([
        topic,
        {
          partitions: { length },
        },
      ]) => Array.from({ length }, (_, partition): TopicPartition => ({ topic, partition })),
    )
    const owned = Object.values(group.owned())
    must(owned.flat().length === partitions.length, 'everything is owned')
    const loads = owned.map(({ length }) => length)
    must(Math.max(...loads) - Math.min(...loads) <= 1, 'loads are level')
  }

  /** One more member: whatever keeps its owner is not even asked for. */
  #checkJoin(): void {
    const { group } = this
    const before = new Map([...group.holders].map(([key, holder]) => [key, holder]))
    const told = new Map([...group.members.values()].map((member) => [member, member.told.length]))
    group.join(`z${this.#joined}`)
    this.#joined += 1
    group.settle()
    for (const [key, holder] of before) {
      if (group.holders.get(key) !== holder) continue
      const since = holder.told.slice(told.get(holder))
      const revoked = since.filter((line) => line.startsWith('revoke'))
      must(!revoked.some((line) => line.split(' ').includes(key)), `I4: ${key} stays`)
    }
    this.#checkQuiet()
  }
}

function topicOf(at: number): string {
  return at % 2 === 0 ? 'a' : 'b'
}

const moody: GroupAssignor = assignorOf(
  {
    name: 'moody',
    assign: (
      members: readonly { memberId: string; owned: readonly TopicPartition[] }[],
      partitions: readonly TopicPartition[],
    ) => {
      const asked = members.length + partitions.length
      if (asked % 5 === 0) throw new Error('not today')
      if (asked % 7 === 0) return new Map([['nobody', []]])
      return new Map(
        members.map(({ memberId }, at) => [
          memberId,
          partitions.filter((_, index) => (index + asked) % (members.length + 1) === at),
        ]),
      )
    },
  },
  'test',
)

describe('a group', () => {
  it.each([
    ...['cooperative-sticky', 'sticky', 'roundrobin'].map(
      (name) => [assignorOf(name, 'test'), true] as const,
    ),
    [assignorOf('range', 'test'), false] as const,
    [moody, false] as const,
  ])('owns each partition once through any life: $name', (assignor, isEven) => {
    fc.assert(
      fc.property(steps, (life) => {
        const run = new Life(assignor, isEven)
        for (const step of life) {
          run.run(step)
          run.group.check()
        }
        run.run({ kind: 'settle' })
        run.group.check()
      }),
    )
  })
})
