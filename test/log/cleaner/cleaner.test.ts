/** Compacting a partition: what stays, what goes, and when. */
import { describe, expect, it } from 'vitest'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { openLog, partitionOf } from '../open-log.ts'
import { append, compact, compactedLog, end, latest, putAll, recordsIn } from './compacting.ts'

const DAY_MS = 86_400_000
const filler = (count: number): readonly (readonly [string, string])[] =>
  Array.from({ length: count }, (_, index) => [`filler-${index}`, 'x'.repeat(100)] as const)

describe('compaction', () => {
  it('keeps the last record of each key, and every offset as it was', async () => {
    const compacted = await compactedLog()
    const { partition } = compacted
    for (let round = 0; round < 20; round++) {
      putAll(partition, [
        ['a', `a${round}`],
        ['b', `b${round}`],
        [`only-${round}`, 'x'.repeat(40)],
      ])
    }
    const before = recordsIn(partition)
    const { isComplete, firstDirtyOffset, stats } = await compact(compacted)
    expect(isComplete).toBe(true)
    expect(firstDirtyOffset).toBe(partition.segments.active.baseOffset)
    const after = recordsIn(partition)
    expect(latest(after)).toEqual(latest(before))
    const last = new Map(
      before.filter(({ offset }) => offset < firstDirtyOffset).map((one) => [one.key, one]),
    )
    const expected = before.filter(
      (one) => one.offset >= firstDirtyOffset || last.get(one.key) === one,
    )
    expect(after).toEqual(expected)
    expect(stats.records - stats.kept).toBe(before.length - after.length)
    expect(partition.logEndOffset).toBe(60)
  })

  it('changes nothing when it is done again', async () => {
    const compacted = await compactedLog()
    putAll(compacted.partition, [...filler(30), ...filler(30)])
    await compact(compacted)
    const before = recordsIn(compacted.partition)
    // Segments that got smaller come together, a few times.
    for (let passes = 0; passes < 4; passes++) await compact(compacted)
    const { stats } = await compact(compacted)
    expect(stats).toMatchObject({ newSegments: 0, writtenBytes: 0 })
    expect(recordsIn(compacted.partition)).toEqual(before)
  })

  it('keeps a tombstone until its horizon, which the first pass sets', async () => {
    const compacted = await compactedLog({ deleteRetentionMs: DAY_MS })
    const { partition, clock } = compacted
    putAll(partition, [['k', 'v'], ['k', null], ...filler(30)])
    const deletes = (): number => recordsIn(partition).filter(({ key }) => key === 'k').length
    clock.advance(10 * DAY_MS)
    await compact(compacted)
    expect(deletes()).toBe(1)
    clock.advance(DAY_MS - 1)
    await compact(compacted)
    expect(deletes()).toBe(1)
    clock.advance(1)
    await compact(compacted)
    expect(deletes()).toBe(0)
  })

  it('drops what was aborted, and in time the markers', async () => {
    const compacted = await compactedLog({ deleteRetentionMs: DAY_MS })
    const { partition, clock } = compacted
    const producer = { producerId: 7, transactional: true }
    append(partition, [{ key: 'a', value: 'kept' }])
    append(partition, [{ key: 'a', value: 'aborted' }], producer)
    end(partition, 7, 'abort')
    append(partition, [{ key: 'b', value: 'committed' }], producer)
    end(partition, 7, 'commit')
    putAll(partition, filler(30))
    await compact(compacted)
    const values = latest(recordsIn(partition))
    expect([values.get('a'), values.get('b')]).toEqual(['kept', 'committed'])
    await compact(compacted)
    clock.advance(DAY_MS)
    await compact(compacted)
    expect(latest(recordsIn(partition, true))).toEqual(values)
    expect(partition.segments.first.recordCount).toBeGreaterThan(0)
  })

  it('drops no marker that a snapshot of producers lacks', async () => {
    const driver = new FaultDriver()
    const compacted = await compactedLog({ deleteRetentionMs: 0 }, driver)
    const { partition, clock } = compacted
    append(partition, [{ key: 'a', value: '1' }], { producerId: 7, transactional: true })
    putAll(partition, filler(20))
    await partition.syncForCheckpoint() // A snapshot in which the transaction is open.
    end(partition, 7, 'commit')
    append(partition, [{ key: 'a', value: '2' }], { producerId: 7 })
    putAll(partition, filler(40))
    for (let passes = 0; passes < 3; passes++) {
      clock.advance(1)
      await compact(compacted)
    }
    const { log } = await openLog(driver.processKill(), { clock })
    // Nothing had to be aborted.
    expect(partitionOf(log, 't').logEndOffset).toBe(partition.logEndOffset)
  })
})
