/**
 * Writes in batches, first some that do not count: without warm-up whoever has more JavaScript is
 * measured while it is compiled.
 */
import { warmUpFor } from './scale.ts'
import { timed, turn } from './stopwatch.ts'
import type { Dataset } from './dataset.ts'
import type { Measurement } from './question.ts'

/** What is written. */
export interface WritePlan {
  readonly dataset: Dataset
  readonly recordCount: number
  readonly batchRecords: number
}

/** A measurement, and how many records are there now, those of the warm-up included. */
export interface TimedWrites {
  readonly measurement: Measurement
  readonly writtenCount: number
}

/** Calls `writeBatch` for each batch, synchronously; its argument counts the batches from 0. */
export async function timedWrites(
  { dataset, recordCount, batchRecords }: WritePlan,
  writeBatch: (batch: number) => void,
): Promise<TimedWrites> {
  const batchCount = Math.ceil(recordCount / batchRecords)
  const warmUpCount = Math.ceil(warmUpFor(recordCount) / batchRecords)
  for (let batch = 0; batch < warmUpCount; batch += 1) writeBatch(batch)
  await turn()
  const measuredRecords = batchCount * batchRecords
  const measurement = await timed(measuredRecords, dataset.byteCount(measuredRecords), () => {
    for (let batch = warmUpCount; batch < warmUpCount + batchCount; batch += 1) writeBatch(batch)
  })
  return { measurement, writtenCount: (warmUpCount + batchCount) * batchRecords }
}
