/** The time that producers stamp records with, and how often it is read. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { nextTurn, RecordTime, systemClock } from '../../src/log/clock.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** Each reading of the machine's clock is a millisecond after the one before. */
function tickingClock(): { readonly readings: () => number } {
  let ms = 1_000
  const spy = vi.spyOn(Date, 'now').mockImplementation(() => ++ms)
  return { readings: () => spy.mock.calls.length }
}

describe('the time of records', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it('is read from an injected clock each time', () => {
    const clock = new FakeClock()
    const time = new RecordTime(clock)
    const start = time.recent()
    clock.advance(1)
    expect(time.recent()).toBe(start + 1)
    clock.advance(5)
    expect([time.recent(), time.exact()]).toEqual([start + 6, start + 6])
  })

  it('is shared by at most 16 records in a turn under the machine clock', async () => {
    const { readings } = tickingClock()
    const time = new RecordTime(systemClock)
    const times = Array.from({ length: 33 }, () => time.recent())
    expect(readings()).toBe(3)
    expect([times[0], times[15], times[16], times[32]]).toEqual([1_001, 1_001, 1_002, 1_003])
    await nextTurn()
  })

  it('is read anew in the next turn', async () => {
    const { readings } = tickingClock()
    const time = new RecordTime(systemClock)
    const first = time.recent()
    await nextTurn()
    expect([time.recent() - first, readings()]).toEqual([1, 2])
    await nextTurn()
    expect([time.recent() - first, readings()]).toEqual([2, 3])
    await nextTurn()
  })

  it('never goes back between what is awaited and what is enqueued', async () => {
    tickingClock()
    const time = new RecordTime(systemClock)
    const times = [time.recent(), time.exact(), time.recent(), time.exact(), time.recent()]
    expect(times).toEqual([1_001, 1_002, 1_002, 1_003, 1_003])
    await nextTurn()
  })
})
