/**
 * The process that is soaked: rounds of everything, one after the other, over one directory, and
 * what it holds after each. In a process of its own, so that nothing else is measured.
 *
 *   node soak-child.js <directory> <seconds> <seed> [fault …]
 *
 * Prints its report as one line of JSON when it came through. Faults are leaks, one a round, and
 * wrong order: to show that the soak finds them.
 */
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { collectGarbage, descriptorCount, mappingCount } from '../support/process-resources.ts'
import { SoakRound, type SoakCounts } from './soak-load.ts'
import type { SoakSample } from './soak-samples.ts'

const ROUNDS = 24
const LEAKED_OBJECTS = 20_000
const LEAKED_BYTES = 2_097_152
const MAPPED_BYTES = 4_096

/** What came of a soak. */
export interface SoakReport extends SoakCounts {
  readonly samples: readonly SoakSample[]
}

const [directory = '', secondsText = '60', seedText = '1', ...faults] = process.argv.slice(2)
const counts: SoakCounts = {
  written: 0,
  read: 0,
  got: 0,
  scanned: 0,
  topics: 0,
  removals: 0,
  verified: 0,
  handled: 0,
  visits: 0,
  scrubs: 0,
}
const leaked: unknown[] = []

async function soak(): Promise<SoakReport> {
  const samples: SoakSample[] = []
  const endsAt = performance.now() + Number(secondsText) * 1000
  const fault = faults.includes('order') ? 'order' : null
  // What a round takes besides its load: it opens and closes a log, and is measured.
  let besidesMs = 0
  for (let round = 0; round < ROUNDS; round++) {
    const beganAt = performance.now()
    const durationMs = Math.max(0, (endsAt - beganAt) / (ROUNDS - round) - besidesMs)
    await SoakRound.run(directory, { durationMs, seed: Number(seedText) + round, fault }, counts)
    leak()
    samples.push(await sample())
    besidesMs = Math.max(0, performance.now() - beganAt - durationMs)
  }
  return { ...counts, samples }
}

async function sample(): Promise<SoakSample> {
  await collectGarbage()
  const { heapUsed, external, rss } = process.memoryUsage()
  return {
    heapBytes: heapUsed,
    externalBytes: external,
    residentBytes: rss,
    descriptors: descriptorCount(),
    mappings: mappingCount(directory),
  }
}

function leak(): void {
  const file = join(directory, 'meta.properties')
  if (faults.includes('heap')) leaked.push(Array.from({ length: LEAKED_OBJECTS }, (_, n) => [n]))
  if (faults.includes('external')) leaked.push(Buffer.alloc(LEAKED_BYTES))
  if (faults.includes('descriptors')) leaked.push(openSync(file, 'r'))
  if (faults.includes('mappings')) {
    // Every other file: the kernel merges neighbours of one.
    const other = join(directory, leaked.length % 2 === 0 ? 'metadata.json' : 'meta.properties')
    leaked.push(nativeBinding()?.mapFile(openSync(other, 'r'), 0, MAPPED_BYTES))
  }
}

process.stdout.write(`${JSON.stringify(await soak())}\n`)
