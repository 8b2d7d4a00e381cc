/**
 * What the parent of the crash tests knows of a log, and what follows from it.
 *
 *   known    sequence numbers by offset, read from the log after a kill: they stay what they are
 *   sent     what the last life was about to send, in order; the log holds the first so many of
 *            them: all where none was lost, none more than once, nothing else in between
 *   stored   of these, what was acknowledged: after a kill the log holds at least these
 *   durable  of these, what was said to be on stable storage: after a power loss at least these
 *
 *   I1  a life sends only after everything in the log was read: `sent` is of one life
 *   I2  what an open has counted is known: not even a power loss takes it any more
 */
import { CrashPositions } from './crash-positions.ts'
import { lifeOf } from './crash-record.ts'
import {
  partitionName,
  type LifeReport,
  type PartitionReport,
  type TopicReport,
} from './crash-report.ts'

type Of<Kind extends LifeReport['is']> = Extract<LifeReport, { readonly is: Kind }>

/** How a life ended, and with it what the next one may find. */
export type Loss = 'kill' | 'power loss'

/** One partition. */
interface PartitionModel {
  readonly known: number[]
  sent: number[]
  /** How many of `sent` were acknowledged, and said to be durable: always the first so many. */
  stored: number
  durable: number
  /** Of `sent`, how many were read since. */
  read: number
  /** Where the log starts, and where it may start as well. */
  start: number
  nextStart: number
  lastRead: { readonly sequence: number; readonly leaderEpoch: number } | null
  /** The newest that was seen, and how many unclean opens there had been. */
  epoch: { readonly leaderEpoch: number; readonly uncleanOpens: number } | null
}

/** One topic: there, or between two states when the kill came. */
interface TopicModel {
  state: 'creating' | 'there' | 'deleting'
  readonly partitions: PartitionModel[]
  /** How many partitions it may have as well. */
  nextPartitions: number
  segmentBytes: number
  nextSegmentBytes: number
}

/** What a partition has to hold. */
export interface KnownContents {
  readonly known: readonly number[]
  readonly start: number
}

/** All that a run knows. */
export class CrashModel {
  readonly #topics = new Map<string, TopicModel>()
  readonly #positions = new CrashPositions()
  /** Whether the next open may, or must, find the log closed. */
  #closed: 'yes' | 'no' | 'maybe' = 'maybe'
  /** Logs that were not closed, as found at open; by life, for those that opened one. */
  #uncleanOpens = 0
  readonly #uncleanOpensOf = new Map<number, number>()
  #life = 0
  #loss: Loss = 'kill'
  /** The disk may be full: records may be refused, also when nobody lived to tell. */
  readonly #mayRefuse: boolean
  acknowledgedCount = 0
  tornCount = 0

  constructor(options: { readonly mayRefuse: boolean } = { mayRefuse: false }) {
    this.#mayRefuse = options.mayRefuse
  }

  /** How many records of each partition were read. */
  get known(): Record<string, number> {
    const known: Record<string, number> = {}
    for (const [name, partition] of this.#partitions()) known[name] = partition.known.length
    return known
  }

  /**
   * Sequence numbers by offset, by partition, and where it starts: all that must be in the log, and
   * nothing else.
   */
  get contents(): ReadonlyMap<string, KnownContents> {
    return new Map([...this.#partitions()])
  }

  /** A life begins after the one before ended so. Whether it opens the log, its reports say. */
  begins(life: number, loss: Loss = 'kill'): void {
    this.#life = life
    this.#loss = loss
    if (this.#closed === 'yes') this.#closed = 'maybe'
  }

  /** @throws where the log is not what it has to be. */
  take(report: LifeReport): void {
    switch (report.is) {
      case 'opened':
        return this.#opened(report)
      case 'record':
        return this.#record(report)
      case 'read':
        return this.#allRead()
      case 'sending':
        return void this.#partition(report.name).sent.push(report.sequence)
      case 'acknowledged':
        return this.#acknowledged(report)
      case 'flushed':
        return this.#flushed(report)
      case 'epoch':
        return this.#sawEpoch(report.name, report.leaderEpoch)
      case 'refused':
        return this.#refused(report)
      case 'creating':
        return this.#creating(report)
      case 'created':
        return void (this.#topic(report.topic).state = 'there')
      case 'deleting':
        return void (this.#topic(report.topic).state = 'deleting')
      case 'deleted':
        return void this.#topics.delete(report.topic)
      case 'altering':
        return void (this.#topic(report.topic).nextSegmentBytes = report.segmentBytes)
      case 'altered':
        return settleConfig(this.#topic(report.topic))
      case 'growing':
        return void (this.#topic(report.topic).nextPartitions = report.partitions)
      case 'grown':
        return settlePartitions(this.#topic(report.topic))
      case 'removing':
        return void (this.#partition(report.name).nextStart = report.beforeOffset)
      case 'removed':
        return settleStart(this.#partition(report.name))
      case 'committing':
        return this.#positions.committing(report)
      case 'committed':
        return this.#positions.committed(report)
      case 'closing':
        return void (this.#closed = 'maybe')
      case 'closed':
        return void (this.#closed = 'yes')
      case 'failed':
        throw new Error(`life ${this.#life}: ${report.reason}`)
    }
  }

  // ------------------------------------------------------------------ opened

  #opened({ clean, damage, cuts, topics, positions }: Of<'opened'>): void {
    const endOf = (name: string): number => {
      const [topic = '', partition = ''] = name.split('/')
      return topics[topic]?.partitions[Number(partition)]?.logEndOffset ?? 0
    }
    this.#positions.found(positions, this.#loss, endOf)
    check(damage === 0, `${damage} damaged places, though nothing but a ${this.#loss} came between`)
    check(this.#closed === 'maybe' || !clean, 'a log that nobody closed was found clean')
    if (!clean) this.#uncleanOpens += 1
    this.#closed = 'no'
    this.#uncleanOpensOf.set(this.#life, this.#uncleanOpens)
    for (const [name, model] of this.#topics) this.#topicFound(name, model, topics[name])
    for (const name of Object.keys(topics)) check(this.#topics.has(name), `topic ${name}: invented`)
    for (const [name, bytes, offset] of cuts) {
      const { least } = this.#endsOf(this.#partition(name))
      check(bytes >= 0 && offset >= least, `${name}: cut at ${offset}, though it held ${least}`)
      if (bytes > 0) this.tornCount += 1
    }
  }

  #topicFound(name: string, model: TopicModel, found: TopicReport | undefined): void {
    if (found === undefined) {
      check(model.state !== 'there', `topic ${name}: lost`)
      this.#topics.delete(name)
      return
    }
    model.state = 'there'
    const { segmentBytes } = found
    if (segmentBytes === model.nextSegmentBytes) settleConfig(model)
    check(segmentBytes === model.segmentBytes, `topic ${name}: segmentBytes ${segmentBytes}`)
    const count = found.partitions.length
    if (count === model.nextPartitions) settlePartitions(model)
    check(count === model.partitions.length, `topic ${name}: ${count} partitions`)
    model.nextPartitions = count
    model.nextSegmentBytes = segmentBytes
    for (const [index, partition] of model.partitions.entries()) {
      const report = found.partitions[index]
      if (report !== undefined) this.#partitionFound(partitionName(name, index), partition, report)
    }
  }

  #partitionFound(name: string, partition: PartitionModel, report: PartitionReport): void {
    const { logStartOffset, logEndOffset, durableOffset } = report
    const { least, most } = this.#endsOf(partition)
    const where = `${name} from ${logStartOffset} to ${logEndOffset}`
    if (logStartOffset === partition.nextStart) settleStart(partition)
    check(logStartOffset === partition.start, `${where}: lost its start, ${partition.start}`)
    partition.nextStart = partition.start
    check(logEndOffset >= least, `${where}: lost its end, ${least}`)
    check(logEndOffset <= most, `${where}: invented its end, beyond ${most}`)
    check(durableOffset === logEndOffset, `${where}: durable only to ${durableOffset}`)
    // Nobody can read these any more, but their offsets are taken.
    while (partition.known.length < logStartOffset) {
      const sequence = partition.sent[partition.read]
      check(sequence !== undefined, `${where}: starts behind all that was sent`)
      partition.known.push(sequence ?? 0)
      partition.read += 1
    }
  }

  // -------------------------------------------------------------------- read

  #record({ name, offset, sequence, leaderEpoch }: Of<'record'>): void {
    const partition = this.#partition(name)
    const { known, sent } = partition
    const where = `${name}: offset ${offset}`
    check(offset === known.length, `${where}: expected ${known.length}`)
    while (
      this.#mayRefuse &&
      sent[partition.read] !== sequence &&
      partition.read >= partition.stored
    ) {
      check(partition.read < sent.length, `${where}: ${sequence} was never sent`)
      sent.splice(partition.read, 1)
    }
    check(sent[partition.read] === sequence, `${where}: ${sequence} for ${sent[partition.read]}`)
    partition.read += 1
    this.#checkEpoch(partition, where, sequence, leaderEpoch)
    partition.lastRead = { sequence, leaderEpoch }
    known.push(sequence)
  }

  /** Raised by every open that finds the log not closed, and by nothing else. */
  #checkEpoch(partition: PartitionModel, where: string, sequence: number, epoch: number): void {
    const { lastRead } = partition
    if (lastRead === null) return
    const raises = this.#opensUntil(sequence) - this.#opensUntil(lastRead.sequence)
    const isRight = raises === 0 ? epoch === lastRead.leaderEpoch : epoch > lastRead.leaderEpoch
    check(isRight, `${where}: leader epoch ${lastRead.leaderEpoch}, ${raises} opens later ${epoch}`)
  }

  /** Offsets that a power loss took are used again, but never in an epoch that was used. */
  #sawEpoch(name: string, leaderEpoch: number): void {
    const partition = this.#partition(name)
    const { epoch } = partition
    const raises = this.#uncleanOpens - (epoch?.uncleanOpens ?? this.#uncleanOpens)
    const last = epoch?.leaderEpoch ?? -1
    const isRight = raises > 0 || epoch === null ? leaderEpoch > last : leaderEpoch === last
    check(isRight, `${name}: appends in epoch ${leaderEpoch}, ${raises} opens after ${last}`)
    partition.epoch = { leaderEpoch, uncleanOpens: this.#uncleanOpens }
  }

  #opensUntil(sequence: number): number {
    return this.#uncleanOpensOf.get(lifeOf(sequence)) ?? Number.NaN
  }

  #allRead(): void {
    for (const [name, partition] of this.#partitions()) {
      const least = this.#loss === 'kill' ? partition.stored : partition.durable
      check(partition.read >= least, `${name}: ${least} acknowledged, ${partition.read} read`)
      partition.sent = []
      partition.stored = 0
      partition.durable = 0
      partition.read = 0
    }
  }

  // ----------------------------------------------------------------- written

  #acknowledged({ name, offset, sequence, isDurable }: Of<'acknowledged'>): void {
    const partition = this.#partition(name)
    const { known, sent } = partition
    const place = offset === null ? sent.indexOf(sequence) : offset - known.length
    check(
      sent[place] === sequence,
      `${name}: ${sequence} was acknowledged at ${offset}, the place of ${sent[place]}`,
    )
    partition.stored = Math.max(partition.stored, place + 1)
    if (isDurable) partition.durable = Math.max(partition.durable, place + 1)
    this.acknowledgedCount += 1
  }

  #flushed({ name, offset }: Of<'flushed'>): void {
    const partition = this.#partition(name)
    const count = offset - partition.known.length
    check(count <= partition.sent.length, `${name}: flushed up to ${offset}, beyond all there is`)
    partition.stored = Math.max(partition.stored, count)
    partition.durable = Math.max(partition.durable, count)
  }

  #refused({ name, sequence }: Of<'refused'>): void {
    check(this.#mayRefuse, `${name}: ${sequence} was refused`)
    const { sent, stored } = this.#partition(name)
    const place = sent.indexOf(sequence)
    check(place >= stored, `${name}: ${sequence} was refused before what follows was acknowledged`)
    sent.splice(place, 1)
  }

  #creating({ topic, partitions, segmentBytes }: Of<'creating'>): void {
    check(!this.#topics.has(topic), `topic ${topic}: created twice`)
    this.#topics.set(topic, {
      state: 'creating',
      partitions: Array.from({ length: partitions }, newPartition),
      nextPartitions: partitions,
      segmentBytes,
      nextSegmentBytes: segmentBytes,
    })
  }

  /** Between which offsets the log of a partition ends. */
  #endsOf(partition: PartitionModel): { readonly least: number; readonly most: number } {
    const { known, sent, stored, durable, read } = partition
    // What was read of `sent`, before the reader was killed, is known as well.
    const from = known.length - read
    const kept = this.#loss === 'kill' ? stored : durable
    return { least: from + Math.max(kept, read), most: from + sent.length }
  }

  #topic(name: string): TopicModel {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new Error(`no topic ${name}`)
    return topic
  }

  #partition(name: string): PartitionModel {
    const [topic = '', partition = ''] = name.split('/')
    const model = this.#topic(topic).partitions[Number(partition)]
    if (model === undefined) throw new Error(`no partition ${name}`)
    return model
  }

  *#partitions(): Generator<readonly [string, PartitionModel]> {
    for (const [topic, { partitions }] of this.#topics) {
      for (const [index, model] of partitions.entries()) yield [partitionName(topic, index), model]
    }
  }
}

function newPartition(): PartitionModel {
  const [start, nextStart, stored, durable, read] = [0, 0, 0, 0, 0]
  const counts = { start, nextStart, stored, durable, read }
  return { known: [], sent: [], ...counts, lastRead: null, epoch: null }
}

function settleConfig(topic: TopicModel): void {
  topic.segmentBytes = topic.nextSegmentBytes
}

function settlePartitions({ partitions, nextPartitions }: TopicModel): void {
  while (partitions.length < nextPartitions) partitions.push(newPartition())
}

function settleStart(partition: PartitionModel): void {
  partition.start = partition.nextStart
}

function check(isRight: boolean, message: string): void {
  if (!isRight) throw new Error(message)
}
