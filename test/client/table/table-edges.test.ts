/**
 * Tables where something is large, broken, or ends: what they do then, and what they keep.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import { serdes, type Serde } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { testLog } from '../../../src/testing/test-log.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { closeWhenDone } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'
import { Prices, settled, Words } from './table-topics.ts'

describe('a table', () => {
  it('catches up in the background with a commit that brings much', async () => {
    const log = EventLog.inMemory({ topics: [Words] })
    closeWhenDone(log)
    const words = log.topic(Words)
    const table = await words.table()
    const told: string[] = []
    table.subscribe((key) => told.push(key))
    const tx = await log.producer().begin()
    const names = Array.from({ length: 3_000 }, (_, number) => `k${number}`)
    const value = 'v'.repeat(500)
    await tx.sendAll(
      words,
      names.map((key) => ({ key, value, partition: 0 })),
    )
    await tx.commit()
    words.partition(1).append({ key: 'other', value: '1' })
    await settled()
    expect(table.size).toBe(3_001)
    expect(told.filter((key) => key !== 'other')).toEqual(names)
  })

  it('refuses what cannot be decoded where it is asked for, and goes on', async () => {
    const log = EventLog.inMemory({ topics: [Prices] })
    closeWhenDone(log)
    log
      .topic('prices')
      .partition(0)
      .append([
        { key: 'a', value: '{"cents":1}' },
        { key: 'b', value: 'no JSON' },
        { key: 'c', value: '{"cents":3}' },
      ])
    const table = await log.topic(Prices).table()
    expect(table.has('b')).toBe(true)
    expect(refusal(() => table.get('b')).code).toBe('INVALID_RECORD')
    const walk = table.entries()
    expect(walk.next().value).toEqual(['a', { cents: 1 }])
    expect(refusal(() => walk.next()).code).toBe('INVALID_RECORD')
    expect(walk.next().value).toEqual(['c', { cents: 3 }])
    expect(walk.next()).toEqual({ done: true, value: undefined })
    expect(refusal(() => table.get(5 as unknown as string)).code).toBe('INVALID_RECORD')
  })

  it('takes serdes of its user, which get bytes of their own', async () => {
    const kept: Buffer[] = []
    const upper: Serde<string> = {
      serialize: (text) => Buffer.from(text.toUpperCase()),
      deserialize: (bytes) => {
        kept.push(bytes)
        const text = bytes.toString().toLowerCase()
        bytes.fill(0)
        return text
      },
    }
    const Custom = defineTopic('custom', { key: upper, value: upper, cleanupPolicy: 'compact' })
    const log = EventLog.inMemory({ topics: [Custom] })
    closeWhenDone(log)
    const topic = log.topic(Custom)
    topic.partition(0).append({ key: 'Key', value: 'Value' })
    const table = await topic.table()
    expect([table.get('kEY'), table.get('KEY'), [...table]]).toEqual([
      'value',
      'value',
      [['key', 'value']],
    ])
    expect(kept.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true)
  })

  it('looks for keys as a schema put them out, and does not ask it again', async () => {
    const asked: unknown[] = []
    const trimmed = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: unknown) => {
          asked.push(value)
          return { value: String(value).trim() }
        },
      },
    } as const
    const Trimmed = defineTopic('trimmed', {
      key: serdes.json<string, string>(trimmed),
      value: serdes.string,
      cleanupPolicy: 'compact',
    })
    const log = EventLog.inMemory({ topics: [Trimmed] })
    closeWhenDone(log)
    const topic = log.topic(Trimmed)
    topic.partition(0).append({ key: ' a ', value: '1' })
    const table = await topic.table()
    expect([table.get('a'), table.get(' a ')]).toEqual(['1', undefined])
    expect(asked).toEqual([' a '])
  })

  it('reads what is left when damage is met on the way as CORRUPT', async () => {
    const disk = new FaultDisk()
    const first = await disk.open({ topics: [Words] })
    first
      .topic(Words)
      .partition(0)
      .append({ key: 'a', value: 'x'.repeat(100) })
    first
      .topic(Words)
      .partition(0)
      .append({ key: 'b', value: 'y'.repeat(100) })
    await first.close()
    disk.flipBit({ path: 'words-0/00000000000000000000.log' })
    disk.evict()
    const log = await disk.open()
    closeWhenDone(log)
    expect((await rejection(log.topic(Words).table())).code).toBe('CORRUPT')
  })

  it('holds nothing of a table that could not be loaded', async () => {
    const log = EventLog.inMemory({ topics: [Words] })
    closeWhenDone(log)
    const words = log.topic(Words)
    const controller = new AbortController()
    const loading = rejection(words.table({ signal: controller.signal }))
    controller.abort()
    await loading
    words.partition(0).append({ key: 'a', value: '1' })
    expect((await words.table()).size).toBe(1)
  })

  it('rejects where its log is closed while it loads', async () => {
    const log = EventLog.inMemory({ topics: [Words] })
    const words = log.topic(Words)
    for (let round = 0; round < 300; round++)
      words
        .partition(0)
        .append(
          Array.from({ length: 20 }, (_, number) => ({ key: `k${number}`, value: 'v'.repeat(50) })),
        )
    const loading = rejection(words.table())
    onTestFinished(() => log.close())
    await log.close()
    expect((await loading).code).toBe('CLOSED')
  })

  it('finds keys that are long, empty, or no proper text', async () => {
    const log = EventLog.inMemory({ topics: [Words] })
    closeWhenDone(log)
    const words = log.topic(Words)
    const table = await words.table()
    const keys = ['', ' ', '\0', 'é'.repeat(3_000), 'x'.repeat(100_000), '\u{1f600}', 'k\ud800']
    for (const key of keys) words.partition(0).append({ key, value: `${key.length}` })
    expect(keys.map((key) => table.get(key))).toEqual(keys.map((key) => `${key.length}`))
    expect(table.get('k\ufffd')).toBe('2') // What a lone surrogate is stored as.
    expect(table.size).toBe(keys.length)
  })

  it('lets go of what retention deletes, and tells its listeners', async () => {
    const clock = new FakeClock()
    const Sessions = defineTopic('sessions', {
      key: serdes.string,
      value: serdes.string,
      cleanupPolicy: 'compact,delete',
      retentionMs: 1_000,
      segmentMs: 100,
      fileDeleteDelayMs: 0,
    })
    const log = EventLog.inMemory({ topics: [Sessions], clock })
    closeWhenDone(log)
    const sessions = log.topic(Sessions)
    const table = await sessions.table()
    const told: unknown[] = []
    table.subscribe((key, value) => told.push([key, value]))
    for (let number = 0; number < 10; number++) {
      sessions.partition(0).append({ key: `s${number}`, value: 'open', timestamp: clock.now() })
      clock.advance(150)
    }
    told.length = 0
    await log.runHousekeeping()
    await settled()
    const left = [...table].map(([key]) => key)
    expect(left.length).toBeLessThan(9)
    expect(left.at(-1)).toBe('s9')
    expect(table.size).toBe(left.length)
    expect(told).toHaveLength(10 - left.length)
    expect(told[0]).toEqual(['s0', undefined])
    expect(new Map(await sessions.table())).toEqual(new Map(table))
  })

  it('ends with the log of a test that is emptied', async () => {
    const test = testLog({ topics: [Words] })
    const table = await test.log.topic(Words).table()
    test.log.topic(Words).partition(0).append({ key: 'a', value: '1' })
    expect(table.get('a')).toBe('1')
    test.reset()
    await settled()
    const fresh = await test.log.topic(Words).table()
    test.log.topic(Words).partition(0).append({ key: 'b', value: '2' })
    expect([...fresh]).toEqual([['b', '2']])
    expect(refusal(() => table.get('a')).code).toBe('CLOSED')
    await test[Symbol.asyncDispose]()
  })

  it('of offsets of the log itself shows them as bytes', async () => {
    const log = EventLog.inMemory({ topics: [Words] })
    closeWhenDone(log)
    log.topic(Words).partition(0).append({ key: 'a', value: '1' })
    const consumer = await log.consumerGroup('g', { topics: [Words] }).join()
    await consumer.poll()
    await consumer.commit()
    const positions = await log.topic('__consumer_offsets').table()
    expect(positions.size).toBe(3) // One of each partition.
    await consumer.leave()
  })
})
