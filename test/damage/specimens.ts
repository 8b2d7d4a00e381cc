/**
 * Small logs to be damaged: several topics, segments and codecs, with everything that was ever
 * written to them. Stopped in each way a log stops, and one that Kafka wrote.
 */
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { cleanPartition } from '../../src/log/cleaner/cleaner.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { SegmentRemoval } from '../../src/log/segment-removal.ts'
import { swapIn } from '../../src/log/segment-swap.ts'
import { readMetadata, writeMetadata } from '../../src/storage/metadata-file.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
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
  /** What compaction took out, which may be there again where it is undone; by folder. */
  readonly removed: ReadonlyMap<string, readonly ReadRecord[]>
  /** Offsets may be missing: what is gone by one that changed within a gap, nobody can tell. */
  readonly hasGaps: boolean
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
  'compacted, closed': () => compactedLog('compacted, closed', 'closed'),
  'compacted, killed': () => compactedLog('compacted, killed', 'killed'),
  'killed within a swap': () => compactedLog('killed within a swap', 'swapping'),
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
    removed: new Map(),
    hasGaps: false,
    syncedTo: bootId === BOOT ? ends : syncedTo,
    wasClean,
  }
}

/** A compacted one, or one whose compaction was stopped while it replaced segments. */
async function compactedLog(
  name: string,
  stop: 'closed' | 'killed' | 'swapping',
): Promise<Specimen> {
  const driver = new KeptDriver()
  const clock = new FakeClock()
  const { log } = await openLog(driver, { bootId: BOOT, clock })
  const settings = { segmentBytes: 1024, indexIntervalBytes: 150, preallocate: false } as const
  await runProcedure(log.createTopic('orders', { ...settings, cleanupPolicy: 'compact' }))
  append(log, 24)
  await runProcedure(log.checkpoint())
  await runProcedure(markCompacted(driver))
  const partition = partitionOf(log, 'orders')
  const written = recordsOf(log)
  // Segments that are smaller by then come together.
  partition.applyConfig({ ...partition.config, segmentBytes: 4096 })
  const removal = new SegmentRemoval(driver, clock)
  const procedure = cleanPartition(partition, {
    driver,
    firstDirtyOffset: 0,
    force: true,
    bufferBytes: 1 << 20,
    nowMs: clock.now(),
    throttle: () => undefined,
    isStopped: () => false,
    swap: (old, cleaned) => swapIn({ driver, log: partition, removal }, old, cleaned),
  })
  const isSwapping = (): boolean => driver.list('orders-0').some((one) => one.endsWith('.swap'))
  const isAside = (): boolean => driver.list('orders-0').some((one) => one.endsWith('.deleted'))
  for (let step = procedure.next(); step.done !== true; step = procedure.next()) {
    await step.value()
    if (stop === 'swapping' && isSwapping() && isAside()) break
  }
  if (stop !== 'swapping') await runProcedure(removal.close())
  await nextTurn()
  clock.advance(10)
  await nextTurn()
  const records = recordsOf(log)
  const syncedTo = endsOf(log)
  if (stop === 'closed') await runProcedure(log.close())
  const stored = storedIn(driver)
  const removed = stop === 'swapping' ? written : new Map<string, readonly ReadRecord[]>()
  const known = { name, stored, bootId: BOOT, records, removed, syncedTo }
  return { ...known, hasGaps: true, wasClean: stop === 'closed' }
}

/** As housekeeping does before the first swap of a topic. */
function* markCompacted(driver: StorageDriver): Procedure<void> {
  const reading = readMetadata(driver)
  if (reading.kind !== 'found') throw new Error('no metadata')
  const topics = [...reading.metadata.topics].map(([name, topic]) => {
    return [name, { ...topic, compacted: true }] as const
  })
  yield* writeMetadata(driver, { ...reading.metadata, topics: new Map(topics) })
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
  const removed = new Map<string, readonly ReadRecord[]>()
  return {
    name,
    stored,
    bootId: BOOT,
    records,
    removed,
    hasGaps: true,
    syncedTo,
    wasClean: isClean,
  }
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
