/** TrimActor deletes records from the start of partitions. */
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import { must } from '../simulation-failure.ts'

/** See the file's header. */
export class TrimActor implements Actor {
  readonly name = 'trims'
  readonly steps: Readonly<Record<string, number>> = { trim: 2, 'trim in vain': 1 }
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  step(kind: string, random: SeededRandom): void {
    const partition = this.#stage.anyPartition(random)
    if (partition === undefined) return
    const { life } = this.#stage
    const { logStart, written, handle, pendingStarts } = partition
    const isVain = kind === 'trim in vain'
    const before = isVain ? written + 1 : logStart + random.below(written - logStart + 1)
    const what = `trim ${partition.name} before ${before}`
    this.#stage.say(what)
    if (!isVain) pendingStarts.add(before)
    life.track(handle.deleteRecords(before), {
      what,
      mayFailWith: isVain ? ['OFFSET_OUT_OF_RANGE'] : ['TOPIC_NOT_FOUND', 'CLOSED'],
      done: (start) => {
        must(!isVain, () => `${what}: that is beyond the end`)
        must(start >= before, () => `${what}: starts at ${start} only`)
        partition.look()
      },
    })
  }
}
