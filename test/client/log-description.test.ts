/**
 * What a log says of its topics: how evenly records lie in partitions, how far these are compacted,
 * and what it costs to ask.
 */
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogDescription } from '../../src/client/log-reports.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { closeWhenDone } from './open-log.ts'

type Described = LogDescription['topics'][number]

function onlyTopic(log: EventLog): Described {
  const [topic] = log.describe().topics
  if (topic === undefined) throw new Error('there is a topic')
  return topic
}

describe('the description of a log', () => {
  it('says how evenly records lie in the partitions', async () => {
    const log = EventLog.inMemory({ clock: new FakeClock() })
    closeWhenDone(log)
    const topic = await log.createTopic('t', { partitions: 4 })
    const value = 'v'.repeat(100)
    topic.partition(1).append({ value, timestamp: 7 })
    topic.partition(3).append({ value, timestamp: 5 })
    expect(onlyTopic(log)).toMatchObject({ skew: 2, oldestTimestamp: 5, newestTimestamp: 7 })
    expect(onlyTopic(log).partitions.map(({ share }) => share)).toEqual([0, 0.5, 0, 0.5])
    topic.partition(0).append({ value })
    topic.partition(2).append({ value })
    const { partitions, skew } = onlyTopic(log)
    expect(skew).toBeCloseTo(1, 1)
    expect(partitions.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1)
  })

  it('shows settings as they are in force', async () => {
    const log = EventLog.inMemory()
    closeWhenDone(log)
    const topic = await log.createTopic('t')
    await topic.alterConfig({ cleanupPolicy: 'compact', retentionMs: 5 })
    const { config, appliedPolicy, id } = onlyTopic(log)
    expect(config).toBe(topic.config)
    expect([appliedPolicy, id]).toEqual(['compact', topic.id])
  })

  it('says how much of a compacted topic is dirty, and how far it is compacted', async () => {
    const clock = new FakeClock()
    const log = EventLog.inMemory({ clock })
    closeWhenDone(log)
    const topic = await log.createTopic('t', { cleanupPolicy: 'compact', segmentBytes: 1_024 })
    const put = (round: number): void => {
      for (let number = 0; number < 20; number++) {
        topic.partition(0).append({ key: `k${number}`, value: `${round}`.repeat(60) })
      }
    }
    put(1)
    const [before] = onlyTopic(log).partitions
    expect(before?.compaction).toMatchObject({ cleanedUpTo: 0, cleanBytes: 0, dirtyRatio: 1 })
    expect(before?.compaction?.isDue).toBe(true)
    put(2)
    await log.runHousekeeping({ force: true })
    const [after] = onlyTopic(log).partitions
    expect(after?.compaction?.cleanedUpTo).toBeGreaterThan(20)
    expect(after?.compaction).toMatchObject({ dirtyBytes: 0, dirtyRatio: 0, isDue: false })
    expect(after?.bytes).toBeLessThan(2 * (before?.bytes ?? 0))
    put(3)
    const {
      cleanBytes = 0,
      dirtyBytes = 0,
      dirtyRatio,
    } = onlyTopic(log).partitions[0]?.compaction ?? {}
    expect(dirtyRatio).toBeCloseTo(dirtyBytes / (cleanBytes + dirtyBytes))
    expect(dirtyBytes).toBeGreaterThan(0)
    await topic.alterConfig({ cleanupPolicy: 'delete' })
    expect(onlyTopic(log).partitions[0]?.compaction).toBeNull()
  })

  it('reads the first batch of a partition once, whatever it asks of thousands of segments', async () => {
    const disk = new FaultDisk()
    const first = await disk.open()
    const topic = await first.createTopic('t', { segmentBytes: 1_024, partitions: 2 })
    const value = 'v'.repeat(900)
    for (let number = 0; number < 600; number++) {
      topic.partition(0).append({ value, timestamp: 1_000 + number })
    }
    await first.close()
    const log = await disk.open()
    closeWhenDone(log)
    disk.recordCalls(true)
    const described = onlyTopic(log)
    expect(described).toMatchObject({ segments: 601, oldestTimestamp: 1_000 })
    expect(described.newestTimestamp).toBe(1_599)
    const calls = disk.calls.length
    expect(calls).toBeLessThan(10)
    for (let round = 0; round < 10; round++) expect(onlyTopic(log)).toEqual(described)
    expect(disk.calls).toHaveLength(calls)
    await log.topic('t').partition(0).deleteRecords(1)
    expect(onlyTopic(log).oldestTimestamp).toBe(1_001)
  })
})
