/**
 * OffsetsWriter: appends what became of positions to the topic of committed offsets.
 *
 * Owns the memory in which values are encoded, which is used again.
 *   I1  a position changes when the batch that says so was appended, and not before
 */
import { offsetValueBytes, writeOffsetValue } from '../format/offset-commit.ts'
import { RecordBatchBuilder, type BatchProducer } from '../format/record-batch-builder.ts'
import type { GroupPosition } from './group-positions.ts'
import type { PartitionLog } from './partition-log.ts'

/** What becomes of a position; `offset: null` takes it back. */
export type PositionChange =
  | { readonly position: GroupPosition; readonly offset: null }
  | {
      readonly position: GroupPosition
      readonly offset: number
      readonly leaderEpoch: number
      readonly metadata: string
      readonly commitTimestampMs: number
    }

/** A change that was appended and does not count yet, and where it is. */
export interface StagedChange {
  readonly change: PositionChange
  readonly writtenAt: number
}

/** How changes of a transaction are appended. */
export interface StagingOptions {
  readonly nowMs: number
  /** What the next batch in that log is finished with. */
  readonly producerFor: (log: PartitionLog) => BatchProducer
  /** Where what was appended is added. */
  readonly staged: StagedChange[]
}

/** Writes to whichever partition of the topic it is told to. */
export class OffsetsWriter {
  readonly #builder = new RecordBatchBuilder()
  /** A value without metadata, which is nearly every one. */
  readonly #plainValue = Buffer.alloc(offsetValueBytes(0))

  /**
   * Appends these changes of one group, in one batch unless that would be too large; makes them.
   * @throws {LogError} NO_SPACE, IO, READ_ONLY, CLOSED: the changes of batches that were appended
   *   before are made, no others.
   */
  write(log: PartitionLog, changes: readonly PositionChange[], nowMs: number): void {
    let done = 0
    while (done < changes.length) {
      const count = this.#encode(log, changes, done, nowMs)
      this.#builder.finish('none')
      let { baseOffset: writtenAt } = log.append(this.#builder)
      const written = changes.slice(done, done + count)
      for (const change of written) changePosition(change, writtenAt++) // I1
      done += count
    }
  }

  /**
   * As `write`, in batches of a transaction: changes nothing, and says where each was appended.
   * @throws {LogError} As `write`.
   */
  stage(
    log: PartitionLog,
    changes: readonly PositionChange[],
    { nowMs, producerFor, staged }: StagingOptions,
  ): void {
    let done = 0
    while (done < changes.length) {
      // First: it may append a marker, where the batch would be encoded.
      const producer = producerFor(log)
      const count = this.#encode(log, changes, done, nowMs)
      this.#builder.finish('none', producer)
      let { baseOffset: writtenAt } = log.append(this.#builder)
      for (const change of changes.slice(done, done + count)) {
        staged.push({ change, writtenAt: writtenAt++ })
      }
      done += count
    }
  }

  /** Encodes what fits one batch, from number `from` on; returns how many that are. */
  #encode(
    log: PartitionLog,
    changes: readonly PositionChange[],
    from: number,
    nowMs: number,
  ): number {
    const builder = this.#builder
    const { buffer, start } = log.tail.reserve()
    builder.begin(buffer, start)
    for (const change of changes.slice(from)) {
      const { key } = change.position
      const value = this.#valueOf(change)
      const sizeBytes = builder.sizeAfter(nowMs, key, value, null)
      if (builder.recordCount > 0 && sizeBytes > log.config.maxMessageBytes) break
      builder.add(nowMs, key, value, null)
    }
    return builder.recordCount
  }

  /** Null for a position that is taken back. Borrowed until the next call. */
  #valueOf(change: PositionChange): Buffer | null {
    if (change.offset === null) return null
    const value =
      change.metadata === ''
        ? this.#plainValue
        : Buffer.allocUnsafe(offsetValueBytes(Buffer.byteLength(change.metadata)))
    writeOffsetValue(value, change)
    return value
  }
}

/** Makes the change, which was appended at `writtenAt`. */
export function changePosition(change: PositionChange, writtenAt: number): void {
  const { position } = change
  position.writtenAt = writtenAt
  if (change.offset === null) {
    position.clear()
    return
  }
  position.offset = change.offset
  position.leaderEpoch = change.leaderEpoch
  position.metadata = change.metadata
  position.commitTimestampMs = change.commitTimestampMs
}
