/**
 * A log with all that Kafka's tools are to read: a topic for each codec, one whose timestamps are
 * those of the append, one whose batches use every codec in turn, one written by a producer, one
 * that is empty. All of them but the last roll several times.
 */
import { isCodecAvailable, COMPRESSION_CODECS, type Codec } from '../../src/format/compression.ts'
import type { EventLog, Partition, TopicConfig } from '../../src/index.ts'
import type { PlainRecord } from './kafka-driver.ts'
import { recordInput, sampleRecord } from './sample-records.ts'

/** Codecs that can be written here; all of them, where the optional packages are installed. */
export const CODECS: readonly Codec[] = COMPRESSION_CODECS.filter((codec) =>
  isCodecAvailable(codec, 'compress'),
)

/** What a partition must hold, by its folder's name. */
export type ExpectedRecords = Record<string, PlainRecord[]>

/** Small, so that there are several segments, each with several entries in its indexes. */
const ROLLING: TopicConfig = { segmentBytes: 16_384, indexIntervalBytes: 1_024 }
const RECORDS_PER_PARTITION = 500
const BATCH_SIZES = [1, 7, 2, 30, 3, 15]

/** Creates the topics and fills them; returns what is in them. */
export async function writeSampleLog(log: EventLog): Promise<ExpectedRecords> {
  const expected: ExpectedRecords = {}
  for (const codec of CODECS) {
    const topic = await log.createTopic(`codec.${codec}`, { ...ROLLING, partitions: 2 })
    for (const partition of topic.partitions) {
      expected[folderOf(partition)] = appendSamples(partition, [codec], RECORDS_PER_PARTITION)
    }
  }
  const mixed = await log.createTopic('mixed_codecs', ROLLING)
  expected['mixed_codecs-0'] = appendSamples(mixed.partition(0), CODECS, RECORDS_PER_PARTITION)
  const timed = await log.createTopic('append-time', {
    ...ROLLING,
    messageTimestampType: 'LogAppendTime',
  })
  expected['append-time-0'] = appendSamples(timed.partition(0), CODECS, RECORDS_PER_PARTITION)
  const codec = CODECS.at(-1) ?? 'none'
  const produced = `codec.${codec}-produced`
  expected[`${produced}-0`] = await produceSamples(log, produced, codec)
  await log.createTopic('empty')
  expected['empty-0'] = []
  return expected
}

/** As an application writes: record by record, in batches as they come. */
async function produceSamples(log: EventLog, topic: string, codec: Codec): Promise<PlainRecord[]> {
  await log.createTopic(topic, ROLLING)
  const producer = log.producer({ compression: codec, batchBytes: 4_096 })
  const records = Array.from({ length: RECORDS_PER_PARTITION }, (_, at) => sampleRecord(at))
  const sent = records.map((record) => producer.send({ topic, ...recordInput(record) }))
  const offsets = (await Promise.all(sent)).map(({ offset }) => offset)
  await producer.close()
  return records.map((record, at) => ({ ...record, offset: offsets[at] ?? -1 }))
}

/** Appends `count` sample records in batches of several sizes, with these codecs in turn. */
export function appendSamples(
  partition: Partition,
  codecs: readonly Codec[],
  count: number,
): PlainRecord[] {
  const appended: PlainRecord[] = []
  for (let batch = 0; appended.length < count; batch += 1) {
    const size = Math.min(BATCH_SIZES[batch % BATCH_SIZES.length] ?? 1, count - appended.length)
    const first = partition.logEndOffset
    const records = Array.from({ length: size }, (_, at) => sampleRecord(first + at))
    const compression = codecs[batch % codecs.length] ?? 'none'
    const { baseOffset, timestamp } = partition.append(records.map(recordInput), { compression })
    const isTimed = partition.topic === 'append-time'
    for (const [at, record] of records.entries()) {
      const offset = baseOffset + at
      appended.push({ ...record, offset, timestamp: isTimed ? timestamp : record.timestamp })
    }
  }
  return appended
}

/** Name of a partition's folder. */
export function folderOf(partition: Partition): string {
  return `${partition.topic}-${partition.index}`
}
