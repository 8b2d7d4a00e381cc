/**
 * The targets, row by row: what was measured, whether that is enough, and why not.
 */
import type { Answered } from '../runner/results.ts'
import { targets, type Target } from '../targets.ts'
import { markdownTable } from './markdown.ts'
import { verdictOn, type Verdict } from './verdicts.ts'

/** The tables of all targets, with how many goals are met. */
export function targetLines(measured: ReadonlyMap<string, Answered>): readonly string[] {
  const verdicts = targets.flatMap(({ goals }) => goals.map((goal) => verdictOn(goal, measured)))
  const count = (is: Verdict['is']): number => verdicts.filter((one) => one.is === is).length
  const counts = `${count('met')} are met, ${count('not met')} are not`
  const rest = count('not measured') === 0 ? '' : `, ${count('not measured')} were not measured`
  return [
    `Of ${verdicts.length} targets ${counts}${rest}.`,
    '',
    ...markdownTable(
      [
        ['', 'target', 'measured', 'met', 'question'],
        ...targets.flatMap((target) => targetRows(target, measured)),
      ],
      5,
    ),
    '',
    ...reasons(measured),
  ]
}

function targetRows(
  { about, goals }: Target,
  measured: ReadonlyMap<string, Answered>,
): readonly (readonly string[])[] {
  return goals.map((goal, index) => {
    const verdict = verdictOn(goal, measured)
    const where = measured.has(goal.question) ? `[${goal.question}](#${goal.question})` : ''
    return [index === 0 ? `**${about}**` : '', goal.says, verdict.measured, shown(verdict), where]
  })
}

function shown({ is }: Verdict): string {
  if (is === 'met') return 'yes'
  return is === 'not met' ? '**no**' : 'not measured'
}

/** Why goals are not met, each with its number and its figure. */
function reasons(measured: ReadonlyMap<string, Answered>): readonly string[] {
  const lines = targets.flatMap(({ about, goals }) =>
    goals.flatMap((goal) => {
      const { is, measured: figure } = verdictOn(goal, measured)
      if (is !== 'not met') return []
      return [`- **${about}; ${goal.says}** (${figure}). ${goal.why ?? 'Not explained yet.'}`]
    }),
  )
  return lines.length === 0 ? [] : ['### Why not', '', ...lines, '']
}
