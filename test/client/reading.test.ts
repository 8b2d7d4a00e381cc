/**
 * Reading without waiting: records, scan, get and the lookup by time; and what is handed out.
 */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { Partition, RecordCursor } from '../../src/client/partition.ts'
import type { Position, RangeOptions } from '../../src/client/position.ts'
import { USABLE_CODECS } from '../support/usable-codecs.ts'
import { READ_KINDS, numbered, numbers, openLog, openTopic, texts, textsOf } from './open-log.ts'
import { refusal, rejection } from './refusal.ts'

/** The offsets that a scan visits. */
function scanned(partition: Partition, options?: RangeOptions): readonly number[] {
  const offsets: number[] = []
  const count = partition.scan(({ offset }) => void offsets.push(offset), options)
  expect(count).toBe(offsets.length)
  return offsets
}

describe.each(READ_KINDS)('a log on %s', (kind) => {
  it('is read from every kind of position, exclusively up to its end', async () => {
    const partition = (await openTopic(kind)).partition(0)
    for (let at = 0; at < 10; at += 1) partition.append({ value: `v${at}`, timestamp: 100 + at })
    const ranges: readonly (readonly [RangeOptions, number, number])[] = [
      [{}, 0, 10],
      [{ from: 0 }, 0, 10],
      [{ from: 'earliest', to: 3 }, 0, 3],
      [{ from: 4, to: 7 }, 4, 7],
      [{ from: 10 }, 10, 10],
      [{ from: 'latest' }, 10, 10],
      [{ from: { last: 3 } }, 7, 10],
      [{ from: { last: 0 } }, 10, 10],
      [{ from: { last: 99 } }, 0, 10],
      [{ from: { timestamp: 105 } }, 5, 10],
      [{ from: { timestamp: new Date(105) }, to: { timestamp: 107 } }, 5, 7],
      [{ from: { timestamp: 0 } }, 0, 10],
      [{ from: { timestamp: 110 } }, 10, 10],
      [{ to: { timestamp: 99 } }, 0, 0],
      [{ to: { timestamp: 999 } }, 0, 10],
      [{ from: 5, to: 5 }, 5, 5],
      [{ from: 6, to: 5 }, 6, 5],
      [{ to: 99 }, 0, 10],
      [{ isolation: 'read_committed', visibility: 'written', onCorrupt: 'skip' }, 0, 10],
      [{ from: undefined, to: undefined, isolation: undefined, visibility: undefined }, 0, 10],
    ]
    for (const [options, from, to] of ranges) {
      const expected = numbers(Math.max(to - from, 0), from)
      expect(texts(partition.records(options)), JSON.stringify(options)).toEqual(expected)
      expect(await textsOf(partition.read(options)), JSON.stringify(options)).toEqual(expected)
      expect(scanned(partition, options).map((offset) => `v${offset}`)).toEqual(expected)
    }
  })

  it('says at the call that a range starts outside the log', async () => {
    const partition = (await openTopic(kind)).partition(0)
    partition.append(numbered(5))
    await partition.deleteRecords(2)
    for (const from of [0, 1, 6]) {
      for (const call of [() => partition.records({ from }), () => scanned(partition, { from })]) {
        expect(refusal(call)).toMatchObject({
          code: 'OFFSET_OUT_OF_RANGE',
          details: { topic: 't', partition: 0, offset: from, logStartOffset: 2, logEndOffset: 5 },
        })
      }
    }
  })

  it.each([
    { from: -1 },
    { from: 1.5 },
    { from: Number.NaN },
    { from: 2 ** 53 },
    { from: 'first' },
    { from: null },
    { from: { timestamp: -1 } },
    { from: { timestamp: new Date(Number.NaN) } },
    { from: { last: -1 } },
    { from: { last: 1, timestamp: 1 } },
    { from: { offsets: [] } },
    { to: 'latest' },
    { to: -1 },
    { isolation: 'committed' },
    { visibility: 'all' },
    { onCorrupt: 'ignore' },
    { form: 0 },
    [],
    null,
  ] as readonly unknown[])('refuses the range %o at the call', async (options) => {
    const partition = (await openTopic(kind)).partition(0)
    const range = options as RangeOptions // as JavaScript may
    expect(refusal(() => partition.records(range)).code).toBe('INVALID_ARGUMENT')
    expect(refusal(() => partition.scan(() => {}, range)).code).toBe('INVALID_ARGUMENT')
    expect(refusal(() => partition.read(range)).code).toBe('INVALID_ARGUMENT')
  })

  it('gives single records by offset, and undefined for none', async () => {
    const topic = await openTopic(kind, { segmentBytes: 4_096 })
    const partition = topic.partition(0)
    for (let batch = 0; batch < 100; batch += 1) partition.append(numbered(7, batch * 7))
    partition.append(numbered(3_000, 700), { compression: 'gzip' })
    await partition.deleteRecords(10)
    for (const offset of [10, 11, 13, 14, 333, 699, 700, 2_222, 3_699]) {
      expect(partition.get(offset)).toMatchObject({ offset, topic: 't', partition: 0 })
      expect(String(partition.get(offset)?.value)).toBe(`v${offset}`)
    }
    for (const offset of [0, 9, 3_700, 9_999]) {
      expect(refusal(() => partition.get(offset)).code).toBe('OFFSET_OUT_OF_RANGE')
    }
    for (const offset of [-1, 0.5, Number.NaN, '5', undefined]) {
      const given = offset as number // as JavaScript may
      expect(refusal(() => partition.get(given)).code).toBe('INVALID_ARGUMENT')
    }
  })

  it('finds the first offset of a time, which need not ascend', async () => {
    const partition = (await openTopic(kind, { segmentBytes: 4_096 })).partition(0)
    expect(partition.offsetForTimestamp(0)).toBeNull()
    const batches = fc.array(fc.array(fc.nat(1_000), { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 20,
    })
    const times: number[] = []
    const property = fc.property(batches, fc.nat(1_001), (appended, wanted) => {
      for (const batch of appended) {
        partition.append(batch.map((timestamp) => ({ timestamp, value: 'x'.repeat(40) })))
        times.push(...batch)
      }
      const found = times.findIndex((time) => time >= wanted)
      expect(partition.offsetForTimestamp(wanted)).toBe(found < 0 ? null : found)
    })
    fc.assert(property, { numRuns: 50 })
    const start = Math.floor(times.length / 2)
    await partition.deleteRecords(start)
    const later = times.findIndex((time, offset) => offset >= start && time >= 500)
    expect(partition.offsetForTimestamp(new Date(500))).toBe(later)
    expect(refusal(() => partition.offsetForTimestamp(-1)).code).toBe('INVALID_ARGUMENT')
  })

  it('starts in the middle of a batch, where records before were deleted', async () => {
    const topic = await openTopic(kind)
    const partition = topic.partition(0)
    partition.append(numbered(10), { compression: 'gzip' })
    partition.append(numbered(2, 10))
    expect(await partition.deleteRecords(4)).toBe(4)
    expect(await partition.deleteRecords(2)).toBe(4)
    expect(partition.logStartOffset).toBe(4)
    expect(texts(partition.records())).toEqual(numbers(8, 4))
    expect(await textsOf(topic.read())).toEqual(numbers(8, 4))
    expect(scanned(partition)).toHaveLength(8)
    expect(texts(partition.records({ from: { last: 99 } }))).toHaveLength(8)
    expect(await topic.countRecords()).toBe(8)
    expect(topic.size().offsets).toBe(8)
    expect((await rejection(partition.deleteRecords(13))).code).toBe('OFFSET_OUT_OF_RANGE')
    expect((await rejection(partition.deleteRecords(1.5))).code).toBe('INVALID_ARGUMENT')
    expect(await partition.deleteRecords(12)).toBe(12)
    expect(texts(partition.records())).toEqual([])
  })

  it('scans with one cursor, until the visit says false', async () => {
    const partition = (await openTopic(kind)).partition(0)
    partition.append([{ key: 'k', value: 'v0', timestamp: 7 }, { value: 'v1' }, { key: 'k' }])
    const cursors = new Set<RecordCursor>()
    const seen: (readonly [string | null, string | null])[] = []
    const part = (buffer: Buffer, start: number, length: number): string | null =>
      length < 0 ? null : buffer.toString('utf8', start, start + length)
    const visited = partition.scan((cursor) => {
      cursors.add(cursor)
      const { buffer, keyStart, keyLength, valueStart, valueLength } = cursor
      seen.push([part(buffer, keyStart, keyLength), part(buffer, valueStart, valueLength)])
      return cursor.offset < 1
    })
    expect(visited).toBe(2)
    expect(seen).toEqual([
      ['k', 'v0'],
      [null, 'v1'],
    ])
    expect(cursors.size).toBe(1)
    expect(partition.scan(() => {}, { from: 2 })).toBe(1)
    const visit = 5 as unknown as () => void // as JavaScript may
    expect(refusal(() => partition.scan(visit)).code).toBe('INVALID_ARGUMENT')
    const mine = new Error('mine')
    expect(() =>
      partition.scan(() => {
        throw mine
      }),
    ).toThrow(mine)
  })

  it('does not see what is appended while it is scanned or iterated', async () => {
    const partition = (await openTopic(kind)).partition(0)
    partition.append(numbered(3))
    expect(partition.scan(() => void partition.append({ value: 'more' }))).toBe(3)
    expect(partition.logEndOffset).toBe(6)
    let count = 0
    for (const record of partition.records()) {
      count += 1
      partition.append({ value: `${record.offset}` })
    }
    expect(count).toBe(6)
    const nested: number[] = []
    partition.scan(({ offset }) => {
      if (offset < 2) nested.push(...scanned(partition, { to: 2 }))
    })
    expect(nested).toEqual([0, 1, 0, 1])
  })

  it('ends an iterator for good at return, at its end and after an error', async () => {
    const log = await openLog(kind)
    const topic = await log.createTopic('t')
    const partition = topic.partition(0)
    partition.append(numbered(3))
    const done = { done: true, value: undefined }
    const left = partition.records()
    for (const record of left) {
      expect(record.offset).toBe(0)
      break
    }
    expect(left.next()).toEqual(done)
    const whole = partition.records()
    expect(texts(whole)).toHaveLength(3)
    partition.append(numbered(1))
    expect(whole.next()).toEqual(done)
    const dead = partition.records()
    dead.next()
    await log.deleteTopic('t')
    log.topics() // Of another process's log, that is a look at what it has done.
    expect(refusal(() => dead.next()).code).toBe('TOPIC_NOT_FOUND')
    expect(dead.next()).toEqual(done)
  })

  it('agrees with a list in every way of reading, whatever the batches', async () => {
    const log = await openLog(kind)
    let topics = 0
    const batch = fc.record({
      count: fc.integer({ min: 1, max: 6 }),
      bytes: fc.constantFrom(1, 50, 700, 5_000),
      compression: fc.constantFrom(...USABLE_CODECS),
    } as const)
    const position: fc.Arbitrary<Position> = fc.oneof(
      fc.nat(60),
      fc.constantFrom('earliest' as const, 'latest' as const),
      fc.record({ last: fc.nat(60) }),
    )
    const property = fc.asyncProperty(
      fc.array(batch, { minLength: 1, maxLength: 12 }),
      position,
      fc.option(fc.nat(60), { nil: undefined }),
      async (batches, from, to) => {
        const config = { segmentBytes: 2_048, indexIntervalBytes: 256 }
        const partition = (await log.createTopic(`t${(topics += 1)}`, config)).partition(0)
        const model: string[] = []
        for (const { count, bytes, compression } of batches) {
          const values = Array.from({ length: count }, (_, at) => `${model.length + at}`)
          partition.append(
            values.map((value) => ({ value: value.padEnd(bytes, '.') })),
            { compression },
          )
          model.push(...values)
        }
        const end = model.length
        const start =
          typeof from === 'number'
            ? from
            : from === 'earliest'
              ? 0
              : from === 'latest'
                ? end
                : Math.max(end - ('last' in from ? from.last : 0), 0)
        if (start > end) {
          expect(refusal(() => partition.records({ from })).code).toBe('OFFSET_OUT_OF_RANGE')
          return
        }
        const expected = model.slice(start, Math.max(start, Math.min(to ?? end, end)))
        const plain = (all: readonly string[]): readonly string[] =>
          all.map((text) => text.replace(/\.+$/, ''))
        expect(plain(texts(partition.records({ from, to })))).toEqual(expected)
        expect(plain(await textsOf(partition.read({ from, to })))).toEqual(expected)
        expect(scanned(partition, { from, to })).toHaveLength(expected.length)
        for (let offset = 0; offset < end; offset += 7) {
          expect(plain([String(partition.get(offset)?.value)])).toEqual([`${offset}`])
        }
      },
    )
    await fc.assert(property, { numRuns: kind === 'disk' ? 15 : 50 })
  })
})

describe.each(READ_KINDS)('bytes handed out by a log on %s', (kind) => {
  it('are the reader’s: what is written into them nobody else sees', async () => {
    const partition = (await openTopic(kind)).partition(0)
    for (const length of [5, 5_000]) {
      const value = 'x'.repeat(length)
      const from = partition.append({ key: value, value, headers: { h: value } }).baseOffset
      partition.append({ value })
      const both = [...partition.records({ from })]
      for (const bytes of [both[0]?.key, both[0]?.value, both[0]?.headers.get('h')]) bytes?.fill(0)
      expect(String(both[1]?.value)).toBe(value)
      for (const record of [partition.get(from), [...partition.records({ from })][0]]) {
        expect([record?.key, record?.value, record?.headers.get('h')].map(String)).toEqual([
          value,
          value,
          value,
        ])
      }
    }
  })

  it('survive the log, and can be cloned and transferred as far as they are whole', async () => {
    const log = await openLog(kind)
    const partition = (await log.createTopic('t')).partition(0)
    partition.append([{ value: 'small' }, { value: 'x'.repeat(10_000) }, { value: 'other' }])
    const records = [...partition.records()]
    const [small, large] = records.map(({ value }) => value)
    expect(structuredClone(small)?.toString()).not.toBe('')
    for (const bytes of [small, large]) {
      const memory = bytes?.buffer as ArrayBuffer // of a Buffer of ours, never shared memory
      try {
        structuredClone(memory, { transfer: [memory] })
      } catch (error) {
        // What a small value lies in is shared: Node 20 clones it instead, later ones refuse.
        expect(error).toMatchObject({ name: 'DataCloneError' })
      }
    }
    await log.close()
    expect(String(small)).toBe('small')
    expect(String(records[2]?.value)).toBe('other')
  })
})
