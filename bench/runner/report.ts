/**
 * The report that people read: a table a case, on the terminal here, in Markdown elsewhere
 * (page/). A row's spread is that of its rounds; the ratios say how it does against the best peer,
 * by speed and by user CPU, and against the first limit.
 */
import { bestPeerOf, rowsOf, type Row, type Summary } from './statistics.ts'
import type { Question } from './question.ts'
import type { Answer } from './rounds.ts'

type Column = readonly [title: string, text: (row: Row) => string]

/** Shown without their spread: it says nothing that the figure beside does not. */
const WITHOUT_SPREAD: ReadonlySet<string> = new Set([
  'MB/s',
  'system ns',
  'most',
  'added MB',
  'GC ms/s',
  'grown MB',
  'longest µs',
])
const RATIOS: readonly Column[] = [
  ['× best peer', ({ againstBestPeer }) => shortNumber(againstBestPeer)],
  ['its user CPU', ({ userAgainstBestPeer }) => shortNumber(userAgainstBestPeer)],
  ['× limit', ({ againstLimit }) => shortNumber(againstLimit)],
]

/** One case, as a table of text: first line the headings, first column who it is. */
export function tableOf(
  answer: Question['answer'],
  caseName: string,
  answers: readonly Answer[],
): readonly (readonly string[])[] {
  const rows = rowsOf(answer, answers)
  const headings = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  const columns = [...headings.map((heading) => columnOf(heading)), ...RATIOS]
  const filled = columns
    .map(([title, text]) => [title, ...rows.map((row) => text(row))])
    .filter(([, ...cells]) => cells.some((cell) => cell !== '-'))
  const names = [caseName, ...rows.map(({ name, failed }) => name + (failed ? ' (failed)' : ''))]
  return names.map((name, line) => [name, ...filled.map((cells) => cells[line] ?? '-')])
}

/** What is said below the table of a case. */
export function remarksOn(answers: readonly Answer[]): readonly string[] {
  const best = bestPeerOf(answers, 'records/s')
  const failures = answers.flatMap(({ name, failed, rounds }) =>
    failed === undefined ? [] : [`${name} failed after ${rounds.length} rounds: ${failed}`],
  )
  return [...(best === undefined ? [] : [`best peer: ${best.name}`]), ...failures]
}

/** The lines of one case. */
export function caseReport(
  question: Question,
  caseName: string,
  answers: readonly Answer[],
): readonly string[] {
  const table = tableOf(question.answer, caseName, answers)
  const widths = table[0]?.map((_, column) =>
    Math.max(...table.map((line) => line[column]?.length ?? 0)),
  )
  const lines = table.map((line) => {
    const cells = line.map((cell, column) => {
      const width = widths?.[column] ?? 0
      return column === 0 ? cell.padEnd(width) : cell.padStart(width)
    })
    return `  ${cells.join('  ')}`
  })
  return [...lines, ...remarksOn(answers).map((remark) => `  ${remark}`)]
}

/** A number as people read it: no more digits than it is worth. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value === 0) return '0'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(Math.abs(value) >= 10 ? 3 : 2)))
}

function columnOf(heading: string): Column {
  return [
    heading,
    ({ figures }) => {
      const figure = figures[heading]
      if (figure === undefined) return '-'
      return WITHOUT_SPREAD.has(heading) ? shortNumber(figure.median) : withSpread(figure)
    },
  ]
}

function withSpread({ median, spread }: Summary): string {
  const percent = Math.round(spread * 50)
  return percent === 0 ? shortNumber(median) : `${shortNumber(median)} ±${percent}%`
}
