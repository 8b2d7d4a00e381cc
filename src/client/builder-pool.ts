/**
 * BuilderPool: the builders of a producer's batches with their buffers, used again and again.
 *
 * A batch starts in whatever buffer a builder last had, so that a busy partition never allocates,
 * or in a small one, so that ten thousand quiet partitions cost little. What is kept is bounded by
 * count and by size; a buffer that one huge record made is dropped.
 */
import { RecordBatchBuilder } from '../format/record-batch-builder.ts'

const FIRST_BUFFER_BYTES = 4_096
const MAX_KEPT_BUFFER_BYTES = 1_048_576
const MAX_KEPT_BUILDERS = 32
const MAX_KEPT_BYTES = 4_194_304

/** Builders that are free. */
export class BuilderPool {
  readonly #free: RecordBatchBuilder[] = []
  #keptBytes = 0

  /** A builder whose batch has begun. Nobody else has it until it is given back. */
  take(): RecordBatchBuilder {
    const kept = this.#free.pop()
    if (kept === undefined) {
      const builder = new RecordBatchBuilder()
      builder.begin(Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES), 0)
      return builder
    }
    this.#keptBytes -= kept.buffer.length
    kept.begin(kept.buffer, 0)
    return kept
  }

  /** Gives a builder back, whose batch was appended or given up. */
  give(builder: RecordBatchBuilder): void {
    const { length } = builder.buffer
    if (length > MAX_KEPT_BUFFER_BYTES || this.#keptBytes + length > MAX_KEPT_BYTES) return
    if (this.#free.length >= MAX_KEPT_BUILDERS) return
    this.#keptBytes += length
    this.#free.push(builder)
  }
}
