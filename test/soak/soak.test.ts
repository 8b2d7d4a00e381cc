/**
 * Endurance: everything at once, in rounds, with flat memory, descriptors and mappings, and every
 * record where it belongs. STREAMBED_SOAK_SECONDS says for how long; what is measured, in which
 * process, soak-child.ts.
 */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { budget } from '../support/budget.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { canCountResources } from '../support/process-resources.ts'
import { runSeed } from '../support/seeded-random.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import type { SoakReport } from './soak-child.ts'
import { leaksIn, medianOf, type SoakSample } from './soak-samples.ts'

const CHILD = compileToPlainSource(fileURLToPath(new URL('./soak-child.ts', import.meta.url)))
afterAll(() => CHILD.remove())

/** So long a soak shows a leak, or a wrong record. */
const SHORT_SECONDS = 8
const MEGABYTE = 1_048_576

async function soak(seconds: number, ...faults: readonly string[]): Promise<SoakReport> {
  const options = [CHILD.path, temporaryDirectory(), String(seconds), String(runSeed), ...faults]
  const child = spawn(process.execPath, options, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise((resolve) => void child.once('close', resolve))
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  if ((await ended) !== 0) throw new Error(`the soak failed: ${errors}`)
  return JSON.parse(output) as SoakReport // The child wrote it.
}

/** The growth that is tested, and all that was done meanwhile, for the log of a run. */
function shown({ samples, ...counts }: SoakReport): string {
  const quarter = Math.floor(samples.length / 4)
  const both = (name: keyof SoakSample): string => {
    const early = medianOf(samples.slice(quarter, 2 * quarter), name)
    const late = medianOf(samples.slice(-quarter), name)
    const isBytes = name.endsWith('Bytes')
    return isBytes
      ? `${(early / MEGABYTE).toFixed(1)} -> ${(late / MEGABYTE).toFixed(1)} MiB`
      : `${early} -> ${late}`
  }
  const [heap, external, resident] = [
    both('heapBytes'),
    both('externalBytes'),
    both('residentBytes'),
  ]
  const [descriptors, mappings] = [both('descriptors'), both('mappings')]
  return JSON.stringify({ ...counts, heap, external, resident, descriptors, mappings })
}

describe.runIf(canCountResources)(`a log that is soaked, seed ${runSeed}`, () => {
  it(
    'keeps its records in order, and its memory, descriptors and mappings flat',
    async () => {
      const report = await soak(budget.soakSeconds)
      process.stdout.write(
        `soak, ${budget.soakSeconds} s, STREAMBED_SEED=${runSeed}: ${shown(report)}\n`,
      )
      for (const [name, count] of Object.entries(report)) {
        if (typeof count === 'number') expect(count, name).toBeGreaterThan(0)
      }
      expect(leaksIn(report.samples)).toEqual({})
    },
    budget.soakSeconds * 4_000 + 60_000,
  )

  it('is found to leak where it leaks', async () => {
    const canMap = nativeBinding() !== null
    const leaks = ['heap', 'external', 'descriptors', ...(canMap ? ['mappings'] : [])]
    const { samples } = await soak(SHORT_SECONDS, ...leaks)
    const found = Object.keys(leaksIn(samples))
    const expected = ['heapBytes', 'externalBytes', 'descriptors', ...(canMap ? ['mappings'] : [])]
    expect(found).toEqual(expect.arrayContaining(expected))
  })

  it('is found to hold a wrong record where it holds one', async () => {
    await expect(soak(1, 'order')).rejects.toThrow('holds the record of')
  })
})
