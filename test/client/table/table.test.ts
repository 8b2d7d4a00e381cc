/**
 * Tables over compacted topics: what they load, how they follow, and how they end.
 */
import { describe, expect, it } from 'vitest'
import type { Table } from '../../../src/client/group-types.ts'
import { serdes } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { nextTurn } from '../../../src/log/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { LOG_KINDS, openLog } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'
import { Prices, settled, Words } from './table-topics.ts'

/** What a table has, as a plain object. */
function plain<V>(table: Table<string, V>): Record<string, V> {
  return Object.fromEntries(table)
}

describe.each(LOG_KINDS)('a table of a log on %s', (kind) => {
  it('loads the last value of each key, without tombstones and records without a key', async () => {
    const log = await openLog(kind)
    const raw = await log.createTopic('prices')
    raw
      .partition(0)
      .append([
        { key: 'tea', value: '{"cents":1}' },
        { key: 'milk', value: '{"cents":2}' },
        { value: 'no key' },
        { key: 'tea', value: '{"cents":3}' },
        { key: 'gone', value: '{"cents":4}' },
        { key: 'gone', value: null },
        { key: 'never', value: null },
        { key: '', value: '{"cents":5}' },
      ])
    await raw.alterConfig({ cleanupPolicy: 'compact' })
    const table = await log.topic(Prices).table()
    expect(table.size).toBe(3)
    expect([...table]).toEqual([
      ['tea', { cents: 3 }],
      ['milk', { cents: 2 }],
      ['', { cents: 5 }],
    ])
    expect(table.get('tea')).toEqual({ cents: 3 })
    expect(table.get('')).toEqual({ cents: 5 })
    expect(table.has('milk')).toBe(true)
    expect([table.get('gone'), table.has('gone'), table.has('never')]).toEqual([
      undefined,
      false,
      false,
    ])
  })

  it('has what was appended when append returns, and what was sent when that resolves', async () => {
    const log = await openLog(kind, { topics: [Words] })
    const words = log.topic(Words)
    const table = await words.table()
    words.partition(1).append({ key: 'a', value: '1' })
    expect(table.get('a')).toBe('1')
    words.partition(1).append([
      { key: 'a', value: '2' },
      { key: 'b', value: 'x'.repeat(100_000) },
      { key: 'c', value: '3' },
    ])
    expect([table.get('a'), table.get('b')?.length, table.size]).toEqual(['2', 100_000, 3])
    words.partition(1).append({ key: 'a', value: null })
    expect([table.get('a'), table.size]).toEqual([undefined, 2])
    await words.send({ key: 'd', value: '4' })
    expect(table.get('d')).toBe('4')
    words.partitionFor('d').append({ key: 'd', value: '' })
    expect([table.get('d'), table.has('d')]).toEqual(['', true])
  })

  it('has what a transaction brings when it commits, and nothing of one that is aborted', async () => {
    const log = await openLog(kind, { topics: [Words] })
    const words = log.topic(Words)
    const table = await words.table()
    const told: unknown[] = []
    table.subscribe((key, value) => told.push([key, value]))
    const tx = await log.producer().begin()
    await tx.send(words, { key: 'a', value: 'tx', partition: 0 })
    await tx.send(words, { key: 'b', value: 'tx', partition: 0 })
    words.partition(0).append({ key: 'a', value: 'behind it' })
    expect(table.size).toBe(0)
    expect((await words.table()).size).toBe(0)
    await tx.commit()
    expect(plain(table)).toEqual({ a: 'behind it', b: 'tx' })
    expect(told).toEqual([
      ['a', 'tx'],
      ['b', 'tx'],
      ['a', 'behind it'],
    ])
    const failed = await log.producer().begin()
    await failed.send(words, { key: 'a', value: 'never', partition: 0 })
    await failed.abort()
    expect(plain(table)).toEqual({ a: 'behind it', b: 'tx' })
    expect(plain(await words.table())).toEqual({ a: 'behind it', b: 'tx' })
  })

  it('takes keys for equal where their bytes are', async () => {
    const log = await openLog(kind)
    const bytes = await log.createTopic('bytes', { cleanupPolicy: 'compact' })
    bytes.partition(0).append([
      { key: Buffer.from([1, 2]), value: 'a' },
      { key: new Uint8Array([1, 2, 0]), value: 'b' },
      { key: 'text', value: null },
      { key: 'text', value: Buffer.from('c') },
    ])
    const table = await bytes.table()
    expect(table.get(Buffer.from([1, 2]))?.toString()).toBe('a')
    expect(table.get(Buffer.from('text'))?.toString()).toBe('c')
    expect(table.get(Buffer.from([1]))).toBeUndefined()
    expect([table.get(null), table.has(null)]).toEqual([undefined, false])
    const Objects = defineTopic('objects', {
      key: serdes.json<{ a: number; b?: number }>(),
      value: serdes.int32,
      cleanupPolicy: 'compact',
    })
    const objects = await log.createTopic(Objects)
    objects.partition(0).append({ key: { a: 1, b: 2 }, value: 7 })
    const byObject = await objects.table()
    expect(byObject.get({ a: 1, b: 2 })).toBe(7)
    expect(byObject.get({ a: 1 })).toBeUndefined()
    expect([...byObject]).toEqual([[{ a: 1, b: 2 }, 7]])
  })

  it('gives out bytes and objects that are the caller’s own', async () => {
    const log = await openLog(kind, { topics: [Prices] })
    const raw = log.topic('prices')
    raw.partition(0).append({ key: 'tea', value: '{"cents":1}' })
    const table = await log.topic(Prices).table()
    const bytes = await raw.table()
    bytes.get(Buffer.from('tea'))?.fill(0)
    const [entry] = bytes.entries()
    entry?.[0]?.fill(0)
    entry?.[1].fill(0)
    const got = table.get('tea')
    if (got !== undefined) got.cents = 99
    expect(table.get('tea')).toEqual({ cents: 1 })
    expect(bytes.get(Buffer.from('tea'))?.toString()).toBe('{"cents":1}')
  })

  it('is refused where the topic is not compacted', async () => {
    const log = await openLog(kind)
    const topic = await log.createTopic('t')
    expect(await rejection(topic.table())).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { cleanupPolicy: 'delete' },
    })
    await topic.alterConfig({ cleanupPolicy: 'compact,delete' })
    const table = await topic.table()
    await topic.alterConfig({ cleanupPolicy: 'delete' })
    topic.partition(0).append([{ key: 'k', value: 'v' }, { value: 'no key' }])
    expect(table.size).toBe(1) // It goes on: what it follows is still there.
  })

  it('takes partitions in that are added, and lets the newest record of a key decide', async () => {
    const clock = new FakeClock()
    const log = await openLog(kind, { clock, topics: [Words] })
    const words = log.topic(Words)
    const table = await words.table()
    words.partition(2).append({ key: 'moved', value: 'old' })
    await words.addPartitions(5)
    clock.advance(1)
    words.partition(4).append({ key: 'new', value: 'n' })
    words.partition(0).append({ key: 'moved', value: 'newer' })
    expect(plain(table)).toEqual({ moved: 'newer', new: 'n' })
    expect(plain(await words.table())).toEqual({ moved: 'newer', new: 'n' })
    clock.advance(1)
    words.partition(1).append({ key: 'moved', value: null })
    expect(plain(table)).toEqual({ new: 'n' })
    expect(plain(await words.table())).toEqual({ new: 'n' })
  })

  it('lets go of keys with the records that deleteRecords removes', async () => {
    const log = await openLog(kind, { topics: [Words] })
    const words = log.topic(Words)
    const table = await words.table()
    const told: unknown[] = []
    table.subscribe((key, value) => told.push([key, value]))
    words.partition(0).append([
      { key: 'a', value: '1' },
      { key: 'b', value: '2' },
    ])
    words.partition(1).append({ key: 'c', value: '3' })
    words.partition(0).append({ key: 'a', value: '4' })
    told.length = 0
    await words.partition(0).deleteRecords(2)
    expect([table.get('b'), table.has('b'), [...table]]).toEqual([
      undefined,
      false,
      [
        ['a', '4'],
        ['c', '3'],
      ],
    ])
    await settled()
    expect(table.size).toBe(2)
    expect(told).toEqual([['b', undefined]])
    await words.partition(0).deleteRecords(3)
    await settled()
    expect(plain(table)).toEqual({ c: '3' })
    expect(plain(await words.table())).toEqual({ c: '3' })
    words.partition(0).append({ key: 'a', value: '5' })
    expect(table.get('a')).toBe('5')
  })

  it('ends with its topic, with its log, and when it is closed', async () => {
    const log = await openLog(kind, { topics: [Words, Prices] })
    const words = log.topic(Words)
    const table = await words.table()
    const closed = await words.table()
    words.partition(0).append({ key: 'a', value: '1' })
    await closed.close()
    await closed.close()
    words.partition(0).append({ key: 'b', value: '2' })
    expect(closed.size).toBe(1)
    for (const call of [
      () => closed.get('a'),
      () => closed.has('a'),
      () => closed.entries(),
      () => closed.subscribe(() => undefined),
    ]) {
      expect(refusal(call).code).toBe('CLOSED')
    }
    const walk = table.entries()
    walk.next()
    await log.deleteTopic(words)
    expect(refusal(() => table.get('a')).code).toBe('TOPIC_NOT_FOUND')
    expect(refusal(() => walk.next()).code).toBe('TOPIC_NOT_FOUND')
    expect(table.size).toBe(2)
    const prices = await log.topic(Prices).table()
    await log.close()
    expect(refusal(() => prices.get('a')).code).toBe('CLOSED')
    await prices[Symbol.asyncDispose]()
    expect((await rejection(words.table())).code).toBe('TOPIC_NOT_FOUND')
  })

  it('is not loaded where its signal aborts, and does not care once it is', async () => {
    const log = await openLog(kind, { topics: [Words] })
    const words = log.topic(Words)
    words.partition(0).append({ key: 'a', value: '1' })
    const before = await rejection(words.table({ signal: AbortSignal.abort('why') }))
    expect(before).toMatchObject({ code: 'ABORTED', name: 'AbortError', cause: 'why' })
    const controller = new AbortController()
    const loading = rejection(words.table({ signal: controller.signal }))
    controller.abort()
    expect((await loading).code).toBe('ABORTED')
    const later = new AbortController()
    const table = await words.table({ signal: later.signal })
    later.abort()
    words.partition(0).append({ key: 'b', value: '2' })
    expect(plain(table)).toEqual({ a: '1', b: '2' })
    // @ts-expect-error a mistyped option
    expect((await rejection(words.table({ singal: later.signal }))).code).toBe('INVALID_ARGUMENT')
    // @ts-expect-error no signal
    expect((await rejection(words.table({ signal: 'x' }))).code).toBe('INVALID_ARGUMENT')
  })

  it('is loaded while records are appended, and misses none', async () => {
    const log = await openLog(kind, { topics: [Words] })
    const words = log.topic(Words)
    const expected: Record<string, string> = {}
    const append = (round: number): void => {
      for (let partition = 0; partition < 3; partition++) {
        const records = Array.from({ length: 40 }, (_, number) => {
          const key = `${partition}-${(round * 7 + number) % 60}`
          expected[key] = `${round}`
          return { key, value: `${round}` }
        })
        words.partition(partition).append(records)
      }
    }
    for (let round = 0; round < 50; round++) append(round)
    const loaded: unknown[] = []
    const loading = words.table()
    void loading.then((table) => loaded.push(table))
    for (let round = 50; loaded.length === 0; round++) {
      append(round)
      await (round % 3 === 0 ? nextTurn() : Promise.resolve())
    }
    const table = await loading
    expect(plain(table)).toEqual(expected)
    append(10_000)
    expect(plain(table)).toEqual(expected)
  })
})
