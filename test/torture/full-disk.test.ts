/**
 * A full disk, a real one: a small file system of its own, filled while a child appends. Records
 * are refused with NO_SPACE then; what was acknowledged stays, and appends go on when there is
 * room again, with and without kills in between. Mounting it takes root.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { EventLog, LogError } from '../../src/index.ts'
import { runSeed, SeededRandom } from '../support/seeded-random.ts'
import { CrashLives, type KillMoment } from './crash-lives.ts'
import { CrashModel } from './crash-model.ts'
import type { LifeReport } from './crash-report.ts'
import { checkWhole, readInto, usualPlan } from './crash-run.ts'

const DISK_BYTES = 16_777_216
const LIVES = 8
const canMount = trialMount()

/** A disk of its own, its directory removed with it. */
function smallDisk(): string {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-disk-'))
  expect(mount(directory, DISK_BYTES)).toBe(true)
  onTestFinished(() => {
    unmount(directory)
    rmSync(directory, { recursive: true })
  })
  return directory
}

function trialMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const directory = mkdtempSync(join(tmpdir(), 'streambed-disk-'))
  const isMounted = mount(directory, 65_536)
  if (isMounted) unmount(directory)
  rmSync(directory, { recursive: true })
  return isMounted
}

function mount(directory: string, bytes: number): boolean {
  const how = ['-t', 'tmpfs', '-o', `size=${bytes}`, 'streambed-test']
  return spawnSync('mount', [...how, directory]).status === 0
}

/** Also of a disk that somebody still has a file open on: the kernel forgets it after that. */
function unmount(directory: string): void {
  spawnSync('umount', ['--lazy', directory])
}

/** Takes all room that is left. */
function fill(file: string): void {
  const descriptor = openSync(file, 'w')
  try {
    for (const bytes of [65_536, 4096, 1]) {
      for (;;) if (!writeSome(descriptor, Buffer.alloc(bytes))) break
    }
  } finally {
    closeSync(descriptor)
  }
}

function writeSome(descriptor: number, bytes: Buffer): boolean {
  try {
    return writeSync(descriptor, bytes) > 0
  } catch {
    return false
  }
}

interface Counts {
  readonly refused: number
  readonly takenAfterwards: number
  readonly opensWhileFull: number
}

/** One life after the other on the disk; every second one is killed while it is full. */
async function liveOn(disk: string, model: CrashModel): Promise<Counts> {
  const directory = join(disk, 'log')
  const filler = join(disk, 'filler')
  const random = new SeededRandom(runSeed)
  const lives = new CrashLives()
  const counts = { refused: 0, takenAfterwards: 0, opensWhileFull: 0 }
  try {
    for (let life = 1; life <= LIVES; life++) {
      const staysFull = life % 2 === 0
      const refusals = 1 + random.below(60)
      let refused = 0
      let isFilled = false
      const take = (report: LifeReport): void => {
        model.take(report)
        if (report.is === 'acknowledged' && refused >= refusals) counts.takenAfterwards += 1
        if (report.is === 'acknowledged' && !isFilled) {
          isFilled = true
          fill(filler)
        }
        if (report.is !== 'refused') return
        counts.refused += 1
        refused += 1
        if (refused === refusals && !staysFull) rmSync(filler)
      }
      const moment: KillMoment = staysFull
        ? { at: 'refused', nth: refusals, delayMs: random.below(5) }
        : { at: 'acknowledged', nth: 400 + random.below(300), delayMs: 0 }
      model.begins(life)
      const plan = { ...usualPlan(directory, life, random, model), roomIsScarce: true }
      await lives.live(plan, moment, take)
      // Not after the last one, which is checked as the kill left it.
      const opensNow = staysFull && life < LIVES
      if (opensNow && (await openFull(directory, model, -life))) counts.opensWhileFull += 1
      rmSync(filler, { force: true })
    }
  } finally {
    await lives.end()
  }
  return counts
}

/** Opening a log needs a little room: without it, it says so and changes nothing. */
async function openFull(directory: string, model: CrashModel, life: number): Promise<boolean> {
  try {
    const log = await EventLog.open(directory, { onWarning: () => undefined })
    try {
      readInto(model, log, life)
      model.take({ is: 'closing' })
    } finally {
      await log.close()
    }
    return true
  } catch (error) {
    if (LogError.is(error, 'NO_SPACE')) return false
    throw error
  }
}

describe(`a full disk${canMount ? '' : ' (skipped: no file system can be mounted here)'}, seed ${runSeed}`, () => {
  it.runIf(canMount)(
    'refuses records, keeps all that it acknowledged, and takes more when there is room',
    async () => {
      const disk = smallDisk()
      const model = new CrashModel({ mayRefuse: true })
      const counts = await liveOn(disk, model)
      const records = await checkWhole(join(disk, 'log'), model)
      const seed = `STREAMBED_SEED=${runSeed}`
      process.stdout.write(`full disk, ${seed}: ${JSON.stringify({ ...counts, records })}\n`)
      expect(counts.refused).toBeGreaterThan(LIVES)
      expect(counts.takenAfterwards).toBeGreaterThan(LIVES)
    },
    120_000,
  )
})
