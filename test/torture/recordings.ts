/**
 * Recordings of lives for the replay of losses of power: from nothing, with clean and unclean ends
 * in between, and from a disk as such a loss has left it.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SeededRandom } from '../support/seeded-random.ts'
import { CrashLives } from './crash-lives.ts'
import { CrashModel, type Loss } from './crash-model.ts'
import type { LifePlan } from './crash-report.ts'
import { usualPlan } from './crash-run.ts'
import { layOut, LOG_BELOW_ROOT, type CutDisk, type Recording } from './power-loss.ts'
import { readTrace, type TraceEvent } from './trace.ts'

/** What one life is, besides what all are. */
export type LifeKind = Partial<
  Pick<LifePlan, 'work' | 'writing' | 'changesTopics' | 'closesAfter'>
> & {
  readonly failingSync?: number
}

/** Runs children with a recorder in them. */
export class Recordings {
  readonly #directory: string
  readonly #random: SeededRandom
  readonly #lives = new CrashLives()
  #count = 0

  /** `directory` is an empty one. */
  constructor(directory: string, seed: number) {
    this.#directory = directory
    this.#random = new SeededRandom(seed)
  }

  /** Lives one after the other, from an empty disk; one that does not close its log is killed. */
  async ofLives(kinds: readonly LifeKind[]): Promise<Recording> {
    const start = new Map()
    return { start, before: [], events: await this.#record(this.#newRoot(), kinds, [], 'kill') }
  }

  /** Lives from a disk that a loss of power has left. */
  async afterLoss(of: Recording, disk: CutDisk, kinds: readonly LifeKind[]): Promise<Recording> {
    const before = [...of.before, ...of.events.slice(0, disk.cut)].filter(
      ({ is }) => is === 'life' || is === 'report',
    )
    const root = this.#newRoot()
    rmSync(root, { recursive: true })
    layOut(disk.image, root)
    const events = await this.#record(root, kinds, before, 'power loss')
    return { start: disk.image, before, events }
  }

  async end(): Promise<void> {
    await this.#lives.end()
  }

  async #record(
    root: string,
    kinds: readonly LifeKind[],
    before: readonly TraceEvent[],
    firstAfter: Loss,
  ): Promise<readonly TraceEvent[]> {
    const model = new CrashModel()
    let life = 0
    for (const event of before) {
      if (event.is === 'life') {
        life = Math.max(life, event.life)
        model.begins(event.life, event.after)
      }
      if (event.is === 'report') model.take(event.report)
    }
    const events: TraceEvent[] = []
    for (const [index, { failingSync = null, ...kind }] of kinds.entries()) {
      life += 1
      const after = index === 0 ? firstAfter : 'kill'
      const file = join(this.#directory, `trace-${this.#count}-${life}`)
      const plan: LifePlan = {
        ...usualPlan(join(root, LOG_BELOW_ROOT), life, this.#random, model),
        work: 'script',
        closesAfter: 0,
        ...kind,
        trace: { root, file, failingSync },
      }
      model.begins(life, after)
      await this.#lives.live(plan, null, (report) => model.take(report))
      events.push({ is: 'life', life, after }, ...readTrace(file))
      rmSync(file)
    }
    return events
  }

  #newRoot(): string {
    this.#count += 1
    const root = join(this.#directory, `root-${this.#count}`)
    mkdirSync(root)
    return root
  }
}
