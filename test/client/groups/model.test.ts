/**
 * Groups over the public API against a model, through random histories: members of every kind join,
 * take, commit, seek, pause, stall and leave, topics grow, come and go, the process is killed, the
 * power is cut. After each step: each partition has one owner; what is handed out goes on where the
 * group was and is nobody else's; what is committed is what was handled, or what the user said;
 * commits for others' partitions are REBALANCED, also in transactions, and nothing else commits
 * what those cover; positions and lag are those of the model. At the end of each history nothing
 * was left out.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { historySeed } from '../../support/seeded-random.ts'
import { handleTheRest, modelStep, take } from './model-steps.ts'
import { ModelWorld, type Tally, type WorldOptions } from './model-world.ts'

const STEPS_AT_LEAST = 10_000
const HISTORIES_AT_ONCE = 10
const MAX_MS = 60_000

const worlds: fc.Arbitrary<WorldOptions> = fc.record({
  seed: fc.nat(),
  assignor: fc.constantFrom('cooperative-sticky', 'range', 'roundrobin', 'sticky'),
  autoCommit: fc.boolean(),
  isPattern: fc.boolean(),
  maxPollIntervalMs: fc.constantFrom(null, 1_000),
})

describe('a consumer group', () => {
  it(
    `does what the model does, in histories from seed ${historySeed} on`,
    async () => {
      const tally: Tally = {
        steps: 0,
        records: 0,
        repeated: 0,
        assigned: 0,
        revoked: 0,
        lost: 0,
        fenced: 0,
        commits: 0,
        transactions: 0,
        aborted: 0,
        reopened: 0,
      }
      const history = fc.asyncProperty(
        worlds,
        fc.array(modelStep, { maxLength: 200, size: 'max' }),
        async (options, steps) => {
          const world = await ModelWorld.begin(options, tally)
          for (const step of steps) {
            await take(world, step)
            tally.steps += 1
          }
          await handleTheRest(world)
          await world.disk.kill()
        },
      )
      for (let round = 0; tally.steps < STEPS_AT_LEAST; round += 1) {
        await fc.assert(history, {
          seed: (historySeed + round) | 0,
          numRuns: HISTORIES_AT_ONCE,
          // As short as it got by then is what is told of a history that fails.
          plugins: [fc.interruptAfterTimeLimit(MAX_MS)],
        })
      }
      const counts = Object.entries(tally).map(([what, count]) => `${count} ${what}`)
      process.stdout.write(`groups from seed ${historySeed} on: ${counts.join(', ')}\n`)
      expect(Object.values(tally)).not.toContain(0)
      expect(tally.steps).toBeGreaterThanOrEqual(STEPS_AT_LEAST)
    },
    3 * MAX_MS,
  )
})
