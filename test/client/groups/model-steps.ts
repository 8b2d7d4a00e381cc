/**
 * What can happen in the world of the model, one step at a time. A step that makes no sense where
 * it comes does nothing, so that any shorter history is one as well.
 */
import fc from 'fast-check'
import { LogError, type LogErrorCode } from '../../../src/errors/log-error.ts'
import { keyOf } from './assigning.ts'
import { must } from './membership-harness.ts'
import {
  MODES,
  REVOKERS,
  type MemberKind,
  type ModelFeed,
  type ModelMember,
} from './model-member.ts'
import { abortCover, commitCover, cover } from './model-transactions.ts'
import type { ModelWorld } from './model-world.ts'

const MAX_MEMBERS = 5
const MAX_PARTITIONS = 6

/** One step: what is done, and two numbers that say to what. */
export interface ModelStep {
  readonly kind: string
  readonly who: number
  readonly what: number
}

type Step = (world: ModelWorld, who: number, what: number) => void | Promise<void>

/** How often a step comes up, beside the others. */
const STEPS: Readonly<Record<string, readonly [weight: number, step: Step]>> = {
  append: [36, append],
  sync: [6, sync],
  join: [15, join],
  ask: [72, ask],
  'ask all': [12, askAll],
  leave: [6, (world, who) => pick(world.members, who)?.leave(false)],
  dispose: [3, (world, who) => pick(world.members, who)?.leave(true)],
  commit: [9, commitAll],
  'commit durably': [3, commitDurably],
  'commit an offset': [6, commitOffset],
  'commit past the end': [3, commitPastEnd],
  'commit what is not owned': [6, commitNotOwned],
  'cover in a transaction': [18, coverIn],
  'commit the transaction': [18, commitCover],
  'abort the transaction': [3, abortCover],
  seek: [9, seek],
  'seek where it is not allowed': [3, seekOutside],
  pause: [6, pause],
  resume: [6, resume],
  'let time pass': [9, letTimePass],
  'let much time pass': [6, (world) => world.settle(1_500)],
  'add partitions': [3, addPartitions],
  'make topic': [3, makeTopic],
  'delete topic': [3, deleteTopic],
  restart: [1, restart],
  kill: [1, (world) => world.reopen(() => world.disk.kill(), true)],
  'power cut': [1, (world) => world.reopen(() => world.disk.crash(), false)],
}

/** Steps as they come. */
export const modelStep: fc.Arbitrary<ModelStep> = fc.record({
  kind: fc.oneof(
    ...Object.entries(STEPS).map(([kind, [weight]]) => ({ weight, arbitrary: fc.constant(kind) })),
  ),
  who: fc.nat(30),
  what: fc.nat(30),
})

/** Does `step`, and checks what must be true then. */
export async function take(world: ModelWorld, { kind, who, what }: ModelStep): Promise<void> {
  await STEPS[kind]?.[1](world, who, what)
  await world.settle()
  world.check()
}

/** Handles everything with new members: nothing was left out by those before. */
export async function handleTheRest(world: ModelWorld): Promise<void> {
  // Twice: with an eager assignor, who joins may have to wait for those who have something in hand.
  await abortCover(world)
  for (let pass = 0; pass < 2; pass += 1) {
    for (const member of world.members) member.leave(false)
    await world.settle(200)
    world.check()
  }
  for (let at = 0; at < 2; at += 1)
    world.join({ mode: 'poll', revoker: 'nothing', instanceId: undefined })
  for (let round = 0; round < 40 && world.group.lag().total > 0; round += 1) {
    await world.settle()
    for (const member of world.members) member.ask(100)
    await world.settle(200)
    if (world.options.autoCommit) continue
    for (const member of world.members)
      await commitHanded(world, member.isOver ? undefined : member, false)
  }
  world.observe()
  for (const partition of world.partitions.values()) {
    if (!world.isSubscribed(partition.topic)) continue
    const missed = partition.missed()
    must(missed.length === 0, `nothing of ${partition.key} is skipped, but ${missed.join()} was`)
  }
}

function pick<T>(from: Iterable<T>, at: number): T | undefined {
  const all = [...from]
  return all[at % Math.max(1, all.length)]
}

/** A member that can be asked for something. */
function idle(world: ModelWorld, who: number): ModelMember | undefined {
  const able = world.members.filter((m) => m.consumer !== undefined && !m.isOver && !m.isFenced)
  return pick(able, who)
}

function someFeed(member: ModelMember | undefined, at: number): ModelFeed | undefined {
  return member === undefined ? undefined : pick(member.feeds.values(), at)
}

function append(world: ModelWorld, who: number, what: number): void {
  const partition = pick(world.partitions.values(), who)
  if (partition !== undefined) world.append(partition, 1 + (what % 7))
}

async function sync(world: ModelWorld, who: number): Promise<void> {
  const partition = pick(world.partitions.values(), who)
  if (partition === undefined) return
  const { topic, partition: number } = partition
  await world.log.topic(topic).partition(number).flush()
  partition.durableEnd = partition.end
}

async function join(world: ModelWorld, who: number, what: number): Promise<void> {
  if (world.members.filter(({ isOver, isFenced }) => !isOver && !isFenced).length >= MAX_MEMBERS)
    return
  const kind: MemberKind = {
    mode: MODES[who % MODES.length] ?? 'poll',
    revoker: REVOKERS[what % REVOKERS.length] ?? 'nothing',
    instanceId: (who + what) % 4 === 0 ? `instance ${what % 2}` : undefined,
  }
  const older = world.join(kind)
  if (older === undefined) return
  await world.settle()
  older.ask(1)
  await world.settle()
  must(older.isOver, 'who is fenced is told so')
}

async function coverIn(world: ModelWorld, who: number): Promise<void> {
  await cover(world, idle(world, who))
}

function ask(world: ModelWorld, who: number, what: number): void {
  pick(world.members, who)?.ask(1 + (what % 5))
}

function askAll(world: ModelWorld, who: number): void {
  for (const member of world.members) member.ask(1 + (who % 5))
}

async function commitAll(world: ModelWorld, who: number): Promise<void> {
  await commitHanded(world, idle(world, who), false)
}

async function commitDurably(world: ModelWorld, who: number): Promise<void> {
  const member = idle(world, who)
  if (!(await commitHanded(world, member, true))) return
  for (const { partition, position } of member?.feeds.values() ?? []) {
    if (partition.committed !== position) continue
    partition.commitsAreDurable()
    partition.durableEnd = Math.max(partition.durableEnd, position)
  }
}

/** Everything that was handed over, with what is in hand. */
async function commitHanded(
  world: ModelWorld,
  member: ModelMember | undefined,
  durable: boolean,
): Promise<boolean> {
  const consumer = member?.consumer
  if (member === undefined || consumer === undefined || member.feeds.size === 0) return false
  const commits = [...member.feeds.values()].map((feed) => ({ feed, offset: feed.position }))
  // Assigned, and not told of yet: committed as well, where it starts.
  for (const name of consumer.assignment) {
    world.partition(name).mayBecome.add(consumer.position(name))
  }
  try {
    await consumer.commit(undefined, { durable })
  } catch (error) {
    // What it has in hand is not its own any more: it has to ask before it commits all the rest.
    if (member.hasLostInHand && LogError.is(error, 'REBALANCED', 'TOPIC_NOT_FOUND')) return false
    throw error
  }
  areCommitted(world, commits)
  return true
}

async function commitOffset(world: ModelWorld, who: number, what: number): Promise<void> {
  const member = idle(world, who)
  const feed = someFeed(member, what)
  if (member?.consumer === undefined || feed === undefined) return
  const { topic, partition, end } = feed.partition
  const offset = what % (end + 1)
  await member.consumer.commit([{ topic, partition, offset }])
  feed.partition.mayBecome.add(offset)
  areCommitted(world, [{ feed, offset }])
  if (offset > feed.position) feed.partition.excuseBelow(offset)
}

/** The user committed these: nothing else is committed of the partitions. */
function areCommitted(
  world: ModelWorld,
  commits: readonly { readonly feed: ModelFeed; readonly offset: number }[],
): void {
  world.observe()
  for (const { feed, offset } of commits) {
    const { partition } = feed
    // The start of a partition of which nothing was handed over is not worth a commit.
    const isStart = partition.committed === undefined && offset === 0
    must(isStart || partition.committed === offset, `${partition.key}: ${offset} is committed`)
    partition.mayBecome.clear()
    if (partition.committed === offset) feed.isUnwritten = false
  }
}

async function commitPastEnd(world: ModelWorld, who: number, what: number): Promise<void> {
  const member = idle(world, who)
  const feed = someFeed(member, what)
  if (member?.consumer === undefined || feed === undefined) return
  const { topic, partition, end } = feed.partition
  const commit = member.consumer.commit([{ topic, partition, offset: end + 1 + what }])
  await mustFail(commit, 'OFFSET_OUT_OF_RANGE')
}

async function commitNotOwned(world: ModelWorld, who: number, what: number): Promise<void> {
  const member = idle(world, who)
  if (member?.consumer === undefined) return
  const own = member.consumer.assignment.map(keyOf)
  const others = [...world.partitions.values()].filter(({ key }) => !own.includes(key))
  const other = pick(others, what)
  if (other === undefined) return
  const { topic, partition } = other
  await mustFail(member.consumer.commit([{ topic, partition, offset: 0 }]), 'REBALANCED')
}

function seek(world: ModelWorld, who: number, what: number): void {
  const member = idle(world, who)
  const feed = someFeed(member, who)
  if (member?.consumer === undefined || feed === undefined) return
  const to = what % (feed.partition.end + 1)
  member.consumer.seek(feed.partition, to)
  if (to > feed.position) feed.partition.excuseBelow(to)
  feed.position = to
  // What a transaction has covered stays out of automatic commits, though the user goes elsewhere.
  feed.isSettled ||= feed.handled <= feed.coveredTo
  feed.coveredTo = -1
  // With something in hand, asking for more makes the new place count.
  feed.isSought = member.inHand.has(feed.partition.key)
  if (!feed.isSought) member.handledIs(feed, to)
}

function seekOutside(world: ModelWorld, who: number, what: number): void {
  const member = idle(world, who)
  const feed = someFeed(member, who)
  if (member?.consumer === undefined || feed === undefined) return
  try {
    member.consumer.seek(feed.partition, feed.partition.end + 1 + what)
  } catch (error) {
    must(LogError.is(error, 'OFFSET_OUT_OF_RANGE'), 'a seek past the end is OFFSET_OUT_OF_RANGE')
    return
  }
  must(false, 'a seek past the end is refused')
}

function pause(world: ModelWorld, who: number, what: number): void {
  const member = idle(world, who)
  const feed = someFeed(member, what)
  if (member?.consumer === undefined || feed === undefined) return
  member.consumer.pause([feed.partition])
  feed.isPaused = true
}

function resume(world: ModelWorld, who: number): void {
  const member = idle(world, who)
  member?.consumer?.resume()
  for (const feed of member?.feeds.values() ?? []) feed.isPaused = false
}

/** As long as an automatic commit takes at most: what is handled is committed then. */
async function letTimePass(world: ModelWorld): Promise<void> {
  await world.settle(100)
  world.observe()
  if (!world.options.autoCommit) return
  for (const { feeds } of world.members) {
    for (const feed of feeds.values()) {
      if (!feed.isUnwritten) continue
      const { partition, handled } = feed
      must(partition.committed === handled, `${partition.key}: ${handled} is committed in time`)
      feed.isUnwritten = false
    }
  }
}

async function addPartitions(world: ModelWorld, who: number): Promise<void> {
  const topic = pick(world.topics, who)
  if (topic === undefined) return
  const total = world.log.topic(topic).partitions.length + 1
  if (total > MAX_PARTITIONS) return
  world.addPartitions(topic, total)
  await world.log.topic(topic).addPartitions(total)
}

async function makeTopic(world: ModelWorld): Promise<void> {
  const missing = ['a', 'b', 'c'].find((topic) => !world.topics.includes(topic))
  if (missing === undefined) return
  world.addPartitions(missing, 2)
  await world.log.createTopic(missing, { partitions: 2 })
}

/** Not where a member asks for the topic by name, and could not join without it. */
async function deleteTopic(world: ModelWorld, who: number): Promise<void> {
  const topic = pick(world.topics, who)
  if (topic === undefined || world.topics.length === 1 || !world.options.isPattern) return
  world.deleteTopic(topic)
  await world.log.deleteTopic(topic)
}

async function restart(world: ModelWorld): Promise<void> {
  for (const member of world.members) member.leave(true)
  await world.settle()
  await world.reopen(() => world.log.close(), true)
  for (const partition of world.partitions.values()) partition.isDurable()
}

async function mustFail(pending: Promise<unknown>, code: LogErrorCode): Promise<void> {
  try {
    await pending
  } catch (error) {
    if (LogError.is(error, code)) return
    throw error
  }
  must(false, `${code} is said`)
}
