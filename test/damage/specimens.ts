/**
 * Small logs to be damaged: several topics, segments and codecs, with everything that was ever
 * written to them. Stopped in each way a log stops, and one that Kafka wrote.
 */
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { loadVectors, fromHex } from '../format/vectors.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { isUsable } from '../support/usable-codecs.ts'
import { openLog, partitionOf, readFromFiles, type ReadRecord } from '../log/open-log.ts'
import { KeptDriver, driverOf, storedIn, type StoredLog } from './stored-log.ts'

/** A log and all that is in it. */
export interface Specimen {
  readonly name: string
  readonly stored: StoredLog
  /** Which boot of the machine it is opened in. */
  readonly bootId: string
  /** By folder. */
  readonly records: ReadonlyMap<string, readonly ReadRecord[]>
  /** Below this offset everything was known to be synced, by folder. */
  readonly syncedTo: ReadonlyMap<string, number>
  readonly wasClean: boolean
}

const CODECS = (['none', 'gzip', 'none', 'snappy', 'lz4', 'none'] as const).filter(isUsable)
const BOOT = 'boot'

/** Every log to damage, by how it was stopped. */
export const SPECIMENS: Readonly<Record<string, () => Promise<Specimen>>> = {
  closed: () => ownLog('closed', BOOT),
  killed: () => ownLog('killed', BOOT),
  'after a power loss': () => ownLog('after a power loss', 'later boot'),
  "a broker's, closed": () => brokersLog("a broker's, closed", true),
  "a broker's, killed": () => brokersLog("a broker's, killed", false),
}

async function ownLog(name: string, bootId: string): Promise<Specimen> {
  const driver = new KeptDriver()
  const clock = new FakeClock()
  const { log } = await openLog(driver, { bootId: BOOT, clock })
  const settings = { segmentBytes: 1024, indexIntervalBytes: 150, preallocate: false }
  await runProcedure(log.createTopic('orders', { ...settings, partitions: 2 }))
  await runProcedure(log.createTopic('clicks', settings))
  append(log, 12)
  await runProcedure(log.deleteRecordsBefore(partitionOf(log, 'clicks'), 2))
  await runProcedure(log.checkpoint())
  const syncedTo = endsOf(log)
  append(log, 3)
  await nextTurn() // Watermarks are published with the turn.
  clock.advance(10)
  await nextTurn()
  const records = recordsOf(log)
  const ends = endsOf(log)
  const wasClean = name === 'closed'
  if (wasClean) await runProcedure(log.close())
  return {
    name,
    stored: storedIn(driver),
    bootId,
    records,
    syncedTo: bootId === BOOT ? ends : syncedTo,
    wasClean,
  }
}

/** A broker's directory, made of the segment that Kafka wrote for test/vectors/segment.json. */
async function brokersLog(name: string, isClean: boolean): Promise<Specimen> {
  const vector = loadVectors<{ readonly files: Readonly<Record<string, string>> }>('segment.json')
  const stored = new Map<string, Buffer | null>([
    ['orders-0', null],
    ['meta.properties', Buffer.from('version=1\ncluster.id=abc\nnode.id=1\n')],
    ['recovery-point-offset-checkpoint', Buffer.from('0\n1\norders 0 1013\n')],
    ['replication-offset-checkpoint', Buffer.from('0\n1\norders 0 1013\n')],
    ['log-start-offset-checkpoint', Buffer.from('0\n0\n')],
    ['orders-0/leader-epoch-checkpoint', Buffer.from('0\n1\n4 1000\n')],
    ['orders-0/partition.metadata', Buffer.from('version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg')],
  ])
  for (const [file, hex] of Object.entries(vector.files)) {
    if (/^\d/.test(file)) stored.set(`orders-0/${file}`, fromHex(hex))
  }
  if (isClean) stored.set('.kafka_cleanshutdown', Buffer.from('{"version":0,"brokerEpoch":5}'))
  const { log } = await openLog(driverOf(stored))
  const [records, syncedTo] = [recordsOf(log), endsOf(log)]
  return { name, stored, bootId: BOOT, records, syncedTo, wasClean: isClean }
}

function append(log: LogDirectory, batches: number): void {
  for (let batch = 0; batch < batches; batch++) {
    for (const name of ['orders', 'clicks']) {
      for (const partition of log.topic(name)?.partitions ?? []) appendBatch(partition, batch)
    }
  }
}

function appendBatch(log: PartitionLog, batch: number): void {
  const builder = new RecordBatchBuilder()
  const { buffer, start } = log.tail.reserve()
  builder.begin(buffer, start)
  for (let record = 0; record < 1 + (batch % 3); record++) {
    const offset = log.logEndOffset + record
    const value = `${log.topic}-${log.partition} ${offset} ${'y'.repeat(offset % 40)}`
    builder.add(1_000 + offset * 10, `key ${offset % 7}`, value, null)
  }
  builder.finish(CODECS[batch % CODECS.length] ?? 'none')
  log.append(builder)
}

function recordsOf(log: LogDirectory): ReadonlyMap<string, readonly ReadRecord[]> {
  const records = new Map<string, readonly ReadRecord[]>()
  for (const { partitions } of log.topics()) {
    for (const partition of partitions) {
      records.set(partition.directory, readFromFiles(partition, partition.logStartOffset))
    }
  }
  return records
}

function endsOf(log: LogDirectory): ReadonlyMap<string, number> {
  const partitions = log.topics().flatMap((topic) => topic.partitions)
  return new Map(partitions.map((partition) => [partition.directory, partition.logEndOffset]))
}
