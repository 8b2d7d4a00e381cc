/**
 * A process that appends batches of one producer is killed, again and again: whoever opens its log
 * recognises the last one, and takes the next.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { compileToPlainSource } from '../support/plain-source.ts'
import { runSeed, SeededRandom } from '../support/seeded-random.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const LIVES = 6

describe('a producer whose process is killed', () => {
  it('is known by the next process, over thousands of batches', { timeout: 120_000 }, async () => {
    const source = fileURLToPath(new URL('producer-kill-child.ts', import.meta.url))
    const child = compileToPlainSource(source)
    onTestFinished(() => child.remove())
    const random = new SeededRandom(runSeed)
    const directory = temporaryDirectory()
    let told = 0
    for (let life = 0; life < LIVES; life++) {
      const lines = 1 + random.below(30)
      const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit']
      const running = spawn(process.execPath, [child.path, directory], { stdio })
      const ended = once(running, 'exit')
      let seen = 0
      for await (const line of createInterface(running.stdout)) {
        // What was told of in the life before is there: the kernel has it.
        if (seen === 0) expect(Number(line)).toBeGreaterThan(told)
        told = Number(line)
        seen += 1
        if (seen === lines) running.kill('SIGKILL')
      }
      const what = `STREAMBED_SEED=${runSeed}, life ${life}`
      expect(await ended, what).toEqual([null, 'SIGKILL'])
    }
    expect(told).toBeGreaterThan(LIVES * 100)
  })
})
