/**
 * When an open log is looked after, and what of that its users notice. What retention and
 * compaction remove is said beside their own code.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { EventLogOptions, LogWarning } from '../../src/client/log-options.ts'
import type { Topic } from '../../src/client/topic.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { testLog } from '../../src/testing/test-log.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { closeWhenDone, LOG_KINDS, openLog } from './open-log.ts'
import { rejection } from './refusal.ts'

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

/** Appends `count` records of 100 bytes, each in a segment of its own but for the last. */
function appendSegments(topic: Topic, count: number): void {
  for (let index = 0; index < count; index++) {
    topic.partition(0).append([{ key: `k${index}`, value: 'v'.repeat(900) }])
  }
}

/** Segments of small logs: a batch each. */
const SMALL = { segmentBytes: 1_024 }

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

/** The last value of each key, as a reader finds them. */
function latestOf(topic: Topic): ReadonlyMap<string, string> {
  const latest = new Map<string, string>()
  for (const { key, value } of topic.partition(0).records()) {
    if (value === null) latest.delete(String(key))
    else latest.set(String(key), value.toString().slice(0, 4))
  }
  return latest
}

/** Writes `rounds` values of each of `keys` keys; values of a round begin with its number. */
function putRounds(topic: Topic, keys: number, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    for (let key = 0; key < keys; key++) {
      const value = `${1000 + round}`.padEnd(300, '.')
      topic.partition(0).append([{ key: `k${key}`, value }])
    }
  }
}

const COMPACT = { segmentBytes: 4_096, cleanupPolicy: 'compact' } as const

describe.each(LOG_KINDS)('compaction of a log on %s', (kind) => {
  it('keeps the last value of each key, at its offset, and gives space back', async () => {
    const log = await openLog(kind, { housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', { ...COMPACT, fileDeleteDelayMs: 0 })
    putRounds(topic, 5, 20)
    await log.flush()
    const before = topic.size().bytes
    const expected = latestOf(topic)
    const last = topic.partition(0).get(99)?.value?.toString()
    expect((await log.runHousekeeping()).cleanedPartitions).toBe(1)
    expect(latestOf(topic)).toEqual(expected)
    expect(topic.size().bytes).toBeLessThan(before / 4)
    expect(topic.partition(0).get(0)).toBeUndefined()
    expect(topic.partition(0).get(99)?.value?.toString()).toBe(last)
    expect(topic.partition(0).logStartOffset).toBe(0)
    expect(topic.partition(0).logEndOffset).toBe(100)
    expect((await log.runHousekeeping()).cleanedPartitions).toBe(0)
  })

  it('waits until enough is dirty, unless it is forced', async () => {
    const log = await openLog(kind, { housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', { ...COMPACT, minCleanableDirtyRatio: 0.9 })
    putRounds(topic, 10, 10)
    await log.flush()
    expect((await log.runHousekeeping()).cleanedPartitions).toBe(1) // All of it was dirty.
    putRounds(topic, 10, 3)
    await log.flush()
    expect((await log.runHousekeeping()).cleanedPartitions).toBe(0)
    expect((await log.runHousekeeping({ force: true })).cleanedPartitions).toBe(1)
    expect([...latestOf(topic).values()]).toEqual(Array(10).fill('1002'))
  })

  it('is over when a test moved the clock to its time', async () => {
    const clock = manualClock()
    const log = await openLog(kind, { clock })
    const topic = await log.createTopic('t', COMPACT)
    putRounds(topic, 5, 20)
    await log.flush()
    await clock.advance(300_000)
    if (kind === 'disk') await until(() => topic.partition(0).get(0) === undefined)
    expect(topic.partition(0).get(0)).toBeUndefined()
    expect(latestOf(topic).size).toBe(5)
  })

  it('deletes a key whose last value is a tombstone when its time has come', async () => {
    const clock = manualClock()
    const log = await openLog(kind, { clock, housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', { ...COMPACT, deleteRetentionMs: HOUR_MS })
    putRounds(topic, 2, 5)
    topic.partition(0).append([{ key: 'k0', value: null }])
    for (let i = 0; i < 6; i++) topic.partition(0).append([{ key: 'k1', value: 'x'.repeat(900) }])
    await log.flush()
    await log.runHousekeeping({ force: true })
    const tombstones = (): number =>
      [...topic.partition(0).records()].filter(({ value }) => value === null).length
    expect(tombstones()).toBe(1)
    await clock.advance(HOUR_MS - 1)
    await log.runHousekeeping({ force: true })
    expect(tombstones()).toBe(1)
    await clock.advance(2)
    await log.runHousekeeping({ force: true })
    expect(tombstones()).toBe(0)
    expect(latestOf(topic).has('k0')).toBe(false)
  })

  it('goes on beside reads, appends and changes of topics', async () => {
    const log = await openLog(kind, { housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', COMPACT)
    putRounds(topic, 20, 5)
    await log.flush()
    const run = log.runHousekeeping({ force: true })
    const reader = topic.read({ from: 'earliest' })
    const seen = new Map<string, string>()
    for (let index = 0; index < 10; index++) {
      await log.createTopic(`other-${index}`)
      topic.partition(0).append([{ key: 'k0', value: `9${index}`.padEnd(300, '.') }])
    }
    for await (const { key, value } of reader) seen.set(String(key), String(value).slice(0, 4))
    await run
    expect(latestOf(topic).get('k0')).toBe('99..')
    expect(seen.size).toBe(20)
  })

  it('leaves a topic that is deleted meanwhile, and one made anew under its name', async () => {
    const warnings: LogWarning[] = []
    const onWarning = (warning: LogWarning): unknown => warnings.push(warning)
    const log = await openLog(kind, { housekeepingIntervalMs: null, onWarning })
    const topic = await log.createTopic('t', COMPACT)
    putRounds(topic, 20, 5)
    await log.flush()
    const run = log.runHousekeeping({ force: true })
    await nextTurn()
    await log.deleteTopic('t')
    const again = await log.createTopic('t', COMPACT)
    again.partition(0).append([{ key: 'a', value: 'new' }])
    await run
    expect([...again.partition(0).records()].map(({ value }) => String(value))).toEqual(['new'])
    await log.runHousekeeping({ force: true })
    expect(warnings).toEqual([])
  })

  it('replaces nothing once a topic was altered so that it is not compacted', async () => {
    const warnings: LogWarning[] = []
    const onWarning = (warning: LogWarning): unknown => warnings.push(warning)
    for (let turns = 0; turns < 8; turns++) {
      const log = await openLog(kind, { housekeepingIntervalMs: null, onWarning })
      const topic = await log.createTopic('t', COMPACT)
      putRounds(topic, 5, 10)
      await log.flush()
      const run = log.runHousekeeping({ force: true })
      for (let turn = 0; turn < turns; turn++) await nextTurn()
      await topic.alterConfig({ cleanupPolicy: 'delete' })
      const bytes = topic.size().bytes
      await run
      expect(topic.size().bytes).toBe(bytes)
      await log.close()
    }
    expect(warnings).toEqual([])
  })

  it('deletes nothing by settings that were altered meanwhile', async () => {
    const log = await openLog(kind, { housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', { ...SMALL, retentionBytes: 0 })
    appendSegments(topic, 4)
    await log.flush()
    const altering = topic.alterConfig({ retentionBytes: -1 })
    const run = log.runHousekeeping()
    await altering
    const start = topic.partition(0).logStartOffset
    await run
    expect(topic.partition(0).logStartOffset).toBe(start)
  })

  it('ends within its next steps when the log closes', async () => {
    const log = await openLog(kind, { housekeepingIntervalMs: null, cleanerMaxBytesPerSecond: 1 })
    const topic = await log.createTopic('t', COMPACT)
    putRounds(topic, 5, 20)
    await log.flush()
    const run = rejection(log.runHousekeeping({ force: true }))
    for (let turn = 0; turn < 20; turn++) await nextTurn()
    await log.close()
    expect((await run).code).toBe('CLOSED')
  })
})

describe('long runs', () => {
  /** Turns of the event loop that pass while `work` is under way. */
  async function turnsDuring(work: Promise<unknown>): Promise<number> {
    const state = { isOver: false }
    const ending = work.finally(() => {
      state.isOver = true
    })
    let turns = 0
    for (; !state.isOver; turns++) await nextTurn()
    await ending
    return turns
  }

  it('let the event loop go on after so many bytes that are compacted', async () => {
    const log = await openLog('memory', { housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', { cleanupPolicy: 'compact', segmentBytes: 1_048_576 })
    const value = 'v'.repeat(1_000)
    for (let batch = 0; batch < 80; batch++) {
      const records = Array.from({ length: 100 }, (_, key) => ({ key: `k${key}`, value }))
      topic.partition(0).append(records)
    }
    const bytes = topic.size().bytes
    const turns = await turnsDuring(log.runHousekeeping({ force: true }))
    // What is dirty is read twice, at most 256 KiB and a batch of 100 KB in a turn.
    expect(turns).toBeGreaterThan((2 * bytes) / (262_144 + 110_000))
    expect(topic.size().bytes).toBeLessThan(bytes / 2)
  })

  it('let the event loop go on after so many segments that are deleted', async () => {
    const log = await openLog('memory', { housekeepingIntervalMs: null })
    const topic = await log.createTopic('t', { ...SMALL, fileDeleteDelayMs: 0 })
    appendSegments(topic, 2_000)
    await topic.partition(0).deleteRecords(1_999)
    const turns = await turnsDuring(log.runHousekeeping())
    expect(turns).toBeGreaterThan(1_999 / 64)
    expect(topic.size().bytes).toBeLessThan(2_000)
  })
})

describe('a limit on what compaction reads and writes', () => {
  it('is kept, by the clock of the log', async () => {
    const clock = manualClock()
    const options = { clock, housekeepingIntervalMs: null, cleanerMaxBytesPerSecond: 10_000 }
    const log = await openLog('a simulated disk', options)
    const topic = await log.createTopic('t', COMPACT)
    putRounds(topic, 5, 60)
    await log.flush()
    const dirtyBytes = topic.size().bytes
    const state = { isOver: false }
    const run = log.runHousekeeping({ force: true }).finally(() => {
      state.isOver = true
    })
    const startedMs = clock.now()
    while (!state.isOver) await clock.advance(100)
    await run
    // Each byte is read at least twice: for its key, and to be kept or not.
    expect(clock.now() - startedMs).toBeGreaterThan((2 * dirtyBytes) / 10)
    expect(clock.now() - startedMs).toBeLessThan((4 * dirtyBytes) / 10)
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

/** Lets what is under way on a disk go on until something can be seen. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !isSo(); turn++) await nextTurn()
  expect(isSo()).toBe(true)
}

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
