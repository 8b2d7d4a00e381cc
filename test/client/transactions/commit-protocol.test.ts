/**
 * Transactions, stopped or failed at each call of the disk that they take, one after the other:
 * the calls of a run without fault are counted, then each of them ends the process, by a kill or
 * with the power, or fails, as it can fail, once or from then on. Each time the log is opened
 * again. How many of the ways are tried at a call, test/support/budget.ts says.
 */
import { describe, expect, it } from 'vitest'
import type { NotedCall } from '../../../src/testing/disk-machine.ts'
import { budget } from '../../support/budget.ts'
import { endsOfTurn } from '../../support/every-crash.ts'
import {
  ALLOCATING,
  attempt,
  callsOf,
  type Answer,
  type Ending,
  type Scenario,
  type Strike,
} from './commit-scenarios.ts'

const SCENARIOS: readonly Scenario[] = [
  { name: 'in one partition', places: ['a-0'], hasOffsets: false, isWarm: true, commits: true },
  {
    name: 'in several partitions',
    places: ['a-0', 'a-1', 'b-0'],
    hasOffsets: false,
    isWarm: true,
    commits: true,
  },
  {
    name: 'with positions of a group',
    places: ['a-1', 'b-0'],
    hasOffsets: true,
    isWarm: true,
    commits: true,
  },
  {
    name: 'that is the first of all, with positions',
    places: ['a-1', 'b-0'],
    hasOffsets: true,
    isWarm: false,
    commits: true,
  },
  {
    name: 'that throws',
    places: ['a-0', 'b-0'],
    hasOffsets: true,
    isWarm: true,
    commits: false,
  },
]

const CRASHES: readonly [Ending, ...Ending[]] = [
  'kill',
  'none',
  'names',
  'all',
  'some',
  'files',
  'prefix',
]
const AFTER_FAILURES: readonly Ending[] = ['close', 'kill', 'none', 'all']

/** How the call may fail; a disk that is full stays so, until somebody makes room. */
function failuresOf({ action }: NotedCall, nth: number): readonly [Strike, ...Strike[]] {
  if (action === 'flush')
    return [
      { fault: 'EIO', nth },
      { fault: 'drop', nth },
    ]
  if (!ALLOCATING.includes(action)) return [{ fault: 'EIO', nth }]
  return [
    { fault: 'EIO', nth },
    { fault: 'ENOSPC', nth },
    { fault: 'full', nth },
  ]
}

describe.each(SCENARIOS)('a transaction $name', (scenario) => {
  it('is all or nothing after a crash at each call of the disk, and all once it was acknowledged', async () => {
    const calls = await callsOf(scenario)
    expect(calls.length).toBeGreaterThan(2)
    for (let nth = 1; nth <= calls.length + 1; nth++) {
      for (const ending of endsOfTurn(CRASHES, nth)) {
        const strike = nth > calls.length ? Infinity : nth
        const { answer, isThere } = await attempt(
          scenario,
          { fault: 'stop', nth: strike },
          ending,
          calls,
        ).catch((error: unknown) => fail(calls, nth, ending, 'stop', error))
        const what = `${said(calls, nth)}, then ${ending}: ${answer}`
        if (answer === 'committed') expect(isThere, what).toBe(true)
        if (answer === 'aborted') expect(isThere, what).toBe(false)
        if (!scenario.commits) expect(isThere, what).toBe(false)
      }
    }
  }, 300_000)

  it('that meets a failure at any call of the disk ends as its user was told', async () => {
    const calls = await callsOf(scenario)
    const wrong: string[] = []
    for (const [index, call] of calls.entries()) {
      for (const strike of endsOfTurn(failuresOf(call, index + 1), index, budget.crashEnds - 1)) {
        const what = `${strike.fault} at ${said(calls, index + 1)}`
        const found = new Map<Answer, Set<boolean>>()
        for (const ending of AFTER_FAILURES) {
          const { answer, isThere } = await attempt(scenario, strike, ending, calls).catch(
            (error: unknown) => fail(calls, index + 1, ending, strike.fault, error),
          )
          found.set(answer, (found.get(answer) ?? new Set()).add(isThere))
        }
        if (found.get('committed')?.has(false)) wrong.push(`committed, and not there: ${what}`)
        if (found.get('aborted')?.has(true)) wrong.push(`aborted, and there: ${what}`)
        // Where nobody knows, both may come of it: else it would have been known.
        if (found.get('unknown')?.size === 1) wrong.push(`unknown, and always the same: ${what}`)
        if (found.has('nothing')) wrong.push(`stopped by itself: ${what}`)
      }
    }
    expect(wrong).toEqual([])
  }, 300_000)
})

function said(calls: readonly NotedCall[], nth: number): string {
  const call = calls[nth - 1]
  return call === undefined ? 'the end' : `call ${nth}, ${call.action} of ${call.path || '/'}`
}

function fail(
  calls: readonly NotedCall[],
  nth: number,
  ending: Ending,
  fault: string,
  error: unknown,
): never {
  const what = `${fault} at ${said(calls, nth)}, then ${ending}: ${String(error)}`
  throw new Error(what, { cause: error })
}
