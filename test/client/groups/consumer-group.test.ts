/**
 * Groups of consumers: who gets which partitions, what is told to whom, and what a group refuses.
 */
import { describe, expect, it } from 'vitest'
import type { Consumer } from '../../../src/client/groups/consumer.ts'
import type { JoinOptions, TopicPartition } from '../../../src/client/group-types.ts'
import { refusal, rejection } from '../refusal.ts'
import { LOG_KINDS } from '../open-log.ts'
import {
  committedIn,
  fill,
  groupLog,
  offsetsOf,
  places,
  settle,
  stateOf,
  take,
  tp,
} from './group-log.ts'

const DONE = { done: true, value: undefined }
const TOPICS = { topics: ['t'] } as const

/** Partitions as `t-0`. */
function names(partitions: readonly TopicPartition[]): readonly string[] {
  return partitions.map(({ topic, partition }) => `${topic}-${partition}`)
}

/** Everything that the members together have. */
function owned(consumers: readonly Consumer[]): readonly string[] {
  return consumers.flatMap((consumer) => names(consumer.assignment)).sort()
}

/** Hooks that write down what they are told. */
function hooks(told: string[], who = ''): JoinOptions {
  return {
    onAssigned: (partitions) => void told.push(`${who}+${names(partitions).join()}`),
    onRevoked: (partitions) => void told.push(`${who}-${names(partitions).join()}`),
    onLost: (partitions) => void told.push(`${who}!${names(partitions).join()}`),
  }
}

/** A promise that is settled from outside. */
function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: (() => void) | undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open: () => open?.() }
}

describe.each(LOG_KINDS)('a group of consumers of a log on %s', (kind) => {
  it('splits the partitions among its members, and gives those of a leaver to the others', async () => {
    const { log } = await groupLog(kind, { partitions: 4, records: 1 })
    const group = log.consumerGroup('g', TOPICS)
    const members = await Promise.all([group.join(), group.join(), group.join()])
    await Promise.all(members.map((member) => member.ready()))
    expect(owned(members)).toEqual(['t-0', 't-1', 't-2', 't-3'])
    expect(members.map(({ assignment }) => assignment.length).toSorted((a, b) => a - b)).toEqual([
      1, 1, 2,
    ])
    await members[0]?.leave()
    const rest = members.slice(1)
    await Promise.all(rest.map((member) => member.ready()))
    expect(owned(rest)).toEqual(['t-0', 't-1', 't-2', 't-3'])
  })

  it('lets several groups see everything', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 2 })
    for (const id of ['a', 'b']) {
      const consumer = await log.consumerGroup(id, TOPICS).join()
      expect(places(await consumer.poll())).toHaveLength(4)
      await consumer.leave()
    }
    expect(log.consumerGroups().map(({ id, lag }) => [id, lag.total])).toEqual([
      ['a', 0],
      ['b', 0],
    ])
  })

  it('takes a partition whose records are not in hand at once, and another when its member asks', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 3 })
    const group = log.consumerGroup('g', TOPICS)
    const first = await group.join()
    const { records, iterator } = await take(first, 1)
    const [inHand] = records
    const second = await group.join()
    await settle()
    expect(owned([first, second])).toEqual(['t-0', 't-1'])
    // Whichever of the two is in hand stays with the first one.
    expect(names(first.assignment)).toContain(`t-${inHand?.partition}`)
    const third = await group.join()
    const fourth = await group.join()
    await second.leave()
    await third.leave()
    await fourth.leave()
    await iterator.next()
    await first.ready()
    expect(names(first.assignment)).toEqual(['t-0', 't-1'])
  })

  it('keeps a revoked partition with its member while its records are in hand', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 3 })
    const group = log.consumerGroup('g', TOPICS)
    const first = await group.join()
    expect(await first.poll()).toHaveLength(6)
    const second = await group.join()
    const ready = second.ready()
    expect(await stateOf(ready)).toBe('pending')
    expect(second.assignment).toEqual([])
    await first.poll({ timeoutMs: 0 })
    await ready
    const [moved = tp()] = second.assignment
    expect(names(first.assignment)).not.toContain(names([moved])[0])
    expect(committedIn(log, 'g', moved.partition)).toBe(3)
    expect(await second.poll({ timeoutMs: 0 })).toEqual([])
  })

  it('awaits hooks before partitions move on, and lets their own commit win', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 3 })
    const group = log.consumerGroup('g', TOPICS)
    const gate = latch()
    const told: string[] = []
    const first = await group.join({
      ...hooks(told, 'a'),
      onRevoked: async (partitions, consumer) => {
        await gate.opened
        await consumer.commit(partitions.map((partition) => ({ ...partition, offset: 1 })))
        told.push(`a-${names(partitions).join()}`)
      },
    })
    expect(told).toEqual(['a+t-0,t-1'])
    await first.poll()
    const second = await group.join(hooks(told, 'b'))
    const polled = first.poll({ timeoutMs: 0 })
    await settle()
    expect(second.assignment).toEqual([])
    expect(told).toHaveLength(1)
    gate.open()
    await polled
    await second.ready()
    const [moved = tp()] = second.assignment
    expect(told.slice(1)).toEqual([`a-${names([moved]).join()}`, `b+${names([moved]).join()}`])
    expect(offsetsOf(await second.poll())).toEqual([1, 2])
  })

  it.each([
    ['a loop has in hand', false, 1],
    ['was committed before', true, 2],
  ])('leaves by throw with a hook that commits: what %s', async (_, isCommitted, expected) => {
    const { log } = await groupLog(kind, { records: 3 })
    const group = log.consumerGroup('g', TOPICS)
    const consumer = await group.join({ onRevoked: (_partitions, member) => member.commit() })
    const { iterator } = await take(consumer, 2)
    if (isCommitted) await consumer.commit()
    await iterator.return?.()
    expect(committedIn(log)).toBe(expected)
    await using disposed = await group.join({ onRevoked: (_partitions, member) => member.commit() })
    expect(offsetsOf(await disposed.poll())).toEqual(expected === 1 ? [1, 2] : [2])
    await disposed[Symbol.asyncDispose]()
    expect(committedIn(log)).toBe(expected)
  })

  it('hands out nothing of a partition before onAssigned has run, which may seek', async () => {
    const { log } = await groupLog(kind, { records: 4 })
    const gate = latch()
    const joined = log.consumerGroup('g', TOPICS).join({
      onAssigned: async ([partition = tp()], consumer) => {
        expect(consumer.position(partition)).toBe(0)
        await gate.opened
        consumer.seek(partition, 2)
      },
    })
    expect(await stateOf(joined)).toBe('pending')
    gate.open()
    expect(offsetsOf(await (await joined).poll())).toEqual([2, 3])
  })

  it('lets a member go whose hook fails, commits nothing of what it concerned, and says so', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 3 })
    const group = log.consumerGroup('g', TOPICS)
    const failing = group.join({ onAssigned: () => Promise.reject(new Error('no state')) })
    await expect(failing).rejects.toThrow('no state')
    expect(group.describe().members).toEqual([])
    const consumer = await group.join({
      onRevoked: () => {
        throw new Error('not flushed')
      },
    })
    await consumer.poll()
    await expect(consumer.leave()).rejects.toThrow('not flushed')
    expect(group.describe().members).toEqual([])
    expect(group.offsets()).toEqual([])
    await expect(consumer.poll()).rejects.toThrow('not flushed')
  })

  it('revokes with onRevoked when a member leaves, and when the log closes', async () => {
    const { log } = await groupLog(kind, { partitions: 1, records: 1 })
    const told: string[] = []
    const leaving = await log.consumerGroup('g', TOPICS).join(hooks(told, 'a'))
    await leaving.leave()
    await log.consumerGroup('h', TOPICS).join(hooks(told, 'b'))
    await log.close()
    expect(told).toEqual(['a+t-0', 'a-t-0', 'b+t-0', 'b-t-0'])
  })

  it('closes in time although a hook never settles', async () => {
    const { log, clock } = await groupLog(kind)
    await log.consumerGroup('g', TOPICS).join({ onRevoked: () => new Promise(() => undefined) })
    const closed = log.close({ timeoutMs: 500 })
    expect(await stateOf(closed)).toBe('pending')
    clock.advance(500)
    await closed
  })

  it('assigns partitions that are added, and takes those of deleted topics away', async () => {
    const { log, topic } = await groupLog(kind, { partitions: 1, records: 1 })
    await log.createTopic('u')
    const told: string[] = []
    const consumer = await log.consumerGroup('g', { topics: ['t', 'u'] }).join(hooks(told))
    await topic.addPartitions(2)
    expect(names(consumer.assignment)).toEqual(['t-0', 't-1', 'u-0'])
    fill(topic.partition(1), 1)
    expect(await consumer.poll()).toHaveLength(2)
    await log.deleteTopic('t')
    expect(names(consumer.assignment)).toEqual(['u-0'])
    expect(told).toEqual(['+t-0,u-0', '+t-1', '!t-0,t-1'])
    await log.topic('u').send({ value: 'x' })
    expect((await consumer.poll()).map((record) => record.topic)).toEqual(['u'])
    const anew = await log.createTopic('t')
    await anew.send({ value: 'y' })
    expect((await consumer.poll()).map((record) => record.topic)).toEqual(['t'])
  })

  it('picks up what a pattern selects before createTopic resolves', async () => {
    const { log } = await groupLog(kind)
    const consumer = await log.consumerGroup('g', { topics: /^order-/g }).join()
    expect(consumer.assignment).toEqual([])
    const poll = consumer.poll()
    const created = await log.createTopic('order-a')
    expect(names(consumer.assignment)).toEqual(['order-a-0'])
    await log.createTopic('other')
    await log.ensureTopic('order-b')
    expect(names(consumer.assignment)).toEqual(['order-a-0', 'order-b-0'])
    await created.send({ value: 'x' })
    expect(await poll).toMatchObject([{ topic: 'order-a', offset: 0 }])
    await log.deleteTopic('order-a')
    expect(names(consumer.assignment)).toEqual(['order-b-0'])
  })

  it('refuses topics that do not exist when it is joined', async () => {
    const { log } = await groupLog(kind)
    const group = log.consumerGroup('g', { topics: ['t', 'nowhere'] })
    expect((await rejection(group.join())).code).toBe('TOPIC_NOT_FOUND')
    expect(log.consumerGroups()).toEqual([])
    const handle = await log.createTopic('gone')
    const dead = log.consumerGroup('g', { topics: [handle] })
    await log.deleteTopic('gone')
    expect((await rejection(dead.join())).code).toBe('TOPIC_NOT_FOUND')
  })

  it('refuses members that do not agree with those it has', async () => {
    const { log } = await groupLog(kind)
    await log.createTopic('u')
    const before = log.consumerGroup('g', { topics: ['u'] })
    const group = log.consumerGroup('g', { topics: ['t'] })
    const consumer = await group.join()
    expect(await rejection(before.join())).toMatchObject({
      code: 'CONFIG_MISMATCH',
      details: { group: 'g', option: 'topics', asked: 'u', actual: 't' },
    })
    for (const call of [
      () => log.consumerGroup('g', { topics: ['u'] }),
      () => log.consumerGroup('g', { topics: /t/ }),
      () => log.consumerGroup('g', { topics: ['t'], assignor: 'range' }),
      () => log.consumerGroup('g', { topics: ['t'], isolation: 'read_uncommitted' }),
    ]) {
      expect(refusal(call).code).toBe('CONFIG_MISMATCH')
    }
    await log.consumerGroup('g', { topics: [log.topic('t')], maxPollRecords: 3 }).join()
    for (const { memberId } of group.describe().members) expect(memberId).toMatch(/^g-\d{6}$/)
    await log.close()
    expect(consumer.assignment).toEqual([])
  })

  it('refuses options that cannot be, naming them', async () => {
    const { log } = await groupLog(kind)
    const asked: readonly (readonly [string, unknown])[] = [
      ['topics', { topics: [] }],
      ['topics', { topics: 't' }],
      ['topics', { topics: ['t', 't'] }],
      ['autoOffsetReset', { ...TOPICS, autoOffsetReset: 'first' }],
      ['autoCommit', { ...TOPICS, autoCommit: 5 }],
      ['autoCommit.records', { ...TOPICS, autoCommit: { records: 0 } }],
      ['maxPollRecords', { ...TOPICS, maxPollRecords: 0 }],
      ['maxPollIntervalMs', { ...TOPICS, maxPollIntervalMs: 0.5 }],
      ['assignor', { ...TOPICS, assignor: 7 }],
      ['isolation', { ...TOPICS, isolation: 'none' }],
      ['topic', { topic: ['t'] }],
    ]
    for (const [option, options] of asked) {
      // `as`: what a caller without types may pass.
      const call = (): unknown => log.consumerGroup('g', options as typeof TOPICS)
      expect(refusal(call)).toMatchObject({ code: 'INVALID_ARGUMENT', details: { option } })
    }
    expect(refusal(() => log.consumerGroup('')).code).toBe('INVALID_ARGUMENT')
    const group = log.consumerGroup('g', TOPICS)
    expect((await rejection(group.join({ instanceId: '' }))).code).toBe('INVALID_ARGUMENT')
  })

  it('lets a static member take over where the older one is, and fences that', async () => {
    const { log } = await groupLog(kind, { partitions: 3, records: 2 })
    const group = log.consumerGroup('g', TOPICS)
    const told: string[] = []
    const older = await group.join({ instanceId: 'one', ...hooks(told, 'a') })
    const other = await group.join({ instanceId: 'two' })
    await Promise.all([older.ready(), other.ready()])
    const [had, others] = [names(older.assignment), names(other.assignment)]
    const polled = await older.poll({ max: 1 })
    expect(polled).toHaveLength(1)
    const newer = await group.join({ instanceId: 'one', ...hooks(told, 'b') })
    await newer.ready()
    expect(names(newer.assignment)).toEqual(had)
    expect(names(other.assignment)).toEqual(others)
    expect(told.slice(1)).toContain(`a!${had.join()}`)
    expect((await rejection(older.poll())).code).toBe('FENCED')
    expect((await rejection(older.commit())).code).toBe('FENCED')
    await older.leave()
    expect(names(newer.assignment)).toEqual(had)
  })

  it('evicts a member that does not ask in time, and takes it in again when it does', async () => {
    const { log, clock } = await groupLog(kind, { partitions: 1, records: 3 })
    const group = log.consumerGroup('g', { ...TOPICS, maxPollIntervalMs: 1_000 })
    const told: string[] = []
    const slow = await group.join(hooks(told, 'a'))
    const { iterator } = await take(slow, 2)
    const waiting = await group.join(hooks(told, 'b'))
    const poll = waiting.poll()
    await settle()
    clock.advance(999)
    await settle()
    expect(names(slow.assignment)).toEqual(['t-0'])
    clock.advance(1)
    expect(offsetsOf(await poll)).toEqual([1, 2])
    expect(told).toEqual(['a+t-0', 'a!t-0', 'b+t-0'])
    expect((await rejection(slow.commit([{ ...tp(), offset: 2 }]))).code).toBe('REBALANCED')
    expect((await rejection(slow.commit())).code).toBe('REBALANCED')
    const next = iterator.next()
    await waiting.leave()
    expect(await stateOf(next)).toBe('pending')
    expect(names(slow.assignment)).toEqual(['t-0'])
    expect(committedIn(log)).toBe(3)
    await slow.leave()
    expect(await next).toEqual(DONE)
  })

  it('evicts a member again that came back by ready, and asks for nothing', async () => {
    const { log, clock } = await groupLog(kind)
    const consumer = await log.consumerGroup('g', { ...TOPICS, maxPollIntervalMs: 1_000 }).join()
    clock.advance(1_000)
    expect(consumer.assignment).toEqual([])
    await consumer.ready()
    expect(consumer.assignment).toHaveLength(1)
    clock.advance(1_000)
    expect(consumer.assignment).toEqual([])
  })

  it('never evicts a member that waits, nor one that may take its time', async () => {
    const { log, clock } = await groupLog(kind, { partitions: 1 })
    const limited = log.consumerGroup('g', { ...TOPICS, maxPollIntervalMs: 1_000 })
    const waiting = await limited.join()
    void waiting.poll().catch(() => undefined)
    const patient = await log.consumerGroup('h', TOPICS).join()
    for (let passed = 0; passed < 10; passed++) {
      clock.advance(900)
      await settle()
    }
    expect(waiting.assignment).toHaveLength(1)
    expect(patient.assignment).toHaveLength(1)
  })

  it('leaves a log that is closed with what was handled, for the next one that opens it', async () => {
    const { log } = await groupLog(kind, { records: 4 })
    const group = log.consumerGroup('g', TOPICS)
    const consumer = await group.join()
    await take(consumer, 3)
    const closing = log.close()
    expect((await rejection(group.join())).code).toBe('CLOSED')
    await closing
    expect(refusal(() => group.offsets()).code).toBe('CLOSED')
    expect(refusal(() => log.consumerGroup('h', TOPICS)).code).toBe('CLOSED')
    expect(refusal(() => log.consumerGroups()).code).toBe('CLOSED')
  })
})
