/**
 * .kafka_cleanshutdown: there between a clean close and the next open. Kafka's own file, which
 * looks at no more than its existence and ignores members that it does not know; ours says what
 * the folders held.
 *
 *   { version: 0, brokerEpoch: -1, streambed: {
 *     partitions: [{ topic, topicId, partition, logStartOffset, logEndOffset,
 *       producers: { offset, behindBytes } | null,
 *       segments: [{ baseOffset, sizeBytes, nextOffset, … }] }], crc } }
 *
 *   I1  written last, when everything that it vouches for is on stable storage
 *   I2  gone, durably, before anything else is written: a power cut must not bring it back beside
 *       data that it does not know
 * Owns the file only; whether what it says agrees with the folders is for the reader to check.
 */
import { readWholeFile, replaceFile } from './checkpoint-file.ts'
import type { Procedure } from './procedure.ts'
import {
  isJsonObject,
  isSealedText,
  type JsonObject,
  parseJson,
  sealedText,
  unsealed,
} from './sealed-json.ts'
import type { SegmentContents } from './segment-contents.ts'
import type { StorageDriver } from './storage-driver.ts'

/** The file's name in the log's directory. */
export const CLEAN_MARKER_FILE = '.kafka_cleanshutdown'

const BEFORE_OURS = '{"version":0,"brokerEpoch":-1,"streambed":'
const BEFORE_OURS_BYTES = Buffer.from(BEFORE_OURS)
const BEHIND_OURS = '}'

/** What a clean close left. */
export interface CleanMarker {
  readonly partitions: readonly CleanPartition[]
}

/** One partition of it. */
export interface CleanPartition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The checkpoint of log starts has no checksum; here it is under one. */
  readonly logStartOffset: number
  readonly logEndOffset: number
  /** The snapshot that says all there is to know of producers; null: there are none. */
  readonly producers: NewestSnapshot | null
  /** By base offset; the last one is the active segment, its file cut to `sizeBytes`. */
  readonly segments: readonly CleanSegment[]
}

/** The newest .snapshot file of a partition. */
export interface NewestSnapshot {
  readonly offset: number
  /** Bytes of log behind it, none of them a producer's. */
  readonly behindBytes: number
}

/** One segment of it. */
export interface CleanSegment extends SegmentContents {
  readonly baseOffset: number
}

/**
 * What the marker says: undefined where there is none, so the stop was not clean; 'kafka' where the
 * stop was clean, but no detail of ours is to be had: a broker wrote it, or it is not readable.
 */
export function readCleanMarker(driver: StorageDriver): CleanMarker | 'kafka' | undefined {
  const bytes = readWholeFile(driver, CLEAN_MARKER_FILE)
  if (bytes === undefined) return undefined
  const ours = ownMembers(bytes)
  const partitions = ours?.['partitions']
  return isListOf(partitions, isCleanPartition) ? { partitions } : 'kafka'
}

/**
 * Writes the marker, durably (I1).
 * @throws {LogError} NO_SPACE, READ_ONLY or IO: there may or may not be a marker, and it is true.
 */
export function* writeCleanMarker(driver: StorageDriver, marker: CleanMarker): Procedure<void> {
  const text = BEFORE_OURS + sealedText({ partitions: marker.partitions }) + BEHIND_OURS
  yield* replaceFile(driver, CLEAN_MARKER_FILE, Buffer.from(text))
}

/**
 * Removes the marker, durably (I2). Where there is none its absence is made durable: whoever
 * removed it may have died before that.
 * @throws {LogError} IO: nothing may be written.
 */
export function* removeCleanMarker(driver: StorageDriver): Procedure<void> {
  if (driver.status(CLEAN_MARKER_FILE) !== undefined) {
    // Begun here, not in the wait: over memory nobody waits (`completeProcedure`).
    const removal = driver.unlink(CLEAN_MARKER_FILE)
    yield () => removal
  }
  yield () => driver.flushDirectory('')
}

/** What of the file is ours; undefined where nothing is, or nobody vouches for it. */
function ownMembers(bytes: Buffer): JsonObject | undefined {
  const marker = parseJson(bytes.toString())
  const ours = isJsonObject(marker) ? marker['streambed'] : undefined
  if (!isJsonObject(ours)) return undefined
  // As we write it the checksum is that of its bytes: of thousands of segments the canonical text
  // takes longer to make than all the rest of the file to read.
  const end = bytes.length - BEHIND_OURS.length
  const isOursAlone = bytes.subarray(0, BEFORE_OURS.length).equals(BEFORE_OURS_BYTES)
  const text = bytes.subarray(BEFORE_OURS.length, Math.max(end, BEFORE_OURS.length))
  return isOursAlone && isSealedText(text, ours['crc']) ? ours : unsealed(ours)
}

function isCleanPartition(value: unknown): value is CleanPartition {
  return (
    isJsonObject(value) &&
    typeof value['topic'] === 'string' &&
    typeof value['topicId'] === 'string' &&
    isCount(value['partition']) &&
    isCount(value['logStartOffset']) &&
    isCount(value['logEndOffset']) &&
    (value['producers'] === null || isSnapshot(value['producers'])) &&
    isListOf(value['segments'], isCleanSegment)
  )
}

function isSnapshot(value: unknown): value is NewestSnapshot {
  return isJsonObject(value) && isCount(value['offset']) && isCount(value['behindBytes'])
}

function isCleanSegment(value: unknown): value is CleanSegment {
  return (
    isJsonObject(value) &&
    isCount(value['baseOffset']) &&
    isCount(value['sizeBytes']) &&
    isCount(value['nextOffset']) &&
    Number.isSafeInteger(value['largestTimestamp']) &&
    Number.isSafeInteger(value['offsetOfLargestTimestamp']) &&
    Number.isSafeInteger(value['firstTimestamp']) &&
    (value['recordCount'] === null || isCount(value['recordCount'])) &&
    (value['abortedCount'] === null || isCount(value['abortedCount'])) &&
    isCount(value['abortedCrc'])
  )
}

function isListOf<T>(value: unknown, is: (entry: unknown) => entry is T): value is readonly T[] {
  return Array.isArray(value) && value.every(is)
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
