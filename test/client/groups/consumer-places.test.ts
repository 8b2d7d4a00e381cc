/**
 * Places of consumers: where they start, seeking, pausing, and offsets that are gone.
 */
import { describe, expect, it } from 'vitest'
import { refusal, rejection } from '../refusal.ts'
import { LOG_KINDS } from '../open-log.ts'
import { committedIn, fill, groupLog, offsetsOf, places, stateOf, take, tp } from './group-log.ts'

const DONE = { done: true, value: undefined }
const TOPICS = { topics: ['t'] } as const

describe.each(LOG_KINDS)('the place of a consumer of a log on %s', (kind) => {
  it('seeks forwards and backwards, to ends and times, and goes on there', async () => {
    const { log, topic, clock } = await groupLog(kind, { records: 3 })
    clock.advance(1_000)
    const timestamp = clock.now()
    fill(topic.partition(0), 3, 3)
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const { iterator } = await take(consumer, 2)
    const offsetAfter = async (to: Parameters<typeof consumer.seek>[1]): Promise<number> => {
      consumer.seek(tp(), to)
      const result = await iterator.next()
      return result.done === true ? -1 : result.value.offset
    }
    expect(await offsetAfter(5)).toBe(5)
    expect(await offsetAfter(1)).toBe(1)
    expect(await offsetAfter('earliest')).toBe(0)
    expect(await offsetAfter({ timestamp })).toBe(3)
    expect(await offsetAfter({ last: 1 })).toBe(5)
    consumer.seek(tp(), 'latest')
    expect(consumer.position(tp())).toBe(6)
    expect(await stateOf(iterator.next())).toBe('pending')
  })

  it('refuses to seek outside the log, at once, and stays where it was', async () => {
    const { log, topic } = await groupLog(kind, { records: 5 })
    await topic.partition(0).deleteRecords(2)
    const consumer = await log.consumerGroup('g', TOPICS).join()
    for (const offset of [1, 6]) {
      expect(refusal(() => consumer.seek(tp(), offset))).toMatchObject({
        code: 'OFFSET_OUT_OF_RANGE',
        details: { ...tp(), offset, logStartOffset: 2, logEndOffset: 5 },
      })
    }
    expect(offsetsOf(await consumer.poll())).toEqual([2, 3, 4])
  })

  it('commits the place it was moved to, once nothing before is in hand', async () => {
    const { log } = await groupLog(kind, { records: 5 })
    const group = log.consumerGroup('g', TOPICS)
    const consumer = await group.join()
    consumer.seek(tp(), 3)
    await consumer.leave()
    expect(committedIn(log)).toBe(3)
    const again = await group.join()
    const { iterator } = await take(again, 1)
    again.seek(tp(), 1)
    await again.leave()
    expect(committedIn(log)).toBe(3)
    expect(await iterator.next()).toEqual(DONE)
  })

  it('hands out nothing of a paused partition until it is resumed', async () => {
    const { log, topic } = await groupLog(kind, { partitions: 2, records: 3 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    consumer.pause([tp(0)])
    expect(places(await consumer.poll())).toEqual(['1:0', '1:1', '1:2'])
    consumer.pause()
    fill(topic.partition(1), 1, 3)
    const next = consumer.poll()
    expect(await stateOf(next)).toBe('pending')
    consumer.resume([tp(0)])
    expect(places(await next)).toEqual(['0:0', '0:1', '0:2'])
    consumer.resume()
    expect(places(await consumer.poll())).toEqual(['1:3'])
  })

  it('pauses what it is in the middle of, without losing its place', async () => {
    const { log } = await groupLog(kind, { partitions: 2, records: 3 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const { records, iterator } = await take(consumer, 1)
    const [first] = records
    consumer.pause([tp(first?.partition)])
    const others: number[] = []
    for (let count = 0; count < 3; count++) {
      const result = await iterator.next()
      if (result.done !== true) others.push(result.value.partition)
    }
    expect(new Set(others).size).toBe(1)
    expect(others).not.toContain(first?.partition)
    consumer.resume()
    expect(await iterator.next()).toMatchObject({
      value: { partition: first?.partition, offset: 1 },
    })
  })

  it('starts where its policy says where nothing was committed', async () => {
    const { log, topic } = await groupLog(kind, { records: 3 })
    const from = async (id: string, autoOffsetReset: 'earliest' | 'latest'): Promise<number> => {
      const consumer = await log.consumerGroup(id, { ...TOPICS, autoOffsetReset }).join()
      return consumer.position(tp())
    }
    expect(await from('a', 'earliest')).toBe(0)
    expect(await from('b', 'latest')).toBe(3)
    const none = await log.consumerGroup('c', { ...TOPICS, autoOffsetReset: 'none' }).join()
    expect((await rejection(none.ready())).code).toBe('NO_OFFSET')
    expect((await rejection(none.poll())).code).toBe('NO_OFFSET')
    expect(refusal(() => none.position(tp())).code).toBe('NO_OFFSET')
    none.seek(tp(), 1)
    expect(offsetsOf(await none.poll())).toEqual([1, 2])
    fill(topic.partition(0), 1, 3)
  })

  it('passes over nothing that came while a group that starts at the latest was away', async () => {
    const { log, topic } = await groupLog(kind, { records: 3 })
    const group = log.consumerGroup('g', { ...TOPICS, autoOffsetReset: 'latest' })
    const consumer = await group.join()
    const poll = consumer[Symbol.asyncIterator]()
    const next = poll.next()
    fill(topic.partition(0), 1, 3)
    expect(await next).toMatchObject({ value: { offset: 3 } })
    await poll.return?.()
    fill(topic.partition(0), 1, 4)
    const again = await group.join()
    expect(offsetsOf(await again.poll())).toEqual([3, 4])
  })

  it('follows its policy, with a warning, where its offset is gone', async () => {
    const { log, topic, warnings } = await groupLog(kind, { records: 5 })
    const group = log.consumerGroup('g', TOPICS)
    const consumer = await group.join()
    await consumer.poll({ max: 1 })
    await topic.partition(0).deleteRecords(3)
    expect(offsetsOf(await consumer.poll())).toEqual([3, 4])
    expect(warnings).toMatchObject([
      { code: 'OFFSET_RESET', details: { group: 'g', ...tp(), from: 1, to: 3 } },
    ])
    await consumer.leave()
    const strict = log.consumerGroup('s', { ...TOPICS, autoOffsetReset: 'none' })
    await strict.resetOffsets({ offsets: [{ ...tp(), offset: 3 }] })
    await topic.partition(0).deleteRecords(4)
    const none = await strict.join()
    expect((await rejection(none.poll())).code).toBe('NO_OFFSET')
    none.seek(tp(), 'earliest')
    expect(offsetsOf(await none.poll())).toEqual([4])
  })

  it('commits the place it has in every partition, wherever it came from', async () => {
    const { log } = await groupLog(kind, { partitions: 3, records: 2 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    consumer.pause([tp(1), tp(2)])
    await consumer.poll({ max: 1 })
    consumer.seek(tp(2), 2)
    await consumer.commit()
    expect(consumer.committed().map(({ offset }) => offset)).toEqual([1, 0, 2])
    await consumer.commit([{ ...tp(0), offset: 0 }])
    await consumer.commit()
    expect(committedIn(log)).toBe(1)
  })

  it('keeps what it committed though it went back before and came there again', async () => {
    const { log } = await groupLog(kind, { records: 2 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    consumer.seek(tp(), 1)
    await consumer.poll()
    await consumer.commit()
    await consumer[Symbol.asyncDispose]()
    expect(committedIn(log)).toBe(2)
  })

  it('goes on from an older offset that was committed, once the next record is asked for', async () => {
    const { log } = await groupLog(kind, { records: 2 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const { iterator } = await take(consumer, 1)
    await consumer.commit()
    await consumer.commit([{ ...tp(), offset: 0 }])
    expect(committedIn(log)).toBe(0)
    await iterator.next()
    await iterator.return?.()
    expect(committedIn(log)).toBe(1)
  })
})
