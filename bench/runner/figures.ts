/**
 * Figures: the numbers that a measurement is asked for, each by the heading of its column. Tables,
 * plots and targets name them by that heading; what a question measured besides (`also`) is a
 * figure by its own heading.
 */
import type { Measurement } from './question.ts'

const NS_PER_US = 1e3
const NS_PER_MS = 1e6
const NS_PER_SECOND = 1e9
const BYTES_PER_MB = 1e6

const PEAK = 'peak MB'

interface Figure {
  readonly heading: string
  readonly of: (measurement: Measurement) => number | undefined
}

const SPEED: readonly Figure[] = [
  { heading: 'records/s', of: (one) => (one.recordCount / one.wallNs) * NS_PER_SECOND },
  {
    heading: 'MB/s',
    of: ({ byteCount, wallNs }) => byteCount / BYTES_PER_MB / (wallNs / NS_PER_SECOND),
  },
  { heading: 'user ns', of: ({ userNs, recordCount }) => userNs / recordCount },
  { heading: 'system ns', of: ({ systemNs, recordCount }) => systemNs / recordCount },
]
const TIME: readonly Figure[] = [{ heading: 'ms', of: ({ wallNs }) => wallNs / NS_PER_MS }]
const LATENCY: readonly Figure[] = [
  { heading: 'p50 µs', of: ({ latency }) => over(latency?.p50Ns, NS_PER_US) },
  { heading: 'p99 µs', of: ({ latency }) => over(latency?.p99Ns, NS_PER_US) },
  { heading: 'p99.9 µs', of: ({ latency }) => over(latency?.p999Ns, NS_PER_US) },
  { heading: 'longest µs', of: ({ latency }) => over(latency?.maxNs, NS_PER_US) },
]
const STRAIN: readonly Figure[] = [
  { heading: 'loop held ms p99', of: ({ strain }) => over(strain?.delayP99Ns, NS_PER_MS) },
  { heading: 'most', of: ({ strain }) => over(strain?.delayMaxNs, NS_PER_MS) },
  { heading: 'added MB', of: ({ strain }) => over(strain?.addedBytes, BYTES_PER_MB) },
]
const GARBAGE: readonly Figure[] = [
  {
    heading: 'GC ms/s',
    of: ({ gc, wallNs }) => over(gc?.pauseNs, (wallNs / NS_PER_SECOND) * NS_PER_MS),
  },
]
const MEMORY: readonly Figure[] = [
  { heading: 'grown MB', of: ({ memory }) => over(memory?.grownBytes, BYTES_PER_MB) },
  // Its own column nowhere: it is mostly what Node itself takes.
  { heading: PEAK, of: ({ memory }) => over(memory?.peakRssBytes, BYTES_PER_MB) },
]
const ALL: readonly Figure[] = [...SPEED, ...TIME, ...LATENCY, ...STRAIN, ...GARBAGE, ...MEMORY]

/** What is asked of every measurement of a question, by what its answer is. */
export function headingsFor(
  answer: 'throughput' | 'time',
  measurements: readonly Measurement[],
): readonly string[] {
  const always = (answer === 'time' ? TIME : SPEED).filter(
    ({ heading }) => heading !== 'MB/s' || measurements.some(({ byteCount }) => byteCount > 0),
  )
  const looked = [...LATENCY, ...STRAIN, ...(answer === 'time' ? [] : GARBAGE), ...MEMORY].filter(
    ({ heading, of }) => heading !== PEAK && measurements.some((one) => of(one) !== undefined),
  )
  const others = measurements.flatMap(({ also }) => Object.keys(also ?? {}))
  return [...new Set([...[...always, ...looked].map(({ heading }) => heading), ...others])]
}

/** The figure with this heading; NaN where a measurement has none. */
export function figureOf(measurement: Measurement, heading: string): number {
  const figure = ALL.find((one) => one.heading === heading)
  return (figure === undefined ? measurement.also?.[heading] : figure.of(measurement)) ?? NaN
}

/** Whether more of it is better. */
export function isMoreBetter(heading: string): boolean {
  return heading.endsWith('/s') && heading !== 'GC ms/s'
}

/** JSON has null for a number that is none. */
function over(value: number | null | undefined, unit: number): number | undefined {
  return typeof value === 'number' ? value / unit : undefined
}
