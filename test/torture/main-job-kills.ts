/**
 * Kills of the main job (examples/quickstart.ts): a program as users write them, killed at random
 * moments of its run. The next run goes on where the log ends; the last one has to confirm count
 * and checksum against the data sets. A log that is whole begins anew in another directory.
 */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { SeededRandom } from '../support/seeded-random.ts'
import { CHECKOUT } from '../support/source-text.ts'

const PROGRAM = [
  join(CHECKOUT, 'node_modules/tsx/dist/cli.mjs'),
  join(CHECKOUT, 'examples/quickstart.ts'),
]
/** Runs of one log until it is whole. */
const MOST_RUNS = 400

/** What came of it. */
export interface MainJobResult {
  readonly kills: number
  /** Kills after which some of the events were there, but not all. */
  readonly killsHalfWay: number
  readonly logs: number
}

interface Run {
  readonly code: number | null
  readonly output: string
  readonly durationMs: number
}

/** @throws where a run fails, or the last one does not confirm the checksum. */
export async function killMainJob(options: {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}): Promise<MainJobResult> {
  const random = new SeededRandom(options.seed)
  let [kills, killsHalfWay, logs, usualMs] = [0, 0, 0, 4_000]
  for (let runs = 0, isWhole = true; kills < options.kills || !isWhole; runs++) {
    if (isWhole) [logs, runs] = [logs + 1, 0]
    const directory = join(options.directory, String(logs))
    if (isWhole) mkdirSync(directory)
    const killAfterMs = kills < options.kills ? usualMs * (0.2 + 0.9 * random.fraction()) : null
    const run = await runMainJob(directory, killAfterMs)
    if (run.code === null) {
      kills += 1
      if (run.output.includes('append')) killsHalfWay += 1
    } else {
      if (run.code !== 0 || runs > MOST_RUNS) throw new Error(`the main job failed: ${run.output}`)
      usualMs = run.durationMs
    }
    isWhole = run.code === 0
    if (isWhole) await confirm(directory)
  }
  return { kills, killsHalfWay, logs }
}

/** A run over a log that is whole appends nothing and finds the checksum of the data sets. */
async function confirm(directory: string): Promise<void> {
  const { code, output } = await runMainJob(directory, null)
  const isConfirmed =
    code === 0 && output.includes('appended nothing: count and checksum confirmed')
  if (!isConfirmed) throw new Error(`the main job does not confirm its log: ${output}`)
}

/** `code` is null for a run that was killed. */
async function runMainJob(directory: string, killAfterMs: number | null): Promise<Run> {
  const { STREAMBED_DIR: _, ...env } = process.env
  const startedAt = performance.now()
  // A group of its own: the program is a child of tsx.
  const child = spawn(process.execPath, PROGRAM, { cwd: directory, env, detached: true })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const timer =
    killAfterMs === null ? undefined : setTimeout(() => killGroup(child.pid), killAfterMs)
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, output, durationMs: performance.now() - startedAt })
    })
  })
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has just ended by itself.
  }
}
