/**
 * What the rounds of a case say: medians with their spread, and ratios taken within each round
 * before their median is, so that a slow spell of the machine does not count against anybody.
 */
import type { Measurement, Strain } from './question.ts'
import type { Answer } from './rounds.ts'

/** The middle of several numbers, and how far the outermost are apart, as a part of it. */
export interface Summary {
  readonly median: number
  readonly spread: number
}

/** One contestant's row. */
export interface Row {
  readonly name: string
  readonly role: Answer['role']
  readonly recordsPerSecond: Summary
  readonly megabytesPerSecond: number
  readonly userNsPerRecord: Summary
  readonly systemNsPerRecord: number
  readonly milliseconds: Summary
  /** How many times better than the best peer this is, by records/s or time. */
  readonly againstBestPeer: number
  /** The same by user CPU per record: below 1 is less. */
  readonly userAgainstBestPeer: number
  /** The same against the first limit. */
  readonly againstLimit: number
  /** Medians, where it was looked at. */
  readonly strain?: Strain
  /** Of other figures, by their headings. */
  readonly also: Readonly<Record<string, Summary>>
}

const NS_PER_SECOND = 1e9
const NS_PER_MS = 1e6
const BYTES_PER_MB = 1e6

/** The rows of a case, in the order of its contestants. */
export function rowsOf(answers: readonly Answer[]): readonly Row[] {
  const bestPeer = answers
    .filter(({ role }) => role === 'peer')
    .toSorted((a, b) => summaryOf(b, perSecond).median - summaryOf(a, perSecond).median)[0]
  const limit = answers.find(({ role }) => role === 'limit')
  return answers.map((answer) => ({
    name: answer.name,
    role: answer.role,
    recordsPerSecond: summaryOf(answer, perSecond),
    megabytesPerSecond: summaryOf(
      answer,
      ({ byteCount, wallNs }) => byteCount / BYTES_PER_MB / (wallNs / NS_PER_SECOND),
    ).median,
    userNsPerRecord: summaryOf(answer, userPerRecord),
    systemNsPerRecord: summaryOf(answer, (one) => one.systemNs / one.recordCount).median,
    milliseconds: summaryOf(answer, ({ wallNs }) => wallNs / NS_PER_MS),
    againstBestPeer: ratio(answer, bestPeer, perSecond),
    userAgainstBestPeer: ratio(answer, bestPeer, userPerRecord),
    againstLimit: ratio(answer, limit, perSecond),
    ...strainOf(answer),
    also: alsoOf(answer),
  }))
}

function alsoOf({ rounds }: Answer): Row['also'] {
  const names = Object.keys(rounds[0]?.also ?? {})
  return Object.fromEntries(
    names.map((name) => [name, summary(rounds.map(({ also }) => also?.[name] ?? NaN))]),
  )
}

function strainOf({ rounds }: Answer): Pick<Row, 'strain'> {
  const found = rounds.flatMap(({ strain }) => (strain === undefined ? [] : [strain]))
  if (found.length === 0) return {}
  const medianOf = (value: (strain: Strain) => number): number => summary(found.map(value)).median
  return {
    strain: {
      delayP99Ns: medianOf(({ delayP99Ns }) => delayP99Ns),
      delayMaxNs: medianOf(({ delayMaxNs }) => delayMaxNs),
      addedBytes: medianOf(({ addedBytes }) => addedBytes),
    },
  }
}

/** Who the best peer of a case is; undefined where there is none. */
export function bestPeerOf(rows: readonly Row[]): string | undefined {
  const peers = rows.filter(({ role }) => role === 'peer')
  return peers.toSorted((a, b) => b.recordsPerSecond.median - a.recordsPerSecond.median)[0]?.name
}

/** Median and spread of some numbers. */
function summary(numbers: readonly number[]): Summary {
  const sorted = numbers.toSorted((a, b) => a - b)
  const low = sorted[(sorted.length - 1) >> 1] ?? NaN
  const high = sorted[sorted.length >> 1] ?? NaN
  const median = (low + high) / 2
  return { median, spread: ((sorted.at(-1) ?? NaN) - (sorted[0] ?? NaN)) / median }
}

function summaryOf({ rounds }: Answer, value: (round: Measurement) => number): Summary {
  return summary(rounds.map((round) => value(round)))
}

function ratio(
  one: Answer,
  other: Answer | undefined,
  value: (round: Measurement) => number,
): number {
  const ratios = one.rounds.flatMap((round, index) => {
    const beside = other?.rounds[index]
    return beside === undefined ? [] : [value(round) / value(beside)]
  })
  return summary(ratios).median
}

function perSecond({ recordCount, wallNs }: Measurement): number {
  return recordCount / (wallNs / NS_PER_SECOND)
}

function userPerRecord({ userNs, recordCount }: Measurement): number {
  return userNs / recordCount
}
