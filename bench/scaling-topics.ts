/**
 * What do topics cost, when there are many? 1 to 1,000 of one partition each, and the same work on
 * each of them, as scaling-partitions.ts asks it of partitions. 'create' makes all of them at once.
 */
import { spreadCases } from './contestants/spread-cases.ts'
import type { Question } from './runner/question.ts'

const QUICK = [1, 10, 100]
const FULL = [1, 10, 100, 1_000]

/** The question. */
export const scalingTopics: Question = {
  name: 'scaling-topics',
  asks: 'the same work on logs of more and more topics',
  answer: 'time',
  cases: ({ quick }) =>
    spreadCases(
      (quick ? QUICK : FULL).map((topicCount) => ({
        name: `${topicCount} topics`,
        spread: { topicCount, partitionCount: 1 },
      })),
      quick
        ? { batchCount: 10_000, enqueuedCount: 50_000, durableCount: 100 }
        : { batchCount: 50_000, enqueuedCount: 400_000, durableCount: 1_000 },
    ),
}
