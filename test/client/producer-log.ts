/** A log as producers see it, without files: partitions over memory, and what they hold. */
import { Producer, type ProducerHost, type ProducerTopic } from '../../src/client/producer.ts'
import type { ProducerOptions } from '../../src/client/producer-options.ts'
import { RecordTypes } from '../../src/client/record-types.ts'
import { isTopicDefinition } from '../../src/client/topic-definition.ts'
import type { AnyTopicRef } from '../../src/client/topic-ref.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { codecOfAttributes, type Codec } from '../../src/format/compression.ts'
import {
  attributesOf,
  baseSequenceOf,
  batchSizeBytesOf,
  isTransactionalBatch,
  producerEpochOf,
  producerIdOf,
} from '../../src/format/record-batch.ts'
import type { BatchProducer } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { nextTurn, type Clock } from '../../src/log/clock.ts'
import { CommitBarrier } from '../../src/log/commit-barrier.ts'
import type { CommittedOffsets } from '../../src/log/committed-offsets.ts'
import {
  resolveTopicConfig,
  type ResolvedTopicConfig,
  type TopicConfig,
} from '../../src/log/log-config.ts'
import { PartitionLog, type PartitionContext } from '../../src/log/partition-log.ts'
import { ProducerIds } from '../../src/log/producer-ids.ts'
import { noProducers } from '../../src/log/producer-replay.ts'
import { TailBudget } from '../../src/log/tail.ts'
import type { TransactionCoordinator } from '../../src/log/transaction-coordinator.ts'
import { layPartition } from '../../src/log/topic-directory.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { HeldDisk } from '../support/held-disk.ts'

/** A record as it lies in a partition. */
export interface AppendedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
}

/** A batch as it lies in a partition. */
export interface AppendedBatch {
  readonly sizeBytes: number
  readonly codec: Codec
  readonly producer: BatchProducer
  readonly records: readonly AppendedRecord[]
}

/** A topic of a `ProducerLog`. */
export class ProducerLogTopic {
  readonly name: string
  config: ResolvedTopicConfig
  partitions: PartitionLog[] = []
  readonly #types = new Map<AnyTopicRef | null, ProducerTopic>()

  constructor(name: string, config: ResolvedTopicConfig) {
    this.name = name
    this.config = config
  }

  /** Changes settings, as altering them does. */
  alter(changes: TopicConfig): void {
    this.config = resolveTopicConfig(this.config, changes)
    for (const partition of this.partitions) partition.applyConfig(this.config)
  }

  /** Deletes the topic, as far as producers notice. */
  delete(): void {
    for (const partition of this.partitions) partition.finish('deleted')
  }

  view(ref: AnyTopicRef | null): ProducerTopic {
    const known = this.#types.get(ref)
    if (known !== undefined) return known
    const definition = isTopicDefinition(ref) ? ref : null
    const types = new RecordTypes(this.name, definition, this.config.cleanupPolicy !== 'delete')
    const view = new TopicView(this, types)
    this.#types.set(ref, view)
    return view
  }

  /** Every batch of a partition. */
  batches(partition: number = 0): readonly AppendedBatch[] {
    const log = this.partitions[partition]
    if (log === undefined) throw new Error(`no partition ${partition}`)
    const batches: AppendedBatch[] = []
    const cursor = log.cursor(0)
    for (let run = cursor.next(log.logEndOffset); run; run = cursor.next(log.logEndOffset)) {
      let at = run.start
      while (at < run.end) {
        batches.push(batchAt(run.buffer, at))
        at += batchSizeBytesOf(run.buffer, at)
      }
    }
    return batches
  }

  /** Every record of a partition. */
  records(partition: number = 0): readonly AppendedRecord[] {
    return this.batches(partition).flatMap((batch) => batch.records)
  }

  /** The values of a partition, in order. */
  values(partition: number = 0): readonly (string | null)[] {
    return this.records(partition).map((record) => record.value)
  }
}

class TopicView implements ProducerTopic {
  readonly name: string
  readonly types: RecordTypes
  readonly #topic: ProducerLogTopic

  constructor(topic: ProducerLogTopic, types: RecordTypes) {
    this.name = topic.name
    this.types = types
    this.#topic = topic
  }

  get config(): ResolvedTopicConfig {
    return this.#topic.config
  }

  get logs(): readonly PartitionLog[] {
    return this.#topic.partitions
  }

  get isUsable(): boolean {
    return this.#topic.partitions[0]?.end === undefined
  }
}

/** See the file's header. */
export class ProducerLog implements ProducerHost {
  readonly clock: FakeClock = new FakeClock()
  readonly holdsProcess: boolean
  readonly driver: StorageDriver
  readonly closed: Producer[] = []
  onSend: (() => void) | undefined
  readonly barrier: CommitBarrier
  readonly producerIds: ProducerIds = new ProducerIds(
    (byteCount) => this.randomBytes(byteCount),
    () => false,
  )
  readonly #topics = new Map<string, ProducerLogTopic>()
  readonly #context: PartitionContext
  #seed = 1

  constructor(driver: StorageDriver = openMemoryDriver(), holdsProcess: boolean = false) {
    this.driver = driver
    this.holdsProcess = holdsProcess
    const clock: Clock = this.clock
    this.barrier = new CommitBarrier(clock)
    const nothing = (): void => undefined
    this.#context = {
      driver,
      clock,
      barrier: this.barrier,
      tailBudget: new TailBudget(1_000_000_000),
      changed: nothing,
      layoutChanged: nothing,
      rolled: nothing,
      failed: nothing,
    }
  }

  /** A log whose syncs end when the test says so. */
  static held(): { readonly log: ProducerLog; readonly disk: HeldDisk } {
    const disk = new HeldDisk()
    return { log: new ProducerLog(disk.driver), disk }
  }

  /** A topic with so many partitions, made or grown. */
  topic(name: string, config: TopicConfig = {}): ProducerLogTopic {
    const resolved = resolveTopicConfig(config)
    const topic = this.#topics.get(name) ?? new ProducerLogTopic(name, resolved)
    this.#topics.set(name, topic)
    while (topic.partitions.length < resolved.partitions) this.#addPartition(topic)
    return topic
  }

  producer(options?: ProducerOptions): Producer {
    return Producer.create(this, options)
  }

  readonly randomBytes = (byteCount: number): Uint8Array => {
    const bytes = new Uint8Array(byteCount)
    for (let at = 0; at < byteCount; at += 1) {
      this.#seed = (this.#seed * 48_271) % 0x7fff_ffff
      bytes[at] = this.#seed
    }
    return bytes
  }

  producerTopic(ref: string | AnyTopicRef): ProducerTopic {
    const name = typeof ref === 'string' ? ref : ref.name
    const topic = this.#topics.get(name)
    if (topic === undefined || topic.partitions[0]?.end === 'deleted') {
      throw new LogError('TOPIC_NOT_FOUND', `no topic ${name}`, { topic: name })
    }
    return topic.view(typeof ref === 'string' ? null : ref)
  }

  /** Its producers write idempotently; transactions need a whole log. */
  get transactions(): TransactionCoordinator {
    throw new Error('a ProducerLog has no transactions')
  }

  writableOffsets(): CommittedOffsets {
    throw new Error('a ProducerLog has no groups')
  }

  producerClosed(producer: Producer): void {
    this.closed.push(producer)
  }

  #addPartition(topic: ProducerLogTopic): void {
    const partition = topic.partitions.length
    const { driver } = this
    const { name, config } = topic
    const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
    const laid = layPartition({
      driver,
      topic: name,
      topicId,
      partition,
      config,
      startOffset: 0,
      leaderEpoch: 0,
    })
    const state = { topic: name, partition, topicId, config, logStartOffset: 0, durableOffset: 0 }
    const files = { ...state, ...laid, isOwn: true, isGapless: true, isSettled: false }
    const log = new PartitionLog(this.#context, { ...files, ...noProducers({ ...files, driver }) })
    topic.partitions = [...topic.partitions, log]
  }
}

/** Lets everything run that is due without time passing. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await nextTurn()
}

/** Whether `promise` has resolved or rejected by now. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settledNow = false
  const note = (): void => void (settledNow = true)
  promise.then(note, note)
  await settled()
  return settledNow
}

function batchAt(buffer: Buffer, at: number): AppendedBatch {
  const reader = new RecordBatchReader()
  reader.reset(buffer, at, 1_000_000_000)
  const records: AppendedRecord[] = []
  while (reader.next()) {
    const { offset, timestamp } = reader
    const key = textAt(reader.buffer, reader.keyStart, reader.keyLength)
    const value = textAt(reader.buffer, reader.valueStart, reader.valueLength)
    records.push({ offset, timestamp, key, value })
  }
  const codec = codecOfAttributes(attributesOf(buffer, at))
  return {
    sizeBytes: batchSizeBytesOf(buffer, at),
    codec,
    producer: producerAt(buffer, at),
    records,
  }
}

/** What the batch at `at` says of who wrote it. */
export function producerAt(buffer: Buffer, at: number): BatchProducer {
  return {
    producerId: producerIdOf(buffer, at),
    producerEpoch: producerEpochOf(buffer, at),
    baseSequence: baseSequenceOf(buffer, at),
    transactional: isTransactionalBatch(attributesOf(buffer, at)),
  }
}

function textAt(buffer: Buffer, start: number, byteLength: number): string | null {
  return byteLength < 0 ? null : buffer.toString('utf8', start, start + byteLength)
}
