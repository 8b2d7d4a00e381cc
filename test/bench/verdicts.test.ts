/**
 * Whether a target is met, by what was measured of it.
 */
import { describe, expect, it } from 'vitest'
import { verdictOn } from '../../bench/page/verdicts.ts'
import { newestOf, type CaseResult } from '../../bench/runner/results.ts'
import { BEST_PEER, targets, type Goal } from '../../bench/targets.ts'
import { answer, madeRun, question, took } from './made-runs.ts'

const goal: Goal = {
  says: '≥ 3 × best peer',
  question: 'q',
  cases: ['10 GiB', '1 GiB'],
  ours: 'streambed',
  figure: 'records/s',
  against: { contestant: BEST_PEER },
  atLeast: 3,
}
const measured = (...cases: readonly CaseResult[]): ReturnType<typeof newestOf> =>
  newestOf([madeRun('2026-11-22T06:10:00.000Z', [question('q', cases)])])
const peers = [answer('slow', 'peer', 9, 9), answer('quick', 'peer', 3, 3)]

describe('a goal', () => {
  it('is met where the ratio to the best peer is enough', () => {
    const found = measured({
      name: '10 GiB',
      answers: [answer('streambed', 'ours', 1, 1), ...peers],
    })
    expect(verdictOn(goal, found)).toEqual({ is: 'met', measured: '3 × quick' })
  })

  it('is not met where it is less, and says the rounds', () => {
    const found = measured({
      name: '10 GiB',
      answers: [answer('streambed', 'ours', 1, 2), ...peers],
    })
    expect(verdictOn(goal, found)).toEqual({ is: 'not met', measured: '2.3 × quick (1.5 – 3)' })
  })

  it('says so where another case stands in', () => {
    const found = measured({ name: '1 GiB', answers: [answer('streambed', 'ours', 1), ...peers] })
    expect(verdictOn(goal, found).measured).toBe('3 × quick, of 1 GiB')
  })

  it('may be a figure by itself, at most so much', () => {
    const { against: _, atLeast: __, ...rest } = goal
    const limited = { ...rest, figure: 'p99 µs', atMost: 1_700 }
    const latency = { p50Ns: 1, p99Ns: 1_800_000, p999Ns: 2, maxNs: 3 }
    const streambed = { ...answer('streambed', 'ours'), rounds: [took(1, { latency })] }
    const found = measured({ name: '10 GiB', answers: [streambed] })
    expect(verdictOn(limited, found)).toEqual({ is: 'not met', measured: '1,800 µs' })
    expect(verdictOn({ ...limited, atMost: 1_800 }, found).is).toBe('met')
  })

  it('may compare a case with another one, but not with itself', () => {
    const against = { contestant: 'streambed', case: '1 GiB' }
    const same = { ...goal, figure: 'ms', against, atMost: 2, atLeast: 0 }
    const small = { name: '1 GiB', answers: [answer('streambed', 'ours', 1)] }
    const large = { name: '10 GiB', answers: [answer('streambed', 'ours', 1.5)] }
    expect(verdictOn(same, measured(small, large))).toEqual({ is: 'met', measured: '1.5 ×' })
    expect(verdictOn(same, measured(small)).is).toBe('not measured')
  })

  it('is not measured where the question, the case, a contestant or the figure is missing', () => {
    const streambed = answer('streambed', 'ours', 1)
    const whole = { name: '10 GiB', answers: [streambed, ...peers] }
    expect(verdictOn({ ...goal, question: 'r' }, measured(whole)).is).toBe('not measured')
    expect(verdictOn({ ...goal, cases: ['1 B'] }, measured(whole)).is).toBe('not measured')
    expect(verdictOn({ ...goal, figure: 'p99 µs' }, measured(whole)).is).toBe('not measured')
    const failed = { ...answer('streambed', 'ours'), failed: 'it broke' }
    for (const answers of [[streambed], peers, [failed, ...peers]]) {
      expect(verdictOn(goal, measured({ name: '10 GiB', answers })).is).toBe('not measured')
    }
  })
})

describe('the targets', () => {
  const goals = targets.flatMap((target) => target.goals)

  it('have a bound each', () => {
    for (const { atLeast, atMost, says } of goals)
      expect(
        [atLeast, atMost].filter((bound) => bound !== undefined),
        says,
      ).toHaveLength(1)
  })

  it('say in words the bound that is computed with', () => {
    for (const { says, atLeast, atMost, figure } of goals) {
      const written = Number(/[≥≤] (?<bound>[\d.]+)/.exec(says)?.groups?.['bound'])
      const unit = figure === 'p99 µs' && says.includes(' ms') ? 1e3 : 1
      const bytes = figure === 'grown MB' && says.includes(' MiB') ? 1.048576 : 1
      expect((atLeast ?? atMost ?? NaN) / unit / bytes, says).toBeCloseTo(written, 2)
    }
  })
})
