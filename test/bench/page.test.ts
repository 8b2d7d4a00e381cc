/**
 * docs/benchmarks.md and its plots: what they are made of, and that they are of the results that
 * lie in bench/results. Where they are not, `npm run bench:report` makes them anew.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { benchmarksPage } from '../../bench/page/benchmarks-page.ts'
import { plotOf } from '../../bench/page/plots.ts'
import { withSummary } from '../../bench/page/readme-summary.ts'
import { barScale, logScale } from '../../bench/page/scale.ts'
import { readRuns } from '../../bench/runner/results.ts'
import { CHECKOUT } from '../support/source-text.ts'
import { answer, madeRun, question } from './made-runs.ts'

const WHEN = '2026-11-22T06:10:00.000Z'
const answers = [
  answer('streambed', 'ours', 1, 1.5),
  answer('a <peer> & a | bar', 'peer', 4, 5),
  answer('memcpy', 'limit', 0.1),
]
const appends = question('append-throughput', [{ name: '100 B, batches of 100', answers }])
const sizes = ['64 MiB', '1 GiB'].map((name) => ({ name: `${name}, closed cleanly`, answers }))
const opens = question('scaling-log-size', sizes, 'time')

/** Throws unless tags are closed in the order in which they were opened. */
function mustBeWellFormed(svg: string): void {
  const open: string[] = []
  for (const [tag, closes, name] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*>/g)) {
    if (closes === '/') expect(open.pop()).toBe(name)
    else if (!tag.endsWith('/>')) open.push(name ?? '')
  }
  expect(open).toEqual([])
  expect(svg).not.toMatch(/NaN|Infinity|undefined/)
}

describe('the page', () => {
  it('has the targets, the machine and each question with its plot and tables', () => {
    const { text, plots } = benchmarksPage([madeRun(WHEN, [opens, appends])])
    expect(text).toContain("| batches of 100: user CPU per record ≤ 0.3 × lmdb's |")
    expect(text).toContain('A processor, 2 cores')
    expect(text).toContain('](benchmarks/append-throughput.svg)')
    expect(text).toContain('| a &lt;peer> &amp; a \\| bar |')
    expect([...plots.keys()].toSorted()).toEqual(['append-throughput.svg', 'scaling-log-size.svg'])
    expect(text.indexOf('### append-throughput')).toBeLessThan(text.indexOf('### scaling-log-size'))
  })

  it('is the same for the same results', () => {
    const runs = [madeRun(WHEN, [opens, appends])]
    expect(benchmarksPage(runs)).toEqual(benchmarksPage(runs))
  })

  it('says which question ended early, and who failed', () => {
    const failed = { ...answer('broken', 'peer'), failed: 'Error: <none>' }
    const early = { ...question('new-question', [{ name: 'c', answers: [failed] }]), failed: 'no' }
    const { text } = benchmarksPage([madeRun(WHEN, [early])])
    expect(text).toContain('Ended early: no')
    expect(text).toContain('broken failed after 0 rounds: Error: &lt;none>')
  })

  it('says that nothing was measured where nothing was', () => {
    expect(benchmarksPage([]).text).toContain('Nothing was measured yet.')
  })
})

describe('the summary in README.md', () => {
  const marks = '<!-- benchmarks: made by npm run bench:report -->old<!-- /benchmarks -->'

  it('keeps what was synced apart from what was not', () => {
    const sends = question('send-throughput', [{ name: '100 B, acks all, 1 in flight', answers }])
    const said = withSummary(`before ${marks} behind`, [madeRun(WHEN, [appends, sends])])
    expect(said).toMatch(/^before <!--.*<!-- \/benchmarks --> behind$/s)
    expect(said.match(/^\| --- /gm)).toHaveLength(2)
    expect(said).not.toContain('old')
  })

  it('says where to look where nothing was measured, and leaves a page without marks alone', () => {
    expect(withSummary(marks, [])).toContain('(docs/benchmarks.md)')
    expect(withSummary('no marks', [madeRun(WHEN, [appends])])).toBe('no marks')
  })
})

describe('a plot', () => {
  it('has a bar for each contestant, and a line over its rounds', () => {
    const svg = plotOf(appends) ?? ''
    mustBeWellFormed(svg)
    expect(svg.match(/<rect class="(ours|peer|limit)"/g)).toHaveLength(3)
    expect(svg.match(/<path class="spread"/g)).toHaveLength(2)
    expect(svg).toContain('a &lt;peer&gt; &amp; a | bar')
  })

  it('has a line for each contestant where cases are sizes', () => {
    const svg = plotOf(opens) ?? ''
    mustBeWellFormed(svg)
    expect(svg.match(/class="line /g)).toHaveLength(3)
    expect(svg).toContain('>1 GiB<')
  })

  it('has a line for each case where contestants are sizes', () => {
    const of = [answer('1 partitions', 'limit', 1), answer('1000 partitions', 'ours', 7)]
    const cases = ['open', 'append'].map((name) => ({ name, answers: of }))
    const svg = plotOf(question('scaling-partitions', cases, 'time')) ?? ''
    mustBeWellFormed(svg)
    expect(svg.match(/class="line /g)).toHaveLength(2)
    expect(svg).toContain('>1,000<')
  })

  it('is readable in the dark', () => {
    expect(plotOf(appends)).toContain('prefers-color-scheme: dark')
  })

  it('is not there where nothing was measured', () => {
    expect(plotOf(question('q', [{ name: 'c', answers: [answer('a', 'peer')] }]))).toBeUndefined()
  })
})

describe('a scale', () => {
  it('of bars starts at zero, unless the smallest would not be seen', () => {
    const linear = barScale([5, 80], 100, 200)
    expect([linear.isLog, linear.at(0), linear.at(80), linear.marks]).toEqual([
      false,
      100,
      200,
      [0, 20, 40, 60, 80],
    ])
    const log = barScale([5, 8_000], 100, 200)
    expect([log.isLog, log.at(1), log.at(10_000), log.marks]).toEqual([
      true,
      100,
      200,
      [1, 10, 100, 1_000, 10_000],
    ])
  })

  it('has room for one value, and for values far apart', () => {
    expect(logScale([7], 0, 10).marks).toEqual([1, 10])
    expect(logScale([1e-6, 1e9], 0, 10).marks.length).toBeLessThan(9)
    expect(barScale([], 0, 10).at(0)).toBe(0)
  })
})

describe('what lies in docs', () => {
  const runs = readRuns(join(CHECKOUT, 'bench', 'results'))
  const { text, plots } = benchmarksPage(runs)
  const stored = (path: string): string => readFileSync(join(CHECKOUT, path), 'utf8')

  it('is the page that `npm run bench:report` makes of bench/results', () => {
    expect(stored('docs/benchmarks.md') === text, 'run: npm run bench:report').toBe(true)
  })

  it('are the plots of it, and no others', () => {
    const directory = join(CHECKOUT, 'docs', 'benchmarks')
    const names = existsSync(directory) ? readdirSync(directory) : []
    expect(names.toSorted()).toEqual([...plots.keys()].toSorted())
    for (const [name, plot] of plots)
      expect(stored(`docs/benchmarks/${name}`) === plot, `${name}: npm run bench:report`).toBe(true)
  })

  it('agrees with what README.md says was measured', () => {
    const readme = stored('README.md')
    expect(readme).toContain('docs/benchmarks.md')
    expect(withSummary(readme, runs) === readme, 'run: npm run bench:report').toBe(true)
  })
})
