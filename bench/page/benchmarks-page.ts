/**
 * docs/benchmarks.md: how to repeat the measurements, what they were made on, how, the targets, and
 * every question with its plot and its tables. A pure function of the results: the same files below
 * bench/results make the same page, and a test compares the two.
 */
import { remarksOn, tableOf } from '../runner/report.ts'
import { machineLines } from '../runner/machine.ts'
import { newestOf, type Answered, type Conditions, type Run } from '../runner/results.ts'
import { chaptersOf, sourceOf, type Chapter } from './chapters.ts'
import { folded, markdownTable, plainText } from './markdown.ts'
import { plotOf } from './plots.ts'
import { targetLines } from './targets-table.ts'

/** The page, and the plots that it shows, by the names of their files. */
export interface BenchmarksPage {
  readonly text: string
  readonly plots: ReadonlyMap<string, string>
}

/** Where plots lie, seen from the page. */
export const PLOTS = 'benchmarks'

const HEAD = `# Benchmarks

<!-- Made of bench/results by \`npm run bench:report\`: edits are lost. -->

How fast Streambed is, beside what else a Node.js process can open, and beside limits that nobody
can pass. [The targets](#targets) come first, with those that are missed. Every figure below was
measured by these commands and none is typed in:

\`\`\`sh
npm ci && npm install --prefix bench     # with the peers; better-sqlite3 and lmdb are native
npm run bench -- --quick --save          # all questions: minutes; without --quick, hours
npm run bench -- append scan --rounds 5  # questions by parts of their names
npm run bench:report                     # this page and its plots, of all that was saved
\`\`\`

What \`--save\` leaves in [bench/results](../bench/results) is every round of every contestant: of
the runs that asked a question the newest counts, a full run before a quick one. Apache Kafka takes
part where Java and its jars are found.
`

const METHOD = `## Method

- Every measurement runs in a fresh process and a fresh directory. Contestants take turns, and who
  comes first moves on from round to round; a ratio is taken within each round, and what is shown is
  the median of these. So a slow spell of the machine counts against nobody.
- Each warms up before its clock starts. Short runs under-report whoever has more JavaScript.
- What was written is read back and compared, by count and checksum, before a measurement counts.
- *Peers* do the same work with the options that make them fastest; *limits* do less: they write or
  read the same bytes and keep no log, or only copy them in memory.
- *user ns* and *system ns* are CPU of the whole process, all its threads, per record. On virtual
  machines bulk writes have two states: memory that was given back to the host costs many times
  more when it is touched first. User CPU has only one.
- ± is half of the way from the lowest round to the highest, in per cent of the median; the thin
  line on a bar is that way. *GC ms/s* is how long V8 stopped the main thread, per second. *grown
  MB* is the peak of resident memory above what it was when the clock started, mapped files
  included.
- *× best peer* is above 1 where a contestant is faster than the peer that is best in that table;
  *its user CPU* is below 1 where it takes less CPU per record; *× limit* is against the first
  limit.
- A peer that loses what it acknowledged is no durable peer: that is looked at, after \`kill -9\`.
`

/** Makes the page. */
export function benchmarksPage(runs: readonly Run[]): BenchmarksPage {
  const measured = newestOf(runs)
  const plots = new Map<string, string>()
  for (const [name, { result }] of measured) {
    const plot = plotOf(result)
    if (plot !== undefined) plots.set(`${name}.svg`, plot)
  }
  const chapters = chaptersOf([...measured.keys()])
  const lines = [
    HEAD,
    '## Targets',
    '',
    ...(measured.size === 0 ? ['Nothing was measured yet.', ''] : targetLines(measured)),
    '## Machine',
    '',
    ...machineSection(measured),
    METHOD,
    ...chapters.flatMap((chapter) => chapterSection(chapter, measured, plots)),
  ]
  return { text: `${lines.join('\n').trimEnd()}\n`, plots }
}

/** The machines, each with the runs that were made on it and count. */
function machineSection(measured: ReadonlyMap<string, Answered>): readonly string[] {
  const machines = new Map<string, Map<string, number>>()
  for (const { conditions } of measured.values()) {
    const text = ['```text', ...machineLines(conditions.machine).slice(0, 2), '```'].join('\n')
    const runs = machines.get(text) ?? new Map<string, number>()
    machines.set(text, runs)
    const run = runLine(conditions)
    runs.set(run, (runs.get(run) ?? 0) + 1)
  }
  return [...machines].flatMap(([machine, runs]) => [
    machine,
    '',
    ...[...runs]
      .map(([run, count]) => `- ${run}: ${count} ${count === 1 ? 'question' : 'questions'}`)
      .toSorted((a, b) => (a < b ? -1 : 1)),
    '',
  ])
}

function runLine({ startedAt, scale, roundCount, machine }: Conditions): string {
  const peers = Object.entries(machine.peers).map(([name, version]) => `${name} ${version}`)
  const of = `commit ${machine.commit}, Node ${machine.node}, ${peers.join(', ')}`
  const load = `load ${machine.loadBefore.toFixed(2)} in the minute before`
  return `${whenOf(startedAt)}, ${scale}, ${roundCount} rounds, ${of}, ${load}`
}

function whenOf(startedAt: string): string {
  return `${startedAt.slice(0, 10)} ${startedAt.slice(11, 16)} UTC`
}

function chapterSection(
  { title, about, questions }: Chapter,
  measured: ReadonlyMap<string, Answered>,
  plots: ReadonlyMap<string, string>,
): readonly string[] {
  const sections = questions.flatMap((name) => {
    const answered = measured.get(name)
    return answered === undefined ? [] : questionSection(answered, plots.has(`${name}.svg`))
  })
  return [`## ${title}`, '', about, '', ...sections]
}

function questionSection({ result, conditions }: Answered, hasPlot: boolean): readonly string[] {
  const { question, asks, answer, cases, failed } = result
  const tables = cases.flatMap(({ name, answers }) => [
    ...markdownTable(tableOf(answer, name, answers)),
    '',
    ...remarksOn(answers).flatMap((remark) => [plainText(remark), '']),
  ])
  const { startedAt, scale, roundCount } = conditions
  const when = `${whenOf(startedAt)}, ${scale}, ${roundCount} rounds`
  return [
    `### ${question}`,
    '',
    `What is measured: ${asks}. What is compared, and what favours whom:`,
    `[bench/${sourceOf(question)}](../bench/${sourceOf(question)}).`,
    '',
    ...(hasPlot ? [`![${question}: ${asks}](${PLOTS}/${question}.svg)`, ''] : []),
    ...(failed === undefined ? [] : [`Ended early: ${plainText(failed)}`, '']),
    ...(tables.length === 0 ? [] : folded(`Figures (${when})`, tables.slice(0, -1))),
    '',
  ]
}
