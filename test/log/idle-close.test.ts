/**
 * What a clean close does to partitions in which nothing happened since they were opened: nothing,
 * where a clean close had settled them in the same boot (docs/decisions/117); and that nothing is
 * missed by that, wherever the power goes.
 */
import { describe, expect, it } from 'vitest'
import { runProcedure } from '../../src/storage/procedure.ts'
import { CLEAN_MARKER_FILE } from '../../src/storage/clean-marker.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { endsOfTurn } from '../support/every-crash.ts'
import { appendMany, openLog, partitionOf, range, readFromFiles } from './open-log.ts'
import { bytesOf, segmentFile } from './tampering.ts'

const PARTITIONS = 4
const COUNT = 12
const ENDS = ['kill', 'none', 'names', 'some', 'all'] as const

/** A log that was closed: partition `p` of `t` holds `COUNT` + p records, in several segments. */
async function closedLog(): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { partitions: PARTITIONS, segmentBytes: 512 }))
  for (let at = 0; at < PARTITIONS; at++) appendMany(partitionOf(log, 't', at), COUNT + at)
  await runProcedure(log.close())
  return driver.processKill()
}

/** What is changed and synced below the log's directory while `work` runs. */
async function callsOf(driver: FaultDriver, work: () => Promise<unknown>): Promise<string[]> {
  const calls: string[] = []
  driver.onCall = ({ action, path }) => {
    // Watermarks are published all the time.
    if (!path.startsWith('.streambed')) calls.push(`${action} ${path}`)
    return undefined
  }
  await work()
  driver.onCall = undefined
  return calls
}

const inFolders = (calls: readonly string[]): readonly string[] =>
  calls.filter((call) => /\bt-\d(\/|$)/.test(call))

async function closed(driver: FaultDriver, bootId?: string): Promise<readonly string[]> {
  const { log } = await openLog(driver, bootId === undefined ? {} : { bootId })
  return callsOf(driver, () => runProcedure(log.close()))
}

/** Every partition has its records and `more` besides, and the stop was `clean`. */
async function expectAll(driver: FaultDriver, more = 0, bootId = 'boot'): Promise<void> {
  const { log, report } = await openLog(driver, { bootId })
  expect(report).toMatchObject({ clean: true, partitions: [], unusable: [] })
  for (let at = 0; at < PARTITIONS; at++) {
    const offsets = readFromFiles(partitionOf(log, 't', at)).map(({ offset }) => offset)
    expect(offsets).toEqual(range(0, COUNT + at + (at === 1 ? more : 0)))
  }
}

describe('a close of partitions that did nothing', () => {
  it('touches none of them, and no checkpoint, where a clean close had settled them', async () => {
    const driver = await closedLog()
    const calls = await closed(driver)
    expect(inFolders(calls)).toEqual([])
    expect(calls.filter((call) => call.startsWith('flush'))).toEqual([
      `flush ${CLEAN_MARKER_FILE}.tmp`,
      'flushDirectory ',
    ])
    await expectAll(driver.powerCut(new SeededRandom(1), 'none'), 0, 'next boot')
  })

  it('touches none that were made and not written to', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', { partitions: PARTITIONS }))
    const calls = await callsOf(driver, () => runProcedure(log.close()))
    expect(inFolders(calls)).toEqual([])
    const again = await openLog(driver.powerCut(new SeededRandom(1), 'none'))
    expect(again.report).toMatchObject({ clean: true, partitions: [] })
    expect(again.log.topic('t')?.partitions).toHaveLength(PARTITIONS)
  })

  it('reads them all the same, and brings an index that was built anew to the disk', async () => {
    const driver = await closedLog()
    const whole = bytesOf(driver, segmentFile(0, '.timeindex'))
    const { log } = await openLog(driver)
    const partition = partitionOf(log, 't')
    const { active, first } = partition.segments
    expect(readFromFiles(partition)).toHaveLength(COUNT)
    for (const segment of [first, active]) segment.rewind({ ...segment.contents })
    await runProcedure(log.close())
    const left = driver.powerCut(new SeededRandom(1), 'none')
    expect(bytesOf(left, segmentFile(0, '.timeindex'))).toEqual(whole)
    await expectAll(left, 0, 'next boot')
  })

  it('syncs those alone that were written to', async () => {
    const driver = await closedLog()
    const { log } = await openLog(driver)
    appendMany(partitionOf(log, 't', 1), 1)
    const calls = await callsOf(driver, () => runProcedure(log.close()))
    expect(inFolders(calls).every((call) => call.includes('t-1'))).toBe(true)
    const flushes = inFolders(calls).filter((call) => call.startsWith('flush '))
    expect(flushes.filter((call) => call.endsWith('.log'))).toHaveLength(1)
    await expectAll(driver.powerCut(new SeededRandom(1), 'none'), 1, 'next boot')
  })

  it('syncs all of them once where they may be copies, or the machine was started anew', async () => {
    const driver = await closedLog()
    const calls = await closed(driver, 'next boot')
    for (let at = 0; at < PARTITIONS; at++) {
      expect(calls).toContain(`flushDirectory t-${at}`)
      expect(calls.filter((call) => call.startsWith(`flush t-${at}/`))).toHaveLength(1)
    }
    expect(inFolders(await closed(driver.processKill(), 'next boot'))).toEqual([])
  })

  it('syncs all of them after a recovery, once', async () => {
    const driver = await closedLog()
    await openLog(driver)
    const killed = driver.processKill()
    const calls = await closed(killed)
    for (let at = 0; at < PARTITIONS; at++) expect(calls).toContain(`flushDirectory t-${at}`)
    expect(inFolders(await closed(killed.processKill()))).toEqual([])
  })
})

describe('a partition that changed', () => {
  it('by a roll alone has what it sealed on stable storage, and the new name', async () => {
    const driver = await closedLog()
    const { log } = await openLog(driver)
    const partition = partitionOf(log, 't', 1)
    appendMany(partition, 1)
    await partition.makeDurable(partition.logEndOffset)
    partition.roll()
    await runProcedure(log.close())
    await expectAll(driver.powerCut(new SeededRandom(1), 'none'), 1, 'next boot')
  })

  it('by room kept for a marker is cut back, and that is on stable storage', async () => {
    const driver = await closedLog()
    const { log } = await openLog(driver)
    const partition = partitionOf(log, 't', 1)
    partition.reserveMarker()
    partition.releaseMarker()
    await runProcedure(log.close())
    await expectAll(driver.powerCut(new SeededRandom(1), 'none'), 0, 'next boot')
  })

  it('and cannot be cut is synced all the same, and no clean marker says otherwise', async () => {
    const driver = await closedLog()
    const { log } = await openLog(driver)
    appendMany(partitionOf(log, 't', 1), 1)
    driver.onCall = ({ action }) => (action === 'resize' ? 'EIO' : undefined)
    await expect(runProcedure(log.close())).rejects.toMatchObject({ code: 'IO' })
    driver.onCall = undefined
    const left = driver.powerCut(new SeededRandom(1), 'none')
    const { log: again, report } = await openLog(left, { bootId: 'next boot' })
    expect(report.clean).toBe(false)
    expect(readFromFiles(partitionOf(again, 't', 1))).toHaveLength(COUNT + 2)
  })
})

describe('a log of which a part was written to', () => {
  it('keeps all that was durable, wherever its close is stopped', { timeout: 60_000 }, async () => {
    const more = 3
    for (let stopAt = 0, hasEnded = false; !hasEnded; stopAt++) {
      for (const end of endsOfTurn(ENDS, stopAt)) {
        const driver = await closedLog()
        const { log } = await openLog(driver)
        const partition = partitionOf(log, 't', 1)
        appendMany(partition, more)
        await partition.makeDurable(partition.logEndOffset)
        let callsLeft = stopAt
        driver.onCall = () => (callsLeft-- > 0 ? undefined : 'stop')
        hasEnded = await runProcedure(log.close()).then(
          () => true,
          () => false,
        )
        const left =
          end === 'kill' ? driver.processKill() : driver.powerCut(new SeededRandom(stopAt), end)
        const { log: again, report } = await openLog(left, {
          bootId: end === 'kill' ? 'boot' : 'b',
        })
        expect({ stopAt, end, damage: report.partitions.flatMap(({ damage }) => damage) }).toEqual({
          stopAt,
          end,
          damage: [],
        })
        if (hasEnded) expect(report.clean).toBe(true)
        for (let at = 0; at < PARTITIONS; at++) {
          const offsets = readFromFiles(partitionOf(again, 't', at)).map(({ offset }) => offset)
          expect(offsets).toEqual(range(0, COUNT + at + (at === 1 ? more : 0)))
        }
      }
    }
  })
})
