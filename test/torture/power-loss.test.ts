/**
 * Losses of power over lives that were recorded: every cut of their calls, some of what the disk
 * may hold at each (all that is listed, and more at random, with the budget of a night).
 * STREAMBED_DISKS says how many disks are opened; STREAMBED_SEED repeats the choices. power-loss.ts
 * has how.
 *
 * The disks lie in memory where the machine has a file system there: what survives is decided here,
 * not by it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { runSeed, SeededRandom } from '../support/seeded-random.ts'
import { memoryDirectory, replay, type CutDisk, type Recording } from './power-loss.ts'
import { Recordings, type LifeKind } from './recordings.ts'

/** Disks of the first replays from which further lives are recorded: one of so many. */
const DISKS_PER_RECORDING = 2_000
const SCRIPTS: readonly LifeKind[] = [{}, { closesAfter: null }, {}]
const AT_RANDOM: readonly LifeKind[] = [
  { work: 'endless', writing: 'acks all', changesTopics: true, closesAfter: 30 },
  { work: 'endless', writing: 'append', changesTopics: true, closesAfter: 30 },
]

/** Far more than it takes, on a machine that does much else. */
const TIMEOUT_MS = 120_000 + 200 * budget.disks

/** Of each replay, so many disks are lived on. */
const keptPerReplay = Math.max(2, Math.ceil(budget.disks / DISKS_PER_RECORDING))

const base = mkdtempSync(join(memoryDirectory(), 'streambed-power-'))
const recordings = new Recordings(base, runSeed)
const random = new SeededRandom(runSeed)
const first: Recording[] = []
/** Disks that were opened, of which some are lived on. */
const kept: { readonly of: Recording; readonly disk: CutDisk }[] = []

beforeAll(async () => {
  first.push(await recordings.ofLives(SCRIPTS), await recordings.ofLives(AT_RANDOM))
}, 120_000)

afterAll(async () => {
  await recordings.end()
  rmSync(base, { recursive: true })
})

async function replayed(recording: Recording, disks: number, name: string): Promise<void> {
  const startedAt = performance.now()
  let seen = 0
  const options = { directory: base, seed: runSeed, disks }
  const { violation, ...counts } = await replay(recording, options, (disk) => {
    seen += 1
    // Each as likely as any other.
    const place = random.below(seen)
    if (place < keptPerReplay) kept[place] = { of: recording, disk }
  })
  const durationMs = Math.round(performance.now() - startedAt)
  const what = { ...counts, events: recording.events.length, durationMs }
  process.stdout.write(`${name}, STREAMBED_SEED=${runSeed}: ${JSON.stringify(what)}\n`)
  expect(violation).toBeNull()
}

describe(`a loss of power, seed ${runSeed}`, () => {
  it(
    'takes nothing that was acknowledged, of lives that do everything',
    async () => {
      expect(first[0]).toBeDefined()
      if (first[0] !== undefined) await replayed(first[0], budget.disks * 0.4, 'script')
    },
    TIMEOUT_MS,
  )

  it(
    'takes nothing that was acknowledged, of lives that do much at once',
    async () => {
      if (first[1] !== undefined) await replayed(first[1], budget.disks * 0.3, 'at random')
    },
    TIMEOUT_MS,
  )

  it(
    'takes no position that was durable, and leaves none behind the end of its data',
    async () => {
      const kinds = [{ work: 'positions' }, { work: 'positions', closesAfter: null }] as const
      const recording = await recordings.ofLives([...kinds, { work: 'positions' }])
      await replayed(recording, budget.disks * 0.1, 'positions')
    },
    TIMEOUT_MS,
  )

  it(
    'takes nothing from lives that recover from another one',
    async () => {
      const chosen = kept.slice(0, keptPerReplay)
      expect(chosen.length).toBeGreaterThan(0)
      for (const { of, disk } of chosen) {
        const recording = await recordings.afterLoss(of, disk, [{ closesAfter: null }, {}])
        await replayed(recording, (budget.disks * 0.2) / chosen.length, `after ${disk.survival}`)
      }
    },
    TIMEOUT_MS,
  )
})
