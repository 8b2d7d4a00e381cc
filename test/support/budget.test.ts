/** The budget of a run: what the environment asks for, and never an empty run by mistake. */
import { describe, expect, it } from 'vitest'
import { budgetOf } from './budget.ts'

describe('budgetOf', () => {
  it('gives the usual sizes where the environment is silent', () => {
    expect(budgetOf({})).toEqual({ kills: 100, propertyRuns: 100, stressRounds: 3 })
    expect(budgetOf({ STREAMBED_KILLS: '' }).kills).toBe(100)
  })

  it('takes the sizes that the environment names', () => {
    const names = { STREAMBED_KILLS: '2000', FAST_CHECK_RUNS: '10000', STREAMBED_STRESS: '7' }
    expect(budgetOf(names)).toEqual({ kills: 2000, propertyRuns: 10_000, stressRounds: 7 })
  })

  it.each(['0', '-1', '1.5', 'many'])('refuses %j, which would make a run look green', (text) => {
    expect(() => budgetOf({ STREAMBED_KILLS: text })).toThrow('not a count')
  })
})
