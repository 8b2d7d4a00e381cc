/**
 * Hand-over of the lock: while one child works, the next one already waits for the lock. The first
 * is killed, or closes; the second goes on with all that was acknowledged, and the third waits.
 */
import { EventLog } from '../../src/index.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { compileCrashChild, CrashChild, type KillMoment, type LifeEnd } from './crash-lives.ts'
import { CrashModel } from './crash-model.ts'
import type { LifePlan, LifeReport } from './crash-report.ts'
import { usualPlan } from './crash-run.ts'

const LOCK_TIMEOUT_MS = 30_000
/** One life in so many closes its log instead. */
const LIVES_PER_CLOSE = 4

/** What came of it. */
export interface HandOverResult {
  readonly kills: number
  readonly closes: number
  /** The longest that it took from the end of one child to the next one's open log. */
  readonly longestMs: number
  readonly records: number
}

/** A child that works, or waits for the lock to do so. */
class LockLife {
  readonly #child: CrashChild
  readonly #end: Promise<LifeEnd>
  /** What it has told while it was not its turn. */
  readonly #early: LifeReport[] = []
  #take: ((report: LifeReport) => void) | null = null

  constructor(child: CrashChild, plan: LifePlan, moment: KillMoment | null) {
    this.#child = child
    this.#end = child.live(plan, moment, (report) => {
      if (this.#take === null) this.#early.push(report)
      else this.#take(report)
    })
    this.#end.catch(() => undefined) // Whoever awaits `turn` is told.
  }

  get hasOpened(): boolean {
    return this.#early.some((report) => report.is === 'opened')
  }

  get isKilled(): boolean {
    return this.#child.isKilled
  }

  /** The one before has ended: what it tells counts from here on, to its end. */
  async turn(take: (report: LifeReport) => void): Promise<LifeEnd> {
    for (const report of this.#early) take(report)
    this.#take = take
    return await this.#end
  }

  async stop(): Promise<void> {
    await this.#child.end()
  }
}

/** @throws at the first thing that is not as it has to be. */
export async function handOver(options: {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}): Promise<HandOverResult> {
  const { directory } = options
  const random = new SeededRandom(options.seed)
  const model = new CrashModel()
  const source = compileCrashChild()
  const begin = (life: number): LockLife => {
    const mayClose = life % LIVES_PER_CLOSE === 0
    const plan = usualPlan(directory, life, random, model)
    const closesAfter = mayClose ? 1 + random.below(200) : null
    const atRecord = { at: 'acknowledged', nth: 1 + random.below(300), delayMs: 0 } as const
    const waiting = { ...plan, lockTimeoutMs: LOCK_TIMEOUT_MS, closesAfter }
    return new LockLife(new CrashChild(source), waiting, mayClose ? null : atRecord)
  }
  let [kills, closes, longestMs] = [0, 0, 0]
  let endedAt = performance.now()
  let current = begin(1)
  try {
    for (let life = 1; kills < options.kills; life++) {
      const [turn, before] = [current, endedAt]
      let next = turn
      model.begins(life)
      const end = await turn.turn((report) => {
        if (report.is === 'opened') longestMs = Math.max(longestMs, performance.now() - before)
        model.take(report)
        // From here until its own turn the model knows what the next one needs not read.
        if (report.is === 'read') next = begin(life + 1)
        const isAlone = turn.isKilled || life % LIVES_PER_CLOSE === 0
        if (!isAlone && next.hasOpened) throw new Error('two children have the log open')
      })
      endedAt = performance.now()
      if (end.wasKilled) kills += 1
      else closes += 1
      current = next
    }
  } finally {
    await current.stop()
    source.remove()
  }
  // The one that waited then may have worked unheard: only that the log opens can be told.
  const records = await countAfter(directory)
  return { kills, closes, longestMs: Math.round(longestMs), records }
}

async function countAfter(directory: string): Promise<number> {
  const log = await EventLog.open(directory, { onWarning: () => undefined })
  const counts = await Promise.all(log.topics().map(async (topic) => await topic.countRecords()))
  await log.close()
  return counts.reduce((sum, count) => sum + count, 0)
}
