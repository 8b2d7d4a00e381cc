/**
 * Readers in other processes and threads, of a log whose writer is killed again and again: every
 * one sees every record once and in order, nothing torn, nothing early, nothing that was aborted.
 *
 * STREAMBED_KILLS says how often, and a quarter of these are here; STREAMBED_SEED repeats the
 * choices of a run, though not where in its work a process is when the kill comes. A run that fails
 * leaves its directory for study: the journal of the writer, the notes of each reader, the log.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { budget, longestMs } from '../support/budget.ts'
import { runSeed } from '../support/seeded-random.ts'
import { runCampaign } from './live-campaign.ts'

const KILLS = Math.ceil(budget.kills / 4)
const SHOWN_FINDINGS = 20

it(
  `readers in other processes see each record once and in order, in ${KILLS} kills of the writer, seed ${runSeed}`,
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'streambed-reader-kills-'))
    const what = `runCampaign, STREAMBED_SEED=${runSeed}, ${directory}`
    const options = { directory, seed: runSeed, kills: KILLS }
    const { findings, ...result } = await runCampaign(options).catch((error: unknown) => {
      throw new Error(`${what}: ${String(error)}`, { cause: error })
    })
    const shown = findings.slice(0, SHOWN_FINDINGS)
    process.stdout.write(`${what}: ${JSON.stringify(result)}\n`)
    expect({ what, count: findings.length, findings: shown }).toEqual({
      what,
      count: 0,
      findings: [],
    })
    expect(result.acknowledged).toBeGreaterThan(KILLS * 10)
    rmSync(directory, { recursive: true })
  },
  longestMs(600_000),
)
