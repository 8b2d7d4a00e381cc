/**
 * How far a group, or one of its members, is behind: from a position to the highWatermark.
 */
import type { ReadablePartition } from '../../log/readable-partition.ts'
import type { Lag } from '../group-types.ts'

/** Where somebody goes on in a partition. */
export interface ReadingPlace {
  readonly log: ReadablePartition
  readonly offset: number
}

/** The lag of those who go on at `places`, in their order. */
export function lagOf(places: Iterable<ReadingPlace>): Lag {
  const partitions: Lag['partitions'][number][] = []
  let total = 0
  for (const { log, offset } of places) {
    const { topic, partition, highWatermark } = log
    const lag = Math.max(0, highWatermark - offset)
    partitions.push({ topic, partition, lag })
    total += lag
  }
  return { total, partitions }
}
