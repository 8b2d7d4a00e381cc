/**
 * Files beside the data that the device cannot read: indexes, checkpoints, metadata, the clean
 * marker, the control file. Each is a hint, or kept in more than one place: the log opens without
 * it, tells of it, and makes it anew in another file, which takes the name.
 */
import { describe, expect, it } from 'vitest'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { repair, verify } from '../damage/repaired.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readFromFiles } from './open-log.ts'
import { namesEnding, segmentFile } from './tampering.ts'

const COUNT = 60
const CONFIG = { segmentBytes: 1024, indexIntervalBytes: 100, preallocate: false }
const LATER = { bootId: 'later boot' }

const MARKER = '.kafka_cleanshutdown'
/** Which are told of when they are not to be had, after which stop. */
const FILES: readonly (readonly [file: string, toldOf: readonly Stop[]])[] = [
  ['metadata.json', ['closed', 'killed']],
  ['metadata.json.previous', []],
  ['recovery-point-offset-checkpoint', ['closed', 'killed']],
  ['log-start-offset-checkpoint', ['closed', 'killed']],
  ['meta.properties', []],
  ['streambed.control', []],
  [MARKER, []],
  ['t-0/leader-epoch-checkpoint', ['closed', 'killed']],
  ['t-0/partition.metadata', []],
  [segmentFile(0, '.index'), ['killed']],
  [segmentFile(0, '.timeindex'), ['killed']],
]

type Stop = 'closed' | 'killed'

/** A log of several segments that was stopped so. */
async function stopped(stop: Stop): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', CONFIG))
  appendMany(partitionOf(log, 't'), COUNT)
  await runProcedure(log.checkpoint())
  if (stop === 'closed') await runProcedure(log.close())
  return driver.processKill()
}

/** Until another file takes its name, `path` cannot be read. */
function spoil(driver: FaultDriver, path: string): void {
  const { faults } = driver.machine
  faults.inject({ fault: 'EIO', action: 'read', path, count: Infinity })
  driver.onCall = (call) => {
    const isGone = call.action === 'rename' || call.action === 'unlink'
    if (call.path === path && isGone) faults.clear()
    return undefined
  }
}

describe.each(['closed', 'killed'] as const)('a log that was %s', (stop) => {
  const files = FILES.filter(([file]) => stop === 'closed' || file !== MARKER)

  it.each(files)('opens without %s, all there, and tells of what it missed', async (file, told) => {
    const driver = await stopped(stop)
    spoil(driver, file)
    const { log, report } = await openLog(driver, LATER)
    const partition = partitionOf(log, 't')
    expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, COUNT))
    for (const offset of [0, 7, COUNT - 1]) {
      expect(offsetForTimestamp(partition, 1_000 + offset)).toBe(offset)
    }
    const rebuilt = report.partitions.some(({ rebuiltIndexes }) => rebuiltIndexes > 0)
    const damage = report.partitions.flatMap((one) => one.damage)
    expect(damage.every(({ firstOffset }) => firstOffset === null)).toBe(true)
    const named = [...report.unusable, ...damage.map((one) => one.file)]
    expect(named.includes(file) || rebuilt).toBe(told.includes(stop))
    appendMany(partition, 3)
    await runProcedure(log.close())

    const again = await openLog(driver.processKill(), LATER)
    expect(again.report.clean).toBe(true)
    expect(again.report.partitions).toEqual([])
    expect(again.report.unusable).toEqual([])
    expect(partitionOf(again.log, 't').logEndOffset).toBe(COUNT + 3)
  })

  it.each(files)('is verified to the end around %s, and repaired', async (file) => {
    const driver = await stopped(stop)
    spoil(driver, file)
    const { damage, records } = verify(driver, 'later boot')
    expect(records).toBe(COUNT)
    const isHint = file === 'streambed.control'
    expect(damage.map((one) => one.file)).toEqual(isHint ? [] : [file])
    await runProcedure(repair(driver, 'later boot'))
    expect(verify(driver, 'later boot').damage).toEqual([])
    const { log } = await openLog(driver, LATER)
    expect(offsetsOf(readFromFiles(partitionOf(log, 't')))).toEqual(range(0, COUNT))
    if (!file.startsWith('t-0/')) return
    expect(namesEnding(driver, '.salvaged')).toContain(`${file.slice('t-0/'.length)}.salvaged`)
  })
})
