/**
 * Kills of compaction: the latest value of each key, whatever moment a process that writes and
 * compacts is killed at.
 *
 * STREAMBED_KILLS says how often, and a fortieth of these are here; STREAMBED_SEED repeats the
 * choices of a run, though not where in its work the child is when the kill comes. A run that fails
 * leaves its directory for study.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { budget, longestMs } from '../support/budget.ts'
import { runSeed } from '../support/seeded-random.ts'
import { killCompaction } from './compaction-kills.ts'

const KILLS = Math.ceil(budget.kills / 40)

it(
  `compaction keeps the latest of each key in ${KILLS} kills, seed ${runSeed}`,
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'streambed-compaction-kills-'))
    const what = `killCompaction, STREAMBED_SEED=${runSeed}, ${directory}`
    const result = await killCompaction({ directory, seed: runSeed, kills: KILLS }).catch(
      (error: unknown) => {
        throw new Error(`${what}: ${String(error)}`, { cause: error })
      },
    )
    process.stdout.write(`${what}: ${JSON.stringify(result)}\n`)
    expect(result.runs).toBeGreaterThan(0)
    expect(result.written).toBeGreaterThan(KILLS * 10)
    rmSync(directory, { recursive: true })
  },
  longestMs(180_000),
)
