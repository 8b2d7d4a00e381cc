/** A clock that moves when it is told to, and only then. */
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'

describe('a manual clock', () => {
  it('starts with 2026, or where it is told to', () => {
    expect(new Date(manualClock().now()).toISOString()).toBe('2026-01-01T00:00:00.000Z')
    expect(manualClock(5).now()).toBe(5)
  })

  it('fires what comes due in order, each at its time, and what that sets off in between', async () => {
    const clock = manualClock(0)
    const fired: string[] = []
    const note = (name: string): void => void fired.push(`${name} at ${clock.now()}`)
    clock.setTimeout(() => note('late'), 30)
    clock.setTimeout(() => {
      note('first')
      void nextTurn().then(() => clock.setTimeout(() => note('between'), 5))
    }, 10)
    clock.setTimeout(() => note('same time'), 10)
    clock.setTimeout(() => note('too late'), 31)
    clock.clearTimeout(clock.setTimeout(() => note('never'), 20))
    await clock.advance(30)
    expect(fired).toEqual(['first at 10', 'same time at 10', 'between at 15', 'late at 30'])
    expect([clock.now(), clock.monotonicNow()]).toEqual([30, 30])
  })

  it('that is set lets no time pass: no timer fires, and monotonicNow stands', async () => {
    const clock = manualClock(1_000)
    let hasFired = false
    clock.setTimeout(() => (hasFired = true), 10)
    await clock.set(500)
    await clock.set(100_000)
    expect([clock.now(), clock.monotonicNow(), hasFired]).toEqual([100_000, 0, false])
    await clock.advance(10)
    expect([clock.now(), hasFired]).toEqual([100_010, true])
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('refuses a time of %s', async (ms) => {
    expect(() => manualClock(ms)).toThrow('milliseconds')
    await expect(manualClock().advance(ms)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(manualClock().set(ms)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('moves a log in memory: what lingers is sent, and has been when advance resolves', async () => {
    const clock = manualClock()
    const log = EventLog.inMemory({ clock })
    const topic = await log.createTopic('t')
    const producer = log.producer({ lingerMs: 50 })
    producer.enqueue({ topic: 't', value: 'x' })
    await clock.advance(49)
    expect(topic.partition(0).logEndOffset).toBe(0)
    await clock.advance(1)
    expect(topic.partition(0).logEndOffset).toBe(1)
    await log.close()
  })
})
