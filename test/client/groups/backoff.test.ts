/**
 * How long a record waits for its next attempt: a time that doubles, or the user's own function.
 */
import { describe, expect, it } from 'vitest'
import { backoffOf } from '../../../src/client/groups/backoff.ts'
import { refusal } from '../refusal.ts'

const WHERE = 'group.run'

/** As a program without types calls it. */
function untyped(backoffMs: unknown): ReturnType<typeof backoffOf> {
  return backoffOf(backoffMs as number, WHERE) // It has to see for itself.
}

describe('the backoff', () => {
  it('doubles with each attempt, up to 30 seconds', () => {
    const backoff = backoffOf(500, WHERE)
    expect([1, 2, 3, 6, 7, 8].map(backoff)).toEqual([500, 1_000, 2_000, 16_000, 30_000, 30_000])
    expect(backoff(5_000)).toBe(30_000)
  })

  it('is 100 ms at first where nothing is said', () => {
    expect(backoffOf(undefined, WHERE)(1)).toBe(100)
  })

  it('of 0 stays 0, however many attempts there were', () => {
    expect(backoffOf(0, WHERE)(100_000)).toBe(0)
  })

  it('is what the function says, for the attempt that failed', () => {
    expect(backoffOf((attempt: number) => attempt * 7, WHERE)(3)).toBe(21)
  })

  it.each([-1, NaN, Infinity, '1', null, {}])('is no %s', (backoffMs) => {
    expect(refusal(() => untyped(backoffMs)).details).toMatchObject({
      option: 'backoffMs',
    })
  })

  it.each([-1, NaN, Infinity, '1', undefined])('of a function is not %s', (ms) => {
    const backoff = untyped(() => ms)
    expect(refusal(() => backoff(2)).details).toMatchObject({ option: 'backoffMs', attempt: 2 })
  })
})
