/**
 * What the control file says of a partition's files at each change of their names: readers in other
 * processes take no list of them while it is odd.
 */
import { describe, expect, it } from 'vitest'
import { LayoutEpoch } from '../../src/log/layout-epoch.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { readControlFile } from '../../src/storage/control-file.ts'
import { controlSlotKey, type PublishedPartition } from '../../src/storage/control-slot.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { clean, writeSegments } from './compacted-partition.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'
import { appendSegments, RetainedLog } from './retained-log.ts'

/** What is published of a partition at this moment. */
function publishedOf(driver: FaultDriver, partition: PartitionLog): PublishedPartition {
  const { slots } = readControlFile(new FaultDriver(driver.machine)) ?? {}
  const found = slots?.get(controlSlotKey(partition.topicId, partition.partition))
  if (found === undefined) throw new Error('nothing is published')
  return found
}

/** What was published of `partition` when a segment's file was made or renamed, by its new name. */
async function epochsAt(
  driver: FaultDriver,
  partition: PartitionLog,
  change: () => unknown,
): Promise<readonly { readonly call: string; readonly epoch: number }[]> {
  const epochs: { readonly call: string; readonly epoch: number }[] = []
  driver.onCall = ({ action, path }) => {
    const isSegment = /t-0\/\d{20}\.log(\.swap|\.deleted)?$/.test(path)
    if ((action === 'create' || action === 'rename') && isSegment) {
      const { layoutEpoch } = publishedOf(driver, partition)
      epochs.push({ call: `${action} ${path.slice(20)}`, epoch: layoutEpoch })
    }
    return undefined
  }
  await change()
  driver.onCall = undefined
  return epochs
}

describe('before its files change, and behind that, it is published', () => {
  it('where an append rolls', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', { segmentBytes: 1_024, preallocate: false }))
    const partition = partitionOf(log, 't')
    const before = publishedOf(driver, partition).layoutEpoch
    const epochs = await epochsAt(driver, partition, () => appendMany(partition, 30, 100))
    expect(epochs.length).toBeGreaterThan(2)
    expect(epochs.map(({ epoch }) => epoch)).toEqual(
      epochs.map((_, index) => before + 1 + 2 * index),
    )
    expect(publishedOf(driver, partition).layoutEpoch).toBe(before + 2 * epochs.length)
    await runProcedure(log.close())
  })

  it('where retention takes segments away, with all their renames', async () => {
    const driver = new FaultDriver()
    const retained = await RetainedLog.open(driver, new FakeClock(1_000))
    await runProcedure(retained.log.createTopic('t', { retentionMs: 994, preallocate: false }))
    const partition = partitionOf(retained.log, 't')
    appendSegments(partition, 5)
    const before = publishedOf(driver, partition).layoutEpoch
    const epochs = await epochsAt(driver, partition, () => retained.retain())
    expect(epochs).toHaveLength(3)
    expect(epochs.every(({ epoch }) => epoch > before && epoch % 2 === 1)).toBe(true)
    const after = publishedOf(driver, partition).layoutEpoch
    expect([after > before, after % 2]).toEqual([true, 0])
  })

  it('where a cleaned segment is swapped in, from the first rename to the last', async () => {
    const driver = new FaultDriver()
    const held = await runProcedure(writeSegments(driver, 4))
    const { partition } = held
    const before = publishedOf(driver, partition).layoutEpoch
    const cleaning = (): Promise<void> =>
      runProcedure(clean(driver, held, [0, 2], (offset) => offset % 3 === 1))
    const epochs = await epochsAt(driver, partition, cleaning)
    expect(epochs.length).toBeGreaterThanOrEqual(4)
    expect(epochs.every(({ epoch }) => epoch > before && epoch % 2 === 1)).toBe(true)
    const after = publishedOf(driver, partition).layoutEpoch
    expect([after > before, after % 2]).toEqual([true, 0])
  })

  it('where the log is rolled in the middle of a swap', async () => {
    const driver = new FaultDriver()
    const held = await runProcedure(writeSegments(driver, 4))
    const { partition } = held
    const before = publishedOf(driver, partition).layoutEpoch
    let hasRolled = false
    driver.onCall = ({ action, path }) => {
      if (action === 'rename' && path.endsWith('.log.swap') && !hasRolled) {
        hasRolled = true
        partition.roll()
        expect(publishedOf(driver, partition).layoutEpoch).toBe(before + 3)
      }
      return undefined
    }
    await runProcedure(clean(driver, held, [0, 2], (offset) => offset % 3 === 1))
    expect(hasRolled).toBe(true)
    expect(publishedOf(driver, partition).layoutEpoch % 2).toBe(0)
  })

  it('also where the change fails', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', {}))
    const partition = partitionOf(log, 't')
    appendMany(partition, 1)
    const before = publishedOf(driver, partition).layoutEpoch
    driver.onCall = ({ action }) => (action === 'create' ? 'ENOSPC' : undefined)
    expect(() => partition.roll()).toThrow(/space/)
    driver.onCall = undefined
    expect(publishedOf(driver, partition).layoutEpoch).toBe(before + 2)
    await runProcedure(log.close())
  })
})

describe('what is published as durable', () => {
  it('leaves out transactions whose commit a power cut could undo', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', {}))
    const partition = partitionOf(log, 't')
    appendMany(partition, 5)
    await partition.makeDurable(5)
    log.publisher?.publishAll()
    expect(publishedOf(driver, partition).durableOffset).toBe(5)
    partition.undecided.add(3)
    log.publisher?.publishNow(partition)
    expect(publishedOf(driver, partition).durableOffset).toBe(3)
    partition.undecided.remove(3)
    log.publisher?.publishAll()
    expect(publishedOf(driver, partition).durableOffset).toBe(5)
    await runProcedure(log.close())
  })
})

describe('changes that overlap', () => {
  it('count by two each, and it is odd until the last one is over', () => {
    const told: number[] = []
    const layout: LayoutEpoch = new LayoutEpoch(() => void told.push(layout.epoch))
    layout.begin()
    expect(layout.change(() => layout.epoch)).toBe(1)
    layout.begin()
    layout.end()
    layout.end()
    expect(layout.epoch).toBe(6)
    expect(told).toEqual([1, 3, 5, 6])
    expect(() => layout.end()).toThrow(/what ends has begun/)
  })
})
