/**
 * What the parent of the crash tests knows of a log, and what follows from it.
 *
 *   known    sequence numbers by offset, read from the log after a kill: they stay what they are
 *   sent     what the last life was about to send, in order; the log holds the first so many of
 *            them: all where none was lost, none more than once, nothing else in between
 *   stored   of these, what was acknowledged: the log holds at least these
 *
 *   I1  a life sends only after everything in the log was read: `sent` is of one life
 */
import { lifeOf } from './crash-record.ts'
import { partitionName, type LifeReport, type PartitionReport } from './crash-report.ts'

type Of<Kind extends LifeReport['is']> = Extract<LifeReport, { readonly is: Kind }>

/** One partition. */
interface PartitionModel {
  readonly known: number[]
  sent: number[]
  /** How many of `sent` were acknowledged: always the first so many. */
  stored: number
  /** Of `sent`, how many were read since. */
  read: number
  leaderEpoch: number
}

/** One topic: there, or between two states when the kill came. */
interface TopicModel {
  state: 'creating' | 'there' | 'deleting'
  readonly partitions: readonly PartitionModel[]
}

/** All that a run knows. */
export class CrashModel {
  readonly #topics = new Map<string, TopicModel>()
  /** Whether the next open may, or must, find the log closed. */
  #closed: 'yes' | 'no' | 'maybe' = 'maybe'
  /** Logs that were not closed, as found at open; by life, for those that opened one. */
  #uncleanOpens = 0
  readonly #uncleanOpensOf = new Map<number, number>()
  #life = 0
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

  /** Sequence numbers by offset, by partition: all that must be in the log, and nothing else. */
  get contents(): ReadonlyMap<string, readonly number[]> {
    return new Map([...this.#partitions()].map(([name, { known }]) => [name, known]))
  }

  /** A life begins. Whether it gets to open the log, its reports say. */
  begins(life: number): void {
    this.#life = life
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
      case 'closing':
        return void (this.#closed = 'maybe')
      case 'closed':
        return void (this.#closed = 'yes')
      case 'failed':
        throw new Error(`life ${this.#life}: ${report.reason}`)
    }
  }

  // ------------------------------------------------------------------ opened

  #opened({ clean, damage, cuts, topics }: Of<'opened'>): void {
    check(damage === 0, `${damage} damaged places after kills of the process alone`)
    check(this.#closed === 'maybe' || !clean, 'a log that nobody closed was found clean')
    if (!clean) this.#uncleanOpens += 1
    this.#closed = 'no'
    this.#uncleanOpensOf.set(this.#life, this.#uncleanOpens)
    for (const [name, model] of this.#topics) this.#topicFound(name, model, topics[name])
    for (const name of Object.keys(topics)) check(this.#topics.has(name), `topic ${name}: invented`)
    for (const [name, bytes, offset] of cuts) {
      const { least } = endsOf(this.#partition(name))
      check(bytes >= 0 && offset >= least, `${name}: cut at ${offset}, though it held ${least}`)
      if (bytes > 0) this.tornCount += 1
    }
  }

  #topicFound(
    name: string,
    model: TopicModel,
    found: readonly PartitionReport[] | undefined,
  ): void {
    if (found === undefined) {
      check(model.state !== 'there', `topic ${name}: lost`)
      this.#topics.delete(name)
      return
    }
    model.state = 'there'
    check(found.length === model.partitions.length, `topic ${name}: ${found.length} partitions`)
    for (const [index, partition] of model.partitions.entries()) {
      const { least, most } = endsOf(partition)
      const { logStartOffset = -1, logEndOffset = -1, durableOffset = -1 } = found[index] ?? {}
      const where = `${partitionName(name, index)} from ${logStartOffset} to ${logEndOffset}`
      check(logStartOffset === 0, `${where}: lost its start`)
      check(logEndOffset >= least, `${where}: lost its end, ${least}`)
      check(logEndOffset <= most, `${where}: invented its end, beyond ${most}`)
      check(durableOffset === logEndOffset, `${where}: durable only to ${durableOffset}`)
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
    partition.leaderEpoch = leaderEpoch
    known.push(sequence)
  }

  /** Raised by every open that finds the log not closed, and by nothing else. */
  #checkEpoch(partition: PartitionModel, where: string, sequence: number, epoch: number): void {
    const previous = partition.known.at(-1)
    if (previous === undefined) return
    const raises = this.#opensUntil(sequence) - this.#opensUntil(previous)
    const isRight = raises === 0 ? epoch === partition.leaderEpoch : epoch > partition.leaderEpoch
    check(
      isRight,
      `${where}: leader epoch ${partition.leaderEpoch}, ${raises} opens later ${epoch}`,
    )
  }

  #opensUntil(sequence: number): number {
    return this.#uncleanOpensOf.get(lifeOf(sequence)) ?? Number.NaN
  }

  #allRead(): void {
    for (const [name, partition] of this.#partitions()) {
      check(
        partition.read >= partition.stored,
        `${name}: ${partition.stored} acknowledged, ${partition.read} read`,
      )
      partition.sent = []
      partition.stored = 0
      partition.read = 0
    }
  }

  // ----------------------------------------------------------------- written

  #acknowledged({ name, offset, sequence }: Of<'acknowledged'>): void {
    const partition = this.#partition(name)
    const { known, sent } = partition
    const place = offset === null ? sent.indexOf(sequence) : offset - known.length
    check(
      sent[place] === sequence,
      `${name}: ${sequence} was acknowledged at ${offset}, the place of ${sent[place]}`,
    )
    partition.stored = Math.max(partition.stored, place + 1)
    this.acknowledgedCount += 1
  }

  #refused({ name, sequence }: Of<'refused'>): void {
    check(this.#mayRefuse, `${name}: ${sequence} was refused`)
    const { sent, stored } = this.#partition(name)
    const place = sent.indexOf(sequence)
    check(place >= stored, `${name}: ${sequence} was refused before what follows was acknowledged`)
    sent.splice(place, 1)
  }

  #creating({ topic, partitions }: Of<'creating'>): void {
    check(!this.#topics.has(topic), `topic ${topic}: created twice`)
    this.#topics.set(topic, {
      state: 'creating',
      partitions: Array.from({ length: partitions }, () => {
        return { known: [], sent: [], stored: 0, read: 0, leaderEpoch: -1 }
      }),
    })
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

/** Between which offsets the log of a partition ends. */
function endsOf(partition: PartitionModel): { readonly least: number; readonly most: number } {
  const { known, sent, stored, read } = partition
  // What was read of `sent`, before the reader was killed, is known as well.
  const start = known.length - read
  return { least: start + Math.max(stored, read), most: start + sent.length }
}

function check(isRight: boolean, message: string): void {
  if (!isRight) throw new Error(message)
}
