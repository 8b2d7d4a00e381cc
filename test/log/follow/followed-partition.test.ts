/** A follower beside a writer of the same machine, step by step. */
import { describe, expect, it } from 'vitest'
import { countRecords } from '../../../src/log/record-count.ts'
import { RecordLookup } from '../../../src/log/record-lookup.ts'
import { SegmentRemoval } from '../../../src/log/segment-removal.ts'
import { offsetForTimestamp } from '../../../src/log/timestamp-lookup.ts'
import { CONTROL_FILE } from '../../../src/storage/control-file.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { clean, writeSegments } from '../compacted-partition.ts'
import {
  appendMany,
  offsetsOf,
  openLog,
  partitionOf,
  range,
  readFromFiles,
  readRecords,
} from '../open-log.ts'
import { appendInTransaction, appendMarker } from '../transactional-batches.ts'
import { Followed } from './followed.ts'
import { elsewhere, spoil, written, type Written } from './written-log.ts'

/** Deletes what lies in the first `count` segments, and frees their space. */
async function dropOldest(driver: StorageDriver, { log, partition }: Written): Promise<void> {
  await runProcedure(log.deleteRecordsBefore(partition, partition.segments.at(1).baseOffset))
  const removal = new SegmentRemoval(driver, new FakeClock())
  removal.setAside(partition, partition.dropSegments(1))
  await runProcedure(removal.freeDue(Infinity))
}

describe('what is published', () => {
  it('is shown, and nothing behind it', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 10)
    const followed = new Followed(elsewhere(driver), partition)
    appendMany(partition, 5)
    expect(followed.partition.highWatermark).toBe(10)
    expect(readRecords(followed.partition)).toEqual(readRecords(partition, 0, 10))
    followed.publish(partition)
    expect(readRecords(followed.partition)).toEqual(readRecords(partition))
  })

  it('is read live through every roll', async () => {
    const { driver, partition } = await written()
    const followed = new Followed(elsewhere(driver), partition)
    const cursor = followed.partition.cursor(0)
    for (let round = 0; round < 50; round++) {
      appendMany(partition, 7, 100)
      followed.publish(partition)
      const end = followed.partition.highWatermark
      while (cursor.next(end) !== undefined);
      expect(cursor.offset).toBe(partition.logEndOffset)
    }
    expect(partition.segments.count).toBeGreaterThan(5)
    expect(followed.partition.segments.count).toBe(partition.segments.count)
    expect(readFromFiles(followed.partition)).toEqual(readRecords(partition))
  })

  it('is told to who listens, once, and not where nothing moved', async () => {
    const { driver, partition } = await written()
    const followed = new Followed(elsewhere(driver), partition)
    let told = 0
    const stop = followed.partition.onChange(() => {
      told += 1
    })
    expect(followed.isListening).toBe(true)
    appendMany(partition, 1)
    followed.publish(partition)
    followed.publish(partition)
    expect(told).toBe(1)
    stop()
    expect(followed.isListening).toBe(false)
  })

  it('is looked up by offset, by time and by count before anybody has read up to there', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 200, 100)
    const found = new Followed(elsewhere(driver), partition)
    expect(new RecordLookup(found.partition).find(199)?.offset).toBe(199)
    const timed = new Followed(elsewhere(driver), partition)
    expect(offsetForTimestamp(timed.partition, 1_000 + 198)).toBe(198)
    expect(offsetForTimestamp(timed.partition, 1_000 + 3)).toBe(3)
    expect(offsetForTimestamp(timed.partition, 1_000 + 200)).toBeNull()
    const counted = new Followed(elsewhere(driver), partition)
    expect(await countRecords(counted.partition, 200, () => undefined)).toBe(200)
  })
})

describe('a segment that goes', () => {
  it('is closed, so that its space is free, and readers go on behind it', async () => {
    const all = await written()
    const { driver, partition } = all
    appendMany(partition, 100, 100)
    const reader = elsewhere(driver)
    const followed = new Followed(reader, partition)
    const cursor = followed.partition.cursor(0)
    cursor.next(1)
    const openFiles = reader.files.size
    await dropOldest(driver, all)
    followed.publish(partition)
    expect(followed.partition.segments.count).toBe(partition.segments.count)
    expect(reader.files.size).toBeLessThan(openFiles)
    expect(followed.partition.logStartOffset).toBe(partition.logStartOffset)
    cursor.seek(partition.logStartOffset)
    expect(cursor.next(followed.partition.highWatermark)).toBeDefined()
    expect(readFromFiles(followed.partition)).toEqual(readRecords(partition))
  })

  it('is no damage where it is gone from the folder before the new start is heard of', async () => {
    const all = await written()
    const { driver, partition } = all
    appendMany(partition, 100, 100)
    const followed = new Followed(elsewhere(driver), partition)
    const cursor = followed.partition.cursor(0)
    await dropOldest(driver, all)
    followed.partition.lookAgain()
    expect(followed.partition.segments.first.baseOffset).toBe(partition.logStartOffset)
    expect(followed.partition.logStartOffset).toBe(0)
    followed.hear(partition)
    const removed = expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }) as Error // A matcher.
    expect(() => cursor.next(100)).toThrow(removed)
    expect(offsetsOf(readRecords(followed.partition))).toEqual(offsetsOf(readRecords(partition)))
  })

  it('is replaced by what compaction left of it, and no gap there is damage', async () => {
    const driver = new FaultDriver()
    const compacted = await runProcedure(writeSegments(driver, 6))
    const { partition } = compacted
    const followed = new Followed(elsewhere(driver), partition)
    expect(offsetsOf(readFromFiles(followed.partition))).toEqual(range(0, 18))
    const { rewriteCount } = followed.partition
    followed.isGapless = false
    await runProcedure(clean(driver, compacted, [1, 4], (offset) => offset % 2 === 0))
    followed.publish(partition)
    expect(followed.partition.rewriteCount).toBeGreaterThan(rewriteCount)
    expect(readFromFiles(followed.partition)).toEqual(readRecords(partition))
  })

  it('is not damage where its file is gone before that was published', async () => {
    const driver = new FaultDriver()
    const compacted = await runProcedure(writeSegments(driver, 6))
    const { partition } = compacted
    const followed = new Followed(elsewhere(driver), partition)
    expect(followed.partition.segments.count).toBe(6)
    followed.isGapless = false
    await runProcedure(clean(driver, compacted, [1, 4], (offset) => offset % 2 === 0))
    expect(offsetsOf(readFromFiles(followed.partition))).toEqual(range(0, 18)) // They are open yet.
    const late = new Followed(elsewhere(driver), partition)
    late.isGapless = false
    expect(offsetsOf(readFromFiles(late.partition))).toEqual(offsetsOf(readRecords(partition)))
  })

  it('is read as the swap will leave it by who opens the folder in the middle of one', async () => {
    const driver = new FaultDriver()
    const compacted = await runProcedure(writeSegments(driver, 6))
    const { partition } = compacted
    const seen = new Set<string>()
    driver.onCall = ({ action }) => {
      if (action !== 'rename' && action !== 'flushDirectory') return undefined
      const followed = new Followed(elsewhere(driver), partition)
      followed.partition.markCompacted()
      seen.add(offsetsOf(readFromFiles(followed.partition)).join(' '))
      followed.partition.finish('closed')
      return undefined
    }
    await runProcedure(clean(driver, compacted, [1, 4], (offset) => offset % 2 === 0))
    driver.onCall = undefined
    const after = offsetsOf(readRecords(partition)).join(' ')
    expect([...seen].sort()).toEqual([range(0, 18).join(' '), after].sort())
  })
})

describe('a writer that died', () => {
  it('leaves what is whole behind its last word', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 10)
    const followed = new Followed(elsewhere(driver), partition)
    appendMany(partition, 90, 100)
    driver.processKill()
    followed.lose()
    expect(followed.partition.logEndOffset).toBe(100)
    expect(followed.partition.segments.count).toBeGreaterThan(1)
    expect(offsetsOf(readRecords(followed.partition))).toEqual(range(0, 100))
  })

  it.each([true, false])(
    'leaves transactions open that nobody ended, with its last word or without: %s',
    async (keepsSlot) => {
      const { driver, partition } = await written()
      appendMany(partition, 3)
      const followed = new Followed(elsewhere(driver), partition)
      appendInTransaction(partition, 1, 'a')
      appendMarker(partition, 1, 'commit')
      appendInTransaction(partition, 2, 'b')
      appendInTransaction(partition, 1, 'c')
      appendMarker(partition, 1, 'abort')
      driver.processKill()
      followed.lose({ keepsSlot })
      expect(followed.partition.logEndOffset).toBe(8)
      expect(followed.partition.lastStableOffset).toBe(5)
      expect(followed.partition.isAborted(1, 3)).toBe(false)
    },
  )

  it('is followed by the next one, without anything being read twice or left out', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 10)
    const followed = new Followed(elsewhere(driver), partition)
    const cursor = followed.partition.cursor(0)
    appendMany(partition, 10)
    const next = driver.processKill()
    followed.lose()
    while (cursor.next(20) !== undefined);
    const { log } = await openLog(next)
    const again = partitionOf(log, 't')
    appendMany(again, 10)
    followed.publish(again, 2)
    expect(followed.partition.cuts).toEqual([])
    expect(cursor.offset).toBe(20)
    expect(offsetsOf(readRecords(followed.partition))).toEqual(range(0, 30))
  })

  it('is followed by one that cut the log: whoever was behind that hears of it', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 20)
    const followed = new Followed(elsewhere(driver), partition)
    expect(offsetsOf(readRecords(followed.partition))).toEqual(range(0, 20))
    const next = driver.processKill()
    const path = partition.segments.active.logPath
    const file = next.openFile(path, 'write')
    file.write(Buffer.alloc(4, 0xff), 0, 4, Math.floor(partition.segments.active.sizeBytes / 2))
    file.close()
    await next.unlink(CONTROL_FILE)
    const { log } = await openLog(next)
    const again = partitionOf(log, 't')
    const cut = again.logEndOffset
    expect(cut).toBeLessThan(20)
    appendMany(again, 40)
    followed.publish(again, 2)
    expect(followed.partition.cuts).toEqual([cut])
    expect(readRecords(followed.partition)).toEqual(readRecords(again))
    expect(readFromFiles(followed.partition)).toEqual(readRecords(again))
  })

  it('is followed by one that counts from 1 again, since the control file was lost', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 20)
    const followed = new Followed(elsewhere(driver), partition)
    readRecords(followed.partition)
    const next = driver.processKill()
    const file = next.openFile(partition.segments.active.logPath, 'write')
    file.resize(Math.floor(partition.segments.active.sizeBytes / 2))
    file.close()
    await next.unlink(CONTROL_FILE)
    const { log } = await openLog(next)
    const again = partitionOf(log, 't')
    const cut = again.logEndOffset
    followed.publish(again, 1)
    expect(followed.partition.cuts).toEqual([cut])
    expect(followed.partition.logEndOffset).toBe(cut)
  })
})

describe('a log that nobody publishes', () => {
  it('ends with its last whole batch, and goes on when more of it is there', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 10)
    const followed = new Followed(elsewhere(driver), partition, { mode: 'derived' })
    expect(followed.partition.logEndOffset).toBe(10)
    appendMany(partition, 100, 100)
    followed.partition.refresh()
    expect(followed.partition.logEndOffset).toBe(110)
    expect(readRecords(followed.partition)).toEqual(readRecords(partition))
  })

  it('loses the oldest segments, and follows', async () => {
    const all = await written()
    const { driver, partition } = all
    appendMany(partition, 100, 100)
    const followed = new Followed(elsewhere(driver), partition, { mode: 'derived' })
    await dropOldest(driver, all)
    followed.partition.refresh()
    expect(followed.partition.logStartOffset).toBe(partition.logStartOffset)
    expect(followed.partition.segments.count).toBe(partition.segments.count)
  })

  it('was cut where its last file is shorter than what was read of it', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 20)
    const followed = new Followed(elsewhere(driver), partition, { mode: 'derived' })
    const { active } = partition.segments
    const next = driver.processKill()
    const file = next.openFile(active.logPath, 'write')
    file.resize(Math.floor(active.sizeBytes / 2) + 5)
    file.close()
    followed.partition.refresh()
    expect(followed.partition.cuts).toEqual([10])
    expect(followed.partition.logEndOffset).toBe(10)
    expect(offsetsOf(readFromFiles(followed.partition))).toEqual(range(0, 10))
  })

  it('is damaged below what was synced, and goes on behind that', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 20)
    const followed = new Followed(elsewhere(driver), partition)
    spoil(driver, partition, 0.5)
    followed.recoveryPoint = 20
    followed.lose({ keepsSlot: false })
    expect(followed.partition.logEndOffset).toBe(20)
  })
})
