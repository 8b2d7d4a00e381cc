/**
 * A wall clock that is set, backwards or far ahead, while a log is open: what it decides is which
 * timestamp a record gets, and nothing else.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Clock, EventLog } from '../../src/index.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const START_MS = Date.parse('2026-01-01T00:00:00Z')
const YEAR_MS = 31_536_000_000
/** Numbers of milliseconds by which somebody sets a clock. */
const step = fc.constantFrom(-YEAR_MS, -3_600_000, -1, 0, 1, 3_600_000, YEAR_MS)

describe('a wall clock that is set while a log is open', () => {
  it('changes timestamps, and neither order nor offsets nor what is kept', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const clock = new SetClock()
        const directory = temporaryDirectory()
        const warnings: unknown[] = []
        const options = { clock, onWarning: (warning: unknown) => void warnings.push(warning) }
        const log = await EventLog.open(directory, options)
        const partition = (await log.ensureTopic('t', { segmentBytes: 1_024 })).partition(0)
        const times: number[] = []
        for (const by of steps) {
          clock.nowMs += by
          times.push(clock.nowMs)
          partition.append({ value: 'x'.repeat(400) })
          expect(await log.topic('t').send({ value: 'y'.repeat(400) })).toMatchObject({
            offset: times.length * 2 - 1,
          })
        }
        expect(partition.durableOffset).toBe(steps.length * 2)
        await log.close()
        clock.nowMs -= YEAR_MS
        const again = await EventLog.open(directory, options)
        const records = [...again.topic('t').partition(0).records()]
        expect(records.map(({ offset }) => offset)).toEqual([...Array(steps.length * 2).keys()])
        expect(records.map(({ timestamp }) => timestamp)).toEqual(times.flatMap((at) => [at, at]))
        for (const at of times) {
          const first = times.findIndex((time) => time >= at) * 2
          expect(again.topic('t').partition(0).offsetForTimestamp(at)).toBe(first)
        }
        await again.close()
        expect(warnings).toEqual([])
      }),
      { numRuns: 15 },
    )
  })

  it('lets nobody wait longer, or give up earlier, for a lock', async () => {
    const directory = temporaryDirectory()
    const log = await EventLog.open(directory)
    const clock = new SetClock()
    const waiting = EventLog.open(directory, { clock, lockTimeoutMs: 60_000 })
    for (const by of [YEAR_MS, -2 * YEAR_MS]) {
      clock.nowMs += by
      await new Promise((resolve) => void setImmediate(resolve))
    }
    await log.close()
    await (await waiting).close()
  })
})

/** The machine's clock, but for the time of day. */
class SetClock implements Clock {
  nowMs = START_MS

  now(): number {
    return this.nowMs
  }

  monotonicNow(): number {
    return performance.now()
  }

  setTimeout(fn: () => void, ms: number): unknown {
    return setTimeout(fn, ms)
  }

  clearTimeout(handle: unknown): void {
    clearTimeout(handle as NodeJS.Timeout) // as `setTimeout` gave it
  }
}
