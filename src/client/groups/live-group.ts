/**
 * LiveGroup: a group while it has members in this log: its membership, what its members share, and
 * who they are.
 *
 *   I1  all its members agree on topics, assignor and isolation
 *   I2  several joins in one turn of the event loop are one rebalance
 */
import type { CommittedOffsets } from '../../log/committed-offsets.ts'
import { housekeepingFailed } from '../log-warnings.ts'
import { assignorOf } from './assignors.ts'
import type { TopicPartition } from '../group-types.ts'
import type { GroupActivity } from './group-admin.ts'
import type { PartitionHolder } from './group-coverage.ts'
import type { GroupHost } from './group-host.ts'
import { GroupMember } from './group-member.ts'
import { GroupMembership } from './group-membership.ts'
import { mismatch, type CheckedGroupOptions } from './group-options.ts'
import type { Subscription } from './subscription.ts'

/** What a handle of a group was made with. */
export interface GroupSettings {
  readonly id: string
  readonly options: CheckedGroupOptions
  readonly subscription: Subscription
}

/** What members of a group are for: whoever closes the log treats them differently. */
export type MemberUse = 'consumer' | 'run'

/** The members of one group. */
export class LiveGroup {
  readonly settings: GroupSettings
  readonly #host: GroupHost
  readonly #offsets: CommittedOffsets
  readonly #membership: GroupMembership
  readonly #members = new Map<GroupMember, MemberUse>()
  readonly #emptied: () => void

  /** `emptied` is called when the last member has left. */
  constructor(
    host: GroupHost,
    offsets: CommittedOffsets,
    settings: GroupSettings,
    emptied: () => void,
  ) {
    this.settings = settings
    this.#host = host
    this.#offsets = offsets
    this.#emptied = emptied
    this.#membership = new GroupMembership({
      assignor: assignorOf(settings.options.assignor, where(settings.id)),
      topic: (name) => host.findTopic(name),
      rebalanceDue: () => void Promise.resolve().then(() => this.#rebalance()),
      changed: () => this.#changed(),
    })
  }

  get activity(): GroupActivity {
    return this.#membership.describe()
  }

  members(use: MemberUse): readonly GroupMember[] {
    return [...this.#members].filter(([, other]) => other === use).map(([member]) => member)
  }

  /** The member that has the partition, with what it has of it. */
  holderOf(name: TopicPartition): PartitionHolder | undefined {
    for (const member of this.#members.keys()) {
      const feed = member.partitions.find(name)
      if (feed !== undefined) return { member, feed }
    }
    return undefined
  }

  get memberCount(): number {
    return this.#members.size
  }

  /** A new member, which has not joined yet. @throws {LogError} CONFIG_MISMATCH (I1). */
  member(
    settings: GroupSettings,
    name: { readonly memberId: string; readonly instanceId: string | undefined },
    use: MemberUse,
  ): GroupMember {
    this.checkAgrees(settings)
    const member = new GroupMember({
      ...name,
      groupId: settings.id,
      host: this.#host,
      offsets: this.#offsets,
      membership: this.#membership,
      subscription: settings.subscription,
      options: settings.options,
      left: (gone) => this.#left(gone),
    })
    this.#members.set(member, use)
    return member
  }

  /** @throws {LogError} CONFIG_MISMATCH where a handle was made with something else (I1). */
  checkAgrees({ id, options, subscription }: GroupSettings): void {
    const actual = this.settings
    const compared: readonly (readonly [string, string, string])[] = [
      ['topics', subscription.description, actual.subscription.description],
      ['assignor', nameOf(options.assignor), nameOf(actual.options.assignor)],
      ['isolation', options.range.isolation, actual.options.range.isolation],
    ]
    for (const [option, asked, present] of compared) {
      if (asked !== present) throw mismatch(id, option, asked, present)
    }
  }

  /** Topics came, went or grew: what that changes is done when it returns. */
  topicsChanged(): void {
    this.#membership.topicsChanged()
    this.#rebalance()
  }

  #rebalance(): void {
    const failure = this.#membership.rebalance()
    if (failure !== undefined) this.#host.warn(housekeepingFailed(failure))
  }

  #changed(): void {
    for (const member of this.#members.keys()) member.groupChanged()
  }

  #left(member: GroupMember): void {
    this.#members.delete(member)
    if (this.#members.size === 0) this.#emptied()
  }
}

function where(id: string): string {
  return `log.consumerGroup('${id}')`
}

function nameOf(assignor: CheckedGroupOptions['assignor']): string {
  return typeof assignor === 'string' ? assignor : assignor.name
}
