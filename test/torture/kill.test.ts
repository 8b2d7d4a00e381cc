/**
 * Kills: a child process works on a log, tells what was acknowledged, and is killed with SIGKILL,
 * again and again, over one directory. crash-model.ts has what must hold at each open.
 *
 * STREAMBED_KILLS says how often; STREAMBED_SEED repeats the choices of a run, though not where in
 * its work the child is when the kill comes. A run that fails leaves its directory for study.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { runSeed } from '../support/seeded-random.ts'
import { killAtEveryCall } from './call-kills.ts'
import { runCrashes } from './crash-run.ts'
import { handOver } from './lock-hand-over.ts'
import { killMainJob } from './main-job-kills.ts'

/** Each run begins with an empty directory: the fuller one is, the longer it takes to read. */
const KILLS_PER_RUN = 100

/** What part of the budget each kind of kill has. */
const AT_RANDOM = 0.57
const AT_EVERY_CALL = 0.35
const AT_HAND_OVER = 0.05
const IN_MAIN_JOB = 0.03

interface RunOptions {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}

/** How often, and with which seed; another one in each run. */
function runsOf(share: number): readonly (readonly [kills: number, seed: number])[] {
  const kills = Math.ceil(budget.kills * share)
  const runs = Array.from({ length: Math.ceil(kills / KILLS_PER_RUN) }, (_, run) => run)
  return runs.map((run) => {
    return [Math.min(KILLS_PER_RUN, kills - run * KILLS_PER_RUN), runSeed + run] as const
  })
}

async function checked<Result extends { readonly kills: number }>(
  torture: (options: RunOptions) => Promise<Result>,
  kills: number,
  seed: number,
): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-kills-'))
  const what = `${torture.name}, STREAMBED_SEED=${runSeed} (${seed}), ${directory}`
  const result = await torture({ directory, seed, kills }).catch((error: unknown) => {
    throw new Error(`${what}: ${String(error)}`, { cause: error })
  })
  process.stdout.write(`${what}: ${JSON.stringify(result)}\n`)
  expect(result.kills).toBe(kills)
  rmSync(directory, { recursive: true })
  return result
}

describe(`a process that is killed, seed ${runSeed}`, () => {
  it.each(runsOf(AT_RANDOM))(
    'loses, repeats or invents nothing, whatever it does, in %i kills, seed %i',
    async (kills, seed) => {
      const { acknowledged } = await checked(runCrashes, kills, seed)
      expect(acknowledged).toBeGreaterThan(kills)
    },
  )

  it.each(runsOf(AT_EVERY_CALL))(
    'loses, repeats or invents nothing, at whichever call, in %i kills, seed %i',
    async (kills, seed) => void (await checked(killAtEveryCall, kills, seed)),
  )

  it.each(runsOf(AT_HAND_OVER))(
    'hands its log over to the process that waits for it, in %i kills, seed %i',
    async (kills, seed) => void (await checked(handOver, kills, seed)),
  )

  it.each(runsOf(IN_MAIN_JOB))(
    'goes on where it was, as the main job does, in %i kills, seed %i',
    async (kills, seed) => void (await checked(killMainJob, kills, seed)),
  )
})
