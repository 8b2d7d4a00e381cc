/**
 * Lookups by time over many segments, with times in any order: beside a list of what is there,
 * through whatever changes the segments, and with a count of the segments that are looked at.
 */
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { Segment } from '../../src/storage/segment.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { clean, writeSegments } from './compacted-partition.ts'
import { appendBatch, openLog, partitionOf, range } from './open-log.ts'
import { RetainedLog } from './retained-log.ts'

const TIMES = 12

afterEach(() => {
  vi.restoreAllMocks()
})

const aStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ does: fc.constant('append'), choice: fc.nat({ max: TIMES }) }),
  },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('roll'), choice: fc.constant(0) }) },
  fc.record({
    does: fc.constantFrom('delete', 'retain', 'compact', 'reopen', 'kill', 'rebuild'),
    choice: fc.nat({ max: 1_000 }),
  }),
)

/** A log whose segments come and go, and the times of what is in it. */
class Scene {
  readonly times: Map<number, number>
  #log: RetainedLog

  private constructor(log: RetainedLog) {
    this.#log = log
    this.times = new Map(range(0, 3).map((offset) => [offset, 1_000 + offset]))
  }

  static async begin(): Promise<Scene> {
    const driver = new FaultDriver()
    await runProcedure(writeSegments(driver, 1))
    return new Scene(await RetainedLog.open(driver.processKill()))
  }

  get partition(): PartitionLog {
    return partitionOf(this.#log.log, 't')
  }

  async step(does: string, choice: number): Promise<void> {
    const { partition } = this
    const { logStartOffset, logEndOffset, segments } = partition
    // `as`: the driver is the one that `begin` made, or one that came of it.
    const driver = this.#log.driver as FaultDriver
    switch (does) {
      case 'append':
        this.times.set(logEndOffset, choice)
        appendBatch(partition, [{ timestamp: choice, value: 'v' }])
        return
      case 'roll':
        if (segments.active.sizeBytes > 0) partition.roll()
        return
      case 'delete': {
        const start = logStartOffset + (choice % (logEndOffset - logStartOffset + 1))
        await runProcedure(this.#log.log.deleteRecordsBefore(partition, start))
        for (const offset of range(0, start)) this.times.delete(offset)
        return
      }
      case 'retain':
        await this.#log.retain()
        return
      case 'rebuild':
        segments.rebuildIndexes(segments.at(choice % segments.count))
        return
      case 'compact':
        await this.#compact(driver, choice)
        return
      case 'reopen':
        await runProcedure(this.#log.log.close())
        this.#log = await RetainedLog.open(driver.processKill())
        return
      default:
        this.#log = await RetainedLog.open(driver.processKill())
    }
  }

  async #compact(driver: FaultDriver, choice: number): Promise<void> {
    const { partition } = this
    const sealed = partition.segments.count - 1
    if (sealed < 1 || partition.segments.first.baseOffset < partition.logStartOffset) return
    const from = choice % sealed
    const to = Math.min(sealed, from + 1 + (choice % 3))
    const keeps = (offset: number): boolean => (offset + choice) % 3 === 0
    const first = partition.segments.at(from).baseOffset
    const end = partition.segments.at(to).baseOffset
    const { removal } = this.#log
    await partition.makeDurable(partition.logEndOffset)
    await runProcedure(clean(driver, { log: this.#log.log, partition, removal }, [from, to], keeps))
    for (const offset of range(first, end)) if (!keeps(offset)) this.times.delete(offset)
  }
}

describe('a lookup by time over segments', () => {
  it('finds the first offset as late as asked for, whatever becomes of the segments', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 10, maxLength: 40 }), async (steps) => {
        const scene = await Scene.begin()
        for (const { does, choice } of steps) {
          await scene.step(does, choice)
          for (const time of [0, 5, TIMES, 1_002]) {
            const [found] = [...scene.times].find(([, at]) => at >= time) ?? [null]
            expect(offsetForTimestamp(scene.partition, time), `${does}: ${time}`).toBe(found)
          }
        }
      }),
      { numRuns: 25 },
    )
  }, 60_000)

  it('looks at few of them, and reads none that cannot have it', async () => {
    const count = 200
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', { segmentBytes: 1 << 20, preallocate: false }))
    const writer = partitionOf(log, 't')
    for (let segment = 0; segment < count; segment += 1) {
      if (segment > 0) writer.roll()
      // Each second one is late.
      appendBatch(writer, [{ timestamp: 1_000 + segment - (segment % 2) * 50, value: 'v' }])
    }
    await runProcedure(log.close())

    const again = driver.processKill()
    const partition = partitionOf((await openLog(again)).log, 't')
    const opened = vi.spyOn(again, 'openFile')
    const asked = vi.spyOn(Segment.prototype, 'largestTimestamp', 'get')
    expect(offsetForTimestamp(partition, 1_000 + count)).toBeNull()
    expect([asked.mock.calls.length, opened.mock.calls.length]).toEqual([count, 0])

    asked.mockClear()
    expect(offsetForTimestamp(partition, 1_101)).toBe(102)
    expect(asked.mock.calls.length).toBe(1)
    const files = opened.mock.calls.map(([path]) => path.slice('t-0/'.length).replace(/^0+/, ''))
    expect(new Set(files)).toEqual(new Set(['102.log', '102.index', '102.timeindex']))

    asked.mockClear()
    appendBatch(partition, [{ timestamp: 5_000, value: 'v' }])
    expect(offsetForTimestamp(partition, 4_000)).toBe(count)
    expect(offsetForTimestamp(partition, 6_000)).toBeNull()
    expect(asked.mock.calls.length).toBe(2)
  })

  it('finds what a segment turns out to hold when its indexes are built anew', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', { segmentBytes: 1 << 20, preallocate: false }))
    const partition = partitionOf(log, 't')
    for (const timestamp of [10, 90, 20]) {
      if (partition.logEndOffset > 0) partition.roll()
      appendBatch(partition, [{ timestamp, value: 'v' }])
    }
    const said = vi.spyOn(Segment.prototype, 'largestTimestamp', 'get').mockReturnValue(10)
    expect(offsetForTimestamp(partition, 50)).toBeNull()
    said.mockRestore()
    partition.segments.rebuildIndexes(partition.segments.at(1))
    expect(offsetForTimestamp(partition, 50)).toBe(1)
  })
})
