/**
 * Positions that transactions commit: what a consumer, a batch and a group stand for, what becomes
 * of the position when the transaction ends, and that nothing else writes it.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { Consumer } from '../../../src/client/groups/consumer.ts'
import type { Batch, ConsumerGroupOptions } from '../../../src/client/group-types.ts'
import type { ConsumerGroup } from '../../../src/client/groups/consumer-group.ts'
import { LOG_KINDS, texts, type LogKind } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'
import {
  committedIn,
  fill,
  groupLog,
  offsetsOf,
  settle,
  take,
  tp,
  type GroupLog,
} from './group-log.ts'

const OFFSETS = '__consumer_offsets'
const NOT_SENT = 'what is sent with it'

/** A group log with a topic for what is sent. */
async function movingLog(
  kind: LogKind,
  counts: { partitions?: number; records?: number } = {},
): Promise<GroupLog> {
  const made = await groupLog(kind, { records: 6, ...counts })
  await made.log.createTopic('out')
  return made
}

type Options = Omit<ConsumerGroupOptions, 'topics'>

function group(log: EventLog, options: Options = {}): ConsumerGroup {
  return log.consumerGroup('g', { topics: /^t$/, ...options })
}

/** What read_committed readers see of what was sent. */
function sent(log: EventLog): readonly string[] {
  return texts(log.topic('out').partition(0).records({ isolation: 'read_committed' }))
}

/** How many records of positions there are, markers included. */
function written(log: EventLog): number {
  return log.topic(OFFSETS).partition(0).highWatermark
}

/** Sends one record and covers `delivered`, in a transaction that commits, or throws. */
async function move(
  log: EventLog,
  delivered: Consumer | Batch,
  { fails = false }: { fails?: boolean } = {},
): Promise<void> {
  await log.producer().transaction(async (tx) => {
    await tx.send({ topic: 'out', value: NOT_SENT })
    tx.commitOffsets(delivered)
    if (fails) throw new Error('fails')
  })
}

async function firstBatch(consumer: Consumer, max: number): Promise<Batch> {
  const result: IteratorResult<Batch, unknown> = await consumer.batches({ max }).next()
  if (result.done === true) throw new Error('there is one')
  return result.value
}

describe.each(LOG_KINDS)('a transaction on %s', (kind) => {
  it('commits all that a consumer has handed over, in the partitions that moved', async () => {
    const { log, topic } = await movingLog(kind, { partitions: 3, records: 0 })
    fill(topic.partition(0), 4)
    fill(topic.partition(2), 2)
    const consumer = await group(log).join()
    const records = [...(await consumer.poll()), ...(await consumer.poll({ timeoutMs: 0 }))]
    expect(records).toHaveLength(6)
    await move(log, consumer)
    expect(consumer.committed().map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 4],
      [2, 2],
    ])
    expect(sent(log)).toEqual([NOT_SENT])
    expect(log.consumerGroup('g').lag().total).toBe(0)
  })

  it('that is committed leaves nothing to be committed by itself', async () => {
    const { log, clock } = await movingLog(kind)
    const consumer = await group(log).join()
    await consumer.poll({ max: 3 })
    await move(log, consumer)
    const before = written(log)
    expect(before).toBe(2) // The position and the marker.
    await consumer.poll({ max: 2 })
    clock.advance(1_000)
    await settle()
    expect(written(log)).toBe(before)
    await consumer.poll({ timeoutMs: 0 })
    clock.advance(1_000)
    expect(committedIn(log)).toBe(5)
  })

  it('that is aborted leaves the position where it was, whatever is asked for next', async () => {
    const { log, clock } = await movingLog(kind)
    const consumer = await group(log).join()
    await consumer.poll({ max: 1 })
    await consumer.poll({ max: 1 })
    clock.advance(100)
    expect(committedIn(log)).toBe(1)
    await expect(move(log, consumer, { fails: true })).rejects.toThrow('fails')
    await consumer.poll({ timeoutMs: 0, max: 1 })
    clock.advance(1_000)
    expect(committedIn(log)).toBe(1)
    expect(sent(log)).toEqual([])
    await consumer.poll({ timeoutMs: 0, max: 1 }) // Now the one behind it is handled.
    clock.advance(1_000)
    expect(committedIn(log)).toBe(3)
  })

  it('that is aborted is not made up for by leaving', async () => {
    const { log } = await movingLog(kind)
    const consumer = await group(log).join()
    await consumer.poll({ max: 3 })
    await expect(move(log, consumer, { fails: true })).rejects.toThrow('fails')
    await consumer.leave()
    expect(committedIn(log)).toBeUndefined()
    const next = await group(log).join()
    expect(offsetsOf(await next.poll({ max: 2 }))).toEqual([0, 1])
  })

  it('commits a batch up to its end, and the next one after it', async () => {
    const { log } = await movingLog(kind)
    const consumer = await group(log).join()
    let ends = 0
    for await (const batch of consumer.batches({ max: 2 })) {
      await move(log, batch)
      ends = (batch.records.at(-1)?.offset ?? 0) + 1
      expect(committedIn(log)).toBe(ends)
      if (ends === 6) break
    }
    expect(committedIn(log)).toBe(6)
    expect(sent(log)).toHaveLength(3)
    expect(written(log)).toBe(6)
  })

  it('whose failure ends the loop lets the batch come again', async () => {
    const { log } = await movingLog(kind)
    const consumer = await group(log).join()
    const loop = async (): Promise<void> => {
      for await (const batch of consumer.batches({ max: 2 })) {
        await move(log, batch, { fails: batch.records[0]?.offset === 2 })
      }
    }
    await expect(loop()).rejects.toThrow('fails')
    expect(committedIn(log)).toBe(2)
    const next = await group(log).join()
    expect((await firstBatch(next, 2)).records.map(({ offset }) => offset)).toEqual([2, 3])
  })

  it('commits the record in hand of a loop, which a break then keeps', async () => {
    const { log } = await movingLog(kind)
    const consumer = await group(log).join()
    for await (const record of consumer) {
      await move(log, consumer)
      if (record.offset === 2) break
    }
    expect(committedIn(log)).toBe(3)
    expect(written(log)).toBe(6)
  })

  it('is tried again with the same records', async () => {
    const { log } = await movingLog(kind)
    const consumer = await group(log).join()
    await consumer.poll({ max: 3 })
    await expect(move(log, consumer, { fails: true })).rejects.toThrow('fails')
    await move(log, consumer)
    expect(committedIn(log)).toBe(3)
    expect(sent(log)).toEqual([NOT_SENT])
  })

  it('commits positions that are given, of a group with and without members', async () => {
    const { log } = await movingLog(kind)
    const admin = log.consumerGroup('other')
    const place = { topic: 't', partition: 0, offset: 2, metadata: 'm' }
    await log.producer().transaction((tx) => tx.commitOffsets(admin, [place]))
    expect(admin.offsets()).toEqual([{ ...place, leaderEpoch: 0 }])
    const consumer = await group(log).join()
    await consumer.poll({ max: 5 })
    await log.producer().transaction((tx) => tx.commitOffsets(group(log), [{ ...tp(), offset: 4 }]))
    expect(committedIn(log)).toBe(4)
    await consumer.leave()
    expect(committedIn(log)).toBe(5)
  })

  it('refuses what is nothing to commit, and what is of another log', async () => {
    const { log } = await movingLog(kind)
    const { log: other } = await movingLog('memory')
    const foreign = await group(other).join()
    const producer = log.producer()
    const wrong: readonly (readonly unknown[])[] = [
      [undefined],
      [{}],
      ['g'],
      [[]],
      [foreign],
      [log, []],
      [group(other), [{ ...tp(), offset: 1 }]],
      [group(log), 'offsets'],
      [group(log), [{ ...tp(), offset: -1 }]],
    ]
    for (const given of wrong) {
      const tx = await producer.begin()
      // As JavaScript.
      const commitOffsets = tx.commitOffsets as (...all: readonly unknown[]) => void
      expect(refusal(() => commitOffsets(...given)).code).toBe('INVALID_ARGUMENT')
      await tx.abort()
    }
    const tx = await producer.begin()
    expect(refusal(() => tx.commitOffsets(group(log), [{ ...tp(9), offset: 1 }])).code).toBe(
      'PARTITION_NOT_FOUND',
    )
    expect((await rejection(tx.commit())).code).toBe('TRANSACTION_ABORTED')
  })

  it('commits nothing where nothing was handed over', async () => {
    const { log } = await movingLog(kind, { records: 0 })
    const consumer = await group(log).join()
    await move(log, consumer)
    expect(written(log)).toBe(0)
    expect(sent(log)).toEqual([NOT_SENT])
  })

  it('and a commit of the user beside it: the later one counts', async () => {
    const { log } = await movingLog(kind)
    const consumer = await group(log).join()
    await consumer.poll({ max: 4 })
    const tx = await log.producer().begin()
    tx.commitOffsets(consumer)
    await consumer.commit([{ ...tp(), offset: 2 }])
    await tx.commit()
    expect(committedIn(log)).toBe(4)
    await consumer.commit([{ ...tp(), offset: 1 }])
    expect(committedIn(log)).toBe(1)
  })

  it('covers also what was handled before it and not written, wherever the user goes then', async () => {
    const { log, clock } = await movingLog(kind)
    const consumer = await group(log).join()
    const { iterator } = await take(consumer, 2) // The first one is handled.
    const tx = await log.producer().begin()
    tx.commitOffsets(consumer)
    consumer.seek(tp(), 0)
    clock.advance(1_000)
    await tx.abort()
    clock.advance(1_000)
    expect(committedIn(log)).toBeUndefined()
    await iterator.return?.()
  })

  it('leaves records that were sought behind it to be committed again', async () => {
    const { log, clock } = await movingLog(kind)
    const consumer = await group(log).join()
    await consumer.poll({ max: 4 })
    await expect(move(log, consumer, { fails: true })).rejects.toThrow('fails')
    consumer.seek(tp(), 1)
    await consumer.poll({ max: 1 })
    await consumer.poll({ max: 1 })
    clock.advance(1_000)
    expect(committedIn(log)).toBe(2)
  })
})

describe.each(LOG_KINDS)('a partition on %s that went', (kind) => {
  it('is refused at the call: REBALANCED', async () => {
    const { log, clock } = await movingLog(kind)
    const consumer = await group(log, { maxPollIntervalMs: 1_000 }).join()
    const batch = await firstBatch(consumer, 2)
    clock.advance(1_001)
    for (const delivered of [batch, consumer]) {
      const tx = await log.producer().begin()
      expect(refusal(() => tx.commitOffsets(delivered)).code).toBe('REBALANCED')
      const aborted = await rejection(tx.commit())
      expect([aborted.code, (aborted.cause as { code?: string }).code]).toEqual([
        'TRANSACTION_ABORTED',
        'REBALANCED',
      ])
    }
  })

  it('between the call and the commit aborts the transaction', async () => {
    const { log, clock } = await movingLog(kind)
    const consumer = await group(log, { maxPollIntervalMs: 1_000 }).join()
    await consumer.poll({ max: 2 })
    const tx = await log.producer().begin()
    await tx.send({ topic: 'out', value: NOT_SENT })
    tx.commitOffsets(consumer)
    clock.advance(1_001)
    const aborted = await rejection(tx.commit())
    expect([aborted.code, (aborted.cause as { code?: string }).code]).toEqual([
      'TRANSACTION_ABORTED',
      'REBALANCED',
    ])
    expect(sent(log)).toEqual([])
    expect(committedIn(log)).toBeUndefined()
  })

  it('and came back is another one', async () => {
    const { log, clock } = await movingLog(kind)
    const consumer = await group(log, { maxPollIntervalMs: 1_000 }).join()
    const batch = await firstBatch(consumer, 2)
    clock.advance(1_001)
    await consumer.ready()
    expect(consumer.assignment).toEqual([tp()])
    expect((await rejection(move(log, batch))).code).toBe('REBALANCED')
  })

  it('with records that nothing commits makes the next transaction of its consumer fail', async () => {
    const { log } = await movingLog(kind, { partitions: 2, records: 3 })
    const first = await group(log, { autoCommit: false }).join()
    await first.ready()
    await first.poll({ max: 6 }) // Gathered over several polls, in one transaction.
    const tx = await log.producer().begin()
    const second = await group(log, { autoCommit: false }).join()
    await settle()
    await first.poll({ timeoutMs: 0 })
    await second.ready()
    expect(first.assignment).toHaveLength(1)
    expect(refusal(() => tx.commitOffsets(first)).code).toBe('REBALANCED')
    await tx.abort()
    await move(log, first) // Said once.
  })

  it('to another member of its instanceId refuses the older one', async () => {
    const { log } = await movingLog(kind)
    const older = await group(log).join({ instanceId: 'i' })
    await older.poll({ max: 2 })
    const tx = await log.producer().begin()
    await tx.send({ topic: 'out', value: NOT_SENT })
    tx.commitOffsets(older)
    const newer = await group(log).join({ instanceId: 'i' })
    await newer.ready()
    const aborted = await rejection(tx.commit())
    expect([aborted.code, (aborted.cause as { code?: string }).code]).toEqual([
      'TRANSACTION_ABORTED',
      'FENCED',
    ])
    expect((await rejection(move(log, older))).code).toBe('FENCED')
    expect(offsetsOf(await newer.poll({ max: 2 }))).toEqual([0, 1])
    expect(sent(log)).toEqual([])
  })

  it('with its topic aborts the transaction, also where one of its name is made anew', async () => {
    const { log } = await movingLog(kind)
    const consumer = await group(log).join()
    await consumer.poll({ max: 2 })
    const tx = await log.producer().begin()
    tx.commitOffsets(consumer)
    const given = await log.producer().begin()
    given.commitOffsets(log.consumerGroup('none'), [{ ...tp(), offset: 1 }])
    await log.deleteTopic('t')
    await log.createTopic('t')
    fill(log.topic('t').partition(0), 6)
    for (const one of [tx, given]) {
      expect((await rejection(one.commit())).code).toBe('TRANSACTION_ABORTED')
    }
    expect(committedIn(log)).toBeUndefined()
    expect(committedIn(log, 'none')).toBeUndefined()
  })

  it('where its member has left is refused: CLOSED', async () => {
    const { log } = await movingLog(kind)
    const consumer = await group(log).join()
    const batch = await firstBatch(consumer, 2)
    await consumer.leave()
    for (const delivered of [batch, consumer]) {
      expect((await rejection(move(log, delivered))).code).toBe('CLOSED')
    }
  })

  it('to a member since is not for the group to be given', async () => {
    const { log } = await movingLog(kind)
    const tx = await log.producer().begin()
    tx.commitOffsets(group(log), [{ ...tp(), offset: 4 }])
    const consumer = await group(log).join()
    const { iterator } = await take(consumer, 1)
    expect((await rejection(tx.commit())).code).toBe('TRANSACTION_ABORTED')
    await iterator.return?.()
    expect(committedIn(log)).toBeUndefined()
  })
})
