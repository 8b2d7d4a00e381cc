/**
 * A real broker's directory is opened here, appended to, and given back: once after the broker was
 * stopped, once after it was killed, at last after kills here. Each step goes on from the one
 * before it. At every turn both sides must read the same: Kafka through its consumer, we from the
 * files it left.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { KafkaBroker, type TopicToCreate } from './kafka-broker.ts'
import type { KafkaDriver, PlainRecord, RecordToSend } from './kafka-driver.ts'
import { missingKafka, startDriver } from './provided-kafka.ts'
import { readFromBroker, readFromLog, type ReadTopics } from './read-topics.ts'
import { CODECS, appendSamples } from './sample-log.ts'
import { recordsToSend } from './sample-records.ts'

const KILLED_CHILD = fileURLToPath(new URL('killed-append.ts', import.meta.url))
const CODEC_TOPICS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'].map((codec) => `codec.${codec}`)
/** Sample records are 10 ms apart. */
const ROLLING = { 'segment.ms': '400', 'index.interval.bytes': '512' }
const TOPICS: readonly TopicToCreate[] = [
  ...CODEC_TOPICS.map((name) => ({ name, partitions: 2, config: ROLLING })),
  { name: 'large', partitions: 1, config: { 'segment.bytes': '1048576' } },
  { name: 'timed', partitions: 1, config: { 'message.timestamp.type': 'LogAppendTime' } },
  {
    name: 'compacted',
    partitions: 1,
    config: { ...ROLLING, 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' },
  },
  { name: 'transactions', partitions: 2, config: ROLLING },
  { name: 'empty', partitions: 1, config: {} },
]
const INTERNAL_TOPICS = ['__consumer_offsets', '__transaction_state']
const ALL_TOPICS = [...TOPICS.map(({ name }) => name), ...INTERNAL_TOPICS]
/** Topics that anything may be appended to. */
const OPEN_TOPICS = [...CODEC_TOPICS, 'transactions', 'empty']

describe.skipIf(missingKafka !== null)('the directory of a broker', () => {
  let root: string
  let directory: string
  let kafka: KafkaDriver
  let broker: KafkaBroker
  let expected: ReadTopics

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'streambed-interop-'))
    directory = join(root, 'data')
    kafka = startDriver()
    broker = new KafkaBroker(kafka, { home: root, directory })
    await broker.format({ clusterId: 'MkU3OEVBNTcwNTJENDM2Qg', directoryId: null, topics: [] })
    await broker.start()
    await broker.createTopics(TOPICS)
    await fill(broker)
    expected = await readFromBroker(broker, ALL_TOPICS)
  })

  afterAll(async () => {
    await broker.kill()
    await kafka.close()
    rmSync(root, { recursive: true, force: true })
  })

  const filesIn = (folder: string, suffix: string): readonly string[] =>
    readdirSync(join(directory, folder)).filter((name) => name.endsWith(suffix))

  it.runIf(nativeBinding() !== null)('is locked here while the broker runs', async () => {
    await expect(openQuietly(directory)).rejects.toMatchObject({ code: 'LOCKED' })
  })

  it('has here all that its consumer read, once the broker has stopped', async () => {
    await broker.stop()
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
    await using log = await openQuietly(directory)
    expect(log.recovery.clean).toBe(true)
    expect(readFromLog(log, ALL_TOPICS)).toEqual(expected)
    await log.close()
    // Segments, gaps and aborted transactions are there, so they were read.
    for (const folder of [...CODEC_TOPICS.map((name) => `${name}-1`), 'large-0']) {
      expect(filesIn(folder, '.log').length).toBeGreaterThan(2)
    }
    expect(filesIn('transactions-0', '.txnindex')).toHaveLength(1)
    expect(expected['compacted-0']?.records.length).toBeLessThan(100)
  })

  it('gets back the aborted transactions that Kafka noted, where their file is lost', async () => {
    const copy = join(root, 'copy')
    cpSync(directory, copy, { recursive: true })
    const [name = ''] = filesIn('transactions-0', '.txnindex')
    rmSync(join(copy, 'transactions-0', name))
    expect(await EventLog.verify(copy)).toMatchObject({
      damage: [{ file: `transactions-0/${name}`, reason: 'missing' }],
    })
    await EventLog.repair(copy)
    const written = readFileSync(join(directory, 'transactions-0', name))
    expect(readFileSync(join(copy, 'transactions-0', name))).toEqual(written)
    expect(await EventLog.verify(copy)).toMatchObject({ sound: true })
  })

  it.runIf(nativeBinding() !== null)('is locked for brokers while it is open here', async () => {
    await using log = await openQuietly(directory)
    expect(await kafka.request('canLock', { directory })).toBe(false)
    await log.close()
    expect(await kafka.request('canLock', { directory })).toBe(true)
  })

  it('goes back to the broker with what was appended here', async () => {
    expected = await appendHere(directory)
    await broker.start()
    expect(await readFromBroker(broker, ALL_TOPICS)).toEqual(expected)
  })

  it('has here all that its consumer read, after the broker was killed', async () => {
    await produceMore(broker)
    await produceTransaction(broker, 'open', 40)
    expected = await readFromBroker(broker, ALL_TOPICS)
    await broker.kill()
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
    await using log = await openQuietly(directory)
    expect(log.recovery.clean).toBe(false)
    expect(log.recovery.partitions.flatMap((partition) => partition.damage)).toEqual([])
    // What was open is aborted, by a marker in each of its partitions, and the coordinator's log
    // says so.
    for (const folder of ['transactions-0', 'transactions-1'])
      expected = withMarker(expected, folder)
    const readable = ALL_TOPICS.filter((topic) => topic !== '__transaction_state')
    expect(readFromLog(log, readable)).toEqual(pick(expected, readable))
    const [states] = pickedRecords(readFromLog(log, ['__transaction_state']))
    const [before = []] = pickedRecords(pick(expected, ['__transaction_state']))
    expect(states?.slice(0, before.length)).toEqual(before)
    await log.close()
  })

  it('goes back to the broker after that, and comes here again', async () => {
    expected = await appendHere(directory)
    await broker.start()
    expect(await readFromBroker(broker, OPEN_TOPICS)).toEqual(pick(expected, OPEN_TOPICS))
    await produceMore(broker)
    expected = await readFromBroker(broker, OPEN_TOPICS)
    await broker.stop()
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
    await using log = await openQuietly(directory)
    expect(log.recovery.clean).toBe(true)
    expect(readFromLog(log, OPEN_TOPICS)).toEqual(expected)
    await log.close()
  })

  it('goes back after kills here, and groups of its consumers go on where they were', async () => {
    for (let kills = 0; kills < KILLS; kills += 1) await appendAndDie(directory, 'codec.none')
    await using log = await openQuietly(directory)
    const end = log.topic('codec.none').partition(0).logEndOffset
    await log.close()
    await broker.start()
    await broker.consume('codec.none', { group: 'another-group' })
    await broker.produce(recordsToSend({ topic: 'codec.none', partition: 0 }, 5_000, 5_010))
    const [more] = await broker.consume('codec.none', { group: 'another-group', resume: true })
    expect(more?.records.map(({ offset }) => offset)).toEqual(
      Array.from({ length: 10 }, (_, index) => end + index),
    )
    await broker.stop()
  })
})

/** More than the epochs that a cluster is ahead by after a restart. */
const KILLS = 6

/** A process that opens the log, appends to both partitions of `topic`, and is killed. */
async function appendAndDie(directory: string, topic: string): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', KILLED_CHILD, directory, topic], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await ended
}

/** Everything that a broker stores in a way of its own. */
async function fill(broker: KafkaBroker): Promise<void> {
  for (const name of CODEC_TOPICS) {
    const settings = { 'compression.type': name.slice('codec.'.length) }
    for (const partition of [0, 1]) {
      await broker.produce(recordsToSend({ topic: name, partition }, 0, 200), { settings })
    }
  }
  await broker.produce(largeRecords(40), { flushEvery: 2 })
  await broker.produce(recordsToSend({ topic: 'timed' }, 0, 50))
  await produceTransaction(broker, 'commit', 0)
  await produceTransaction(broker, 'abort', 100)
  await produceTransaction(broker, 'commit', 200)
  await broker.produce(keyedRecords(0, 200))
  await compaction(broker)
  await broker.consume('codec.none', { group: 'a-group' })
}

async function produceMore(broker: KafkaBroker): Promise<void> {
  for (const topic of OPEN_TOPICS) {
    const settings = { 'compression.type': CODECS[topic.length % CODECS.length] ?? 'none' }
    await broker.produce(recordsToSend({ topic }, 1_000, 1_060), { settings })
  }
  await broker.produce(keyedRecords(1_000, 1_060))
}

async function produceTransaction(
  broker: KafkaBroker,
  transaction: 'commit' | 'abort' | 'open',
  first: number,
): Promise<void> {
  const records = [0, 1].flatMap((partition) =>
    recordsToSend({ topic: 'transactions', partition }, first, first + 40),
  )
  // As a program has it: one producer of one id.
  const settings = { 'transactional.id': 'a-transaction', 'compression.type': 'lz4' }
  await broker.produce(records, { settings, transaction })
}

/** Resolves when the cleaner has removed records. */
async function compaction(broker: KafkaBroker): Promise<void> {
  for (;;) {
    const [partition] = await broker.consume('compacted')
    if (partition !== undefined && partition.records.length < partition.endOffset / 2) return
  }
}

/** Taking topics in and recovering are warned of; here they are what is tested. */
function openQuietly(directory: string): Promise<EventLog> {
  return EventLog.open(directory, { onWarning: () => undefined })
}

async function appendHere(directory: string): Promise<ReadTopics> {
  await using log = await openQuietly(directory)
  for (const name of OPEN_TOPICS) {
    for (const partition of log.topic(name).partitions) appendSamples(partition, CODECS, 100)
  }
  const appended = readFromLog(log, ALL_TOPICS)
  await log.close()
  return appended
}

function keyedRecords(from: number, to: number): readonly RecordToSend[] {
  const records = recordsToSend({ topic: 'compacted' }, from, to)
  return records.map((record, at) => ({ ...record, key: Buffer.from(`${at % 9}`).toString('hex') }))
}

/** Enough for several segments of the smallest size that a broker accepts. */
function largeRecords(count: number): readonly RecordToSend[] {
  const records = recordsToSend({ topic: 'large' }, 0, count)
  return records.map((record, at) => ({
    ...record,
    value: Buffer.alloc(61_000, `${at} `).toString('hex'),
  }))
}

/** A marker is no record, but has an offset. */
function withMarker(read: ReadTopics, folder: string): ReadTopics {
  const { endOffset = 0, records = [] } = read[folder] ?? {}
  return { ...read, [folder]: { endOffset: endOffset + 1, records } }
}

function pickedRecords(read: ReadTopics): readonly (readonly PlainRecord[])[] {
  return Object.values(read).map(({ records }) => records)
}

function pick(read: ReadTopics, topics: readonly string[]): ReadTopics {
  const isPicked = (folder: string): boolean =>
    topics.includes(folder.slice(0, folder.lastIndexOf('-')))
  return Object.fromEntries(Object.entries(read).filter(([folder]) => isPicked(folder)))
}
