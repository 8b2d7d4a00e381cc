/**
 * Plays seeds on a build that lacks a rule, until one fails, and prints which: one line of JSON.
 *
 *   argv: seeds to play, separated by commas; faults; how many more seeds to play from 1 on
 */
import { runCampaign } from './campaign.ts'
import { FAULT_GROUPS } from './fault-plan.ts'
import { MUTANT_STEPS } from './mutants.ts'

const [seeds = '', groups = '', more = '0'] = process.argv.slice(2)
const known = seeds === '' ? [] : seeds.split(',').map(Number)
const faults = FAULT_GROUPS.filter((group) => groups.split(',').includes(group))

const { tally, failure } = await runCampaign({
  seeds: [...known, ...Array.from({ length: Number(more) }, (_, index) => index + 1)],
  stepCount: MUTANT_STEPS,
  faults,
  shrinks: false,
})
const error = failure?.error
const message = error instanceof Error ? error.message : String(error)
const told =
  failure === undefined
    ? { seedCount: tally.seedCount }
    : { seedCount: tally.seedCount, seed: failure.seed, stepCount: failure.stepCount, message }
process.stdout.write(`${JSON.stringify(told)}\n`)
process.exit(0) // What the engine was doing is of no interest any more.
