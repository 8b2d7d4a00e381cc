/**
 * GroupAssignor: how the membership of a group asks who shall own what. Implemented once for each
 * of Kafka's assignors (the table is assignors.ts) and once around an assignor of the user's.
 */
import type { TopicPartition } from '../group-types.ts'

/** A member, as an assignor sees it. */
export interface AssigningMember {
  readonly memberId: string
  readonly instanceId: string | undefined
  /** What it subscribes to; topics that do not exist may be among them. */
  readonly topics: readonly string[]
  /** What it was given before. */
  readonly owned: readonly TopicPartition[]
  /** The generation in which it was given that; −1 where it never was given anything. */
  readonly generation: number
}

/** Every member with what it is to own, nothing twice. */
export type Assignment = ReadonlyMap<string, readonly TopicPartition[]>

/** Divides partitions among members. */
export interface GroupAssignor {
  readonly name: string
  /** Whether a rebalance takes everything away before it hands anything out (KIP-429: eager). */
  readonly isEager: boolean
  /** `partitionCounts` has every topic that exists and that somebody subscribes to. */
  assign(
    members: readonly AssigningMember[],
    partitionCounts: ReadonlyMap<string, number>,
  ): Assignment
}
