/**
 * Consumers over data that is cold, damaged or not durable yet.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { Clock } from '../../../src/log/clock.ts'
import { systemClock } from '../../../src/log/clock.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { rejection } from '../refusal.ts'
import { closeWhenDone, LOG_KINDS, numbered, openLog } from '../open-log.ts'
import { fill, groupLog, offsetsOf, places, settle, stateOf, take, tp } from './group-log.ts'

const TOPICS = { topics: ['t'] } as const

/** By this clock every read takes so long: by default none is from memory. */
function slowClock(readMs = 2): Clock {
  let nowMs = 0
  return { ...systemClock, monotonicNow: () => (nowMs += readMs) }
}

/** A log whose topic has three batches of a record each, the second of them damaged. */
async function damagedLog(): Promise<EventLog> {
  const disk = new FaultDisk()
  const whole = await disk.open()
  const topic = await whole.createTopic('t')
  fill(topic.partition(0), 3)
  await whole.close()
  const path = 't-0/00000000000000000000.log'
  const sizeBytes = disk.readFile(path)?.length ?? 0
  disk.flipBit({ path, position: (sizeBytes / 3) * 2 - 2, bit: 1 })
  disk.evict()
  const log = await disk.open({ onWarning: () => undefined })
  closeWhenDone(log)
  return log
}

describe.each(LOG_KINDS)('a consumer of cold data on %s', (kind) => {
  it('reads it off the event loop, each record once and in order', async () => {
    const log = await openLog(kind, { clock: slowClock() })
    const topic = await log.createTopic('t', { partitions: 3 })
    for (const partition of topic.partitions) fill(partition, 30)
    const group = log.consumerGroup('g', TOPICS)
    const looping = await group.join()
    const { records } = await take(looping, 45)
    await looping.leave()
    const polling = await group.join()
    const rest: string[] = []
    while (rest.length < 46) rest.push(...places(await polling.poll({ max: 7, timeoutMs: 0 })))
    const seen = [...places(records.slice(0, 44)), ...rest]
    expect(new Set(seen).size).toBe(90)
    expect(seen).toHaveLength(90)
    for (const { index } of topic.partitions) {
      const own = seen.filter((place) => place.startsWith(`${index}:`))
      expect(own).toEqual(Array.from({ length: 30 }, (_, offset) => `${index}:${offset}`))
    }
    const next = polling.poll()
    expect(await stateOf(next)).toBe('pending')
    fill(topic.partition(1), 1, 30)
    expect(places(await next)).toEqual(['1:30'])
  })

  it('goes on where it was moved to while a read was under way', async () => {
    const log = await openLog(kind, { clock: slowClock() })
    const topic = await log.createTopic('t')
    fill(topic.partition(0), 5)
    const consumer = await log.consumerGroup('g', TOPICS).join()
    expect(offsetsOf(await consumer.poll({ max: 1 }))).toEqual([0])
    consumer.seek(tp(), 3)
    const poll = consumer.poll()
    consumer.seek(tp(), 4)
    expect(offsetsOf(await poll)).toEqual([4])
  })
})

describe('a consumer', () => {
  it('sees what is durable, where it was told to see no more', async () => {
    const log = await openLog('a simulated disk')
    const topic = await log.createTopic('t')
    const consumer = await log.consumerGroup('g', { ...TOPICS, visibility: 'durable' }).join()
    topic.partition(0).append(numbered(2))
    const poll = consumer.poll()
    expect(await stateOf(poll)).toBe('pending')
    await log.flush()
    expect(offsetsOf(await poll)).toEqual([0, 1])
  })

  it('stops at damage each time it asks, and goes on behind it where it seeks or skips', async () => {
    const log = await damagedLog()
    const polling = await log.consumerGroup('g', TOPICS).join()
    expect(offsetsOf(await polling.poll())).toEqual([0])
    expect((await rejection(polling.poll())).code).toBe('CORRUPT')
    expect((await rejection(polling.poll())).code).toBe('CORRUPT')
    expect(polling.position(tp())).toBe(1)
    polling.seek(tp(), 2)
    expect(offsetsOf(await polling.poll())).toEqual([2])
    const looping = await log.consumerGroup('h', TOPICS).join()
    const { iterator } = await take(looping, 1)
    expect((await rejection(iterator.next())).code).toBe('CORRUPT')
    expect(log.consumerGroup('h').describe().members).toEqual([])
    const skipping = await log.consumerGroup('i', { ...TOPICS, onCorrupt: 'skip' }).join()
    // A slow disk may be waited for between the two.
    const seen = [...offsetsOf(await skipping.poll())]
    if (seen.length === 1) seen.push(...offsetsOf(await skipping.poll()))
    expect(seen).toEqual([0, 2])
  })

  it('reads what is cold also beside a partition that always has something in memory', async () => {
    let nowMs = 0
    let readMs = 2
    const clock = { ...systemClock, monotonicNow: () => (nowMs += readMs) }
    const log = await openLog('a simulated disk', { clock })
    const [cold, busy] = (await log.createTopic('t', { partitions: 2 })).partitions
    for (let count = 0; count < 10; count++) cold?.append([{ value: 'x'.repeat(300_000) }])
    const consumer = await log.consumerGroup('g', TOPICS).join()
    expect(places(await consumer.poll({ max: 1 }))).toEqual(['0:0'])
    readMs = 0
    const seen: string[] = []
    for (let count = 0; count < 100; count++) {
      busy?.append(numbered(2))
      seen.push(...places(await consumer.poll({ max: 2 })))
      await settle()
    }
    expect(seen.filter((place) => place.startsWith('0:'))).toHaveLength(9)
  })

  it('hands over what it gathered in front of damage, then stops at it', async () => {
    const consumer = await (await damagedLog()).consumerGroup('g', TOPICS).join()
    const seen: number[] = []
    const looping = (async () => {
      for await (const { records } of consumer.batches({ max: 10, waitMs: 5 })) {
        seen.push(...offsetsOf(records))
      }
    })()
    expect((await rejection(looping)).code).toBe('CORRUPT')
    expect(seen).toEqual([0])
  })

  it('bounds a poll by maxBytes, but hands over a record that is larger alone', async () => {
    const { log, topic } = await groupLog('memory')
    for (let count = 0; count < 4; count++) topic.partition(0).append([{ value: 'x'.repeat(400) }])
    const consumer = await log.consumerGroup('g', { ...TOPICS, maxBytes: 700 }).join()
    expect(offsetsOf(await consumer.poll())).toEqual([0, 1])
    expect(offsetsOf(await consumer.poll())).toEqual([2, 3])
    const small = await log.consumerGroup('h', { ...TOPICS, maxBytes: 10 }).join()
    expect(offsetsOf(await small.poll())).toEqual([0])
  })

  it('gives the event loop back while it has more, and its loop waits for nothing', async () => {
    const log = await openLog('memory', { clock: slowClock(0.5) })
    fill((await log.createTopic('t')).partition(0), 2_000)
    const consumer = await log.consumerGroup('g', TOPICS).join()
    let seen = 0
    let seenByOthers = -1
    setImmediate(() => (seenByOthers = seen))
    for await (const _ of consumer) {
      seen += 1
      if (seen === 2_000) break
    }
    expect(seenByOthers).toBeGreaterThan(-1)
    expect(seenByOthers).toBeLessThan(2_000)
  })
})
