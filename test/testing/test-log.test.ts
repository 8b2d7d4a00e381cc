/** A log for tests: there at once, moved by its clock, failing when it is told to. */
import { describe, expect, it, onTestFinished } from 'vitest'
import type { EventLog } from '../../src/client/event-log.ts'
import { serdes } from '../../src/client/serde.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { expectRecords, recordsOf } from '../../src/testing/record-expectations.ts'
import { testLog, type TestLog, type TestLogOptions } from '../../src/testing/test-log.ts'

const Orders = defineTopic('orders', { key: serdes.string, value: serdes.string })

function openTest(options: TestLogOptions = { topics: [Orders] }): TestLog {
  const t = testLog(options)
  onTestFinished(() => t[Symbol.asyncDispose]())
  return t
}

async function send(log: EventLog, value: string): Promise<string> {
  try {
    await log.topic(Orders).send({ key: 'k', value })
    return 'acknowledged'
  } catch (error) {
    return LogError.is(error) ? error.code : String(error)
  }
}

function values(log: EventLog): readonly string[] {
  return recordsOf(log.topic(Orders)).map(({ value }) => value)
}

describe('a log for tests', () => {
  it('has its topics at once, and gives records the time of its clock', async () => {
    const { log, clock } = openTest()
    expect(log.topics().map(({ name }) => name)).toEqual(['orders'])
    expect(await send(log, 'a')).toBe('acknowledged')
    await clock.advance(60_000)
    expect(await send(log, 'b')).toBe('acknowledged')
    const start = Date.UTC(2026, 0, 1)
    expectRecords(log.topic(Orders)).toMatch([
      { value: 'a', timestamp: start, offset: 0 },
      { value: 'b', timestamp: start + 60_000, offset: 1 },
    ])
  })

  it('applies its settings, refuses what it does not know, and is in no directory', async () => {
    const { log } = openTest({ topicDefaults: { partitions: 3 } })
    expect((await log.createTopic('t')).partitions).toHaveLength(3)
    expect(log.directory).toBeNull()
    expect(log.guarantees()).toMatchObject({ syncMethod: 'memory', lock: 'none' })
    // @ts-expect-error there is no such option
    expect(() => testLog({ topic: [] })).toThrow('topics')
    expect(() => testLog({ seed: 0.5 })).toThrow('seed')
  })

  it('makes the same ids from the same seed', () => {
    const idOf = (seed: number): string => openTest({ topics: [Orders], seed }).log.topic(Orders).id
    expect(idOf(1)).toBe(idOf(1))
    expect(idOf(1)).not.toBe(idOf(2))
  })

  it('settles when all that can run has run, and says when sends wait for the clock', async () => {
    const t = openTest()
    const sent = send(t.log, 'a')
    await t.settle()
    expect(values(t.log)).toEqual(['a'])
    await sent
    const producer = t.log.producer({ lingerMs: 10 })
    producer.enqueue(Orders, { key: 'k', value: 'b' })
    await expect(t.settle()).rejects.toMatchObject({ code: 'TIMEOUT' })
    await t.clock.advance(10)
    await t.settle()
    expect(values(t.log)).toEqual(['a', 'b'])
  })

  it('shows records to whoever follows a topic', async () => {
    const t = openTest()
    const seen: string[] = []
    const stop = new AbortController()
    const following = (async () => {
      for await (const { value } of t.log.topic(Orders).read({ live: true, signal: stop.signal })) {
        seen.push(value)
      }
    })().catch(() => undefined)
    await send(t.log, 'a')
    await t.settle()
    expect(seen).toEqual(['a'])
    stop.abort()
    await following
  })
})

describe('reset', () => {
  it('empties the log behind the same handle, with the topics given at the start alone', async () => {
    const t = openTest()
    const { log, clock, faults } = t
    await log.createTopic('other')
    await send(log, 'a')
    await clock.advance(1_000)
    faults.failSends(5)
    faults.diskFull(true)
    const reading = log.topic(Orders).read({ from: 'latest', live: true }).next()
    t.reset()
    expect(t.log).toBe(log)
    expect(log.topics().map(({ name }) => name)).toEqual(['orders'])
    expect(values(log)).toEqual([])
    expect(await send(log, 'b')).toBe('acknowledged')
    expectRecords(log.topic(Orders)).toMatch([{ value: 'b', timestamp: Date.UTC(2026, 0, 1) }])
    expect(await reading).toMatchObject({ done: true })
  })

  it('leaves handles of topics from before dead', async () => {
    const t = openTest()
    const before = t.log.topic(Orders)
    t.reset()
    await expect(before.send({ key: 'k', value: 'v' })).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('opens a log that was closed', async () => {
    const t = openTest()
    await t.log.close()
    t.reset()
    expect(await send(t.log, 'a')).toBe('acknowledged')
  })
})

describe('faults', () => {
  it('failSends rejects as many sends, with the code asked for, and appends nothing of them', async () => {
    const { log, faults } = openTest()
    faults.failSends(2, 'TIMEOUT')
    expect(await send(log, 'a')).toBe('TIMEOUT')
    expect(await send(log, 'b')).toBe('TIMEOUT')
    expect(await send(log, 'c')).toBe('acknowledged')
    faults.failSends(1)
    expect(await send(log, 'd')).toBe('IO')
    faults.failSends(7)
    faults.failSends(0)
    expect(await send(log, 'e')).toBe('acknowledged')
    expect(values(log)).toEqual(['c', 'e'])
    expect(() => faults.failSends(-1)).toThrow('count')
    // @ts-expect-error no code of a LogError
    expect(() => faults.failSends(1, 'BROKEN')).toThrow('BROKEN')
  })

  it('failFlush makes the outcome unknown and the partition read-only until it is opened again', async () => {
    const { log, faults } = openTest()
    await send(log, 'a')
    faults.failFlush(1)
    const error: unknown = await log
      .topic(Orders)
      .send({ key: 'k', value: 'b' })
      .catch((failure: unknown) => failure)
    expect(error).toMatchObject({ code: 'IO', details: { outcome: 'unknown' } })
    expect(await send(log, 'c')).toBe('READ_ONLY')
    const again = await faults.crash()
    expect(values(again)).toEqual(['a'])
    expect(await send(again, 'd')).toBe('acknowledged')
  })

  it('diskFull fails with NO_SPACE what needs room, and lets it through afterwards', async () => {
    const { log, faults } = openTest()
    faults.diskFull(true)
    expect(await send(log, 'a')).toBe('NO_SPACE')
    await expect(log.createTopic('t')).rejects.toMatchObject({ code: 'NO_SPACE' })
    faults.diskFull(false)
    expect(await send(log, 'b')).toBe('acknowledged')
    expect(values(log)).toEqual(['b'])
  })

  it('tornWrite stops the machine in the write, and what is left of it is cut when it is opened', async () => {
    const { log, faults } = openTest()
    await send(log, 'a')
    faults.tornWrite()
    expect(await send(log, 'b')).toBe('IO')
    expect(await send(log, 'c')).not.toBe('acknowledged')
    const again = await faults.crash()
    expect(values(again)).toEqual(['a'])
    expect(again.recovery.partitions[0]?.cutBytes).toBeGreaterThan(0)
    expect(await send(again, 'd')).toBe('acknowledged')
  })

  it('crash keeps what was synced, gives a new log, and leaves the one before dead', async () => {
    const t = openTest()
    const before = t.log
    await send(before, 'a')
    const live = before.topic(Orders).read({ from: 'latest', live: true }).next()
    const again = await t.faults.crash()
    expect(t.log).toBe(again)
    expect(again.recovery.clean).toBe(false)
    expect(values(again)).toEqual(['a'])
    expect(await send(before, 'b')).not.toBe('acknowledged')
    expect(await live).toMatchObject({ done: true })
    expect(await send(again, 'c')).toBe('acknowledged')
  })

  it('crash may lose or keep what was only appended, by its seed', async () => {
    const ends = new Set<number>()
    for (let seed = 0; seed < 12; seed++) {
      const { log, faults } = openTest({ topics: [Orders], seed })
      const partition = log.topic(Orders).partition(0)
      for (let index = 0; index < 8; index++) partition.append([{ key: 'k', value: `${index}` }])
      const again = await faults.crash()
      ends.add(again.topic(Orders).partition(0).logEndOffset)
    }
    expect(ends.size).toBeGreaterThan(1)
    expect(Math.max(...ends)).toBe(8)
  })
})
