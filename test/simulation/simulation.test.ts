/**
 * The simulation over seeds that every run plays, and over new ones, as many as the budget says;
 * and that it is what it says: decided by the seed, and able to show a failure small.
 */
import { describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { runSeed } from '../support/seeded-random.ts'
import { report, runCampaign, told } from './campaign.ts'
import { FAULT_GROUPS } from './fault-plan.ts'
import { historyOf } from './history.ts'
import { failureOf, shrink } from './shrink.ts'
import { Simulation } from './simulation.ts'

const STEPS = 300
/** Seeds go up to 2^32: there is room behind each. */
const SEED_ROOM = 2 ** 31

function* seedsFrom(first: number, count: number): Generator<number> {
  for (let seed = first; seed < first + count; seed++) yield seed
}

/** Plays seeds, prints what they did, and fails with what to do. */
async function play(first: number, count: number): Promise<void> {
  const before = process.cpuUsage()
  const { tally, failure } = await runCampaign({
    seeds: seedsFrom(first, count),
    stepCount: STEPS,
    faults: FAULT_GROUPS,
    shrinks: true,
  })
  const { user, system } = process.cpuUsage(before)
  process.stdout.write(
    `simulation from seed ${first} on: ${report(tally, (user + system) / 1e3)}\n`,
  )
  if (failure !== undefined) expect.fail(told(failure, STEPS))
  expect(tally.seedCount).toBe(count)
}

describe('the simulation', () => {
  it('plays the same history for the same seed, to the last event', async () => {
    for (const seed of seedsFrom(1, 12)) {
      const history = historyOf(seed, STEPS, FAULT_GROUPS)
      const first = await new Simulation(history).run(history.steps)
      const second = await new Simulation(history).run(history.steps)
      expect(second).toEqual(first)
    }
  })

  it('plays another history for another seed', async () => {
    const hashes = new Set<string>()
    for (const seed of seedsFrom(1, 12)) {
      const history = historyOf(seed, 60, FAULT_GROUPS)
      hashes.add((await new Simulation(history).run(history.steps)).traceHash)
    }
    expect(hashes.size).toBe(12)
  })

  it('shrinks a history that fails to a few steps that fail alike', async () => {
    // As an engine would that never syncs what it appends.
    const leftOut = ({
      action,
      path,
    }: {
      readonly action: string
      readonly path: string
    }): boolean => action === 'flush' && path.endsWith('.log')
    for (const seed of seedsFrom(1, 50)) {
      const history = historyOf(seed, STEPS, ['crash'])
      const failure = await failureOf(history, leftOut)
      if (failure === undefined) continue
      const shrunk = await shrink(history, failure, { leftOut })
      expect(shrunk.history.steps.length).toBeLessThan(12)
      expect(await failureOf(shrunk.history, leftOut)).toBeDefined()
      expect(await failureOf(shrunk.history)).toBeUndefined()
      return
    }
    expect.fail('no seed failed')
  })

  it('breaks no promise of the library in the seeds that every run plays', async () => {
    await play(1, budget.simulatedSeeds)
  })

  it('breaks no promise of the library in new seeds', async () => {
    await play(SEED_ROOM + (runSeed % SEED_ROOM), budget.newSeeds)
  })
})
