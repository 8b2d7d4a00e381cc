/** The changing set of a log's segments: rolled on request, dropped, replaced. */
import { describe, expect, it, vi } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { Segment } from '../../src/storage/segment.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readRecords } from './open-log.ts'

interface Opened {
  readonly driver: FaultDriver
  readonly log: LogDirectory
  readonly partition: PartitionLog
}

/** Four segments of two records each, the last of them active. */
async function open(): Promise<Opened> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { preallocate: false }))
  const partition = partitionOf(log, 't')
  for (let segment = 0; segment < 4; segment++) {
    if (segment > 0) partition.roll()
    appendMany(partition, 2)
  }
  return { driver, log, partition }
}

function basesOf(partition: PartitionLog): readonly number[] {
  return Array.from(partition.segments, ({ baseOffset }) => baseOffset)
}

/** The same segment once more, as a cleaner that found nothing to remove would have left it. */
function reopened({ driver }: Opened, partition: PartitionLog, segment: Segment): Segment {
  const { baseOffset, contents } = segment
  const place = { driver, directory: partition.directory, baseOffset }
  return Segment.openSealed(place, partition.config, contents)
}

describe('a roll', () => {
  it('starts a segment at the end of the log, once', async () => {
    const { partition } = await open()
    partition.roll()
    partition.roll()
    expect(basesOf(partition)).toEqual([0, 2, 4, 6, 8])
    appendMany(partition, 1)
    expect(offsetsOf(readRecords(partition))).toEqual(range(0, 9))
  })

  it('that finds no room is made by the next append', async () => {
    const { driver, partition } = await open()
    driver.onCall = ({ action }) => (action === 'create' ? 'ENOSPC' : undefined)
    expect(() => partition.roll()).toThrow(/space/)
    driver.onCall = undefined
    appendMany(partition, 1)
    expect(basesOf(partition)).toEqual([0, 2, 4, 6, 8])
  })
})

describe('segments that are dropped', () => {
  it('are the oldest, and only what lies below the start of the log', async () => {
    const { partition } = await open()
    expect(() => partition.dropSegments(1)).toThrow(/can be read/)
    partition.advanceLogStart(5)
    const before = partition.layout.epoch
    expect(partition.dropSegments(2).map(({ baseOffset }) => baseOffset)).toEqual([0, 2])
    expect(partition.layout.epoch).toBe(before + 2)
    expect(basesOf(partition)).toEqual([4, 6])
    expect(offsetsOf(readRecords(partition))).toEqual([5, 6, 7])
    expect(() => partition.dropSegments(2)).toThrow(/has a segment/)
  })

  it('need no sync any more, also where a round has begun', async () => {
    const { driver, partition } = await open()
    const durable = partition.makeDurable(8)
    partition.advanceLogStart(6)
    for (const segment of partition.dropSegments(3)) segment.close()
    await durable
    expect(partition.durableOffset).toBe(8)
    appendMany(partition, 1)
    await partition.syncForCheckpoint()
    expect(partition.recoveryPoint).toBe(9)
    expect(driver.isDead).toBe(false)
  })

  it('may be closed while they are synced: that this fails says nothing', async () => {
    const { partition } = await open()
    const { first } = partition.segments
    vi.spyOn(first, 'flushLog').mockImplementation(async () => {
      partition.advanceLogStart(2)
      for (const segment of partition.dropSegments(1)) segment.close()
      throw new LogError('IO', 'it was closed meanwhile', { file: first.logPath })
    })
    await partition.makeDurable(8)
    expect(partition.durableOffset).toBe(8)
    appendMany(partition, 1)
    expect(offsetsOf(readRecords(partition))).toEqual(range(2, 9))
  })

  it('leave epochs that begin where the log does', async () => {
    const { partition } = await open()
    partition.epochs.assign(7, 3)
    partition.epochs.assign(9, 6)
    partition.advanceLogStart(4)
    partition.dropSegments(2)
    expect([3, 4, 5, 6].map((offset) => partition.epochs.at(offset))).toEqual([-1, 7, 7, 9])
  })
})

describe('segments that are replaced', () => {
  it('are read in their new files from then on, and the log may have gaps', async () => {
    const opened = await open()
    const { partition } = opened
    const old = [...partition.segments].slice(1, 3)
    const fresh = old.map((segment) => reopened(opened, partition, segment))
    expect(partition.isGapless).toBe(true)
    partition.replaceSegments(old, fresh)
    for (const segment of old) segment.close()
    expect(partition).toMatchObject({ isGapless: false, rewriteCount: 1 })
    expect([...partition.segments].slice(1, 3)).toEqual(fresh)
    expect(partition.tail.firstOffset).toBe(6)
    expect(offsetsOf(readRecords(partition))).toEqual(range(0, 8))
  })

  it('are sealed ones that follow one on the other, replaced from the same offset on', async () => {
    const opened = await open()
    const { partition } = opened
    const [first, second, third, active] = [...partition.segments]
    if (!first || !second || !third || !active) throw new Error('four segments')
    const fresh = reopened(opened, partition, second)
    expect(() => partition.replaceSegments([first], [fresh])).toThrow(/stays there/)
    expect(() => partition.replaceSegments([first, third], [fresh])).toThrow(/one behind/)
    expect(() => partition.replaceSegments([third, active], [third])).toThrow(/active/)
    expect(basesOf(partition)).toEqual([0, 2, 4, 6])
  })
})
