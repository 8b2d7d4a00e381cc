/**
 * HousekeepingActor has the log look after itself: what lies before the start of a log is deleted,
 * segment by segment, and files are freed, beside whatever else goes on. No topic here lets go of
 * records by itself, so none may be missing after it; positions and transactions never fill a
 * segment, so that compaction finds nothing to replace.
 *
 * Only seeds from `FIRST_SEED` on have it: those below are what mutants are known by (mutants.ts).
 */
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import { must } from '../simulation-failure.ts'

/** See the file's header. */
export const FIRST_SEED = 64

/** See the file's header. */
export class HousekeepingActor implements Actor {
  readonly name = 'housekeeping'
  readonly steps: Readonly<Record<string, number>> = { housekeep: 3, 'housekeep twice': 1 }
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  step(kind: string, random: SeededRandom): void {
    const runs = kind === 'housekeep' ? 1 : 2
    for (let left = runs; left > 0; left--) this.#run(random.below(3) > 0)
  }

  #run(force: boolean): void {
    const { life } = this.#stage
    const what = force ? 'housekeep by force' : 'housekeep'
    this.#stage.say(what)
    life.track(life.log.runHousekeeping({ force }), {
      what,
      mayFailWith: ['CLOSED'],
      done: ({ deletedBytes, deletedSegments }) => {
        must(deletedSegments > 0 || deletedBytes === 0, () => `${what}: bytes of no segment`)
      },
    })
  }
}
