/**
 * What writing costs, counted instead of timed: calls of the driver a batch, flushes a group of
 * sends, and promises, timers, readings of the clock and questions about the topic a record.
 * Whoever makes one of them more expensive fails here, on any machine.
 */
import { createHook } from 'node:async_hooks'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import { Producer } from '../../src/client/producer.ts'
import { nextTurn, systemClock } from '../../src/log/clock.ts'
import type { DiskCall } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { ProducerLog } from './producer-log.ts'

const SENDERS = 256
const VALUE = 'v'.repeat(100)

/** A log whose driver calls and questions about topics are noted. */
class CountedLog {
  readonly log: ProducerLog
  readonly calls: string[] = []
  topicQuestions = 0

  constructor(driver: FaultDriver = new FaultDriver(), holdsProcess: boolean = true) {
    driver.onCall = ({ action, path }: DiskCall) => {
      this.calls.push(`${action} ${path.endsWith('.log') ? '.log' : path}`)
      return undefined
    }
    this.log = new ProducerLog(driver, holdsProcess)
    const ask = this.log.producerTopic.bind(this.log)
    this.log.producerTopic = (ref) => {
      this.topicQuestions += 1
      return ask(ref)
    }
  }

  /** The calls since the last time. */
  taken(): readonly string[] {
    return this.calls.splice(0)
  }
}

/** A topic that has been written to: its files are there, with room for more. */
async function warmLog(acks: 1 | 'all' = 'all'): Promise<CountedLog> {
  const counted = new CountedLog()
  const { log } = counted
  log.topic('t')
  const producer = log.producer({ acks })
  for (let sent = 0; sent < 3; sent += 1) await producer.send({ topic: 't', value: VALUE })
  await producer.close()
  counted.taken()
  counted.topicQuestions = 0
  return counted
}

/** Counts what Node makes of each type while `work` runs. */
async function countOf(work: () => Promise<unknown>): Promise<(type: string) => number> {
  const counts = new Map<string, number>()
  const hook = createHook({
    init: (_id, type) => void counts.set(type, (counts.get(type) ?? 0) + 1),
  }).enable()
  try {
    await work()
  } finally {
    hook.disable()
  }
  return (type) => counts.get(type) ?? 0
}

async function sendAtOnce(producer: Producer, count: number): Promise<void> {
  const sent = Array.from({ length: count }, () => producer.send({ topic: 't', value: VALUE }))
  await Promise.all(sent)
}

describe('writing costs', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it('one write and one flush for all sends of a turn', async () => {
    const counted = await warmLog()
    const { log } = counted
    await sendAtOnce(log.producer(), SENDERS)
    expect(counted.taken()).toEqual(['write .log', 'flush .log'])
  })

  it('one flush more for all that was sent while the first was under way', async () => {
    const counted = await warmLog()
    const { log } = counted
    const producer = log.producer()
    const { driver } = log
    if (!(driver instanceof FaultDriver)) throw new Error('a log over a fault driver')
    let release = (): void => undefined
    driver.flushWait = () => new Promise<void>((resolve) => void (release = resolve))
    const first = sendAtOnce(producer, 1)
    await nextTurn()
    const later = []
    for (let turn = 0; turn < 5; turn += 1) {
      later.push(sendAtOnce(producer, 10))
      await nextTurn()
    }
    driver.flushWait = undefined
    release()
    await Promise.all([first, ...later])
    const calls = counted.taken()
    expect(calls.filter((call) => call === 'flush .log')).toHaveLength(2)
    expect(calls.filter((call) => call === 'write .log')).toHaveLength(6)
  })

  it('one write a batch, and nothing else, for what is enqueued', async () => {
    const counted = await warmLog(1)
    const { log } = counted
    const producer = log.producer({ acks: 1, batchBytes: 4_096 })
    for (let record = 0; record < 1_000; record += 1) {
      producer.enqueue({ topic: 't', value: VALUE })
    }
    await producer.flush()
    const calls = counted.taken()
    const batches = log.topic('t').batches().slice(3) // Three are of the log's warm-up.
    expect(batches.length).toBeLessThan(30)
    expect(calls.filter((call) => call === 'write .log')).toHaveLength(batches.length)
    // The file grows by as much as it holds.
    expect(calls.filter((call) => call !== 'write .log')).toEqual(['resize .log'])
  })

  it('a few writes of zeros where the file is synced often', async () => {
    const counted = await warmLog()
    const { log } = counted
    const producer = log.producer({ batchBytes: 16_384 })
    for (let group = 0; group < 100; group += 1) await sendAtOnce(producer, 140)
    const calls = counted.taken()
    const writes = calls.filter((call) => call === 'write .log').length
    expect(calls.filter((call) => call === 'flush .log')).toHaveLength(100)
    // 1.6 MB in stretches of 256 KiB, each zeroed by four or five writes.
    expect(writes - 100).toBeGreaterThan(10)
    expect(writes - 100).toBeLessThan(50)
  })

  it('one promise a record that is sent, and none for what is enqueued', async () => {
    const { log } = await warmLog()
    const producer = log.producer()
    const sends = await countOf(async () => {
      for (let record = 0; record < 500; record += 1) {
        void producer.send({ topic: 't', value: VALUE })
      }
      await producer.flush()
    })
    expect(sends('PROMISE')).toBeGreaterThanOrEqual(500)
    expect(sends('PROMISE')).toBeLessThan(500 + 50)
    const enqueues = await countOf(async () => {
      for (let record = 0; record < 500; record += 1) producer.enqueue({ topic: 't', value: VALUE })
      await producer.flush()
    })
    expect(enqueues('PROMISE')).toBeLessThan(50)
  })

  it('no timer and a turn of the event loop for each of the sends that wait for each other', async () => {
    const { log } = await warmLog()
    const producer = log.producer({ acks: 1 })
    await producer.send({ topic: 't', value: VALUE }) // It makes the timer that holds the process.
    const counts = await countOf(async () => {
      for (let sent = 0; sent < 100; sent += 1) await producer.send({ topic: 't', value: VALUE })
    })
    expect([counts('Timeout'), counts('Immediate')]).toEqual([0, 100])
    // The send, its await, and what this function itself waits for.
    expect(counts('PROMISE')).toBeLessThan(100 * 3)
  })

  it('one question about the topic for records that name the same', async () => {
    const counted = await warmLog()
    const { log } = counted
    log.topic('u')
    const producer = log.producer({ acks: 1 })
    for (let record = 0; record < 100; record += 1) producer.enqueue({ topic: 't', value: VALUE })
    expect(counted.topicQuestions).toBe(1)
    producer.enqueue({ topic: 'u', value: VALUE })
    producer.enqueue({ topic: 't', value: VALUE })
    expect(counted.topicQuestions).toBe(3)
    await producer.close()
  })

  it('a reading of the machine clock for 16 records that are enqueued, not for each', async () => {
    const readings = vi.spyOn(Date, 'now')
    const { log } = await warmLog()
    const producer = Producer.create({
      clock: systemClock,
      holdsProcess: false,
      randomBytes: log.randomBytes,
      producerIds: log.producerIds,
      get transactions() {
        return log.transactions
      },
      writableOffsets: () => log.writableOffsets(),
      producerTopic: (ref) => log.producerTopic(ref),
      producerClosed: (closed) => log.producerClosed(closed),
    })
    readings.mockClear()
    for (let record = 0; record < 160; record += 1) producer.enqueue({ topic: 't', value: VALUE })
    expect(readings).toHaveBeenCalledTimes(10)
    await producer.close()
    readings.mockClear()
  })
})

describe('a producer that remembers the topic of the record before', () => {
  it('finds the topic that was made anew under the name of a deleted one', async () => {
    const log = EventLog.inMemory()
    await log.createTopic('t')
    const producer = log.producer({ acks: 1 })
    await producer.send({ topic: 't', value: 'old' })
    await log.deleteTopic('t')
    await expect(producer.send({ topic: 't', value: 'none' })).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    })
    const anew = await log.createTopic('t')
    await producer.send({ topic: 't', value: 'new' })
    producer.enqueue(anew, { value: 'by its handle' })
    await producer.flush()
    const values = [...anew.partition(0).records()].map(({ value }) => value?.toString())
    expect(values).toEqual(['new', 'by its handle'])
    await log.close()
    expect(() => producer.enqueue(anew, { value: 'late' })).toThrow(
      expect.objectContaining({ code: 'CLOSED' }),
    )
  })

  it('takes no name where a definition or a handle is asked for', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const producer = log.producer({ acks: 1 })
    await producer.send({ topic: 't', value: '1' })
    const byName = 't' as unknown as { readonly name: 't' } // What a user without types may write.
    await expect(producer.send(byName, { value: '2' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  it('asks for each record where the log wants to hear of each', async () => {
    const counted = await warmLog()
    const { log } = counted
    log.onSend = () => undefined
    const producer = log.producer({ acks: 1 })
    for (let sent = 0; sent < 3; sent += 1) await producer.send({ topic: 't', value: VALUE })
    expect(counted.topicQuestions).toBe(3)
  })
})
