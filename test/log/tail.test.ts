/**
 * The newest batches in memory: without a hole, within their share, never a byte that changes.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assignOffsets,
  baseOffsetOf,
  batchSizeBytesOf,
  nextOffsetOf,
  sealBatch,
} from '../../src/format/record-batch.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { ReusedBuffer } from '../../src/log/reused-buffer.ts'
import { Tail, TailBudget } from '../../src/log/tail.ts'

const MEBIBYTE = 1_048_576

/** Encodes a batch of `count` records of `valueBytes` and gives it to the tail. */
function accept(tail: Tail, baseOffset: number, count: number, valueBytes: number): number {
  const builder = new RecordBatchBuilder()
  const { buffer, start } = tail.reserve()
  builder.begin(buffer, start)
  for (let done = 0; done < count; done++) builder.add(1, null, 'x'.repeat(valueBytes), null)
  builder.finish('none')
  assignOffsets(builder.buffer, builder.start, baseOffset, 0)
  sealBatch(builder.buffer, builder.start)
  const lastOffset = baseOffset + count - 1
  const { sizeBytes, recordCount } = builder
  const batch = { buffer: builder.buffer, start: builder.start, sizeBytes, recordCount }
  tail.accept({ ...batch, lastOffset, maxTimestamp: 1 }, baseOffset)
  return lastOffset + 1
}

/** Offsets at which batches start, read from `offset` on. */
function walk(tail: Tail, offset: number, end: number, maxBytes: number): readonly number[] {
  const bases: number[] = []
  for (let at = offset; at < end;) {
    const run = tail.read(at, end, maxBytes, new ReusedBuffer())
    if (run === undefined) break
    for (let start = run.start; start < run.end; start += batchSizeBytesOf(run.buffer, start)) {
      bases.push(baseOffsetOf(run.buffer, start))
      at = nextOffsetOf(run.buffer, start)
    }
  }
  return bases
}

describe('a tail', () => {
  it('gives from any offset it holds what was accepted, batch by batch', () => {
    const sizes = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 9_000 })),
      { minLength: 1, maxLength: 60 },
    )
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 20_000 }), (batches, maxBytes) => {
        const tail = new Tail(new TailBudget(64 * MEBIBYTE))
        const bases: number[] = []
        let end = 0
        for (const [count, valueBytes] of batches) {
          bases.push(end)
          end = accept(tail, end, count, valueBytes)
        }
        expect(walk(tail, 0, end, maxBytes)).toEqual(bases)
        for (let offset = 0; offset < end; offset++) {
          const from = bases.findLast((base) => base <= offset) ?? 0
          expect(walk(tail, offset, end, maxBytes)[0]).toBe(from)
        }
        const limited = walk(tail, 0, Math.ceil(end / 2), maxBytes)
        expect(limited).toEqual(bases.filter((base) => base < Math.ceil(end / 2)))
      }),
    )
  })

  it('forgets everything before a batch that is too large to be kept', () => {
    const tail = new Tail(new TailBudget(64 * MEBIBYTE))
    let end = accept(tail, 0, 1, 10)
    end = accept(tail, end, 1, 5 * MEBIBYTE)
    expect([tail.firstOffset, tail.read(0, end, 100, new ReusedBuffer())]).toEqual([
      Infinity,
      undefined,
    ])
    end = accept(tail, end, 1, 10)
    expect(tail.firstOffset).toBe(2)
    expect(tail.read(0, end, 100, new ReusedBuffer())).toBeUndefined()
    expect(walk(tail, 2, end, 100)).toEqual([2])
  })

  it('gives its oldest memory up when all tails hold more than their share', () => {
    const budget = new TailBudget(3 * MEBIBYTE)
    const tails = Array.from({ length: 20 }, () => new Tail(budget))
    const ends = tails.map(() => 0)
    for (let round = 0; round < 40; round++) {
      for (const [index, tail] of tails.entries()) {
        ends[index] = accept(tail, ends[index] ?? 0, 1, 8_000)
        expect(budget.heldBytes).toBeLessThanOrEqual(4 * MEBIBYTE)
      }
    }
    for (const [index, tail] of tails.entries()) {
      const end = ends[index] ?? 0
      if (tail.firstOffset === Infinity) continue
      expect(walk(tail, tail.firstOffset, end, 50_000)).toHaveLength(end - tail.firstOffset)
    }
    for (const tail of tails) tail.clear()
    expect(budget.heldBytes).toBe(0)
  })

  it('lends nothing: what was read does not change when more is accepted', () => {
    const tail = new Tail(new TailBudget(64 * MEBIBYTE))
    const end = accept(tail, 0, 2, 100)
    const run = tail.read(0, end, 1_000, new ReusedBuffer())
    const copy = Buffer.from(run?.buffer.subarray(0, run.end) ?? [])
    run?.buffer.fill(0)
    const again = tail.read(0, end, 1_000, new ReusedBuffer())
    expect(again?.buffer.subarray(0, again.end).equals(copy)).toBe(true)
  })

  it('takes the memory of what it dropped again, and shows nothing of it', () => {
    const budget = new TailBudget(64 * MEBIBYTE)
    const tail = new Tail(budget)
    const buffers = new Set<Buffer>()
    let end = 0
    for (let done = 0; done < 3_000; done += 1) {
      buffers.add(tail.reserve().buffer)
      end = accept(tail, end, 1, 8_000)
    }
    // Four chunks of full size and the spare one; smaller ones came before.
    const full = [...buffers].filter((buffer) => buffer.length === MEBIBYTE)
    expect(full.length).toBeLessThanOrEqual(5)
    const first = tail.firstOffset
    expect(first).toBeGreaterThan(end - 600)
    expect(walk(tail, first, end, 50_000)).toEqual(
      Array.from({ length: end - first }, (_, index) => first + index),
    )
    expect(tail.read(first - 1, end, 100, new ReusedBuffer())).toBeUndefined()
  })

  it('moves out who began where all it held was dropped to make room', () => {
    const tail = new Tail(new TailBudget(64 * MEBIBYTE))
    const end = accept(tail, 0, 1, 4 * MEBIBYTE - 16_384) // All but what a tail may hold.
    const builder = new RecordBatchBuilder()
    tail.begin(builder)
    const { buffer } = builder
    expect(tail.firstOffset).toBe(Infinity)
    accept(tail, end, 1, 10)
    expect(builder.buffer).not.toBe(buffer)
  })

  it('moves out who encodes in its memory before anybody else gets that', () => {
    const budget = new TailBudget(3 * MEBIBYTE)
    const others: readonly ((tail: Tail) => void)[] = [
      (tail) => void tail.reserve(),
      (tail) => void accept(tail, 1, 1, 10),
      (tail) => tail.clear(),
      () => {
        const greedy = new Tail(budget)
        for (let end = 0; end < 3_000;) end = accept(greedy, end, 1, 8_000)
        greedy.clear()
      },
    ]
    for (const other of others) {
      const tail = new Tail(budget)
      accept(tail, 0, 1, 10)
      let moves = 0
      tail.begin({ begin: () => undefined, moveOut: () => (moves += 1) })
      expect(moves).toBe(0)
      other(tail)
      expect(moves).toBe(1)
      tail.reserve()
      expect(moves).toBe(1)
      tail.clear()
    }
  })
})
