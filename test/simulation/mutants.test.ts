/**
 * The simulation finds every build that lacks one of the rules of mutants.ts: by the seed that is
 * known to find it, or, where the simulation has changed since, by one of the next ones. For those
 * that show in one history of many, a night looks through more of them, and says what it found.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { mutatedTexts, MutantBuilds } from './mutant-build.ts'
import { type Mutant, MUTANTS } from './mutants.ts'

/** From so many seeds on a run has the time to look for what is rare. */
const SEEDS_OF_A_NIGHT = 500
const KNOWN = MUTANTS.filter(({ seed }) => seed !== null)
const RARE = MUTANTS.filter(({ seed }) => seed === null)

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

  it.each(KNOWN)('finds a build without this rule: $rule', async (mutant) => {
    expect(await told(mutant), `no seed up to ${budget.mutantSeeds} found it`).not.toBeNull()
  })

  it.runIf(budget.mutantSeeds >= SEEDS_OF_A_NIGHT).each(RARE)(
    'looks for a build without this rule: $rule',
    async (mutant) => {
      const found = await told(mutant)
      process.stdout.write(found === null ? `'${mutant.rule}' was not found\n` : '')
    },
  )

  it('has a place in the sources for each rule', () => {
    for (const mutant of MUTANTS) {
      expect(mutatedTexts(mutant).get(mutant.file)).toContain(mutant.replace)
    }
  })
})

/** Looks for a mutant and says what found it; null where nothing did. */
async function told(mutant: Mutant): Promise<string | null> {
  const known = mutant.seed === null ? [] : [mutant.seed]
  const result = await builds?.play(mutant, known, budget.mutantSeeds)
  if (result?.message === undefined) return null
  const { seed, stepCount, message } = result
  const text = `without '${mutant.rule}': seed ${seed}, step ${stepCount}: ${message}`
  process.stdout.write(`${text}\n`)
  return text
}
