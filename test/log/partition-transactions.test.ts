/**
 * One partition while producers with ids write to it: what is appended twice, what is refused, how
 * transactions end, and what each failure leaves.
 */
import { describe, expect, test } from 'vitest'
import { MARKER_BATCH_BYTES } from '../../src/log/marker-batch.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { DiskCall } from '../../src/testing/disk-faults.ts'
import { HeldDisk } from '../support/held-disk.ts'
import { append, end, errorOf, fail, open, tx } from './faulty-partition.ts'
import { numberedBatch, type NumberedBatch } from './numbered-batches.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readFromFiles } from './open-log.ts'
import { bytesOf, namesEnding, segmentFile } from './tampering.ts'

const isLogWrite = ({ action, path }: DiskCall): boolean =>
  action === 'write' && path.endsWith('.log')

describe('a batch that comes again', () => {
  test('is answered with its original place, and not written again', async () => {
    const { partition, clock } = await open({ messageTimestampType: 'LogAppendTime' })
    const first = partition.append(numberedBatch({ producerId: 1, sequence: 0, count: 3 }))
    expect(first.isDuplicate).toBe(false)
    clock.advance(50)
    appendMany(partition, 2)
    const bytes = partition.logBytes
    const again = partition.append(numberedBatch({ producerId: 1, sequence: 0, count: 3 }))
    expect(again).toEqual({ ...first, isDuplicate: true })
    expect(partition.logEndOffset).toBe(5)
    expect(partition.logBytes).toBe(bytes)
  })

  test('is answered also where it would be too large by now', async () => {
    const { partition } = await open()
    const batch = { producerId: 1, sequence: 0, value: 'x'.repeat(300) }
    append(partition, batch)
    partition.applyConfig({ ...partition.config, maxMessageBytes: 200 })
    expect(append(partition, batch)).toBe(0)
    expect(errorOf(() => append(partition, { ...batch, sequence: 1 }))?.code).toBe(
      'RECORD_TOO_LARGE',
    )
  })

  test('is as durable as its original, no sooner', async () => {
    const disk = new HeldDisk()
    disk.holds = false
    const { partition } = await open({}, disk.driver)
    disk.holds = true
    append(partition, { producerId: 1, sequence: 0 })
    const again = partition.append(numberedBatch({ producerId: 1, sequence: 0 }))
    let isDurable = false
    const durable = partition.makeDurable(again.lastOffset + 1).then(() => (isDurable = true))
    await new Promise<void>((resolve) => setImmediate(resolve))
    expect(again.isDuplicate).toBe(true)
    expect(isDurable).toBe(false)
    disk.holds = false
    disk.endFlushes()
    await durable
    expect(partition.durableOffset).toBe(1)
  })

  test('says the epoch of the writer that took its original', async () => {
    const { partition, driver } = await open()
    append(partition, { producerId: 1, sequence: 0 })
    const epoch = partition.leaderEpoch
    const { log } = await openLog(driver.processKill(), { bootId: 'another' })
    const reopened = partitionOf(log, 't')
    const again = reopened.append(numberedBatch({ producerId: 1, sequence: 0 }))
    expect(again).toMatchObject({ baseOffset: 0, isDuplicate: true, leaderEpoch: epoch })
    expect(reopened.leaderEpoch).toBeGreaterThan(epoch)
  })

  test('is recognised after the log was closed and opened, by its last batch', async () => {
    const { partition, driver, log } = await open()
    for (let sequence = 0; sequence < 3; sequence += 1) {
      append(partition, { producerId: 1, sequence })
    }
    await runProcedure(log.close())
    const again = partitionOf((await openLog(driver.processKill())).log, 't')
    expect(again.nextSequence(1, 0)).toBe(3)
    expect(append(again, { producerId: 1, sequence: 2 })).toBe(2)
    expect(again.logEndOffset).toBe(3)
  })
})

describe('a refused batch', () => {
  test('of an older epoch, or out of order, leaves the log as it was', async () => {
    const { partition } = await open()
    append(partition, { producerId: 1, epoch: 1, sequence: 0 })
    const refused = (batch: NumberedBatch): string | undefined =>
      errorOf(() => append(partition, batch))?.code
    expect(refused({ producerId: 1, epoch: 0, sequence: 1 })).toBe('FENCED')
    expect(refused({ producerId: 1, epoch: 1, sequence: 2 })).toBe('OUT_OF_ORDER_SEQUENCE')
    expect(partition.logEndOffset).toBe(1)
    expect(append(partition, { producerId: 1, epoch: 1, sequence: 1 })).toBe(1)
  })

  test('that is too large uses no sequence up, and neither does one that was not written', async () => {
    const { partition, driver } = await open({ maxMessageBytes: 200 })
    const large = { producerId: 1, sequence: 0, value: 'x'.repeat(300) }
    expect(errorOf(() => append(partition, large))?.code).toBe('RECORD_TOO_LARGE')
    fail(driver, 'ENOSPC', isLogWrite)
    const batch = tx(1, 0)
    for (let times = 0; times < 2; times += 1) {
      expect(errorOf(() => append(partition, batch))).toMatchObject({ code: 'NO_SPACE' })
      expect(partition.nextSequence(1, 0)).toBe(0)
      expect(partition.producers.open()).toEqual([])
      expect(partition.lastStableOffset).toBe(0)
    }
    driver.onCall = undefined
    expect(append(partition, batch)).toBe(0)
    expect(partition.nextSequence(1, 0)).toBe(1)
  })

  test('whose bytes nobody can tell says so, and can come again, here and after a kill', async () => {
    for (const kill of [false, true]) {
      const { partition, driver } = await open()
      const batch = { producerId: 1, sequence: 0, count: 2 }
      // A write that fails, of which nobody can read how much arrived.
      driver.onCall = ({ action, path }) =>
        action === 'write' && path.endsWith('.log') ? 'EIO' : undefined
      driver.machine.faults.inject({ fault: 'EIO', action: 'read', path: /\.log$/, count: 1e9 })
      const error = errorOf(() => append(partition, batch))
      expect(error).toMatchObject({ code: 'IO', details: { outcome: 'unknown' } })
      expect(partition.nextSequence(1, 0)).toBe(0)
      driver.onCall = undefined
      driver.machine.faults.clear()
      const next = kill ? partitionOf((await openLog(driver.processKill())).log, 't') : partition
      expect(append(next, batch)).toBe(0)
      expect(next.logEndOffset).toBe(2)
    }
  })
})

describe('after a failed sync', () => {
  test('nothing is taken, not even what came before; opened anew it is as it was stored', async () => {
    const { partition, driver } = await open()
    append(partition, { producerId: 1, sequence: 0 })
    await partition.makeDurable(1)
    append(partition, { producerId: 1, sequence: 1 })
    append(partition, tx(2, 0))
    fail(driver, 'EIO', ({ action }) => action === 'flush')
    await expect(partition.makeDurable(3)).rejects.toMatchObject({ code: 'IO' })
    driver.onCall = undefined
    const calls = [
      () => append(partition, { producerId: 1, sequence: 1 }),
      () => append(partition, { producerId: 1, sequence: 2 }),
      () => end(partition, 'abort', 2),
      () => partition.reserveMarker(),
    ]
    for (const call of calls) expect(errorOf(call)?.code).toBe('READ_ONLY')
    expect(partition.lastStableOffset).toBe(2)
    const { log } = await openLog(driver.processKill())
    const again = partitionOf(log, 't')
    expect(again.nextSequence(1, 0)).toBe(2)
    expect(append(again, { producerId: 1, sequence: 1 })).toBe(1)
  })
})

describe('the last stable offset', () => {
  test('waits for the oldest open transaction, and listeners hear of it', async () => {
    const { partition } = await open()
    const heard: number[] = []
    partition.onChange(() => heard.push(partition.lastStableOffset))
    append(partition, { producerId: 9, sequence: 0 })
    append(partition, tx(1, 0))
    append(partition, tx(2, 0))
    append(partition, { producerId: 9, sequence: 1 })
    expect(partition.highWatermark).toBe(4)
    end(partition, 'commit', 2)
    end(partition, 'abort', 1)
    expect(heard).toEqual([1, 1, 1, 1, 1, 6])
    expect(partition.isAborted(1, 1)).toBe(true)
    expect(partition.isAborted(2, 2)).toBe(false)
  })

  test('follows the start of the log, where records of an open transaction are deleted', async () => {
    const { partition, log } = await open()
    append(partition, tx(1, 0))
    append(partition, { producerId: 9, sequence: 0, count: 3 })
    await runProcedure(log.deleteRecordsBefore(partition, 2))
    expect([partition.logStartOffset, partition.lastStableOffset]).toEqual([2, 2])
    await runProcedure(log.deleteRecordsBefore(partition, 4))
    expect([partition.logStartOffset, partition.lastStableOffset]).toEqual([4, 4])
    append(partition, tx(1, 1))
    expect(partition.lastStableOffset).toBe(4)
    end(partition, 'abort', 1)
    expect(partition.lastStableOffset).toBe(6)
    expect(partition.isAborted(1, 4)).toBe(true)
    expect(partition.segments.active.aborted.entries).toEqual([
      { producerId: 1, firstOffset: 0, lastOffset: 5, lastStableOffset: 6 },
    ])
  })
})

describe('a marker', () => {
  test('takes an offset, the time of the log and no place among the records', async () => {
    const { partition, clock } = await open({ messageTimestampType: 'LogAppendTime' })
    append(partition, tx(1, 0))
    clock.advance(7)
    expect(end(partition, 'commit', 1)).toBe(1)
    expect(partition.logEndOffset).toBe(2)
    const { active } = partition.segments
    expect(active.recordCount).toBe(1)
    expect(active.largestTimestamp).toBe(clock.now())
    expect(partition.leaderEpoch).toBe(0)
  })

  test('of an abort comes behind its entry in the .txnindex', async () => {
    const { partition, driver } = await open()
    append(partition, tx(1, 0))
    driver.machine.calls = []
    end(partition, 'abort', 1)
    const writes = driver.machine.calls.filter(({ action }) => action === 'write')
    expect(writes.map(({ path }) => path)).toEqual([segmentFile(0, '.txnindex'), segmentFile(0)])
  })

  test('of a commit, and of a transaction that wrote nothing here, makes no .txnindex', async () => {
    const { partition, driver } = await open()
    append(partition, tx(1, 0))
    end(partition, 'commit', 1)
    expect(end(partition, 'abort', 5)).toBe(2)
    await partition.syncForCheckpoint()
    expect(namesEnding(driver, '.txnindex')).toEqual([])
    expect(partition.lastStableOffset).toBe(3)
  })

  test('that was not written leaves the transaction open and nothing aborted', async () => {
    const { partition, driver } = await open()
    append(partition, tx(1, 0))
    const hits: readonly ((call: DiskCall) => boolean)[] = [
      isLogWrite,
      ({ action, path }) => action === 'write' && path.endsWith('.txnindex'),
      ({ action, path }) => action === 'create' && path.endsWith('.txnindex'),
    ]
    for (const hit of hits.toReversed()) {
      fail(driver, 'ENOSPC', hit)
      expect(errorOf(() => end(partition, 'abort', 1))?.code).toBe('NO_SPACE')
      expect(partition.logEndOffset).toBe(1)
      expect(partition.lastStableOffset).toBe(0)
      expect(partition.producers.open()).toHaveLength(1)
      expect(partition.segments.active.aborted.entries).toEqual([])
    }
    driver.onCall = undefined
    expect(end(partition, 'abort', 1)).toBe(1)
    expect(partition.segments.active.aborted.entries).toHaveLength(1)
    expect(partition.lastStableOffset).toBe(2)
  })

  test('of an older epoch than its producer has is refused', async () => {
    const { partition } = await open()
    append(partition, tx(1, 0, 2))
    expect(errorOf(() => end(partition, 'commit', 1))?.code).toBe('FENCED')
    expect(partition.lastStableOffset).toBe(0)
  })

  test('never starts a segment, and the batch behind it does', async () => {
    const { partition } = await open({ segmentBytes: 1024, segmentMs: 10 })
    append(partition, { ...tx(1, 0), timestamp: 1, value: 'x'.repeat(900) })
    for (let times = 0; times < 5; times += 1) end(partition, 'commit', 1)
    expect(partition.segments.count).toBe(1)
    expect(partition.segments.active.sizeBytes).toBeGreaterThan(1024)
    append(partition, { producerId: 1, sequence: 1 })
    expect(partition.segments.count).toBe(2)
    expect(partition.segments.active.baseOffset).toBe(6)
  })

  test('is found by whoever opens the log after a kill', async () => {
    const { partition, driver } = await open()
    append(partition, tx(1, 0))
    append(partition, tx(2, 0))
    end(partition, 'abort', 1)
    end(partition, 'commit', 2)
    const again = partitionOf((await openLog(driver.processKill())).log, 't')
    expect(again.producers.open()).toEqual([])
    expect(again.lastStableOffset).toBe(4)
    expect(again.isAborted(1, 0)).toBe(true)
    expect(again.isAborted(2, 1)).toBe(false)
  })
})

describe('files', () => {
  test('hold what was appended once, with markers in their places', async () => {
    const { partition, driver } = await open()
    append(partition, tx(1, 0))
    append(partition, { producerId: 2, sequence: 0, count: 2 })
    append(partition, { producerId: 2, sequence: 0, count: 2 })
    end(partition, 'commit', 1)
    const offsets = offsetsOf(readFromFiles(partition))
    expect(offsets).toEqual(range(0, 4))
    const { sizeBytes } = partition.segments.active
    const marker = bytesOf(driver, segmentFile(0)).subarray(
      sizeBytes - MARKER_BATCH_BYTES,
      sizeBytes,
    )
    expect(marker.readBigInt64BE(0)).toBe(3n)
  })
})
