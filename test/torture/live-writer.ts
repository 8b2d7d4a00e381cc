/**
 * LiveWriter: does all that a writer can do to a log that others read: batches of all codecs and
 * sizes, transactions, rolls, retention, compaction, deleted records, topics and partitions that
 * come and go. In its journal it tells everything before it does it, and after (live-events.ts).
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { EventLog, Partition, Topic } from '../../src/index.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { USABLE_CODECS } from '../support/usable-codecs.ts'
import type { WriterLife } from './live-campaign.ts'
import { nowMs, type EventFile, type Run, type WriterEvent } from './live-events.ts'
import { foldRecord, identityOf, lastKey, nameOf, recordOf, type Place } from './live-records.ts'

const NAMES = ['a', 'b', 'c', 'd'] as const
const MAX_PARTITIONS = 4
const COMPACTED = 'state'
/** Made durable by its own flushes alone. */
const STRICT = 'strict'
const TRANSACTIONS = 2
const SEQS_PER_LIFE = 10_000_000
const CODECS = USABLE_CODECS.filter((codec) => codec !== 'snappy')

/** See the file's header. */
export class LiveWriter {
  readonly #log: EventLog
  readonly #life: WriterLife
  readonly #journal: EventFile<WriterEvent>
  readonly #random: SeededRandom
  /** Starts of the log as they were told last. */
  readonly #starts = new Map<string, number>()
  /** By topic id: transactions that write there, and calls that run. */
  readonly #busy = new Map<string, number>()
  #seq: number
  #isOver = false

  constructor(log: EventLog, life: WriterLife, journal: EventFile<WriterEvent>) {
    this.#log = log
    this.#life = life
    this.#journal = journal
    this.#random = new SeededRandom(life.seed)
    this.#seq = life.number * SEQS_PER_LIFE
  }

  /** Tells what the log has, and makes the topics that are always there. */
  async begin(): Promise<void> {
    this.#look()
    const compacted = await this.#log.ensureTopic(COMPACTED, {
      partitions: 2,
      cleanupPolicy: 'compact',
      segmentBytes: 32_768,
      minCleanableDirtyRatio: 0,
      deleteRetentionMs: 0,
    })
    this.#tellTopic(compacted)
    const strict = await this.#log.ensureTopic(STRICT)
    this.#tellTopic(strict)
    this.#journal.tell({ what: 'strict', id: strict.id, partition: 0 })
  }

  /** Until `stop`, or the kill. */
  async work(): Promise<void> {
    const loops = [this.#append(), this.#appendDurably(), this.#remove(), this.#changeTopics()]
    const transactions = Array.from({ length: TRANSACTIONS }, (_, index) => this.#transact(index))
    await Promise.all([...loops, ...transactions])
  }

  async stop(work: Promise<void>): Promise<void> {
    this.#isOver = true
    await work
  }

  /** The last record of every partition: who has it has come to the end. */
  async finish(): Promise<ReadonlyMap<string, number>> {
    const targets = new Map<string, number>()
    for (const [place, partition] of this.#places(() => true)) {
      const seq = this.#begin(place, 1, '')
      const record = recordOf(place, { seq, tx: '' }, { isCompacted: true, key: lastKey(place) })
      const { baseOffset } = partition.append(record)
      this.#journal.tell({ what: 'done', ...place, seq, count: 1, offset: baseOffset })
      this.#journal.tell({ what: 'last', ...place, offset: baseOffset })
      targets.set(nameOf(place), baseOffset)
    }
    this.tellFlush()
    await this.#log.flush()
    return targets
  }

  /** Before everything is made durable at once. */
  tellFlush(): void {
    for (const [place, partition] of this.#places(({ name }) => name === STRICT)) {
      this.#journal.tell({ what: 'flushing', ...place, end: partition.logEndOffset })
    }
  }

  tellSums(): void {
    for (const [place, partition] of this.#places(() => true)) {
      const sumOf = (isolation: 'read_committed' | 'read_uncommitted'): number => {
        let sum = 0
        for (const record of partition.records({ isolation })) sum = foldRecord(sum, record)
        return sum
      }
      const [committed, uncommitted] = [sumOf('read_committed'), sumOf('read_uncommitted')]
      this.#journal.tell({ what: 'sum', ...place, committed, uncommitted })
    }
    this.#look()
  }

  /** What the lives before have left, from where the last one found its end. */
  #look(): void {
    const opened = []
    for (const [place, partition] of this.#places(() => true)) {
      const { logStartOffset: start, logEndOffset: end } = partition
      const lookedFrom = this.#life.found[nameOf(place)] ?? 0
      const from = Math.max(start, lookedFrom)
      this.#tellFound(place, partition, from)
      const shown = new Set<string>()
      for (const record of partition.records({ from, isolation: 'read_committed' })) {
        const identity = identityOf(place, record)
        if (typeof identity === 'string') throw new Error(identity)
        if (identity.tx !== '') shown.add(identity.tx)
      }
      for (const tx of shown) this.#journal.tell({ what: 'shown', tx })
      opened.push({ ...place, start, end, lookedFrom })
      this.#starts.set(nameOf(place), start)
    }
    this.#journal.tell({ what: 'opened', partitions: opened })
  }

  #tellFound(place: Place, partition: Partition, from: number): void {
    const runs = new Map<string, [number, number, number, number][]>()
    for (const record of partition.records({ from })) {
      const identity = identityOf(place, record)
      if (typeof identity === 'string') throw new Error(identity)
      const ofTx = runs.get(identity.tx) ?? []
      runs.set(identity.tx, ofTx)
      const run = ofTx.at(-1)
      const { offset } = record
      const goesOn = run?.[0] === offset - (run?.[2] ?? 0)
      if (run !== undefined && goesOn && run[1] === identity.seq - run[2]) run[2] += 1
      else ofTx.push([offset, identity.seq, 1, 0])
    }
    for (const [tx, found] of runs) {
      const told: readonly Run[] = found
      this.#journal.tell({ what: 'found', ...place, tx, runs: told })
    }
  }

  async #append(): Promise<void> {
    while (!this.#isOver) {
      for (let batch = this.#random.below(4); batch >= 0; batch -= 1) this.#appendBatch()
      await delay(this.#random.below(10))
    }
  }

  #appendBatch(): void {
    const [place, partition] = this.#anyPlace((topic) => topic.name !== STRICT) ?? []
    if (place === undefined || partition === undefined) return
    const count = 1 + this.#random.below(this.#random.oneOf(3, 20))
    const seq = this.#begin(place, count, '')
    const isCompacted = partition.topic === COMPACTED
    const records = Array.from({ length: count }, (_, at) => {
      return recordOf(place, { seq: seq + at, tx: '' }, { isCompacted })
    })
    const compression = this.#random.oneOf('none', 'none', ...CODECS)
    const { baseOffset } = partition.append(records, { compression })
    this.#journal.tell({ what: 'done', ...place, seq, count, offset: baseOffset })
  }

  /** Appends nothing while it flushes: so it knows what may be durable. */
  async #appendDurably(): Promise<void> {
    const partition = this.#log.topic(STRICT).partition(0)
    const place = { id: this.#log.topic(STRICT).id, partition: 0 }
    while (!this.#isOver) {
      const seq = this.#begin(place, 1, '')
      const { baseOffset } = partition.append(
        recordOf(place, { seq, tx: '' }, { isCompacted: false }),
      )
      this.#journal.tell({ what: 'done', ...place, seq, count: 1, offset: baseOffset })
      if (this.#random.below(5) === 0) {
        this.#journal.tell({ what: 'flushing', ...place, end: partition.logEndOffset })
        await partition.flush()
      }
      await delay(this.#random.below(20))
    }
  }

  async #transact(index: number): Promise<void> {
    const producer = this.#log.producer(
      index === 0 ? {} : { transactionalId: `live ${index}`, lingerMs: 1 },
    )
    for (let round = 0; !this.#isOver; round += 1) {
      const tx = `${this.#life.number}.${index}.${round}`
      const places = Array.from({ length: 1 + this.#random.below(3) }, () => {
        return this.#anyPlace((topic) => topic.name !== COMPACTED && topic.name !== STRICT)
      }).filter((place) => place !== undefined)
      for (const [{ id }] of places) this.#busy.set(id, (this.#busy.get(id) ?? 0) + 1)
      const transaction = await producer.begin()
      for (let sends = this.#random.below(8); sends >= 0 && places.length > 0; sends -= 1) {
        const [place, partition] = places[sends % places.length] ?? []
        if (place === undefined || partition === undefined) break
        const seq = this.#begin(place, 1, tx)
        const record = recordOf(place, { seq, tx }, { isCompacted: false })
        const sent = transaction.send({
          ...record,
          topic: partition.topic,
          partition: place.partition,
        })
        const { offset } = await sent
        this.#journal.tell({ what: 'done', ...place, seq, count: 1, offset })
        if (this.#random.below(3) === 0) await delay(this.#random.below(8))
      }
      const commits = this.#random.below(3) > 0
      this.#journal.tell({ what: commits ? 'committing' : 'aborting', tx })
      await (commits ? transaction.commit() : transaction.abort())
      this.#journal.tell({ what: commits ? 'committed' : 'aborted', tx })
      for (const [{ id }] of places) this.#busy.set(id, (this.#busy.get(id) ?? 0) - 1)
      await delay(this.#random.below(15))
    }
  }

  /** Retention, compaction, deleted records. */
  async #remove(): Promise<void> {
    while (!this.#isOver) {
      await delay(this.#random.below(60))
      if (this.#random.below(3) === 0) {
        await this.#deleteRecords()
        continue
      }
      const sinceMs = nowMs()
      // One that was deleted before its start is told would have had a start that nobody knows of.
      const topics = this.#log.topics().map(({ id }) => id)
      for (const id of topics) this.#busy.set(id, (this.#busy.get(id) ?? 0) + 1)
      await this.#log.runHousekeeping({ force: this.#random.below(2) === 0 })
      for (const id of topics) this.#busy.set(id, (this.#busy.get(id) ?? 0) - 1)
      for (const [place, { logStartOffset: offset }] of this.#places(() => true)) {
        if ((this.#starts.get(nameOf(place)) ?? 0) === offset) continue
        this.#starts.set(nameOf(place), offset)
        this.#journal.tell({ what: 'start', ...place, offset, sinceMs })
      }
    }
  }

  async #deleteRecords(): Promise<void> {
    const isPlain = (topic: Topic): boolean => topic.name !== COMPACTED && topic.name !== STRICT
    const [place, partition] = this.#anyPlace(isPlain) ?? []
    if (place === undefined || partition === undefined) return
    const { logStartOffset, highWatermark } = partition
    const offset = logStartOffset + this.#random.below(highWatermark - logStartOffset + 1)
    this.#journal.tell({ what: 'start', ...place, offset, sinceMs: nowMs() })
    this.#busy.set(place.id, (this.#busy.get(place.id) ?? 0) + 1)
    await partition.deleteRecords(offset)
    this.#busy.set(place.id, (this.#busy.get(place.id) ?? 0) - 1)
    this.#starts.set(nameOf(place), offset)
  }

  async #changeTopics(): Promise<void> {
    while (!this.#isOver) {
      const name = NAMES[this.#random.below(NAMES.length)] ?? 'a'
      const topic = this.#log.topics().find((one) => one.name === name)
      if (topic === undefined) await this.#createTopic(name)
      else if (this.#random.below(3) === 0 && topic.partitions.length < MAX_PARTITIONS) {
        await topic.addPartitions(topic.partitions.length + 1)
      } else if ((this.#busy.get(topic.id) ?? 0) === 0 && this.#random.below(2) === 0) {
        this.#busy.set(topic.id, Infinity) // Nothing is begun there any more.
        this.#journal.tell({ what: 'deleting', id: topic.id })
        await this.#log.deleteTopic(name)
      }
      await delay(20 + this.#random.below(150))
    }
  }

  async #createTopic(name: string): Promise<void> {
    const topic = await this.#log.createTopic(name, {
      partitions: 1 + this.#random.below(3),
      segmentBytes: this.#random.oneOf(32_768, 65_536, 262_144),
      retentionBytes: this.#random.oneOf(-1, 65_536, 200_000),
      fileDeleteDelayMs: this.#random.oneOf(0, 0, 50),
    })
    this.#tellTopic(topic)
  }

  #tellTopic({ id, name }: Topic): void {
    this.#journal.tell({ what: 'topic', id, isCompacted: name === COMPACTED })
  }

  /** Tells that the next numbers are about to be appended, and gives the first. */
  #begin(place: Place, count: number, tx: string): number {
    const seq = this.#seq
    this.#seq += count
    this.#journal.tell({ what: 'begun', ...place, seq, count, tx })
    return seq
  }

  #anyPlace(isAsked: (topic: Topic) => boolean): readonly [Place, Partition] | undefined {
    const places = this.#places((topic) => isAsked(topic))
    return places[this.#random.below(places.length)]
  }

  #places(isAsked: (topic: Topic) => boolean): readonly (readonly [Place, Partition])[] {
    const places: (readonly [Place, Partition])[] = []
    for (const topic of this.#log.topics()) {
      const { id } = topic
      if (!isAsked(topic) || this.#busy.get(id) === Infinity) continue
      for (const one of topic.partitions) places.push([{ id, partition: one.index }, one])
    }
    return places
  }
}
