/**
 * Compaction as users meet it, by `log.runHousekeeping`: what stays, what goes, and what goes on
 * meanwhile. Which records stay, rule by rule, is said beside the cleaner.
 */
import { describe, expect, it } from 'vitest'
import type { LogWarning } from '../../src/client/log-options.ts'
import type { Topic } from '../../src/client/topic.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { LOG_KINDS, openLog } from './open-log.ts'
import { rejection } from './refusal.ts'
import { appendSegments, SMALL, until } from './small-segments.ts'

const HOUR_MS = 3_600_000

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

  it('lets nothing that may be deleted wait for more than some minutes', async () => {
    const clock = manualClock()
    const options = { clock, housekeepingIntervalMs: null, cleanerMaxBytesPerSecond: 10_000 }
    const log = await openLog('a simulated disk', options)
    const topic = await log.createTopic('compacted', { ...COMPACT, segmentBytes: 1_000_000 })
    for (let key = 0; key < 9; key++) {
      topic.partition(0).append([{ key: `k${key % 3}`, value: 'v'.repeat(200_000) }])
    }
    const old = await log.createTopic('old', { ...SMALL, retentionMs: 1_000, fileDeleteDelayMs: 0 })
    await log.flush()
    const state = { isOver: false }
    const run = log.runHousekeeping().finally(() => {
      state.isOver = true
    })
    await clock.advance(1_000)
    appendSegments(old, 4)
    while (!state.isOver && old.size().segments > 1) await clock.advance(1_000)
    expect(state.isOver).toBe(false)
    expect(old.partition(0).logStartOffset).toBe(4)
    while (!state.isOver) await clock.advance(1_000)
    expect(await run).toMatchObject({ deletedSegments: 4, cleanedPartitions: 1 })
  })
})
