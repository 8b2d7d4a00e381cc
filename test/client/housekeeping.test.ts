/**
 * When an open log is looked after, and what of that its users notice. What retention and
 * compaction remove is said beside their own code.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { EventLogOptions, LogWarning } from '../../src/client/log-options.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { testLog } from '../../src/testing/test-log.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { closeWhenDone, LOG_KINDS, openLog } from './open-log.ts'
import { rejection } from './refusal.ts'
import { appendSegments, SMALL, until } from './small-segments.ts'

const HOUR_MS = 3_600_000
const NOTHING = { deletedSegments: 0, deletedBytes: 0, cleanedPartitions: 0, kept: [] }

describe.each(LOG_KINDS)('housekeeping of a log on %s', (kind) => {
  it('says that there was nothing to do', async () => {
    const log = await openLog(kind)
    await log.createTopic('t')
    expect(await log.runHousekeeping()).toEqual({
      ...NOTHING,
      durationMs: expect.any(Number) as unknown,
    })
  })

  it('refuses what is no option, and no value of one', async () => {
    const log = await openLog(kind)
    const unknown = { forced: true } as { force?: boolean }
    expect((await rejection(log.runHousekeeping(unknown))).details).toMatchObject({
      option: 'forced',
      nearest: 'force',
    })
    const mistyped = { force: 1 } as unknown as { force?: boolean }
    const refused = await rejection(log.runHousekeeping(mistyped))
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', details: { option: 'force' } })
  })

  it('is refused by a log that is closed, and ended by one that closes', async () => {
    const log = await openLog(kind)
    const runs = [log.runHousekeeping(), log.runHousekeeping({ force: true })]
    const closing = log.close()
    for (const run of runs) expect((await rejection(run)).code).toBe('CLOSED')
    await closing
    expect((await rejection(log.runHousekeeping())).code).toBe('CLOSED')
  })

  it('runs as often as it is asked for, one after the other', async () => {
    const log = await openLog(kind, { clock: manualClock() })
    const ended: number[] = []
    const runs = [0, 1, 2, 3].map(async (run) => {
      await log.runHousekeeping({ force: run % 2 === 1 })
      ended.push(run)
    })
    await Promise.all(runs)
    expect(ended).toEqual([0, 1, 2, 3])
  })

  it('warns where the clock went ahead of time, once', async () => {
    const clock = manualClock()
    const warnings: LogWarning[] = []
    const log = await openLog(kind, { clock, onWarning: (warning) => warnings.push(warning) })
    await clock.set(clock.now() + HOUR_MS)
    await log.runHousekeeping()
    await clock.advance(2 * HOUR_MS)
    expect(warnings).toEqual([])
    await clock.set(clock.now() + HOUR_MS + 1)
    await log.runHousekeeping()
    expect(warnings).toMatchObject([{ code: 'CLOCK_JUMPED', details: { byMs: HOUR_MS + 1 } }])
    await clock.set(clock.now() - 10 * HOUR_MS)
    await log.runHousekeeping()
    expect(warnings).toHaveLength(1)
  })

  it('leaves no timer behind when the log is closed', async () => {
    const clock = new FakeClock()
    const log = await openLog(kind, { clock })
    await log.createTopic('t')
    clock.advance(1_000_000)
    await log.close()
    expect(clock.timerCount).toBe(0)
  })
})

describe.each(LOG_KINDS)('a run over a log on %s', (kind) => {
  it('deletes what is too old, and says how much', async () => {
    const clock = manualClock()
    const log = await openLog(kind, { clock, housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', { ...SMALL, retentionMs: 10 * HOUR_MS })
    appendSegments(topic, 5)
    await log.flush()
    expect(await log.runHousekeeping()).toMatchObject(NOTHING)
    await clock.advance(9 * HOUR_MS)
    appendSegments(topic, 2)
    await clock.advance(2 * HOUR_MS)
    const { deletedSegments, deletedBytes } = await log.runHousekeeping()
    expect(deletedSegments).toBe(5)
    expect(deletedBytes).toBeGreaterThan(5 * 900)
    const partition = topic.partition(0)
    expect(partition.logStartOffset).toBe(5)
    expect(partition.logEndOffset).toBe(7)
    expect([...partition.records()].map(({ offset }) => offset)).toEqual([5, 6])
    expect(await log.runHousekeeping()).toMatchObject(NOTHING)
  })

  it('deletes by size, no more than is asked for', async () => {
    const log = await openLog(kind)
    const topic = await log.createTopic('t', { ...SMALL, retentionBytes: 3_000 })
    appendSegments(topic, 10)
    await log.flush()
    const { deletedSegments } = await log.runHousekeeping()
    const left = topic.size().bytes
    expect(left).toBeGreaterThanOrEqual(3_000)
    expect(left).toBeLessThan(4_100)
    expect(deletedSegments).toBe(
      10 - topic.partition(0).logEndOffset + topic.partition(0).logStartOffset,
    )
  })

  it('keeps everything where nothing asks for its deletion', async () => {
    const clock = manualClock()
    const log = await openLog(kind, { clock, housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', SMALL)
    appendSegments(topic, 10)
    await clock.advance(1_000 * HOUR_MS)
    expect(await log.runHousekeeping({ force: true })).toMatchObject(NOTHING)
    expect(topic.partition(0).logStartOffset).toBe(0)
  })

  it('deletes nothing by its age where the clock went ahead of time, until the next run', async () => {
    const clock = manualClock()
    const onWarning = (): void => undefined
    const log = await openLog(kind, { clock, housekeepingIntervalMs: null, onWarning })
    const topic = await log.createTopic('t', { ...SMALL, retentionMs: HOUR_MS })
    appendSegments(topic, 3)
    await log.flush()
    await clock.set(clock.now() + 1_000 * HOUR_MS)
    expect((await log.runHousekeeping()).deletedSegments).toBe(0)
    expect((await log.runHousekeeping()).deletedSegments).toBe(3)
  })

  it('says once that groups keep segments, again when it is for others, and lists these', async () => {
    const warnings: LogWarning[] = []
    const onWarning = (warning: LogWarning): unknown => warnings.push(warning)
    const log = await openLog(kind, { onWarning, housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', {
      ...SMALL,
      retentionBytes: 0,
      retainUntilConsumed: ['billing', 'audit'],
    })
    appendSegments(topic, 3)
    await log.flush()
    const { deletedSegments, kept } = await log.runHousekeeping()
    expect(deletedSegments).toBe(0)
    expect(kept.length).toBeGreaterThanOrEqual(2)
    expect(kept[0]).toMatchObject({
      file: 't-0/00000000000000000000.log',
      reason: expect.stringContaining('billing') as unknown,
    })
    await log.runHousekeeping()
    expect(warnings).toMatchObject([
      { code: 'RETENTION_BLOCKED', details: { topic: 't', groups: ['billing', 'audit'] } },
    ])
    await log.consumerGroup('billing', { topics: ['t'] }).resetOffsets('latest')
    await log.runHousekeeping()
    expect(warnings.slice(1)).toMatchObject([
      { code: 'RETENTION_BLOCKED', details: { topic: 't', groups: ['audit'] } },
    ])
    await log.consumerGroup('audit', { topics: ['t'] }).resetOffsets('latest')
    expect((await log.runHousekeeping()).deletedSegments).toBe(3)
    expect(warnings).toHaveLength(2)
  })
})

describe('the space of what was deleted', () => {
  /** Names in the folder of `t-0`, as the disk has them. */
  async function diskLog(options?: EventLogOptions): Promise<{
    readonly log: EventLog
    readonly names: () => readonly string[]
  }> {
    const directory = temporaryDirectory()
    const log = await EventLog.open(directory, options)
    closeWhenDone(log)
    return { log, names: () => readdirSync(join(directory, 't-0')).toSorted() }
  }

  it('is free after the delay of the topic, by a timer of its own', async () => {
    const clock = manualClock()
    const { log, names } = await diskLog({ clock })
    const topic = await log.createTopic('t', { ...SMALL, fileDeleteDelayMs: 5_000 })
    appendSegments(topic, 4)
    await topic.partition(0).deleteRecords(3)
    await clock.advance(1_000)
    await until(() => names().includes('00000000000000000002.log.deleted'))
    expect(names()).not.toContain('00000000000000000002.log')
    await clock.advance(4_990)
    expect(names()).toContain('00000000000000000002.log.deleted')
    await clock.advance(10)
    await until(() => names().every((name) => !name.endsWith('.deleted')))
    expect(topic.partition(0).logStartOffset).toBe(3)
  })

  it('is free at the end of the run where there is no delay', async () => {
    const { log, names } = await diskLog({ housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', { ...SMALL, fileDeleteDelayMs: 0 })
    appendSegments(topic, 4)
    await topic.partition(0).deleteRecords(2)
    expect((await log.runHousekeeping()).deletedSegments).toBe(2)
    expect(names().filter((name) => name.endsWith('.deleted'))).toEqual([])
    expect(names()).not.toContain('00000000000000000001.log')
  })

  it('is free when the log was closed', async () => {
    const { log, names } = await diskLog()
    const topic = await log.createTopic('t', SMALL)
    appendSegments(topic, 4)
    await topic.partition(0).deleteRecords(3)
    expect((await log.runHousekeeping()).deletedSegments).toBe(3)
    expect(names()).toContain('00000000000000000000.log.deleted')
    await log.close()
    expect(names().filter((name) => name.endsWith('.deleted'))).toEqual([])
  })
})

describe('the timer of housekeeping', () => {
  it('has what is due done when a test moves the clock of its log', async () => {
    const t = testLog()
    const topic = await t.log.createTopic('t')
    await topic.send({ value: 'a' })
    await t.clock.advance(300_000)
    await t.settle()
    await t.log.close()
  })

  it('looks for positions to expire as often as it is told, and by itself in null never', async () => {
    for (const [housekeepingIntervalMs, expired] of [
      [1_000, []],
      [null, ['g']],
    ] as const) {
      const clock = manualClock()
      const log = await openLog('memory', {
        clock,
        offsetsRetentionMs: 500,
        housekeepingIntervalMs,
      })
      await log.createTopic('t')
      await log.consumerGroup('g', { topics: ['t'] }).resetOffsets('latest')
      await clock.advance(1_000)
      expect(log.consumerGroups().map(({ id }) => id)).toEqual(expired)
      await log.runHousekeeping()
      expect(log.consumerGroups()).toEqual([])
    }
  })

  it('fires once for an interval that is longer than timers are', async () => {
    const clock = manualClock()
    const log = await openLog('memory', { clock, housekeepingIntervalMs: 2 ** 40 })
    await clock.advance(1_000)
    await nextTurn()
    await log.close()
  })
})
