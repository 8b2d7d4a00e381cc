/**
 * Kills at every call: lives that run the script, each killed at a later call than the one before,
 * counted from the start of its open, in each of the three phases. So one is killed while it opens
 * what the last one, killed one call earlier, has left; and so on through all that the script does.
 */
import { SeededRandom } from '../support/seeded-random.ts'
import { CrashLives } from './crash-lives.ts'
import { CrashModel } from './crash-model.ts'
import type { KillPhase } from './crash-report.ts'
import { checkWhole, usualPlan } from './crash-run.ts'

const PHASES: readonly KillPhase[] = ['before', 'middle', 'after']
/** Calls that change files in one life, about. */
const CALLS_PER_LIFE = 420

/** What came of it. */
export interface CallKillsResult {
  readonly kills: number
  /** Lives that came through, as they were to be killed at a call that they never made. */
  readonly closes: number
  readonly lastCall: number
  readonly records: number
  readonly durationMs: number
}

/** @throws at the first thing that is not as it has to be. */
export async function killAtEveryCall(options: {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}): Promise<CallKillsResult> {
  const { directory, seed } = options
  const startedAt = performance.now()
  const random = new SeededRandom(seed)
  const model = new CrashModel()
  const lives = new CrashLives()
  const callsPerStep = Math.max(1, Math.ceil((CALLS_PER_LIFE * PHASES.length) / options.kills))
  let [kills, closes, calls, lastCall] = [0, 0, random.below(callsPerStep), 0]
  try {
    for (let life = 1; kills < options.kills; life++) {
      const phase = PHASES[closes % PHASES.length] ?? 'before'
      const selfKill = { stage: 'opening', calls, phase } as const
      const plan = usualPlan(directory, life, random, model)
      const script = { work: 'script', closesAfter: 0, selfKill } as const
      model.begins(life)
      const end = await lives.live({ ...plan, ...script }, null, (report) => model.take(report))
      if (end.wasKilled) {
        kills += 1
        lastCall = Math.max(lastCall, calls)
        calls += 1 + random.below(2 * callsPerStep - 1)
      } else {
        closes += 1
        calls = random.below(callsPerStep)
      }
    }
  } finally {
    await lives.end()
  }
  const records = await checkWhole(directory, model)
  const durationMs = Math.round(performance.now() - startedAt)
  return { kills, closes, lastCall, records, durationMs }
}
