/**
 * Kills: a child process appends, tells what was acknowledged, and is killed with SIGKILL, again
 * and again, over one directory. crash-model.ts has what must hold at each open.
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
import type { Writing } from './crash-report.ts'
import { runCrashes } from './crash-run.ts'

/** Each run begins with an empty directory: the fuller one is, the longer it takes to read. */
const KILLS_PER_RUN = 100

/** How often, and with which seed; another one in each run. */
function runsOf(kills: number, firstSeed: number): readonly (readonly [number, number])[] {
  const runs = Array.from({ length: Math.ceil(kills / KILLS_PER_RUN) }, (_, run) => run)
  return runs.map((run) => {
    return [Math.min(KILLS_PER_RUN, kills - run * KILLS_PER_RUN), firstSeed + run] as const
  })
}

async function checkRun(writing: Writing, kills: number, seed: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-kills-'))
  const what = `${writing}, STREAMBED_SEED=${runSeed} (${seed}), ${directory}`
  const result = await runCrashes({ directory, seed, kills, writing }).catch((error: unknown) => {
    throw new Error(`${what}: ${String(error)}`, { cause: error })
  })
  process.stdout.write(`${what}: ${JSON.stringify(result)}\n`)
  expect(result.kills).toBe(kills)
  expect(result.acknowledged).toBeGreaterThan(kills)
  rmSync(directory, { recursive: true })
}

describe(`a process that is killed at random moments, seed ${runSeed}`, () => {
  it.each(runsOf(budget.kills, runSeed))(
    "loses, repeats or invents nothing that was sent with acks 'all' in %i kills, seed %i",
    async (kills, seed) => await checkRun('acks all', kills, seed),
  )

  it.each(runsOf(Math.ceil(budget.kills / 4), runSeed))(
    'loses, repeats or invents nothing that was sent with acks 1 in %i kills, seed %i',
    async (kills, seed) => await checkRun('acks 1', kills, seed),
  )

  it.each(runsOf(Math.ceil(budget.kills / 4), runSeed))(
    'loses, repeats or invents nothing that was appended in %i kills, seed %i',
    async (kills, seed) => await checkRun('append', kills, seed),
  )
})
