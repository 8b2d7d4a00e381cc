/** What runs of retention delete of an open log, and what they leave. */
import { describe, expect, it } from 'vitest'
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { appendMany, offsetsOf, partitionOf, range, readFromFiles } from './open-log.ts'
import { appendSegments, basesOf, namesIn, RetainedLog } from './retained-log.ts'

const NOW_MS = 1_000

interface Opened {
  readonly driver: FaultDriver
  readonly retained: RetainedLog
  readonly partition: PartitionLog
}

/** Five segments of two records, of times 0 to 9. */
async function open(config: TopicConfig): Promise<Opened> {
  const driver = new FaultDriver()
  const retained = await RetainedLog.open(driver, new FakeClock(NOW_MS))
  const defaults = { preallocate: false, fileDeleteDelayMs: 0 }
  await runProcedure(retained.log.createTopic('t', { ...defaults, ...config }))
  const partition = partitionOf(retained.log, 't')
  appendSegments(partition, 5)
  return { driver, retained, partition }
}

describe('a run of retention', () => {
  it('deletes nothing that nothing asks for', async () => {
    const { retained, partition } = await open({})
    expect(await retained.retain()).toMatchObject({ deletedSegments: 0, kept: [] })
    expect(basesOf(partition)).toEqual([0, 2, 4, 6, 8])
  })

  it('deletes what is too old, with its files, and starts the log behind it', async () => {
    const { driver, retained, partition } = await open({ retentionMs: NOW_MS - 6 })
    const { deletedSegments, deletedBytes } = await retained.retain()
    expect(deletedSegments).toBe(3)
    expect(deletedBytes).toBeGreaterThan(6 * 61)
    expect(basesOf(partition)).toEqual([6, 8])
    expect(partition.logStartOffset).toBe(6)
    expect(namesIn(driver, partition, 'log')).toEqual(['6.log', '8.log'])
    expect(namesIn(driver, partition, '.deleted')).toEqual([])
    expect(offsetsOf(readFromFiles(partition))).toEqual(range(6, 10))
    expect(await retained.retain()).toMatchObject({ deletedSegments: 0 })
  })

  it('ends the active segment where all is too old, and appends go on behind', async () => {
    const { retained, partition } = await open({ retentionMs: 0 })
    expect(await retained.retain()).toMatchObject({ deletedSegments: 5 })
    expect(basesOf(partition)).toEqual([10])
    expect(partition).toMatchObject({ logStartOffset: 10, logEndOffset: 10 })
    appendMany(partition, 2)
    expect(offsetsOf(readFromFiles(partition))).toEqual([10, 11])
  })

  it('frees what deleteRecords left, of topics that are compacted only too', async () => {
    for (const policy of ['delete', 'compact', 'compact,delete'] as const) {
      const { retained, partition } = await open({ cleanupPolicy: policy })
      retained.policy = policy
      await runProcedure(retained.log.deleteRecordsBefore(partition, 5))
      expect(await retained.retain()).toMatchObject({ deletedSegments: 2 })
      expect(basesOf(partition)).toEqual([4, 6, 8])
      expect(offsetsOf(readFromFiles(partition))).toEqual(range(5, 10))
      await runProcedure(retained.log.deleteRecordsBefore(partition, 10))
      await retained.retain()
      expect(basesOf(partition)).toEqual([8])
    }
  })

  it('leaves of topics that were adopted and have no policy what nobody deleted', async () => {
    const { retained, partition } = await open({ retentionMs: 0, retentionBytes: 0 })
    retained.policy = 'none'
    await runProcedure(retained.log.deleteRecordsBefore(partition, 5))
    expect(await retained.retain()).toMatchObject({ deletedSegments: 2 })
    expect(basesOf(partition)).toEqual([4, 6, 8])
  })

  it('waits for the delay before space is free, and says no more of it meanwhile', async () => {
    const { driver, retained, partition } = await open({
      retentionMs: NOW_MS - 6,
      fileDeleteDelayMs: 500,
    })
    await retained.retain()
    expect(namesIn(driver, partition, '.log.deleted')).toHaveLength(3)
    retained.clock.advance(499)
    await retained.retain({ nowMs: NOW_MS })
    expect(namesIn(driver, partition, '.log.deleted')).toHaveLength(3)
    retained.clock.advance(1)
    await retained.retain({ nowMs: NOW_MS })
    expect(namesIn(driver, partition, '.deleted')).toEqual([])
  })

  it('changes few names a turn, however many segments go', async () => {
    const { driver, retained, partition } = await open({ retentionMs: 0 })
    appendSegments(partition, 60)
    let names = 0
    let mostInTurn = 0
    driver.onCall = ({ action }) => {
      if (action === 'rename') names += 1
      return undefined
    }
    const running = retained.retaining()
    for (let step = running.next(); step.done !== true; step = running.next()) {
      mostInTurn = Math.max(mostInTurn, names)
      names = 0
      await step.value()
    }
    expect(basesOf(partition)).toEqual([130])
    expect(mostInTurn).toBeLessThanOrEqual(32)
  })

  it('deletes nothing by age where the clock jumped, and goes on by size', async () => {
    const { retained, partition } = await open({ retentionMs: 0 })
    expect(await retained.retain({ clockJumped: true })).toMatchObject({ deletedSegments: 0 })
    await runProcedure(
      retained.log.alterTopics([{ name: 't', config: { retentionBytes: partition.logBytes - 1 } }]),
    )
    expect(await retained.retain({ clockJumped: true })).toMatchObject({ deletedSegments: 0 })
    const [first] = partition.segments
    const retentionBytes = partition.logBytes - (first?.sizeBytes ?? 0)
    await runProcedure(retained.log.alterTopics([{ name: 't', config: { retentionBytes } }]))
    expect(await retained.retain({ clockJumped: true })).toMatchObject({ deletedSegments: 1 })
  })
})

describe('groups that have to read first', () => {
  const config = { retentionMs: 0, retainUntilConsumed: ['billing', 'audit'] }

  it('hold everything as long as one of them never committed, which is said once', async () => {
    const { retained, partition } = await open(config)
    retained.positions.set('audit', 10)
    const { kept } = await retained.retain()
    await retained.retain()
    expect(kept).toHaveLength(5)
    expect(kept[0]?.file).toMatch(/0\.log$/)
    expect(kept[0]?.reason).toMatch(/billing/)
    expect(retained.events).toEqual([
      { kind: 'retention-blocked', partition, groups: ['billing'], bytes: partition.logBytes },
    ])
  })

  it('let go of what all of them have read, and are named again when it is others', async () => {
    const { retained, partition } = await open(config)
    retained.positions.set('audit', 9)
    retained.positions.set('billing', 4)
    expect(await retained.retain()).toMatchObject({ deletedSegments: 2 })
    expect(basesOf(partition)).toEqual([4, 6, 8])
    retained.positions.set('billing', 10)
    expect(await retained.retain()).toMatchObject({ deletedSegments: 2 })
    retained.positions.set('audit', 10)
    expect(await retained.retain()).toMatchObject({ deletedSegments: 1, kept: [] })
    const said = retained.events.map(({ kind, groups }) => [kind, groups])
    expect(said).toEqual([
      ['retention-blocked', ['billing', 'audit']],
      ['retention-blocked', ['audit']],
    ])
  })

  it('lose what is more than may be held for them, and that is said', async () => {
    const { retained, partition } = await open(config)
    retained.positions.set('audit', 10)
    retained.positions.set('billing', 1)
    const [first, second] = partition.segments
    const lostBytes = (first?.sizeBytes ?? 0) + (second?.sizeBytes ?? 0)
    const retainUntilConsumedMaxBytes = partition.logBytes - lostBytes
    await runProcedure(
      retained.log.alterTopics([{ name: 't', config: { retainUntilConsumedMaxBytes } }]),
    )
    expect(await retained.retain()).toMatchObject({ deletedSegments: 2 })
    expect(retained.events.at(-1)).toEqual({
      kind: 'unconsumed-deleted',
      partition,
      groups: ['billing'],
      bytes: lostBytes,
    })
  })

  it('do not keep what somebody deleted by hand', async () => {
    const { retained, partition } = await open(config)
    await runProcedure(retained.log.deleteRecordsBefore(partition, 4))
    expect(await retained.retain()).toMatchObject({ deletedSegments: 2 })
  })
})

describe('what a run cannot do', () => {
  it('for want of room, it leaves as it is: no start of the log moves, no file goes', async () => {
    const { driver, retained, partition } = await open({ retentionMs: NOW_MS - 6 })
    driver.onCall = ({ action }) => (action === 'create' ? 'ENOSPC' : undefined)
    const { failure, deletedSegments } = await retained.retain()
    expect([failure?.code, deletedSegments]).toEqual(['NO_SPACE', 0])
    expect(partition.logStartOffset).toBe(0)
    driver.onCall = undefined
    expect(await retained.retain()).toMatchObject({ deletedSegments: 3, failure: undefined })
  })

  it('for want of room it can do once the room is freed that was about to be', async () => {
    const { driver, retained, partition } = await open({
      retentionMs: NOW_MS - 6,
      fileDeleteDelayMs: 1_000_000,
    })
    await retained.retain()
    expect(namesIn(driver, partition, '.log.deleted')).toHaveLength(3)
    driver.onCall = ({ action }) =>
      action === 'create' && retained.removal.pendingFiles > 0 ? 'ENOSPC' : undefined
    await runProcedure(retained.log.alterTopics([{ name: 't', config: { retentionMs: 0 } }])).catch(
      () => undefined,
    )
    expect((await retained.retain({ nowMs: NOW_MS + 2 })).failure).toBe(undefined)
    expect(partition.logStartOffset).toBe(8)
  })

  it('to the active segment does not keep the others', async () => {
    const { driver, retained, partition } = await open({ retentionMs: 0 })
    driver.onCall = ({ action, path }) =>
      action === 'create' && path.endsWith('.log') ? 'ENOSPC' : undefined
    const { failure, deletedSegments } = await retained.retain()
    expect([failure?.code, deletedSegments]).toEqual(['NO_SPACE', 4])
    driver.onCall = undefined
    appendMany(partition, 1)
    expect(offsetsOf(readFromFiles(partition))).toEqual([8, 9, 10])
  })

  it('is tried again: names and files that the disk does not let go', async () => {
    const { driver, retained, partition } = await open({ retentionMs: NOW_MS - 6 })
    driver.onCall = ({ action, path }) =>
      action === 'rename' && path.includes('.deleted') ? 'EIO' : undefined
    const { failure, deletedSegments } = await retained.retain()
    expect([failure?.code, deletedSegments]).toEqual(['IO', 3])
    expect(namesIn(driver, partition, '.log')).toHaveLength(5)
    expect(offsetsOf(readFromFiles(partition))).toEqual(range(6, 10))
    driver.onCall = undefined
    await retained.retain()
    expect(namesIn(driver, partition, '.log')).toEqual(['6.log', '8.log'])
  })

  it('for one partition does not stop it for others', async () => {
    const { driver, retained } = await open({ retentionMs: 0, partitions: 2 })
    const other = partitionOf(retained.log, 't', 1)
    appendSegments(other, 3)
    driver.onCall = ({ action, path }) =>
      action === 'flush' && path.startsWith('t-0/') ? 'EIO' : undefined
    const { failure } = await retained.retain()
    expect(failure?.code).toBe('IO')
    expect(basesOf(other)).toEqual([6])
    expect(partitionOf(retained.log, 't').logStartOffset).toBe(0)
  })

  it('of a topic that is deleted meanwhile, it leaves to what deletes it', async () => {
    const { driver, retained } = await open({ retentionMs: NOW_MS - 6 })
    const { failure, deletedSegments } = await retained.retain({
      change: async (begin) => {
        await runProcedure(retained.log.deleteTopics(['t']))
        driver.onCall = () => 'EIO' // Nothing asks the disk for anything of it any more.
        return await runProcedure(begin())
      },
    })
    driver.onCall = undefined
    expect([failure, deletedSegments]).toEqual([undefined, 3])
  })

  it('because the log closes, it leaves to the next one', async () => {
    const { retained, partition } = await open({ retentionMs: 0 })
    await retained.retain({ isStopped: () => true })
    expect(basesOf(partition)).toEqual([0, 2, 4, 6, 8])
  })
})
