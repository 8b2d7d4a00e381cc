/**
 * What work costs, counted instead of timed: bytes that V8 and buffers allocate for a unit of it,
 * and calls of the file system. The bounds lie a little above what was counted, so whoever makes a
 * kind of work more expensive fails here, however fast the machine is; whoever makes one cheaper
 * lowers its bound. Promises, turns and readings of the clock: test/client/write-costs.test.ts.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FS_EFFECTS, type FsEffect } from '../torture/fs-calls.ts'
import { CostCounts, type Costs } from './cost-counts.ts'
import type { WorkName } from './works.ts'

/** At most, of one unit. */
interface MemoryBound {
  readonly heapBytes: number
  readonly outsideBytes: number
}

/** At most, of one unit: writes, syncs, and all others together. */
interface CallBound {
  readonly writes: number
  readonly syncs: number
  readonly others: number
}

const MEMORY: readonly (readonly [WorkName, MemoryBound])[] = [
  ['a record appended in a batch of 100', { heapBytes: 36, outsideBytes: 2 }],
  ['a record appended by itself', { heapBytes: 450, outsideBytes: 2 }],
  ['a record enqueued', { heapBytes: 50, outsideBytes: 4 }],
  ['a record sent with acks 1, each awaited', { heapBytes: 2_800, outsideBytes: 150 }],
  ['a group of 256 durable sends', { heapBytes: 200_000, outsideBytes: 35_000 }],
  ['a transaction of 10 records', { heapBytes: 45_000, outsideBytes: 3_300 }],
  ['a record scanned', { heapBytes: 4, outsideBytes: 50 }],
  ['a record iterated', { heapBytes: 170, outsideBytes: 200 }],
  ['a record read by for await', { heapBytes: 480, outsideBytes: 200 }],
  ['a record got by its offset', { heapBytes: 560, outsideBytes: 150 }],
]

const CALLS: readonly (readonly [WorkName, CallBound])[] = [
  ['a record appended in a batch of 100', { writes: 0.0101, syncs: 0, others: 0.0005 }],
  ['a record appended by itself', { writes: 1.001, syncs: 0, others: 0.003 }],
  ['a record enqueued', { writes: 0.0025, syncs: 0, others: 0.0005 }],
  ['a record sent with acks 1, each awaited', { writes: 1.02, syncs: 0, others: 0.001 }],
  ['a group of 256 durable sends', { writes: 2.6, syncs: 1, others: 0.1 }],
  ['a transaction of 10 records', { writes: 2.8, syncs: 1, others: 0.1 }],
  ['a record scanned', { writes: 0, syncs: 0, others: 0.0003 }],
  ['a record iterated', { writes: 0, syncs: 0, others: 0.0003 }],
  ['a record read by for await', { writes: 0, syncs: 0, others: 0.0003 }],
  ['a record got by its offset', { writes: 0, syncs: 0, others: 0.001 }],
]

describe('costs', () => {
  let counts: CostCounts
  let directory: string

  beforeAll(() => {
    counts = new CostCounts()
    directory = mkdtempSync(join(tmpdir(), 'streambed-costs-'))
  })

  afterAll(() => {
    counts.remove()
    rmSync(directory, { recursive: true })
  })

  const counted = (work: WorkName, what: 'memory' | 'calls'): Promise<Costs> =>
    counts.count({ work, what, directory: mkdtempSync(join(directory, `${what}-`)) })

  it.each(MEMORY)('no more memory than it may: %s', async (work, bound) => {
    const { heapBytes, outsideBytes } = await counted(work, 'memory')
    expect(heapBytes).toBeGreaterThan(0)
    expect(heapBytes).toBeLessThan(bound.heapBytes)
    expect(outsideBytes).toBeLessThan(bound.outsideBytes)
  })

  it.each(CALLS)('no more calls than it may: %s', async (work, bound) => {
    const { calls } = await counted(work, 'calls')
    const [writes, syncs] = [sumOf(calls, ['write']), sumOf(calls, ['sync'])]
    const others = sumOf(calls, ['open', 'close', 'resize', 'name', 'none'])
    expect({ calls, isWithin: writes <= bound.writes }).toEqual({ calls, isWithin: true })
    expect({ calls, isWithin: syncs <= bound.syncs }).toEqual({ calls, isWithin: true })
    expect({ calls, isWithin: others <= bound.others }).toEqual({ calls, isWithin: true })
  })

  it('one look at a segment when a log is opened, and no call more', async () => {
    const few = await counted('an open of 50 segments', 'calls')
    const many = await counted('an open of 250 segments', 'calls')
    const all: readonly FsEffect[] = ['open', 'close', 'write', 'resize', 'name', 'sync', 'none']
    expect(sumOf(many.calls, all) - sumOf(few.calls, all)).toBeLessThanOrEqual(200)
  })

  it('no sync, and three opens, more for a partition in which nothing happens', async () => {
    const few = await counted('a close of 50 idle partitions', 'calls')
    const many = await counted('a close of 250 idle partitions', 'calls')
    const more = (effects: readonly FsEffect[]): number =>
      (sumOf(many.calls, effects) - sumOf(few.calls, effects)) / 200
    expect(more(['sync'])).toBe(0)
    expect(more(['name', 'resize'])).toBe(0)
    // Its two small files, and its .log.
    expect(more(['open'])).toBeLessThanOrEqual(3.1)
    // Of an open alone: a close has nothing to look at.
    expect(more(['none'])).toBeLessThanOrEqual(26)
  })
})

function sumOf(calls: Costs['calls'], effects: readonly FsEffect[]): number {
  const counted = Object.entries(calls).filter(([name]) =>
    effects.includes(FS_EFFECTS[name] ?? 'none'),
  )
  return counted.reduce((sum, [, count]) => sum + count, 0)
}
