/**
 * The memory of a table against a Map: values that grow, shrink and are large, keys that come and
 * go, several partitions, log starts that move up. What is alive stays what it is wherever it
 * moves, and what is garbage does not pile up.
 */
import { describe, expect, it } from 'vitest'
import { RecordBatchBuilder } from '../../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../../src/format/record-batch-reader.ts'
import { TableEntries } from '../../../src/client/table/table-entries.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

interface Put {
  readonly key: string
  readonly value: string | null
  readonly timestamp?: number
  readonly partition?: number
}

/** Entries that are given records, each in a batch of its own. */
class Fixture {
  readonly entries = new TableEntries()
  readonly #builder = new RecordBatchBuilder()
  readonly #reader = new RecordBatchReader()
  #nextOffset = 0

  /** Takes a record in; its offset and whether it changed anything. */
  put({ key, value, timestamp = 1, partition = 0 }: Put): { offset: number; changed: boolean } {
    const offset = this.#nextOffset++
    const buffer = Buffer.alloc(200 + key.length * 3 + (value?.length ?? 0) * 3)
    this.#builder.begin(buffer, 0)
    this.#builder.add(timestamp, key, value, null)
    this.#builder.finish('none')
    const batch = this.#builder.buffer
    batch.writeBigInt64BE(BigInt(offset), this.#builder.start)
    this.#reader.reset(batch, this.#builder.start, 1e9)
    this.#reader.next()
    return { offset, changed: this.entries.take(this.#reader, partition) }
  }

  /** The value of a key; undefined where it has none. */
  get(key: string): string | undefined {
    const bytes = Buffer.from(key)
    if (!this.entries.turnToKey(bytes, 0, bytes.length)) return undefined
    const { buffer, valueStart, valueEnd } = this.entries
    return buffer.toString('utf8', valueStart, valueEnd)
  }

  /** All keys with their values, by number. */
  all(): ReadonlyMap<string, string> {
    const { entries } = this
    const found = new Map<string, string>()
    for (let number = 0; number < entries.numberCount; number++) {
      if (!entries.turnTo(number)) continue
      const { buffer, keyStart, keyEnd, valueStart, valueEnd } = entries
      const key = buffer.toString('utf8', keyStart, keyEnd)
      if (found.has(key)) throw new Error(`${key} is there twice`)
      found.set(key, buffer.toString('utf8', valueStart, valueEnd))
    }
    return found
  }
}

describe('the entries of a table', () => {
  it.each([1, 2, 3, 4])('are those of a Map, whatever their sizes (seed %i)', (seed) => {
    const random = new SeededRandom(seed)
    const fixture = new Fixture()
    const model = new Map<string, string>()
    for (let step = 0; step < 3_000; step++) {
      const key = `key ${random.below(150)}`.padEnd(random.below(2) * 20)
      const size = random.oneOf(0, 3, 10, 11, 12, 40, 500, random.below(3_000), 70_000)
      const value =
        random.below(6) === 0
          ? null
          : `${step}`.padEnd(random.below(40) === 0 ? size : size % 700, '.')
      const { changed } = fixture.put({ key, value })
      expect(changed).toBe(value !== null || model.has(key))
      if (value === null) model.delete(key)
      else model.set(key, value)
      if (step % 100 === 0) expect(fixture.all()).toEqual(model)
      expect(fixture.entries.size).toBe(model.size)
    }
    expect(fixture.all()).toEqual(model)
    for (const [key, value] of model) expect(fixture.get(key)).toBe(value)
  })

  it('use their memory again when they are overwritten, and give it back when they go', () => {
    const fixture = new Fixture()
    const { entries } = fixture
    for (let round = 0; round < 40; round++) {
      for (let key = 0; key < 500; key++) {
        fixture.put({ key: `k${key}`, value: 'v'.repeat(100 + ((round * 37 + key) % 100)) })
      }
    }
    const heldBytes = 500 * 200
    expect(entries.heldBytes).toBeLessThan(3 * heldBytes + 600_000)
    const before = entries.heldBytes
    for (let round = 0; round < 1_000; round++)
      fixture.put({ key: 'k1', value: 'same size'.padEnd(160) })
    expect(entries.heldBytes).toBe(before)
    for (let key = 0; key < 500; key++) fixture.put({ key: `k${key}`, value: null })
    expect(entries.size).toBe(0)
    expect(entries.heldBytes).toBeLessThan(10_000)
  })

  it('give large values memory of their own, and take it back at once', () => {
    const fixture = new Fixture()
    const { entries } = fixture
    for (let round = 0; round < 50; round++) {
      fixture.put({ key: 'large', value: `${round}`.padEnd(300_000 + round * 8) })
      fixture.put({ key: `small ${round}`, value: 'x' })
    }
    expect(entries.heldBytes).toBeLessThan(400_000)
    expect(fixture.get('large')?.startsWith('49 ')).toBe(true)
    fixture.put({ key: 'large', value: 'small now' })
    expect(entries.heldBytes).toBeLessThan(50_000)
    expect(fixture.get('small 7')).toBe('x')
  })

  it('keep the order in which keys came, through every overwriting', () => {
    const fixture = new Fixture()
    const keys = Array.from({ length: 300 }, (_, number) => `k${number}`)
    for (const key of keys) fixture.put({ key, value: '1' })
    for (const key of keys.toReversed()) fixture.put({ key, value: '2'.repeat(key.length * 9) })
    expect([...fixture.all().keys()]).toEqual(keys)
    fixture.put({ key: 'k5', value: null })
    fixture.put({ key: 'new', value: '3' })
    expect([...fixture.all().keys()][5]).toBe('new')
  })

  it('let offsets decide within a partition, and times between partitions', () => {
    const fixture = new Fixture()
    fixture.put({ key: 'a', value: 'late', timestamp: 9 })
    fixture.put({ key: 'a', value: 'early, but behind it', timestamp: 5 })
    expect(fixture.get('a')).toBe('early, but behind it')
    expect(fixture.put({ key: 'a', value: 'older', timestamp: 4, partition: 1 }).changed).toBe(
      false,
    )
    expect(fixture.put({ key: 'a', value: null, timestamp: 4, partition: 1 }).changed).toBe(false)
    fixture.put({ key: 'a', value: 'as old, and last', timestamp: 5, partition: 1 })
    expect(fixture.get('a')).toBe('as old, and last')
    fixture.put({ key: 'a', value: null, timestamp: 6, partition: 2 })
    expect(fixture.get('a')).toBeUndefined()
  })

  it('keep tombstones while older values may come', () => {
    const fixture = new Fixture()
    const { entries } = fixture
    entries.keepsTombstones = true
    fixture.put({ key: 'a', value: null, timestamp: 9, partition: 1 })
    fixture.put({ key: 'a', value: 'older', timestamp: 8, partition: 0 })
    fixture.put({ key: 'b', value: 'old', timestamp: 1, partition: 0 })
    fixture.put({ key: 'b', value: null, timestamp: 2, partition: 1 })
    fixture.put({ key: 'c', value: null, timestamp: 1, partition: 0 })
    fixture.put({ key: 'c', value: 'newer', timestamp: 2, partition: 1 })
    expect([entries.size, entries.tombstoneCount]).toEqual([1, 2])
    expect(fixture.all()).toEqual(new Map([['c', 'newer']]))
  })

  it('are not there below the start of their log, and found by the chunk to be removed', () => {
    const fixture = new Fixture()
    const { entries } = fixture
    for (let number = 0; number < 2_000; number++) {
      fixture.put({ key: `k${number}`, value: `${number}`.padEnd(100), partition: number % 2 })
    }
    entries.startsAt(0, 1_001)
    expect([
      fixture.get('k998'),
      fixture.get('k999')?.trim(),
      fixture.get('k1002')?.trim(),
    ]).toEqual([undefined, '999', '1002'])
    expect(entries.size).toBe(2_000)
    for (let chunk = 0; chunk < entries.chunkCount; chunk++) {
      for (const number of entries.gone(chunk)) entries.remove(number)
    }
    expect(entries.size).toBe(1_499)
    expect(fixture.all().size).toBe(1_499)
    for (let chunk = 0; chunk < entries.chunkCount; chunk++) expect(entries.gone(chunk)).toEqual([])
    expect(fixture.put({ key: 'k999', value: 'other', timestamp: 0, partition: 0 }).changed).toBe(
      false,
    )
    entries.startsAt(1, 2_000)
    expect(fixture.put({ key: 'k999', value: 'other', timestamp: 0, partition: 0 }).changed).toBe(
      true,
    )
    expect(fixture.get('k999')).toBe('other')
  })
})
