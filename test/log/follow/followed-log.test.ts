/** A followed log beside writers that come, go and die: who is told of what, and when. */
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { ReadablePartition } from '../../../src/log/readable-partition.ts'
import { BACKUP_MANIFEST_FILE, formatBackupManifest } from '../../../src/log/backup-manifest.ts'
import { replaceFile } from '../../../src/storage/checkpoint-file.ts'
import { openDiskDriver } from '../../../src/storage/disk-driver.ts'
import { emptyMetadata, formatMetadata, METADATA_FILE } from '../../../src/storage/metadata-file.ts'
import { CONTROL_FILE } from '../../../src/storage/control-file.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { appendMany, openLog, partitionOf, recordsOf } from '../open-log.ts'
import { follow, type Follower } from './follower.ts'

async function create(writer: LogDirectory, name: string, partitions: number = 1): Promise<void> {
  await runProcedure(writer.createTopic(name, { partitions }))
}

/** One partition of a topic that is seen. */
function followed({ log }: Follower, topic: string, partition: number = 0): ReadablePartition {
  const found = log.topic(topic)?.partitions[partition]
  if (found === undefined) throw new Error(`no ${topic}-${partition}`)
  return found
}

/** Offsets of all records that a reader gets. */
function offsetsOf(partition: ReadablePartition): readonly number[] {
  const offsets: number[] = []
  const cursor = partition.cursor(partition.logStartOffset)
  const end = partition.highWatermark
  for (let run = cursor.next(end); run !== undefined; run = cursor.next(end)) {
    offsets.push(...recordsOf(run).map(({ offset }) => offset))
  }
  return offsets
}

/** What the listeners of a partition were told at, in order. */
function endsTold(partition: ReadablePartition): readonly number[] {
  const ends: number[] = []
  partition.onChange(() => void ends.push(partition.highWatermark))
  return ends
}

describe('while a writer lives', () => {
  it('a wake tells those who wait for a partition that moved, and nobody else', async () => {
    const driver = new FaultDriver()
    const { log: writer } = await openLog(driver)
    await create(writer, 't', 2)
    const follower = await follow(new FaultDriver(driver.machine))
    const ends = [0, 1].map((index) => endsTold(followed(follower, 't', index)))
    appendMany(partitionOf(writer, 't', 1), 3)
    writer.publisher?.publishAll()
    await follower.wake()
    expect(ends).toEqual([[], [3]])
    expect(offsetsOf(followed(follower, 't', 1))).toEqual([0, 1, 2])
    follower.log.close()
    await runProcedure(writer.close())
  })

  it('a poll finds what no wake told of, also in topics that are new', async () => {
    const driver = new FaultDriver()
    const { log: writer } = await openLog(driver)
    await create(writer, 't')
    const follower = await follow(new FaultDriver(driver.machine))
    const ends = endsTold(followed(follower, 't'))
    await create(writer, 'new')
    appendMany(partitionOf(writer, 't'), 2)
    appendMany(partitionOf(writer, 'new'), 1)
    writer.publisher?.publishAll()
    follower.clock.advance(50)
    expect(ends).toEqual([2])
    expect(offsetsOf(followed(follower, 'new'))).toEqual([0])
    follower.log.close()
    await runProcedure(writer.close())
  })

  it('what was appended is published in the turn of an idle writer, or the next', async () => {
    const driver = new FaultDriver()
    const { log: writer } = await openLog(driver)
    await create(writer, 't')
    const follower = await follow(new FaultDriver(driver.machine))
    const partition = followed(follower, 't')
    appendMany(partitionOf(writer, 't'), 1)
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    partition.refresh()
    expect(partition.highWatermark).toBe(1)
    follower.log.close()
    await runProcedure(writer.close())
  })
})

describe('a follower outlives its writers', () => {
  it('that close the log', async () => {
    const driver = new FaultDriver()
    const machine = driver.machine
    const first = await openLog(driver)
    await create(first.log, 't')
    appendMany(partitionOf(first.log, 't'), 2)
    const follower = await follow(new FaultDriver(machine))
    const partition = followed(follower, 't')
    const ends = endsTold(partition)
    await runProcedure(first.log.close())
    follower.isWriterAlive = false
    follower.clock.advance(2_000)
    expect(partition.highWatermark).toBe(2)

    const second = await openLog(new FaultDriver(machine))
    follower.isWriterAlive = true
    appendMany(partitionOf(second.log, 't'), 2)
    second.log.publisher?.publishAll()
    await follower.wake()
    expect([partition.highWatermark, ends.at(-1)]).toEqual([4, 4])
    expect(offsetsOf(partition)).toEqual([0, 1, 2, 3])
    expect(partition.cuts).toEqual([])
    follower.log.close()
  })

  it('that are killed with records appended and not published', async () => {
    const driver = new FaultDriver()
    const machine = driver.machine
    const first = await openLog(driver)
    await create(first.log, 't')
    const follower = await follow(new FaultDriver(machine))
    const partition = followed(follower, 't')
    const ends = endsTold(partition)
    appendMany(partitionOf(first.log, 't'), 3)
    expect(partition.highWatermark).toBe(0)
    const killed = driver.processKill()
    follower.isWriterAlive = false
    follower.clock.advance(1_000)
    expect(ends).toEqual([3])
    expect(offsetsOf(partition)).toEqual([0, 1, 2])

    const second = await openLog(killed)
    follower.isWriterAlive = true
    appendMany(partitionOf(second.log, 't'), 1)
    second.log.publisher?.publishAll()
    await follower.wake()
    expect(offsetsOf(partition)).toEqual([0, 1, 2, 3])
    expect([partition.end, partition.cuts]).toEqual([undefined, []])
    follower.log.close()
  })

  it('whose control file somebody deleted', async () => {
    const driver = new FaultDriver()
    const { log: writer } = await openLog(driver)
    await create(writer, 't')
    const follower = await follow(new FaultDriver(driver.machine))
    const partition = followed(follower, 't')
    const ends = endsTold(partition)
    await driver.unlink(CONTROL_FILE)
    appendMany(partitionOf(writer, 't'), 3)
    follower.clock.advance(100)
    expect(ends).toEqual([3])
    appendMany(partitionOf(writer, 't'), 1)
    follower.clock.advance(50)
    expect(offsetsOf(partition)).toEqual([0, 1, 2, 3])
    follower.log.close()
    await runProcedure(writer.close())
  })
})

describe('a read-only open', () => {
  it('is refused over a backup that was stopped behind its commit', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.close())
    const over = new FaultDriver(driver.machine)
    const ids = { logId: 'a', directoryId: 'b' }
    const state = { ...ids, createdMs: 0, generation: 1, partitions: [], files: new Map() }
    for (const removed of [['gone'], []]) {
      const bytes = await runProcedure(formatBackupManifest({ ...state, removed }))
      await runProcedure(replaceFile(over, BACKUP_MANIFEST_FILE, bytes))
      const following = follow(new FaultDriver(driver.machine))
      if (removed.length > 0) await expect(following).rejects.toThrow(/stopped before its end/)
      else (await following).log.close()
    }
  })

  it('fails where a newer version wrote the log; who reads it already goes on', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await create(log, 't')
    appendMany(partitionOf(log, 't'), 2)
    await runProcedure(log.close())
    const follower = await follow(new FaultDriver(driver.machine))
    const partition = followed(follower, 't')
    const over = new FaultDriver(driver.machine)
    const bytes = formatMetadata({ ...emptyMetadata(), incompatible: ['later'] })
    await runProcedure(replaceFile(over, METADATA_FILE, bytes))
    const refused = follow(new FaultDriver(driver.machine))
    await expect(refused).rejects.toMatchObject({ code: 'UNSUPPORTED_FORMAT' })
    follower.clock.advance(1_000)
    expect(() => follower.log.topics()).toThrow(/newer streambed/)
    expect(() => follower.log.topics()).toThrow(/newer streambed/)
    expect(offsetsOf(partition)).toEqual([0, 1])
    follower.log.close()
    expect(partition.end).toBe('closed')
  })
})

describe('a closed follower', () => {
  it('has ended every partition, holds no file and no timer', async () => {
    const directory = temporaryDirectory()
    const { log: writer } = await openLog(openDiskDriver(directory))
    await create(writer, 't', 2)
    appendMany(partitionOf(writer, 't'), 5)
    writer.publisher?.publishAll()
    const follower = await follow(openDiskDriver(directory))
    const partition = followed(follower, 't')
    let told = 0
    partition.onChange(() => (told += 1))
    expect(offsetsOf(partition)).toHaveLength(5)
    follower.log.close()
    follower.log.close()
    expect([partition.end, told]).toEqual(['closed', 1])
    expect(follower.clock.timerCount).toBe(0)
    expect(follower.hand.onWake).toBeUndefined()
    expect(follower.log.topics()).toEqual([])
    follower.log.refresh()
    await runProcedure(writer.close())
  })
})
