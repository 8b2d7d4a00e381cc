/**
 * PartitionLane: what a producer has on its way to one partition, and what the topic's settings say
 * about batches there. Holds the batches in each of their stages; batcher.ts moves them on.
 *
 *   open -> ready -> appended        each in the order in which the batches were opened
 */
import type { Codec } from '../format/compression.ts'
import { BATCH_HEADER_BYTES, MAX_BATCH_BYTES } from '../format/record-batch.ts'
import type { ResolvedTopicConfig } from '../log/log-config.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { recordTooLarge } from './batch-parts.ts'
import type { PartitionBatch } from './partition-batch.ts'
import { checkCodec } from './producer-options.ts'

/** The way of a producer's records into one partition. */
export class PartitionLane {
  readonly log: PartitionLog
  /** The settings that codec and limit come from; undefined before the first `configure`. */
  config: ResolvedTopicConfig | undefined
  /** Of the batches that open from now on. */
  codec: Codec = 'none'
  /** Another record must not take a batch beyond it; bytes before compression, header included. */
  limitBytes = 0
  /** Gathers records; null between batches. */
  open: PartitionBatch | null = null
  /** Closed, waiting until the partition has synced enough. */
  readonly ready: PartitionBatch[] = []
  isWaitingForSync = false
  /** In the log, waiting for a sync from the end of the turn on. */
  appended: PartitionBatch[] = []
  /** Its place among the lanes with an open batch; the batcher's. −1 for none. */
  slot = -1

  constructor(log: PartitionLog) {
    this.log = log
  }

  /**
   * Takes over the topic's settings, as new ones or as changed.
   * @throws {LogError} `INVALID_ARGUMENT` where its codec has no package here: nothing changed.
   */
  configure(batchBytes: number, compression: Codec): void {
    const { config, topic } = this.log
    const { compressionType, maxMessageBytes, maxDecompressedBytes } = config
    this.codec =
      compressionType === 'producer'
        ? compression
        : checkCodec(compressionType, `${topic}: compressionType`)
    const readableBytes = this.codec === 'none' ? maxMessageBytes : maxDecompressedBytes
    this.limitBytes = Math.min(batchBytes, maxMessageBytes, readableBytes)
    this.config = config
  }

  /**
   * Refuses a record of `recordBytes` that can never be stored. One that is compressed may still
   * turn out too large.
   * @throws {LogError} `RECORD_TOO_LARGE`
   */
  checkRecord(recordBytes: number): void {
    const { maxMessageBytes, maxDecompressedBytes } = this.log.config
    const batchBytes = BATCH_HEADER_BYTES + recordBytes
    if (this.codec === 'none') {
      if (batchBytes > maxMessageBytes)
        throw recordTooLarge(this.log, batchBytes, 'maxMessageBytes')
    } else if (recordBytes > Math.min(maxDecompressedBytes, MAX_BATCH_BYTES - BATCH_HEADER_BYTES)) {
      // Readers refuse to unpack more: it would be stored and never read.
      throw recordTooLarge(this.log, batchBytes, 'maxDecompressedBytes')
    }
  }
}
