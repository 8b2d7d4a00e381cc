/**
 * What do partitions cost, when there are many? One topic of 1 to 10,000, and the same work on each
 * of them: the first row is the limit of the others. Without peers: nobody here has partitions.
 *
 * 'by key' puts neighbours of a batch into different partitions, so a batch shrinks to one record
 * where there are as many partitions as records in a turn: that is what so many partitions cost
 * anywhere. What is done to one partition, or to the log as a whole, must not depend on how many
 * others there are; opening, closing and making them may cost a fixed time for each.
 */
import { spreadCases } from './contestants/spread-cases.ts'
import type { Question } from './runner/question.ts'

const QUICK = [1, 10, 100]
const FULL = [1, 10, 100, 1_000, 10_000]

/** The question. */
export const scalingPartitions: Question = {
  name: 'scaling-partitions',
  asks: 'the same work on topics of more and more partitions',
  answer: 'time',
  cases: ({ quick }) =>
    spreadCases(
      (quick ? QUICK : FULL).map((partitionCount) => ({
        name: `${partitionCount} partitions`,
        spread: { topicCount: 1, partitionCount },
      })),
      quick
        ? { batchCount: 10_000, enqueuedCount: 50_000, durableCount: 100 }
        : { batchCount: 50_000, enqueuedCount: 400_000, durableCount: 1_000 },
    ),
}
