/**
 * CleanerProgress: up to where each partition of an open log is compacted, as
 * cleaner-offset-checkpoint has it. Too low an offset costs a pass that finds nothing; one that
 * does not lie in what can be compacted counts as the log's start.
 */
import type { PartitionLog } from './partition-log.ts'

/** How far compaction has come. */
export class CleanerProgress {
  readonly #offsets = new Map<PartitionLog, number>()

  /** Offsets by partition, as the checkpoint is to have them. */
  get offsets(): ReadonlyMap<PartitionLog, number> {
    return this.#offsets
  }

  /** The first offset of `log` that no pass has seen. */
  of(log: PartitionLog): number {
    const offset = this.#offsets.get(log)
    const { logStartOffset, segments } = log
    const isThere = offset !== undefined && offset >= logStartOffset
    return isThere && offset <= segments.active.baseOffset ? offset : logStartOffset
  }

  /** Everything below `offset` has been compacted. */
  set(log: PartitionLog, offset: number): void {
    this.#offsets.set(log, offset)
  }

  /** The topic is gone. */
  forget(log: PartitionLog): void {
    this.#offsets.delete(log)
  }
}
