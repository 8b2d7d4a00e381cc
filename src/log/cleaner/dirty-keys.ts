/**
 * The first half of a pass: the keys of what is not compacted yet, and the last offset of each, as
 * far as memory goes (Kafka's buildOffsetMap, record by record).
 */
import { CorruptBytes } from '../../errors/corrupt-bytes.ts'
import {
  attributesOf,
  baseOffsetOf,
  isControlBatch,
  isTransactionalBatch,
  lastOffsetOf,
  producerIdOf,
  recordCountOf,
} from '../../format/record-batch.ts'
import { RecordBatchReader } from '../../format/record-batch-reader.ts'
import type { Procedure } from '../../storage/procedure.ts'
import type { KeyOffsets } from './key-offsets.ts'
import type { PassWork } from './pass-work.ts'
import { type CleanedLog, SegmentBatches } from './segment-batches.ts'
import type { TransactionFacts } from './transaction-facts.ts'

/** What `readDirtyKeys` returns where the work was stopped. */
export const STOPPED = -1

/** Where keys are read, and what is known of it. */
export interface DirtyLog {
  readonly log: CleanedLog & { readonly config: { readonly maxDecompressedBytes: number } }
  readonly facts: TransactionFacts
  readonly work: PassWork
}

/**
 * Notes the keys of [firstOffset, endOffset), whole segments but for the first. Returns where the
 * keys end that found room; STOPPED where the work was to end.
 * @throws {LogError} CORRUPT, UNSUPPORTED_FORMAT, IO.
 */
export function* readDirtyKeys(
  dirty: DirtyLog,
  keys: KeyOffsets,
  firstOffset: number,
  endOffset: number,
): Procedure<number> {
  const { log, facts, work } = dirty
  const batches = new SegmentBatches(log)
  const taker = new KeyTaker(keys, facts, log.config.maxDecompressedBytes, firstOffset)
  for (const segment of [...log.segments]) {
    if (segment.nextOffset <= firstOffset) continue
    if (segment.baseOffset >= endOffset) break
    batches.enter(segment)
    for (;;) {
      if (!batches.next()) {
        if (batches.isAtEnd) break
        if (!(yield* work.read(batches))) return STOPPED
        continue
      }
      if (!facts.isLoaded && isTransactionalBatch(attributesOf(batches.buffer, batches.at))) {
        yield* facts.load(work)
        if (!facts.isLoaded) return STOPPED
      }
      let fullAt = taker.take(batches)
      while (fullAt >= 0 && keys.canGrow) {
        yield* keys.grow()
        fullAt = taker.take(batches) // Those that it took before are found.
      }
      if (fullAt >= 0) return fullAt
      if (work.isSliceOver(taker.lookedAtBytes) && !(yield* work.turn())) return STOPPED
    }
  }
  return endOffset
}

/** Takes the keys of one batch after the other. */
class KeyTaker {
  /** Bytes of the last batch, unpacked. */
  lookedAtBytes = 0
  readonly #keys: KeyOffsets
  readonly #facts: TransactionFacts
  readonly #maxDecompressedBytes: number
  readonly #firstOffset: number
  readonly #reader = new RecordBatchReader()

  constructor(
    keys: KeyOffsets,
    facts: TransactionFacts,
    maxDecompressedBytes: number,
    firstOffset: number,
  ) {
    this.#keys = keys
    this.#facts = facts
    this.#maxDecompressedBytes = maxDecompressedBytes
    this.#firstOffset = firstOffset
  }

  /** Takes the keys of a batch; the offset of the first that found no room, or -1. */
  take(batches: SegmentBatches): number {
    const { buffer, at } = batches
    this.lookedAtBytes = batches.batchBytes
    const attributes = attributesOf(buffer, at)
    if (isControlBatch(attributes) || recordCountOf(buffer, at) === 0) return -1
    if (lastOffsetOf(buffer, at) < this.#firstOffset) return -1
    if (isTransactionalBatch(attributes)) {
      const producerId = producerIdOf(buffer, at)
      if (this.#facts.isAborted(producerId, baseOffsetOf(buffer, at))) return -1
    }
    try {
      return this.#takeRecords(buffer, at)
    } catch (error) {
      throw error instanceof CorruptBytes ? batches.undecodable(error) : error
    }
  }

  /** Hot. */
  #takeRecords(buffer: Buffer, at: number): number {
    const keys = this.#keys
    const reader = this.#reader
    const firstOffset = this.#firstOffset
    reader.reset(buffer, at, this.#maxDecompressedBytes)
    while (reader.next()) {
      const { keyLength, offset } = reader
      if (keyLength < 0 || offset < firstOffset) continue
      if (!keys.put(reader.buffer, reader.keyStart, keyLength, offset)) return offset
    }
    if (reader.buffer !== buffer) this.lookedAtBytes = reader.buffer.length
    return -1
  }
}
