/**
 * Every parser of bytes against the corpus of fuzz/, which campaigns have found (fuzz/README.md),
 * and against mutations of it that are new in each run: without guidance, so they find less than a
 * campaign, but they find it here.
 */
import { describe, expect, it } from 'vitest'
import { CheckedRun } from '../../fuzz/checked-run.ts'
import { readCorpus } from '../../fuzz/corpus.ts'
import { FuzzRandom, Mutator } from '../../fuzz/mutator.ts'
import { seedsOf } from '../../fuzz/seeds.ts'
import { TARGETS } from '../../fuzz/targets.ts'
import { budget } from '../support/budget.ts'

const MAX_CORPUS_BYTES = 1_048_576

describe.each(TARGETS)('the parser of $name', (target) => {
  const corpus = readCorpus(target.name)
  const checked = new CheckedRun()

  it('keeps what it promises for every input of the corpus', () => {
    expect(corpus.length).toBeGreaterThan(0)
    for (const { name, input } of corpus) {
      expect(() => checked.run(target, input), name).not.toThrow()
    }
  })

  it('keeps it for what it is meant for, and for mutations of all of it', () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = new FuzzRandom(seed)
    const mutator = new Mutator(random, [])
    const inputs = [...seedsOf(target.name), ...corpus.map(({ input }) => input)]
    for (let runs = 0; runs < budget.propertyRuns; runs++) {
      const fresh = mutator.mutate(random.oneOf(inputs), random.oneOf(inputs), target.maxInputBytes)
      const input = inputs[runs] ?? fresh
      expect(
        () => checked.run(target, input),
        `seed ${seed}: ${input.toString('hex')}`,
      ).not.toThrow()
    }
  })
})

describe('the corpus', () => {
  it('is small, and names its files after what they hold', () => {
    const names = TARGETS.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    const bytes = names.flatMap(readCorpus).reduce((sum, { input }) => sum + input.length, 0)
    expect(bytes).toBeLessThan(MAX_CORPUS_BYTES)
  })
})
