/**
 * Positions while the transaction that moves them is being committed, which takes as long as the
 * device does: who takes the partition over waits, and reads nothing twice.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { Consumer } from '../../../src/client/groups/consumer.ts'
import type { ConsumerGroup } from '../../../src/client/groups/consumer-group.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { closeWhenDone } from '../open-log.ts'
import { rejection } from '../refusal.ts'
import { committedIn, fill, offsetsOf, settle, stateOf, tp } from './group-log.ts'

/** A transaction that is being committed: its positions are written, and the disk is waited for. */
interface Committing {
  readonly disk: FaultDisk
  readonly clock: FakeClock
  readonly log: EventLog
  readonly group: ConsumerGroup
  /** Has the partition; two records were handed over. */
  readonly consumer: Consumer
  readonly commit: Promise<unknown>
}

/** Holds the flushes of the topic's log. */
async function committing(held: 'out' | '__transaction_state'): Promise<Committing> {
  const disk = new FaultDisk()
  const clock = new FakeClock()
  const log = await disk.open({ clock })
  closeWhenDone(log)
  const topic = await log.createTopic('t')
  await log.createTopic('out')
  fill(topic.partition(0), 6)
  const group = log.consumerGroup('g', { topics: /^t$/ })
  const consumer = await group.join()
  const producer = log.producer({ transactionTimeoutMs: 5_000 })
  await producer.transaction(async (tx) => {
    await tx.send({ topic: 'out', value: 'first' })
    tx.commitOffsets(log.consumerGroup('other'), [{ ...tp(), offset: 1 }])
  })
  await consumer.poll({ max: 2 })
  disk.hold(({ action, path }) => action === 'flush' && path.startsWith(held))
  const commit = producer.transaction(async (tx) => {
    await tx.send({ topic: 'out', value: 'second' })
    tx.commitOffsets(consumer)
  })
  commit.catch(() => undefined)
  await settle()
  await settle()
  expect(disk.held.length).toBeGreaterThan(0)
  return { disk, clock, log, group, consumer, commit }
}

function release(disk: FaultDisk): void {
  disk.hold(null)
  for (const flush of [...disk.held]) flush.end()
}

describe.each(['out', '__transaction_state'] as const)('while %s is waited for', (held) => {
  it('who takes the partition over waits, and goes on behind what is committed', async () => {
    const { disk, log, group, consumer, commit } = await committing(held)
    await consumer.leave()
    const told: number[] = []
    const joining = group.join({
      onAssigned: (partitions, next) =>
        void told.push(...partitions.map((one) => next.position(one))),
    })
    expect(await stateOf(joining)).toBe('pending')
    expect([told, committedIn(log)]).toEqual([[], undefined])
    release(disk)
    await commit
    const next = await joining
    expect(told).toEqual([2])
    expect(offsetsOf(await next.poll({ max: 1 }))).toEqual([2])
  })

  it('another partition of the member is read all the same', async () => {
    const { disk, log, group, consumer, commit } = await committing(held)
    await log.topic('t').addPartitions(2)
    fill(log.topic('t').partition(1), 1)
    await consumer.poll({ timeoutMs: 0, max: 1 })
    const next = await group.join()
    await settle()
    await consumer.poll({ timeoutMs: 0, max: 1 })
    await next.ready()
    expect(next.assignment).toEqual([tp(1)])
    expect(next.position(tp(1))).toBe(0)
    release(disk)
    await commit
  })

  it('a handler is given nothing of the partition', async () => {
    const { disk, group, consumer, commit } = await committing(held)
    await consumer.leave()
    const handled: number[] = []
    const running = group.run((record) => void handled.push(record.offset))
    expect(await stateOf(running.ready)).toBe('pending')
    release(disk)
    await commit
    await running.ready
    await settle()
    await running.stop()
    expect(handled).toEqual([2, 3, 4, 5])
  })

  it('moving the positions of the group waits, and moves what is committed', async () => {
    const { disk, group, consumer, commit } = await committing(held)
    await consumer.leave()
    const moved = group.resetOffsets({ shift: 1 })
    expect(await stateOf(moved)).toBe('pending')
    release(disk)
    await commit
    expect(await moved).toEqual([{ ...tp(), offset: 3, leaderEpoch: 0 }])
  })

  it('forgetting the group waits', async () => {
    const { disk, log, consumer, commit } = await committing(held)
    await consumer.leave()
    const forgotten = log.consumerGroup('g').delete()
    expect(await stateOf(forgotten)).toBe('pending')
    release(disk)
    await commit
    await forgotten
    expect(committedIn(log)).toBeUndefined()
  })

  it('the topic may be deleted: the position goes with it', async () => {
    const { disk, log, commit } = await committing(held)
    const deleted = log.deleteTopic('t')
    await settle()
    release(disk)
    await deleted
    await commit
    await log.createTopic('t')
    expect(committedIn(log)).toBeUndefined()
    const report = await disk.crash({ keep: 'all' })
    expect(report).toBeDefined()
    const again = await disk.open()
    closeWhenDone(again)
    expect(committedIn(again)).toBeUndefined()
  })

  it('its own consumer goes on, and what comes behind is committed behind it', async () => {
    const { disk, clock, log, consumer, commit } = await committing(held)
    expect(offsetsOf(await consumer.poll({ max: 1 }))).toEqual([2])
    await consumer.poll({ max: 1 })
    clock.advance(1_000)
    expect(committedIn(log)).toBe(3)
    release(disk)
    await commit
    expect(committedIn(log)).toBe(3)
    await disk.kill()
    const again = await disk.open()
    closeWhenDone(again)
    expect(committedIn(again)).toBe(3)
  })
})

describe('while the data is waited for', () => {
  it('a transaction that takes too long is aborted: who waits begins where it was', async () => {
    const { disk, clock, log, group, consumer, commit } = await committing('out')
    await consumer.leave()
    const joining = group.join()
    expect(await stateOf(joining)).toBe('pending')
    clock.advance(5_001)
    const next = await joining
    expect(offsetsOf(await next.poll({ max: 1 }))).toEqual([0])
    release(disk)
    expect((await rejection(commit)).code).toBe('TRANSACTION_ABORTED')
    expect(committedIn(log)).toBeUndefined()
  })
})

describe('where nobody knows how the transaction ended', () => {
  it('whoever needs the position is told, until the log is opened again', async () => {
    const { disk, log, group, consumer, commit } = await committing('__transaction_state')
    disk.hold(null)
    for (const flush of [...disk.held]) flush.fail()
    const unknown = await rejection(commit)
    expect([unknown.code, unknown.details]).toMatchObject(['IO', { outcome: 'unknown' }])
    expect(committedIn(log)).toBeUndefined()
    await consumer.leave()
    for (const ask of [
      () => group.join(),
      () => group.resetOffsets('earliest'),
      () => log.consumerGroup('g').delete(),
      () => group.run(() => undefined).done,
    ]) {
      expect(await rejection(ask())).toMatchObject({ code: 'IO', details: { outcome: 'unknown' } })
    }
    expect(group.offsets()).toEqual([])
    await disk.kill()
    const again = await disk.open()
    closeWhenDone(again)
    const next = await again.consumerGroup('g', { topics: /^t$/ }).join()
    const visible = [...again.topic('out').partition(0).records({ isolation: 'read_committed' })]
    expect(next.position(tp())).toBe(visible.length === 2 ? 2 : 0)
  })
})
