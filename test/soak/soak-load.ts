/**
 * One round of the soak: a log is opened, everything is done to it at once for a while, and it is
 * closed. All that is read is checked on the way.
 */
import { EventLog } from '../../src/index.ts'
import type { Partition, Producer, RecordStream, LogRecord, Topic } from '../../src/index.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { SoakGroup } from './soak-group.ts'
import { checkSoakRecord, checkSoakValue, soakValue } from './soak-records.ts'

const PARTITIONS = 2
const SEGMENT_BYTES = 65_536
/** What deleting records leaves of a partition. */
const KEPT_RECORDS = 1_000
const RECORDS_AT_ONCE = 40
const GETS_AT_ONCE = 20

/** How a topic is written: its name says it. */
const WRITERS = ['acks-all', 'acks-1', 'acks-0', 'append'] as const
type Writer = (typeof WRITERS)[number]

/** What a soak has done so far. */
export interface SoakCounts {
  written: number
  read: number
  got: number
  scanned: number
  topics: number
  removals: number
  verified: number
  /** Records that the group was given. */
  handled: number
  /** Members that joined it for a while. */
  visits: number
  scrubs: number
}

/** What a round does wrong, so that its checks can be seen to work. */
export type SoakFault = 'order' | null

/** One log of a round. */
export class SoakRound {
  readonly #log: EventLog
  readonly #random: SeededRandom
  readonly #counts: SoakCounts
  readonly #fault: SoakFault
  readonly #producers = new Map<Writer, Producer>()
  readonly #readers: SoakReader[] = []
  #group: SoakGroup | undefined
  #topics: readonly Topic[] = []

  private constructor(log: EventLog, seed: number, counts: SoakCounts, fault: SoakFault) {
    this.#log = log
    this.#random = new SeededRandom(seed)
    this.#counts = counts
    this.#fault = fault
  }

  /** Opens the log, loads it for `durationMs`, and closes it. */
  static async run(
    directory: string,
    options: { readonly durationMs: number; readonly seed: number; readonly fault: SoakFault },
    counts: SoakCounts,
  ): Promise<void> {
    const log = await EventLog.open(directory, {
      onWarning: ({ code, message }) => {
        throw new Error(`warning ${code}: ${message}`)
      },
    })
    const round = new SoakRound(log, options.seed, counts, options.fault)
    await round.#begin()
    const endsAt = performance.now() + options.durationMs
    do await round.#step()
    while (performance.now() < endsAt)
    await round.#end()
    const { sound } = await EventLog.verify(directory)
    if (!sound) throw new Error('a log that was closed is not sound')
    counts.verified += 1
  }

  async #begin(): Promise<void> {
    const log = this.#log
    const config = { partitions: PARTITIONS, segmentBytes: SEGMENT_BYTES, indexIntervalBytes: 1024 }
    this.#topics = await Promise.all(
      WRITERS.map(async (name) => await log.ensureTopic(name, config)),
    )
    const [all, one, none] = [
      log.producer(),
      log.producer({ acks: 1, compression: 'gzip' }),
      log.producer({ acks: 0 }),
    ]
    this.#producers.set('acks-all', all).set('acks-1', one).set('acks-0', none)
    for (const topic of this.#topics) {
      for (const partition of topic.partitions) {
        this.#readers.push(new SoakReader(partition, this.#counts))
      }
    }
    const names = this.#topics.map(({ name }) => name)
    this.#group = await SoakGroup.start(log, names, this.#counts)
  }

  async #step(): Promise<void> {
    const random = this.#random
    await Promise.all(this.#readers.map(async (reader) => await reader.check()))
    this.#group?.check()
    await Promise.all(this.#topics.map(async (topic) => await this.#write(topic)))
    for (let count = 0; count < GETS_AT_ONCE; count++) this.#get(this.#anyPartition())
    if (random.below(8) === 0) this.#scan(this.#anyPartition())
    if (random.below(8) === 0) await this.#comeAndGo()
    if (random.below(16) === 0) await this.#group?.visit()
    if (random.below(16) === 0) await this.#scrub()
    await this.#remove(random.below(this.#readers.length))
  }

  /** Nothing else writes the partition, so the next offset is known before it is. */
  async #write(topic: Topic): Promise<void> {
    const partition = topic.partition(this.#random.below(PARTITIONS))
    const producer = [...this.#producers].find(([name]) => name === topic.name)?.[1]
    await producer?.flush() // What was sent with acks 0 is in the log then, and its end known.
    const start = partition.logEndOffset + (this.#fault === 'order' ? 1 : 0)
    const values = Array.from({ length: RECORDS_AT_ONCE }, (_, index) => soakValue(start + index))
    const records = values.map((value) => ({ value }))
    this.#counts.written += records.length
    if (producer === undefined) {
      partition.append(records)
      if (this.#random.below(4) === 0) await partition.flush()
      return
    }
    const { index } = partition
    await producer.sendAll(
      records.map((record) => ({ ...record, topic: topic.name, partition: index })),
    )
  }

  #get(partition: Partition): void {
    const { logStartOffset, logEndOffset } = partition
    if (logEndOffset === logStartOffset) return
    const offset = logStartOffset + this.#random.below(logEndOffset - logStartOffset)
    const record = partition.get(offset)
    if (record === undefined) throw new Error(`${partition.topic}: nothing at offset ${offset}`)
    checkSoakRecord(record)
    this.#counts.got += 1
  }

  #scan(partition: Partition): void {
    let next = partition.logStartOffset
    const where = `${partition.topic}-${partition.index}`
    this.#counts.scanned += partition.scan(({ offset, buffer, valueStart, valueLength }) => {
      if (offset !== next) throw new Error(`${where}: scanned ${offset} for ${next}`)
      checkSoakValue(buffer.subarray(valueStart, valueStart + valueLength), offset, where)
      next += 1
    })
  }

  /** A topic of its own, used and deleted. */
  async #comeAndGo(): Promise<void> {
    const topic = await this.#log.createTopic('passing', { segmentBytes: 4_096, partitions: 3 })
    const records = Array.from({ length: 60 }, (_, offset) => ({ value: soakValue(offset) }))
    for (const { index } of topic.partitions) topic.partition(index).append(records)
    for (const record of topic.partition(1).records()) checkSoakRecord(record)
    await this.#log.deleteTopic(topic)
    this.#counts.topics += 1
  }

  /** Old records go, as far as they were read. */
  async #remove(index: number): Promise<void> {
    const reader = this.#readers[index]
    if (reader === undefined) return
    const { partition } = reader
    const committed = this.#group?.committed(partition.topic, partition.index) ?? 0
    const read = Math.min(reader.nextOffset, committed)
    const before = Math.min(read, partition.logEndOffset - KEPT_RECORDS)
    if (before <= partition.logStartOffset) return
    await partition.deleteRecords(before)
    this.#counts.removals += 1
  }

  /** Everything that is in the log is sound, while all the rest goes on. */
  async #scrub(): Promise<void> {
    const { sound } = await this.#log.scrub()
    if (!sound) throw new Error('a log that is open is not sound')
    this.#counts.scrubs += 1
  }

  async #end(): Promise<void> {
    for (const producer of this.#producers.values()) await producer.close()
    await this.#group?.finish()
    await Promise.all(this.#readers.map(async (reader) => await reader.finish()))
    await this.#log.close()
  }

  #anyPartition(): Partition {
    const topic = this.#topics[this.#random.below(this.#topics.length)]
    if (topic === undefined) throw new Error('there are topics')
    return topic.partition(this.#random.below(PARTITIONS))
  }
}

/** Follows one partition live and checks what comes. */
class SoakReader {
  readonly partition: Partition
  nextOffset: number
  readonly #counts: SoakCounts
  readonly #stream: RecordStream<LogRecord>
  readonly #over: Promise<void>
  #failure: unknown

  constructor(partition: Partition, counts: SoakCounts) {
    this.partition = partition
    this.nextOffset = partition.logStartOffset
    this.#counts = counts
    this.#stream = partition.read({ from: this.nextOffset, live: true })
    this.#over = this.#follow().catch((error: unknown) => {
      this.#failure = error
    })
  }

  async #follow(): Promise<void> {
    for await (const record of this.#stream) {
      if (record.offset !== this.nextOffset) {
        throw new Error(`${record.topic}: read ${record.offset} for ${this.nextOffset}`)
      }
      checkSoakRecord(record)
      this.nextOffset += 1
      this.#counts.read += 1
    }
  }

  /** @throws what it has found. */
  async check(): Promise<void> {
    await Promise.resolve()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Reads to the end of the log, and ends. */
  async finish(): Promise<void> {
    while (this.nextOffset < this.partition.logEndOffset) {
      await this.check()
      await new Promise((resolve) => void setTimeout(resolve, 5))
    }
    await this.#stream.return?.()
    await this.#over
    await this.check()
  }
}
