/**
 * Small files of text, and names: what parses is written again, and parses to the same.
 *
 *   offset-checkpoint, epoch-checkpoint    what is accepted is canonical: written, the same bytes
 *   java-properties, meta-properties       only the meaning is the same
 *   partition-metadata                     the same bytes but for a last line end
 *   lock-record, names, topic-ids          from a text
 *   backup-manifest                        canonical; no path leads out of the directory
 *   record-lines                           of people; what is accepted is read again as it was
 */
import {
  asideDirectoryName,
  parsePartitionDirectory,
  parseSegmentFileName,
  segmentFileName,
} from '../../src/format/segment-name.ts'
import { checkTopicName, isKafkaTopicName } from '../../src/format/topic-name.ts'
import { formatEpochCheckpoint, parseEpochCheckpoint } from '../../src/storage/epoch-checkpoint.ts'
import { formatJavaProperties, parseJavaProperties } from '../../src/storage/java-properties.ts'
import { parseLockRecord } from '../../src/storage/lock-record.ts'
import { formatMetaProperties, parseMetaProperties } from '../../src/storage/meta-properties.ts'
import {
  formatOffsetCheckpoint,
  parseOffsetCheckpoint,
} from '../../src/storage/offset-checkpoint.ts'
import {
  formatPartitionMetadata,
  parsePartitionMetadata,
} from '../../src/storage/partition-metadata.ts'
import { formatTopicId, parseTopicId } from '../../src/storage/topic-id.ts'
import { lineOf, recordOf } from '../../src/client/record-text.ts'
import { formatBackupManifest, parseBackupManifest } from '../../src/log/backup-manifest.ts'
import { completeProcedure } from '../../src/storage/procedure.ts'
import { type FuzzTarget, promise, promiseEqual } from '../fuzz-target.ts'

const ASIDE_ID = '0123456789abcdef0123456789abcdef'

/** See the file's header. */
export const textTargets: readonly FuzzTarget[] = [
  textTarget('offset-checkpoint', (bytes) => {
    const entries = parseOffsetCheckpoint(bytes)
    if (entries === undefined) return
    const written = formatOffsetCheckpoint(entries)
    if (isUtf8(bytes)) promise(written.equals(bytes), 'what is accepted is canonical')
    promiseEqual(parseOffsetCheckpoint(written), entries, 'written and read again')
  }),
  textTarget('epoch-checkpoint', (bytes) => {
    const entries = parseEpochCheckpoint(bytes)
    if (entries === undefined) return
    promise(formatEpochCheckpoint(entries).equals(bytes), 'what is accepted is canonical')
  }),
  textTarget('java-properties', (bytes) => {
    const properties = parseJavaProperties(bytes.toString())
    if (properties === undefined) return
    const again = parseJavaProperties(formatJavaProperties(properties))
    promiseEqual([...(again ?? [])], [...properties], 'written and read again')
  }),
  textTarget('meta-properties', (bytes) => {
    const meta = parseMetaProperties(bytes)
    if (meta === undefined) return
    const again = parseMetaProperties(formatMetaProperties(meta))
    promiseEqual(
      { ...again, others: [...(again?.others ?? [])] },
      { ...meta, others: [...meta.others] },
      'written and read again',
    )
  }),
  textTarget('partition-metadata', (bytes) => {
    const topicId = parsePartitionMetadata(bytes)
    if (topicId === undefined) return
    const written = formatPartitionMetadata(topicId)
    promise(bytes.toString().trimEnd() === written.toString(), 'what is accepted is canonical')
  }),
  textTarget('lock-record', (bytes) => {
    const record = parseLockRecord(bytes.toString())
    if (record === null) return
    promiseEqual(parseLockRecord(JSON.stringify(record)), record, 'written and read again')
    promise(!/[/\\.]/.test(record.token), 'a token names no other file')
  }),
  textTarget('backup-manifest', (bytes) => {
    const manifest = completeProcedure(parseBackupManifest(bytes))
    if (manifest === undefined) return
    const again = completeProcedure(
      parseBackupManifest(completeProcedure(formatBackupManifest(manifest))),
    )
    promiseEqual(again, manifest, 'written and read again')
    for (const path of [...manifest.files.keys(), ...manifest.removed]) {
      promise(!/^\/|\\|(?:^|\/)\.{1,2}(?:\/|$)/.test(path), 'no path leads elsewhere')
    }
  }),
  textTarget('record-lines', (bytes) => {
    const record = recordOf(bytes.toString())
    if (typeof record === 'string') return
    const { partition = 0, timestamp = -1, key: keyBytes, value: valueBytes, headers } = record
    const line = lineOf({ partition, offset: 0, timestamp, keyBytes, valueBytes, headers })
    promiseEqual(recordOf(line), { ...record, partition }, 'written and read again')
  }),
  textTarget('names', (bytes) => {
    const name = bytes.toString()
    const segment = parseSegmentFileName(name)
    if (segment !== undefined) {
      promise(segmentFileName(segment.baseOffset, segment.suffix) === name, 'a name means one file')
    }
    const partition = parsePartitionDirectory(name)
    if (partition !== undefined) checkPartition(name, partition)
    if (checkTopicName(name) !== null) return
    promise(isKafkaTopicName(name) && !/[/\\]|^\.{1,2}$/.test(name), 'no topic leaves its folder')
    const directory = parsePartitionDirectory(`${name}-0`)
    promise(directory?.topic === name && directory.partition === 0, 'every topic has its folder')
  }),
  textTarget('topic-ids', (bytes) => {
    const id = parseTopicId(bytes.toString())
    if (id !== undefined) promise(formatTopicId(id) === bytes.toString(), 'an id has one text')
  }),
]

function checkPartition(
  name: string,
  { topic, partition, state, id }: NonNullable<ReturnType<typeof parsePartitionDirectory>>,
): void {
  promise(!/[/\\]/.test(topic) && topic !== '.' && topic !== '..', 'no folder is elsewhere')
  promise(Number.isSafeInteger(partition) && partition >= 0, 'a partition is a number')
  if (state !== 'live') {
    promise(`${topic}-${partition}.${id}-${state}` === name, 'a name means one folder')
    return
  }
  promise(`${topic}-${partition}` === name, 'a name means one folder')
  const aside = parsePartitionDirectory(asideDirectoryName(name, ASIDE_ID, 'delete'))
  promise(aside?.state === 'delete' && aside.id === ASIDE_ID, 'a folder set aside is found')
  promise(topic.startsWith(aside.topic) && aside.partition === partition, 'and is the same')
}

function textTarget(name: string, run: (bytes: Buffer) => void): FuzzTarget {
  return { name, maxInputBytes: 1_024, allocationLimit: (input) => 64 * input.length, run }
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString()).equals(bytes)
}
