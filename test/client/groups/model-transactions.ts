/**
 * Transactions that commit what a member has handed over, as steps of the model: begun in one step,
 * ended in a later one, and whatever happens in between. A covered place is committed by the
 * transaction and by nothing else; not at all where its partition went.
 */
import type { OpenTransaction } from '../../../src/client/group-types.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { must } from './membership-harness.ts'
import type { ModelFeed, ModelMember } from './model-member.ts'
import type { ModelWorld } from './model-world.ts'

const TIMEOUT_MS = 5_000

interface ModelPlace {
  readonly feed: ModelFeed
  readonly offset: number
}

/** A transaction that is not over. */
export interface ModelCover {
  readonly tx: OpenTransaction
  readonly member: ModelMember
  /** What it commits. */
  readonly places: readonly ModelPlace[]
  /** What it may commit beside: where partitions began of which nothing was handed over. */
  readonly starts: readonly ModelPlace[]
  readonly begunMs: number
}

/** Begins a transaction that covers all that the member has handed over. */
export async function cover(world: ModelWorld, member: ModelMember | undefined): Promise<void> {
  const consumer = member?.consumer
  if (member === undefined || consumer === undefined || world.cover !== undefined) return
  const begunMs = world.nowMs
  const tx = await world.log.producer({ transactionTimeoutMs: TIMEOUT_MS }).begin()
  world.observe()
  if (member.isOver || member.isFenced) return await tx.abort()
  try {
    tx.commitOffsets(consumer)
  } catch (error) {
    must(member.hasLostInHand || member.hasForfeited, 'what is covered is refused for a reason')
    const isRefusal = LogError.is(error, 'REBALANCED', 'TOPIC_NOT_FOUND', 'PARTITION_NOT_FOUND')
    must(isRefusal, 'a partition that went is REBALANCED, or not there')
    member.hasForfeited = false
    return await tx.abort()
  }
  must(!member.hasLostInHand, 'what is in hand of a partition that went is not covered')
  member.hasForfeited = false
  const places: ModelPlace[] = []
  const starts: ModelPlace[] = []
  for (const feed of member.feeds.values()) {
    const { position: offset, startedAt, partition, isUnwritten } = feed
    if (offset === partition.committed) continue
    const isUntouched = offset === startedAt && !isUnwritten
    if (isUntouched && partition.committed === undefined) starts.push({ feed, offset })
    else places.push({ feed, offset })
  }
  for (const { feed, offset } of places) {
    feed.coveredTo = Math.max(feed.coveredTo, offset)
    feed.isSettled ||= feed.isSought
    if (feed.handled <= feed.coveredTo || feed.isSettled) feed.isUnwritten = false
  }
  world.cover = { tx, member, places, starts, begunMs }
}

/** Commits it: what it covers is committed, where all of it is still the member's. */
export async function commitCover(world: ModelWorld): Promise<void> {
  const { cover: open } = world
  if (open === undefined) return
  world.cover = undefined
  const { tx, member, places, starts } = open
  const all = [...places, ...starts]
  const isKept = all.every(({ feed }) => member.feeds.get(feed.partition.key) === feed)
  const isLate = world.nowMs - open.begunMs >= TIMEOUT_MS
  for (const { feed, offset } of all) feed.partition.mayBecome.add(offset)
  const error: unknown = await tx.commit().catch((reason: unknown) => reason)
  world.observe()
  if (error !== undefined) {
    must(LogError.is(error, 'TRANSACTION_ABORTED'), 'it is committed or aborted')
    must(!isKept || isLate, 'it is aborted for a reason')
    world.tally.aborted += 1
    return
  }
  must(!isLate, 'it takes no longer than it may')
  world.tally.transactions += 1
  for (const { feed, offset } of places) {
    const { partition } = feed
    must(member.feeds.get(partition.key) === feed, `${partition.key} is still the member's`)
    must(partition.committed === offset, `${partition.key}: ${offset} is committed with the rest`)
    partition.commitsAreDurable()
    partition.durableEnd = Math.max(partition.durableEnd, offset)
    if (feed.handled > offset) feed.isUnwritten = feed.handled > feed.coveredTo && !feed.isSettled
  }
}

/** Aborts it: nothing of it is committed, now or by itself later. */
export async function abortCover(world: ModelWorld): Promise<void> {
  const { cover: open } = world
  if (open === undefined) return
  world.cover = undefined
  await open.tx.abort()
  world.tally.aborted += 1
  world.observe()
}
