/**
 * How recovery ends: everything that it accepted is written and forced once more, several segments
 * side by side, and nothing counts before all of it is on stable storage.
 */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { openLogDirectory } from '../../src/log/directory-open.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import type { DiskCall } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { everyCrash } from '../support/every-crash.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readFromFiles } from './open-log.ts'

const CONFIG = { segmentBytes: 256, indexIntervalBytes: 0, preallocate: false }
const RECORDS = 40
/** Of three records each. */
const SEGMENTS = 14

/** A killed log of many small segments, none of which was ever synced. */
async function killedLog(): Promise<FaultDriver> {
  const driver = new FaultDriver()
  await runProcedure(fill(driver))
  return driver.processKill()
}

function* fill(driver: StorageDriver, records: number = RECORDS): Procedure<void> {
  const { log } = yield* openAt(driver, 'boot')
  yield* log.createTopic('t', CONFIG)
  appendMany(partitionOf(log, 't'), records)
}

function* openAt(driver: StorageDriver, bootId: string): ReturnType<typeof openLogDirectory> {
  return yield* openLogDirectory({
    driver,
    bootId,
    clock: new FakeClock(),
    randomBytes: (byteLength) => Buffer.alloc(byteLength, 7),
    onPartitionFailed: () => undefined,
    producerIdExpirationMs: -1,
    onRolled: () => undefined,
  })
}

describe('what recovery accepts', () => {
  it('is forced side by side, of some segments at a time, and open waits for all', async () => {
    const driver = await killedLog()
    const { machine } = driver
    machine.holds = ({ action, path }) => action === 'flush' && path.endsWith('.log')
    const state = { isOpen: false }
    const opening = openLog(driver, { bootId: 'later boot' }).finally(() => {
      state.isOpen = true
    })
    let most = 0
    for (let turn = 0; turn < 1_000 && !state.isOpen; turn++) {
      await nextTurn()
      most = Math.max(most, machine.held.length)
      machine.held[0]?.end()
    }
    const { log } = await opening
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(8)
    expect(partitionOf(log, 't').durableOffset).toBe(RECORDS)
  })

  it('is on stable storage, names included, before an epoch or a checkpoint says so', async () => {
    const driver = await killedLog()
    const calls: DiskCall[] = []
    driver.onCall = (call) => void calls.push({ ...call })
    await openLog(driver, { bootId: 'later boot' })
    const indexOf = (action: DiskCall['action'], path: string): number =>
      calls.findIndex((call) => call.action === action && call.path === path)
    const lastFlush = calls.findLastIndex(
      ({ action, path }) => action === 'flush' && /\/\d{20}\./.test(path),
    )
    const names = calls.findIndex(
      ({ action, path }, index) =>
        index > lastFlush && action === 'flushDirectory' && path === 't-0',
    )
    const forced = calls.filter(({ action, path }) => action === 'flush' && path.endsWith('.log'))
    expect(new Set(forced.map(({ path }) => path)).size).toBe(SEGMENTS)
    expect(names).toBeGreaterThan(lastFlush)
    expect(indexOf('write', 't-0/leader-epoch-checkpoint.tmp')).toBeGreaterThan(names)
    expect(indexOf('write', 'recovery-point-offset-checkpoint.tmp')).toBeGreaterThan(names)
  })

  it('fails the open where one of the syncs fails, and is accepted by the next', async () => {
    const driver = await killedLog()
    driver.machine.faults.inject({ fault: 'drop', action: 'flush', path: /6\.log$/ })
    await expect(openLog(driver)).rejects.toMatchObject({ code: 'IO' })
    const again = driver.processKill()
    const { log } = await openLog(again)
    expect(partitionOf(log, 't').durableOffset).toBe(RECORDS)
    const { log: later } = await openLog(again.powerCut(), { bootId: 'later boot' })
    expect(offsetsOf(readFromFiles(partitionOf(later, 't')))).toEqual(range(0, RECORDS))
  })

  it('is there after the next open, whichever call the first was stopped at', async () => {
    const few = 7 // Of three segments, all side by side.
    const prepare = (driver: StorageDriver): Procedure<void> => fill(driver, few)
    for await (const { driver, kind, stoppedAt } of everyCrash(prepare, openOnce)) {
      const where = `${kind} at ${stoppedAt}`
      const { log, report } = await openLog(driver, { bootId: 'a third boot' })
      const offsets = offsetsOf(readFromFiles(partitionOf(log, 't')))
      expect(offsets, where).toEqual(range(0, offsets.length))
      if (kind === 'kill' || kind === 'all') expect(offsets, where).toHaveLength(few)
      // What an open had counted as durable is there, and needs no second look.
      if (stoppedAt !== Number.POSITIVE_INFINITY) continue
      expect(offsets, where).toHaveLength(few)
      expect(report.partitions, where).toEqual([])
    }
  })
})

function openOnce(driver: StorageDriver): Procedure<unknown> {
  return openAt(driver, 'later boot')
}
