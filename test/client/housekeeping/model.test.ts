/**
 * Housekeeping over the public API against a model, through random histories: puts and tombstones,
 * transactions, rolls, changed settings, deleted records, positions that hold deletion back, runs
 * of retention and compaction by themselves and beside writers and readers, on disks that fail and
 * in processes that are stopped at any call, killed, or lose power, also while they open the log
 * again. After each step: the latest value of each key is right, offsets are what
 * they were, nothing comes back, what must be there is there.
 */
import { describe, expect, it } from 'vitest'
import { historySeed, SeededRandom } from '../../support/seeded-random.ts'
import { takeStep } from './housekeeping-steps.ts'
import { HousekeepingWorld, type Tally } from './housekeeping-world.ts'

const STEPS_AT_LEAST = 5_000
const STEPS_OF_A_HISTORY = 160

describe('housekeeping', () => {
  it(`takes nothing that must stay, in histories from seed ${historySeed} on`, async () => {
    const tally = emptyTally()
    for (let seed = historySeed; tally.steps < STEPS_AT_LEAST; seed += 1) await play(seed, tally)
    const counts = Object.entries(tally).map(([what, count]) => `${count} ${what}`)
    process.stdout.write(`housekeeping from seed ${historySeed} on: ${counts.join(', ')}\n`)
    expect(Object.entries(tally).filter(([, count]) => count === 0)).toEqual([])
  }, 180_000)
})

/** One history; it fails with the seed that repeats it. */
async function play(seed: number, tally: Tally): Promise<void> {
  const said: string[] = []
  const world = new HousekeepingWorld(seed, new SeededRandom(seed), tally)
  try {
    await world.begin()
    for (let left = STEPS_OF_A_HISTORY; left > 0; left--) said.push(await takeStep(world))
    await world.end()
  } catch (error) {
    const last = said.slice(-12).join(', ')
    const text = `STREAMBED_SEED=${seed}, at step ${said.length} after ${last}`
    throw new Error(`${text}: ${String(error)}`, { cause: error })
  }
}

function emptyTally(): Tally {
  return {
    steps: 0,
    records: 0,
    transactions: 0,
    runs: 0,
    cleanings: 0,
    segments: 0,
    failedRuns: 0,
    stopped: 0,
    closed: 0,
    killed: 0,
    powerCuts: 0,
    read: 0,
    superseded: 0,
    tombstones: 0,
    aborted: 0,
    deleted: 0,
  }
}
