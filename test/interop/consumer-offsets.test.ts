/**
 * Positions of consumer groups between here and a real broker: Kafka's tool prints ours, its
 * consumers go on where ours were, and ours where its consumers were.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { META_PROPERTIES_FILE, parseMetaProperties } from '../../src/storage/meta-properties.ts'
import { KafkaBroker, type Identity } from './kafka-broker.ts'
import type { KafkaDriver } from './kafka-driver.ts'
import { missingKafka, startDriver } from './provided-kafka.ts'
import { recordInput, recordsToSend, sampleRecord } from './sample-records.ts'

const OFFSETS = '__consumer_offsets'
const RECORDS = 100

let kafka: KafkaDriver
let root: string

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'streambed-interop-'))
  if (missingKafka === null) kafka = startDriver()
})

afterAll(async () => {
  if (missingKafka === null) await kafka.close()
  rmSync(root, { recursive: true, force: true })
})

describe.skipIf(missingKafka !== null)('positions that were committed here', () => {
  let directory: string
  let broker: KafkaBroker

  beforeAll(async () => {
    const home = mkdtempSync(join(root, 'ours-'))
    directory = join(home, 'data')
    const log = await EventLog.open(directory)
    const orders = await log.createTopic('orders', { partitions: 2 })
    for (const partition of orders.partitions) {
      partition.append(Array.from({ length: RECORDS }, (_, at) => recordInput(sampleRecord(at))))
    }
    const group = log.consumerGroup('billing', { topics: ['orders'] })
    await group.resetOffsets({
      offsets: [{ topic: 'orders', partition: 0, offset: 90, metadata: 'by hand ✓' }],
    })
    const member = await group.join()
    while (member.lag().total > 0) await member.poll({ max: 7 })
    await member.commit([{ topic: 'orders', partition: 1, offset: 60, metadata: 'a member' }])
    await log.consumerGroup('gone', { topics: ['orders'] }).resetOffsets('latest')
    await log.consumerGroup('gone').delete()
    const identity = identityOf(log, ['orders', OFFSETS])
    await log.close()
    broker = new KafkaBroker(kafka, { home, directory })
    await broker.format(identity)
  })

  afterAll(async () => {
    await broker.kill()
  })

  it('are printed by its DumpLogSegments, one by one', async () => {
    const file = join(directory, `${OFFSETS}-0`, '00000000000000000000.log')
    const lines = await kafka.dump(['--files', file, '--offsets-decoder'])
    const printed = lines.split('\n').filter((line) => line.includes('payload:'))
    expect(printed.length).toBeGreaterThan(5)
    const told = printed.map(toldBy)
    expect(told).toContainEqual({
      key: { type: '1', data: { group: 'billing', topic: 'orders', partition: 0 } },
      value: {
        version: '3',
        data: {
          offset: 90,
          leaderEpoch: 0,
          metadata: 'by hand ✓',
          commitTimestamp: expect.any(Number) as number,
        },
      },
    })
    expect(told).toContainEqual({
      key: { type: '1', data: { group: 'gone', topic: 'orders', partition: 1 } },
      value: null,
    })
  })

  it('are where its consumers go on, once the directory is its own', async () => {
    await broker.start()
    const [first, second] = await broker.consume('orders', { group: 'billing', resume: true })
    expect(first?.records).toEqual([])
    expect(second?.records.map(({ offset }) => offset)).toEqual(range(60, RECORDS))
  })

  it('go on here where its consumers were then', async () => {
    await broker.produce(recordsToSend({ topic: 'orders', partition: 1 }, 0, 10))
    await broker.stop()
    const log = await openQuietly(directory)
    expect(log.recovery.positions).toEqual([])
    expect(log.consumerGroups().map(({ id }) => id)).toEqual(['billing'])
    expect(log.consumerGroup('billing').lag().total).toBe(10)
    await log.close()
  })
})

describe.skipIf(missingKafka !== null)("positions that a broker's consumers committed", () => {
  const groups = Array.from({ length: 6 }, (_, index) => `group-${index}`)
  let directory: string
  let broker: KafkaBroker

  beforeAll(async () => {
    const home = mkdtempSync(join(root, 'theirs-'))
    directory = join(home, 'data')
    broker = new KafkaBroker(kafka, { home, directory, offsetsPartitions: 50 })
    await broker.format({ clusterId: 'MkU3OEVBNTcwNTJENDM2Qg', directoryId: null, topics: [] })
    await broker.start()
    await broker.createTopics([{ name: 'orders', partitions: 2, config: {} }])
    for (const partition of [0, 1]) {
      await broker.produce(recordsToSend({ topic: 'orders', partition }, 0, 50))
    }
    for (const group of groups) await broker.consume('orders', { group })
    await broker.produce(recordsToSend({ topic: 'orders', partition: 1 }, 50, 60))
    await broker.stop()
  })

  afterAll(async () => {
    await broker.kill()
  })

  it('are where groups go on here, in all of its 50 partitions', async () => {
    const log = await openQuietly(directory)
    expect(log.topic(OFFSETS).partitions).toHaveLength(50)
    expect(log.consumerGroups().map(({ id }) => id)).toEqual(groups)
    const members = await Promise.all(
      groups.map((id) => log.consumerGroup(id, { topics: ['orders'] }).join()),
    )
    for (const member of members) {
      const records = await member.poll()
      expect(records.map(({ partition, offset }) => [partition, offset])).toEqual(
        range(50, 60).map((offset) => [1, offset]),
      )
      await member.leave()
    }
    expect(log.consumerGroups().map(({ lag }) => lag.total)).toEqual(groups.map(() => 0))
    await log.close()
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
  })

  it('go on there where groups were here', async () => {
    await broker.start()
    await broker.produce(recordsToSend({ topic: 'orders', partition: 1 }, 60, 65))
    for (const group of groups) {
      const [first, second] = await broker.consume('orders', { group, resume: true })
      expect(first?.records).toEqual([])
      expect(second?.records.map(({ offset }) => offset)).toEqual(range(60, 65))
    }
  })

  it('are here after the broker was killed', async () => {
    await broker.kill()
    const log = await openQuietly(directory)
    expect(log.consumerGroups().map(({ lag }) => lag.total)).toEqual(groups.map(() => 0))
    expect(log.recovery.positions).toEqual([])
    await log.close()
  })
})

/** What a line of the dump says, as JSON on both sides. */
function toldBy(line: string): { readonly key: unknown; readonly value: unknown } {
  const [, key = '', value = ''] = /key: (\{.*\}) payload: (.*)$/.exec(line) ?? []
  return {
    key: JSON.parse(key) as unknown,
    value: value === '' || value.startsWith('<') ? null : (JSON.parse(value) as unknown),
  }
}

function range(first: number, end: number): readonly number[] {
  return Array.from({ length: end - first }, (_, index) => first + index)
}

/** Taking topics in and recovering are warned of; here they are what is tested. */
function openQuietly(directory: string): Promise<EventLog> {
  return EventLog.open(directory, { onWarning: () => undefined })
}

/** What a cluster has to know of a log to serve it. */
function identityOf(log: EventLog, topics: readonly string[]): Identity {
  const path = join(log.directory ?? '', META_PROPERTIES_FILE)
  const properties = parseMetaProperties(readFileSync(path))
  return {
    clusterId: properties?.clusterId ?? '',
    directoryId: properties?.directoryId ?? null,
    topics: topics.map((name) => {
      const { id, partitions } = log.topic(name)
      return { name, id, leaderEpoch: 1, partitions: partitions.length, config: {} }
    }),
  }
}
