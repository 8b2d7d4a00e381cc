/**
 * GroupMembership: who is a member of one group, in which generation, and which member owns each
 * partition. Synchronous: knows no promise, clock or file. Tells members through MemberPort.
 *   I1  a partition has at most one owner
 *   I2  it gets a new owner only after the old one released it or left
 *   I3  a commit or a delivery counts only while `owns`
 *   I4  unless the assignor is eager, a partition whose owner stays the same is never revoked
 *   I5  each computation of a target, and each take-over of an instanceId, is a new generation
 */
import type { LogError } from '../../errors/log-error.ts'
import type { GroupDescription, TopicPartition } from '../group-types.ts'
import type { GroupAssignor } from './group-assignor.ts'
import type { MemberPort } from './member-port.ts'

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
   * A rebalance is due: call `rebalance` once, later in this turn, so that what else happens in
   * the turn is part of it. Not called again until `rebalance` ran.
   */
  readonly rebalanceDue: () => void
  /** Members, ownership or `stable` may have changed. */
  readonly changed: () => void
}

/** The members of one group and what they own. */
export class GroupMembership {
  readonly #options: MembershipOptions

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** Counts up; 0 before the first rebalance. */
  get generation(): number {
    return 0
  }

  /** No rebalance is due or under way: everybody owns what the last target says. */
  get stable(): boolean {
    return true
  }

  get memberCount(): number {
    return 0
  }

  /**
   * Takes in a member: it gets `generation`, then perhaps `assigned`, in the next rebalance. With an
   * instanceId that a member has, it takes over at once and moves nothing: the older one gets `lost`
   * and `fenced`, the newer one `generation`, and `assigned` as the older one releases.
   */
  join(port: MemberPort): void {
    this.#options.changed()
    port.generation(0)
  }

  /** It goes in order: whatever it held is free at once. No port call follows. */
  leave(memberId: string): void {
    this.evict(memberId)
  }

  /** It stalled: its partitions are `lost` to it and move on once it calls `released` or `leave`. */
  evict(memberId: string): void {
    this.owns(memberId, '', 0)
  }

  /** The answer to `revoke` and `lost`. Ignored for what the member does not have to give up. */
  released(memberId: string, partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.owns(memberId, topic, partition)
  }

  /** Topics were created, deleted or got partitions: call it before anybody can use the change. */
  topicsChanged(): void {
    this.#options.rebalanceDue()
  }

  /**
   * Computes a new target and starts to move partitions. Where the user's assignor fails, members
   * without an assignment are `refused`, nothing else changes, and the error is given back.
   */
  rebalance(): LogError<'INVALID_ARGUMENT'> | undefined {
    return undefined
  }

  /** Whether the member may read the partition and commit for it now. */
  owns(memberId: string, topic: string, partition: number): boolean {
    return memberId === topic && partition === 0
  }

  /** Members in the order of their ids, with what they own. */
  describe(): Pick<GroupDescription, 'state' | 'members'> {
    return { state: 'Empty', members: [] }
  }
}
