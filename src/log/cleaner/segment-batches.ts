/**
 * SegmentBatches: the batches of sealed segments one after the other, each checked before it is
 * handed out. Reads off the event loop, a mebibyte at a time; whoever goes through them calls
 * `read` when `next` has no more.
 *   I1  every byte of a segment is looked at, and is part of a whole batch: cleaning never goes
 *       around damage, whose bytes would be gone with the old files
 *   I2  what is handed out is borrowed until the next `read`
 *   I3  a segment that leaves the log meanwhile, as the oldest do when they are deleted, ends with
 *       what is in memory of it: its file may be closed
 */
import type { CorruptBytes } from '../../errors/corrupt-bytes.ts'
import { LogError } from '../../errors/log-error.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeBytesOf,
  checkBatch,
  nextOffsetOf,
} from '../../format/record-batch.ts'
import type { Procedure } from '../../storage/procedure.ts'
import type { Segment } from '../../storage/segment.ts'
import { isSafeHeader } from '../batch-walk.ts'
import type { SegmentList } from '../segment-list.ts'

const READ_BYTES = 1_048_576
const NO_BUFFER: Buffer = Buffer.alloc(0)

/** Whose segments are read. */
export interface CleanedLog {
  readonly topic: string
  readonly partition: number
  /** No offset was ever left out: a gap is damage. */
  readonly isGapless: boolean
  readonly segments: Iterable<Segment> & Pick<SegmentList, 'includes'>
}

/** See the file's header. */
export class SegmentBatches {
  /** Where the batch is. */
  buffer: Buffer = NO_BUFFER
  at = 0
  batchBytes = 0
  readonly #log: CleanedLog
  #segment: Segment | undefined
  #room: Buffer = NO_BUFFER
  /** Of the next batch, in the file. */
  #position = 0
  /** Of the next batch, and behind the last one, in `buffer`. */
  #nextAt = 0
  #end = 0
  #expectedOffset = -1
  /** Before this pass replaced anything. */
  readonly #wasGapless: boolean

  /** Of segments of `log`. */
  constructor(log: CleanedLog) {
    this.#log = log
    this.#wasGapless = log.isGapless
  }

  /** Turns to `segment`, before its first batch. */
  enter(segment: Segment): void {
    if (this.#segment === undefined || this.#segment.nextOffset !== segment.baseOffset) {
      this.#expectedOffset = -1
    }
    this.#segment = segment
    this.#position = 0
    this.#nextAt = 0
    this.#end = 0
    if (segment.isDamaged) throw this.#corrupt('damaged', segment.baseOffset)
  }

  /** True behind the last batch of the segment, and where there is no more to be read (I3). */
  get isAtEnd(): boolean {
    const segment = this.#segment
    return segment === undefined || this.#position === segment.sizeBytes || this.#isGone(segment)
  }

  #isGone(segment: Segment): boolean {
    return !this.#log.segments.includes(segment)
  }

  /**
   * Turns to the next batch in memory; false where `read` has to bring it, or at the end. Hot.
   * @throws {LogError} CORRUPT where the bytes are not what was written.
   */
  next(): boolean {
    const at = this.#nextAt
    if (this.#end - at < BATCH_HEADER_BYTES) return false
    const batchBytes = batchSizeBytesOf(this.buffer, at)
    if (batchBytes > this.#end - at && !this.#isWholeRest) return false
    const check = checkBatch(this.buffer, at, this.#end)
    const reason = check === 'ok' ? this.#gapAt(at) : check
    if (reason !== undefined) throw this.#corrupt(reason, this.#expectedOffset)
    this.at = at
    this.batchBytes = batchBytes
    this.#nextAt = at + batchBytes
    this.#position += batchBytes
    this.#expectedOffset = nextOffsetOf(this.buffer, at)
    return true
  }

  /** Brings the next batch, and as many behind it as come with it; returns how many bytes. */
  *read(): Procedure<number> {
    const segment = this.#segment
    if (segment === undefined || this.isAtEnd) return 0
    const leftBytes = segment.sizeBytes - this.#position
    const isBegun = this.#end - this.#nextAt >= BATCH_HEADER_BYTES
    const neededBytes = isBegun ? batchSizeBytesOf(this.buffer, this.#nextAt) : 0
    const byteLength = Math.min(Math.max(READ_BYTES, neededBytes), leftBytes)
    if (neededBytes > leftBytes) throw this.#corrupt('length', this.#expectedOffset)
    const position = this.#position
    let bytes: Buffer | undefined
    const room = this.#roomFor(byteLength)
    yield async () => {
      bytes = await segment.readAhead(position, byteLength, room)
    }
    // Over memory nobody waits (`completeProcedure`), and there is nothing to wait for.
    bytes ??= room.subarray(0, segment.read(room, 0, byteLength, position))
    if (bytes.length < byteLength || byteLength < BATCH_HEADER_BYTES) {
      throw this.#corrupt('incomplete', this.#expectedOffset)
    }
    this.buffer = bytes
    this.#nextAt = 0
    this.#end = bytes.length
    return bytes.length
  }

  /** What cannot be decoded although its CRC is right. */
  undecodable(cause: CorruptBytes): LogError<'CORRUPT' | 'UNSUPPORTED_FORMAT'> {
    const offset = baseOffsetOf(this.buffer, this.at)
    if (cause.reason !== 'codec-missing') {
      return this.#corrupt(cause.message, offset, this.#position - this.batchBytes, cause)
    }
    const { topic, partition } = this.#log
    const message = `${topic}-${partition}: not compacted, the batch at offset ${offset} cannot be decoded: ${cause.message}`
    return new LogError('UNSUPPORTED_FORMAT', message, { topic, partition, offset }, { cause })
  }

  /** Everything that the segment has is in memory. */
  get #isWholeRest(): boolean {
    return this.#position + this.#end - this.#nextAt >= (this.#segment?.sizeBytes ?? 0)
  }

  /** No CRC covers base offsets: they ascend, inside of the segment, and where they may, by one. */
  #gapAt(at: number): 'gap' | undefined {
    const segment = this.#segment
    if (segment === undefined || !isSafeHeader(this.buffer, at)) return 'gap'
    const baseOffset = baseOffsetOf(this.buffer, at)
    if (nextOffsetOf(this.buffer, at) > segment.nextOffset) return 'gap'
    const isFirst = this.#position === 0
    if (baseOffset < segment.baseOffset) return 'gap'
    if (isFirst) return this.#wasGapless && baseOffset !== segment.baseOffset ? 'gap' : undefined
    if (baseOffset === this.#expectedOffset) return undefined
    return this.#wasGapless || baseOffset < this.#expectedOffset ? 'gap' : undefined
  }

  /** Memory to read into, again and again: fresh memory costs more than what is read. */
  #roomFor(byteLength: number): Buffer {
    const isFit = byteLength <= this.#room.length && this.#room.length <= READ_BYTES
    if (!isFit) this.#room = Buffer.allocUnsafeSlow(Math.max(byteLength, READ_BYTES))
    return this.#room
  }

  #corrupt(
    reason: string,
    offset: number,
    position: number = this.#position,
    cause?: Error,
  ): LogError<'CORRUPT'> {
    const file = this.#segment?.logPath ?? ''
    return corrupt(this.#log, { reason, offset, file, position }, cause)
  }
}

/**
 * Before anything is replaced: from then on a gap is no damage any more, and would not show.
 * @throws {LogError} CORRUPT where a segment is known to be damaged, or one is missing.
 */
export function refuseDamage(log: CleanedLog): void {
  let expectedOffset = -1
  for (const { isDamaged, baseOffset, nextOffset, logPath: file } of log.segments) {
    const isMissing = log.isGapless && expectedOffset >= 0 && baseOffset !== expectedOffset
    const reason = isDamaged ? 'damaged' : 'gap'
    if (isDamaged || isMissing) {
      throw corrupt(log, { reason, offset: expectedOffset, file, position: 0 })
    }
    expectedOffset = nextOffset
  }
}

/** Where damage was met. */
interface DamagePlace {
  readonly reason: string
  readonly offset: number
  readonly file: string
  readonly position: number
}

function corrupt(
  { topic, partition }: CleanedLog,
  { reason, offset, file, position }: DamagePlace,
  cause?: Error,
): LogError<'CORRUPT'> {
  return new LogError(
    'CORRUPT',
    `${topic}-${partition}: not compacted, a batch is damaged (${file}, position ${position}: ` +
      `${reason}); run EventLog.verify on the directory`,
    { topic, partition, file, position, offset: Math.max(offset, 0) },
    cause === undefined ? undefined : { cause },
  )
}
