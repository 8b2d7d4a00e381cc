/**
 * A log in which transactional producers write, commit and abort in random order, and readers of
 * every kind look on. Each step is at once held against test/support/visible-records.ts. Batches
 * and markers go straight into the partitions: neither a coordinator nor a producer of ours is in
 * it.
 */
import { type MockInstance, vi } from 'vitest'
import type { EventLog } from '../../src/client/event-log.ts'
import type { Consumer } from '../../src/client/groups/consumer.ts'
import type { LogRecord } from '../../src/client/log-record.ts'
import { Partition } from '../../src/client/partition.ts'
import type { Position } from '../../src/client/position.ts'
import type { Topic } from '../../src/client/topic.ts'
import { PartitionLog } from '../../src/log/partition-log.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { appendAs, appendMarker } from '../log/transactional-batches.ts'
import {
  type ReadIsolation,
  type SeenRecord,
  type VisibleReader,
  VisibleRecords,
} from '../support/visible-records.ts'
import { settle } from './groups/group-log.ts'

const PARTITIONS = 2
const PRODUCERS = 4
const FIRST_TIME = 1_700_000_000_000

/** A reader that goes on, with what it may be given of each partition. */
interface LiveReader {
  readonly views: ReadonlyMap<number, VisibleReader>
  readonly stream: AsyncIterator<LogRecord>
  readonly consumer?: Consumer<LogRecord>
  next: Promise<IteratorResult<LogRecord, unknown>> | undefined
}

interface Written {
  readonly offset: number
  readonly timestamp: number
}

/** A topic named `t` in `log`, and everything that happens to it. */
export class IsolationWorld {
  readonly visible: VisibleRecords = new VisibleRecords()
  #log: EventLog
  #topic: Topic
  #logs: readonly PartitionLog[]
  readonly #random: SeededRandom
  #readers: LiveReader[] = []
  readonly #written: Written[][] = Array.from({ length: PARTITIONS }, () => [])
  /** What each producer has open: how often it began one, and where it has written. */
  readonly #open = new Map<number, { readonly name: string; readonly places: Set<number> }>()
  #begun = 0
  #groups = 0

  private constructor(log: EventLog, topic: Topic, logs: readonly PartitionLog[], seed: number) {
    this.#log = log
    this.#topic = topic
    this.#logs = logs
    this.#random = new SeededRandom(seed)
  }

  /** Makes the topic: with small segments, so that transactions lie in many of them. */
  static async open(log: EventLog, seed: number): Promise<IsolationWorld> {
    const indexIntervalBytes = seed % 2 === 0 ? 0 : 400
    const config = { partitions: PARTITIONS, segmentBytes: 2_048, indexIntervalBytes }
    const made = vi.spyOn(Partition, 'of')
    const topic = await log.createTopic('t', config)
    return new IsolationWorld(log, topic, partitionsOf(topic, made), seed)
  }

  /** Goes on in the same log, which was opened anew. */
  goOnIn(log: EventLog): void {
    const made = vi.spyOn(Partition, 'of')
    this.#log = log
    this.#topic = log.topic('t')
    this.#logs = partitionsOf(this.#topic, made)
    this.#readers = []
  }

  /** One random step. */
  async step(): Promise<void> {
    const step = this.#random.oneOf<() => void | Promise<void>>(
      this.#append,
      this.#append,
      this.#appendInTransaction,
      this.#appendInTransaction,
      this.#appendInTransaction,
      this.#appendInTransaction,
      this.#endSomewhere,
      this.#endSomewhere,
      this.#endSomewhere,
      this.#markNothing,
      this.#readOnce,
      this.#readOnce,
      this.#readOnce,
      this.#getOne,
      this.#follow,
      this.#forgetTail,
      this.#drain,
    )
    await step.call(this)
  }

  /** Ends every transaction and has every reader see all there is. */
  async finish(): Promise<void> {
    for (const [producerId, { places }] of this.#open) {
      for (const place of places) this.#mark(producerId, place)
    }
    await this.#drain()
    for (const reader of this.#readers) {
      for (const index of reader.views.keys()) {
        const log = this.#logOf(index)
        const place = { topic: 't', partition: index }
        // Markers and what was aborted are nobody's to handle: the position is behind them.
        if (reader.consumer !== undefined) {
          const position = reader.consumer.position(place)
          must(position === log.logEndOffset, `position ${position} at the end`)
        }
      }
      await reader.stream.return?.()
    }
  }

  #append(): void {
    this.#write({ producerId: this.#random.oneOf(-1, 90), transactional: false }, undefined)
  }

  #appendInTransaction(): void {
    const producerId = this.#random.below(PRODUCERS)
    const known = this.#open.get(producerId)
    // Every record of one goes to the same place until its end is on its way.
    const open = known ?? { name: `${producerId}/${(this.#begun += 1)}`, places: new Set() }
    this.#open.set(producerId, open)
    open.places.add(this.#write({ producerId, transactional: true }, open.name))
  }

  #write(
    producer: { readonly producerId: number; readonly transactional: boolean },
    transaction: string | undefined,
  ): number {
    const random = this.#random
    const index = random.below(PARTITIONS)
    const log = this.#logOf(index)
    const first = log.logEndOffset
    const records = Array.from({ length: 1 + random.below(4) }, (_, at) => ({
      timestamp: FIRST_TIME + (first + at) * 10 + random.oneOf(0, 0, 0, 35, -35),
      value: `${index}:${first + at}`.padEnd(random.oneOf(8, 100)),
    }))
    const { baseOffset } = appendAs(log, producer, records, random.oneOf('none', 'none', 'gzip'))
    must(baseOffset === first, 'a batch is appended at the end')
    const seen = records.map(({ value }, at) => ({ offset: first + at, value }))
    this.visible.appended(String(index), seen, transaction)
    for (const [at, { timestamp }] of records.entries()) {
      this.#written[index]?.push({ offset: first + at, timestamp })
    }
    return index
  }

  /** In one of its partitions, as if the coordinator was not further yet. */
  #endSomewhere(): void {
    const producerId = this.#random.below(PRODUCERS)
    const open = this.#open.get(producerId)
    const place = open === undefined ? undefined : [...open.places][0]
    if (place !== undefined) this.#mark(producerId, place)
  }

  #mark(producerId: number, place: number): void {
    const open = this.#open.get(producerId)
    if (open === undefined) return
    // By its name, so that all its partitions get the same.
    const isCommit = Number(open.name.split('/')[1]) % 3 !== 0
    const log = this.#logOf(place)
    const offset = appendMarker(log, producerId, isCommit ? 'commit' : 'abort')
    this.visible.ended(String(place), open.name, isCommit ? 'committed' : 'aborted', offset)
    open.places.delete(place)
    if (open.places.size === 0) this.#open.delete(producerId)
  }

  /** A marker that ends nothing: its transaction wrote nothing here. */
  #markNothing(): void {
    const index = this.#random.below(PARTITIONS)
    const outcome = this.#random.oneOf('commit', 'abort')
    const offset = appendMarker(this.#logOf(index), 80, outcome)
    this.visible.ended(String(index), 'nothing', 'committed', offset)
  }

  #forgetTail(): void {
    for (const log of this.#logs) log.tail.clear()
  }

  /** Every way of reading what is there now, over the same random range. */
  async #readOnce(): Promise<void> {
    const random = this.#random
    const index = random.below(PARTITIONS)
    const isolation = random.oneOf<ReadIsolation>('read_committed', 'read_uncommitted')
    const { from, start } = this.#somewhere(index, isolation)
    const { to, end } = this.#somewhereBehind(index, start)
    const options = { from, isolation, ...(to === undefined ? {} : { to }) }
    const partition = this.#topic.partition(index)
    const seen: SeenRecord[][] = [[], [], [], []]
    partition.scan((cursor) => {
      const value = cursor.buffer.toString(
        'utf8',
        cursor.valueStart,
        cursor.valueStart + cursor.valueLength,
      )
      seen[0]?.push({ offset: cursor.offset, value })
    }, options)
    for (const record of partition.records(options)) seen[1]?.push(seenOf(record))
    for await (const record of partition.read(options)) seen[2]?.push(seenOf(record))
    const ofTopic = { ...options, partitions: [index] }
    for await (const record of this.#topic.read(ofTopic)) seen[3]?.push(seenOf(record))
    for (const records of seen) {
      const view = this.visible.reader(String(index), isolation, start, end)
      for (const record of records) view.saw(record)
      view.caughtUp()
    }
  }

  /** Where to begin, and the offset that this means. */
  #somewhere(index: number, isolation: ReadIsolation): { from: Position; start: number } {
    const random = this.#random
    const log = this.#logOf(index)
    const stable = Math.min(this.visible.lastStableOffset(String(index)), log.logEndOffset)
    must(log.lastStableOffset === stable, `${log.lastStableOffset} is stable, not ${stable}`)
    const end = isolation === 'read_committed' ? stable : log.logEndOffset
    const offset = random.below(log.logEndOffset + 1)
    const timestamp = FIRST_TIME + random.below(log.logEndOffset * 10 + 50)
    const atTime = this.#firstAt(index, timestamp)
    return random.oneOf<{ from: Position; start: number }>(
      { from: 'earliest', start: 0 },
      { from: 'latest', start: end },
      { from: offset, start: offset },
      { from: { last: offset }, start: Math.max(0, end - offset) },
      { from: { timestamp }, start: atTime ?? end },
    )
  }

  #somewhereBehind(
    index: number,
    start: number,
  ): { to: number | { timestamp: number } | undefined; end: number } {
    const random = this.#random
    const { logEndOffset } = this.#logOf(index)
    const offset = start + random.below(logEndOffset - start + 2)
    const timestamp = FIRST_TIME + random.below(logEndOffset * 10 + 50)
    return random.oneOf<{ to: number | { timestamp: number } | undefined; end: number }>(
      { to: undefined, end: Infinity },
      { to: offset, end: offset },
      { to: { timestamp }, end: this.#firstAt(index, timestamp) ?? Infinity },
    )
  }

  /** The first record of that time or later, whatever became of its transaction. */
  #firstAt(index: number, timestamp: number): number | undefined {
    return this.#written[index]?.find((record) => record.timestamp >= timestamp)?.offset
  }

  #getOne(): void {
    const index = this.#random.below(PARTITIONS)
    const { logEndOffset } = this.#logOf(index)
    if (logEndOffset === 0) return
    const offset = this.#random.below(logEndOffset)
    const record = this.#topic.partition(index).get(offset)
    const isData = this.visible.visible(String(index), 'read_uncommitted').includes(offset)
    must((record?.offset === offset) === isData, `get ${offset} gives ${record?.offset}`)
  }

  /** A reader that goes on from here. */
  async #follow(): Promise<void> {
    if (this.#readers.length >= 6) return
    const random = this.#random
    const isolation = random.oneOf<ReadIsolation>(
      'read_committed',
      'read_committed',
      'read_uncommitted',
    )
    const views = (start: (index: number) => number): LiveReader['views'] =>
      new Map(
        this.#logs.map((_, index) => [
          index,
          this.visible.reader(String(index), isolation, start(index)),
        ]),
      )
    const kind = random.oneOf('partition', 'topic', 'group')
    if (kind === 'partition') {
      const index = random.below(PARTITIONS)
      const { from, start } = this.#somewhere(index, isolation)
      const stream = this.#topic.partition(index).read({ from, isolation, live: true })
      const view = this.visible.reader(String(index), isolation, start)
      this.#add({ views: new Map([[index, view]]), stream, next: undefined })
    } else if (kind === 'topic') {
      const offsets = this.#logs.map((log, partition) => ({
        partition,
        offset: random.below(log.logEndOffset + 1),
      }))
      const stream = this.#topic.read({ from: { offsets }, isolation, live: true })
      this.#add({ views: views((index) => offsets[index]?.offset ?? 0), stream, next: undefined })
    } else {
      const group = this.#log.consumerGroup(`g${(this.#groups += 1)}`, {
        topics: ['t'],
        isolation,
      })
      const consumer = await group.join()
      const stream = consumer[Symbol.asyncIterator]()
      this.#add({ views: views(() => 0), stream, consumer, next: undefined })
    }
  }

  #add(reader: LiveReader): void {
    this.#readers.push(reader)
  }

  /** Every reader that goes on gets what there is for it, and nothing else. */
  async #drain(): Promise<void> {
    for (const reader of this.#readers) {
      while ([...reader.views.values()].some((view) => view.isBehind)) {
        reader.next ??= reader.stream.next()
        const { value, done } = await reader.next
        must(done !== true, 'a reader that goes on does not end')
        reader.next = undefined
        // Not done, so a record.
        const record = value as LogRecord
        reader.views.get(record.partition)?.saw(seenOf(record))
      }
      reader.next ??= reader.stream.next()
      let early: unknown
      void reader.next.then((result) => (early = result))
      await settle()
      must(early === undefined, 'a reader waits where nothing is visible')
    }
  }

  #logOf(index: number): PartitionLog {
    const log = this.#logs[index]
    if (log === undefined) throw new Error(`no partition ${index}`)
    return log
  }
}

function seenOf(record: LogRecord): SeenRecord {
  return { offset: record.offset, value: String(record.value) }
}

/** The partitions that handles were made of. */
function partitionsOf(topic: Topic, made: MockInstance<typeof Partition.of>): PartitionLog[] {
  must(topic.partitions.length === PARTITIONS, 'as many partitions as asked for')
  const logs = made.mock.calls.map(([, , log]) => log).filter((log) => log instanceof PartitionLog)
  made.mockRestore()
  return logs
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}
