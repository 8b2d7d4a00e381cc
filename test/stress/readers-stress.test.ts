/**
 * Readers that come and go in the middle of whatever they do, workers that are terminated among
 * them, neither end the process nor leave anything in it; see the child program, which is what
 * runs. STREAMBED_NODES names other versions of Node to run it with as well (.ci/other-nodes.mjs).
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { budget } from '../support/budget.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { canCountResources } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import type { ReadersReport } from './readers-stress-child.ts'

const CHILD = compileToPlainSource(
  fileURLToPath(new URL('./readers-stress-child.ts', import.meta.url)),
)
afterAll(() => CHILD.remove())

/** What garbage collection leaves of buffers that are reused, one run as the other. */
const MOST_GROWN_BYTES = 16_777_216

const canMap = nativeBinding() !== null
const otherNodes = (process.env['STREAMBED_NODES'] ?? '').split(delimiter).filter(Boolean)
const RUNS = [process.execPath, ...otherNodes].flatMap((node) => {
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  return (['mmap', 'auto'] as const).map((io) => ({ node, version, io }))
})

describe.skipIf(!canCountResources)('readers that are ended while they read', () => {
  it.each(RUNS)('leave nothing behind on Node $version, io $io', async ({ node, io }) => {
    const report = await stress(node, io)
    expect(report).toMatchObject({ leakedMappings: 0, leakedDescriptors: [], leakedThreads: 0 })
    expect(report.grownBytes).toBeLessThan(MOST_GROWN_BYTES)
    // Without these the test could pass because nothing happened.
    expect(report.records).toBeGreaterThan(1_000)
    expect(report.deletedBytes).toBeGreaterThan(0)
    if (io === 'mmap') expect(report.peakMappings > 0).toBe(canMap)
  })
})

async function stress(node: string, io: string): Promise<ReadersReport> {
  const directory = join(temporaryDirectory(), 'log')
  mkdirSync(directory)
  const child = spawn(node, [CHILD.path, directory, io, String(budget.stressRounds * 2)])
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? String(code)))
  })
  const [output, errors, end] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (end !== '0') throw new Error(`${node}, io ${io}: ended by ${end}\n${output}${errors}`)
  // `as`: the child prints one line, and it is a report.
  return JSON.parse(output) as ReadersReport
}
