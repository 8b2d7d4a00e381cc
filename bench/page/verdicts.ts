/**
 * Verdicts: whether the goals of bench/targets.ts are met by what was measured.
 */
import { shortNumber } from '../runner/report.ts'
import type { Answered, CaseResult } from '../runner/results.ts'
import type { Answer } from '../runner/rounds.ts'
import { bestPeerOf, ratioOf, summaryOf, type Summary } from '../runner/statistics.ts'
import { BEST_PEER, type Goal } from '../targets.ts'

/** What became of a goal. */
export interface Verdict {
  readonly is: 'met' | 'not met' | 'not measured'
  /** The figure or the ratio, in words; empty where nothing was measured. */
  readonly measured: string
}

const NOT_MEASURED: Verdict = { is: 'not measured', measured: '' }

/** The verdict on one goal. */
export function verdictOn(goal: Goal, measured: ReadonlyMap<string, Answered>): Verdict {
  const cases = measured.get(goal.question)?.result.cases ?? []
  const found = goal.cases.flatMap((name) => cases.filter((one) => one.name === name))[0]
  const ours = found?.answers.find(({ name }) => name === goal.ours)
  if (found === undefined || ours === undefined) return NOT_MEASURED
  const other = otherOf(goal, found, cases)
  if (goal.against !== undefined && other === undefined) return NOT_MEASURED
  const figure =
    other === undefined ? summaryOf(ours, goal.figure) : ratioOf(ours, other, goal.figure)
  if (Number.isNaN(figure.median)) return NOT_MEASURED
  const isMet =
    figure.median >= (goal.atLeast ?? -Infinity) && figure.median <= (goal.atMost ?? Infinity)
  const standIn = found.name === goal.cases[0] ? '' : `, of ${found.name}`
  const text = other === undefined ? plain(figure, goal.figure) : times(figure, other, goal)
  return { is: isMet ? 'met' : 'not met', measured: text + standIn }
}

/** What a goal is measured against; undefined where that is not there. */
function otherOf(
  { against, figure, ours }: Goal,
  found: CaseResult,
  cases: readonly CaseResult[],
): Answer | undefined {
  if (against === undefined) return undefined
  const beside =
    against.case === undefined ? found : cases.find(({ name }) => name === against.case)
  if (beside === undefined) return undefined
  const isItself = beside === found && against.contestant === ours
  if (isItself) return undefined // Its ratio to itself says nothing.
  return against.contestant === BEST_PEER
    ? bestPeerOf(beside.answers, figure)
    : beside.answers.find(({ name }) => name === against.contestant)
}

function plain(figure: Summary, heading: string): string {
  return `${shortNumber(figure.median)} ${heading.replace(/^p[\d.]+ /, '')}${within(figure)}`
}

function times(figure: Summary, other: Answer, { against }: Goal): string {
  const named = against?.contestant === BEST_PEER ? ` ${other.name}` : ''
  return `${shortNumber(figure.median)} ×${named}${within(figure)}`
}

/** From the lowest round to the highest, where they differ. */
function within({ lowest, highest }: Summary): string {
  if (lowest === highest) return ''
  return ` (${shortNumber(lowest)} – ${shortNumber(highest)})`
}
