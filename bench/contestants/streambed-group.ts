/**
 * streambed's consumer groups as the benchmarks use them: a log in memory, so that nothing but the
 * groups is measured, with one topic of four partitions. Each pass is a group of its own, which
 * starts where the log does.
 */
import type * as Package from '../../dist/index.js'
import { mustEqual, touch, type Dataset } from '../runner/dataset.ts'
import { loadStreambed } from './streambed.ts'

const PARTITIONS = 4
/** As a producer's batches of 64 KiB hold at 100 B. */
const FILL_BATCH_RECORDS = 500
const SEGMENT_BYTES = 268_435_456
const TOPIC = 'bench'

/** What came of one pass over all records. */
export interface GroupPass {
  readonly visited: number
  readonly sum: number
}

/** A log in memory, and its groups. */
export class StreambedGroups {
  readonly log: Package.EventLog
  readonly topic: Package.Topic
  readonly recordCount: number
  #groupCount = 0

  private constructor(log: Package.EventLog, topic: Package.Topic, recordCount: number) {
    this.log = log
    this.topic = topic
    this.recordCount = recordCount
  }

  /** A log with the first `recordCount` records, spread over its partitions by batches. */
  static async filled(dataset: Dataset, recordCount: number): Promise<StreambedGroups> {
    const { EventLog } = await loadStreambed()
    const log = EventLog.inMemory({ topicDefaults: { segmentBytes: SEGMENT_BYTES } })
    const topic = await log.createTopic(TOPIC, { partitions: PARTITIONS })
    for (let from = 0; from < recordCount; from += FILL_BATCH_RECORDS) {
      const length = Math.min(FILL_BATCH_RECORDS, recordCount - from)
      const batch = Array.from({ length }, (_, index) => dataset.at(from + index))
      topic.partition((from / FILL_BATCH_RECORDS) % PARTITIONS).append(batch)
    }
    mustEqual(topic.size().offsets, recordCount, 'records appended')
    return new StreambedGroups(log, topic, recordCount)
  }

  /** A group that has consumed nothing. */
  newGroup(): Package.ConsumerGroup<Package.LogRecord> {
    this.#groupCount += 1
    return this.log.consumerGroup(`bench-${this.#groupCount}`, { topics: [TOPIC] })
  }

  /** A pass without a group. */
  scanned(): GroupPass {
    const count = new Count(this.recordCount)
    for (const partition of this.topic.partitions) {
      for (const record of partition.records()) count.take(record)
    }
    return count
  }

  /** A pass in which `memberCount` members iterate over records. */
  async iterated(memberCount: number): Promise<GroupPass> {
    return await this.#pass(memberCount, async (consumer, count) => {
      for await (const record of consumer) if (count.take(record)) break
    })
  }

  /** A pass in which `memberCount` members iterate over batches. */
  async iteratedByBatch(memberCount: number): Promise<GroupPass> {
    return await this.#pass(memberCount, async (consumer, count) => {
      for await (const { records } of consumer.batches()) {
        let isLast = false
        for (const record of records) isLast = count.take(record)
        if (isLast) break
      }
    })
  }

  /** A pass with a handler that is called by record. */
  async ran(options: Package.RunOptions): Promise<GroupPass> {
    const count = new Count(this.recordCount)
    const running = this.newGroup().run((record) => void count.take(record), options)
    await count.all
    await running.stop()
    return count
  }

  /** A pass with a handler that is called by batch. */
  async ranByBatch(options: Package.RunOptions): Promise<GroupPass> {
    const count = new Count(this.recordCount)
    const running = this.newGroup().runBatches(({ records }) => {
      for (const record of records) count.take(record)
    }, options)
    await count.all
    await running.stop()
    return count
  }

  check(): void {
    mustEqual(this.topic.size().offsets, this.recordCount, 'records')
  }

  close(): Promise<void> {
    return this.log.close()
  }

  async #pass(
    memberCount: number,
    consume: (consumer: Package.Consumer<Package.LogRecord>, count: Count) => Promise<void>,
  ): Promise<GroupPass> {
    const group = this.newGroup()
    const count = new Count(this.recordCount)
    const joined = await Promise.all(Array.from({ length: memberCount }, () => group.join()))
    const loops = joined.map((consumer) => consume(consumer, count))
    await count.all
    await Promise.all(joined.map((consumer) => consumer.leave()))
    await Promise.all(loops)
    return count
  }
}

/** What all members of a pass have seen together. */
class Count implements GroupPass {
  visited = 0
  sum = 0
  readonly all: Promise<void>
  readonly #expected: number
  #done: () => void = () => undefined

  constructor(expected: number) {
    this.#expected = expected
    this.all = new Promise((resolve) => {
      this.#done = resolve
    })
  }

  /** Looks at a record; whether it was the last one. */
  take({ value }: Package.LogRecord): boolean {
    if (value !== null) this.sum += touch(value, 0, value.length)
    this.visited += 1
    if (this.visited !== this.#expected) return false
    this.#done()
    return true
  }
}
