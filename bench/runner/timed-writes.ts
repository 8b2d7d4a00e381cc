/**
 * Writes in batches, first some that do not count: without warm-up whoever has more JavaScript is
 * measured while it is compiled.
 */
import type { Timed } from './contest.ts'
import { warmUpFor } from './scale.ts'
import { timed } from './stopwatch.ts'
import { turn } from './turn.ts'
import type { Dataset } from './dataset.ts'

/** What is written. */
export interface WritePlan {
  readonly dataset: Dataset
  readonly recordCount: number
  readonly batchRecords: number
}

/** Writes the batch with this number, counted from 0. */
export type WriteBatch = (batch: number) => void

/** Calls `writeBatch` for each batch, synchronously. */
export async function timedWrites(
  { dataset, recordCount, batchRecords }: WritePlan,
  writeBatch: WriteBatch,
): Promise<Timed> {
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
