/**
 * How often a writer publishes under load: a publication that takes longer, because many watch the
 * file, is made more rarely. Time is a test's: publishing takes as long as it says.
 */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { ControlFile } from '../../src/storage/control-file.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'

/** Time passes in such steps, and an append comes with each. */
const STEP_MS = 0.25
const LOAD_MS = 600
/** So many may come before publications are spread. */
const BURST_COUNT = 6

/**
 * Appends under load, or as far apart as `stepMs` says, each publication taking what `costMs` says;
 * when they ended.
 */
async function publishedAt(
  costMs: (number: number) => number,
  stepMs: (number: number) => number = () => STEP_MS,
): Promise<readonly number[]> {
  const clock = new FakeClock(0)
  const { log } = await openLog(new FaultDriver(), { clock })
  await runProcedure(log.createTopic('a', {}))
  const partition = partitionOf(log, 'a')
  await nextTurn()
  const times: number[] = []
  const spy = vi.spyOn(ControlFile.prototype, 'publish').mockImplementation(() => {
    clock.advance(costMs(times.length))
    times.push(clock.monotonicNow())
  })
  onTestFinished(() => spy.mockRestore())
  for (let number = 0; clock.monotonicNow() < LOAD_MS; number += 1) {
    appendMany(partition, 1)
    await nextTurn()
    clock.advance(stepMs(number))
  }
  return times
}

describe('a writer under load', () => {
  it('publishes every millisecond where that costs nothing', async () => {
    const times = await publishedAt(() => 0)
    expect(times.length).toBeGreaterThan(LOAD_MS * 0.7)
    expect(times.length).toBeLessThanOrEqual(LOAD_MS + BURST_COUNT)
  })

  it.each([0.04, 0.1, 0.5, 1, 1.9])(
    'spends a 25th of its time on publications that take %d ms, at most',
    async (costMs) => {
      const times = await publishedAt(() => costMs)
      const later = times.slice(times.length >> 1) // By then it has learnt what they take.
      const spanMs = (later.at(-1) ?? 0) - (later[0] ?? 0)
      expect(later.length).toBeGreaterThan(1)
      expect(((later.length - 1) * costMs) / spanMs).toBeLessThanOrEqual(0.041)
    },
  )

  it('publishes every 50 ms at least, whatever that costs', async () => {
    const times = await publishedAt(() => 5)
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    expect(Math.max(...gaps)).toBeLessThanOrEqual(50 + 5 + 2 * STEP_MS)
  })

  it('is not slowed down for long by one that was held up', async () => {
    const times = await publishedAt((number) => (number === 20 ? 30 : 0))
    const heldUpAt = times[20] ?? NaN
    const behind = times.filter((time) => time > heldUpAt && time <= heldUpAt + 10)
    expect(behind.length).toBeGreaterThanOrEqual(6)
  })

  it('publishes at the end of the turn when it was idle', async () => {
    const times = await publishedAt(() => 0)
    expect(times[0]).toBe(0)
  })
})

describe('a writer that writes something every two milliseconds', () => {
  it.each([
    ['evenly', () => 2],
    ['in pairs', (number: number) => (number % 2 === 0 ? 0.5 : 3.5)],
    ['three at a time', (number: number) => (number % 3 < 2 ? 0.25 : 5.5)],
  ])('publishes each at the end of its turn, also where they come %s', async (_, stepMs) => {
    let appendCount = 0
    const times = await publishedAt(
      () => 0.07,
      (number) => {
        appendCount += 1
        return stepMs(number) - 0.07
      },
    )
    expect(times.length).toBe(appendCount)
  })
})
