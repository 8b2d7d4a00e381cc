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

const RUNS: readonly (readonly [writing: Writing, kills: number, seed: number])[] = [
  ['acks all', budget.kills, runSeed],
  ['acks 1', Math.ceil(budget.kills / 4), runSeed + 1],
  ['append', Math.ceil(budget.kills / 4), runSeed + 2],
]

describe(`a process that is killed at random moments, seed ${runSeed}`, () => {
  it.each(RUNS)(
    'loses, repeats or invents nothing with %s in %i kills',
    async (writing, kills, seed) => {
      const directory = mkdtempSync(join(tmpdir(), 'streambed-kills-'))
      const what = `${writing}, STREAMBED_SEED=${runSeed}, ${directory}`
      const result = await runCrashes({ directory, seed, kills, writing }).catch(
        (error: unknown) => {
          throw new Error(`${what}: ${String(error)}`, { cause: error })
        },
      )
      process.stdout.write(`${what}: ${JSON.stringify(result)}\n`)
      expect(result.kills).toBe(kills)
      expect(result.acknowledged).toBeGreaterThan(kills)
      rmSync(directory, { recursive: true })
    },
  )
})
