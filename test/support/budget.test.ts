/** The budget of a run: what the environment asks for, and never an empty run by mistake. */
import { describe, expect, it } from 'vitest'
import { budgetOf } from './budget.ts'

describe('budgetOf', () => {
  it('gives the usual sizes where the environment is silent', () => {
    const usual = { kills: 200, disks: 4_000, soakSeconds: 60, propertyRuns: 100, stressRounds: 3 }
    expect(budgetOf({})).toEqual({ ...usual, simulatedSeeds: 160 })
    expect(budgetOf({ STREAMBED_KILLS: '' }).kills).toBe(200)
  })

  it('takes the sizes that the environment names', () => {
    const torture = { STREAMBED_KILLS: '2000', STREAMBED_DISKS: '9', STREAMBED_SOAK_SECONDS: '20' }
    const others = { FAST_CHECK_RUNS: '10000', STREAMBED_STRESS: '7', STREAMBED_SEEDS: '8' }
    const sizes = { kills: 2000, disks: 9, soakSeconds: 20, propertyRuns: 10_000, stressRounds: 7 }
    expect(budgetOf({ ...torture, ...others })).toEqual({ ...sizes, simulatedSeeds: 8 })
  })

  it.each(['0', '-1', '1.5', 'many'])('refuses %j, which would make a run look green', (text) => {
    expect(() => budgetOf({ STREAMBED_KILLS: text })).toThrow('not a count')
  })
})
