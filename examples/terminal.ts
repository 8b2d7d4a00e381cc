/**
 * What the quickstart shows while it works and at its end: a progress bar on a terminal and plain
 * lines elsewhere (a log file, CI), and a small bar chart.
 */
import { Presets, SingleBar } from 'cli-progress'

const PLAIN_STEPS = 4
const CHART_COLUMNS = 40

/** How far a job is. */
export interface Progress {
  /** `done` of the total that was given. Cheap: call it as often as you like. */
  at(done: number): void
  stop(): void
}

/** Starts to show the progress of a job of `total` steps. */
export function showProgress(label: string, total: number): Progress {
  return process.stdout.isTTY ? progressBar(label, total) : progressLines(label, total)
}

function progressBar(label: string, total: number): Progress {
  const format = `${label.padEnd(8)} {bar} {percentage} % | {value} of {total}`
  const options = { format, hideCursor: true, stream: process.stdout }
  const bar = new SingleBar(options, Presets.shades_classic)
  bar.start(total, 0)
  return {
    at: (done) => bar.update(done),
    stop: () => bar.stop(),
  }
}

function progressLines(label: string, total: number): Progress {
  let shown = 0
  return {
    at(done) {
      const step = Math.floor((done / total) * PLAIN_STEPS)
      if (step === shown) return
      shown = step
      console.log(`${label}: ${count(done)} of ${count(total)}`)
    },
    stop: () => undefined,
  }
}

/** A line for each name and value, drawn in proportion to the largest. */
export function barChart(bars: readonly (readonly [name: string, value: number])[]): string {
  const largest = Math.max(1, ...bars.map(([, value]) => value))
  const lines = bars.map(([name, value]) => {
    const bar = '█'.repeat(Math.round((value / largest) * CHART_COLUMNS))
    return `  ${name} ${bar.padEnd(CHART_COLUMNS)} ${count(value)}`
  })
  return lines.join('\n')
}

/** A count as people write it. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}
