/**
 * Swapping a cleaned segment in, stopped at every call to the disk, by a kill and by a loss of
 * power that keeps any of what was not synced: the log is what it was before, or what it was to be.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { canSwap } from '../../src/log/segment-swap.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { driverOf, storedIn } from '../damage/stored-log.ts'
import { verify } from '../damage/repaired.ts'
import { everyCrash } from '../support/every-crash.ts'
import { clean, type CompactedLog, writeSegments } from './compacted-partition.ts'
import {
  appendMany,
  offsetsOf,
  openLog,
  partitionOf,
  range,
  readFromFiles,
  recordsOf,
} from './open-log.ts'
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
    ['several segments in the middle', [1, 3], middles],
    ['the first segment alone', [0, 1], middles],
    ['the last ones that are sealed', [1, 3], none],
  ] as const)('leaves all of the old segments, or the new one: %s', async (_what, which, keeps) => {
    const held = holder()
    const end = keeps === none ? 12 : 15
    const before = range(0, end)
    const after = cleanedOffsets(end, which, keeps)
    const seen = new Set<string>()
    for await (const { driver: crashed, kind, stoppedAt } of everyCrash(
      function* (fresh) {
        held.take(yield* writeSegments(fresh, end / 3))
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
      expect([partition.logStartOffset, partition.logEndOffset], where).toEqual([0, end])
      const offsets = offsetsOf(readFromFiles(partition))
      expect([before, after], where).toContainEqual(offsets)
      seen.add(JSON.stringify(offsets))
      expect(namesEnding(driver, '.swap'), where).toEqual([])
      expect(namesEnding(driver, '.cleaned'), where).toEqual([])
      expect(namesEnding(driver, '.deleted'), where).toEqual([])
      if (kind !== 'kill' && kind !== 'some') continue
      appendMany(partition, 1)
      await runProcedure(log.close())
      expect(verify(driver, 'boot').damage, where).toEqual([])
      const again = await openLog(driver)
      expect(again.report, where).toMatchObject({ clean: true, partitions: [] })
      const then = offsetsOf(readFromFiles(partitionOf(again.log, 't')))
      expect(then, where).toEqual([...offsets, end])
    }
    expect(seen).toEqual(new Set([JSON.stringify(before), JSON.stringify(after)]))
  })
})

describe('a swap that the disk refuses at any call', () => {
  /** Fails call number `failing` of a cleaning of segments 1 to 3, and all behind it if `lasts`. */
  async function refuse(
    failing: number,
    fault: 'EIO' | 'ENOSPC',
    lasts: boolean,
  ): Promise<{
    readonly driver: FaultDriver
    readonly held: CompactedLog
    readonly error: unknown
    /** There was such a call. */
    readonly isMet: boolean
  }> {
    const driver = new FaultDriver()
    const held = await runProcedure(writeSegments(driver, 5))
    let calls = 0
    driver.onCall = () => {
      const call = calls++
      return call === failing || (lasts && call > failing) ? fault : undefined
    }
    const error: unknown = await runProcedure(clean(driver, held, [1, 3], middles)).catch(
      (thrown: unknown) => thrown,
    )
    driver.onCall = undefined
    return { driver, held, error, isMet: calls > failing }
  }

  it.each([
    ['EIO', false],
    ['ENOSPC', false],
    ['EIO', true],
  ] as const)('leaves a log that goes on, and opens: %s, for good: %j', async (fault, lasts) => {
    const after = cleanedOffsets(15, [1, 3], middles)
    const seen = new Set<boolean>()
    for (let failing = 0; ; failing++) {
      const { driver, held, error, isMet } = await refuse(failing, fault, lasts)
      const where = `call ${failing}`
      if (error !== undefined) expect(error, where).toBeInstanceOf(LogError)
      const { partition } = held
      const offsets = offsetsOf(readFromFiles(partition))
      expect([range(0, 15), after], where).toContainEqual(offsets)
      appendMany(partition, 1)
      partition.roll()
      appendMany(partition, 1)
      const isSettled = canSwap(partition)
      seen.add(isSettled)
      if (isSettled && error !== undefined && namesEnding(driver, '.cleaned').length === 0) {
        // Nothing is in the way of another attempt.
        const count = [...partition.segments].length
        await runProcedure(clean(driver, held, [1, count - 1], middles))
        expect(canSwap(partition), where).toBe(true)
      }
      const last = offsetsOf(readFromFiles(partition))
      // At once, as a kill, and after a power cut; and after a clean close.
      const killed = driverOf(storedIn(driver))
      await runProcedure(held.log.close())
      const closed = driverOf(storedIn(new FaultDriver(driver.machine)))
      for (const left of [killed, closed]) {
        expect(verify(left, 'boot').damage, where).toEqual([])
        const { log, report } = await openLog(left)
        expect(
          report.partitions.flatMap(({ damage }) => damage),
          where,
        ).toEqual([])
        const again = partitionOf(log, 't')
        expect([again.logStartOffset, again.logEndOffset], where).toEqual([0, 17])
        const found = offsetsOf(readFromFiles(again))
        // What was committed when it failed is completed by the open.
        expect([last, [...after, 15, 16]], where).toContainEqual(found)
        expect(namesEnding(left, '.swap'), where).toEqual([])
        expect(namesEnding(left, '.cleaned'), where).toEqual([])
      }
      if (!isMet) break
    }
    expect(seen).toEqual(new Set([true, false]))
  })
})

describe('a segment that is cleaned again', () => {
  it('while the files of the first time are to be removed, ends as the second time', async () => {
    const held = holder()
    const late = { fileDeleteDelayMs: 60_000 }
    const [first, second] = [
      cleanedOffsets(18, [0, 3], middles),
      [7, 10, 11, 12, 13, 14, 15, 16, 17],
    ]
    const keeps = (offset: number): boolean => offset === 7 || offset === 10 || offset === 11
    const seen = new Set<string>()
    for await (const { driver: crashed, kind, stoppedAt } of everyCrash(
      function* (fresh) {
        held.take(yield* writeSegments(fresh, 6, late))
        yield* clean(fresh, held.log, [0, 3], middles, 0)
      },
      (broken) => clean(broken, held.log, [0, 2], keeps, 0),
    )) {
      const where = `${kind}, ${stoppedAt}`
      const driver = driverOf(storedIn(crashed))
      expect(verify(driver, 'boot').damage, where).toEqual([])
      const { log, report } = await openLog(driver)
      expect(
        report.partitions.flatMap(({ damage }) => damage),
        where,
      ).toEqual([])
      const offsets = offsetsOf(readFromFiles(partitionOf(log, 't')))
      expect([first, second], where).toContainEqual(offsets)
      seen.add(JSON.stringify(offsets))
    }
    expect(seen.size).toBe(2)
  })
})

describe('readers of a segment that is replaced', () => {
  it('go on in the new one, before and after it has its names', async () => {
    const driver = new FaultDriver()
    const held = await runProcedure(writeSegments(driver, 5))
    const { partition } = held
    partition.tail.clear()
    const cursor = partition.cursor(0)
    const procedure = clean(driver, held, [0, 4], middles)
    const read: number[] = []
    let step = procedure.next()
    for (let steps = 0; step.done !== true; steps++) {
      await step.value()
      const limit = Math.min(steps + 1, 15)
      const run = cursor.next(limit)
      if (run !== undefined) read.push(...recordsOf(run).map(({ offset }) => offset))
      expect(offsetsOf(readFromFiles(partition)).filter(middles)).toEqual(
        range(0, 15).filter(middles),
      )
      step = procedure.next()
    }
    const rest = offsetsOf(readFromFiles(partition, cursor.offset))
    expect([...read, ...rest].filter(middles)).toEqual(range(0, 15).filter(middles))
    expect(namesEnding(driver, '.deleted')).toEqual([])
  })
})
