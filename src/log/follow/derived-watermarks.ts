/**
 * DerivedWatermarks: up to where a log is stable that nobody publishes: no transaction is open
 * below that. Found by replaying batches, once each, from where no older one can matter:
 *
 *   a slot of this boot    its last stable offset: every transaction that was open began behind it
 *   a snapshot             what it says of its producers; the newest that can be used
 *   neither                the first segment
 *
 *   I1  each batch below `replayedTo` was replayed, but for damaged ones
 */
import { LogError } from '../../errors/log-error.ts'
import type { ProducerSnapshotEntry } from '../../format/producer-snapshot.ts'
import { batchSizeBytesOf, nextOffsetOf } from '../../format/record-batch.ts'
import { isMissingFile } from '../../storage/file-failure.ts'
import type { Procedure } from '../../storage/procedure.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import { nextTurn } from '../clock.ts'
import type { LogCursor } from '../log-cursor.ts'
import { readSnapshot, snapshotOffsets } from '../producer-snapshots.ts'
import { ProducerStates } from '../producer-states.ts'
import type { ReadablePartition } from '../readable-partition.ts'

/** Bytes read before other work of the process gets its turn. */
const SLICE_BYTES = 1_048_576

/** Where a replay begins. */
export interface ReplayStart {
  readonly offset: number
  readonly entries: readonly ProducerSnapshotEntry[]
}

/** Where the replay of a log that ends at `end` begins, with nothing published to go by. */
export function startOfReplay(
  driver: StorageDriver,
  log: Pick<ReadablePartition, 'directory' | 'segments'>,
  end: number,
): ReplayStart {
  const { directory, segments } = log
  const firstOffset = segments.first.baseOffset
  for (const offset of snapshotOffsets(driver.list(directory)).toReversed()) {
    if (offset > end) continue
    const entries = snapshotIn(driver, directory, offset)
    if (entries !== undefined) return { offset: Math.max(offset, firstOffset), entries }
  }
  return { offset: firstOffset, entries: [] }
}

/** The open transactions of one log that grows. */
export class DerivedWatermarks {
  readonly #producers: ProducerStates
  readonly #cursor: LogCursor
  #replayedTo: number

  /** Of `log`, from `start` on. */
  constructor(log: ReadablePartition, start: ReplayStart) {
    this.#producers = new ProducerStates(log)
    this.#producers.load(start.entries)
    this.#cursor = log.cursor(start.offset)
    this.#replayedTo = start.offset
  }

  /** First offset of the oldest open transaction; Infinity where none is open. */
  get firstUnstableOffset(): number {
    return this.#producers.firstUnstableOffset
  }

  /** Replays what is there below `end`. @throws {LogError} IO where it cannot be read. */
  *advance(end: number): Procedure<void> {
    let sliceBytes = 0
    for (;;) {
      const run = this.#next(end)
      if (run === undefined) break
      for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
        const nextOffset = nextOffsetOf(run.buffer, at)
        if (nextOffset <= this.#replayedTo) continue // It begins before the offset asked for.
        this.#producers.replay(run.buffer, at)
        this.#replayedTo = nextOffset
      }
      sliceBytes += run.end - run.start
      if (sliceBytes < SLICE_BYTES) continue
      sliceBytes = 0
      yield nextTurn
    }
  }

  #next(end: number): ReturnType<LogCursor['next']> {
    for (;;) {
      try {
        return this.#cursor.next(end)
      } catch (error) {
        if (!LogError.is(error, 'CORRUPT')) throw error
        this.#cursor.skipDamage() // I1
      }
    }
  }
}

/** Undefined also where its writer has removed it meanwhile. */
function snapshotIn(
  driver: StorageDriver,
  directory: string,
  offset: number,
): readonly ProducerSnapshotEntry[] | undefined {
  try {
    return readSnapshot(driver, directory, offset)
  } catch (error) {
    if (isMissingFile(error)) return undefined
    throw error
  }
}
