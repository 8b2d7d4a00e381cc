/**
 * Transactions that were written here, in Kafka's hands: its tool prints their markers, indexes,
 * snapshots and decisions; a broker takes the directory over, its consumers see the same in both
 * isolation levels, and its transactional producers go on with our ids. Then it comes back.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventLog, type OpenTransaction, type Partition } from '../../src/index.ts'
import { META_PROPERTIES_FILE, parseMetaProperties } from '../../src/storage/meta-properties.ts'
import {
  abortedTransactions,
  coordinatorRecords,
  markersIn,
  producerBatches,
  snapshotProducers,
} from './dump-transactions.ts'
import { KafkaBroker, type Identity } from './kafka-broker.ts'
import type { KafkaDriver } from './kafka-driver.ts'
import { missingKafka, startDriver } from './provided-kafka.ts'
import { readFromBroker, readFromLog, type ReadTopics } from './read-topics.ts'
import { recordInput, recordsToSend, sampleRecord } from './sample-records.ts'

const TOPICS = ['ledger', 'payments']
const INTERNAL_TOPICS = ['__consumer_offsets', '__transaction_state']
const CODECS = ['none', 'gzip', 'lz4', 'zstd'] as const
const GROUP = 'clerks'
const POSITIONS = [
  { topic: 'ledger', partition: 0, offset: 5 },
  { topic: 'payments', partition: 2, offset: 3 },
]
const PREPARE_COMMIT = 2
const COMPLETE_COMMIT = 4

/** A transaction that ended, in one of its partitions. */
interface Ended {
  readonly firstOffset: number
  readonly marker: number
  readonly isCommitted: boolean
  /** Right after it. */
  readonly lastStableOffset: number
}

describe.skipIf(missingKafka !== null)('transactions that were written here', () => {
  let root: string
  let directory: string
  let kafka: KafkaDriver
  let broker: KafkaBroker
  let writer: Writer
  let uncommitted: ReadTopics
  let committed: ReadTopics

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'streambed-interop-'))
    directory = join(root, 'data')
    const log = await EventLog.open(directory)
    writer = await Writer.over(log)
    await writer.write()
    uncommitted = readFromLog(log, TOPICS)
    committed = readFromLog(log, TOPICS, 'read_committed')
    const identity = identityOf(log, [...TOPICS, ...INTERNAL_TOPICS])
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

  const dump = async (folder: string, suffix: string, option?: string): Promise<string> => {
    const names = readdirSync(join(directory, folder)).filter((name) => name.endsWith(suffix))
    const paths = names.toSorted().map((name) => join(directory, folder, name))
    if (paths.length === 0) return ''
    return kafka.dump(['--files', paths.join(','), ...(option === undefined ? [] : [option])])
  }

  it('have markers that Kafka prints, in batches that it finds valid', async () => {
    for (const [folder, ended] of writer.ended) {
      const printed = await dump(folder, '.log', '--deep-iteration')
      expect(markersIn(printed)).toEqual(
        ended.map(({ marker, isCommitted }) => ({
          offset: marker,
          outcome: isCommitted ? 'COMMIT' : 'ABORT',
        })),
      )
      const batches = producerBatches(printed)
      expect(batches.filter(({ isValid }) => !isValid)).toEqual([])
      expect(batches.filter(({ isControl }) => isControl)).toHaveLength(ended.length)
      for (const { isControl, isTransactional, producerId } of batches) {
        if (isControl) expect(isTransactional).toBe(true)
        if (isTransactional) expect(producerId).toBeGreaterThanOrEqual(2 ** 40)
      }
    }
    const ledger = readdirSync(join(directory, 'ledger-0'))
    expect(ledger.filter((name) => name.endsWith('.log')).length).toBeGreaterThan(3)
    expect(ledger.filter((name) => name.endsWith('.txnindex')).length).toBeGreaterThan(1)
  })

  it('have the aborted ones in indexes that Kafka prints', async () => {
    for (const [folder, ended] of writer.ended) {
      const printed = abortedTransactions(await dump(folder, '.txnindex'))
      expect(printed.map(({ producerId: _, ...entry }) => entry)).toEqual(
        ended
          .filter(({ isCommitted }) => !isCommitted)
          .map(({ firstOffset, marker, lastStableOffset }) => ({
            firstOffset,
            lastOffset: marker,
            lastStableOffset,
          })),
      )
    }
  })

  it('have snapshots in which Kafka finds their producers, none of them open', async () => {
    for (const folder of writer.ended.keys()) {
      const batches = producerBatches(await dump(folder, '.log'))
      const snapshots = readdirSync(join(directory, folder)).filter((name) =>
        name.endsWith('.snapshot'),
      )
      const newest = await dump(folder, snapshots.toSorted().at(-1) ?? 'none')
      const producers = snapshotProducers(newest)
      const written = new Set(batches.map(({ producerId }) => producerId).filter((id) => id >= 0))
      expect(new Set(producers.map(({ producerId }) => producerId))).toEqual(written)
      for (const { producerId, producerEpoch, isOpen, lastOffset } of producers) {
        expect(isOpen).toBe(false)
        const own = batches.filter((batch) => batch.producerId === producerId)
        expect(producerEpoch).toBe(own.at(-1)?.producerEpoch)
        const data = own.filter((batch) => !batch.isControl)
        // Of an epoch that only ended a transaction no batch is known.
        if (lastOffset !== null) expect(lastOffset).toBe(data.at(-1)?.lastOffset)
      }
    }
  })

  it('have decisions that Kafka decodes, each of them complete', async () => {
    const records = coordinatorRecords(
      await dump('__transaction_state-0', '.log', '--transaction-log-decoder'),
    )
    const decided = records.filter(({ status }) => status === PREPARE_COMMIT)
    const sorted = (lists: readonly (readonly string[])[]): readonly string[] =>
      lists.map((folders) => folders.toSorted().join(' '))
    expect(sorted(decided.map(({ folders }) => folders))).toEqual(sorted(writer.decided))
    for (const id of new Set(records.map(({ transactionalId }) => transactionalId))) {
      const last = records.findLast(({ transactionalId }) => transactionalId === id)
      expect(last?.status === PREPARE_COMMIT).toBe(false)
    }
    expect(records.some(({ status }) => status === COMPLETE_COMMIT)).toBe(true)
  })

  it('are what its consumers see in both isolations, once the directory is its own', async () => {
    await broker.start()
    expect(broker.said).toContain(`${directory} since clean shutdown file was found`)
    expect(await readFromBroker(broker, TOPICS)).toEqual(uncommitted)
    expect(await readFromBroker(broker, TOPICS, 'read_committed')).toEqual(committed)
    const [ledger] = await broker.consume('ledger', { group: GROUP, resume: true })
    expect(ledger?.records[0]?.offset).toBe(
      uncommitted['ledger-0']?.records.find(({ offset }) => offset >= 5)?.offset,
    )
  })

  it('go on there under the same ids, and here again after that', async () => {
    const records = recordsToSend({ topic: 'ledger' }, 2_000, 2_003)
    const elsewhere = recordsToSend({ topic: 'payments', partition: 1 }, 2_000, 2_003)
    const producers = Object.fromEntries(
      ['first', 'second'].map((id) => [id, { 'transactional.id': id }]),
    )
    await broker.transact(producers, [
      { producer: 'first', action: 'begin' },
      { producer: 'first', action: 'send', records: [...records, ...elsewhere] },
      { producer: 'second', action: 'begin' },
      { producer: 'second', action: 'send', records },
      { producer: 'second', action: 'abort' },
      { producer: 'first', action: 'commit' },
      { producer: 'first', action: 'begin' },
      { producer: 'first', action: 'send', records },
      { producer: 'first', action: 'commit' },
    ])
    uncommitted = await readFromBroker(broker, TOPICS)
    committed = await readFromBroker(broker, TOPICS, 'read_committed')
    expect(committed['ledger-0']?.records.length).toBeGreaterThan(6)
    await broker.stop()
    const log = await openQuietly(directory)
    expect(readFromLog(log, TOPICS)).toEqual(uncommitted)
    expect(readFromLog(log, TOPICS, 'read_committed')).toEqual(committed)
    const producer = log.producer({ transactionalId: 'first' })
    await producer.transaction(async (tx) => {
      await tx.send({ topic: 'ledger', value: 'here again' })
      await tx.send({ topic: 'payments', partition: 0, value: 'here again' })
    })
    uncommitted = readFromLog(log, TOPICS)
    committed = readFromLog(log, TOPICS, 'read_committed')
    await log.close()
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
    await broker.start()
    expect(await readFromBroker(broker, TOPICS)).toEqual(uncommitted)
    expect(await readFromBroker(broker, TOPICS, 'read_committed')).toEqual(committed)
    await broker.transact(producers, [
      { producer: 'first', action: 'begin' },
      { producer: 'first', action: 'send', records },
      { producer: 'first', action: 'commit' },
    ])
  })
})

/** Writes transactions of three producers, and notes what has to be in the files. */
class Writer {
  /** By folder, in the order of the markers. */
  readonly ended = new Map<string, Ended[]>()
  /** The partitions of every transaction that needed a decision, in order. */
  readonly decided: string[][] = []
  readonly #log: EventLog
  readonly #firstOffsets = new Map<OpenTransaction, Map<string, number>>()
  #number = 0

  private constructor(log: EventLog) {
    this.#log = log
  }

  static async over(log: EventLog): Promise<Writer> {
    const rolling = { segmentBytes: 4_096, indexIntervalBytes: 512 }
    await log.createTopic('ledger', rolling)
    await log.createTopic('payments', { ...rolling, partitions: 3 })
    return new Writer(log)
  }

  async write(): Promise<void> {
    const [first, second, third] = ['first', 'second', 'third'].map((transactionalId, index) =>
      this.#log.producer({ transactionalId, compression: CODECS[index] ?? 'none' }),
    )
    if (first === undefined || second === undefined || third === undefined) return
    const plain = this.#log.producer({ compression: 'zstd' })
    const long = await first.begin()
    await this.#send(long, ['ledger-0', 'payments-1'])
    for (let round = 0; round < 12; round += 1) {
      const one = await second.begin()
      await this.#send(one, ['ledger-0', `payments-${round % 3}`])
      const other = await third.begin()
      await this.#send(other, round % 2 === 0 ? ['ledger-0'] : ['ledger-0', 'payments-0'])
      await plain.send({ topic: 'ledger', ...recordInput(sampleRecord(this.#number)) })
      await this.#end(other, round % 3 !== 0)
      await this.#send(one, ['ledger-0'])
      await this.#end(one, round % 3 !== 1)
    }
    await this.#send(long, ['ledger-0'])
    await this.#end(long, false)
    const last = await first.begin()
    await this.#send(last, ['payments-2'])
    last.commitOffsets(this.#log.consumerGroup(GROUP), POSITIONS)
    await this.#end(last, true, ['__consumer_offsets-0'])
    const dropped = await first.begin()
    await this.#send(dropped, ['payments-2'])
    dropped.commitOffsets(this.#log.consumerGroup(GROUP), [
      { topic: 'ledger', partition: 0, offset: 9 },
    ])
    await this.#end(dropped, false)
  }

  async #send(transaction: OpenTransaction, folders: readonly string[]): Promise<void> {
    const firstOffsets = this.#firstOffsets.get(transaction) ?? new Map<string, number>()
    this.#firstOffsets.set(transaction, firstOffsets)
    for (const folder of folders) {
      const { topic, index } = this.#partition(folder)
      const records = Array.from({ length: 3 }, () => ({
        topic,
        partition: index,
        ...recordInput(sampleRecord(this.#number++)),
      }))
      const [sent] = await transaction.sendAll(records)
      if (!firstOffsets.has(folder)) firstOffsets.set(folder, sent?.offset ?? -1)
    }
  }

  async #end(
    transaction: OpenTransaction,
    isCommitted: boolean,
    offsetsFolders: readonly string[] = [],
  ): Promise<void> {
    await (isCommitted ? transaction.commit() : transaction.abort())
    const firstOffsets = this.#firstOffsets.get(transaction) ?? new Map<string, number>()
    for (const [folder, firstOffset] of firstOffsets) {
      const { logEndOffset, lastStableOffset } = this.#partition(folder)
      const ended = this.ended.get(folder) ?? []
      this.ended.set(folder, ended)
      ended.push({ firstOffset, marker: logEndOffset - 1, isCommitted, lastStableOffset })
    }
    const folders = [...firstOffsets.keys(), ...offsetsFolders]
    if (isCommitted && folders.length > 1) this.decided.push(folders)
  }

  #partition(folder: string): Partition {
    const at = folder.lastIndexOf('-')
    return this.#log.topic(folder.slice(0, at)).partition(Number(folder.slice(at + 1)))
  }
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
