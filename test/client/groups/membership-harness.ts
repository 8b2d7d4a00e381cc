/**
 * A membership with members that believe what they are told, and check it: who holds what by their
 * own account must never contradict another's account, nor the membership's.
 */
import type { GroupAssignor } from '../../../src/client/groups/group-assignor.ts'
import { GroupMembership } from '../../../src/client/groups/group-membership.ts'
import type { LossReason, MemberPort } from '../../../src/client/groups/member-port.ts'
import type { TopicPartition } from '../../../src/client/group-types.ts'
import type { LogError } from '../../../src/errors/log-error.ts'
import { keyOf } from './assigning.ts'

/** When a member answers `revoke` and `lost`: inside the call, or when the test says so. */
export type Answering = 'at once' | 'when asked'

/** Ends the test with `what` unless it holds. Not `expect`: this runs millions of times. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not true: ${what}`)
}

/** One member's account of what it was told. */
export class FakeMember implements MemberPort {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly #group: FakeGroup
  readonly #answering: Answering
  /** Told in order, as text: `assigned t-0 t-1`. */
  readonly told: string[] = []
  readonly own: Set<string> = new Set()
  readonly toRelease: Map<string, TopicPartition> = new Map()
  lastGeneration = 0
  refusal: LogError | undefined
  /** Nothing may be told to it any more. */
  isGone = false

  constructor(
    group: FakeGroup,
    memberId: string,
    options: { readonly instanceId: string | undefined; readonly answering: Answering },
  ) {
    this.#group = group
    this.memberId = memberId
    this.instanceId = options.instanceId
    this.#answering = options.answering
  }

  topics(): readonly string[] {
    return this.#group.subscription()
  }

  generation(generation: number): void {
    this.#note(`generation ${generation}`)
    must(generation > this.lastGeneration, 'generations ascend')
    this.lastGeneration = generation
  }

  assigned(partitions: readonly TopicPartition[], generation: number): void {
    this.#note(`assigned ${partitions.map(keyOf).join(' ')}`)
    must(generation === this.lastGeneration, 'assigned in the generation it was told of')
    for (const tp of partitions) {
      const key = keyOf(tp)
      must(!this.#group.holders.has(key), `I2: ${key} is free when it is assigned`)
      const before = this.#group.readers.get(key)
      const isLater = before === undefined || before.generation < generation
      must(before?.member === this || isLater, `${key} is in another generation than before`)
      this.#group.holders.set(key, this)
      this.own.add(key)
    }
  }

  revoke(partitions: readonly TopicPartition[]): void {
    this.#note(`revoke ${partitions.map(keyOf).join(' ')}`)
    for (const tp of partitions) {
      must(this.own.has(keyOf(tp)), `what is revoked is owned: ${keyOf(tp)}`)
      must(!this.toRelease.has(keyOf(tp)), `revoked once: ${keyOf(tp)}`)
      this.toRelease.set(keyOf(tp), tp)
    }
    if (this.#answering === 'at once') this.release(partitions)
  }

  lost(partitions: readonly TopicPartition[], reason: LossReason): void {
    this.#note(`lost ${partitions.map(keyOf).join(' ')} ${reason}`)
    for (const tp of partitions) {
      must(this.own.has(keyOf(tp)), `what is lost was owned: ${keyOf(tp)}`)
      this.own.delete(keyOf(tp))
      this.toRelease.set(keyOf(tp), tp)
    }
    if (this.#answering === 'at once') this.release(partitions)
  }

  fenced(): void {
    this.#note('fenced')
    must(this.own.size === 0, 'lost comes before fenced')
    this.#group.left(this)
  }

  refused(error: LogError<'INVALID_ARGUMENT'>): void {
    this.#note('refused')
    must(this.lastGeneration === 0, 'refused before it had anything')
    this.refusal = error
    this.#group.left(this)
    this.isGone = true
  }

  /** Answers for `partitions`: all that it was asked for where they are left out. */
  release(partitions: readonly TopicPartition[] = [...this.toRelease.values()]): void {
    for (const tp of partitions) {
      this.own.delete(keyOf(tp))
      this.toRelease.delete(keyOf(tp))
      this.#group.holders.delete(keyOf(tp))
    }
    this.#group.membership.released(this.memberId, partitions)
  }

  #note(what: string): void {
    must(!this.isGone, `${this.memberId} is gone and not told: ${what}`)
    this.told.push(what)
  }
}

/** A group of such members over topics that the test makes. */
export class FakeGroup {
  readonly membership: GroupMembership
  readonly topics: Map<string, { readonly id: string; readonly partitions: { length: number } }> =
    new Map()
  readonly members: Map<string, FakeMember> = new Map()
  /** Evicted and fenced ones that still have something to release. */
  readonly former: FakeMember[] = []
  /** Who has what by its own account: until it answered, what was lost too. */
  readonly holders: Map<string, FakeMember> = new Map()
  /** Who could read it last, and in which generation. */
  readonly readers: Map<string, { readonly member: FakeMember; readonly generation: number }> =
    new Map()
  isDue = false
  #topicsMade = 0

  constructor(assignor: GroupAssignor) {
    this.membership = new GroupMembership({
      assignor,
      topic: (name) => this.topics.get(name),
      rebalanceDue: () => {
        this.isDue = true
      },
      changed: () => undefined,
    })
  }

  /** All topics that were ever made, existing or not, and one that never was. */
  subscription(): readonly string[] {
    return [...new Set([...this.topics.keys(), 'a', 'b', 'never'])]
  }

  setTopic(name: string, partitionCount: number): void {
    const known = this.topics.get(name)
    if (known === undefined) {
      this.#topicsMade += 1
      this.topics.set(name, {
        id: `id-${this.#topicsMade}`,
        partitions: { length: partitionCount },
      })
    } else {
      // In place, as the engine's topics grow.
      known.partitions.length = partitionCount
    }
    this.membership.topicsChanged()
  }

  deleteTopic(name: string): void {
    this.topics.delete(name)
    this.membership.topicsChanged()
  }

  join(
    memberId: string,
    options: { readonly instanceId?: string; readonly answering?: Answering } = {},
  ): FakeMember {
    const { instanceId, answering = 'at once' } = options
    const member = new FakeMember(this, memberId, { instanceId, answering })
    this.members.set(memberId, member)
    this.membership.join(member)
    return member
  }

  /** What it held under the same id before it was evicted is free as well. */
  leave({ memberId }: FakeMember): void {
    const current = this.members.get(memberId)
    for (const member of [...this.former, ...(current === undefined ? [] : [current])]) {
      if (member.memberId !== memberId) continue
      for (const [key, holder] of this.holders) if (holder === member) this.holders.delete(key)
      member.own.clear()
      member.toRelease.clear()
      member.isGone = true
    }
    this.members.delete(memberId)
    this.membership.leave(memberId)
  }

  evict(member: FakeMember): void {
    this.left(member)
    this.membership.evict(member.memberId)
  }

  /** No member any more, but it may have to release. */
  left(member: FakeMember): void {
    if (this.members.get(member.memberId) === member) this.members.delete(member.memberId)
    this.former.push(member)
  }

  /** Rebalances, where that is due. */
  rebalance(): LogError | undefined {
    if (!this.isDue) return undefined
    this.isDue = false
    return this.membership.rebalance()
  }

  /** Rebalances and answers until nothing moves any more. */
  settle(): void {
    for (let turn = 0; turn < 20 && !this.membership.stable; turn += 1) {
      this.rebalance()
      for (const member of [...this.members.values(), ...this.former]) {
        if (member.toRelease.size > 0) member.release()
      }
    }
    must(this.membership.stable, 'it comes to rest')
  }

  /** What each member owns by its own account, in the order of partitions. */
  owned(): Record<string, readonly string[]> {
    const members = [...this.members.values()]
    return Object.fromEntries(
      members.map(({ memberId, own }) => [memberId, [...own].toSorted()] as const),
    )
  }

  /** Members and membership say the same. */
  check(): void {
    const { membership } = this
    for (const [topic, { partitions }] of this.topics) {
      for (let partition = 0; partition < partitions.length; partition += 1) {
        this.#checkOwner(topic, partition)
      }
    }
    for (const member of this.members.values()) {
      for (const key of member.own) {
        if (member.toRelease.has(key)) continue
        this.readers.set(key, { member, generation: member.lastGeneration })
      }
    }
    must(membership.memberCount === this.members.size, 'the same members')
    const { members, state } = membership.describe()
    const described = members.map(({ memberId, assignment }) => {
      return `${memberId}: ${assignment.map(keyOf).toSorted().join(' ')}`
    })
    const owned = Object.entries(this.owned()).map(([id, keys]) => `${id}: ${keys.join(' ')}`)
    must(described.toSorted().join() === owned.toSorted().join(), `described: ${owned.join()}`)
    const quiet = membership.stable ? 'Stable' : 'PreparingRebalance'
    must(state === (this.members.size === 0 ? 'Empty' : quiet), `the state is ${state}`)
  }

  #checkOwner(topic: string, partition: number): void {
    const key = keyOf({ topic, partition })
    const members = [...this.members.values()]
    const owners = members.filter(({ memberId }) =>
      this.membership.owns(memberId, topic, partition),
    )
    must(owners.length <= 1, `I1: ${key} has one owner`)
    const believing = members.filter(({ own }) => own.has(key))
    must(believing.length === owners.length && believing[0] === owners[0], `I3: owner of ${key}`)
  }
}
