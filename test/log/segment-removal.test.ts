/** What becomes of the files of segments that left their log. */
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { SegmentRemoval } from '../../src/log/segment-removal.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'

interface Opened {
  readonly driver: FaultDriver
  readonly log: LogDirectory
  readonly clock: FakeClock
  readonly partition: PartitionLog
  readonly removal: SegmentRemoval
}

/** Four segments of two records each, the last of them active. */
async function open(fileDeleteDelayMs = 100): Promise<Opened> {
  const driver = new FaultDriver()
  const clock = new FakeClock()
  const { log } = await openLog(driver, { clock })
  await runProcedure(log.createTopic('t', { fileDeleteDelayMs, preallocate: false }))
  const partition = partitionOf(log, 't')
  for (let segment = 0; segment < 4; segment++) {
    if (segment > 0) partition.roll()
    appendMany(partition, 2)
  }
  return { driver, log, clock, partition, removal: new SegmentRemoval(driver, clock) }
}

function drop({ partition, removal }: Opened, count: number): void {
  partition.advanceLogStart(2 * count)
  removal.setAside(partition, partition.dropSegments(count))
}

function namesIn({ driver, partition }: Opened, ending: string): readonly string[] {
  return driver
    .list(partition.directory)
    .filter((name) => name.endsWith(ending))
    .map((name) => name.replace(/^0+(?=\d)/, ''))
}

describe('segments that are set aside', () => {
  it('lose their names at once and their space when the delay is over', async () => {
    const opened = await open()
    const { clock, removal } = opened
    drop(opened, 2)
    expect(namesIn(opened, '.log')).toEqual(['4.log', '6.log'])
    expect(namesIn(opened, '.deleted')).toHaveLength(6)
    expect(removal.pendingFiles).toBe(6)
    expect(removal.pendingBytes).toBeGreaterThan(4 * 61)
    clock.advance(99)
    expect(removal.isDue(clock.now())).toBe(false)
    await runProcedure(removal.freeDue(clock.now()))
    expect(namesIn(opened, '.deleted')).toHaveLength(6)
    clock.advance(1)
    expect(removal.isDue(clock.now())).toBe(true)
    await runProcedure(removal.freeDue(clock.now()))
    expect(namesIn(opened, '.deleted')).toEqual([])
    expect(removal).toMatchObject({ pendingFiles: 0, pendingBytes: 0 })
  })

  it('are renamed one after the other, each .log before its indexes', async () => {
    const opened = await open()
    const renamed: string[] = []
    opened.driver.onCall = ({ action, path }) => {
      if (action === 'rename') renamed.push(path.replace(/^.*\/0*(?=\d)|\.deleted$/g, ''))
      return undefined
    }
    drop(opened, 2)
    expect(renamed).toEqual(['0.log', '0.index', '0.timeindex', '2.log', '2.index', '2.timeindex'])
  })

  it('are freed at once where nothing is to be waited for, and all of them at the end', async () => {
    const opened = await open(0)
    drop(opened, 1)
    await runProcedure(opened.removal.freeDue(opened.clock.now()))
    expect(namesIn(opened, '.deleted')).toEqual([])
    const waiting = await open(1_000_000)
    drop(waiting, 1)
    await runProcedure(waiting.removal.close())
    expect(namesIn(waiting, '.deleted')).toEqual([])
  })

  it('never take the name of one that is pending', async () => {
    const opened = await open()
    const { driver, partition } = opened
    drop(opened, 1)
    const again = (): void => {
      driver.openFile(`${partition.directory}/00000000000000000000.log`, 'create').close()
      const segment = { baseOffset: 0, sizeBytes: 0, close: () => undefined }
      // `as`: of a segment nothing else is asked.
      opened.removal.setAside(partition, [segment] as unknown as Parameters<
        SegmentRemoval['setAside']
      >[1])
    }
    again()
    expect(namesIn(opened, '.deleted')).toContain('0.log.1.deleted')
    expect(opened.removal.pendingFiles).toBe(4)
    // The numbers rise although the first name is free again: the highest was the log's last.
    driver.onCall = ({ path }) => (path.endsWith('.1.deleted') ? 'EIO' : undefined)
    await runProcedure(opened.removal.freeDue(Infinity))
    driver.onCall = undefined
    again()
    expect(namesIn(opened, '.deleted')).toEqual(['0.log.1.deleted', '0.log.2.deleted'])
    await runProcedure(opened.removal.close())
    expect(namesIn(opened, '.deleted')).toEqual([])
  })

  it('are tried again where the disk refuses to rename or to remove them', async () => {
    const opened = await open(0)
    const { driver, partition, removal, clock } = opened
    let refused = 'rename'
    driver.onCall = ({ action }) => (action === refused ? 'EIO' : undefined)
    partition.advanceLogStart(4)
    const failure = removal.setAsideOrKeepTrying(partition, partition.dropSegments(2))
    expect(failure?.code).toBe('IO')
    expect(namesIn(opened, '.log')).toHaveLength(4)
    refused = 'unlink'
    expect((await runProcedure(removal.freeDue(clock.now())))?.code).toBe('IO')
    expect(namesIn(opened, '.deleted')).toHaveLength(6)
    refused = ''
    expect(await runProcedure(removal.freeDue(clock.now()))).toBe(undefined)
    expect(namesIn(opened, '.deleted')).toEqual([])
  })

  it('are nobody’s any more where their topic was deleted', async () => {
    const opened = await open(0)
    drop(opened, 1)
    await opened.driver.removeDirectory(opened.partition.directory)
    expect(await runProcedure(opened.removal.freeDue(Infinity))).toBe(undefined)
    expect(opened.removal.pendingFiles).toBe(0)
  })

  it('are not looked for among those of a new topic of the same name', async () => {
    const opened = await open(0)
    const { driver, log, partition, removal } = opened
    driver.onCall = ({ action }) => (action === 'rename' ? 'EIO' : undefined)
    partition.advanceLogStart(2)
    removal.setAsideOrKeepTrying(partition, partition.dropSegments(1))
    driver.onCall = undefined
    await runProcedure(log.deleteTopic('t'))
    await runProcedure(log.createTopic('t', { preallocate: false }))
    appendMany(partitionOf(log, 't'), 2)
    const before = driver.list(partition.directory)
    expect(await runProcedure(removal.freeDue(Infinity))).toBe(undefined)
    expect(driver.list(partition.directory)).toEqual(before)
  })
})
