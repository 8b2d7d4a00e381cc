/**
 * Transactions over the public API against a model, through random histories: producers with and
 * without an id, transactions that overlap, commit, throw, are aborted, run out of time or are
 * fenced, plain sends beside them, a group that moves records exactly once, positions given by
 * hand, readers of both isolations, flushes that take their time, and processes that are closed,
 * killed, stopped in a call or lose power. After each step everything is held against what was
 * promised. STREAMBED_MODEL_STEPS says how many there are at least.
 */
import { describe, expect, it } from 'vitest'
import { budget, longestMs } from '../../support/budget.ts'
import { historySeed, SeededRandom } from '../../support/seeded-random.ts'
import { takeStep } from './transaction-steps.ts'
import { TransactionWorld, type Tally } from './transaction-world.ts'

const STEPS_OF_A_HISTORY = 150

describe('transactions', () => {
  it(
    `are all or nothing, in order, and exactly once, in histories from seed ${historySeed} on`,
    async () => {
      const tally = emptyTally()
      for (let seed = historySeed; goesOn(tally); seed += 1) await play(seed, tally)
      const counts = Object.entries(tally).map(([what, count]) => `${count} ${what}`)
      process.stdout.write(`transactions from seed ${historySeed} on: ${counts.join(', ')}\n`)
      expect(Object.entries(tally).filter(([, count]) => count === 0)).toEqual([])
    },
    longestMs(180_000),
  )
})

/** Until there were as many steps as is said, or more, where something has not come up by then. */
function goesOn(tally: Tally): boolean {
  const isThin = Object.values(tally).includes(0)
  return tally.steps < budget.modelSteps * (isThin ? 4 : 1)
}

/** One history; it fails with the seed that repeats it. */
async function play(seed: number, tally: Tally): Promise<void> {
  const said: string[] = []
  const world = await TransactionWorld.begin(seed, new SeededRandom(seed), tally)
  try {
    for (let left = STEPS_OF_A_HISTORY; left > 0; left--) said.push(await takeStep(world))
    world.disk.faults.clear()
    await world.rest()
    await world.reopen('close')
    await world.rest()
    world.check()
    await world.disk.kill()
  } catch (error) {
    const text = `STREAMBED_SEED=${seed}, at step ${said.length} after ${said.slice(-12).join(', ')}`
    throw new Error(`${text}: ${String(error)}`, { cause: error })
  }
}

function emptyTally(): Tally {
  return {
    steps: 0,
    transactions: 0,
    committed: 0,
    aborted: 0,
    unknown: 0,
    unknownCommitted: 0,
    timedOut: 0,
    fenced: 0,
    records: 0,
    plain: 0,
    moved: 0,
    read: 0,
    offsets: 0,
    closed: 0,
    killed: 0,
    powerCuts: 0,
    stoppedInCalls: 0,
  }
}
