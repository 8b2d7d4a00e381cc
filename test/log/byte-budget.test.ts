/** Long work reads and writes no faster than its budget of bytes a second. */
import { describe, expect, it } from 'vitest'
import { ByteBudget } from '../../src/log/byte-budget.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** Takes pieces for as long as the clock says, waiting as the budget asks; what was taken. */
async function taken(bytesPerSecond: number, pieceBytes: number, forMs: number): Promise<number> {
  const clock = new FakeClock()
  const budget = new ByteBudget(clock, bytesPerSecond)
  const endMs = clock.monotonicNow() + forMs
  const work = async (): Promise<number> => {
    let bytes = 0
    while (clock.monotonicNow() < endMs) {
      bytes += pieceBytes
      const wait = budget.take(pieceBytes)
      if (wait !== undefined) await wait()
    }
    return bytes
  }
  const working = work()
  for (let ms = 0; ms < forMs; ms += 10) {
    await nextTurn()
    clock.advance(10)
  }
  budget.stop()
  return await working
}

describe('a budget of bytes a second', () => {
  it.each([1_000, 10_000, 100_000])('lets %i-byte pieces through as it says', async (piece) => {
    const bytes = await taken(100_000, piece, 10_000)
    // One piece under way, and what is kept of a pause.
    expect(bytes).toBeGreaterThan(990_000)
    expect(bytes).toBeLessThanOrEqual(1_000_000 + 2 * piece + 5_000)
  })

  it('lets a piece through that is larger than the budget of seconds, and has it paid', async () => {
    const clock = new FakeClock()
    const budget = new ByteBudget(clock, 1_000)
    let isPaid = false
    void budget
      .take(60_000)?.()
      .then(() => {
        isPaid = true
      })
    clock.advance(59_900)
    await nextTurn()
    expect(isPaid).toBe(false)
    clock.advance(100)
    await nextTurn()
    expect(isPaid).toBe(true)
  })

  it('saves nothing up over a pause', () => {
    const clock = new FakeClock()
    const budget = new ByteBudget(clock, 1_000)
    clock.advance(1_000_000)
    expect(budget.take(50)).toBeUndefined()
    expect(budget.take(1)).toBeDefined()
  })

  it('asks for no wait where there is no limit', () => {
    const clock = new FakeClock()
    const budget = new ByteBudget(clock, Infinity)
    for (let i = 0; i < 100; i++) expect(budget.take(2 ** 30)).toBeUndefined()
    expect(clock.timerCount).toBe(0)
  })

  it('ends every wait when it is stopped, and leaves no timer', async () => {
    const clock = new FakeClock()
    const budget = new ByteBudget(clock, 1)
    const before = budget.take(1_000)
    const one = budget.take(1_000)?.()
    const other = budget.take(1_000)?.()
    expect(clock.timerCount).toBe(2)
    budget.stop()
    await one
    await other
    await before?.()
    expect(clock.timerCount).toBe(0)
    expect(budget.take(1_000)).toBeUndefined()
  })
})
