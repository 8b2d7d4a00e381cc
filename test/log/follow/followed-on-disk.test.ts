/**
 * A follower over files of the kernel's, with descriptors that it has to let go and take again, by
 * positioned reads and by mappings.
 */
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { PartitionLog } from '../../../src/log/partition-log.ts'
import { RecordLookup } from '../../../src/log/record-lookup.ts'
import { SegmentRemoval } from '../../../src/log/segment-removal.ts'
import { readWholeFile } from '../../../src/storage/checkpoint-file.ts'
import { openDiskDriver } from '../../../src/storage/disk-driver.ts'
import { MappingPool } from '../../../src/storage/mapping-pool.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { clean, writeSegments } from '../compacted-partition.ts'
import { appendMany, openLog, partitionOf, readFromFiles, readRecords } from '../open-log.ts'
import { Followed } from './followed.ts'

const SMALL = { segmentBytes: 16_384, indexIntervalBytes: 512, fileDeleteDelayMs: 0 } as const
const MAPPED = { windowBytes: 1 << 16, maxBytes: 1 << 18, maxWindows: 4 } as const

interface Written {
  readonly driver: StorageDriver
  readonly log: LogDirectory
  readonly partition: PartitionLog
}

async function written(directory: string): Promise<Written> {
  const driver = openDiskDriver(directory)
  driver.createDirectory('')
  const { log } = await openLog(driver)
  closeLater(driver, log)
  await runProcedure(log.createTopic('t', SMALL))
  return { driver, log, partition: partitionOf(log, 't') }
}

function closeLater(driver: StorageDriver, log: LogDirectory): void {
  onTestFinished(async () => {
    await runProcedure(log.close())
    driver.close()
  })
}

function reader(directory: string, isMapped: boolean): StorageDriver {
  const mappings = isMapped ? new MappingPool('everything', MAPPED) : undefined
  mappings?.enable(join(directory, 'metadata.json')) // Where that is refused it reads as the other.
  const descriptors = { maxOpenFiles: 2, maxDescriptors: 4 }
  const driver = openDiskDriver(directory, { readOnly: true, descriptors, mappings })
  onTestFinished(() => driver.close())
  return driver
}

describe.each([false, true])('a follower on disk, mapped: %s', (isMapped) => {
  it('reads through rolls with two descriptors', async () => {
    const directory = temporaryDirectory()
    const { driver, partition } = await written(directory)
    const followed = new Followed(driver, partition, { driver: reader(directory, isMapped) })
    const cursor = followed.partition.cursor(0)
    const lookup = new RecordLookup(followed.partition)
    for (let round = 0; round < 12; round++) {
      appendMany(partition, 60, 100)
      followed.publish(partition)
      const end = followed.partition.highWatermark
      while (cursor.next(end) !== undefined);
      expect(cursor.offset).toBe(partition.logEndOffset)
      expect(lookup.find(end - 1 - round * 5)?.offset).toBe(end - 1 - round * 5)
    }
    expect(partition.segments.count).toBeGreaterThan(5)
    expect(readFromFiles(followed.partition)).toEqual(readRecords(partition))
  })

  it('goes on where segments came and went that it never read', async () => {
    const directory = temporaryDirectory()
    const { driver, log, partition } = await written(directory)
    appendMany(partition, 60, 100)
    const followed = new Followed(driver, partition, { driver: reader(directory, isMapped) })
    readFromFiles(followed.partition)
    appendMany(partition, 700, 100)
    const count = partition.segments.count - 1
    const start = partition.segments.at(count).baseOffset
    await runProcedure(log.deleteRecordsBefore(partition, start))
    const removal = new SegmentRemoval(driver, new FakeClock())
    removal.setAside(partition, partition.dropSegments(count))
    await runProcedure(removal.freeDue(Infinity))
    // Its descriptors are taken for other files, so that it has to find the old one by its name.
    const files = driver.list('').filter((name) => driver.status(name)?.kind === 'file')
    for (const name of files) readWholeFile(followed.partition.driver, name)
    followed.publish(partition)
    expect(followed.partition.logStartOffset).toBe(start)
    expect(readFromFiles(followed.partition)).toEqual(readRecords(partition))
  })

  it('goes on where files are gone whose descriptors it had let go', async () => {
    const directory = temporaryDirectory()
    const { driver, log, partition } = await written(directory)
    appendMany(partition, 700, 100)
    const followed = new Followed(driver, partition, { driver: reader(directory, isMapped) })
    const before = readFromFiles(followed.partition)
    const start = partition.segments.at(3).baseOffset
    await runProcedure(log.deleteRecordsBefore(partition, start))
    const removal = new SegmentRemoval(driver, new FakeClock())
    removal.setAside(partition, partition.dropSegments(3))
    await runProcedure(removal.freeDue(Infinity))
    // Nobody has told it yet: what lies there cannot be read, and it finds out by itself.
    const cursor = followed.partition.cursor(0)
    followed.publish(partition)
    cursor.seek(start)
    expect(cursor.next(followed.partition.highWatermark)).toBeDefined()
    expect(readFromFiles(followed.partition)).toEqual(
      before.filter(({ offset }) => offset >= start),
    )
  })

  it('reads what compaction left where the old files cannot be read any more', async () => {
    const directory = temporaryDirectory()
    const driver = openDiskDriver(directory)
    driver.createDirectory('')
    const compacted = await runProcedure(writeSegments(driver, 6, {}, 100))
    closeLater(driver, compacted.log)
    const { partition } = compacted
    const followed = new Followed(driver, partition, { driver: reader(directory, isMapped) })
    expect(readFromFiles(followed.partition)).toHaveLength(18)
    followed.isGapless = false
    await runProcedure(clean(driver, compacted, [0, 4], (offset) => offset % 2 === 0))
    // Nobody has told it yet.
    const lookup = new RecordLookup(followed.partition)
    expect(lookup.find(8)?.offset).toBe(8)
    expect(readFromFiles(followed.partition)).toEqual(readRecords(partition))
  })
})
