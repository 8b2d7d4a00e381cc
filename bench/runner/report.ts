/**
 * The report that people read: a table a case. A row's spread is that of its rounds; the ratios say
 * how it does against the best peer, by speed and by user CPU, and against the first limit.
 */
import { bestPeerOf, type Row, type Summary } from './statistics.ts'
import type { Question } from './question.ts'

type Column = readonly [title: string, text: (row: Row) => string]

const THROUGHPUT: readonly Column[] = [
  ['records/s', ({ recordsPerSecond }) => withSpread(recordsPerSecond, grouped)],
  ['MB/s', ({ megabytesPerSecond }) => short(megabytesPerSecond)],
  ['user ns', ({ userNsPerRecord }) => withSpread(userNsPerRecord, grouped)],
  ['system ns', ({ systemNsPerRecord }) => grouped(systemNsPerRecord)],
]
const TIME: readonly Column[] = [
  [
    'ms',
    ({ milliseconds }) =>
      withSpread(milliseconds, (ms) => (ms < 1 ? ms.toPrecision(2) : ms.toFixed(2))),
  ],
]
const RATIOS: readonly Column[] = [
  ['× best peer', ({ againstBestPeer }) => short(againstBestPeer)],
  ['its user CPU', ({ userAgainstBestPeer }) => short(userAgainstBestPeer)],
  ['× limit', ({ againstLimit }) => short(againstLimit)],
]

/** Shown where it was looked at. */
const STRAIN: readonly Column[] = [
  ['loop held ms p99', ({ strain }) => heldMs(strain?.delayP99Ns)],
  ['most', ({ strain }) => heldMs(strain?.delayMaxNs)],
  ['added MB', ({ strain }) => (strain === undefined ? '-' : short(strain.addedBytes / 1e6))],
]

/** The lines of one case. */
export function caseReport(
  question: Question,
  caseName: string,
  rows: readonly Row[],
): readonly string[] {
  const isStrained = rows.some(({ strain }) => strain !== undefined)
  const answer = question.answer === 'time' ? TIME : THROUGHPUT
  const others = [...new Set(rows.flatMap(({ also }) => Object.keys(also)))].map((name): Column => [
    name,
    ({ also }) => otherFigure(also[name]),
  ])
  const columns = [...answer, ...(isStrained ? STRAIN : []), ...others, ...RATIOS]
  const table = [
    [caseName, ...columns.map(([title]) => title)],
    ...rows.map((row) => [row.name, ...columns.map(([, text]) => text(row))]),
  ]
  const widths = table[0]?.map((_, column) =>
    Math.max(...table.map((line) => widthOf(line, column))),
  )
  const lines = table.map((line) => {
    const cells = line.map((cell, column) => {
      const width = widths?.[column] ?? 0
      return column === 0 ? cell.padEnd(width) : cell.padStart(width)
    })
    return `  ${cells.join('  ')}`
  })
  const best = bestPeerOf(rows)
  return best === undefined ? lines : [...lines, `  best peer: ${best}`]
}

function widthOf(line: readonly string[], column: number): number {
  return line[column]?.length ?? 0
}

function withSpread({ median, spread }: Summary, text: (value: number) => string): string {
  return `${text(median)} ±${Math.round(spread * 50)}%`
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function heldMs(ns: number | undefined): string {
  return ns === undefined ? '-' : (ns / 1e6).toFixed(1)
}

function otherFigure(summary: Summary | undefined): string {
  return summary === undefined ? '-' : withSpread(summary, short)
}

function short(value: number): string {
  if (!Number.isFinite(value)) return '-'
  return value >= 100 ? grouped(value) : value.toPrecision(2)
}
