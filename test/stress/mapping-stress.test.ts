/**
 * Nothing that is done to a log, or to the bytes it handed out, ends the process or leaks; see the
 * child program, which is what runs. STREAMBED_NODES names other versions of Node to run it with
 * as well, separated as in PATH (.ci/other-nodes.mjs installs some).
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import { afterAll, describe, expect, it } from 'vitest'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { budget } from '../support/budget.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { canCountResources } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import type { StressReport } from './mapping-stress-child.ts'

const CHILD = compileToPlainSource(
  fileURLToPath(new URL('./mapping-stress-child.ts', import.meta.url)),
)
afterAll(() => CHILD.remove())

const otherNodes = (process.env['STREAMBED_NODES'] ?? '').split(delimiter).filter(Boolean)
const canMap = nativeBinding() !== null
const RUNS = [process.execPath, ...otherNodes].flatMap((node) => {
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  return (['mmap', 'auto', 'pread'] as const).map((io) => ({ node, version, io }))
})

describe.skipIf(!canCountResources)('bytes of a log that is closed, deleted and collected', () => {
  it.each(RUNS)('stay whole and leak nothing on Node $version, io $io', async ({ node, io }) => {
    const report = await stress(node, io)
    expect(report).toMatchObject({
      reads: canMap && io !== 'pread' ? 'mmap' : 'pread',
      leakedMappings: 0,
      leakedDescriptors: 0,
    })
    // Without this the test could pass because nothing was ever mapped.
    expect(report.peakMappings > 0).toBe(report.reads === 'mmap')
    expect(report.bytesKept).toBeGreaterThan(1_000_000)
  })
})

async function stress(node: string, io: string): Promise<StressReport> {
  const directory = join(temporaryDirectory(), 'log')
  mkdirSync(directory)
  const child = spawn(node, [CHILD.path, directory, io, String(budget.stressRounds)])
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? String(code)))
  })
  const [output, errors, end] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (end !== '0') throw new Error(`${node}, io ${io}: ended by ${end}\n${output}${errors}`)
  // `as`: the child prints one line, and it is a report.
  return JSON.parse(output) as StressReport
}
