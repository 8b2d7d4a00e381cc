/**
 * A directory that was written here is handed to a real broker, which never saw it before: it
 * serves every record, appends, compacts and deletes topics, and is killed. Then the log is opened
 * here again, and handed over once more. Each step goes on from the one before it.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventLog, type Partition } from '../../src/index.ts'
import { META_PROPERTIES_FILE, parseMetaProperties } from '../../src/storage/meta-properties.ts'
import { KafkaBroker, type Identity } from './kafka-broker.ts'
import type { KafkaDriver, PlainRecord } from './kafka-driver.ts'
import { missingKafka, startDriver } from './provided-kafka.ts'
import { writeKilledLog } from './killed-log.ts'
import { readFromBroker, readFromLog, type ReadTopics } from './read-topics.ts'
import { CODECS, appendSamples, type ExpectedRecords } from './sample-log.ts'
import { recordInput, recordsToSend, sampleRecord } from './sample-records.ts'

const COMPACTION = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0.01',
  'segment.ms': '100',
}
/** Topics that the broker does more to than append, and the records they have before. */
const CHANGED_TOPICS = { compacted: 300, deleted: 100, grown: 100, recreated: 100 }

describe.skipIf(missingKafka !== null)('a directory that was written here', () => {
  let root: string
  let directory: string
  let kafka: KafkaDriver
  let broker: KafkaBroker
  let written: ExpectedRecords
  let topics: readonly string[]
  let expected: ReadTopics

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'streambed-interop-'))
    directory = join(root, 'data')
    written = await writeKilledLog(directory)
    const log = await openQuietly(directory)
    for (const [name, count] of Object.entries(CHANGED_TOPICS)) {
      appendKeyed((await log.createTopic(name)).partition(0), count)
    }
    topics = log.topics().map((topic) => topic.name)
    expected = readFromLog(log, topics)
    const identity = identityOf(log)
    await log.close()
    kafka = startDriver()
    broker = new KafkaBroker(kafka, { home: root, directory })
    await broker.format(identity)
  })

  afterAll(async () => {
    await broker.kill()
    await kafka.close()
    rmSync(root, { recursive: true, force: true })
  })

  it('is served by a broker, every record of it, without recovery', async () => {
    await broker.start()
    expect(broker.said).toContain(`${directory} since clean shutdown file was found`)
    expect(broker.said).not.toContain('rebuilding index files')
    const served = await readFromBroker(broker, topics)
    expect(served).toEqual(expected)
    expect(recordsOf(served)).toMatchObject(written)
  })

  it('has here what the broker made of its topics', async () => {
    await deleteAtOnce(broker, 'deleted')
    await broker.deleteTopic('recreated')
    await broker.createTopics([
      { name: 'recreated', partitions: 1, config: {} },
      { name: 'added', partitions: 3, config: {} },
    ])
    await broker.produce(recordsToSend({ topic: 'recreated' }, 0, 20))
    await broker.produce(recordsToSend({ topic: 'added', partition: 1 }, 0, 20))
    await broker.addPartitions('grown', 3)
    await compaction(broker)
    topics = [...topics.filter((topic) => topic !== 'deleted'), 'added'].sort()
    expected = await readFromBroker(broker, topics)
    await broker.stop()
    const log = await openQuietly(directory)
    expect(log.recovery.clean).toBe(true)
    expect(log.recovery.partitions.flatMap((partition) => partition.damage)).toEqual([])
    expect(log.topics().map((topic) => topic.name)).toEqual(topics)
    expect(readFromLog(log, topics)).toEqual(expected)
    await log.close()
    await broker.start()
  })

  it('has here what the broker appended, after it was killed', async () => {
    await deleteAtOnce(broker, 'added')
    topics = topics.filter((topic) => topic !== 'added')
    for (const topic of topics.filter((name) => name !== 'compacted')) {
      const settings = { 'compression.type': 'lz4' }
      await broker.produce(recordsToSend({ topic }, 1_000, 1_060), { settings })
    }
    expected = await readFromBroker(broker, topics)
    await broker.kill()
    const log = await openQuietly(directory)
    expect(log.recovery.partitions.flatMap((partition) => partition.damage)).toEqual([])
    expect(log.topics().map((topic) => topic.name)).toEqual(topics)
    expect(readFromLog(log, topics)).toEqual(expected)
    for (const topic of log.topics().filter(({ name }) => name !== 'compacted')) {
      for (const partition of topic.partitions) appendSamples(partition, CODECS, 50)
    }
    expected = readFromLog(log, topics)
    await log.close()
  })

  it('is served again with what was appended here after that', async () => {
    await broker.start()
    expect(await readFromBroker(broker, topics)).toEqual(expected)
    await broker.stop()
    const log = await openQuietly(directory)
    expect(log.recovery.clean).toBe(true)
    expect(readFromLog(log, topics)).toEqual(expected)
    await log.close()
  })
})

/** What a cluster has to know of a log to serve it. */
function identityOf(log: EventLog): Identity {
  const path = join(log.directory ?? '', META_PROPERTIES_FILE)
  const properties = parseMetaProperties(readFileSync(path))
  if (properties === undefined) throw new Error('meta.properties cannot be read')
  const topics = log.topics().map((topic) => {
    const epochs = topic.partitions.flatMap((partition) =>
      Array.from(partition.records(), (record) => record.leaderEpoch),
    )
    const leaderEpoch = Math.max(0, ...epochs) + 1
    const { name, id, partitions } = topic
    const config = name === 'compacted' ? COMPACTION : {}
    return { name, id, leaderEpoch, partitions: partitions.length, config }
  })
  return {
    clusterId: properties.clusterId ?? '',
    directoryId: properties.directoryId ?? null,
    topics,
  }
}

/** Recovering is warned of; here it is what is tested. */
function openQuietly(directory: string): Promise<EventLog> {
  return EventLog.open(directory, { onWarning: () => undefined })
}

/** One batch a record, so that compaction leaves gaps between batches. */
function appendKeyed(partition: Partition, count: number): void {
  for (let number = 0; number < count; number += 1) {
    const record = { ...sampleRecord(number), key: Buffer.from(`${number % 7}`).toString('hex') }
    partition.append(recordInput(record))
  }
}

/** A broker hears of a deletion later than who asked for it. */
async function deleteAtOnce(broker: KafkaBroker, topic: string): Promise<void> {
  await broker.deleteTopic(topic)
  while (readdirSync(broker.directory).includes(`${topic}-0`)) await broker.consume('empty')
}

/** Resolves when the cleaner has removed records. */
async function compaction(broker: KafkaBroker): Promise<void> {
  // Old enough a segment is rolled only by an append.
  const [record] = recordsToSend({ topic: 'compacted' }, 10_000, 10_001)
  if (record !== undefined) await broker.produce([{ ...record, key: '00' }])
  for (;;) {
    const [partition] = await broker.consume('compacted')
    if (partition !== undefined && partition.records.length < 100) return
  }
}

function recordsOf(read: ReadTopics): Record<string, readonly PlainRecord[]> {
  const entries = Object.entries(read).map(([folder, { records }]) => [folder, records] as const)
  return Object.fromEntries(entries)
}
