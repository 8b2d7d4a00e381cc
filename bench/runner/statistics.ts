/**
 * What the rounds of a case say: medians with their spread, and ratios taken within each round
 * before their median is, so that a slow spell of the machine does not count against anybody.
 */
import { figureOf, headingsFor, isMoreBetter } from './figures.ts'
import type { Measurement, Question } from './question.ts'
import type { Answer } from './rounds.ts'

/** The middle of several numbers, the outermost, and how far these are apart, as a part of it. */
export interface Summary {
  readonly median: number
  readonly lowest: number
  readonly highest: number
  readonly spread: number
}

/** One contestant's row. */
export interface Row {
  readonly name: string
  readonly role: Answer['role']
  /** By their headings; one that this contestant was not asked for is missing. */
  readonly figures: Readonly<Record<string, Summary>>
  /** How many times better than the best peer this is, by records/s or time. */
  readonly againstBestPeer: number
  /** The same by user CPU per record: below 1 is less. */
  readonly userAgainstBestPeer: number
  /** The same against the first limit. */
  readonly againstLimit: number
  /** Why rounds are missing. */
  readonly failed?: string
}

const SPEED = 'records/s'

/** The rows of a case, in the order of its contestants. */
export function rowsOf(answer: Question['answer'], answers: readonly Answer[]): readonly Row[] {
  const headings = headingsFor(
    answer,
    answers.flatMap(({ rounds }) => rounds),
  )
  const best = bestPeerOf(answers, SPEED)
  const limit = answers.find(({ role }) => role === 'limit')
  return answers.map((one) => ({
    name: one.name,
    role: one.role,
    figures: Object.fromEntries(
      headings
        .map((heading) => [heading, summaryOf(one, heading)] as const)
        .filter(([, { median }]) => !Number.isNaN(median)),
    ),
    againstBestPeer: ratioOf(one, best, SPEED).median,
    userAgainstBestPeer: ratioOf(one, best, 'user ns').median,
    againstLimit: ratioOf(one, limit, SPEED).median,
    ...(one.failed === undefined ? {} : { failed: one.failed }),
  }))
}

/** The peer that is best by a figure; undefined where there is none. */
export function bestPeerOf(answers: readonly Answer[], heading: string): Answer | undefined {
  const sign = isMoreBetter(heading) ? -1 : 1
  return answers
    .filter(({ role, rounds }) => role === 'peer' && rounds.length > 0)
    .map((answer) => ({ answer, median: summaryOf(answer, heading).median }))
    .filter(({ median }) => !Number.isNaN(median))
    .toSorted((a, b) => sign * (a.median - b.median))[0]?.answer
}

/** A figure of one contestant, over its rounds. */
export function summaryOf({ rounds }: Answer, heading: string): Summary {
  return summary(rounds.map((round) => figureOf(round, heading)))
}

/** How a figure of one contestant is to that of another one, round by round. */
export function ratioOf(one: Answer, other: Answer | undefined, heading: string): Summary {
  const beside = (round: Measurement, index: number): readonly number[] => {
    const paired = other?.rounds[index]
    return paired === undefined ? [] : [figureOf(round, heading) / figureOf(paired, heading)]
  }
  return summary(one.rounds.flatMap((round, index) => beside(round, index)))
}

/** Median and spread of some numbers; those that are none are left out. */
function summary(numbers: readonly number[]): Summary {
  const sorted = numbers.filter((number) => !Number.isNaN(number)).toSorted((a, b) => a - b)
  const lowest = sorted[0] ?? NaN
  const highest = sorted.at(-1) ?? NaN
  const low = sorted[(sorted.length - 1) >> 1] ?? NaN
  const high = sorted[sorted.length >> 1] ?? NaN
  const median = (low + high) / 2
  return { median, lowest, highest, spread: median === 0 ? 0 : (highest - lowest) / median }
}
