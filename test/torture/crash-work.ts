/**
 * What a child of the torture tests does to its log, each thing told to the parent before it begins
 * and when it is over. In which order, crash-child.ts and crash-script.ts say.
 */
import { LogError } from '../../src/index.ts'
import type {
  Consumer,
  EventLog,
  Producer,
  RecordMetadata,
  Topic,
  TopicConfig,
} from '../../src/index.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { crashRecord, sequenceOf, timestampOf, type CrashRecord } from './crash-record.ts'
import { GROUP, partitionName, report } from './crash-report.ts'
import type { LifePlan, LifeReport } from './crash-report.ts'

/** Each life makes sure that it is there. */
export const MAIN_TOPIC = 'events'
const MAIN_PARTITIONS = 4
/** Small, so that every life rolls. */
const SEGMENT_BYTES = [65_536, 32_768, 49_152] as const

/** What the parent wants to be told of an acknowledgement. */
type Level = 'all' | 1 | 0
type Sent = CrashRecord & { readonly topic: string; readonly partition: number }

/** One life's work on one log. */
export class CrashWork {
  readonly log: EventLog
  readonly random: SeededRandom
  /** Records that were sent and neither acknowledged nor refused. */
  inFlight = 0
  acknowledgedCount = 0
  readonly #plan: LifePlan
  readonly #fail: (reason: unknown) => void
  #sentCount = 0
  #isRemoving = false

  /** `fail` is called with what must not happen where nobody waits. */
  constructor(log: EventLog, plan: LifePlan, fail: (reason: unknown) => void) {
    this.log = log
    this.#plan = plan
    this.#fail = fail
    this.random = new SeededRandom(plan.seed)
  }

  // ----------------------------------------------------------------- writing

  /** Writes so many records at a time, as the plan says. */
  writingTo(topic: Topic): (count: number) => Promise<void> {
    const { writing } = this.#plan
    if (writing === 'append') return async (count) => await this.#appendSome(topic, count)
    const level = writing === 'acks all' ? 'all' : writing === 'acks 1' ? 1 : 0
    const { random, log } = this
    const producer = log.producer({
      acks: level,
      lingerMs: random.oneOf(0, 0, 1, 3),
      batchBytes: random.oneOf(512, 4096, 65_536),
      compression: random.oneOf('none', 'none', 'gzip'),
    })
    return async (count) => await this.#sendSome(producer, level, topic, count)
  }

  /** Sends records of one partition with a producer of its own; resolves when it has finished. */
  async send(topic: Topic, partition: number, level: Level, count: number): Promise<void> {
    const producer = this.log.producer({ acks: level, lingerMs: 0 })
    for (const record of this.#records(topic, count, () => partition)) {
      this.#sendOne(producer, level, record)
    }
    await producer.close()
  }

  /** Sends one record through the log's own producer. */
  async sendDurably(topic: Topic, partition: number): Promise<void> {
    const [record] = this.#records(topic, 1, () => partition)
    if (record === undefined) return
    const metadata = await topic.send({ ...crashRecord(sequenceIn(record)), partition })
    this.#acknowledged(metadata, sequenceIn(record), true)
  }

  /** Appends a batch to one partition: acknowledged when it returns. */
  append(topic: Topic, partition: number, count: number): void {
    const records = this.#records(topic, count, () => partition)
    const log = topic.partition(partition)
    const plain = records.map((record) => crashRecord(sequenceIn(record)))
    const { baseOffset, leaderEpoch } = log.append(plain, {
      compression: this.random.oneOf('none', 'none', 'gzip'),
      expectOffset: log.logEndOffset,
    })
    report({ is: 'epoch', name: partitionName(topic.name, partition), leaderEpoch })
    for (const [index, record] of records.entries()) {
      const offset = baseOffset + index
      const place = { topic: topic.name, partition, offset }
      this.#acknowledged(place, sequenceIn(record), false)
    }
  }

  async flush(topic: Topic, partition: number): Promise<void> {
    const offset = await topic.partition(partition).flush()
    report({ is: 'flushed', name: partitionName(topic.name, partition), offset })
  }

  async #appendSome(topic: Topic, count: number): Promise<void> {
    const partition = this.random.below(topic.partitions.length)
    this.append(topic, partition, count)
    if (this.random.below(4) > 0) return
    const flushed = this.flush(topic, partition)
    if (this.random.below(2) === 0) await flushed
    else flushed.catch(this.#fail)
  }

  async #sendSome(producer: Producer, level: Level, topic: Topic, count: number): Promise<void> {
    const { random } = this
    const records = this.#records(topic, count, () => random.below(topic.partitions.length))
    switch (this.#plan.roomIsScarce ? -1 : random.below(8)) {
      case 0:
        return await this.#enqueueAll(producer, level, records)
      case 1:
        return this.#sendAll(producer, level, records)
      default:
        for (const record of records) this.#sendOne(producer, level, record)
    }
  }

  #sendOne(producer: Producer, level: Level, record: Sent): void {
    this.inFlight += 1
    producer.send(record).then(
      (metadata) => this.#answered(metadata, level, record),
      (error: unknown) => this.#refused(error, record),
    )
  }

  #sendAll(producer: Producer, level: Level, records: readonly Sent[]): void {
    this.inFlight += records.length
    producer
      .sendAll(records)
      .then((all) => {
        for (const [index, record] of records.entries()) this.#answered(all[index], level, record)
      })
      .catch(this.#fail)
  }

  /** Stored when the flush says so; where, nobody says. */
  async #enqueueAll(producer: Producer, level: Level, records: readonly Sent[]): Promise<void> {
    for (const record of records) producer.enqueue(record)
    await producer.flush()
    this.acknowledgedCount += records.length
    if (level === 0) return
    for (const record of records) {
      const name = partitionName(record.topic, record.partition)
      const sequence = sequenceIn(record)
      report({ is: 'acknowledged', name, sequence, offset: null, isDurable: level === 'all' })
    }
  }

  /** The records to send next, which the parent is told of. */
  #records(topic: Topic, count: number, partitionOf: () => number): readonly Sent[] {
    const records = Array.from({ length: count }, () => {
      this.#sentCount += 1
      const sequence = sequenceOf(this.#plan.life, this.#sentCount)
      return { ...crashRecord(sequence), topic: topic.name, partition: partitionOf() }
    })
    report(
      ...records.map((record): LifeReport => {
        const name = partitionName(record.topic, record.partition)
        return { is: 'sending', name, sequence: sequenceIn(record) }
      }),
    )
    return records
  }

  /** With acks 0 nobody says where, and it means nothing. */
  #answered(metadata: RecordMetadata | undefined, level: Level, record: Sent): void {
    this.inFlight -= 1
    if (metadata === undefined || level === 0) this.acknowledgedCount += 1
    else this.#acknowledged(metadata, sequenceIn(record), level === 'all')
  }

  #acknowledged(
    { topic, partition, offset }: Omit<RecordMetadata, 'timestamp'>,
    sequence: number,
    isDurable: boolean,
  ): void {
    const name = partitionName(topic, partition)
    report({ is: 'acknowledged', name, sequence, offset, isDurable })
    this.acknowledgedCount += 1
  }

  #refused(error: unknown, record: Sent): void {
    if (!this.#plan.roomIsScarce || !LogError.is(error, 'NO_SPACE')) return this.#fail(error)
    const name = partitionName(record.topic, record.partition)
    report({ is: 'refused', name, sequence: sequenceIn(record) })
    this.inFlight -= 1
  }

  // --------------------------------------------------------------- positions

  /** A member of the group, which commits when it is told to. */
  async join(topic: Topic): Promise<Consumer> {
    const group = this.log.consumerGroup(GROUP, { topics: [topic.name], autoCommit: false })
    const member = await group.join()
    await member.ready()
    return member
  }

  /** Commits that everything that is in a partition was handled. */
  async commit(member: Consumer, topic: Topic, partition: number, durable: boolean): Promise<void> {
    const name = partitionName(topic.name, partition)
    const offset = topic.partition(partition).logEndOffset
    report({ is: 'committing', name, offset })
    await member.commit([{ topic: topic.name, partition, offset }], { durable })
    report({ is: 'committed', name, isDurable: durable })
  }

  // ------------------------------------------------------------------ topics

  async create(name: string, given: TopicConfig = {}): Promise<Topic> {
    const config = this.#configOf(name, given)
    const { partitions, segmentBytes } = config
    report({ is: 'creating', topic: name, partitions, segmentBytes })
    const topic = await this.log.createTopic(name, config)
    report({ is: 'created', topic: name })
    return topic
  }

  /** Makes the topic, or gives the one there is other settings. */
  async ensure(name: string, given: TopicConfig = {}): Promise<Topic> {
    const known = this.log.topics().find((topic) => topic.name === name)
    const { segmentBytes, ...config } = this.#configOf(name, given)
    if (known === undefined) {
      report({ is: 'creating', topic: name, partitions: config.partitions, segmentBytes })
      const topic = await this.log.ensureTopic(name, { ...config, segmentBytes })
      report({ is: 'created', topic: name })
      return topic
    }
    report({ is: 'altering', topic: name, segmentBytes })
    const topic = await this.log.ensureTopic(name, { segmentBytes })
    report({ is: 'altered', topic: name })
    return topic
  }

  async delete(name: string): Promise<void> {
    report({ is: 'deleting', topic: name })
    await this.log.deleteTopic(name)
    report({ is: 'deleted', topic: name })
  }

  async alter(topic: Topic, given: TopicConfig = {}): Promise<void> {
    const segmentBytes = given.segmentBytes ?? this.random.oneOf(...SEGMENT_BYTES)
    report({ is: 'altering', topic: topic.name, segmentBytes })
    await topic.alterConfig({ segmentBytes })
    report({ is: 'altered', topic: topic.name })
  }

  async grow(topic: Topic, partitions: number): Promise<void> {
    report({ is: 'growing', topic: topic.name, partitions })
    await topic.addPartitions(partitions)
    report({ is: 'grown', topic: topic.name })
  }

  async remove(topic: Topic, partition: number, beforeOffset: number): Promise<void> {
    const log = topic.partition(partition)
    if (beforeOffset <= log.logStartOffset) return
    const name = partitionName(topic.name, partition)
    report({ is: 'removing', name, beforeOffset })
    await log.deleteRecords(beforeOffset)
    report({ is: 'removed', name })
  }

  /** One removal of a partition's records at a time: the parent knows of no second one. */
  async removeSome(topic: Topic, partition: number): Promise<void> {
    const { logStartOffset, logEndOffset } = topic.partition(partition)
    if (this.#isRemoving || logEndOffset === logStartOffset) return
    this.#isRemoving = true
    const span = Math.min(200, logEndOffset - logStartOffset)
    await this.remove(topic, partition, logStartOffset + 1 + this.random.below(span))
    this.#isRemoving = false
  }

  #configOf(name: string, given: TopicConfig): TopicConfig & typeof DEFAULTS {
    const { random } = this
    const isMain = name === MAIN_TOPIC
    const partitions = isMain ? MAIN_PARTITIONS : 1 + random.below(3)
    // A torn write ends in zeros, or at the end of the file.
    const preallocate = isMain ? this.#plan.writing !== 'acks 1' : random.below(2) === 0
    const segmentBytes = random.oneOf(...SEGMENT_BYTES)
    return { ...DEFAULTS, partitions, preallocate, segmentBytes, ...definedOf(given) }
  }
}

const DEFAULTS = {
  partitions: 1,
  segmentBytes: 65_536,
  indexIntervalBytes: 1024,
  preallocate: true,
}

function definedOf(given: TopicConfig): Partial<typeof DEFAULTS> {
  const defined = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.fromEntries(defined)
}

/** The sequence number in a record of ours, which is its timestamp. */
function sequenceIn(record: CrashRecord): number {
  return record.timestamp - timestampOf(0)
}
