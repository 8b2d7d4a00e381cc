/**
 * The measured part of README.md: a few rows, between two marks, made of the same results as the
 * page that it links to.
 */
import { shortNumber } from '../runner/report.ts'
import { newestOf, type Answered, type Run } from '../runner/results.ts'
import type { Answer } from '../runner/rounds.ts'
import { bestPeerOf, ratioOf, summaryOf } from '../runner/statistics.ts'
import { markdownTable } from './markdown.ts'

const BEGIN = '<!-- benchmarks: made by npm run bench:report -->'
const END = '<!-- /benchmarks -->'

/** One row: who is shown, of which case, by what. */
interface Shown {
  readonly about: string
  readonly question: string
  readonly caseName: string
  readonly ours: string
}

const SPEED = 'records/s'

/** A table each: what was synced and what was not never share a column. */
const TABLES: readonly (readonly [heading: string, rows: readonly Shown[]])[] = [
  [
    'records a second, in the page cache',
    [
      shown('append 100 B, batches of 100', 'append-throughput', '100 B, batches of 100'),
      shown('`enqueue` 100 B, one by one', 'enqueue-throughput', '100 B'),
      shown('`scan`', 'scan-throughput', '100 B', 'streambed scan'),
      shown('`for await`', 'scan-throughput', '100 B', 'streambed for await'),
      shown('`get` at random', 'random-get', '100 B'),
    ],
  ],
  [
    'records a second, on stable storage',
    [
      shown('`send` 100 B, one at a time', 'send-throughput', '100 B, acks all, 1 in flight'),
      shown('`send` 100 B, 256 at once', 'send-throughput', '100 B, acks all, 256 in flight'),
    ],
  ],
]

function shown(about: string, question: string, caseName: string, ours = 'streambed'): Shown {
  return { about, question, caseName, ours }
}

/** `readme` with its measured part made anew; where it has no marks, as it is. */
export function withSummary(readme: string, runs: readonly Run[]): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin < 0 || end < begin) return readme
  const lines = summaryLines(newestOf(runs)).join('\n')
  return `${readme.slice(0, begin + BEGIN.length)}\n${lines}\n${readme.slice(end)}`
}

function summaryLines(measured: ReadonlyMap<string, Answered>): readonly string[] {
  const tables = TABLES.flatMap(([heading, shownRows]) => {
    const rows = shownRows.flatMap((row) => cellsOf(row, measured))
    const head = [heading, 'streambed', 'best peer', 'against it', 'against the limit']
    return rows.length === 0 ? [] : ['', ...markdownTable([head, ...rows])]
  })
  if (tables.length === 0) return ['How to measure it: [docs/benchmarks.md](docs/benchmarks.md).']
  const machine = [...measured.values()][0]?.conditions.machine
  return [
    ...tables,
    '',
    `${machine?.cores} cores of an ${machine?.cpu}, Node ${machine?.node}. Rounds, spread, all`,
    'questions, the targets that are missed, how to repeat it:',
    '[docs/benchmarks.md](docs/benchmarks.md).',
  ]
}

function cellsOf(
  { about, question, caseName, ours: name }: Shown,
  measured: ReadonlyMap<string, Answered>,
): readonly (readonly string[])[] {
  const found = measured.get(question)?.result.cases.find((one) => one.name === caseName)
  const ours = found?.answers.find((one) => one.name === name)
  if (found === undefined || ours === undefined) return []
  const peer = bestPeerOf(found.answers, SPEED)
  const limit = found.answers.find(({ role }) => role === 'limit')
  const speedOf = (answer: Answer): string => shortNumber(summaryOf(answer, SPEED).median)
  const best = peer === undefined ? '-' : `${speedOf(peer)} ${peer.name}`
  const ratios = [peer, limit].map((other) => {
    const ratio = ratioOf(ours, other, SPEED).median
    return Number.isNaN(ratio) ? '-' : `${shortNumber(ratio)} ×`
  })
  return [[about, speedOf(ours), best, ...ratios]]
}
