/**
 * Where campaigns start from besides the corpus: what Kafka and its clients wrote (test/vectors),
 * and one good example of each of our own files.
 */
import { compress } from '../src/format/compression.ts'
import { encodeMarkerKey, encodeMarkerValue } from '../src/format/control-record.ts'
import { enableZstdPackage } from '../src/storage/zstd-package.ts'
import { writeAbortedTransaction } from '../src/format/aborted-transaction.ts'
import { encodeProducerSnapshot } from '../src/format/producer-snapshot.ts'
import { formatBackupManifest } from '../src/log/backup-manifest.ts'
import { CLEAN_MARKER_FILE, writeCleanMarker } from '../src/storage/clean-marker.ts'
import { readWholeFile } from '../src/storage/checkpoint-file.ts'
import { CONTROL_FILE, ControlFile } from '../src/storage/control-file.ts'
import { formatEpochCheckpoint } from '../src/storage/epoch-checkpoint.ts'
import { openMemoryDriver } from '../src/storage/memory-driver.ts'
import { formatMetaProperties } from '../src/storage/meta-properties.ts'
import { METADATA_FILE, emptyMetadata, writeMetadata } from '../src/storage/metadata-file.ts'
import { formatOffsetCheckpoint } from '../src/storage/offset-checkpoint.ts'
import { formatPartitionMetadata } from '../src/storage/partition-metadata.ts'
import { completeProcedure } from '../src/storage/procedure.ts'
import type { StorageDriver } from '../src/storage/storage-driver.ts'
import { fromHex, loadBatchVectors, loadVectors } from '../test/format/vectors.ts'

enableZstdPackage()

const SHORT_BYTES = 2_048
const TEXT = Buffer.from('a line that repeats itself, and then some more of it. '.repeat(3))

const batches = loadBatchVectors()
  .map(({ hex, batch }) => ({ bytes: fromHex(hex), codec: batch.compression }))
  .filter(({ bytes }) => bytes.length <= SHORT_BYTES)

const payloadsOf = (codec: string): readonly Buffer[] =>
  batches.filter((batch) => batch.codec === codec).map(({ bytes }) => bytes.subarray(61))

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAKg'

const SNAPSHOT_ENTRY = {
  producerId: 7,
  producerEpoch: 1,
  lastSequence: 41,
  lastOffset: 99,
  offsetDelta: 3,
  timestamp: 1_700_000_000_000,
  coordinatorEpoch: -1,
  currentTransactionFirstOffset: -1,
}

const LOCK_RECORD = {
  token: '0123-abcd',
  pid: 42,
  startedAt: 1_700_000_000_000,
  directory: '2049:131',
  host: 'here',
  processStart: '12345',
  bootId: 'boot',
  pidNamespace: null,
  socketScope: null,
  lockedFile: '2049:132',
}

function abortedTransaction(): Buffer {
  const bytes = Buffer.alloc(34)
  writeAbortedTransaction(bytes, 0, {
    producerId: 7,
    firstOffset: 3,
    lastOffset: 9,
    lastStableOffset: 10,
  })
  return bytes
}

/** Every key of Kafka's that a byte can count with every value. */
function keysAndValues(file: string, valueKind: string): readonly Buffer[] {
  const { vectors } = loadVectors<{
    readonly vectors: readonly { readonly kind: string; readonly hex: string }[]
  }>(file)
  const bytesOf = (kind: string): readonly Buffer[] =>
    vectors.filter((vector) => vector.kind.endsWith(kind)).map(({ hex }) => fromHex(hex))
  const keys = bytesOf('Key').filter(({ length }) => length <= 0xff)
  return keys.flatMap((key) =>
    bytesOf(valueKind).map((value) => Buffer.concat([Buffer.from([key.length]), key, value])),
  )
}

/** What a writer leaves in a file. */
function written(path: string, write: (driver: StorageDriver) => void): Buffer {
  const driver = openMemoryDriver()
  write(driver)
  return readWholeFile(driver, path) ?? Buffer.alloc(0)
}

function controlFile(): Buffer {
  return written(CONTROL_FILE, (driver) => {
    const control = ControlFile.open(driver, { writerGeneration: 7, bootId: 'boot', pid: 42 })
    for (const partition of [0, 1, 2]) {
      const slot = control.slotFor(Buffer.from(TOPIC_ID, 'base64url'), partition)
      control.publish(slot, {
        layoutEpoch: 3,
        logStartOffset: 1,
        logEndOffset: 9,
        highWatermark: 8,
        lastStableOffset: 7,
        durableOffset: 6,
      })
    }
    control.close()
  }).subarray(0, 640)
}

/** Steps of three bytes: publications, tears of them, what is freed, and the next writer. */
const CONTROL_LIVES: readonly Buffer[] = [
  Buffer.from([0, 1, 0, 0, 2, 0, 7, 0, 0, 1, 4, 2, 7, 0, 0, 6, 1, 0, 5, 3, 9]),
  Buffer.from([0, 1, 0, 7, 0, 0, 4, 1, 0, 1, 4, 1, 7, 0, 0, 2, 1, 0, 7, 0, 0, 0, 1, 0]),
  Buffer.from([0, 1, 0, 1, 0, 2, 3, 20, 1, 4, 3, 0, 0, 2, 0, 7, 0, 0, 4, 4, 0, 0, 2, 0]),
]

function backupManifest(): Buffer {
  return completeProcedure(
    formatBackupManifest({
      generation: 3,
      logId: TOPIC_ID,
      directoryId: TOPIC_ID,
      createdMs: 5,
      partitions: [{ topic: 'orders', partition: 0, logStartOffset: 1, logEndOffset: 9 }],
      files: new Map([['orders-0/partition.metadata', { sizeBytes: 44, crc: 7 }]]),
      removed: ['orders-0/00000000000000000000.snapshot'],
    }),
  )
}

function metadataFile(): Buffer {
  const topic = { id: TOPIC_ID, partitions: 2, config: { retentionMs: 5 } }
  const deleting = [{ id: TOPIC_ID, name: 'old', partitions: 1, others: new Map([['x', 1]]) }]
  const metadata = { ...emptyMetadata(), topics: new Map([['orders', topic]]), deleting }
  return written(METADATA_FILE, (driver) => {
    completeProcedure(writeMetadata(driver, metadata))
  })
}

function cleanMarkerFile(): Buffer {
  const segment = {
    baseOffset: 0,
    sizeBytes: 100,
    nextOffset: 3,
    largestTimestamp: 5,
    offsetOfLargestTimestamp: 1,
    firstTimestamp: 4,
    recordCount: null,
    abortedCount: 1,
    abortedCrc: 7,
  }
  const partition = {
    topic: 'orders',
    topicId: TOPIC_ID,
    partition: 0,
    logStartOffset: 0,
    logEndOffset: 3,
    producers: { offset: 2, behindBytes: 80 },
  }
  return written(CLEAN_MARKER_FILE, (driver) => {
    completeProcedure(
      writeCleanMarker(driver, { partitions: [{ ...partition, segments: [segment] }] }),
    )
  })
}

const segmentFiles = Object.entries(
  loadVectors<{ readonly files: Readonly<Record<string, string>> }>('segment.json').files,
)

const segmentFilesEnding = (suffix: string): readonly Buffer[] =>
  segmentFiles.filter(([name]) => name.endsWith(suffix)).map(([, hex]) => fromHex(hex))

/** Parts as the target `partition` takes them apart: settings, four files, the second segment. */
function partitionInput(settings: number, parts: readonly Buffer[], second: Buffer): Buffer {
  const bytes: Buffer[] = [Buffer.from([settings])]
  for (let part = 0; part < 4; part++) {
    const content = parts[part] ?? Buffer.alloc(0)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(content.length)
    bytes.push(length, content)
  }
  return Buffer.concat([...bytes, second])
}

function partitionInputs(): readonly Buffer[] {
  const small = batches.map(({ bytes }) => bytes).filter(({ length }) => length <= 300)
  const log = Buffer.concat(small.slice(0, 6))
  const inputs = [0x03, 0x07, 0x0f, 0x17, 0x4b, 0x2b].map((settings) =>
    partitionInput(settings, [log], Buffer.concat(small.slice(6, 9))),
  )
  const indexes = [...segmentFilesEnding('.index'), ...segmentFilesEnding('.timeindex')]
  const stored = [segmentFilesEnding('.log')[0] ?? log, ...indexes.slice(0, 2)]
  const epochs = formatEpochCheckpoint([{ leaderEpoch: 0, startOffset: 0 }])
  const none = Buffer.alloc(0)
  return [
    ...inputs,
    ...small.map((bytes) => partitionInput(0x03, [bytes], none)),
    partitionInput(0x0b, [...stored, epochs], none),
    partitionInput(0x00, [log.subarray(0, 300), none, none, epochs], none),
  ]
}

const SEEDS: Readonly<Record<string, () => readonly Buffer[]>> = {
  varints: () => [Buffer.from('00017f80018002d804feffffff0f', 'hex')],
  'control-records': () => [encodeMarkerKey('commit'), encodeMarkerValue(7)],
  'offset-commits': () => keysAndValues('consumer-offsets.json', 'CommitValue'),
  'transaction-states': () => keysAndValues('transaction-state.json', 'LogValue'),
  batch: () => batches.map(({ bytes }) => bytes),
  records: () =>
    [0, 1, 2, 3, 4, 5].flatMap((codec) =>
      payloadsOf('none').map((payload) => Buffer.concat([Buffer.from([codec, 0, 1]), payload])),
    ),
  'lz4-block': () => payloadsOf('lz4').map((payload) => payload.subarray(11, -4)),
  'snappy-block': () => payloadsOf('snappy').map((payload) => payload.subarray(20)),
  gzip: () => [...payloadsOf('gzip'), compress('gzip', TEXT)],
  snappy: () => [...payloadsOf('snappy'), compress('snappy', TEXT)],
  lz4: () => [...payloadsOf('lz4'), compress('lz4', TEXT)],
  zstd: () => [...payloadsOf('zstd'), compress('zstd', TEXT)],
  'producer-snapshot': () => [encodeProducerSnapshot([SNAPSHOT_ENTRY, SNAPSHOT_ENTRY])],
  'aborted-transactions': () => [abortedTransaction()],
  'index-entries': () =>
    [...segmentFilesEnding('.index'), ...segmentFilesEnding('.timeindex')].map((entries) =>
      Buffer.concat([Buffer.alloc(8), entries]),
    ),
  'index-files': () =>
    segmentFilesEnding('.timeindex').map((times) => {
      const index = segmentFilesEnding('.index')[0] ?? times
      const header = Buffer.from([0, 1, 0, 0, 0, index.length])
      return Buffer.concat([header, index, times])
    }),
  'control-file': () => [controlFile()],
  'control-reader': () => [controlFile(), Buffer.concat([controlFile(), controlFile()])],
  'control-lives': () => CONTROL_LIVES,
  'offset-checkpoint': () => [
    formatOffsetCheckpoint([
      { topic: 'orders', partition: 0, offset: 1013 },
      { topic: 'a.b_c-d', partition: 1, offset: 7 },
    ]),
  ],
  'epoch-checkpoint': () => [
    formatEpochCheckpoint([
      { leaderEpoch: 0, startOffset: 0 },
      { leaderEpoch: 3, startOffset: 42 },
    ]),
  ],
  'java-properties': () => [
    Buffer.from('# comment\ncluster.id=YGg\\\n  QjD\nnode.id : 1\n! no\nk\\u00e9y a\\tb\r\n'),
  ],
  'meta-properties': () => [
    formatMetaProperties({
      version: 1,
      clusterId: TOPIC_ID,
      nodeId: 1,
      directoryId: TOPIC_ID,
      others: new Map([['x', 'y']]),
    }),
  ],
  'partition-metadata': () => [formatPartitionMetadata(TOPIC_ID)],
  'backup-manifest': () => [backupManifest()],
  'record-lines': () => [
    Buffer.from('{"partition":0,"offset":7,"timestamp":5,"key":null,"value":"v","headers":[]}'),
    Buffer.from(
      '{"key":"/w==","keyEncoding":"base64","value":"v","headers":[{"name":"a","value":null}]}',
    ),
  ],
  'lock-record': () => [Buffer.from(JSON.stringify(LOCK_RECORD))],
  names: () =>
    ['00000000000000004096.log', 'orders-0', 'a.b-1.0123456789abcdef-delete', 'x-2.a-stray'].map(
      (name) => Buffer.from(name),
    ),
  'topic-ids': () => [Buffer.from(TOPIC_ID)],
  metadata: () => [metadataFile()],
  'clean-marker': () => [cleanMarkerFile()],
  'sealed-json': () => [metadataFile(), Buffer.from('{"a":[1,{"b":null}],"c":"\\u0000"}')],
  partition: partitionInputs,
}

/** Good inputs of a target. */
export function seedsOf(targetName: string): readonly Buffer[] {
  return SEEDS[targetName]?.() ?? []
}
