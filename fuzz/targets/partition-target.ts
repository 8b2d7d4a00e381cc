/**
 * A whole partition: bytes as its .log, opened by recovery, read in every way, written to, closed
 * and opened again.
 *
 *   partition   a byte of settings, then the files: length (int16) and bytes of .log, .index,
 *               .timeindex and leader-epoch-checkpoint, the rest a second segment's .log
 *
 * The settings say what else is known of the partition, and which checksums and offsets of the
 * batches are put right. Only CORRUPT and UNSUPPORTED_FORMAT may be answered; two ways of reading
 * give the same; what an open has settled, the next one finds.
 */
import { LogError } from '../../src/errors/log-error.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import {
  BATCH_HEADER_BYTES,
  assignOffsets,
  batchSizeBytesOf,
  lastOffsetDeltaOf,
  leaderEpochOf,
  sealBatch,
} from '../../src/format/record-batch.ts'
import { RecordSource } from '../../src/client/record-source.ts'
import { RecordTypes } from '../../src/client/record-types.ts'
import { CommitBarrier } from '../../src/log/commit-barrier.ts'
import { resolveTopicConfig } from '../../src/log/log-config.ts'
import { PartitionLog } from '../../src/log/partition-log.ts'
import type { PartitionEvidence } from '../../src/log/partition-evidence.ts'
import { openPartition } from '../../src/log/partition-open.ts'
import { TailBudget } from '../../src/log/tail.ts'
import { completeProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { type FuzzTarget, promise, promiseEqual } from '../fuzz-target.ts'
import { driverWith } from './stored-file.ts'

const MAX_UNPACKED_BYTES = 65_536
const SECOND_BASE = 20
/** Offsets from the start of the log on that reads begin at. */
const SEEKS = 12
const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAKg'
const CRCS = 0x01
const OFFSETS = 0x02
const GAPLESS = 0x04
const SYNCED = 0x08
const PUBLISHED = 0x10
const BROKER = 0x20
const KNOWN_START = 0x40
const DURABLE_BEFORE = 0x80
const CONFIG = {
  segmentBytes: 4_096,
  indexIntervalBytes: 100,
  preallocate: false,
  maxDecompressedBytes: MAX_UNPACKED_BYTES,
}
/** Reads of a small file are many, and what each of them takes at once is bounded. */
const FIXED_BYTES = 64 * 1_048_576
const TYPES = new RecordTypes('t', null, false)
const WHOLE_RANGE = {
  from: 'earliest',
  to: null,
  isolation: 'read_uncommitted',
  visibility: 'written',
  onCorrupt: 'skip',
} as const

enableZstdPackage()

/** See the file's header. */
export const partitionTarget: FuzzTarget = {
  name: 'partition',
  // A run of it takes as long as a thousand of others, and goes through all that they go through.
  share: 16,
  maxInputBytes: 4_096,
  allocationLimit: (input) => 4_096 * input.length + FIXED_BYTES,
  run(input) {
    if (input.length < 1) return
    const settings = input.readUInt8(0)
    const driver = driverWith(filesOf(input, settings))
    const log = open(driver, evidenceOf(settings))
    const settled = { checkpointedPoint: log.recoveryPoint, logStartOffset: log.logStartOffset }
    const answer = readEverything(log)
    appendAndRead(log, answer)
    log.closeFiles()
    checkSecondOpen(driver, { ...evidenceOf(settings & ~PUBLISHED), ...settled }, log)
  },
}

/** What a reader got, and how often it was told of damage. */
interface Answer {
  readonly records: readonly string[]
  readonly errors: readonly string[]
}

function filesOf(input: Buffer, settings: number): readonly (readonly [string, Buffer])[] {
  const parts: Buffer[] = []
  let at = 1
  for (let part = 0; part < 4; part++) {
    const length = at + 2 <= input.length ? input.readUInt16BE(at) : 0
    at = Math.min(at + 2, input.length)
    parts.push(input.subarray(at, at + length))
    at = Math.min(at + length, input.length)
  }
  const [log, index, times, epochs] = parts
  const second = input.subarray(at)
  const files: (readonly [string, Buffer])[] = [
    ['t-0/00000000000000000000.log', repaired(log ?? second, settings, 0)],
  ]
  if (index?.length) files.push(['t-0/00000000000000000000.index', index])
  if (times?.length) files.push(['t-0/00000000000000000000.timeindex', times])
  if (epochs?.length) files.push(['t-0/leader-epoch-checkpoint', epochs])
  if (second.length > 0) {
    files.push(['t-0/00000000000000000020.log', repaired(second, settings, SECOND_BASE)])
  }
  return files
}

/** The batches of a log with the checksums and offsets that the settings ask for. */
function repaired(source: Buffer, settings: number, baseOffset: number): Buffer {
  const log = Buffer.from(source)
  let nextOffset = baseOffset
  for (let at = 0; at + BATCH_HEADER_BYTES <= log.length;) {
    const batchBytes = batchSizeBytesOf(log, at)
    if (batchBytes < BATCH_HEADER_BYTES || at + batchBytes > log.length) break
    if ((settings & OFFSETS) !== 0) {
      assignOffsets(log, at, nextOffset, leaderEpochOf(log, at))
      nextOffset += Math.max(lastOffsetDeltaOf(log, at), 0) + 1
    }
    if ((settings & CRCS) !== 0) sealBatch(log, at)
    at += batchBytes
  }
  return log
}

interface Evidence extends PartitionEvidence {
  readonly isGapless: boolean
}

function evidenceOf(settings: number): Evidence {
  const published = {
    topicId: TOPIC_ID,
    partition: 0,
    writerGeneration: 1,
    layoutEpoch: 0,
    logStartOffset: 0,
    logEndOffset: 12,
    highWatermark: 12,
    lastStableOffset: 12,
    durableOffset: 3,
  }
  return {
    isGapless: (settings & GAPLESS) !== 0,
    described: undefined,
    isBrokerClean: (settings & BROKER) !== 0,
    isBrokers: (settings & BROKER) !== 0,
    checkpointedPoint: (settings & SYNCED) === 0 ? 0 : SECOND_BASE,
    logStartOffset: (settings & KNOWN_START) === 0 ? null : 2,
    published: (settings & PUBLISHED) === 0 ? undefined : published,
    durableBefore: (settings & DURABLE_BEFORE) === 0 ? 0 : SECOND_BASE,
  }
}

function open(driver: StorageDriver, evidence: Evidence): PartitionLog {
  const clock = new FakeClock()
  const config = resolveTopicConfig(CONFIG, { partitions: 1 })
  const { isGapless } = evidence
  const known = { topic: 't', topicId: TOPIC_ID, partition: 0, config, isGapless, isOwn: isGapless }
  const { state } = completeProcedure(openPartition(driver, known, evidence))
  const context = {
    driver,
    clock,
    barrier: new CommitBarrier(clock),
    tailBudget: new TailBudget(1 << 20),
    changed: () => undefined,
    layoutChanged: () => undefined,
    rolled: () => undefined,
    failed: () => undefined,
  }
  return new PartitionLog(context, state)
}

function readEverything(log: PartitionLog): Answer {
  const { logStartOffset, logEndOffset } = log
  const forward = readBy(log, 'take', logStartOffset)
  promiseEqual(readBy(log, 'scan', logStartOffset), forward, 'a scan gives the same')
  const end = Math.min(logEndOffset, logStartOffset + SEEKS)
  for (let offset = logStartOffset; offset < end; offset++) {
    const some = readBy(log, 'take', offset)
    // Where gaps are allowed, a base offset that is damaged is not always told from a good one:
    // then it depends on where a read starts which batches it takes for good. It says CORRUPT.
    if (!log.isGapless && forward.errors.length + some.errors.length > 0) continue
    const expected = forward.records.filter((record) => Number.parseInt(record, 10) >= offset)
    promiseEqual(some.records, expected, `from ${offset} on the same records come`)
  }
  for (const timestamp of [-1, 0, 1_000, 1_700_000_000_000, Number.MAX_SAFE_INTEGER]) {
    const found = answered(() => firstSince(log, timestamp))
    if (typeof found !== 'number') continue
    promise(found >= logStartOffset && found < logEndOffset, 'a time has an offset of the log')
  }
  return forward
}

/** Offset of the first record that is as late as `timestamp`. */
function firstSince(log: PartitionLog, timestamp: number): number | undefined {
  const range = { ...WHOLE_RANGE, from: { timestamp }, onCorrupt: 'stop' } as const
  const source = new RecordSource(log, TYPES, { range, live: false, onDamage: () => undefined })
  while (source.load()) {
    const record = source.take()
    if (record !== undefined) return record.offset
  }
  return undefined
}

/** Reads to the end, passing damage over; every key, value and header is decoded. */
function readBy(log: PartitionLog, way: 'take' | 'scan', from: number): Answer {
  const records: string[] = []
  const errors: string[] = []
  const range = { ...WHOLE_RANGE, from } as const
  let last = from - 1
  const source = new RecordSource(log, TYPES, {
    range,
    live: false,
    onDamage: (error, resumesAt) => {
      promise(resumesAt > last, 'whoever passes damage over goes on')
      errors.push(error.code)
      promise(errors.length < 1_000, 'damage comes to an end')
    },
  })
  const note = (offset: number, text: string): void => {
    promise(offset > last && offset < log.logEndOffset, 'offsets ascend, inside of the log')
    last = offset
    records.push(`${offset} ${text}`)
  }
  if (way === 'scan') {
    source.scan((cursor) => note(cursor.offset, String(cursor.timestamp)))
    return { records, errors }
  }
  while (source.load()) {
    for (let record = source.take(); record !== undefined; record = source.take()) {
      JSON.stringify(record)
      note(record.offset, String(record.timestamp))
    }
  }
  return { records, errors }
}

function appendAndRead(log: PartitionLog, before: Answer): void {
  const builder = new RecordBatchBuilder()
  const { buffer, start } = log.tail.reserve()
  builder.begin(buffer, start)
  builder.add(1_000, null, 'appended', null)
  builder.finish('none')
  const { baseOffset, leaderEpoch } = log.append(builder)
  promise(leaderEpoch >= 0, 'an append has a leader epoch')
  log.tail.clear()
  const expected = [...before.records, `${baseOffset} 1000`]
  promiseEqual(
    readBy(log, 'take', log.logStartOffset).records,
    expected,
    'what was appended is read',
  )
}

/** What was settled, and checkpointed, stays so: the log ends where it did. */
function checkSecondOpen(driver: StorageDriver, evidence: Evidence, first: PartitionLog): void {
  const before = { end: first.logEndOffset, start: first.logStartOffset, epoch: first.leaderEpoch }
  const again = open(driver, evidence)
  promise(again.logEndOffset === before.end, `ended at ${before.end}, now at ${again.logEndOffset}`)
  promise(again.logStartOffset === before.start, 'the start of the log stays')
  promise(again.leaderEpoch >= before.epoch, 'leader epochs never fall')
  again.closeFiles()
}

/** What a call answers; an error of those that are allowed is an answer. */
function answered<T>(call: () => T): T | string {
  try {
    return call()
  } catch (error) {
    if (LogError.is(error, 'CORRUPT', 'UNSUPPORTED_FORMAT')) return error.code
    throw error
  }
}
