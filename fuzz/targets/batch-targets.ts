/**
 * Record batches: header, check, and the records of every codec.
 *
 *   batch            bytes as they come, then as a batch with the right length, magic and CRC
 *   records          codec and count, then records that the target itself packs into a batch
 *   control-records  a key and a value of a marker
 *   varints          varints and varlongs, one after the other
 */
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { COMPRESSION_CODECS, attributeBitsOf, compress } from '../../src/format/compression.ts'
import {
  controlTypeOf,
  coordinatorEpochOf,
  encodeMarkerKey,
  encodeMarkerValue,
} from '../../src/format/control-record.ts'
import {
  BATCH_HEADER_BYTES,
  baseTimestampOf,
  batchSizeBytesOf,
  checkBatch,
  maxTimestampOf,
  nextOffsetOf,
  producerIdOf,
  writeBatchHeader,
} from '../../src/format/record-batch.ts'
import {
  VarintReader,
  varintBytes,
  varlongBytes,
  writeVarint,
  writeVarlong,
} from '../../src/format/varint.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'
import { type FuzzTarget, promise, promiseEqual, unlessCorrupt } from '../fuzz-target.ts'
import { type PlainRecord, plainRecords } from './plain-records.ts'
import {
  type CopiedRecord,
  MAX_UNPACKED_BYTES,
  asWholeBatch,
  promiseRetained,
  promiseRewritten,
  readToEnd,
} from './records.ts'

/** A megabyte is what a codec takes at once, whatever the limit. */
const CODEC_BYTES = 1_048_576
const LAST_OFFSET_DELTA = 1_000
const BASE_TIMESTAMP = 1_700_000_000_000
const APPEND_TIME = 1_700_000_000_500
const LOG_APPEND_TIME = 0x08
const CODECS_OF_RECORDS = [...COMPRESSION_CODECS, 'raw snappy'] as const

enableZstdPackage()

/** See the file's header. */
export const batchTarget: FuzzTarget = {
  name: 'batch',
  maxInputBytes: 4_096,
  allocationLimit: (input) => 64 * input.length + 16 * MAX_UNPACKED_BYTES + 2 * CODEC_BYTES,
  run(input) {
    if (checkBatch(input, 0, input.length) === 'ok') readWhole(input)
    if (input.length < BATCH_HEADER_BYTES) return
    const batch = asWholeBatch(input)
    const check = checkBatch(batch, 0, batch.length)
    promise(check === 'ok' || check === 'header' || check === 'zeros', `sealed, but ${check}`)
    if (check === 'ok') readWhole(batch)
  },
}

function readWhole(batch: Buffer): void {
  promise(batchSizeBytesOf(batch, 0) <= batch.length, 'a whole batch ends in its bytes')
  promise(Number.isSafeInteger(nextOffsetOf(batch, 0)), 'a whole batch has safe offsets')
  for (const read of [baseTimestampOf, maxTimestampOf, producerIdOf]) {
    unlessCorrupt(() => read(batch, 0))
  }
  const records = readToEnd(batch)
  if (records !== undefined) {
    promiseRewritten(records)
    promiseRetained(batch, records)
  }
  const { length } = batch
  const shorter = checkBatch(batch, 0, length - 1)
  if (batchSizeBytesOf(batch, 0) === length) promise(shorter !== 'ok', 'cut, but whole')
}

/** See the file's header. */
export const recordsTarget: FuzzTarget = {
  name: 'records',
  maxInputBytes: 2_048,
  allocationLimit: (input) => 256 * input.length + 16 * MAX_UNPACKED_BYTES + 4 * CODEC_BYTES,
  run(input) {
    if (input.length < 4) return
    const codec = CODECS_OF_RECORDS[input.readUInt8(0) % CODECS_OF_RECORDS.length] ?? 'none'
    const header = { flags: input.readUInt8(1) & 0x48, recordCount: input.readInt8(2) }
    const payload = input.subarray(3)
    const plain = readToEnd(batchOf(payload, { ...header, codecBits: 0 }))
    promiseSameAsPlain(plain, plainRecords(payload, header.recordCount, LAST_OFFSET_DELTA), header)
    const isRaw = codec === 'raw snappy'
    const packed = isRaw ? rawSnappyOf(payload) : compress(codec, payload)
    const codecBits = attributeBitsOf(isRaw ? 'snappy' : codec)
    const unpacked = readToEnd(batchOf(packed, { ...header, codecBits }))
    promiseEqual(unpacked, plain, `${codec} reads as if it were not packed`)
    if (plain !== undefined) promiseRewritten(plain)
  },
}

/** The reader agrees with a plain one, but for times that no number holds, which it refuses. */
function promiseSameAsPlain(
  records: readonly CopiedRecord[] | undefined,
  expected: readonly PlainRecord[] | null,
  { flags }: { readonly flags: number },
): void {
  const timestampOf = ({ timestampDelta }: PlainRecord): bigint =>
    (flags & LOG_APPEND_TIME) === 0 ? BigInt(BASE_TIMESTAMP) + timestampDelta : BigInt(APPEND_TIME)
  if (records === undefined) {
    const isUnsafe = expected?.some(
      (record) => !isSafe(record.timestampDelta) || !isSafe(timestampOf(record)),
    )
    promise(expected === null || isUnsafe === true, 'a good payload is read')
    return
  }
  promise(expected !== null, 'a payload that is not good is refused')
  const shown = (bytes: Uint8Array | string | null): string | null =>
    bytes === null ? null : Buffer.from(bytes).toString('hex')
  promiseEqual(
    records.map(({ offset, timestamp, key, value, headers }) => [
      offset,
      String(timestamp),
      shown(key),
      shown(value),
      headers.map(shown),
    ]),
    expected.map((record) => [
      record.offsetDelta,
      String(timestampOf(record)),
      shown(record.key),
      shown(record.value),
      record.headers.flat().map(shown),
    ]),
    'two readers give the same',
  )
}

function isSafe(value: bigint): boolean {
  return BigInt.asIntN(54, value) === value && value !== -(2n ** 53n)
}

interface PayloadHeader {
  readonly flags: number
  readonly recordCount: number
  readonly codecBits: number
}

function batchOf(payload: Buffer, { flags, recordCount, codecBits }: PayloadHeader): Buffer {
  const batch = Buffer.concat([Buffer.alloc(BATCH_HEADER_BYTES), payload])
  writeBatchHeader(batch, 0, {
    batchBytes: batch.length,
    attributes: codecBits | flags,
    lastOffsetDelta: LAST_OFFSET_DELTA,
    baseTimestamp: BASE_TIMESTAMP,
    maxTimestamp: APPEND_TIME,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount,
  })
  return batch
}

/** What librdkafka writes: one raw block, here of nothing but literals. */
function rawSnappyOf(content: Buffer): Buffer {
  const length = Buffer.alloc(5)
  let end = 0
  let bits = content.length
  for (; bits >= 0x80; bits >>>= 7) length[end++] = bits | 0x80
  length[end++] = bits
  if (content.length === 0) return length.subarray(0, end)
  const literal = Buffer.alloc(3)
  literal[0] = 61 << 2
  literal.writeUInt16LE(content.length - 1, 1)
  return Buffer.concat([length.subarray(0, end), literal, content])
}

/** See the file's header. */
export const controlRecordsTarget: FuzzTarget = {
  name: 'control-records',
  maxInputBytes: 64,
  allocationLimit: (input) => 16 * input.length,
  run(input) {
    for (const length of [-1, 0, input.length]) {
      const type = unlessCorrupt(() => controlTypeOf(input, 0, length))
      if (type !== undefined && type !== 'other') {
        const key = encodeMarkerKey(type)
        promise(controlTypeOf(key, 0, key.length) === type, 'a key means the same, written again')
      }
      const epoch = unlessCorrupt(() => coordinatorEpochOf(input, 0, length))
      if (epoch === undefined) continue
      const value = encodeMarkerValue(epoch)
      promise(coordinatorEpochOf(value, 0, value.length) === epoch, 'so does a value')
    }
  },
}

/** See the file's header. */
export const varintsTarget: FuzzTarget = {
  name: 'varints',
  maxInputBytes: 64,
  allocationLimit: (input) => 64 * input.length,
  run(input) {
    const varints = new VarintReader()
    const again = new VarintReader()
    const bytes = Buffer.alloc(16)
    while (varints.position < input.length) {
      const start = varints.position
      const isLong = (input[start] ?? 0) % 2 === 1
      try {
        const value = isLong
          ? varints.readVarlong(input, input.length)
          : varints.readVarint(input, input.length)
        promise(varints.position > start, 'a varint takes a byte')
        promise(varints.position - start <= (isLong ? 10 : 5), 'no varint is longer than its type')
        const end = isLong ? writeVarlong(bytes, 0, value) : writeVarint(bytes, 0, value)
        promise(end === (isLong ? varlongBytes(value) : varintBytes(value)), 'the size is exact')
        promise(end <= varints.position - start, 'what is written is the shortest form')
        again.position = 0
        const read = isLong ? again.readVarlong(bytes, end) : again.readVarint(bytes, end)
        promise(read === value && again.position === end, 'a varint means the same, written again')
      } catch (error) {
        if (!(error instanceof CorruptBytes)) throw error
        varints.position = start + 1
      }
    }
  },
}
