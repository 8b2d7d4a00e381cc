/** Indexes in memory: bounded, the idle ones first, and nothing is lost that is nowhere else. */
import { describe, expect, it } from 'vitest'
import { IndexBudget } from '../../src/storage/index-budget.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { emptyContents } from '../../src/storage/segment-contents.ts'
import { SegmentIndexes } from '../../src/storage/segment-indexes.ts'
import { collectGarbage } from '../support/process-resources.ts'

const ENTRIES = 1_000
const INDEX_BYTES = ENTRIES * (8 + 12)

/** Indexes of `count` sealed segments in files, none of them loaded. */
function sealed(count: number, budget: IndexBudget): readonly SegmentIndexes[] {
  const driver = openMemoryDriver()
  driver.createDirectory('t-0')
  return Array.from({ length: count }, (_, at) => {
    const place = { driver, directory: 't-0', baseOffset: at * ENTRIES }
    const written = SegmentIndexes.create(place)
    for (let entry = 0; entry < ENTRIES; entry++) {
      const offset = place.baseOffset + entry
      written.add({ offset, position: entry + 1 }, { timestamp: entry, offset })
    }
    written.writeOut()
    written.close()
    const indexes = new SegmentIndexes(place, emptyContents(place.baseOffset), budget)
    indexes.becomeFinal()
    return indexes
  })
}

function use(indexes: SegmentIndexes | undefined, at: number): void {
  expect(indexes?.isUsable(ENTRIES + 1, (at + 1) * ENTRIES)).toBe(true)
  expect(indexes?.offset.offsetOfSlot(7)).toBe(at * ENTRIES + 7)
}

describe('an index budget', () => {
  it('bounds what is loaded, however many segments are read', () => {
    const budget = new IndexBudget(4 * INDEX_BYTES)
    const all = sealed(40, budget)
    for (let round = 0; round < 2; round++) {
      for (const [at, indexes] of all.entries()) {
        use(indexes, at)
        expect(budget.loadedBytes).toBeLessThan(5.5 * INDEX_BYTES)
      }
    }
    for (const indexes of all) indexes.close()
    expect(budget.loadedBytes).toBe(0)
  })

  it('keeps what is used again and again', () => {
    const budget = new IndexBudget(4 * INDEX_BYTES)
    const [often, ...others] = sealed(40, budget)
    use(often, 0)
    const kept = often?.offset
    for (const [at, indexes] of others.entries()) {
      use(indexes, at + 1)
      expect(often?.offset).toBe(kept)
    }
  })

  it('asks what is loaded for its size only when there may be too much', () => {
    const budget = new IndexBudget(1_000)
    let asked = 0
    const all = Array.from({ length: 100 }, () => ({
      get loadedBytes(): number {
        asked += 1
        return 10
      },
      lastUse: 0,
      unload: () => false,
    }))
    for (const indexes of all) budget.took(indexes)
    expect(asked).toBe(100)
  })

  it('does not keep indexes alive that nobody holds any more', async () => {
    const budget = new IndexBudget(4 * INDEX_BYTES)
    for (const [at, indexes] of sealed(10, budget).entries()) use(indexes, at)
    const before = budget.loadedBytes
    await collectGarbage()
    // The stack may still have one of them.
    expect(budget.loadedBytes).toBeLessThan(before / 2)
  })

  it('forgets which batches passed their CRC, together with the index', () => {
    const budget = new IndexBudget(INDEX_BYTES)
    const [first, ...others] = sealed(5, budget)
    first?.offset.markVerified(3)
    for (const indexes of others) expect(indexes.offset.isVerified(3)).toBe(false)
    expect(first?.loadedBytes).toBe(0)
    expect(first?.offset.isVerified(3)).toBe(false)
  })

  it('lets nothing go that is not in its file, or of a segment that still grows', () => {
    const budget = new IndexBudget(0)
    const [rebuilt, flushed] = sealed(2, budget)
    rebuilt?.startAnew()
    rebuilt?.add({ offset: 5, position: 9 }, { timestamp: 1, offset: 5 })
    const driver = openMemoryDriver()
    driver.createDirectory('a-0')
    const growing = SegmentIndexes.create({ driver, directory: 'a-0', baseOffset: 0 })
    growing.add({ offset: 1, position: 70 }, { timestamp: 1, offset: 1 })
    expect(growing.unload()).toBe(false)
    use(flushed, 1)
    expect(rebuilt?.unload()).toBe(false)
    expect(rebuilt?.offset.slotCount).toBe(1)
    expect(flushed?.unload()).toBe(true)
    use(flushed, 1)
  })
})
