/**
 * What a read-only log says of itself is what its writer says: sizes, times, segments and why they
 * are there, groups and their lag; also of what it has not read a byte of.
 */
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import { systemClock, type Clock } from '../../../src/log/clock.ts'
import type { TopicConfig } from '../../../src/log/log-config.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone } from '../open-log.ts'

const DAY_MS = 86_400_000
const START_MS = Date.UTC(2026, 0)
/** Both ask at the same moment, some days later; everything else takes the time that it takes. */
const CLOCK: Clock = {
  now: () => START_MS + 3 * DAY_MS,
  monotonicNow: () => systemClock.monotonicNow(),
  setTimeout: (fn, ms) => systemClock.setTimeout(fn, ms),
  clearTimeout: (handle) => systemClock.clearTimeout(handle),
}

/** A log with several segments, its writer, and a reader that has read nothing yet. */
async function described(config: TopicConfig): Promise<{ writer: EventLog; reader: EventLog }> {
  const directory = temporaryDirectory()
  const writer = await EventLog.open(directory, {
    housekeepingIntervalMs: null,
    clock: CLOCK,
    onWarning: () => undefined,
  })
  closeWhenDone(writer)
  const topic = await writer.createTopic('t', { partitions: 2, segmentBytes: 8_192, ...config })
  const value = 'x'.repeat(100)
  for (let n = 0; n < 500; n += 1) {
    topic.partition(n % 2).append({ key: `k${n % 7}`, value, timestamp: START_MS + n })
  }
  await topic.partition(0).deleteRecords(20)
  const consumer = await writer.consumerGroup('g', { topics: ['t'] }).join()
  await consumer.poll({ max: 100 })
  await consumer.commit()
  await consumer.leave()
  await writer.flush()
  const reader = await EventLog.open(directory, { readOnly: true, clock: CLOCK })
  closeWhenDone(reader)
  for (const partition of reader.topic('t').partitions) {
    await expect.poll(() => partition.durableOffset).toBe(250)
  }
  return { writer, reader }
}

/** As text, without what is no part of it. */
function plain(log: EventLog): unknown {
  return JSON.parse(JSON.stringify(log.describe()))
}

describe.each([
  { name: 'kept for ever', config: {} },
  { name: 'kept for a day', config: { retentionMs: DAY_MS } },
  { name: 'kept for a group', config: { retentionBytes: 1, retainUntilConsumed: ['g'] } },
  { name: 'compacted', config: { cleanupPolicy: 'compact' } },
] as const)('a read-only log with a topic that is $name', ({ config }) => {
  it('describes it as its writer does', async () => {
    const { writer, reader } = await described(config)
    expect(plain(reader)).toEqual(plain(writer))
    expect(reader.topic('t').size()).toEqual(writer.topic('t').size())
    expect(await reader.topic('t').countRecords()).toBe(480)
    expect(reader.topic('t').config).toEqual(writer.topic('t').config)
    expect(reader.topic('t').id).toBe(writer.topic('t').id)
  })

  it('says why its segments are there as its writer does', async () => {
    const { writer, reader } = await described(config)
    for (const index of [0, 1]) {
      const [ours, theirs] = [reader, writer].map((log) => log.topic('t').partition(index).why())
      expect(ours).toEqual(theirs)
    }
  })

  it('knows groups as its writer does', async () => {
    const { writer, reader } = await described(config)
    expect(reader.consumerGroups()).toEqual(writer.consumerGroups())
    const [ours, theirs] = [reader, writer].map((log) => log.consumerGroup('g'))
    expect(ours?.offsets()).toEqual(theirs?.offsets())
    expect(ours?.lag()).toEqual(theirs?.lag())
    expect(ours?.describe()).toEqual(theirs?.describe())
    expect(reader.consumerGroup('none').describe()).toMatchObject({ state: 'Dead' })
  })

  it('says the same after compaction and retention, which it follows', async () => {
    const { writer, reader } = await described(config)
    await reader.topic('t').countRecords()
    await writer.runHousekeeping({ force: true })
    await expect.poll(() => plain(reader)).toEqual(plain(writer))
    expect(await reader.topic('t').countRecords()).toBe(await writer.topic('t').countRecords())
  })
})
