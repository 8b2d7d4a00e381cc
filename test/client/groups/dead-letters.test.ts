/**
 * What becomes of a record that cannot be handled: a letter in a topic of its own, durable before
 * the record counts as handled.
 */
import { describe, expect, it } from 'vitest'
import { serdes } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import type { Topic } from '../../../src/client/topic.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { refusal, rejection } from '../refusal.ts'
import { RunFixture, settle } from './run-fixture.ts'

const fails = (): never => {
  throw new TypeError('boom')
}

/** All letters as text, with their headers. */
function letters(topic: Topic): readonly unknown[] {
  return topic.partitions.flatMap((partition) =>
    [...partition.records()].map(({ key, value, headers }) => ({
      partition: partition.index,
      key: key === null ? null : String(key),
      value: value === null ? null : String(value),
      headers: Object.fromEntries(Array.from(headers, ([name, bytes]) => [name, String(bytes)])),
    })),
  )
}

describe('a dead letter', () => {
  it('has the bytes of its record, and says in headers where it is from and why', async () => {
    const group = await RunFixture.open(3)
    const running = group.run(fails, { deadLetterTopic: 'orders.dlt' })
    await running.ready
    group.topic
      .partition(2)
      .append([{ key: 'k', value: 'v', headers: { trace: 't-1' }, timestamp: 77 }, { value: null }])
    group.feed.wake()
    await settle()
    expect(group.feed.committed).toEqual([0, 0, 2])
    const dead = group.log.topic('orders.dlt')
    expect(dead.partitions).toHaveLength(3)
    expect(letters(dead)).toMatchObject([
      {
        partition: 2,
        key: 'k',
        value: 'v',
        headers: {
          trace: 't-1',
          'streambed.dlt.topic': 'orders',
          'streambed.dlt.partition': '2',
          'streambed.dlt.offset': '0',
          'streambed.dlt.error': 'TypeError: boom',
          'streambed.dlt.attempts': '1',
          'streambed.dlt.timestamp': '77',
        },
      },
      { partition: 2, key: null, value: null, headers: { 'streambed.dlt.offset': '1' } },
    ])
  })

  it('is written after the last attempt, and the run goes on', async () => {
    const group = await RunFixture.open(1)
    let calls = 0
    const running = group.run(
      (record) => {
        calls += 1
        if (String(record.value) === 'bad') throw new Error('boom')
      },
      { deadLetterTopic: 'dead', retries: 2, backoffMs: 0 },
    )
    await running.ready
    group.append(0, 'bad', 'good')
    for (let turn = 0; turn < 3; turn += 1) {
      await settle()
      group.clock.advance(0)
    }
    await settle()
    expect(calls).toBe(4)
    expect(group.feed.committed).toEqual([2])
    expect(letters(group.log.topic('dead'))).toMatchObject([
      { value: 'bad', headers: { 'streambed.dlt.attempts': '3', 'streambed.dlt.error': 'boom' } },
    ])
  })

  it('counts only when it is durable: until then its record is not handled', async () => {
    const group = await RunFixture.open(1)
    let write = (): void => undefined
    const waiting = new Promise<void>((resolve) => {
      write = resolve
    })
    const sendAll = async (): Promise<void> => waiting
    Object.defineProperty(group, 'producer', { value: { sendAll } })
    group.run(fails, { deadLetterTopic: 'dead' })
    group.append(0, 'a')
    await settle()
    expect(group.feed.committed).toEqual([0])
    write()
    await settle()
    expect(group.feed.committed).toEqual([1])
  })

  it('that cannot be written ends the run with that error, and nothing is committed', async () => {
    const group = await RunFixture.open(1)
    const full = new LogError('NO_SPACE', 'the disk is full', {})
    Object.defineProperty(group, 'producer', { value: { sendAll: () => Promise.reject(full) } })
    const running = group.run(fails, { deadLetterTopic: 'dead' })
    group.append(0, 'a')
    expect(await rejection(running.done)).toBe(full)
    expect(group.feed.committed).toEqual([0])
  })

  it('of the largest record there may be fits into the topic that the run made', async () => {
    const group = await RunFixture.open(1)
    const running = group.run(fails, { deadLetterTopic: 'dead' })
    await running.ready
    const value = Buffer.alloc(group.topic.config.maxMessageBytes - 100)
    group.topic.partition(0).append([{ value }])
    group.feed.wake()
    await settle()
    expect(group.feed.committed).toEqual([1])
    expect([...group.log.topic('dead').partition(0).records()][0]?.value?.length).toBe(value.length)
  })
})

describe('the topic of dead letters', () => {
  it('is made as its definition says', async () => {
    const Dead = defineTopic('dead', { value: serdes.json(), partitions: 2 })
    const group = await RunFixture.open(5)
    await group.run(fails, { deadLetterTopic: Dead }).ready
    expect(group.log.topic('dead').partitions).toHaveLength(2)
  })

  it('is taken as it is where there is one, and gets by key what it has no partition for', async () => {
    const group = await RunFixture.open(5)
    const dead = await group.log.createTopic('dead', { partitions: 2 })
    await group.run(fails, { deadLetterTopic: 'dead' }).ready
    group.append(4, 'k=v')
    await settle()
    expect(group.feed.committed).toEqual([0, 0, 0, 0, 1])
    expect(letters(dead)).toMatchObject([{ partition: dead.partitionFor('k').index, value: 'v' }])
  })

  it('is none of those that the group itself handles', async () => {
    const group = await RunFixture.open(1)
    const { details } = refusal(() => group.run(fails, { deadLetterTopic: 'orders' }))
    expect(details).toMatchObject({ option: 'deadLetterTopic', group: 'g' })
    const patterned = group.log.consumerGroup('h', { topics: /^orders/ })
    expect(refusal(() => patterned.run(fails, { deadLetterTopic: 'orders.dlt' })).code).toBe(
      'INVALID_ARGUMENT',
    )
  })

  it('may be made by somebody else meanwhile', async () => {
    const group = await RunFixture.open(1)
    await Promise.all([
      group.run(fails, { deadLetterTopic: 'dead' }).ready,
      group.run(fails, { deadLetterTopic: 'dead' }).ready,
    ])
    expect(group.log.topic('dead')).toBeDefined()
  })
})
