/**
 * npm run bench:report: makes docs/benchmarks.md and its plots of what lies in bench/results, and
 * the measured part of README.md. Plots of questions that nobody asked any more go.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { benchmarksPage, PLOTS } from './page/benchmarks-page.ts'
import { withSummary } from './page/readme-summary.ts'
import { readRuns } from './runner/results.ts'

const CHECKOUT = join(dirname(fileURLToPath(import.meta.url)), '..')
const DOCS = join(CHECKOUT, 'docs')
const README = join(CHECKOUT, 'README.md')

const runs = readRuns(join(CHECKOUT, 'bench', 'results'))
const { text, plots } = benchmarksPage(runs)
writeFileSync(join(DOCS, 'benchmarks.md'), text)
mkdirSync(join(DOCS, PLOTS), { recursive: true })
for (const name of readdirSync(join(DOCS, PLOTS))) {
  if (!plots.has(name)) rmSync(join(DOCS, PLOTS, name))
}
for (const [name, plot] of plots) writeFileSync(join(DOCS, PLOTS, name), plot)
writeFileSync(README, withSummary(readFileSync(README, 'utf8'), runs))
console.log(`docs/benchmarks.md of ${runs.length} runs, with ${plots.size} plots`)
