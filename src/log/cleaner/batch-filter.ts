/**
 * BatchFilter: what a pass of the cleaner keeps of each batch, by Kafka's rules (Cleaner,
 * CleanedTransactionMetadata; KIP-98, KIP-354, KIP-534), and one of ours: records without a key
 * stay. They were there before the topic was compacted.
 *
 *   of data       the last record of each key; a tombstone until the horizon of its batch; nothing
 *                 of an aborted transaction, and nothing below the start of the log
 *   of a marker   all of it while anything of its transaction is there, then until its horizon
 *   an empty batch is left where its producer's last sequence, or the last offset of the segments
 *   that are replaced by one, would be lost with it
 *
 *   I1  a tombstone or marker gets its horizon by the first pass that has seen all that came before
 *       it, and the horizon never moves
 *   I2  a record at `endOffset` or behind it stays: no key behind it was looked at
 *   I3  batches come in the order of the log, from its first segment on: of each transaction it is
 *       known whether a batch was there when its marker comes
 */
import { type Codec, codecOfAttributes, isCodecAvailable } from '../../format/compression.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseTimestampOf,
  hasDeleteHorizon,
  isControlBatch,
  isTransactionalBatch,
  lastOffsetOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  writeEmptyBatch,
} from '../../format/record-batch.ts'
import { LogError } from '../../errors/log-error.ts'
import { RecordBatchReader } from '../../format/record-batch-reader.ts'
import { RetainedBatch } from '../../format/retained-batch.ts'
import { MarkerReader } from '../marker-batch.ts'
import type { CleanedSegment } from './cleaned-segment.ts'
import type { KeyOffsets } from './key-offsets.ts'
import type { SegmentBatches } from './segment-batches.ts'
import type { TransactionFacts } from './transaction-facts.ts'

/** Position of a segment's last byte at most. */
const MAX_SEGMENT_BYTES = 0x7fff_ffff
const NO_HORIZON = -1
/** To compress takes as long as to look at so many times the bytes. */
const COMPRESSION_COST = 4

/** The last that is known of a producer. */
export interface LastOfProducer {
  readonly producerEpoch: number
  /** Of its last batch; -1 where it has none of its epoch, only markers. */
  readonly lastOffset: number
}

/** What a pass goes by. */
export interface PassRules {
  readonly keys: KeyOffsets
  /** Keys are known up to here. */
  readonly endOffset: number
  readonly logStartOffset: number
  readonly nowMs: number
  readonly deleteRetentionMs: number
  readonly maxDecompressedBytes: number
  readonly compressionType: 'producer' | Codec
  /** By producer id. */
  readonly producers: ReadonlyMap<number, LastOfProducer>
  readonly facts: TransactionFacts
}

/** The place of a batch among those that one new segment is made of. */
export interface GroupPlace {
  /** It is the last. */
  readonly isLast: boolean
  /** Bytes behind it. */
  readonly bytesBehind: number
}

/** What a pass counted. */
export interface FilterCounts {
  records: number
  kept: number
  /** Kept although they have no key. */
  keyless: number
}

/** See the file's header. */
export class BatchFilter {
  counts: FilterCounts = { records: 0, kept: 0, keyless: 0 }
  /** Bytes of the last batch, unpacked: what looking at it took. */
  lookedAtBytes = 0
  readonly #rules: PassRules
  readonly #reader = new RecordBatchReader()
  readonly #retained = new RetainedBatch()
  readonly #markers = new MarkerReader()
  /** Producers of transactions of which a batch was there, and not the marker yet. */
  #seen: Set<number> = new Set()
  #hasTombstone = false

  constructor(rules: PassRules) {
    this.#rules = rules
  }

  /** Where it stands, to go back to. */
  state(): { readonly counts: FilterCounts; readonly seen: ReadonlySet<number> } {
    return { counts: { ...this.counts }, seen: new Set(this.#seen) }
  }

  /** Goes back to where it stood. */
  restore({ counts, seen }: ReturnType<BatchFilter['state']>): void {
    this.counts = { ...counts }
    this.#seen = new Set(seen)
  }

  /**
   * Puts what stays of a batch into `output`; true where that is all of it, as it is. Without an
   * output nothing is put anywhere.
   * @throws {CorruptBytes} where the batch cannot be decoded. {LogError} NO_SPACE or IO.
   */
  filter(batches: SegmentBatches, output: CleanedSegment | undefined, place: GroupPlace): boolean {
    const { buffer, at } = batches
    const attributes = attributesOf(buffer, at)
    this.lookedAtBytes = batches.batchBytes
    return isControlBatch(attributes)
      ? this.#filterMarker(batches, output, place, attributes)
      : this.#filterData(batches, output, place, attributes)
  }

  #filterMarker(
    batches: SegmentBatches,
    output: CleanedSegment | undefined,
    place: GroupPlace,
    attributes: number,
  ): boolean {
    const { buffer, at } = batches
    const isEmpty = recordCountOf(buffer, at) === 0
    const outcome = isEmpty ? 'other' : this.#markers.read(buffer, at)
    const isOver = outcome !== 'other' && !this.#seen.delete(producerIdOf(buffer, at))
    const horizonMs = horizonOf(buffer, at, attributes)
    const isExpired = isOver && horizonMs !== NO_HORIZON && horizonMs <= this.#rules.nowMs
    // Kafka leaves an empty batch of it, from which nobody reads the epoch again.
    const isDropped = isExpired && !this.#isAllOfProducer(buffer, at)
    if (isEmpty || isDropped) return this.#leaveEmpty(batches, output, place, isEmpty)
    if (outcome === 'abort' && output !== undefined) this.#noteAborted(buffer, at, output)
    const isDue = isOver && horizonMs === NO_HORIZON && this.#hasSeenAllBefore(buffer, at)
    if (!isDue) return copyWhole(batches, output)
    this.#begin(batches)
    while (this.#reader.next()) this.#keep()
    return this.#write(batches, output, place, true)
  }

  /** Who holds the batches as they were asks about them: its entry stays as long as the marker. */
  #noteAborted(buffer: Buffer, at: number, output: CleanedSegment): void {
    const entry = this.#rules.facts.abortedBy(producerIdOf(buffer, at), lastOffsetOf(buffer, at))
    if (entry !== undefined) output.addAborted(entry)
  }

  #filterData(
    batches: SegmentBatches,
    output: CleanedSegment | undefined,
    place: GroupPlace,
    attributes: number,
  ): boolean {
    const { buffer, at } = batches
    const rules = this.#rules
    const recordCount = recordCountOf(buffer, at)
    this.counts.records += recordCount
    const baseOffset = baseOffsetOf(buffer, at)
    if (isTransactionalBatch(attributes)) {
      const producerId = producerIdOf(buffer, at)
      this.#seen.add(producerId)
      if (recordCount > 0 && rules.facts.isAborted(producerId, baseOffset)) {
        return this.#leaveEmpty(batches, output, place, false)
      }
    }
    if (recordCount === 0) return this.#leaveEmpty(batches, output, place, true)
    if (baseOffset >= Math.max(rules.endOffset, rules.logStartOffset)) {
      this.counts.kept += recordCount
      return copyWhole(batches, output)
    }
    const horizonMs = horizonOf(buffer, at, attributes)
    this.#choose(batches, horizonMs !== NO_HORIZON && horizonMs <= rules.nowMs)
    const { keptCount } = this.#retained
    this.counts.kept += keptCount
    if (keptCount === 0) return this.#leaveEmpty(batches, output, place, false)
    const isTombstone = this.#hasTombstone && horizonMs === NO_HORIZON
    const isDue = isTombstone && this.#hasSeenAllBefore(buffer, at)
    if (keptCount === recordCount && !isDue) return copyWhole(batches, output)
    return this.#write(batches, output, place, isDue)
  }

  /** Goes through the records of the batch and notes which stay. Hot. */
  #choose(batches: SegmentBatches, areTombstonesOver: boolean): void {
    const { keys, endOffset, logStartOffset } = this.#rules
    const reader = this.#reader
    this.#begin(batches)
    while (reader.next()) {
      const { offset, keyLength } = reader
      if (offset < logStartOffset) {
        this.#pass()
      } else if (offset >= endOffset) {
        this.#keep()
      } else if (keyLength < 0) {
        this.counts.keyless += 1
        this.#keep()
      } else if (offset < keys.offsetOf(reader.buffer, reader.keyStart, keyLength)) {
        this.#pass()
      } else if (reader.valueLength >= 0) {
        this.#keep()
      } else if (areTombstonesOver) {
        this.#pass()
      } else {
        this.#hasTombstone = true
        this.#keep()
      }
    }
    if (reader.buffer !== batches.buffer) this.lookedAtBytes = reader.buffer.length
  }

  /** Where the current record of the reader starts. */
  #recordStart = 0

  #begin({ buffer, at }: SegmentBatches): void {
    this.#reader.reset(buffer, at, this.#rules.maxDecompressedBytes)
    this.#retained.begin(buffer, at)
    this.#hasTombstone = false
    const isPlain = codecOfAttributes(attributesOf(buffer, at)) === 'none'
    this.#recordStart = isPlain ? at + BATCH_HEADER_BYTES : 0
  }

  #keep(): void {
    const { position, timestamp } = this.#reader
    this.#retained.keep(this.#recordStart, position, timestamp)
    this.#recordStart = position
  }

  #pass(): void {
    this.#recordStart = this.#reader.position
  }

  /**
   * Writes what was kept. Where the segment could not take that, what was compressed stays so, and
   * then it gets no horizon: what goes must go all the same, or a tombstone would go before it.
   * @throws {LogError} NO_SPACE where even that is more than the segment can take.
   */
  #write(
    batches: SegmentBatches,
    output: CleanedSegment | undefined,
    place: GroupPlace,
    getsHorizon: boolean,
  ): boolean {
    if (output === undefined) return false
    const { nowMs, deleteRetentionMs } = this.#rules
    const { bytesBehind } = place
    const horizonMs = getsHorizon ? nowMs + deleteRetentionMs : NO_HORIZON
    const attributes = attributesOf(batches.buffer, batches.at)
    const codec = this.#codecFor(attributes, this.#rules.compressionType)
    // Room also for what is packed worse here than it was.
    if (this.#writeAs(batches, output, codec, horizonMs, 2 * bytesBehind)) return false
    const ownCodec = this.#codecFor(attributes, 'producer')
    if (this.#writeAs(batches, output, ownCodec, horizonMs, bytesBehind)) return false
    if (this.#retained.keptCount === recordCountOf(batches.buffer, batches.at)) {
      return copyWhole(batches, output)
    }
    if (this.#writeAs(batches, output, ownCodec, NO_HORIZON, bytesBehind)) return false
    throw new LogError('NO_SPACE', 'a segment that is compacted would be too long', {})
  }

  /** False where it is larger than the batch was, and leaves no room for `bytesBehind`. */
  #writeAs(
    { batchBytes }: SegmentBatches,
    output: CleanedSegment,
    codec: Codec,
    deleteHorizonMs: number,
    bytesBehind: number,
  ): boolean {
    if (codec !== 'none') this.lookedAtBytes *= COMPRESSION_COST
    const form = { codec, deleteHorizonMs }
    const sizeBytes = this.#retained.writeTo(output, this.#reader.buffer, form)
    const isTooLong = output.sizeBytes + sizeBytes + bytesBehind > MAX_SEGMENT_BYTES
    if (isTooLong && sizeBytes > batchBytes) return false
    output.take()
    return true
  }

  /** Leaves the offsets of a batch, where something needs them, without a record. */
  #leaveEmpty(
    batches: SegmentBatches,
    output: CleanedSegment | undefined,
    { isLast }: GroupPlace,
    wasEmpty: boolean,
  ): boolean {
    const { buffer, at } = batches
    if (!isLast && !this.#isLastOfProducer(buffer, at)) return false
    if (wasEmpty) return copyWhole(batches, output)
    if (output !== undefined) {
      const target = output.reserve(BATCH_HEADER_BYTES)
      writeEmptyBatch(buffer, at, output.buffer, target)
      output.take()
    }
    return false
  }

  /** True of the batch from which the last sequence of its producer is read again. */
  #isLastOfProducer(buffer: Buffer, at: number): boolean {
    const last = this.#rules.producers.get(producerIdOf(buffer, at))
    return last !== undefined && last.lastOffset === lastOffsetOf(buffer, at)
  }

  /** True of a marker from which alone the epoch of its producer is read again. */
  #isAllOfProducer(buffer: Buffer, at: number): boolean {
    const last = this.#rules.producers.get(producerIdOf(buffer, at))
    const isOnlyMarkers = last !== undefined && last.lastOffset < 0
    return isOnlyMarkers && last.producerEpoch === producerEpochOf(buffer, at)
  }

  /** See I1. */
  #hasSeenAllBefore(buffer: Buffer, at: number): boolean {
    return lastOffsetOf(buffer, at) < this.#rules.endOffset
  }

  /** The topic's codec, or the batch's own; where that cannot be written here, one that can. */
  #codecFor(attributes: number, compressionType: PassRules['compressionType']): Codec {
    const wanted = compressionType === 'producer' ? codecOfAttributes(attributes) : compressionType
    return isCodecAvailable(wanted, 'compress') ? wanted : 'gzip'
  }
}

function horizonOf(buffer: Buffer, at: number, attributes: number): number {
  return hasDeleteHorizon(attributes) ? baseTimestampOf(buffer, at) : NO_HORIZON
}

function copyWhole(batches: SegmentBatches, output: CleanedSegment | undefined): boolean {
  output?.copy(batches.buffer, batches.at, batches.batchBytes)
  return true
}
