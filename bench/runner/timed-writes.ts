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
  /** Records before the clock starts, where there are not as many as usual. */
  readonly warmUpCount?: number
}

/** Writes the batch with this number, counted from 0; a promise is waited for. */
export type WriteBatch = (batch: number) => void | Promise<void>

/** Calls `writeBatch` for each batch, one after the other. */
export async function timedWrites(
  { dataset, recordCount, batchRecords, warmUpCount }: WritePlan,
  writeBatch: WriteBatch,
): Promise<Timed> {
  const batchCount = Math.ceil(recordCount / batchRecords)
  const warmUpBatches = Math.ceil((warmUpCount ?? warmUpFor(recordCount)) / batchRecords)
  await written(writeBatch, 0, warmUpBatches)
  await turn()
  const measuredRecords = batchCount * batchRecords
  const measurement = await timed(measuredRecords, dataset.byteCount(measuredRecords), () =>
    written(writeBatch, warmUpBatches, warmUpBatches + batchCount),
  )
  return { measurement, writtenCount: (warmUpBatches + batchCount) * batchRecords }
}

/** Stays synchronous as long as the writes are: theirs is not the time of a turn. */
function written(writeBatch: WriteBatch, from: number, to: number): void | Promise<void> {
  for (let batch = from; batch < to; batch += 1) {
    const pending = writeBatch(batch)
    if (pending !== undefined) return rest(pending, writeBatch, batch + 1, to)
  }
}

async function rest(
  first: Promise<void>,
  writeBatch: WriteBatch,
  from: number,
  to: number,
): Promise<void> {
  await first
  for (let batch = from; batch < to; batch += 1) await writeBatch(batch)
}
