/**
 * What is kept of runs, and which of them counts.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { newestOf, readRuns, saveRun } from '../../bench/runner/results.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { answer, madeRun, question } from './made-runs.ts'

const asked = (name: string, wallMs: number): ReturnType<typeof question> =>
  question(name, [{ name: 'a case', answers: [answer('streambed', 'ours', wallMs, wallMs + 1)] }])

describe('a saved run', () => {
  it('is read as it was, every round of it', () => {
    const directory = temporaryDirectory()
    const run = madeRun('2026-11-22T06:10:00.123Z', [asked('a', 1), asked('b', 2)], 'quick')
    const path = saveRun(run, directory)
    expect(path).toMatch(/2026-11-22T06-10-00Z-quick\.json$/)
    expect(readRuns(directory)).toEqual([run])
    expect(readFileSync(path, 'utf8').match(/"recordCount"/g)).toHaveLength(4)
    expect(readFileSync(path, 'utf8').split('\n').length).toBeLessThan(80)
  })

  it('takes the place of what was saved of it before', () => {
    const directory = temporaryDirectory()
    const at = '2026-11-22T06:10:00.123Z'
    saveRun(madeRun(at, [asked('a', 1)]), directory)
    saveRun(madeRun(at, [asked('a', 1), asked('b', 2)]), directory)
    expect(readRuns(directory)).toHaveLength(1)
    expect(readRuns(directory)[0]?.results).toHaveLength(2)
  })
})

describe('of several runs', () => {
  it('the newest counts, question by question', () => {
    const directory = temporaryDirectory()
    saveRun(madeRun('2026-11-22T08:00:00.000Z', [asked('a', 3)]), directory)
    saveRun(madeRun('2026-11-22T07:00:00.000Z', [asked('a', 1), asked('b', 2)]), directory)
    const counted = newestOf(readRuns(directory))
    expect(counted.get('a')?.result).toEqual(asked('a', 3))
    expect(counted.get('b')?.conditions.startedAt).toBe('2026-11-22T07:00:00.000Z')
  })

  it('a full one counts before a newer quick one', () => {
    const full = madeRun('2026-11-22T07:00:00.000Z', [asked('a', 1)])
    const quick = madeRun('2026-11-22T08:00:00.000Z', [asked('a', 2), asked('b', 2)], 'quick')
    const counted = newestOf([full, quick])
    expect(counted.get('a')?.conditions.scale).toBe('full')
    expect(counted.get('b')?.conditions.scale).toBe('quick')
  })
})
