/** The batch of one append: read record by record, encoded at once, one a call. */
import { describe, expect, it } from 'vitest'
import { PreparedBatch } from '../../src/client/prepared-batch.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { Tail, TailBudget } from '../../src/log/tail.ts'
import { refusal } from './refusal.ts'
import { RAW } from './stored-records.ts'

const NOW = 1_000

function newTail(): Tail {
  return new Tail(new TailBudget(1_048_576))
}

/** Timestamp, key and value of each record, as stored. */
function stored(
  batch: PreparedBatch,
): readonly (readonly [number, string | null, string | null])[] {
  const { builder } = batch
  builder.finish('none')
  const reader = new RecordBatchReader()
  reader.reset(builder.buffer, builder.start, 1_048_576)
  const text = (start: number, length: number): string | null =>
    length < 0 ? null : reader.buffer.toString('utf8', start, start + length)
  const records: (readonly [number, string | null, string | null])[] = []
  while (reader.next()) {
    const { timestamp, keyStart, keyLength, valueStart, valueLength } = reader
    records.push([timestamp, text(keyStart, keyLength), text(valueStart, valueLength)])
  }
  return records
}

describe('a prepared batch', () => {
  it('has every record that was read, and none of them when it is taken again', () => {
    const tail = newTail()
    const batch = PreparedBatch.take(tail)
    batch.read([{ key: 'k' }, { value: 'v', headers: { a: '1' }, timestamp: 5 }], RAW, NOW)
    expect(stored(batch)).toEqual([
      [NOW, 'k', null],
      [5, null, 'v'],
    ])
    batch.giveBack()
    const again = PreparedBatch.take(tail)
    expect(again).toBe(batch)
    expect(again.builder.recordCount).toBe(0)
    again.giveBack()
  })

  it('lies in the memory of the tail, where the tail keeps it without a copy', () => {
    const tail = newTail()
    const { buffer, start } = tail.reserve()
    const batch = PreparedBatch.take(tail)
    batch.add({ value: 'v' }, RAW, NOW)
    expect(batch.builder.buffer).toBe(buffer)
    expect(batch.builder.start).toBe(start)
    batch.giveBack()
  })

  it('is another one for an append inside an append, which leaves it as it was', () => {
    const tail = newTail()
    const outer = PreparedBatch.take(tail)
    outer.add({ key: 'outer', value: 'first' }, RAW, NOW)
    const inner = PreparedBatch.take(tail)
    expect(inner).not.toBe(outer)
    inner.add({ key: 'inner', value: 'x'.repeat(200) }, RAW, NOW + 1)
    outer.add({ key: 'outer', value: 'second' }, RAW, NOW)
    expect(stored(inner)).toEqual([[NOW + 1, 'inner', 'x'.repeat(200)]])
    expect(stored(outer)).toEqual([
      [NOW, 'outer', 'first'],
      [NOW, 'outer', 'second'],
    ])
    inner.giveBack()
    outer.giveBack()
  })

  it('names the record that is refused', () => {
    const batch = PreparedBatch.take(newTail())
    const error = refusal(() => batch.read([{ value: 'v' }, { value: 1 }], RAW, NOW))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.message).toContain('record 1')
    expect(error.details).toEqual({ value: 1 })
    batch.giveBack()
    expect(refusal(() => batch.read([{ value: 1 }], RAW, NOW)).message).not.toContain('record 0')
  })

  it('refuses holes', () => {
    const batch = PreparedBatch.take(newTail())
    const holed = Array.from<unknown>({ length: 2 })
    expect(refusal(() => batch.read(holed, RAW, NOW)).code).toBe('INVALID_ARGUMENT')
    batch.giveBack()
  })
})
