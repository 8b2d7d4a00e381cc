/** The budget of a run: what the environment asks for, and never an empty run by mistake. */
import { describe, expect, it } from 'vitest'
import { budgetOf, longestMs } from './budget.ts'

describe('budgetOf', () => {
  it('gives the usual sizes where the environment is silent', () => {
    const kills = { kills: 200, transactionKills: 24, disks: 800, crashEnds: 3 }
    const usual = { ...kills, soakSeconds: 30, propertyRuns: 100, stressRounds: 3 }
    const limits = { limitMebibytes: 288, limitSegments: 320, limitTopics: 150 }
    expect(budgetOf({})).toEqual({
      ...usual,
      ...limits,
      modelSteps: 10_000,
      simulatedSeeds: 136,
      newSeeds: 24,
      mutantSeeds: 60,
      damagedLogs: 16,
    })
    expect(budgetOf({ STREAMBED_KILLS: '' }).kills).toBe(200)
  })

  it('takes the sizes that the environment names', () => {
    const torture = { STREAMBED_KILLS: '2000', STREAMBED_DISKS: '9', STREAMBED_SOAK_SECONDS: '20' }
    const others = { FAST_CHECK_RUNS: '10000', STREAMBED_STRESS: '7', STREAMBED_SEEDS: '8' }
    const files = { STREAMBED_LIMIT_MIB: '1', STREAMBED_LIMIT_FILES: '2' }
    const limits = { limitMebibytes: 1, limitSegments: 2, limitTopics: 3 }
    const sizes = { kills: 2000, disks: 9, soakSeconds: 20, propertyRuns: 10_000, stressRounds: 7 }
    const more = { STREAMBED_LIMIT_TOPICS: '3', STREAMBED_DAMAGES: '4' }
    const crashes = {
      STREAMBED_TRANSACTION_KILLS: '5',
      STREAMBED_CRASH_ENDS: '6',
      STREAMBED_MODEL_STEPS: '7',
    }
    const all = { ...torture, ...others, ...files, ...more, ...crashes }
    expect(budgetOf(all)).toMatchObject({ transactionKills: 5, crashEnds: 6, modelSteps: 7 })
    expect(budgetOf(all)).toMatchObject({ ...sizes, ...limits, simulatedSeeds: 8, damagedLogs: 4 })
  })

  it.each(['0', '-1', '1.5', 'many'])('refuses %j, which would make a run look green', (text) => {
    expect(() => budgetOf({ STREAMBED_KILLS: text })).toThrow('not a count')
  })
})

describe('longestMs', () => {
  it('gives tests hours where any size is raised, and what they usually have elsewhere', () => {
    expect(longestMs(20_000, {})).toBe(20_000)
    expect(longestMs(20_000, { STREAMBED_KILLS: '10', FAST_CHECK_RUNS: '25' })).toBe(20_000)
    expect(longestMs(20_000, { FAST_CHECK_RUNS: '5000' })).toBeGreaterThan(3_600_000)
  })
})
