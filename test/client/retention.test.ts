/**
 * What retention means to users: what may go and what may not, and what readers and groups inside
 * notice of it.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/client/event-log.ts'
import type { LogWarning, MemoryLogOptions } from '../../src/client/log-options.ts'
import type { Partition } from '../../src/client/partition.ts'
import type { Topic } from '../../src/client/topic.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { closeWhenDone, LOG_KINDS, type LogKind, openLog } from './open-log.ts'
import { refusal, rejection } from './refusal.ts'

const HOUR_MS = 3_600_000
/** A record a segment, and nothing that waits to be freed. */
const SMALL = { segmentBytes: 1_024, fileDeleteDelayMs: 0 } as const

interface Retained {
  readonly log: EventLog
  readonly topic: Topic
  readonly partition: Partition
  readonly warnings: LogWarning[]
}

/** A log whose topic `t` has `count` segments, and two more hours on its clock. */
async function retained(
  kind: LogKind | FaultDisk,
  config: TopicConfig,
  count: number = 6,
): Promise<Retained> {
  const clock = manualClock()
  const warnings: LogWarning[] = []
  const options: MemoryLogOptions = {
    clock,
    housekeepingIntervalMs: null,
    onWarning: (warning) => warnings.push(warning),
  }
  const log = kind instanceof FaultDisk ? await kind.open(options) : await openLog(kind, options)
  closeWhenDone(log)
  const topic = await log.createTopic('t', { ...SMALL, ...config })
  for (let index = 0; index < count; index++) append(topic, index)
  await log.flush()
  await clock.advance(2 * HOUR_MS)
  return { log, topic, partition: topic.partition(0), warnings }
}

function append(topic: Topic, index: number): void {
  topic.partition(0).append([{ key: `k${index}`, value: `${index}`.padEnd(900, '.') }])
}

function offsetsOf({ partition }: Retained): readonly number[] {
  return Array.from(partition.records(), ({ offset }) => offset)
}

const isSegment = /\/0*(\d+)\.log$/

/** The base offsets of the segments that there are. */
function basesOf({ partition }: Retained): readonly number[] {
  return partition.why().map(({ file }) => Number(isSegment.exec(file)?.[1]))
}

describe.each(LOG_KINDS)('deleteRecords in a log on %s', (kind) => {
  it('gives the space of whole segments back, whatever the settings keep', async () => {
    const configs: readonly TopicConfig[] = [
      {},
      { cleanupPolicy: 'compact' },
      { retainUntilConsumed: ['g'] },
    ]
    for (const config of configs) {
      const opened = await retained(kind, config)
      const { log, partition } = opened
      await partition.deleteRecords(4)
      await log.runHousekeeping()
      expect(basesOf(opened)).toEqual([4, 5])
      expect(offsetsOf(opened)).toEqual([4, 5])
      expect(refusal(() => partition.get(3)).code).toBe('OFFSET_OUT_OF_RANGE')
    }
  })
})

describe.each(LOG_KINDS)('readers of a log on %s', (kind) => {
  it('that stand where segments went go on where the log starts', async () => {
    const opened = await retained(kind, { retentionMs: HOUR_MS })
    const { log, topic, partition } = opened
    const live = partition.read({ from: 0, live: true })
    const iterator = live[Symbol.asyncIterator]()
    const nextOffset = async (): Promise<number> => {
      const step = await iterator.next()
      return step.done === true ? Infinity : step.value.offset
    }
    const lazy = partition.records()
    expect(await nextOffset()).toBe(0)
    append(topic, 6)
    expect((await log.runHousekeeping()).deletedSegments).toBe(6)
    // Where a read ends is what was the end when it began.
    expect([...lazy]).toEqual([])
    let offset = 0
    while (offset < 6) offset = await nextOffset() // What was read already comes first.
    expect(offset).toBe(6)
    const next = nextOffset()
    append(topic, 7)
    expect(await next).toBe(7)
    await iterator.return?.()
  })

  it('of a group are told, and go on as its policy says', async () => {
    for (const autoOffsetReset of ['earliest', 'latest'] as const) {
      const { log, topic, warnings } = await retained(kind, { retentionMs: HOUR_MS })
      const group = log.consumerGroup('g', { topics: ['t'], autoOffsetReset })
      await group.resetOffsets({ offsets: [{ topic: 't', partition: 0, offset: 1 }] })
      append(topic, 6)
      await log.runHousekeeping()
      const consumer = await group.join()
      const polled = consumer.poll()
      append(topic, 7)
      const [first] = await polled
      expect(first?.offset).toBe(autoOffsetReset === 'earliest' ? 6 : 7)
      expect(warnings.map(({ code }) => code)).toContain('OFFSET_RESET')
      await consumer.leave()
    }
  })
})

describe.each(LOG_KINDS)('retainUntilConsumed in a log on %s', (kind) => {
  const config = { retentionMs: HOUR_MS, retainUntilConsumed: ['billing'] }

  it('counts what a group consumed in transactions once they are committed', async () => {
    const opened = await retained(kind, config)
    const { log } = opened
    const commit = [{ topic: 't', partition: 0, offset: 3 }]
    const producer = log.producer({ transactionalId: 'billing-1' })
    const group = log.consumerGroup('billing', { topics: ['t'] })
    const failed = new Error('rolled back')
    const aborted = producer.transaction((tx) => {
      tx.commitOffsets(group, commit)
      throw failed
    })
    await expect(aborted).rejects.toBe(failed)
    expect((await log.runHousekeeping()).deletedSegments).toBe(0)
    await producer.transaction(async (tx) => {
      tx.commitOffsets(group, commit)
      expect((await log.runHousekeeping()).deletedSegments).toBe(0)
    })
    expect((await log.runHousekeeping()).deletedSegments).toBe(3)
    expect(offsetsOf(opened)).toEqual([3, 4, 5])
  })

  it('ends where too much is held, and says what was lost', async () => {
    const opened = await retained(kind, { ...config, retainUntilConsumedMaxBytes: 2_500 })
    const { log, warnings } = opened
    expect((await log.runHousekeeping()).deletedSegments).toBe(4)
    expect(offsetsOf(opened)).toEqual([4, 5])
    expect(warnings.map(({ code }) => code).toSorted()).toEqual([
      'RETENTION_BLOCKED',
      'UNCONSUMED_DELETED',
    ])
    expect(warnings.find(({ code }) => code === 'UNCONSUMED_DELETED')?.details).toMatchObject({
      topic: 't',
      partition: 0,
      groups: ['billing'],
    })
  })
})

describe('retainUntilConsumed on a disk', () => {
  it('counts only positions that a power cut cannot take back', async () => {
    const disk = new FaultDisk()
    const opened = await retained(disk, {
      retentionMs: HOUR_MS,
      retainUntilConsumed: ['billing'],
    })
    const { log, warnings } = opened
    const group = log.consumerGroup('billing', { topics: ['t'] })
    await group.resetOffsets({ offsets: [{ topic: 't', partition: 0, offset: 1 }] })
    disk.faults.inject({ fault: 'EIO', action: 'flush', path: /^__consumer_offsets/ })
    const consumer = await group.join()
    await consumer.poll()
    await consumer.commit([{ topic: 't', partition: 0, offset: 6 }]).catch(() => undefined)
    const { deletedSegments } = await log.runHousekeeping()
    expect(deletedSegments).toBe(0)
    expect(offsetsOf(opened)).toEqual([0, 1, 2, 3, 4, 5])
    expect(warnings.map(({ code }) => code)).toContain('HOUSEKEEPING_FAILED')
  })
})

describe.each(LOG_KINDS)('why segments are there, in a log on %s', (kind) => {
  it('is said of each, with the time when it may go', async () => {
    const opened = await retained(kind, { retentionMs: 10 * HOUR_MS }, 3)
    const { partition, log } = opened
    const reasons = partition.why()
    const timestamp = partition.get(0)?.timestamp ?? 0
    expect(reasons.map(({ file }) => file.replace(/0+(?=\d)/, ''))).toEqual([
      't-0/0.log',
      't-0/1.log',
      't-0/2.log',
    ])
    for (const { bytes, keptBecause, deletableAt } of reasons) {
      expect(bytes).toBeGreaterThan(900)
      expect(keptBecause).toMatch(/retentionMs/)
      expect(deletableAt).toBe(timestamp + 10 * HOUR_MS + 1)
    }
    expect(reasons.at(-1)?.keptBecause).toMatch(/active/)
    await partition.deleteRecords(1)
    expect(partition.why()[0]?.keptBecause).toMatch(/next run.*start of the log/)
    await log.runHousekeeping()
    expect(partition.why()).toHaveLength(2)
  })

  it('speaks of compaction where the topic is compacted', async () => {
    const { partition, log, topic } = await retained(kind, { cleanupPolicy: 'compact' })
    expect(partition.why()[0]?.keptBecause).toMatch(/compacts it/)
    await log.runHousekeeping()
    append(topic, 0)
    await log.flush()
    const [first] = partition.why()
    expect(first?.keptBecause).toMatch(/it is compacted/)
    expect(first?.deletableAt).toBe(null)
  })

  it('is that of any other call where the log is closed or the topic gone', async () => {
    const { log, partition } = await retained(kind, {})
    const other = await log.createTopic('other')
    await log.deleteTopic('t')
    expect(refusal(() => partition.why()).code).toBe('TOPIC_NOT_FOUND')
    await log.close()
    expect(refusal(() => other.partition(0).why()).code).toBe('CLOSED')
  })
})

describe('a log of which segments went', () => {
  it('is sound however it ends, and starts where it did', async () => {
    for (const end of ['close', 'kill', 'crash'] as const) {
      const disk = new FaultDisk()
      const opened = await retained(disk, { retentionMs: HOUR_MS })
      append(opened.topic, 6)
      await opened.log.flush()
      await opened.log.runHousekeeping()
      if (end === 'close') await opened.log.close()
      else await disk[end]()
      const again = await disk.open({ housekeepingIntervalMs: null, onWarning: () => undefined })
      closeWhenDone(again)
      expect(again.recovery.partitions.flatMap(({ damage }) => damage)).toEqual([])
      const partition = again.topic('t').partition(0)
      expect(partition.logStartOffset).toBe(6)
      expect(Array.from(partition.records(), ({ offset }) => offset)).toEqual([6])
      expect((await rejection(partition.deleteRecords(9))).code).toBe('OFFSET_OUT_OF_RANGE')
      expect(partition.append([{ value: 'next' }]).baseOffset).toBe(7)
    }
  })
})
