/**
 * Shrinking: leaves steps out of a failing history, and gives those that stay simpler numbers, as
 * long as it fails in the same way. What is left is what somebody has to read.
 */
import type { History } from './history.ts'
import { Simulation, type SimulationSettings, type Step } from './simulation.ts'

/** How a history failed. */
export interface HistoryFailure {
  readonly error: unknown
  /** Number of the step at which it showed, from 0. */
  readonly at: number
  /** What the steps up to there did. */
  readonly said: readonly string[]
}

/** How to shrink. */
export interface ShrinkOptions {
  /** Histories that are tried at most. */
  readonly tries?: number
  readonly leftOut?: SimulationSettings['leftOut']
}

/** Plays a history; undefined where nothing was broken. */
export async function failureOf(
  history: History,
  leftOut?: SimulationSettings['leftOut'],
): Promise<HistoryFailure | undefined> {
  const { seed, faults, steps } = history
  const simulation = new Simulation({ seed, faults, leftOut })
  const said: string[] = []
  try {
    await simulation.run(steps, (text) => said.push(text))
    return undefined
  } catch (error) {
    return { error, at: simulation.result.stepCount - 1, said: [...said, simulation.said] }
  }
}

/** A smaller history that fails like `failure`. */
export async function shrink(
  history: History,
  failure: HistoryFailure,
  { tries = 1_500, leftOut }: ShrinkOptions = {},
): Promise<{ readonly history: History; readonly failure: HistoryFailure }> {
  const kind = kindOf(failure.error)
  let best = { history: { ...history, steps: history.steps.slice(0, failure.at + 1) }, failure }
  let left = tries
  const fails = async (steps: readonly Step[]): Promise<boolean> => {
    if (left-- <= 0) return false
    const candidate = { ...history, steps }
    const found = await failureOf(candidate, leftOut)
    if (found === undefined || kindOf(found.error) !== kind) return false
    best = { history: { ...candidate, steps: steps.slice(0, found.at + 1) }, failure: found }
    return true
  }
  if (!(await fails(best.history.steps))) return { history, failure } // It shows only at the end.
  for (let size = best.history.steps.length >> 1; size >= 1; size >>= 1) {
    for (let at = best.history.steps.length - size; at >= 0; at -= size) {
      await fails(best.history.steps.toSpliced(at, size))
    }
  }
  for (let at = 0; at < best.history.steps.length; at++) {
    for (const seed of [0, 1, 2]) {
      const step = best.history.steps[at]
      if (step === undefined || step.seed <= seed) break
      if (await fails(best.history.steps.with(at, { kind: step.kind, seed }))) break
    }
  }
  return best
}

/** A failing history, as a test can play it again. */
export function shown({ seed, faults, steps }: History, { said }: HistoryFailure): string {
  const lines = steps.map(({ kind, seed: number }, index) => {
    return `    ['${kind}', ${number}], // ${said[index] ?? ''}`
  })
  const groups = faults.map((group) => `'${group}'`).join(', ')
  return `{\n  seed: ${seed},\n  faults: [${groups}],\n  steps: [\n${lines.join('\n')}\n  ],\n}`
}

/** Failures are of one kind where they differ in numbers only. */
function kindOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replaceAll(/\d+/g, '#').slice(0, 80)
}
