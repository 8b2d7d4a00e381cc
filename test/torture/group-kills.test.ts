/**
 * Kills of consumer groups: at least once, whatever moment a process with its members is killed at.
 *
 * STREAMBED_KILLS says how often, and a quarter of these are here; STREAMBED_SEED repeats the
 * choices of a run, though not where in its work the child is when the kill comes. A run that fails
 * leaves its directory for study.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { runSeed } from '../support/seeded-random.ts'
import { killGroups } from './group-kills.ts'

const KILLS = Math.ceil(budget.kills / 4)

it(`a group skips no record and repeats few, in ${KILLS} kills, seed ${runSeed}`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-group-kills-'))
  const what = `killGroups, STREAMBED_SEED=${runSeed}, ${directory}`
  const result = await killGroups({ directory, seed: runSeed, kills: KILLS }).catch(
    (error: unknown) => {
      throw new Error(`${what}: ${String(error)}`, { cause: error })
    },
  )
  process.stdout.write(`${what}: ${JSON.stringify(result)}\n`)
  expect(result.appended).toBeGreaterThan(KILLS)
  expect(result.handled - result.handledAgain).toBeGreaterThanOrEqual(result.appended)
  rmSync(directory, { recursive: true })
})
