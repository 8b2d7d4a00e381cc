/** TimeActor lets time pass: little, so that things overlap, or much, so that timers come. */
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'

/** See the file's header. */
export class TimeActor implements Actor {
  readonly name = 'time'
  readonly steps: Readonly<Record<string, number>> = { tick: 4, 'wall clock': 1 }
  readonly #stage: Stage
  readonly #mayJump: boolean

  constructor(stage: Stage, mayJump: boolean) {
    this.#stage = stage
    this.#mayJump = mayJump
  }

  step(kind: string, random: SeededRandom): void {
    const { scheduler, faults } = this.#stage.life
    if (kind === 'tick') {
      scheduler.pass(1 + random.below(4))
      return
    }
    if (!this.#mayJump) return
    const byMs = random.oneOf(-3_600_000, -1, 60_000, 86_400_000)
    this.#stage.say(`the wall clock is set by ${byMs} ms`)
    faults.count('clock set')
    scheduler.setWallClock(byMs)
  }
}
