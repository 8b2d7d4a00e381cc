/**
 * A bad batch above the recovery point, after a loss of power: what the control file happens to
 * tell of the boot before says whether it was durable. Then it is rot, and what lies behind it
 * stays; a torn write is never below it, and is cut as ever (docs/decisions/065).
 */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { readControlFile } from '../../src/storage/control-file.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { verify } from '../damage/repaired.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readRecords } from './open-log.ts'
import { bytesOf, flip, namesEnding, overwrite, segmentFile } from './tampering.ts'

const DURABLE = 30
const WRITTEN = 34
const LATER = { bootId: 'later boot' }

/** A log that lost its power: `DURABLE` records were durable, and that was published. */
async function powerLost(segmentBytes: number): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { segmentBytes, preallocate: false }))
  const partition = partitionOf(log, 't')
  appendMany(partition, DURABLE)
  await partition.makeDurable(DURABLE)
  appendMany(partition, WRITTEN - DURABLE)
  await nextTurn() // The publisher's turn.
  return driver.processKill() // Everything reached the disk by luck.
}

/** The offsets that can be read, damage being passed over. */
function readable(partition: ReturnType<typeof partitionOf>): readonly number[] {
  partition.tail.clear()
  const offsets: number[] = []
  const cursor = partition.cursor(0)
  for (;;) {
    try {
      const run = cursor.next(partition.highWatermark)
      if (run === undefined) return offsets
      offsets.push(...offsetsOf(readRecords(partition, cursorStart(run), cursorEnd(run))))
    } catch {
      cursor.skipDamage()
    }
  }
}

function cursorStart(run: { readonly buffer: Buffer; readonly start: number }): number {
  return Number(run.buffer.readBigInt64BE(run.start))
}

function cursorEnd(run: {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}): number {
  let end = 0
  for (let at = run.start; at < run.end; at += 12 + run.buffer.readInt32BE(at + 8)) {
    end = Number(run.buffer.readBigInt64BE(at)) + run.buffer.readInt32BE(at + 23) + 1
  }
  return end
}

/** Where batch number `index` of a file starts: all have the same size there. */
function batchAt(driver: StorageDriver, path: string, index: number): number {
  return index * (12 + bytesOf(driver, path).readInt32BE(8))
}

describe('a bad batch above the recovery point, after a loss of power', () => {
  it('that was durable before it takes no batch behind it', async () => {
    const driver = await powerLost(1 << 20)
    flip(driver, segmentFile(0), batchAt(driver, segmentFile(0), 12) + 65)
    expect(verify(driver, LATER.bootId)).toMatchObject({
      tornBytes: 0,
      damage: [{ firstOffset: 12, lastOffset: 12, reason: 'crc' }],
    })
    const { log, report } = await openLog(driver, LATER)
    const partition = partitionOf(log, 't')
    expect(report.partitions).toMatchObject([{ cutAtOffset: null, cutBytes: 0 }])
    expect(report.partitions[0]?.damage).toMatchObject([{ firstOffset: 12, lastOffset: 12 }])
    expect(partition.logEndOffset).toBe(WRITTEN)
    expect(readable(partition)).toEqual(range(0, WRITTEN).filter((offset) => offset !== 12))
  })

  it('that is the last of its segment takes none of the next one', async () => {
    const driver = await powerLost(1024)
    const [, second = 0] = namesEnding(driver, '.log').map((name) => Number.parseInt(name, 10))
    const size = bytesOf(driver, segmentFile(0)).length
    flip(driver, segmentFile(0), size - 3)
    const { log, report } = await openLog(driver, LATER)
    expect(report.partitions[0]).toMatchObject({ cutAtOffset: null })
    expect(report.partitions[0]?.damage).toMatchObject([{ lastOffset: second - 1 }])
    expect(partitionOf(log, 't').logEndOffset).toBe(WRITTEN)
  })

  it('that was not durable is cut with all behind it, as a torn write', async () => {
    const driver = await powerLost(1 << 20)
    flip(driver, segmentFile(0), batchAt(driver, segmentFile(0), DURABLE + 1) + 65)
    const { log, report } = await openLog(driver, LATER)
    expect(report.partitions).toMatchObject([{ cutAtOffset: DURABLE + 1, damage: [] }])
    expect(partitionOf(log, 't').logEndOffset).toBe(DURABLE + 1)
  })

  it('behind which there is nothing is cut, as in a copy that was made of a log in use', async () => {
    const driver = await powerLost(1 << 20)
    const bytes = bytesOf(driver, segmentFile(0))
    overwrite(driver, segmentFile(0), bytes.subarray(0, batchAt(driver, segmentFile(0), 12) + 70))
    const { log, report } = await openLog(driver, LATER)
    expect(report.partitions).toMatchObject([{ cutAtOffset: 12, damage: [] }])
    expect(partitionOf(log, 't').logEndOffset).toBe(12)
    // Of what is appended now nothing is durable, whatever was claimed of these offsets before.
    appendMany(partitionOf(log, 't'), 6)
    const random = new SeededRandom(3)
    const cut = driver.powerCut(random, 'all')
    overwrite(cut, 'streambed.control', bytesOf(cut, 'streambed.control'))
    flip(cut, segmentFile(0), batchAt(cut, segmentFile(0), 14) + 65)
    const again = await openLog(cut, { bootId: 'a third boot' })
    expect(again.report.partitions).toMatchObject([{ cutAtOffset: 14, damage: [] }])
  })

  it('is judged by no older claim where the log just ended below that, and nothing was cut', async () => {
    const driver = await powerLost(1 << 20)
    const bytes = bytesOf(driver, segmentFile(0))
    overwrite(driver, segmentFile(0), bytes.subarray(0, batchAt(driver, segmentFile(0), 12)))
    const copy = driver.powerCut(new SeededRandom(3), 'all')
    const { log, report } = await openLog(copy, LATER)
    expect(report.partitions).toEqual([])
    expect(partitionOf(log, 't').logEndOffset).toBe(12)
    // Of what is appended now nothing is durable, whatever was claimed of these offsets before.
    appendMany(partitionOf(log, 't'), 6)
    const control = readControlFile(copy.powerCut(undefined, 'none'))
    for (const { durableOffset } of control?.slots.values() ?? [])
      expect(durableOffset).toBeLessThanOrEqual(12)
  })

  it('is never what a loss of power left of a write: no record that was durable reads as damage', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const driver = new FaultDriver()
      const { log } = await openLog(driver)
      await runProcedure(log.createTopic('t', { segmentBytes: 700, preallocate: seed % 2 === 0 }))
      const partition = partitionOf(log, 't')
      const durable = 5 + (seed % 20)
      appendMany(partition, durable)
      await partition.makeDurable(durable)
      appendMany(partition, 12)
      await nextTurn()
      const left = driver.powerCut(new SeededRandom(seed))
      const { log: again, report } = await openLog(left, LATER)
      expect(report.partitions.flatMap(({ damage }) => damage)).toEqual([])
      expect(partitionOf(again, 't').logEndOffset).toBeGreaterThanOrEqual(durable)
    }
  })
})
