/**
 * Bytes that were on stable storage once and are not what was written: nothing is cut, the log goes
 * on behind what it had, and readers are told instead of being given less.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import {
  appendMany,
  offsetsOf,
  openLog,
  partitionOf,
  range,
  readFromFiles,
  readRecords,
  recordsOf,
  valueAt,
} from './open-log.ts'
import { bytesOf, flip, namesEnding, overwrite, resize, segmentFile } from './tampering.ts'

const COUNT = 200
const BOOT = { bootId: 'later boot' }

interface StoppedLog {
  readonly driver: FaultDriver
  /** Base offsets of the segments. */
  readonly bases: readonly number[]
}

/** A log whose first `COUNT` batches are below the recovery point, killed. */
async function stoppedLog(indexIntervalBytes: number = 200): Promise<StoppedLog> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  const config = { segmentBytes: 4096, indexIntervalBytes, preallocate: false }
  await runProcedure(log.createTopic('t', config))
  appendMany(partitionOf(log, 't'), COUNT)
  await runProcedure(log.checkpoint())
  const killed = driver.processKill()
  return {
    driver: killed,
    bases: namesEnding(killed, '.log').map((name) => Number.parseInt(name, 10)),
  }
}

function base(stopped: StoppedLog, index: number): number {
  const found = stopped.bases.at(index)
  if (found === undefined) throw new Error('no such segment')
  return found
}

/** What a reader gets who passes damage over, and how often it was told. */
function readSkipping(log: PartitionLog): { offsets: readonly number[]; errors: number } {
  log.tail.clear()
  const offsets: number[] = []
  let errors = 0
  const cursor = log.cursor(log.logStartOffset)
  for (;;) {
    try {
      const run = cursor.next(log.highWatermark)
      if (run === undefined) return { offsets, errors }
      for (const { offset, value } of recordsOf(run)) {
        expect(value).toBe(valueAt(offset))
        offsets.push(offset)
      }
    } catch (error) {
      if (!LogError.is(error, 'CORRUPT')) throw error
      errors += 1
      cursor.skipDamage()
    }
  }
}

/** Checks that exactly `gone` cannot be read, one way and the other, and seeking to each offset. */
function expectGone(log: PartitionLog, gone: readonly number[], end: number = COUNT): void {
  expect(log.logEndOffset).toBe(end)
  const left = range(0, end).filter((offset) => !gone.includes(offset))
  expect(readSkipping(log).offsets).toEqual(left)
  for (const offset of range(0, end)) {
    const read = (): readonly number[] => offsetsOf(readRecords(log, offset, offset + 1))
    if (gone.includes(offset)) expect(read).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    else expect(read()).toEqual([offset])
  }
}

/** The same after more appends, after a kill, after a clean close, and after that. */
async function expectStable(
  driver: FaultDriver,
  first: LogDirectory,
  gone: readonly number[],
): Promise<void> {
  let log = first
  let end = COUNT
  let held = driver
  for (const how of ['kill', 'close', 'close', 'kill', 'power cut'] as const) {
    appendMany(partitionOf(log, 't'), 5)
    end += 5
    expectGone(partitionOf(log, 't'), gone, end)
    if (how === 'close') await runProcedure(log.close())
    if (how === 'power cut') await partitionOf(log, 't').makeDurable(end)
    held = held.processKill()
    const opened = await openLog(held, BOOT)
    log = opened.log
    expect(opened.report.clean).toBe(how === 'close')
    expect(opened.report.partitions.map(({ cutAtOffset }) => cutAtOffset ?? null)).not.toContain(0)
    expectGone(partitionOf(log, 't'), gone, end)
  }
}

describe('damage below the recovery point', () => {
  it('of the end of the newest segment is passed over by a new segment', async () => {
    const stopped = await stoppedLog()
    const { driver } = stopped
    const path = segmentFile(base(stopped, -1))
    resize(driver, path, bytesOf(driver, path).length - 10)
    const { log, report } = await openLog(driver, BOOT)
    expect(report.partitions).toMatchObject([
      {
        cutBytes: 0,
        cutAtOffset: null,
        damage: [{ firstOffset: COUNT - 1, lastOffset: COUNT - 1 }],
      },
    ])
    expect(namesEnding(driver, '.salvaged')).toEqual([])
    await expectStable(driver, log, [COUNT - 1])
  })

  it('of all that the newest segment held is told, also while nothing follows it', async () => {
    const stopped = await stoppedLog()
    resize(stopped.driver, segmentFile(base(stopped, -1)), 0)
    const { log } = await openLog(stopped.driver, BOOT)
    const gone = range(base(stopped, -1), COUNT)
    expectGone(partitionOf(log, 't'), gone)
    await expectStable(stopped.driver, log, gone)
  })

  it('of a sealed segment that was cut short is found by open', async () => {
    const stopped = await stoppedLog()
    const { driver } = stopped
    const path = segmentFile(base(stopped, 1))
    const bytes = bytesOf(driver, path)
    resize(driver, path, bytes.length - 10)
    const { log, report } = await openLog(driver, BOOT)
    const lost = base(stopped, 2) - 1
    expect(report.partitions).toMatchObject([{ damage: [{ firstOffset: lost, lastOffset: lost }] }])
    await expectStable(driver, log, [lost])
  })

  it('of a whole segment that is missing is found by open, the first one included', async () => {
    for (const index of [0, 1, 2]) {
      const stopped = await stoppedLog()
      const { driver } = stopped
      const [first, next] = [base(stopped, index), base(stopped, index + 1)]
      await driver.unlink(segmentFile(first))
      const { log, report } = await openLog(driver, BOOT)
      expect(report.partitions).toMatchObject([
        { damage: [{ firstOffset: first, lastOffset: next - 1, reason: 'missing' }] },
      ])
      await expectStable(driver, log, range(first, next))
    }
  })

  it('of the newest segments, which are missing, leaves the end where it was', async () => {
    const stopped = await stoppedLog()
    const { driver } = stopped
    await driver.unlink(segmentFile(base(stopped, -1)))
    await driver.unlink(segmentFile(base(stopped, -2)))
    const { log, report } = await openLog(driver, BOOT)
    expect(report.partitions).toMatchObject([
      { damage: [{ firstOffset: base(stopped, -2), lastOffset: COUNT - 1 }] },
    ])
    await expectStable(driver, log, range(base(stopped, -2), COUNT))
  })

  it('of every segment, or of the folder, leaves an empty log that goes on', async () => {
    for (const folder of [false, true]) {
      const stopped = await stoppedLog()
      const { driver } = stopped
      if (folder) await driver.removeDirectory('t-0')
      else for (const at of stopped.bases) await driver.unlink(segmentFile(at))
      const { log, report } = await openLog(driver, BOOT)
      expect(report.partitions).toMatchObject([
        { damage: [{ firstOffset: 0, lastOffset: COUNT - 1 }] },
      ])
      await expectStable(driver, log, range(0, COUNT))
    }
  })

  it('of one batch, at any of its bytes, takes that batch and no other', async () => {
    const stopped = await stoppedLog()
    const { driver } = stopped
    const path = segmentFile(base(stopped, 1))
    const bytes = bytesOf(driver, path)
    const inSegment = base(stopped, 2) - base(stopped, 1)
    const batchBytes = bytes.length / inSegment
    const number = 7
    for (const [field, bit] of [
      0,
      7,
      8,
      11,
      16,
      17,
      22,
      23,
      26,
      30,
      35,
      43,
      57,
      60,
      61,
      batchBytes - 1,
    ].flatMap(
      (at) =>
        [
          [at, 0x80],
          [at, 0x04],
          [at, 0x01],
        ] as const,
    )) {
      const changed = Buffer.from(bytes)
      const at = number * batchBytes + field
      changed[at] = (changed[at] ?? 0) ^ bit
      overwrite(driver, path, changed)
      const copy = await copyOf(driver)
      const { log } = await openLog(copy, BOOT)
      expectGone(partitionOf(log, 't'), [base(stopped, 1) + number])
    }
  })

  it('of the newest segment, found by recovery, takes what it hit and is reported', async () => {
    const stopped = await stoppedLog(4096) // No index entry: recovery checks all of it.
    const { driver } = stopped
    const path = segmentFile(base(stopped, -1))
    const inSegment = COUNT - base(stopped, -1)
    const batchBytes = bytesOf(driver, path).length / inSegment
    flip(driver, path, 3 * batchBytes + 70)
    flip(driver, path, 8 * batchBytes + 8) // A length.
    const { log, report } = await openLog(driver, BOOT)
    const [one, two] = [base(stopped, -1) + 3, base(stopped, -1) + 8]
    expect(report.partitions).toMatchObject([
      {
        damage: [
          { firstOffset: one, lastOffset: one, position: 3 * batchBytes, bytes: batchBytes },
          { firstOffset: two, lastOffset: two, bytes: batchBytes },
        ],
      },
    ])
    await expectStable(driver, log, [one, two])
  })

  it('before a torn tail keeps the tail as it is, and the log readable up to its end', async () => {
    const stopped = await stoppedLog(4096)
    const { driver } = stopped
    const path = segmentFile(base(stopped, -1))
    const bytes = bytesOf(driver, path)
    const batchBytes = bytes.length / (COUNT - base(stopped, -1))
    const changed = Buffer.concat([bytes, bytes.subarray(0, 40)])
    changed[70] = 0xee
    overwrite(driver, path, changed)
    const { log, report } = await openLog(driver, BOOT)
    expect(report.partitions).toMatchObject([
      {
        cutAtOffset: null,
        damage: [
          { firstOffset: base(stopped, -1), bytes: batchBytes },
          { firstOffset: null, lastOffset: null, bytes: 40 },
        ],
      },
    ])
    expect(bytesOf(driver, path).equals(changed)).toBe(true)
    await expectStable(driver, log, [base(stopped, -1)])
  })

  it('below the start of the log is no damage', async () => {
    const stopped = await stoppedLog()
    const { driver } = stopped
    const { log } = await openLog(driver, BOOT)
    await runProcedure(log.deleteRecordsBefore(partitionOf(log, 't'), base(stopped, 2)))
    const killed = driver.processKill()
    await killed.unlink(segmentFile(base(stopped, 0)))
    resize(killed, segmentFile(base(stopped, 1)), 100)
    const { log: again, report } = await openLog(killed, BOOT)
    expect(report.partitions.flatMap(({ damage }) => damage)).toEqual([])
    const left = range(base(stopped, 2), COUNT)
    expect(offsetsOf(readFromFiles(partitionOf(again, 't')))).toEqual(left)
  })
})

/** A driver of its own over the same files. */
async function copyOf(driver: FaultDriver): Promise<FaultDriver> {
  const copy = new FaultDriver()
  const walk = (directory: string): void => {
    for (const name of driver.list(directory)) {
      const path = directory === '' ? name : `${directory}/${name}`
      if (driver.status(path)?.kind === 'directory') {
        copy.createDirectory(path)
        walk(path)
      } else {
        overwrite(copy, path, bytesOf(driver, path))
      }
    }
  }
  walk('')
  return copy
}
