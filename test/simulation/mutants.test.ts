/**
 * The simulation finds every build that lacks one of the rules of mutants.ts: by the seed that is
 * known to find it, or, where the simulation has changed since, by one of the next ones. A night
 * looks through more of them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { mutatedText, MutantBuilds } from './mutant-build.ts'
import { MUTANTS } from './mutants.ts'

let builds: MutantBuilds | undefined

beforeAll(() => {
  builds = new MutantBuilds()
}, 120_000)
afterAll(() => builds?.remove())

describe('the simulation', () => {
  it('finds nothing in a build that lacks no rule', async () => {
    const result = await builds?.play(null, [1, 2, 3, 4, 5], 0)
    expect(result?.seed).toBeUndefined()
    expect(result?.seedCount).toBe(5)
  })

  it.each(MUTANTS)('finds a build without this rule: $rule', async (mutant) => {
    expect(mutatedText(mutant)).toContain(mutant.replace)
    const result = await builds?.play(mutant, [mutant.seed], budget.mutantSeeds)
    expect(result?.message, `no seed up to ${budget.mutantSeeds} found it`).toBeDefined()
    const { seed, stepCount, message } = result ?? {}
    process.stdout.write(`without '${mutant.rule}': seed ${seed}, step ${stepCount}: ${message}\n`)
  })
})
