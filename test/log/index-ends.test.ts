/**
 * Last entries of index files that cannot be right. Recovery takes a segment below the recovery
 * point by its end, to which these entries lead: where they lead nowhere, all of it is read instead
 * and nothing is missing. Leftovers of a recovery that was stopped are in nobody's way.
 */
import { describe, expect, it } from 'vitest'
import { OFFSET_INDEX_ENTRY_BYTES } from '../../src/format/offset-index-entry.ts'
import { TIME_INDEX_ENTRY_BYTES } from '../../src/format/time-index-entry.ts'
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
} from './open-log.ts'
import { bytesOf, namesEnding, overwrite, resize, segmentFile } from './tampering.ts'

const COUNT = 120
const CONFIG = { segmentBytes: 4096, indexIntervalBytes: 200, preallocate: false }

/** A log of several segments, synced and checkpointed, killed; `timestamp` undefined: ascending. */
async function killedLog(timestamp?: number): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', CONFIG))
  const partition = partitionOf(log, 't')
  for (let offset = 0; offset < COUNT; offset++) {
    appendBatch(partition, [{ timestamp: timestamp ?? 1_000 + offset, value: String(offset) }])
  }
  await runProcedure(log.checkpoint())
  return driver.processKill()
}

/** Opens what `driver` holds after a boot, and checks that every record is there. */
async function expectWhole(driver: FaultDriver): Promise<number> {
  const { log, report } = await openLog(driver, { bootId: 'later boot' })
  const partition = partitionOf(log, 't')
  expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, COUNT))
  expect(report.partitions.flatMap(({ damage }) => damage)).toEqual([])
  appendMany(partition, 1)
  return report.partitions.reduce((sum, { rebuiltIndexes }) => sum + rebuiltIndexes, 0)
}

describe('the last entry of an index below the recovery point', () => {
  it.each([
    ['.index', 'an offset before the segment', 0, -1],
    ['.index', 'a position at the start of the file', 4, 0],
    ['.index', 'a position behind the end of the file', 4, 1 << 20],
    ['.index', 'a position inside of a batch', 4, 77],
    ['.timeindex', 'a time that no number holds', 0, 0x7fff_ffff],
    ['.timeindex', 'a negative time', 0, -1],
    ['.timeindex', 'an offset before the segment', 8, -1],
    ['.timeindex', 'an offset behind the segment', 8, 1 << 20],
  ] as const)(
    'of a %s that names %s costs a look at the log, no record',
    async (suffix, _, at, value) => {
      const driver = await killedLog()
      const slotBytes = suffix === '.index' ? OFFSET_INDEX_ENTRY_BYTES : TIME_INDEX_ENTRY_BYTES
      const path = segmentFile(0, suffix)
      const bytes = bytesOf(driver, path)
      bytes.writeInt32BE(value, bytes.length - slotBytes + at)
      overwrite(driver, path, bytes)
      await expectWhole(driver)
    },
  )

  it.each(['.index', '.timeindex'] as const)('of a %s may be cut in two', async (suffix) => {
    const driver = await killedLog()
    const path = segmentFile(0, suffix)
    resize(driver, path, bytesOf(driver, path).length - 3)
    await expectWhole(driver)
  })

  it('may be missing where no record has a time', async () => {
    const driver = await killedLog(-1)
    expect(bytesOf(driver, segmentFile(0, '.timeindex'))).toHaveLength(0)
    await expectWhole(driver)
  })
})

describe('a recovery that was stopped', () => {
  it('leaves half-written salvage behind, which the next one starts anew', async () => {
    const driver = await killedLog()
    const active = Number.parseInt(namesEnding(driver, '.log').at(-1) ?? '', 10)
    const path = segmentFile(active)
    const whole = bytesOf(driver, path)
    const torn = Buffer.concat([whole, Buffer.from('half of a batch')])
    overwrite(driver, path, torn)
    const salvage = segmentFile(active).replace('.log', `.${whole.length}.salvaged`)
    overwrite(driver, `${salvage}.tmp`, Buffer.alloc(5_000, 'x'))
    await expectWhole(driver)
    expect(bytesOf(driver, salvage).toString()).toBe('half of a batch')
  })
})
