/** When a followed log looks, over a clock and wakes that are moved by hand. */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../../src/log/clock.ts'
import { FollowSchedule } from '../../../src/log/follow/follow-schedule.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { HandWake } from './follower.ts'

interface Scheduled {
  readonly clock: FakeClock
  readonly wake: HandWake
  readonly looks: boolean[]
  /** How many looks there had been at each. */
  readonly glances: number[]
  readonly fallbacks: unknown[]
  readonly schedule: FollowSchedule
}

function scheduled(): Scheduled {
  const clock = new FakeClock()
  const wake = new HandWake()
  const looks: boolean[] = []
  const glances: number[] = []
  const fallbacks: unknown[] = []
  const schedule = new FollowSchedule({
    clock,
    wake,
    glance: () => void glances.push(looks.length),
    look: (isPoll) => void looks.push(isPoll),
    onFallback: (cause) => void fallbacks.push(cause),
  })
  return { clock, wake, looks, glances, fallbacks, schedule }
}

describe('while nobody waits', () => {
  it('a look is made every second, and nothing is watched', () => {
    const { clock, wake, looks } = scheduled()
    clock.advance(999)
    expect(looks).toEqual([])
    clock.advance(2_001)
    expect(looks).toEqual([true, true, true])
    expect(wake.starts).toBe(0)
  })
})

describe('while somebody waits', () => {
  it('the first look comes at once, for what came before the watch', () => {
    const { clock, wake, looks, schedule } = scheduled()
    schedule.listening(true)
    expect(wake.onWake).toBeDefined()
    expect(looks).toEqual([])
    clock.advance(0)
    expect(looks).toEqual([true])
  })

  it('a poll looks every 50 ms', () => {
    const { clock, looks, schedule } = scheduled()
    schedule.listening(true)
    clock.advance(500)
    expect(looks).toHaveLength(11)
  })

  it('a burst of wakes is one look in the same turn', async () => {
    const { wake, looks, schedule } = scheduled()
    schedule.listening(true)
    for (let count = 0; count < 20; count++) wake.onWake?.()
    await nextTurn()
    expect(looks).toEqual([false])
    wake.onWake?.()
    await nextTurn()
    expect(looks).toEqual([false, false])
  })

  it('the first wake of a burst is a glance at once, before the look', async () => {
    const { wake, glances, schedule } = scheduled()
    schedule.listening(true)
    wake.onWake?.()
    expect(glances).toEqual([0])
    wake.onWake?.()
    await nextTurn()
    wake.onWake?.()
    expect(glances).toEqual([0, 1])
    schedule.close()
    await nextTurn()
    wake.onWake?.()
    expect(glances).toEqual([0, 1])
  })

  it('the watch goes on where readers come and go between two polls', () => {
    const { clock, wake, schedule } = scheduled()
    for (let count = 0; count < 100; count++) {
      schedule.listening(true)
      schedule.listening(false)
    }
    expect(wake.starts).toBe(1)
    schedule.listening(true)
    clock.advance(1_000)
    expect(wake.starts).toBe(1)
    expect(wake.onWake).toBeDefined()
  })

  it('the watch ends once nobody is left at a poll, and begins again', () => {
    const { clock, wake, looks, schedule } = scheduled()
    schedule.listening(true)
    schedule.listening(true)
    schedule.listening(false)
    clock.advance(100)
    expect(wake.onWake).toBeDefined()
    schedule.listening(false)
    clock.advance(50)
    expect(wake.onWake).toBeUndefined()
    looks.length = 0
    clock.advance(3_000)
    expect(looks).toHaveLength(3)
    schedule.listening(true)
    expect(wake.starts).toBe(2)
  })
})

describe('where nothing can be watched', () => {
  it.each(['at once', 'later'])('that is told once, and a poll looks every 10 ms: %s', (when) => {
    const { clock, wake, looks, fallbacks, schedule } = scheduled()
    const cause = new Error('ENOSPC')
    const { start } = wake
    if (when === 'at once') {
      wake.start = (onWake, onFailure) => {
        start.call(wake, onWake, onFailure)
        onFailure(cause)
      }
    }
    schedule.listening(true)
    if (when === 'later') {
      clock.advance(50)
      wake.onFailure?.(cause)
    }
    wake.onFailure?.(cause)
    looks.length = 0
    clock.advance(100)
    expect(looks).toHaveLength(11)
    expect(fallbacks).toEqual([cause])
    schedule.listening(false)
    clock.advance(2_000)
    schedule.listening(true)
    expect(fallbacks).toEqual([cause])
  })
})

describe('a closed schedule', () => {
  it('leaves no timer and no watch, and looks no more', async () => {
    const { clock, wake, looks, schedule } = scheduled()
    schedule.listening(true)
    const { onWake } = wake
    onWake?.()
    schedule.close()
    schedule.close()
    await nextTurn()
    onWake?.()
    await nextTurn()
    clock.advance(10_000)
    expect(looks).toEqual([])
    expect(clock.timerCount).toBe(0)
    expect(wake.onWake).toBeUndefined()
    schedule.listening(false)
    schedule.listening(true)
    expect(clock.timerCount).toBe(0)
  })
})
