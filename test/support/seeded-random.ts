/**
 * Random choices that a seed repeats. The seed of a run is in STREAMBED_SEED, or a new one; who
 * uses it prints it.
 */
import { randomInt } from 'node:crypto'

export { SeededRandom } from '../../src/testing/seeded-random.ts'

/** The seed of this run, 0 to 2^32 − 1. */
export const runSeed: number = seedOf(process.env['STREAMBED_SEED'])

/**
 * For long histories: the same in every run but where STREAMBED_SEED names another, as a night
 * does. What a new one finds is rarely about the change that is tested.
 */
export const historySeed: number = process.env['STREAMBED_SEED'] ? runSeed : 1

function seedOf(text: string | undefined): number {
  if (text === undefined || text === '') return randomInt(2 ** 32)
  const seed = Number(text)
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new Error(`STREAMBED_SEED=${text}: not a seed`)
  }
  return seed
}
