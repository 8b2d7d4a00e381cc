/**
 * Asynchronous reads: where they start and end, how they wait, and what ends a wait.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rejection } from './refusal.ts'
import {
  READ_KINDS,
  nextOf,
  numbered,
  numbers,
  openLog,
  openTopic,
  textOf,
  texts,
  textsOf,
} from './open-log.ts'

const DONE = { done: true, value: undefined }

/** Lets everything that is due now happen. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What became of a promise so far. */
async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'settled'> {
  let state: 'pending' | 'settled' = 'pending'
  promise.then(
    () => (state = 'settled'),
    () => (state = 'settled'),
  )
  await settle()
  return state
}

describe.each(READ_KINDS)('a read of a log on %s', (kind) => {
  it('covers what was there at the call, although it is iterated later', async () => {
    const topic = await openTopic(kind)
    const partition = topic.partition(0)
    partition.append(numbered(3))
    const read = partition.read()
    const fromLatest = partition.read({ from: 'latest', live: true })
    const last = topic.read({ from: { last: 1 } })
    partition.append(numbered(2, 3))
    expect(await textsOf(read)).toEqual(numbers(3))
    expect(await textsOf(last)).toEqual(['v2'])
    const next = await nextOf(fromLatest)
    expect(next && textOf(next)).toBe('v3')
    await fromLatest.return?.()
  })

  it('rejects at the first next where its start is outside the log, and is over', async () => {
    const topic = await openTopic(kind)
    const partition = topic.partition(0)
    partition.append(numbered(3))
    const read = partition.read({ from: 4 })
    const { code, details } = await rejection(read.next())
    expect(code).toBe('OFFSET_OUT_OF_RANGE')
    expect(details).toEqual({
      topic: 't',
      partition: 0,
      offset: 4,
      logStartOffset: 0,
      logEndOffset: 3,
    })
    expect(await read.next()).toEqual(DONE)
    await partition.deleteRecords(2)
    expect((await rejection(topic.read({ from: 1 }).next())).code).toBe('OFFSET_OUT_OF_RANGE')
  })

  it('is empty where it starts at or behind its end', async () => {
    const partition = (await openTopic(kind)).partition(0)
    partition.append(numbered(3))
    expect(await textsOf(partition.read({ from: 3 }))).toEqual([])
    expect(await textsOf(partition.read({ from: 2, to: 1 }))).toEqual([])
    expect(await textsOf(partition.read({ from: 2, to: 2, live: true }))).toEqual([])
    expect(await textsOf(partition.read({ to: 99 }))).toEqual(numbers(3))
  })

  it('ends a live read at its end, without waiting for the record there', async () => {
    const partition = (await openTopic(kind)).partition(0)
    partition.append(numbered(1))
    const read = partition.read({ to: 2, live: true })
    expect((await read.next()).done).toBe(false)
    const second = nextOf(read)
    expect(await stateOf(second)).toBe('pending')
    partition.append(numbered(3))
    expect((await second)?.offset).toBe(1)
    expect(await read.next()).toEqual(DONE)
  })

  it('ends a live read at the first record of a time, now or later', async () => {
    const partition = (await openTopic(kind)).partition(0)
    for (const timestamp of [10, 20, 30]) partition.append({ value: `${timestamp}`, timestamp })
    const known = partition.read({ to: { timestamp: 30 }, live: true })
    expect(await textsOf(known)).toEqual(['10', '20'])
    const later = partition.read({ to: { timestamp: new Date(35) }, live: true })
    const read = textsOf(later)
    await settle()
    partition.append({ value: '34', timestamp: 34 })
    await settle()
    partition.append([
      { value: '33', timestamp: 33 },
      { value: '35', timestamp: 35 },
      { value: '1', timestamp: 1 },
    ])
    expect(await read).toEqual(['10', '20', '30', '34', '33'])
  })

  it('makes up a whole of its parts, whatever the order of the times', async () => {
    const partition = (await openTopic(kind)).partition(0)
    const times = [10, 50, 20, 60, 30]
    for (const timestamp of times) partition.append({ value: `${timestamp}`, timestamp })
    const to = { timestamp: 40 }
    expect(await textsOf(partition.read({ to }))).toEqual(['10'])
    expect(await textsOf(partition.read({ from: 2, to }))).toEqual([])
    expect(texts(partition.records({ from: { timestamp: 40 } }))).toEqual(['50', '20', '60', '30'])
    expect(await textsOf(partition.read({ from: { timestamp: 61 } }))).toEqual([])
  })

  it('answers several calls that wait in order, each with one record', async () => {
    const partition = (await openTopic(kind)).partition(0)
    const read = partition.read({ live: true })
    const answers = Promise.all([1, 2, 3, 4, 5].map(() => nextOf(read)))
    await settle()
    partition.append(numbered(2))
    await settle()
    partition.append(numbered(3, 2))
    expect((await answers).map((record) => record?.offset)).toEqual([0, 1, 2, 3, 4])
    await read.return?.()
  })

  it('ends every call that waits at return, throw, break and dispose', async () => {
    const partition = (await openTopic(kind)).partition(0)
    const endings = [
      (read: ReturnType<typeof partition.read>) => read.return?.(),
      (read: ReturnType<typeof partition.read>) => read.throw?.(new Error('mine')).catch(() => {}),
      (read: ReturnType<typeof partition.read>) => read[Symbol.asyncDispose](),
    ]
    for (const end of endings) {
      const read = partition.read({ live: true })
      const waiting = [read.next(), read.next()]
      await settle()
      await end(read)
      expect(await Promise.all(waiting)).toEqual([DONE, DONE])
      expect(await read.next()).toEqual(DONE)
    }
    partition.append(numbered(1))
    for await (const record of partition.read({ live: true })) {
      expect(textOf(record)).toBe('v0')
      break
    }
  })

  it('rejects one call when its signal aborts, before, while it waits and between', async () => {
    const partition = (await openTopic(kind)).partition(0)
    partition.append(numbered(2))
    const reason = new Error('enough')
    const before = partition.read({ signal: AbortSignal.abort(reason) })
    const refused = await rejection(before.next())
    expect(refused).toMatchObject({ code: 'ABORTED', name: 'AbortError', cause: reason })
    expect(await before.next()).toEqual(DONE)

    const controller = new AbortController()
    const during = partition.read({ from: 'latest', live: true, signal: controller.signal })
    const waiting = [during.next(), during.next()]
    await settle()
    controller.abort(reason)
    expect((await rejection(waiting[0])).cause).toBe(reason)
    expect(await waiting[1]).toEqual(DONE)

    const between = new AbortController()
    const read = partition.read({ signal: between.signal })
    expect((await read.next()).done).toBe(false)
    between.abort()
    expect((await rejection(read.next())).code).toBe('ABORTED')
    expect(await read.next()).toEqual(DONE)
  })

  it('throws when its topic is deleted under it, waiting or not', async () => {
    const log = await openLog(kind)
    const topic = await log.createTopic('t')
    topic.partition(0).append(numbered(1))
    const waits = topic.read({ from: 'latest', live: true })
    const waiting = [waits.next(), waits.next()]
    const reads = topic.read({ live: true })
    await reads.next()
    await settle()
    const thrown = rejection(waiting[0])
    await log.deleteTopic('t')
    expect((await thrown).code).toBe('TOPIC_NOT_FOUND')
    expect(await waiting[1]).toEqual(DONE)
    expect((await rejection(reads.next())).code).toBe('TOPIC_NOT_FOUND')
    expect((await rejection(topic.read().next())).code).toBe('TOPIC_NOT_FOUND')
  })

  it('ends when the log closes, although records are left', async () => {
    const log = await openLog(kind)
    const topic = await log.createTopic('t', { partitions: 2 })
    topic.partition(0).append(numbered(9))
    const waits = topic.partition(1).read({ live: true })
    const waiting = [waits.next(), waits.next()]
    const reads = topic.read()
    await reads.next()
    const unstarted = topic.read()
    const closing = log.close()
    expect(await Promise.all([...waiting, reads.next(), unstarted.next()])).toEqual([
      DONE,
      DONE,
      DONE,
      DONE,
    ])
    await closing
    expect((await rejection(topic.read().next())).code).toBe('CLOSED')
    expect((await rejection(topic.partition(0).read().next())).code).toBe('CLOSED')
  })

  it('gives each record once, in order, however appends and calls interleave', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append'), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('next'), count: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ kind: fc.constant('turn'), count: fc.integer({ min: 1, max: 2 }) }),
      fc.record({ kind: fc.constant('microtask'), count: fc.integer({ min: 1, max: 3 }) }),
    )
    const log = await openLog(kind)
    let topics = 0
    const property = fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const topic = await log.createTopic(`t${(topics += 1)}`)
      const partition = topic.partition(0)
      const read = topic.read({ live: true })
      const answers: Promise<{ readonly offset: number } | undefined>[] = []
      for (const { kind: what, count } of steps) {
        for (let at = 0; at < count; at += 1) {
          if (what === 'append') partition.append(numbered(1 + (at % 2)))
          else if (what === 'next') answers.push(nextOf(read))
          else if (what === 'turn') await settle()
          else await Promise.resolve()
        }
      }
      const missing = answers.length - partition.logEndOffset
      if (missing > 0) partition.append(numbered(missing))
      const offsets = (await Promise.all(answers)).map((record) => record?.offset)
      expect(offsets).toEqual(Array.from(answers, (_, offset) => offset))
      await read.return?.()
    })
    await fc.assert(property, { numRuns: kind === 'disk' ? 20 : 60 })
  })

  it('takes turns between partitions by batches, so that none starves', async () => {
    const topic = await openTopic(kind, { partitions: 3 })
    const value = Buffer.alloc(1_000)
    for (const partition of topic.partitions) {
      for (let batch = 0; batch < 30; batch += 1) {
        partition.append(Array.from({ length: 100 }, () => ({ value })))
      }
    }
    const seen = [0, 0, 0]
    let largestLead = 0
    for await (const { partition, offset } of topic.read()) {
      expect(offset).toBe(seen[partition])
      seen[partition] = offset + 1
      largestLead = Math.max(largestLead, Math.max(...seen) - Math.min(...seen))
    }
    expect(seen).toEqual([3_000, 3_000, 3_000])
    expect(largestLead).toBeLessThan(2_200) // one read of a megabyte, and a batch
  })

  it('reads the partitions named, each from where it was told', async () => {
    const topic = await openTopic(kind, { partitions: 3 })
    for (const partition of topic.partitions) partition.append(numbered(3))
    const seen: string[] = []
    const from = { offsets: [{ partition: 2, offset: 2 }] }
    for await (const record of topic.read({ from, partitions: [2, 1] })) {
      seen.push(`${record.partition}:${record.offset}`)
    }
    expect(seen.toSorted()).toEqual(['1:0', '1:1', '1:2', '2:2'])
    expect(await textsOf(topic.read({ from: 1, partitions: [0] }))).toEqual(['v1', 'v2'])
    expect(await textsOf(topic.read({ from: { last: 1 } }))).toEqual(['v2', 'v2', 'v2'])
    expect(await textsOf(topic.read({ partitions: [] }))).toEqual([])
  })

  it('sees partitions that were there at the call', async () => {
    const topic = await openTopic(kind)
    topic.partition(0).append(numbered(1))
    const read = topic.read()
    await topic.addPartitions(2)
    topic.partition(1).append(numbered(1, 7))
    expect(await textsOf(read)).toEqual(['v0'])
    expect((await textsOf(topic.read())).toSorted()).toEqual(['v0', 'v7'])
  })

  it('goes on at the start of the log where that passed a slow reader', async () => {
    const topic = await openTopic(kind, { segmentBytes: 65_536 })
    const partition = topic.partition(0)
    const value = 'x'.repeat(300)
    for (let at = 0; at < 1_500; at += 1) partition.append({ value })
    const read = partition.read({ live: true })
    expect((await nextOf(read))?.offset).toBe(0)
    await partition.deleteRecords(1_490)
    expect(partition.logStartOffset).toBe(1_490)
    const rest: number[] = []
    for await (const { offset } of read) {
      rest.push(offset)
      if (offset === 1_499) break
    }
    // What was at hand is given; then it jumps.
    expect(rest).toEqual(rest.toSorted((a, b) => a - b))
    expect(new Set(rest).size).toBe(rest.length)
    expect(rest.length).toBeLessThan(1_499)
    expect(rest.slice(-10)).toEqual(Array.from({ length: 10 }, (_, at) => 1_490 + at))
  })
})

describe('a durable read', () => {
  it('waits for the sync on disk', async () => {
    const partition = (await openTopic('disk')).partition(0)
    const read = partition.read({ live: true, visibility: 'durable' })
    const next = nextOf(read)
    partition.append(numbered(2))
    expect(await stateOf(next)).toBe('pending')
    expect(texts(partition.records({ visibility: 'durable' }))).toEqual([])
    expect(texts(partition.records())).toEqual(['v0', 'v1'])
    await partition.flush()
    expect((await next)?.offset).toBe(0)
    expect(texts(partition.records({ visibility: 'durable' }))).toEqual(['v0', 'v1'])
    await read.return?.()
  })

  it('waits for nothing in memory', async () => {
    const partition = (await openTopic('memory')).partition(0)
    partition.append(numbered(2))
    expect(partition.durableOffset).toBe(2)
    expect(await textsOf(partition.read({ visibility: 'durable' }))).toEqual(numbers(2))
  })
})
