/**
 * When an open log is looked after, and what of that its users notice. What retention and
 * compaction remove is said beside their own code.
 */
import { describe, expect, it } from 'vitest'
import type { LogWarning } from '../../src/client/log-options.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { testLog } from '../../src/testing/test-log.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { LOG_KINDS, openLog } from './open-log.ts'
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
    await clock.advance(100 * HOUR_MS)
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
