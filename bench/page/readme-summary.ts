/**
 * The measured part of README.md: a few rows, between two marks, made of the same results as the
 * page that it links to.
 */
import { shortNumber } from '../runner/report.ts'
import { newestOf, type Answered, type Run } from '../runner/results.ts'
import { bestPeerOf, ratioOf, summaryOf } from '../runner/statistics.ts'
import { markdownTable } from './markdown.ts'

const BEGIN = '<!-- benchmarks: made by npm run bench:report -->'
const END = '<!-- /benchmarks -->'

/** One row: who is shown, of which case, by what. */
interface Shown {
  readonly about: string
  readonly question: string
  readonly cases: readonly string[]
  readonly ours: string
  readonly figure: string
}

const ROWS: readonly Shown[] = [
  {
    about: 'append 100 B, batches of 100',
    question: 'append-throughput',
    cases: ['100 B, batches of 100'],
    ours: 'streambed',
    figure: 'records/s',
  },
  {
    about: 'durable `send`, one at a time',
    question: 'send-throughput',
    cases: ['100 B, acks all, 1 in flight'],
    ours: 'streambed',
    figure: 'records/s',
  },
  {
    about: 'durable `send`, 256 at once',
    question: 'send-throughput',
    cases: ['100 B, acks all, 256 in flight'],
    ours: 'streambed',
    figure: 'records/s',
  },
  {
    about: '`scan`',
    question: 'scan-throughput',
    cases: ['100 B'],
    ours: 'streambed scan',
    figure: 'records/s',
  },
  {
    about: '`for await`',
    question: 'scan-throughput',
    cases: ['100 B'],
    ours: 'streambed for await',
    figure: 'records/s',
  },
  {
    about: '`get` at random',
    question: 'random-get',
    cases: ['100 B'],
    ours: 'streambed',
    figure: 'records/s',
  },
  {
    about: 'open a large log, first read (ms, less is better)',
    question: 'scaling-log-size',
    cases: ['10 GiB, closed cleanly', '1 GiB, closed cleanly', '64 MiB, closed cleanly'],
    ours: 'streambed',
    figure: 'ms',
  },
]

/** `readme` with its measured part made anew; where it has no marks, as it is. */
export function withSummary(readme: string, runs: readonly Run[]): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin < 0 || end < begin) return readme
  const lines = summaryLines(newestOf(runs)).join('\n')
  return `${readme.slice(0, begin + BEGIN.length)}\n${lines}\n${readme.slice(end)}`
}

function summaryLines(measured: ReadonlyMap<string, Answered>): readonly string[] {
  const rows = ROWS.flatMap((row) => cellsOf(row, measured))
  if (rows.length === 0) return ['How to measure it: [docs/benchmarks.md](docs/benchmarks.md).']
  const head = ['records a second', 'streambed', 'best peer', 'against it', 'against the limit']
  const machine = [...measured.values()][0]?.conditions.machine
  return [
    '',
    ...markdownTable([head, ...rows]),
    '',
    `${machine?.cores} cores of an ${machine?.cpu}, Node ${machine?.node}. Rounds, spread, peers,`,
    'what is lost too, and how to repeat it: [docs/benchmarks.md](docs/benchmarks.md).',
  ]
}

function cellsOf(
  { about, question, cases, ours: name, figure }: Shown,
  measured: ReadonlyMap<string, Answered>,
): readonly (readonly string[])[] {
  const results = measured.get(question)?.result.cases ?? []
  const found = cases.flatMap((wanted) => results.filter((one) => one.name === wanted))[0]
  const ours = found?.answers.find((one) => one.name === name)
  if (found === undefined || ours === undefined) return []
  const peer = bestPeerOf(found.answers, figure)
  const limit = found.answers.find(({ role }) => role === 'limit')
  const number = shortNumber(summaryOf(ours, figure).median)
  const best =
    peer === undefined ? '-' : `${shortNumber(summaryOf(peer, figure).median)} ${peer.name}`
  const ratios = [peer, limit].map((other) => {
    const ratio = ratioOf(ours, other, figure).median
    return Number.isNaN(ratio) ? '-' : `${shortNumber(ratio)} ×`
  })
  const of = found.name.includes('iB') ? `${about}, ${found.name}` : about
  return [[of, number, best, ...ratios]]
}
