/**
 * RecordAudit: whether the records of a batch with a sound CRC can be decoded.
 *
 * What only this machine cannot decode is no damage: a codec whose package is not installed, a
 * timestamp that no JavaScript number holds, a batch larger than the topic allows to unpack.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'

const OF_THIS_MACHINE: ReadonlySet<CorruptBytes['reason']> = new Set([
  'codec-missing',
  'number',
  'limit',
])

/** Decodes batch after batch. */
export class RecordAudit {
  readonly #reader = new RecordBatchReader()
  readonly #maxDecompressedBytes: number

  constructor(maxDecompressedBytes: number) {
    this.#maxDecompressedBytes = maxDecompressedBytes
  }

  /** Why the batch at `at`, whose CRC was checked, cannot be decoded; undefined where it can. */
  flawOf(buffer: Buffer, at: number): string | undefined {
    const reader = this.#reader
    try {
      reader.reset(buffer, at, this.#maxDecompressedBytes)
      while (reader.next()) continue
      return undefined
    } catch (error) {
      if (!(error instanceof CorruptBytes)) throw error
      return OF_THIS_MACHINE.has(error.reason) ? undefined : error.message
    }
  }
}
