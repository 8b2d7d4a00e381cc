/**
 * GroupMembership: who is a member of one group, in which generation, and which member owns each
 * partition. Synchronous: knows no promise, clock or file. Tells members through MemberPort.
 *   I1  a partition has at most one owner
 *   I2  it gets a new owner only after the old one released it or left
 *   I3  a commit or a delivery counts only while `owns`
 *   I4  unless the assignor is eager, a partition whose owner stays the same is never revoked
 *   I5  each computation of a target, and each take-over of an instanceId, is a new generation
 */
import { assert } from '../../errors/invariant.ts'
import { LogError } from '../../errors/log-error.ts'
import type { GroupDescription, TopicPartition } from '../group-types.ts'
import type { Assignment, GroupAssignor } from './group-assignor.ts'
import { compareText } from './member-order.ts'
import type { LossReason, MemberPort } from './member-port.ts'
import { PartitionHoldings, type HeldPartition } from './partition-holdings.ts'

/** The generation of a member that never had an assignment, as Kafka numbers it. */
const NO_GENERATION = -1

/** A topic as a group sees it. A topic made anew under an old name has another id. */
export interface GroupTopic {
  readonly id: string
  readonly partitions: { readonly length: number }
}

/** What a membership is made of, and whom it tells. */
export interface MembershipOptions {
  readonly assignor: GroupAssignor
  /** The topic of that name as it is now; undefined where there is none. */
  readonly topic: (name: string) => GroupTopic | undefined
  /**
   * A rebalance is due: call `rebalance` later in this turn, so that what else happens in the turn
   * is part of it. A call too many does nothing.
   */
  readonly rebalanceDue: () => void
  /** Members, ownership or `stable` may have changed. Called once nothing is left to be told. */
  readonly changed: () => void
}

interface Member {
  readonly port: MemberPort
  /** Of its last target. */
  generation: number
  target: readonly TopicPartition[]
  /** In order: nothing is told to it any more. */
  hasLeft: boolean
}

/** A topic as the last target knew it: the topic itself changes. */
interface KnownTopic {
  readonly id: string
  readonly partitionCount: number
}

/** The members of one group and what they own. */
export class GroupMembership {
  readonly #options: MembershipOptions
  readonly #holdings = new PartitionHoldings<Member>()
  readonly #members = new Map<string, Member>()
  /** What members have still to be told, in order: told once the state is consistent. */
  readonly #outbox: (() => void)[] = []
  #isTelling = false
  /** Evicted ones that may come back. */
  readonly #evicted = new Set<string>()
  #generation = 0
  #isDue = false
  /** An eager rebalance waits until nobody holds anything. */
  #isEmptying = false
  /** The topics that the last target divides. */
  #basis: ReadonlyMap<string, KnownTopic> = new Map()
  /** Counts joins and departures: an assignor of the user's may cause some while it is asked. */
  #membersVersion = 0

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** Counts up; 0 before the first rebalance. */
  get generation(): number {
    return this.#generation
  }

  /** No rebalance is due or under way: everybody owns what the last target says. */
  get stable(): boolean {
    return !this.#isDue && !this.#isEmptying && this.#holdings.dueCount === 0
  }

  get memberCount(): number {
    return this.#members.size
  }

  /**
   * Takes in a member: it gets `generation`, then perhaps `assigned`, in the next rebalance. With
   * an instanceId that a member has, it takes over at once and moves nothing: the older one gets
   * `lost` and `fenced`, the newer one `generation`, and `assigned` as the older one releases. One
   * that was evicted and finds another with its instanceId is the older one, and `fenced`.
   */
  join(port: MemberPort): void {
    const { memberId, instanceId } = port
    assert(!this.#members.has(memberId), 'a member joins once')
    const older = this.#staticMember(instanceId)
    const member: Member = { port, generation: NO_GENERATION, target: [], hasLeft: false }
    if (this.#evicted.delete(memberId) && older !== undefined) {
      this.#post(member, () => port.fenced())
      this.#tell()
      return
    }
    this.#members.set(memberId, member)
    this.#membersVersion += 1
    if (older !== undefined) this.#takeOver(older, member)
    if (member.generation === NO_GENERATION) this.#makeDue()
    this.#tell()
  }

  /**
   * It goes in order: whatever it held is free at once, and nothing is told to it any more. Of a
   * static member too: Kafka keeps its partitions for it until a session timeout, which members in
   * one process do not have, so they would be read by nobody.
   */
  leave(memberId: string): void {
    for (const { topic, partition, holder } of [...this.#holdings.all()]) {
      if (holder?.port.memberId !== memberId) continue
      holder.hasLeft = true
      this.#holdings.free(topic, partition)
    }
    const member = this.#members.get(memberId)
    if (member !== undefined) member.hasLeft = true
    this.#evicted.delete(memberId)
    this.#remove(memberId)
    this.#settle()
    this.#tell()
  }

  /** It stalled: its partitions are `lost` to it, and move on when it calls `released`. */
  evict(memberId: string): void {
    const member = this.#members.get(memberId)
    if (member === undefined) return
    this.#remove(memberId)
    this.#evicted.add(memberId)
    this.#lose(({ holder }) => holder === member, 'evicted')
    this.#settle()
    this.#tell()
  }

  /** The answer to `revoke` and `lost`. Ignored for what the member does not have to give up. */
  released(memberId: string, partitions: readonly TopicPartition[]): void {
    const freed: HeldPartition<Member>[] = []
    for (const { topic, partition } of partitions) {
      const held = this.#holdings.find(topic, partition)
      if (held?.holder?.port.memberId !== memberId || held.holding === 'own') continue
      this.#holdings.free(topic, partition)
      freed.push(held)
    }
    if (freed.length === 0) return
    this.#settle(freed)
    this.#tell()
  }

  /** Topics were created, deleted or got partitions: call it before anybody can use the change. */
  topicsChanged(): void {
    const gone = new Set<string>()
    for (const [name, id] of this.#holdings.topics()) {
      if (this.#options.topic(name)?.id !== id) gone.add(name)
    }
    for (const name of gone) this.#holdings.disinherit(name)
    this.#lose(({ topic }) => gone.has(topic), 'deleted')
    for (const member of this.#members.values()) {
      member.target = member.target.filter(({ topic }) => !gone.has(topic))
    }
    if (!sameTopics(this.#basis, this.#wantedTopics())) this.#makeDue()
    this.#tell()
  }

  /**
   * Computes a new target and starts to move partitions. Where the user's assignor fails, members
   * without an assignment are `refused`, nothing else changes, and the error is given back.
   */
  rebalance(): LogError<'INVALID_ARGUMENT'> | undefined {
    if (!this.#isDue) return undefined
    let error: LogError<'INVALID_ARGUMENT'> | undefined
    if (this.#options.assignor.isEager) {
      this.#isDue = false
      this.#isEmptying = true
      this.#holdings.disinheritAll(this.#basis)
      this.#settle()
    } else {
      error = this.#moveOn()
    }
    this.#tell()
    return error
  }

  /** Whether the member may read the partition and commit for it now. */
  owns(memberId: string, topic: string, partition: number): boolean {
    const held = this.#holdings.find(topic, partition)
    return held?.holder?.port.memberId === memberId && held.holding !== 'lost'
  }

  /** Members in the order of their ids, with what they own. */
  describe(): Pick<GroupDescription, 'state' | 'members'> {
    const assignments = new Map<Member, TopicPartition[]>()
    for (const member of this.#inOrder()) assignments.set(member, [])
    for (const { topic, partition, holder, holding } of this.#holdings.all()) {
      if (holder === undefined || holding === 'lost') continue
      assignments.get(holder)?.push({ topic, partition })
    }
    const members = [...assignments].map(([{ port }, assignment]) => ({
      memberId: port.memberId,
      assignment,
    }))
    if (members.length === 0) return { state: 'Empty', members }
    return { state: this.stable ? 'Stable' : 'PreparingRebalance', members }
  }

  #staticMember(instanceId: string | undefined): Member | undefined {
    if (instanceId === undefined) return undefined
    return [...this.#members.values()].find(({ port }) => port.instanceId === instanceId)
  }

  /** The target stays as it is, but for who is meant by it. */
  #takeOver(older: Member, newer: Member): void {
    this.#members.delete(older.port.memberId)
    newer.target = older.target
    this.#holdings.passHeritage(older, newer)
    this.#lose(({ holder }) => holder === older, 'fenced')
    this.#post(older, (port) => port.fenced())
    if (older.generation === NO_GENERATION) return
    // What the older one has in hand was handed out in the last generation, so the newer one, which
    // may get the same records, must be in another.
    this.#startGeneration()
    this.#settle()
  }

  #remove(memberId: string): void {
    const member = this.#members.get(memberId)
    if (member === undefined) return
    this.#members.delete(memberId)
    this.#membersVersion += 1
    this.#holdings.passHeritage(member, undefined)
    this.#makeDue()
  }

  #makeDue(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#outbox.push(() => this.#options.rebalanceDue())
  }

  /** Asks the assignor, and starts to carry out what it says. */
  #moveOn(): LogError<'INVALID_ARGUMENT'> | undefined {
    this.#isDue = false
    const wanted = this.#wantedTopics()
    const version = this.#membersVersion
    const assignment = this.#ask(wanted)
    if (assignment instanceof LogError) return assignment
    // It made a member join or leave: what it answered is about another group, and the rebalance
    // that this made due asks again.
    if (version !== this.#membersVersion) return undefined
    this.#basis = wanted
    this.#holdings.disinheritAll(wanted)
    for (const [name, { id, partitionCount }] of wanted) {
      this.#holdings.include(name, id, partitionCount)
    }
    for (const member of this.#members.values()) {
      member.target = assignment.get(member.port.memberId) ?? []
      for (const { topic, partition } of member.target) {
        this.#holdings.bequeath(topic, partition, member)
      }
    }
    if (this.#members.size > 0) this.#startGeneration()
    this.#settle()
    return undefined
  }

  #ask(wanted: ReadonlyMap<string, KnownTopic>): Assignment | LogError<'INVALID_ARGUMENT'> {
    const members = this.#inOrder().map(({ port, target, generation }) => {
      const { memberId, instanceId } = port
      return { memberId, instanceId, topics: port.topics(), owned: target, generation }
    })
    const counts = new Map([...wanted].map(([name, topic]) => [name, topic.partitionCount]))
    try {
      return this.#options.assignor.assign(members, counts)
    } catch (error) {
      if (!LogError.is(error, 'INVALID_ARGUMENT')) throw error
      for (const member of this.#inOrder()) {
        if (member.generation === NO_GENERATION) this.#refuse(member, error)
      }
      return error
    }
  }

  #refuse(member: Member, error: LogError<'INVALID_ARGUMENT'>): void {
    this.#members.delete(member.port.memberId)
    this.#membersVersion += 1
    this.#post(member, (port) => port.refused(error))
  }

  #startGeneration(): void {
    this.#generation += 1
    const generation = this.#generation
    for (const member of this.#inOrder()) {
      member.generation = generation
      this.#post(member, (port) => port.generation(generation))
    }
  }

  #lose(which: (held: HeldPartition<Member>) => boolean, reason: LossReason): void {
    const lost = new Map<Member, TopicPartition[]>()
    for (const held of this.#holdings.all()) {
      const { topic, partition, holder, holding } = held
      if (holder === undefined || holding === 'lost' || !which(held)) continue
      this.#holdings.demand(topic, partition, 'lost')
      listOf(lost, holder).push({ topic, partition })
    }
    for (const [member, list] of lost) this.#post(member, (port) => port.lost(list, reason))
  }

  /** Moves partitions towards their heirs as far as that goes: all, or those of `among`. */
  #settle(among: Iterable<HeldPartition<Member>> = this.#holdings.all()): void {
    const revoked = new Map<Member, TopicPartition[]>()
    const assigned = new Map<Member, TopicPartition[]>()
    for (const { topic, partition, holder, holding, heir } of among) {
      if (holder === undefined && heir !== undefined) {
        this.#holdings.grant(topic, partition)
        listOf(assigned, heir).push({ topic, partition })
      } else if (holder !== undefined && holder !== heir && holding === 'own') {
        this.#holdings.demand(topic, partition, 'revoked')
        listOf(revoked, holder).push({ topic, partition })
      }
    }
    for (const [member, list] of revoked) this.#post(member, (port) => port.revoke(list))
    const generation = this.#generation
    for (const [member, list] of assigned) {
      this.#post(member, (port) => port.assigned(list, generation))
    }
    if (!this.#isEmptying || this.#holdings.heldCount > 0) return
    this.#isEmptying = false
    this.#moveOn()
  }

  #post(member: Member, call: (port: MemberPort) => void): void {
    this.#outbox.push(() => {
      if (!member.hasLeft) call(member.port)
    })
  }

  /** Tells what there is to tell. What a member calls meanwhile adds to it, and is told later. */
  #tell(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    try {
      for (let next = this.#outbox.shift(); next !== undefined; next = this.#outbox.shift()) next()
    } finally {
      this.#isTelling = false
    }
    this.#options.changed()
  }

  #inOrder(): readonly Member[] {
    return [...this.#members.values()].toSorted((a, b) =>
      compareText(a.port.memberId, b.port.memberId),
    )
  }

  /** The topics that exist and that somebody wants. */
  #wantedTopics(): ReadonlyMap<string, KnownTopic> {
    const wanted = new Map<string, KnownTopic>()
    for (const { port } of this.#members.values()) {
      for (const name of port.topics()) {
        const topic = wanted.has(name) ? undefined : this.#options.topic(name)
        if (topic === undefined) continue
        wanted.set(name, { id: topic.id, partitionCount: topic.partitions.length })
      }
    }
    return wanted
  }
}

function listOf(lists: Map<Member, TopicPartition[]>, member: Member): TopicPartition[] {
  const list = lists.get(member) ?? []
  lists.set(member, list)
  return list
}

function sameTopics(
  a: ReadonlyMap<string, KnownTopic>,
  b: ReadonlyMap<string, KnownTopic>,
): boolean {
  if (a.size !== b.size) return false
  return [...a].every(([name, { id, partitionCount }]) => {
    const other = b.get(name)
    return other?.id === id && other.partitionCount === partitionCount
  })
}
