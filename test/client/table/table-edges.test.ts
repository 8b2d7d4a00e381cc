/**
 * Tables where something is large, broken, or ends: what they do then, and what they keep.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import { serdes, type Serde } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { nextTurn } from '../../../src/log/clock.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { closeWhenDone } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'

const Prices = defineTopic('prices', {
  key: serdes.string,
  value: serdes.json<{ cents: number }>(),
  cleanupPolicy: 'compact',
})
const Words = defineTopic('words', {
  key: serdes.string,
  value: serdes.string,
  cleanupPolicy: 'compact',
  partitions: 3,
})

/** Lets what goes on in the background come to its end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await nextTurn()
}

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
})
