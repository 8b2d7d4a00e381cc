/**
 * What recovery does to the end of a log that was being written when the process or the machine
 * stopped: everything whole stays, the rest is cut and kept aside.
 */
import { describe, expect, it } from 'vitest'
import { encodeProducerSnapshot } from '../../src/format/producer-snapshot.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import {
  appendBatch,
  appendMany,
  offsetsOf,
  openLog,
  partitionOf,
  range,
  readFromFiles,
  valueAt,
} from './open-log.ts'
import { bytesOf, namesEnding, overwrite, resize, segmentFile } from './tampering.ts'

const LOG = segmentFile(0)

/** A killed log of `count` batches without preallocated space, none of them synced. */
async function killedLog(
  count: number,
  config: { readonly segmentBytes?: number; readonly preallocate?: boolean } = {},
): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { preallocate: false, ...config }))
  appendMany(partitionOf(log, 't'), count)
  return driver.processKill()
}

/** Zeros at the end may be preallocated space as well: they are no part of what was cut. */
function withoutZerosBehind(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1)
}

/** The next boot: what was published in this one says nothing of it. */
const AFTER_REBOOT = { bootId: 'later boot' }

describe('recovery of a torn tail', () => {
  it('keeps every whole batch and cuts the rest, wherever in the last batch the tear is', async () => {
    const whole = bytesOf(await killedLog(3), LOG)
    const start = (whole.length / 3) * 2
    for (let cut = start; cut < whole.length; cut++) {
      const driver = await killedLog(3)
      resize(driver, LOG, cut)
      const { log, report } = await openLog(driver, AFTER_REBOOT)
      const partition = partitionOf(log, 't')
      expect(offsetsOf(readFromFiles(partition))).toEqual([0, 1])
      expect(partition.logEndOffset).toBe(2)
      expect(report.clean).toBe(false)
      const torn = withoutZerosBehind(whole.subarray(start, cut))
      if (torn.length === 0) {
        expect(report.partitions).toEqual([])
        continue
      }
      expect(report.partitions).toMatchObject([
        { cutBytes: torn.length, cutAtOffset: 2, damage: [] },
      ])
      const [salvaged = ''] = namesEnding(driver, '.salvaged')
      expect(salvaged).toBe(`00000000000000000000.${start}.salvaged`)
      expect(bytesOf(driver, `t-0/${salvaged}`).equals(torn)).toBe(true)
    }
  })

  it('keeps later segments behind what a failed write left at the end of an earlier one', async () => {
    const driver = await killedLog(40, { segmentBytes: 1_024 })
    const [first = '', second = ''] = namesEnding(driver, '.log')
    const whole = bytesOf(driver, `t-0/${first}`)
    const garbage = bytesOf(driver, `t-0/${second}`).subarray(0, 70)
    overwrite(driver, `t-0/${first}`, Buffer.concat([whole, garbage]))
    const { log, report } = await openLog(driver, AFTER_REBOOT)
    expect(offsetsOf(readFromFiles(partitionOf(log, 't')))).toEqual(range(0, 40))
    expect(report.partitions).toMatchObject([{ cutBytes: 70, cutAtOffset: null, damage: [] }])
    expect(bytesOf(driver, `t-0/${first}`).equals(whole)).toBe(true)
    const salvaged = `t-0/00000000000000000000.${whole.length}.salvaged`
    expect(bytesOf(driver, salvaged).equals(garbage)).toBe(true)
  })

  it('appends where it cut, in a newer epoch, and is stable from then on', async () => {
    const driver = await killedLog(3)
    resize(driver, LOG, bytesOf(driver, LOG).length - 1)
    const { log } = await openLog(driver, AFTER_REBOOT)
    const partition = partitionOf(log, 't')
    expect(partition.leaderEpoch).toBe(1)
    expect(appendBatch(partition, [{ timestamp: 5, value: 'again' }])).toMatchObject({
      baseOffset: 2,
      leaderEpoch: 1,
    })
    const again = driver.processKill()
    const { log: second, report } = await openLog(again, AFTER_REBOOT)
    expect(report.partitions).toEqual([])
    expect(readFromFiles(partitionOf(second, 't')).map(({ value }) => value)).toEqual([
      valueAt(0),
      valueAt(1),
      'again',
    ])
    expect(partitionOf(second, 't').leaderEpoch).toBe(2)
  })

  it('takes zeros behind the last batch for free space, and garbage behind them for a tear', async () => {
    const driver = await killedLog(2)
    const whole = bytesOf(driver, LOG)
    overwrite(driver, LOG, Buffer.concat([whole, Buffer.alloc(70_000)]))
    const { report } = await openLog(driver, AFTER_REBOOT)
    expect(report.partitions).toEqual([])
    const again = driver.processKill()
    expect(bytesOf(again, LOG).equals(whole)).toBe(true)
    const garbage = Buffer.concat([Buffer.alloc(70_000), Buffer.from('x'), Buffer.alloc(500)])
    overwrite(again, LOG, Buffer.concat([whole, garbage]))
    const { report: second } = await openLog(again, AFTER_REBOOT)
    expect(second.partitions).toMatchObject([{ cutBytes: 70_001, cutAtOffset: 2 }])
    const [salvaged = ''] = namesEnding(again, '.salvaged')
    expect(bytesOf(again, `t-0/${salvaged}`).equals(garbage.subarray(0, 70_001))).toBe(true)
  })

  it('cuts at the first bad batch though whole ones follow, and sets later segments aside', async () => {
    const driver = await killedLog(60, { segmentBytes: 1024 })
    const bases = namesEnding(driver, '.log').map((name) => Number.parseInt(name, 10))
    const [, second = 0, third = 0] = bases
    const bytes = bytesOf(driver, segmentFile(second))
    const batchBytes = bytes.length / (third - second)
    bytes[batchBytes * 2 + 70] = 0xee
    overwrite(driver, segmentFile(second), bytes)
    const kept = bytesOf(driver, segmentFile(third))
    const { log, report } = await openLog(driver, AFTER_REBOOT)
    const partition = partitionOf(log, 't')
    expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, second + 2))
    expect(report.partitions).toMatchObject([{ cutAtOffset: second + 2, damage: [] }])
    expect(namesEnding(driver, '.log')).toHaveLength(2)
    expect(namesEnding(driver, '.salvaged')).toHaveLength(bases.length - 1)
    expect(bytesOf(driver, segmentFile(third).replace('.log', '.0.salvaged')).equals(kept)).toBe(
      true,
    )
    appendMany(partition, 30)
    expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, second + 32))
  })

  it('sets aside what follows on a segment whose name a power cut took', async () => {
    const driver = await killedLog(60, { segmentBytes: 1024 })
    const [, second = ''] = namesEnding(driver, '.log')
    await driver.unlink(`t-0/${second}`)
    const { log, report } = await openLog(driver, AFTER_REBOOT)
    expect(partitionOf(log, 't').logEndOffset).toBe(Number.parseInt(second, 10))
    expect(report.partitions).toMatchObject([{ damage: [] }])
  })

  it('calls a bad batch damage when the machine was not started anew since it was published', async () => {
    const driver = await killedLog(0)
    const { log } = await openLog(driver)
    const partition = partitionOf(log, 't')
    appendMany(partition, 5)
    await new Promise((resolve) => setImmediate(resolve)) // The publisher's turn.
    const killed = driver.processKill()
    resize(killed, LOG, bytesOf(killed, LOG).length - 1)
    const { log: again, report } = await openLog(killed)
    expect(partitionOf(again, 't').logEndOffset).toBe(5)
    expect(report.partitions).toMatchObject([
      { cutAtOffset: null, cutBytes: 0, damage: [{ firstOffset: 4, lastOffset: 4 }] },
    ])
    expect(namesEnding(killed, '.salvaged')).toEqual([])
  })

  it('removes snapshots of what was cut', async () => {
    const driver = await killedLog(3)
    overwrite(driver, 't-0/00000000000000000002.snapshot', encodeProducerSnapshot([]))
    overwrite(driver, 't-0/00000000000000000003.snapshot', encodeProducerSnapshot([]))
    resize(driver, LOG, bytesOf(driver, LOG).length - 1)
    await openLog(driver, AFTER_REBOOT)
    expect(namesEnding(driver, '.snapshot')).toEqual(['00000000000000000002.snapshot'])
  })

  it('goes on where the log starts when that lies behind all that is left', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', { preallocate: false }))
    const partition = partitionOf(log, 't')
    appendMany(partition, 10)
    await runProcedure(log.deleteRecordsBefore(partition, 8))
    const killed = driver.processKill()
    resize(killed, LOG, 0)
    for (const bootId of ['second boot', 'third boot']) {
      const { log: again, report } = await openLog(killed, { bootId })
      const { logStartOffset, logEndOffset } = partitionOf(again, 't')
      expect([logStartOffset, logEndOffset]).toEqual([8, 8])
      expect(report.partitions.flatMap(({ damage }) => damage)).toEqual([])
    }
    const { log: last } = await openLog(killed, AFTER_REBOOT)
    appendMany(partitionOf(last, 't'), 2)
    expect(offsetsOf(readFromFiles(partitionOf(last, 't')))).toEqual([8, 9])
  })
})
