/**
 * A directory that was written here is handed to a real broker, which never saw it before: it
 * serves every record, appends, compacts and deletes topics, and is killed. Then the log is opened
 * here again, and handed over once more. Each step goes on from the one before it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { META_PROPERTIES_FILE, parseMetaProperties } from '../../src/storage/meta-properties.ts'
import { KafkaBroker, type Identity } from './kafka-broker.ts'
import { KafkaDriver, missingKafka, type PlainRecord } from './kafka-driver.ts'
import { writeKilledLog } from './killed-log.ts'
import { readFromBroker, readFromLog, type ReadTopics } from './read-topics.ts'
import { CODECS, appendSamples } from './sample-log.ts'
import { recordsToSend } from './sample-records.ts'

describe.skipIf(missingKafka !== null)('a directory that was written here', () => {
  let root: string
  let directory: string
  let kafka: KafkaDriver
  let broker: KafkaBroker
  let topics: readonly string[]
  let expected: ReadTopics

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'streambed-interop-'))
    directory = join(root, 'data')
    const written = await writeKilledLog(directory)
    const log = await openQuietly(directory)
    topics = log.topics().map((topic) => topic.name)
    expected = readFromLog(log, topics)
    expect(recordsOf(expected)).toEqual(written)
    const identity = identityOf(log)
    await log.close()
    kafka = new KafkaDriver()
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
    expect(await readFromBroker(broker, topics)).toEqual(expected)
  })

  it('has here what the broker appended, after it was killed', async () => {
    for (const topic of topics) {
      const settings = { 'compression.type': 'lz4' }
      await broker.produce(recordsToSend({ topic }, 1_000, 1_060), { settings })
    }
    expected = await readFromBroker(broker, topics)
    await broker.kill()
    const log = await openQuietly(directory)
    expect(log.recovery.partitions.flatMap((partition) => partition.damage)).toEqual([])
    expect(readFromLog(log, topics)).toEqual(expected)
    for (const partition of log.topics().flatMap((topic) => topic.partitions)) {
      appendSamples(partition, CODECS, 50)
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
    return { name, id, leaderEpoch, partitions: partitions.length, config: {} }
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

function recordsOf(read: ReadTopics): Record<string, readonly PlainRecord[]> {
  const entries = Object.entries(read).map(([folder, { records }]) => [folder, records] as const)
  return Object.fromEntries(entries)
}
