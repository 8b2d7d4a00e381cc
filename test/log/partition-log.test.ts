/**
 * One partition while it is open: when it starts a new segment, and what it is like after a write
 * that found no room.
 */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FakeClock } from '../support/fake-clock.ts'
import type { DiskCall } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import {
  appendBatch,
  appendMany,
  offsetsOf,
  openLog,
  partitionOf,
  range,
  readFromFiles,
  readRecords,
} from './open-log.ts'
import { bytesOf, overwrite, segmentFile } from './tampering.ts'

interface OpenedLog {
  readonly driver: FaultDriver
  readonly log: LogDirectory
  readonly clock: FakeClock
}

async function open(config: TopicConfig): Promise<OpenedLog> {
  const driver = new FaultDriver()
  const clock = new FakeClock()
  const { log } = await openLog(driver, { clock })
  await runProcedure(log.createTopic('t', config))
  return { driver, log, clock }
}

/** Appends one record of `timestamp`; true where it started a segment. */
function rolls(log: LogDirectory, timestamp: number, valueBytes: number = 8): boolean {
  const partition = partitionOf(log, 't')
  const before = partition.segments.count
  appendBatch(partition, [{ timestamp, value: 'x'.repeat(valueBytes) }])
  return partition.segments.count > before
}

describe('a partition starts a segment', () => {
  it('with the batch that would pass segmentBytes', async () => {
    const { log } = await open({ segmentBytes: 1024 })
    const batchBytes = 61 + 16
    const fitting = Math.floor(1024 / batchBytes)
    const rolled = range(0, fitting + 1).map((at) => rolls(log, at))
    expect(rolled).toEqual([...Array.from({ length: fitting }, () => false), true])
    expect(partitionOf(log, 't').segments.active.baseOffset).toBe(fitting)
  })

  it('for a batch larger than segmentBytes, which it has alone', async () => {
    const { log } = await open({ segmentBytes: 1024 })
    expect([rolls(log, 1), rolls(log, 1, 5000), rolls(log, 1), rolls(log, 1)]).toEqual([
      false,
      true,
      true,
      false,
    ])
    expect(offsetsOf(readFromFiles(partitionOf(log, 't')))).toEqual(range(0, 4))
  })

  it("when records' time has gone on by segmentMs since its first batch, whatever the clock says", async () => {
    const { log, clock } = await open({ segmentMs: 100 })
    expect(rolls(log, 5_000)).toBe(false)
    clock.advance(1_000_000)
    expect(rolls(log, 5_100)).toBe(false)
    expect(rolls(log, 5_101)).toBe(true)
    expect(rolls(log, 1)).toBe(false)
  })

  it('by the clock where its first batch has no timestamp', async () => {
    const { log, clock } = await open({ segmentMs: 100 })
    expect(rolls(log, -1)).toBe(false)
    clock.advance(100)
    expect(rolls(log, -1)).toBe(false)
    clock.advance(1)
    expect(rolls(log, -1)).toBe(true)
  })

  it('by append time where the log sets it', async () => {
    const { log, clock } = await open({ segmentMs: 100, messageTimestampType: 'LogAppendTime' })
    expect(rolls(log, 5)).toBe(false)
    clock.advance(101)
    expect(rolls(log, 5)).toBe(true)
    expect(readRecords(partitionOf(log, 't')).map(({ timestamp }) => timestamp)).toEqual([
      1_000, 1_101,
    ])
  })

  it('and keeps the age of a segment over a clean close', async () => {
    const { log, driver } = await open({ segmentMs: 100 })
    rolls(log, 5_000)
    await runProcedure(log.close())
    const { log: again } = await openLog(driver.processKill())
    expect(rolls(again, 5_101)).toBe(true)
  })
})

describe('a disk without room', () => {
  const isLogWrite = ({ action, path }: DiskCall): boolean =>
    action === 'write' && path.endsWith('.log')

  it('in the middle of an append leaves the log as it was, and appends go on', async () => {
    for (const preallocate of [true, false]) {
      const { log, driver } = await open({ preallocate })
      const partition = partitionOf(log, 't')
      appendMany(partition, 3)
      driver.onCall = (call) => (isLogWrite(call) ? 'ENOSPC' : undefined)
      for (let times = 0; times < 2; times++) {
        expect(() => appendMany(partition, 1)).toThrow(
          expect.objectContaining({ code: 'NO_SPACE' }),
        )
      }
      driver.onCall = undefined
      expect(offsetsOf(readRecords(partition))).toEqual(range(0, 3))
      expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, 3))
      const lastByte = bytesOf(driver, segmentFile(0)).findLastIndex((byte) => byte !== 0)
      expect(lastByte).toBeLessThan(partition.segments.active.sizeBytes) // Nothing half written.
      appendMany(partition, 3)
      expect(offsetsOf(readRecords(partition))).toEqual(range(0, 6))
      await nextTurn()
      const { log: again, report } = await openLog(driver.processKill())
      expect(report.partitions).toEqual([])
      expect(offsetsOf(readFromFiles(partitionOf(again, 't')))).toEqual(range(0, 6))
    }
  })

  it('for growing ahead is no reason to refuse a batch that fits', async () => {
    const { log, driver } = await open({ preallocate: true })
    driver.onCall = ({ action }) => (action === 'resize' ? 'ENOSPC' : undefined)
    appendMany(partitionOf(log, 't'), 3)
    driver.onCall = undefined
    expect(offsetsOf(readFromFiles(partitionOf(log, 't')))).toEqual(range(0, 3))
  })

  it.each(['.log', '.index', '.timeindex'])(
    'for the %s of a new segment leaves the log as it was, and the next append makes it',
    async (suffix) => {
      const { log, driver } = await open({ segmentBytes: 1024, preallocate: false })
      const partition = partitionOf(log, 't')
      appendMany(partition, 13)
      driver.onCall = ({ action, path }) =>
        action === 'create' && path.endsWith(suffix) ? 'ENOSPC' : undefined
      for (let times = 0; times < 2; times++) {
        expect(() => appendMany(partition, 1)).toThrow(
          expect.objectContaining({ code: 'NO_SPACE' }),
        )
      }
      await partition.makeDurable(13)
      await runProcedure(log.checkpoint())
      driver.onCall = undefined
      expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, 13))
      appendMany(partition, 20)
      await partition.makeDurable(33)
      expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, 33))
      await runProcedure(log.close())
      const { log: again, report } = await openLog(driver.processKill())
      expect(report).toMatchObject({ clean: true, partitions: [] })
      expect(offsetsOf(readFromFiles(partitionOf(again, 't')))).toEqual(range(0, 33))
    },
  )

  it.each(['.log', '.index', '.timeindex'])(
    'for the %s of a new segment, up to the close, is no reason to check the log at the next open',
    async (suffix) => {
      const { log, driver } = await open({ segmentBytes: 1024, preallocate: false })
      const { leaderEpoch } = partitionOf(log, 't')
      appendMany(partitionOf(log, 't'), 13)
      driver.onCall = ({ action, path }) =>
        action === 'create' && path.startsWith('t-0/') && path.endsWith(suffix)
          ? 'ENOSPC'
          : undefined
      expect(() => appendMany(partitionOf(log, 't'), 1)).toThrow(
        expect.objectContaining({ code: 'NO_SPACE' }),
      )
      await runProcedure(log.close())
      const { log: again, report } = await openLog(driver.processKill())
      expect(report).toMatchObject({ clean: true, partitions: [] })
      const partition = partitionOf(again, 't')
      expect(partition.leaderEpoch).toBe(leaderEpoch)
      appendMany(partition, 20)
      await partition.makeDurable(33)
      await runProcedure(again.close())
      const { log: last, report: clean } = await openLog(driver.processKill())
      expect(clean).toMatchObject({ clean: true, partitions: [] })
      expect(offsetsOf(readFromFiles(partitionOf(last, 't')))).toEqual(range(0, 33))
      expect([...partitionOf(last, 't').segments].map(({ baseOffset }) => baseOffset)).toContain(13)
    },
  )

  it('for a new segment is made up for by the next append, though it need not roll any more', async () => {
    const { log, driver } = await open({ segmentBytes: 1024, preallocate: false })
    appendMany(partitionOf(log, 't'), 13)
    driver.onCall = ({ action, path }) =>
      action === 'create' && path.endsWith('.index') ? 'ENOSPC' : undefined
    expect(() => appendMany(partitionOf(log, 't'), 1)).toThrow(
      expect.objectContaining({ code: 'NO_SPACE' }),
    )
    await runProcedure(log.alterTopics([{ name: 't', config: { segmentBytes: 1_048_576 } }]))
    await runProcedure(log.close())
    const { log: again } = await openLog(driver.processKill())
    appendMany(partitionOf(again, 't'), 2)
    await runProcedure(again.close())
    const { log: last, report } = await openLog(driver.processKill())
    expect(report).toMatchObject({ clean: true, partitions: [] })
    const { segments } = partitionOf(last, 't')
    expect([...segments].map(({ baseOffset }) => baseOffset)).toEqual([0, 13])
  })

  it('for hints fails no append, and they are written when there is room', async () => {
    const { log, driver } = await open({ indexIntervalBytes: 0, preallocate: false })
    const partition = partitionOf(log, 't')
    for (const [failure, count] of [
      ['ENOSPC', 8_500],
      ['EIO', 500],
    ] as const) {
      driver.onCall = ({ action, path }) =>
        action === 'write' && path.endsWith('index') ? failure : undefined
      appendMany(partition, count)
    }
    driver.onCall = undefined
    await runProcedure(log.close())
    const left = driver.processKill()
    expect(bytesOf(left, segmentFile(0, '.index'))).toHaveLength(8 * (9_000 - 1))
    const { log: again } = await openLog(left)
    expect(offsetsOf(readFromFiles(partitionOf(again, 't'), 8_000))).toEqual(range(8_000, 9_000))
  })
})

describe('hints that are wrong', () => {
  it.each([
    ['missing', undefined],
    ['zeros', Buffer.alloc(960)],
    ['of odd size', Buffer.alloc(961, 1)],
    ['garbage', Buffer.alloc(960, 0x7e)],
    ['garbage with a small end', Buffer.concat([Buffer.alloc(956, 0x7e), Buffer.alloc(4)])],
  ])('%s are rebuilt, after a clean close and after a kill', async (_, bytes) => {
    for (const isClean of [true, false]) {
      for (const suffix of ['.index', '.timeindex'] as const) {
        for (const at of [0, 1] as const) {
          const { log, driver } = await open({ segmentBytes: 4096, indexIntervalBytes: 0 })
          appendMany(partitionOf(log, 't'), 80)
          const bases = [...partitionOf(log, 't').segments].map(({ baseOffset }) => baseOffset)
          if (isClean) await runProcedure(log.close())
          else await runProcedure(log.checkpoint())
          const left = driver.processKill()
          const whole = bytesOf(left, segmentFile(bases[at] ?? 0, suffix))
          const path = segmentFile(bases[at] ?? 0, suffix)
          if (bytes === undefined) await left.unlink(path)
          else overwrite(left, path, bytes)
          const { log: again, report } = await openLog(left)
          expect(report.clean).toBe(isClean)
          const partition = partitionOf(again, 't')
          appendMany(partition, 10)
          partition.tail.clear()
          for (const offset of range(0, 90)) {
            expect(offsetsOf(readRecords(partition, offset, offset + 1))).toEqual([offset])
          }
          await runProcedure(again.close())
          const after = bytesOf(left.processKill(), path)
          expect(after.subarray(0, whole.length - 12).equals(whole.subarray(0, -12))).toBe(true)
        }
      }
    }
  })
})
