/**
 * Which topics an opened directory has, where metadata.json and the folders do not agree, or one of
 * them was damaged.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { METADATA_FILE, PREVIOUS_METADATA_FILE } from '../../src/storage/metadata-file.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readFromFiles } from './open-log.ts'
import { bytesOf, overwrite } from './tampering.ts'

const COUNT = 30

/** A closed log with one topic of two partitions, the first of which holds records. */
async function closedLog(): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { partitions: 2, segmentBytes: 1024, segmentMs: 77 }))
  appendMany(partitionOf(log, 't'), COUNT)
  await runProcedure(log.close())
  return driver.processKill()
}

function names(log: LogDirectory): readonly string[] {
  return log.topics().map(({ name }) => name)
}

function damage(driver: FaultDriver, path: string): void {
  overwrite(driver, path, Buffer.from('{"format":'))
}

describe('the checkpoints', () => {
  const CHECKPOINTS = ['recovery-point-offset-checkpoint', 'log-start-offset-checkpoint']

  it('are written by an open that has something to say, not after a clean close', async () => {
    const inodesOf = (directory: string): readonly number[] =>
      CHECKPOINTS.map((name) => fs.statSync(join(directory, name)).ino)
    const directory = temporaryDirectory()
    const { log } = await openLog(openDiskDriver(directory))
    await runProcedure(log.createTopic('t', { partitions: 2 }))
    appendMany(partitionOf(log, 't'), COUNT)
    await runProcedure(log.deleteRecordsBefore(partitionOf(log, 't'), 3))
    await runProcedure(log.close())
    const closed = inodesOf(directory)
    const { log: again, report } = await openLog(openDiskDriver(directory))
    expect([report.clean, inodesOf(directory)]).toEqual([true, closed])
    expect(partitionOf(again, 't').logStartOffset).toBe(3)
    await runProcedure(again.close())
    const before = inodesOf(directory)
    fs.appendFileSync(join(directory, CHECKPOINTS[0] ?? ''), 'u 0 5\n') // Of nobody.
    const { log: third } = await openLog(openDiskDriver(directory))
    expect(inodesOf(directory)[0]).not.toBe(before[0])
    await runProcedure(third.close())
  })
})

describe('metadata.json that is damaged', () => {
  it('is replaced by the one before it, with what the folders add', async () => {
    const driver = await closedLog()
    damage(driver, METADATA_FILE) // The one before it has no topic.
    const { log, report } = await openLog(driver)
    expect([names(log), report.adopted]).toEqual([['t'], ['t']])
    expect(offsetsOf(readFromFiles(partitionOf(log, 't')))).toEqual(range(0, COUNT))
    expect(log.topic('t')?.partitions).toHaveLength(2)
    appendMany(partitionOf(log, 't'), 2)
    await runProcedure(log.close())
    const { log: again, report: second } = await openLog(driver.processKill())
    expect([names(again), second.adopted, second.clean]).toEqual([['t'], [], true])
    expect(offsetsOf(readFromFiles(partitionOf(again, 't')))).toEqual(range(0, COUNT + 2))
  })

  it('loses no setting where the one before it has the topic', async () => {
    const driver = await closedLog()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('u', {}))
    await runProcedure(log.close())
    const left = driver.processKill()
    damage(left, METADATA_FILE)
    const { log: again, report } = await openLog(left)
    expect([names(again), report.adopted]).toEqual([['t', 'u'], ['u']])
    expect(again.topic('t')?.config).toMatchObject({ segmentMs: 77 })
  })

  it('is made anew from the folders where the one before it is damaged too', async () => {
    const driver = await closedLog()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('u', {}))
    const id = log.topic('t')?.id
    await runProcedure(log.close())
    const left = driver.processKill()
    damage(left, METADATA_FILE)
    damage(left, PREVIOUS_METADATA_FILE)
    const { log: again, report } = await openLog(left)
    expect([names(again), [...report.adopted]]).toEqual([
      ['t', 'u'],
      ['t', 'u'],
    ])
    expect(again.topic('t')?.id).toBe(id)
    expect(offsetsOf(readFromFiles(partitionOf(again, 't')))).toEqual(range(0, COUNT))
    expect(again.topic('t')?.config).toMatchObject({ retentionMs: -1, cleanupPolicy: 'delete' })
  })

  it('by the way of a topic that was deleted since, brings it back no more', async () => {
    const driver = await closedLog()
    const { log } = await openLog(driver)
    await runProcedure(log.deleteTopic('t'))
    await runProcedure(log.close())
    const left = driver.processKill()
    damage(left, METADATA_FILE)
    const { log: again } = await openLog(left)
    expect(names(again)).toEqual([])
  })
})

describe('a folder that no topic lists', () => {
  it('is taken in with its data, and set aside where it is empty', async () => {
    const driver = await closedLog()
    for (const name of ['x-0', 'y-0', 't-2']) driver.createDirectory(name)
    overwrite(driver, 'y-0/of-somebody', Buffer.from('else'))
    const log0 = bytesOf(driver, 't-0/00000000000000000000.log')
    overwrite(driver, 'x-0/00000000000000000000.log', log0)
    overwrite(driver, 'y-0/00000000000000000000.log', Buffer.alloc(0))
    overwrite(driver, 't-2/00000000000000000000.log', log0)
    const { log, report } = await openLog(driver)
    expect([names(log), [...report.adopted].sort()]).toEqual([
      ['t', 'x'],
      ['t', 'x'],
    ])
    expect(log.topic('t')?.partitions).toHaveLength(3)
    const strays = driver.list('').filter((name) => name.endsWith('-stray'))
    expect(strays).toHaveLength(1)
    expect(strays[0]).toMatch(/^y-0\.[0-9a-f]{32}-stray$/)
    expect(partitionOf(log, 'x').logEndOffset).toBeGreaterThan(0)
    expect(partitionOf(log, 't', 2).logEndOffset).toBe(partitionOf(log, 'x').logEndOffset)
  })

  it.each([
    ['as a stopped creation left it', 'removed', []],
    ['with another file', 'set aside', [['notes', 'of somebody']]],
    ['with a segment that starts later', 'set aside', [['00000000000000000007.log', '']]],
    ['with an epoch that was used', 'set aside', [['leader-epoch-checkpoint', '0\n1\n3 0\n']]],
  ] as const)('and that is empty, %s, is %s', async (_how, end, files) => {
    const driver = await closedLog()
    driver.createDirectory('y-0')
    overwrite(driver, 'y-0/partition.metadata', bytesOf(driver, 't-0/partition.metadata'))
    overwrite(driver, 'y-0/leader-epoch-checkpoint', Buffer.from('0\n1\n0 0\n'))
    overwrite(driver, 'y-0/00000000000000000000.log', Buffer.alloc(0))
    for (const [name, text] of files) overwrite(driver, `y-0/${name}`, Buffer.from(text))
    const { log, report } = await openLog(driver)
    expect(report.adopted).toEqual([])
    expect(names(log)).toEqual(['t'])
    await runProcedure(log.forgetDeleted(await log.freeSpace()))
    const left = driver.list('').filter((name) => name.startsWith('y-0'))
    expect(left).toHaveLength(end === 'removed' ? 0 : 1)
    for (const name of left) expect(name).toMatch(/-stray$/)
  })
})

describe('a directory of a broker', () => {
  it('has its topics, with the gaps that compaction left, and goes on with its epochs', async () => {
    const driver = await closedLog()
    for (const name of [METADATA_FILE, PREVIOUS_METADATA_FILE, 'streambed.control']) {
      if (driver.status(name) !== undefined) await driver.unlink(name)
    }
    overwrite(driver, '.kafka_cleanshutdown', Buffer.from('{"version":0,"brokerEpoch":7}'))
    overwrite(driver, 't-0/leader-epoch-checkpoint', Buffer.from('0\n1\n4 0\n'))
    driver.createDirectory('__cluster_metadata-0')
    const [, second = ''] = driver.list('t-0').filter((name) => name.endsWith('.log'))
    for (const suffix of ['.log', '.index', '.timeindex']) {
      await driver.unlink(`t-0/${second.replace('.log', suffix)}`)
    }
    const { log, report } = await openLog(driver)
    expect(report).toMatchObject({ clean: true, adopted: ['t'] })
    expect(report.partitions.flatMap((partition) => partition.damage)).toEqual([])
    const partition = partitionOf(log, 't')
    const third = [...partition.segments][1]?.baseOffset ?? 0
    const left = [...range(0, Number.parseInt(second, 10)), ...range(third, COUNT)]
    expect(offsetsOf(readFromFiles(partition))).toEqual(left)
    expect(partition.leaderEpoch).toBe(4)
    expect(names(log)).toEqual(['t'])
  })
})
