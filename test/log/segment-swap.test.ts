/**
 * Swapping a cleaned segment in, stopped at every call to the disk, by a kill and by a loss of
 * power that keeps any of what was not synced: the log is what it was before, or what it was to be.
 */
import { describe, expect, it } from 'vitest'
import { runProcedure } from '../../src/storage/procedure.ts'
import { driverOf, storedIn } from '../damage/stored-log.ts'
import { verify } from '../damage/repaired.ts'
import { everyCrash } from '../support/every-crash.ts'
import { clean, type CompactedLog, writeSegments } from './compacted-partition.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readFromFiles } from './open-log.ts'
import { namesEnding } from './tampering.ts'

/** Offsets that cleaning keeps: of each segment the middle one. */
const middles = (offset: number): boolean => offset % 3 === 1
const none = (): boolean => false

/** The log that `everyCrash` prepared. */
function holder(): {
  take(log: CompactedLog): void
  readonly log: CompactedLog
} {
  let held: CompactedLog | undefined
  return {
    take(log) {
      held = log
    },
    get log() {
      if (held === undefined) throw new Error('nothing was prepared')
      return held
    },
  }
}

/** Offsets of `0` to `end` without those that cleaning segments `from` to `to` drops. */
function cleanedOffsets(
  end: number,
  [from, to]: readonly [number, number],
  keeps: (offset: number) => boolean,
): readonly number[] {
  return range(0, end).filter((offset) => offset < from * 3 || offset >= to * 3 || keeps(offset))
}

describe('a swap that is stopped at any call', () => {
  it.each([
    ['several segments in the middle', [1, 4], middles],
    ['the first segment alone', [0, 1], middles],
    ['all that are sealed', [0, 5], middles],
    ['the last sealed one', [4, 5], middles],
    ['segments of which nothing is left', [1, 3], none],
  ] as const)('leaves all of the old segments, or the new one: %s', async (_what, which, keeps) => {
    const held = holder()
    const before = range(0, 18)
    const after = cleanedOffsets(18, which, keeps)
    const seen = new Set<string>()
    for await (const { driver: crashed, kind, stoppedAt } of everyCrash(
      function* (fresh) {
        held.take(yield* writeSegments(fresh, 6))
      },
      (broken) => clean(broken, held.log, which, keeps),
    )) {
      const where = `${kind}, ${stoppedAt}`
      const driver = driverOf(storedIn(crashed))
      expect(verify(driver, 'boot').damage, where).toEqual([])
      const { log, report } = await openLog(driver)
      const partition = partitionOf(log, 't')
      expect(
        report.partitions.flatMap(({ damage }) => damage),
        where,
      ).toEqual([])
      expect([partition.logStartOffset, partition.logEndOffset], where).toEqual([0, 18])
      const offsets = offsetsOf(readFromFiles(partition))
      expect([before, after], where).toContainEqual(offsets)
      seen.add(JSON.stringify(offsets))
      expect(namesEnding(driver, '.swap'), where).toEqual([])
      expect(namesEnding(driver, '.cleaned'), where).toEqual([])
      expect(namesEnding(driver, '.deleted'), where).toEqual([])
      appendMany(partition, 1)
      await runProcedure(log.close())
      expect(verify(driver, 'boot').damage, where).toEqual([])
      const again = await openLog(driver)
      expect(again.report, where).toMatchObject({ clean: true, partitions: [] })
      const then = offsetsOf(readFromFiles(partitionOf(again.log, 't')))
      expect(then, where).toEqual([...offsets, 18])
    }
    expect(seen).toEqual(new Set([JSON.stringify(before), JSON.stringify(after)]))
  })
})
