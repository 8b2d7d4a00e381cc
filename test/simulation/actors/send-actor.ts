/**
 * SendActor: producers of every kind that send, enqueue, flush and close, and the log's own
 * producer. What was acknowledged goes into the record book with its place.
 */
import type {
  LogError,
  LogErrorCode,
  Producer,
  ProducerOptions,
  RecordMetadata,
  TopicRecord,
} from '../../../src/index.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import type { WrittenRecord } from '../record-book.ts'
import type { Expectation } from '../process-life.ts'
import { must } from '../simulation-failure.ts'
import type { TopicModel } from '../topic-model.ts'
import { inputOf } from './append-actor.ts'

const MAX_PRODUCERS = 4

/** What a producer may reject with though nothing went wrong: topics go, producers close. */
const USUAL: readonly LogErrorCode[] = ['TOPIC_NOT_FOUND', 'CLOSED', 'BUFFER_FULL']

interface Sending {
  readonly producer: Producer
  readonly acks: 0 | 1 | 'all'
  readonly sender: number
  readonly name: string
  isClosed: boolean
  /** Enqueued since the last flush. */
  enqueued: { readonly record: WrittenRecord; readonly topic: TopicModel }[]
  /** All that was ever enqueued, as long as no failure was heard of. */
  unheard: WrittenRecord[]
}

/** See the file's header. */
export class SendActor implements Actor {
  readonly name = 'sends'
  readonly steps: Readonly<Record<string, number>> = {
    producer: 2,
    send: 8,
    'send all': 2,
    enqueue: 4,
    'flush producer': 2,
    'close producer': 1,
    'topic send': 3,
    'flush all': 1,
  }
  readonly #stage: Stage
  #producers: Sending[] = []
  #ownSender = -1
  /** Flushes of the whole log under way: one of them may have been told of a failure already. */
  #flushesOfAll = 0

  constructor(stage: Stage) {
    this.#stage = stage
  }

  opened(): void {
    this.#ownSender = this.#stage.nextSender()
  }

  ended(): void {
    this.#producers = []
    this.#flushesOfAll = 0
  }

  step(kind: string, random: SeededRandom): void {
    if (kind === 'producer') return this.#make(random)
    if (kind === 'topic send') return this.#topicSend(random)
    if (kind === 'flush all') return this.#flushAll()
    const sending = this.#producers[random.below(this.#producers.length)]
    if (sending === undefined || sending.isClosed) return
    switch (kind) {
      case 'send':
        return this.#send(random, sending)
      case 'send all':
        return this.#sendAll(random, sending)
      case 'enqueue':
        return this.#enqueue(random, sending)
      case 'flush producer':
        return this.#flush(sending)
      default:
        return this.#close(sending)
    }
  }

  #make(random: SeededRandom): void {
    if (this.#producers.length >= MAX_PRODUCERS) this.#producers.shift()
    const acks = random.oneOf<0 | 1 | 'all'>(0, 1, 'all', 'all')
    const options: ProducerOptions = {
      acks,
      lingerMs: random.oneOf(0, 0, 3),
      batchBytes: random.oneOf(100, 1_000, 65_536),
      bufferBytes: random.oneOf(6_000, 1_000_000),
      compression: random.oneOf('none', 'none', 'none', 'gzip'),
    }
    const sender = this.#stage.nextSender()
    const name = `producer ${sender}`
    this.#stage.say(`${name} ${JSON.stringify(options)}`)
    const producer = this.#stage.life.log.producer(options)
    this.#producers.push({
      producer,
      acks,
      sender,
      name,
      isClosed: false,
      enqueued: [],
      unheard: [],
    })
  }

  #send(random: SeededRandom, sending: Sending): void {
    const { scale, life } = this.#stage
    const count = 1 + random.below(random.oneOf(1, scale.recordsPerBatch))
    this.#stage.say(`${sending.name} sends ${count}, acks ${sending.acks}`)
    for (let left = count; left > 0; left--) {
      const planned = this.#plan(random, sending.sender)
      if (planned === undefined) return
      const { record, topic, input } = planned
      life.track(sending.producer.send(input), this.#one(sending.acks, record, topic))
    }
  }

  #topicSend(random: SeededRandom): void {
    const { scale, life } = this.#stage
    const topic = this.#stage.anyTopic(random)
    if (topic === undefined) return
    const count = 1 + random.below(random.oneOf(1, scale.recordsPerBatch))
    this.#stage.say(`${topic.name} is sent ${count}`)
    for (let left = count; left > 0; left--) {
      const record = this.#stage.plan(random, topic, -1, this.#ownSender)
      life.track(topic.handle.send(inputOf(record)), this.#one('all', record, topic))
    }
  }

  #one(
    acks: Sending['acks'],
    record: WrittenRecord,
    topic: TopicModel,
  ): Expectation<RecordMetadata> {
    return {
      what: `send record ${record.id} to ${topic.name} with acks ${acks}`,
      mayFailWith: USUAL,
      done: (metadata) => this.#acknowledged(acks, record, topic, metadata),
      failed: (error) => this.#failed(record, topic, error),
    }
  }

  #sendAll(random: SeededRandom, sending: Sending): void {
    const { scale, life } = this.#stage
    const count = 1 + random.below(scale.recordsPerBatch)
    const planned = Array.from({ length: count }, () => this.#plan(random, sending.sender))
    const all = planned.filter((one) => one !== undefined)
    if (all.length === 0) return
    const { acks, name } = sending
    this.#stage.say(`${name} sends ${all.length} together, acks ${acks}`)
    life.track(sending.producer.sendAll(all.map(({ input }) => input)), {
      what: `send ${all.length} records together`,
      mayFailWith: USUAL,
      done: (places) => {
        must(places.length === all.length, () => 'sendAll resolved with too few places')
        for (const [index, { record, topic }] of all.entries()) {
          const place = places[index]
          must(place !== undefined, () => 'sendAll left a place out')
          this.#acknowledged(acks, record, topic, place)
        }
      },
      failed: (error) => {
        const failed = failedOf(error)
        for (const [index, { record, topic }] of all.entries()) {
          const own = failed.get(index)
          if (own === undefined) record.state = 'unknown' // It is there, but nobody says where.
          else this.#failed(record, topic, own)
        }
      },
    })
  }

  #enqueue(random: SeededRandom, sending: Sending): void {
    const count = 1 + random.below(this.#stage.scale.recordsPerBatch)
    this.#stage.say(`${sending.name} enqueues ${count}`)
    for (let left = count; left > 0; left--) {
      const planned = this.#plan(random, sending.sender)
      if (planned === undefined) return
      const { record, topic, input } = planned
      this.#stage.life.now(() => sending.producer.enqueue(input), {
        what: `enqueue record ${record.id}`,
        mayFailWith: USUAL,
        done: () => {
          sending.enqueued.push({ record, topic })
          sending.unheard.push(record)
        },
        failed: () => void (record.state = 'refused'),
      })
    }
  }

  #flush(sending: Sending): void {
    this.#stage.say(`flush ${sending.name}`)
    const enqueued = sending.enqueued
    sending.enqueued = []
    this.#stage.life.track(sending.producer.flush(), this.#flushed(sending, enqueued))
  }

  #flushAll(): void {
    this.#stage.say('flush the log')
    const { life, topics } = this.#stage
    const ends = topics
      .filter((topic) => topic.isLive)
      .flatMap((topic) => topic.partitions.map((one) => ({ topic, one, end: one.written })))
    this.#flushesOfAll += 1
    life.track(life.log.flush(), {
      what: 'flush the log',
      // The error of an enqueued record comes out here.
      mayFailWith: ['TOPIC_NOT_FOUND'],
      done: () => {
        this.#flushesOfAll -= 1
        for (const { topic, one, end } of ends) {
          must(
            !topic.isLive || one.handle.durableOffset >= end,
            () => `${one.name}: the log was flushed, but not beyond ${one.handle.durableOffset}`,
          )
        }
      },
      failed: () => {
        this.#flushesOfAll -= 1
        for (const sending of this.#producers) heardOfFailure(sending)
      },
    })
  }

  #close(sending: Sending): void {
    this.#stage.say(`close ${sending.name}`)
    sending.isClosed = true
    const { enqueued } = sending
    sending.enqueued = []
    this.#stage.life.track(sending.producer.close(), this.#flushed(sending, enqueued))
  }

  /** What was enqueued before is there, as `acks` says, or somebody hears of it. */
  #flushed(sending: Sending, enqueued: Sending['enqueued']): Expectation<void> {
    const { acks, name } = sending
    return {
      what: `flush ${name}`,
      mayFailWith: USUAL,
      done: () => {
        if (this.#flushesOfAll > 0) return
        for (const { record, topic } of enqueued) {
          if (record.state === 'unknown') continue // Another flush has heard of a failure.
          if (!topic.isLive || !topic.partitions.every((one) => this.#stage.catchUp(one))) continue
          const partition = topic.partitions[record.seenIn]
          must(
            partition !== undefined || this.#stage.isTainted,
            () => `record ${record.id} was enqueued and flushed, but is not in ${topic.name}`,
          )
          if (partition === undefined || acks !== 'all') continue
          must(
            record.offset < partition.handle.durableOffset,
            () => `record ${record.id} was flushed, but is not durable`,
          )
        }
      },
      failed: () => heardOfFailure(sending),
    }
  }

  #acknowledged(
    acks: Sending['acks'],
    record: WrittenRecord,
    topic: TopicModel,
    { topic: name, partition: index, offset, timestamp }: RecordMetadata,
  ): void {
    const what = `record ${record.id}`
    must(name === topic.name, () => `${what} was acknowledged in ${name}, not in ${topic.name}`)
    must(
      acks === 0 || timestamp === record.timestamp || topic.hadAppendTimes,
      () => `${what} was acknowledged with another time`,
    )
    if (acks === 0) {
      must(offset === -1, () => `${what}: acks 0 knows no offset`)
      return
    }
    const partition = topic.partitions[index]
    must(partition !== undefined, () => `${what} was acknowledged in no partition`)
    partition.acknowledged(record, offset)
    this.#stage.count('appended', 1)
    must(
      acks !== 'all' || offset < partition.handle.durableOffset,
      () => `${what} at ${offset} was acknowledged, but not durable: acks all`,
    )
  }

  #failed(record: WrittenRecord, topic: TopicModel, error: LogError): void {
    const isUnknown =
      (error.code === 'IO' && 'outcome' in error.details) ||
      // It was appended, and then the topic went.
      (error.code === 'TOPIC_NOT_FOUND' && !topic.isLive) ||
      error.code === 'CLOSED'
    must(
      error.code !== 'TOPIC_NOT_FOUND' || !topic.isLive,
      () => `record ${record.id} was refused, as if ${topic.name} were gone`,
    )
    if (record.state === 'pending') record.state = isUnknown ? 'unknown' : 'refused'
  }

  #plan(
    random: SeededRandom,
    sender: number,
  ):
    | { readonly record: WrittenRecord; readonly topic: TopicModel; readonly input: TopicRecord }
    | undefined {
    const topic = this.#stage.anyTopic(random)
    if (topic === undefined) return undefined
    const place = random.below(2) === 0 ? -1 : random.below(topic.partitions.length)
    const record = this.#stage.plan(random, topic, place, sender)
    const input = { ...inputOf(record), topic: topic.name }
    return { record, topic, input: place === -1 ? input : { ...input, partition: place } }
  }
}

/** One of them failed, nobody knows which: an error is told once. */
function heardOfFailure(sending: Sending): void {
  for (const record of sending.unheard) if (record.state === 'pending') record.state = 'unknown'
  sending.unheard = []
}

/** Which records of a `sendAll` failed, and why each did. */
function failedOf(error: LogError): ReadonlyMap<number, LogError> {
  // As `sendAll` documents it.
  const { failed = [] } = error.details as {
    readonly failed?: readonly { readonly index: number; readonly error: LogError }[]
  }
  return new Map(failed.map((one) => [one.index, one.error]))
}
