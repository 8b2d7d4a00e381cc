/**
 * MemberPort: what the membership of a group tells one of its members. The consumer core implements
 * it, the membership calls it, in the order in which things became true. Each call may call back
 * into the membership at once (`released` inside `revoke`, say): the state is already consistent,
 * and what follows from the call is told after the calls that are under way. None may throw.
 */
import type { LogError } from '../../errors/log-error.ts'
import type { TopicPartition } from '../group-types.ts'

/**
 * Why partitions were taken away without waiting for the member.
 * `evicted`: the member stalled longer than `maxPollIntervalMs`. `fenced`: another member took over
 * its instanceId. `deleted`: the topic is gone.
 */
export type LossReason = 'evicted' | 'fenced' | 'deleted'

/** One member, as the membership of its group sees it. */
export interface MemberPort {
  /** Unique among members. One that was evicted may come again under its id. */
  readonly memberId: string
  /** Makes the member static (KIP-345): a later one of the same name takes over what it owns. */
  readonly instanceId: string | undefined

  /** The topics it wants now, those of a pattern resolved; asked in each rebalance. */
  topics(): readonly string[]

  /**
   * The group computed a new target; what the member owns stays its own unless told otherwise. The
   * first of these calls means that it has its first assignment: told by `assigned` right after, or
   * empty.
   */
  generation(generation: number): void

  /** These are its own from now on: it may read them and commit for them. */
  assigned(partitions: readonly TopicPartition[], generation: number): void

  /**
   * Give these up: hand out nothing more of them, and call `released` once nothing of them is in
   * the user's hands and hooks have run. Until then they stay its own: it may commit for them.
   */
  revoke(partitions: readonly TopicPartition[]): void

  /**
   * These are no longer its own: nothing of them counts any more, commits are `REBALANCED`. They
   * move on when `released` is called: at once, or after hooks have run. Where a `revoke` of the
   * same partitions is under way, one `released` answers both. May come after the member is none.
   */
  lost(partitions: readonly TopicPartition[], reason: LossReason): void

  /** It is no member any more: another one took over its instanceId. Comes after `lost`. */
  fenced(): void

  /** It is no member any more, and never had an assignment: the assignor failed. */
  refused(error: LogError<'INVALID_ARGUMENT'>): void
}
