/** What transactions cover of a partition, with the gap behind it, and what becomes of it. */
import { describe, expect, it } from 'vitest'
import { CoveredOffsets } from '../../../src/client/groups/covered-offsets.ts'

/** Covers everything below 9; behind it is a gap up to 11. */
function coveredWithGap(): CoveredOffsets {
  const covered = new CoveredOffsets()
  covered.cover(9)
  covered.passGap(9, 11)
  return covered
}

describe('covered offsets', () => {
  it('are those up to the end, and none before anything is covered', () => {
    const covered = new CoveredOffsets()
    expect(covered.has(0)).toBe(false)
    covered.cover(9)
    covered.cover(4) // An older batch again: what is behind it stays covered.
    expect([0, 9, 10].map((offset) => covered.has(offset))).toEqual([true, true, false])
  })

  it('reach over the gap behind them as long as the transaction may abort', () => {
    const covered = coveredWithGap()
    expect([covered.has(11), covered.has(12)]).toEqual([true, false])
    covered.ended(9, 'aborted')
    expect(covered.has(11)).toBe(true)
    covered.ended(9, 'committed') // Tried again.
    expect([covered.has(9), covered.has(11)]).toEqual([true, false])
  })

  it('do not reach over a gap that comes after the commit, nor one somewhere else', () => {
    const covered = new CoveredOffsets()
    covered.cover(9)
    covered.passGap(7, 8)
    expect(covered.has(10)).toBe(false)
    covered.ended(9, 'committed')
    covered.passGap(9, 11)
    expect(covered.has(11)).toBe(false)
  })

  it('stay covered where only the first of two transactions is committed', () => {
    const covered = new CoveredOffsets()
    covered.cover(5)
    covered.cover(9)
    covered.ended(5, 'committed')
    expect([covered.has(9), covered.outcomeOf(5), covered.outcomeOf(9)]).toEqual([
      true,
      'committed',
      undefined,
    ])
  })

  it('say how their transaction ended, where that is known', () => {
    const covered = new CoveredOffsets()
    covered.cover(9)
    expect(covered.outcomeOf(9)).toBeUndefined()
    covered.ended(9, 'aborted')
    expect(covered.outcomeOf(9)).toBeUndefined()
    covered.ended(9, 'unknown')
    expect([covered.outcomeOf(9), covered.outcomeOf(10)]).toEqual(['unknown', undefined])
    covered.ended(9, 'committed')
    expect(covered.outcomeOf(9)).toBe('committed')
  })

  it('are none after the user went elsewhere, whatever the transaction does then', () => {
    const covered = coveredWithGap()
    covered.clear()
    covered.ended(9, 'committed')
    expect(covered.has(3)).toBe(false)
  })

  it('know the last gap, also where it grows', () => {
    const covered = coveredWithGap()
    expect([8, 9, 10].map((offset) => covered.pastGap(offset))).toEqual([8, 11, 10])
    covered.passGap(11, 14)
    expect(covered.pastGap(9)).toBe(14)
    covered.passGap(20, 21)
    expect([covered.pastGap(9), covered.pastGap(20)]).toEqual([9, 21])
  })
})
