/**
 * `run` and `runBatches` over real groups, on disk, in memory and on a simulated disk: who handles
 * what, what is committed, what a member that comes or goes changes, and how it all ends.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { serdes } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import type { Running } from '../../../src/client/group-types.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { LOG_KINDS, closeWhenDone, texts } from '../open-log.ts'
import { rejection } from '../refusal.ts'
import { committedIn, fill, groupLog, settle } from './group-log.ts'
import { HeldHandler } from './run-fixture.ts'

const TOPICS = { topics: ['t'] } as const

/** Lets handlers run that wait for nothing but turns and memory. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await settle()
}

/** Ends a run with its test. */
function stopWhenDone(running: Running): Running {
  onTestFinished(() => running.stop({ timeoutMs: 0 }))
  return running
}

describe.each(LOG_KINDS)('a run over a log on %s', (kind) => {
  it('handles every record once, by all its members together', async () => {
    const { log, topic } = await groupLog(kind, { partitions: 6, records: 20 })
    const group = log.consumerGroup('g', TOPICS)
    const seen: string[] = []
    const members = new Set<string>()
    const running = stopWhenDone(
      group.run(
        async ({ partition, offset }, { memberId }) => {
          await Promise.resolve()
          seen.push(`${partition}:${offset}`)
          members.add(memberId)
        },
        { members: 3 },
      ),
    )
    await running.ready
    expect(group.describe()).toMatchObject({ state: 'Stable', members: [{}, {}, {}] })
    while (group.lag().total > 0) await settle()
    expect(new Set(seen).size).toBe(120)
    expect(seen).toHaveLength(120)
    expect(members.size).toBe(3)
    fill(topic.partition(5), 1, 20)
    while (seen.length < 121) await settle()
    await running.stop()
    expect(group.lag().total).toBe(0)
    expect(group.describe()).toMatchObject({ state: 'Empty', members: [] })
  })

  it('goes on where the last one was', async () => {
    const { log } = await groupLog(kind, { records: 3 })
    const first = new HeldHandler()
    const running = log.consumerGroup('g', TOPICS).run(first.handle)
    await running.ready
    await settled()
    await first.finish('v0')
    const stopped = running.stop()
    await first.finish('v1')
    await stopped
    expect(committedIn(log)).toBe(2)
    const again: string[] = []
    const next = stopWhenDone(
      log.consumerGroup('g', TOPICS).run((record) => void again.push(String(record.value))),
    )
    await next.ready
    await settled()
    expect(again).toEqual(['v2'])
  })

  it('hands batches over that are committed together, or by hand', async () => {
    const { log } = await groupLog(kind, { records: 5 })
    const sizes: number[] = []
    let committed: number | undefined
    const running = stopWhenDone(
      log.consumerGroup('g', TOPICS).runBatches(
        async (batch) => {
          expect(batch).toMatchObject({ topic: 't', partition: 0, highWatermark: 5 })
          sizes.push(batch.records.length)
          if (sizes.length > 1) return
          await batch.commit()
          committed = committedIn(log)
        },
        { max: 2 },
      ),
    )
    await running.ready
    await settled()
    expect(sizes).toEqual([2, 2, 1])
    expect(committed).toBe(2)
    expect(committedIn(log)).toBe(5)
  })

  it('waits for a batch to fill as long as it is told', async () => {
    const { log, topic, clock } = await groupLog(kind, { records: 1 })
    const sizes: number[] = []
    const running = stopWhenDone(
      log
        .consumerGroup('g', TOPICS)
        .runBatches(({ records }) => void sizes.push(records.length), { max: 3, waitMs: 50 }),
    )
    await running.ready
    await settled()
    expect(sizes).toEqual([])
    fill(topic.partition(0), 2, 1)
    await settled()
    expect(sizes).toEqual([3])
    fill(topic.partition(0), 1, 3)
    await settled()
    clock.advance(50)
    await settled()
    expect(sizes).toEqual([3, 1])
  })

  it('tries a batch again as a whole, and makes each of its records a dead letter', async () => {
    const { log, clock } = await groupLog(kind, { records: 2 })
    const attempts: number[] = []
    const running = stopWhenDone(
      log.consumerGroup('g', TOPICS).runBatches(
        (_, { attempt }) => {
          attempts.push(attempt)
          throw new Error('boom')
        },
        { retries: 1, backoffMs: 10, deadLetterTopic: 't.dlt' },
      ),
    )
    await running.ready
    await settled()
    clock.advance(10)
    while (committedIn(log) !== 2) await settle()
    expect(attempts).toEqual([1, 2])
    const dead = [...log.topic('t.dlt').partition(0).records()]
    expect(texts(dead)).toEqual(['v0', 'v1'])
    expect(dead[1]?.headers.text('streambed.dlt.attempts')).toBe('2')
  })

  it('fails with the error of its handler as cause, and nothing past it is committed', async () => {
    const { log } = await groupLog(kind, { records: 4 })
    const boom = new Error('boom')
    const group = log.consumerGroup('g', TOPICS)
    const running = group.run(({ offset }) => {
      if (offset === 2) throw boom
    })
    const error = await rejection(running.done)
    expect(error.cause).toBe(boom)
    expect(committedIn(log)).toBe(2)
    expect(group.describe().state).toBe('Empty')
  })

  it('gives half of its partitions to a member that joins, and takes them back when it leaves', async () => {
    const { log, topic } = await groupLog(kind, { partitions: 2 })
    const group = log.consumerGroup('g', TOPICS)
    const handler = new HeldHandler()
    const running = stopWhenDone(group.run(handler.handle, { concurrency: 2 }))
    await running.ready
    for (const partition of topic.partitions) fill(partition, 2, 10 * (partition.index + 1))
    await settled()
    expect(handler.held).toEqual(['v10', 'v20'])
    const joining = group.join()
    await settled()
    // Both partitions are in the hands of handlers: one of them moves when its handler is done.
    await handler.finish('v10', 'v20')
    const consumer = await joining
    await consumer.ready()
    const [moved] = consumer.assignment
    expect(consumer.assignment).toHaveLength(1)
    expect(committedIn(log, 'g', moved?.partition)).toBe(1)
    expect(handler.called).toHaveLength(3)
    const records = await consumer.poll()
    expect(records.map(({ offset }) => offset)).toEqual([1])
    await consumer.leave()
    await handler.finish(...handler.held)
    await settled()
    expect(group.lag().total).toBe(0)
  })

  it('begins a partition anew for another member where a record waits for its next attempt', async () => {
    const { log } = await groupLog(kind, { records: 1 })
    const group = log.consumerGroup('g', TOPICS)
    const running = group.run(() => Promise.reject(new Error('boom')), { retries: Infinity })
    await running.ready
    await settled()
    await running.stop()
    await running.done
    const consumer = await group.join()
    expect((await consumer.poll()).map(({ offset }) => offset)).toEqual([0])
  })

  it('writes dead letters of typed topics with their bytes', async () => {
    const { log } = await groupLog(kind)
    const Typed = defineTopic('typed', { key: serdes.string, value: serdes.json<{ n: number }>() })
    const typed = await log.createTopic(Typed, { partitions: 2 })
    await typed.send({ key: 'k', value: { n: 1 } })
    const seen: number[] = []
    const running = stopWhenDone(
      log.consumerGroup('g', { topics: [Typed] }).run(
        ({ value }) => {
          seen.push(value.n)
          throw new Error('boom')
        },
        { deadLetterTopic: 'typed.dlt' },
      ),
    )
    await running.ready
    while (log.consumerGroup('g').lag().total > 0) await settle()
    expect(seen).toEqual([1])
    const dead = log.topic('typed.dlt')
    expect(dead.partitions).toHaveLength(2)
    const [letter] = [...dead.partition(typed.partitionFor('k').index).records()]
    expect(String(letter?.value)).toBe('{"n":1}')
    expect(letter?.headers.text('streambed.dlt.topic')).toBe('typed')
  })
})

describe.each(LOG_KINDS)('closing a log on %s under a run', (kind) => {
  it('waits for its handlers, which may still send, and commits what they finished', async () => {
    const { log, topic } = await groupLog(kind, { records: 2 })
    await log.createTopic('out')
    const handler = new HeldHandler()
    const sent: unknown[] = []
    const running = log.consumerGroup('g', TOPICS).run(async (record, ctx) => {
      await handler.handle(record, ctx)
      sent.push(await log.topic('out').send({ value: record.value }))
    })
    await running.ready
    await settled()
    expect(handler.held).toEqual(['v0'])
    const closed = log.close()
    await settled()
    await handler.finish('v0')
    await closed
    await running.done
    expect(sent).toMatchObject([{ topic: 'out', offset: 0 }])
    expect(handler.called).toEqual(['v0'])
    expect(topic.partition(0).logEndOffset).toBe(2)
  })

  it('abandons handlers that are not done in time', async () => {
    const { log, clock } = await groupLog(kind, { records: 1 })
    const handler = new HeldHandler()
    const running = log.consumerGroup('g', TOPICS).run(handler.handle)
    await running.ready
    await settled()
    const { signal } = handler.context('v0')
    const closed = log.close({ timeoutMs: 100 })
    await settled()
    expect(signal.aborted).toBe(false)
    clock.advance(100)
    await closed
    expect(signal.aborted).toBe(true)
    await running.done
  })

  it('refuses a run that begins afterwards', async () => {
    const { log } = await groupLog(kind)
    const group = log.consumerGroup('g', TOPICS)
    await log.close()
    expect(() => group.run(() => undefined)).toThrow('closed')
  })
})

describe('a run over a disk that loses its power', () => {
  it('handles again what was not committed, and skips nothing', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    closeWhenDone(log)
    const topic = await log.createTopic('t')
    for (let n = 0; n < 4; n += 1) await topic.send({ value: `v${n}` })
    const handler = new HeldHandler()
    const running = log.consumerGroup('g', TOPICS).run(handler.handle)
    await running.ready
    await settled()
    await handler.finish('v0', 'v1')
    await disk.crash()
    void running.stop({ timeoutMs: 0 }) // As nobody could in a process that is dead.
    const reopened = await disk.open()
    closeWhenDone(reopened)
    const seen: string[] = []
    const again = stopWhenDone(
      reopened.consumerGroup('g', TOPICS).run((record) => void seen.push(String(record.value))),
    )
    await again.ready
    while (reopened.consumerGroup('g').lag().total > 0) await settle()
    expect(seen.slice(-2)).toEqual(['v2', 'v3'])
    expect(['v0', 'v1', 'v2']).toContain(seen[0])
  })

  it('finds what handlers finished while the log was closing', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    const topic = await log.createTopic('t')
    for (let n = 0; n < 2; n += 1) await topic.send({ value: `v${n}` })
    const handler = new HeldHandler()
    const running = log.consumerGroup('g', TOPICS).run(handler.handle)
    await running.ready
    await settled()
    const closed = log.close()
    await handler.finish('v0')
    await closed
    const reopened = await disk.open()
    closeWhenDone(reopened)
    expect(committedIn(reopened)).toBe(1)
  })
})
