/**
 * Consumers: what they hand over, when it counts as handled, and what they refuse.
 */
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { refusal, rejection } from '../refusal.ts'
import type { LogRecord } from '../../../src/client/log-record.ts'
import { LOG_KINDS, nextOf, textOf } from '../open-log.ts'
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

describe.each(LOG_KINDS)('a consumer of a log on %s', (kind) => {
  it('hands over every record of its partitions, each once and in order', async () => {
    const { log, topic } = await groupLog(kind, { partitions: 3, records: 20 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const { records } = await take(consumer, 60)
    for (const { index } of topic.partitions) {
      const own = records.filter((record) => record.partition === index)
      expect(offsetsOf(own)).toEqual(Array.from({ length: 20 }, (_, offset) => offset))
    }
    expect(consumer.lag().total).toBe(0)
  })

  it('waits at the end for what is appended later', async () => {
    const { log, topic } = await groupLog(kind, { partitions: 2, records: 1 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const { iterator } = await take(consumer, 2)
    const next = iterator.next()
    expect(await stateOf(next)).toBe('pending')
    fill(topic.partition(1), 1, 1)
    expect(await next).toMatchObject({ done: false, value: { partition: 1, offset: 1 } })
  })

  it('counts a record as handled when the next one is asked for', async () => {
    const { log } = await groupLog(kind, { records: 3 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    await take(consumer, 2)
    await consumer.leave()
    expect(committedIn(log)).toBe(1)
    const again = await log.consumerGroup('g', TOPICS).join()
    expect(offsetsOf(await again.poll())).toEqual([1, 2])
  })

  it('commits nothing of the record in hand when a loop breaks, and leaves', async () => {
    const { log } = await groupLog(kind, { records: 3 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    for await (const record of consumer) if (record.offset === 1) break
    expect(committedIn(log)).toBe(1)
    expect(log.consumerGroup('g').describe()).toMatchObject({ state: 'Empty', members: [] })
    expect((await rejection(consumer.poll())).code).toBe('CLOSED')
  })

  it('commits the record in hand where the loop says so before it breaks', async () => {
    const { log } = await groupLog(kind, { records: 3 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    for await (const record of consumer) {
      if (record.offset < 1) continue
      await consumer.commit(undefined, { durable: true })
      break
    }
    expect(committedIn(log)).toBe(2)
  })

  it('commits nothing of the record in hand when a loop throws', async () => {
    const { log } = await groupLog(kind, { records: 3 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const loop = async (): Promise<void> => {
      for await (const record of consumer) if (record.offset === 2) throw new Error('bad record')
    }
    await expect(loop()).rejects.toThrow('bad record')
    expect(committedIn(log)).toBe(2)
    expect(log.consumerGroup('g').describe().members).toEqual([])
  })

  it('writes after so many records, or after so many milliseconds', async () => {
    const { log, clock } = await groupLog(kind, { records: 10 })
    const autoCommit = { records: 4, intervalMs: 100 }
    const consumer = await log.consumerGroup('g', { ...TOPICS, autoCommit }).join()
    const { iterator } = await take(consumer, 4)
    expect(committedIn(log)).toBeUndefined()
    await iterator.next()
    expect(committedIn(log)).toBe(4)
    await iterator.next()
    clock.advance(99)
    expect(committedIn(log)).toBe(4)
    clock.advance(1)
    expect(committedIn(log)).toBe(5)
  })

  it('writes when there is nothing more at hand', async () => {
    const { log } = await groupLog(kind, { records: 2 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const { iterator } = await take(consumer, 2)
    void iterator.next()
    await settle()
    expect(committedIn(log)).toBe(2)
  })

  it('commits nothing by itself where autoCommit is off', async () => {
    const { log, clock } = await groupLog(kind, { records: 3 })
    const consumer = await log.consumerGroup('g', { ...TOPICS, autoCommit: false }).join()
    expect(await consumer.poll()).toHaveLength(3)
    expect(await consumer.poll({ timeoutMs: 0 })).toEqual([])
    clock.advance(10_000)
    await consumer.leave()
    expect(committedIn(log)).toBeUndefined()
  })

  it('polls records of several partitions, and commits them with the next poll', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 3 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const first = await consumer.poll({ max: 4 })
    expect(first).toHaveLength(4)
    expect(committedIn(log)).toBeUndefined()
    const second = await consumer.poll({ max: 4 })
    const handled = log.consumerGroup('g').offsets()
    expect(handled.reduce((sum, { offset }) => sum + offset, 0)).toBe(4)
    expect([...places(first), ...places(second)].sort()).toEqual([
      '0:0',
      '0:1',
      '0:2',
      '1:0',
      '1:1',
      '1:2',
    ])
    await consumer.leave()
    expect([committedIn(log, 'g', 0), committedIn(log, 'g', 1)]).toEqual([3, 3])
  })

  it('polls until something comes, the time is over or the signal aborts', async () => {
    const { log, topic, clock } = await groupLog(kind)
    const consumer = await log.consumerGroup('g', TOPICS).join()
    expect(await consumer.poll({ timeoutMs: 0 })).toEqual([])
    const timed = consumer.poll({ timeoutMs: 50 })
    expect(await stateOf(timed)).toBe('pending')
    clock.advance(50)
    expect(await timed).toEqual([])
    const controller = new AbortController()
    const aborted = consumer.poll({ signal: controller.signal })
    await settle()
    controller.abort('enough')
    expect(await rejection(aborted)).toMatchObject({ code: 'ABORTED', cause: 'enough' })
    const waiting = consumer.poll()
    await settle()
    fill(topic.partition(0), 1)
    expect(offsetsOf(await waiting)).toEqual([0])
  })

  it('hands over batches of one partition, and commits one when the next is asked for', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 5 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const seen: string[] = []
    for await (const batch of consumer.batches({ max: 2 })) {
      expect(new Set(batch.records.map((record) => record.partition))).toEqual(
        new Set([batch.partition]),
      )
      expect(batch).toMatchObject({ topic: 't', highWatermark: 5 })
      expect(batch.records.length).toBeLessThanOrEqual(2)
      seen.push(...places(batch.records))
      if (seen.length === 10) {
        await batch.commit()
        break
      }
    }
    expect(new Set(seen).size).toBe(10)
    expect([committedIn(log, 'g', 0), committedIn(log, 'g', 1)]).toEqual([5, 5])
  })

  it('waits for a batch of so many, but no longer than it was told to', async () => {
    const { log, topic, clock } = await groupLog(kind, { partitions: 2 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const batches = consumer.batches({ max: 3, waitMs: 1_000 })
    const first = nextOf(batches)
    fill(topic.partition(0), 1)
    fill(topic.partition(1), 1)
    expect(await stateOf(first)).toBe('pending')
    fill(topic.partition(1), 2, 1)
    const full = await first
    expect(full && places(full.records)).toEqual(['1:0', '1:1', '1:2'])
    const second = nextOf(batches)
    clock.advance(999)
    expect(await stateOf(second)).toBe('pending')
    clock.advance(1)
    const late = await second
    expect(late && places(late.records)).toEqual(['0:0'])
    await batches.return?.()
    expect([committedIn(log, 'g', 0), committedIn(log, 'g', 1)]).toEqual([undefined, 3])
  })

  it('is a Web stream that reads nothing ahead, and a Node stream', async () => {
    const { log } = await groupLog(kind, { records: 3 })
    const group = log.consumerGroup('g', TOPICS)
    const reader = (await group.join()).stream().getReader()
    const first = await reader.read()
    expect(first.value && textOf(first.value)).toBe('v0')
    await settle()
    expect(committedIn(log)).toBeUndefined()
    await reader.read()
    await reader.cancel()
    expect(committedIn(log)).toBe(1)
    const seen: number[] = []
    const node: AsyncIterable<LogRecord> = Readable.from(await group.join())
    for await (const record of node) {
      seen.push(record.offset)
      if (seen.length === 2) break
    }
    expect(seen).toEqual([1, 2])
    await settle()
    expect(group.describe().members).toEqual([])
  })

  it('commits what it is told to, and tells it again', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 5 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    await consumer.commit([{ ...tp(), offset: 4, metadata: 'half' }], { durable: true })
    await consumer.commit([{ ...tp(), offset: 2 }])
    await consumer.commit([{ ...tp(1), offset: 5, metadata: 'all' }])
    expect(consumer.committed()).toMatchObject([
      { ...tp(), offset: 2 },
      { ...tp(1), offset: 5, metadata: 'all' },
    ])
    await consumer.leave()
    expect(committedIn(log)).toBe(2)
  })

  it('refuses two things at a time, and says what to do', async () => {
    const { log } = await groupLog(kind)
    const group = log.consumerGroup('g', TOPICS)
    const polling = await group.join()
    const poll = polling.poll()
    const pollEnd = rejection(poll)
    expect((await rejection(polling.poll())).code).toBe('INVALID_ARGUMENT')
    expect(refusal(() => polling[Symbol.asyncIterator]()).code).toBe('INVALID_ARGUMENT')
    expect(await stateOf(poll)).toBe('pending')
    const looping = await group.join()
    void looping[Symbol.asyncIterator]().next()
    expect(refusal(() => looping[Symbol.asyncIterator]()).message).toContain('another member')
    expect(refusal(() => looping.batches()).code).toBe('INVALID_ARGUMENT')
    expect(refusal(() => looping.stream()).code).toBe('INVALID_ARGUMENT')
    expect((await rejection(looping.poll())).code).toBe('INVALID_ARGUMENT')
    await polling.leave()
    expect((await pollEnd).code).toBe('CLOSED')
  })

  it('refuses partitions that are not its own, and such that do not exist', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 1 })
    const group = log.consumerGroup('g', TOPICS)
    const [one, other] = [await group.join(), await group.join()]
    await one.ready()
    await other.ready()
    const [theirs = tp()] = other.assignment
    expect((await rejection(one.commit([{ ...theirs, offset: 1 }]))).code).toBe('REBALANCED')
    expect(refusal(() => one.seek(theirs, 0)).code).toBe('REBALANCED')
    expect(refusal(() => one.position(theirs)).code).toBe('REBALANCED')
    expect(refusal(() => one.pause([theirs])).code).toBe('REBALANCED')
    expect((await rejection(one.commit([{ ...tp(0, 'u'), offset: 0 }]))).code).toBe(
      'TOPIC_NOT_FOUND',
    )
    expect(refusal(() => one.seek(tp(7), 0)).code).toBe('PARTITION_NOT_FOUND')
    const [own = tp()] = one.assignment
    expect((await rejection(one.commit([{ ...own, offset: 2 }]))).code).toBe('OFFSET_OUT_OF_RANGE')
    expect((await rejection(one.commit([{ ...own, offset: -1 }]))).code).toBe('INVALID_ARGUMENT')
  })

  it('ends its loop when it leaves, and commits nothing of what the loop has in hand', async () => {
    const { log } = await groupLog(kind, { records: 3 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const { iterator } = await take(consumer, 2)
    await Promise.all([consumer.leave(), consumer.leave()])
    expect(await iterator.next()).toEqual(DONE)
    expect(committedIn(log)).toBe(1)
    expect((await rejection(consumer.commit())).code).toBe('CLOSED')
    expect((await rejection(consumer.ready())).code).toBe('CLOSED')
    expect(refusal(() => consumer.seek(tp(), 0)).code).toBe('CLOSED')
    expect(refusal(() => consumer.batches()).code).toBe('CLOSED')
    expect(consumer.assignment).toEqual([])
  })

  it('commits all of the last poll when it leaves, nothing of it when it is disposed of', async () => {
    const { log } = await groupLog(kind, { records: 4 })
    const group = log.consumerGroup('g', TOPICS)
    const leaving = await group.join()
    await leaving.poll({ max: 2 })
    await leaving.leave()
    expect(committedIn(log)).toBe(2)
    const disposed = await group.join()
    await disposed.poll({ max: 1 })
    await disposed[Symbol.asyncDispose]()
    expect(committedIn(log)).toBe(2)
  })

  it('ends with the log, which commits what was handled and not what is in hand', async () => {
    const { log } = await groupLog(kind, { records: 3 })
    const group = log.consumerGroup('g', TOPICS)
    const consumer = await group.join()
    const { iterator } = await take(consumer, 2)
    const waiting = await log.consumerGroup('h', { ...TOPICS, autoOffsetReset: 'latest' }).join()
    const poll = rejection(waiting.poll())
    await settle()
    await log.close()
    expect(await iterator.next()).toEqual(DONE)
    expect((await poll).code).toBe('CLOSED')
    expect((await rejection(group.join())).code).toBe('CLOSED')
  })
})
