/**
 * kafkajs against a broker on loopback. Tuned: 1,000 records a request, five requests in flight, no
 * compression; fetches of up to 8 MiB, and records handed over by batch.
 */
import { createRequire } from 'node:module'
import { touch } from '../runner/dataset.ts'
import type { LineRecords } from './line-records.ts'
import { TOPIC } from './streambed.ts'

/** What it is in a contest. */
export const KAFKAJS = { role: 'peer', needs: 'kafkajs' } as const

const load = createRequire(new URL('../../package.json', import.meta.url))
const REQUEST_RECORDS = 1_000
const REQUESTS_IN_FLIGHT = 5
const FETCH_BYTES = 8_388_608

/** What kafkajs exports, as far as it is used here. */
interface KafkaJs {
  readonly Kafka: new (options: { readonly brokers: readonly string[]; logLevel: number }) => Client
  readonly logLevel: { readonly NOTHING: number }
}

interface Client {
  producer(options: { readonly maxInFlightRequests: number }): Producer
  consumer(options: {
    readonly groupId: string
    readonly maxBytesPerPartition: number
    readonly maxBytes: number
  }): Consumer
}

interface Producer {
  connect(): Promise<void>
  send(request: {
    readonly topic: string
    readonly acks: number
    readonly messages: readonly Message[]
  }): Promise<unknown>
  disconnect(): Promise<void>
}

interface Message {
  readonly value: Buffer
  readonly partition: number
}

interface Consumer {
  connect(): Promise<void>
  subscribe(what: {
    readonly topics: readonly string[]
    readonly fromBeginning: boolean
  }): Promise<void>
  run(how: {
    eachBatch(given: { readonly batch: { readonly messages: readonly Message[] } }): Promise<void>
  }): Promise<void>
  on(
    event: 'consumer.group_join' | 'consumer.crash',
    listener: (event: {
      readonly payload: { readonly error: Error; readonly restart: boolean }
    }) => void,
  ): unknown
  disconnect(): Promise<void>
}

/** A client of a broker. */
export class KafkaNodeClient {
  readonly #client: Client
  #groupCount = 0

  constructor(address: string) {
    const { Kafka, logLevel } = load('kafkajs') as KafkaJs // Its own signature, a part of it.
    this.#client = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING })
  }

  /** A producer that is connected. */
  async sender(lines: LineRecords): Promise<KafkaNodeSender> {
    const producer = this.#client.producer({ maxInFlightRequests: REQUESTS_IN_FLIGHT })
    await producer.connect()
    return {
      send: async (from, to) => {
        let next = from
        const sendInTurn = async (): Promise<void> => {
          while (next < to) {
            const start = next
            next = Math.min(to, start + REQUEST_RECORDS)
            await producer.send({ topic: TOPIC, acks: 1, messages: messages(lines, start, next) })
          }
        }
        await Promise.all(Array.from({ length: REQUESTS_IN_FLIGHT }, sendInTurn))
      },
      close: () => producer.disconnect(),
    }
  }

  /** A consumer of a new group, which begins with the first record. */
  async receiver(): Promise<KafkaNodeReceiver> {
    this.#groupCount += 1
    const consumer = this.#client.consumer({
      groupId: `bench-${this.#groupCount}`,
      maxBytesPerPartition: FETCH_BYTES,
      maxBytes: FETCH_BYTES,
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [TOPIC], fromBeginning: true })
    return new KafkaNodeReceiver(consumer)
  }
}

/** Sends records. */
export interface KafkaNodeSender {
  /** Records `from` to `to`; resolves when the last is acknowledged, acks 1. */
  send(from: number, to: number): Promise<void>
  close(): Promise<void>
}

/** Reads records, once. */
export class KafkaNodeReceiver {
  visited = 0
  sum = 0
  readonly #consumer: Consumer

  constructor(consumer: Consumer) {
    this.#consumer = consumer
  }

  /** Resolves when it has joined its group; `all` when it has `recordCount` records. */
  async start(recordCount: number): Promise<{ readonly all: Promise<void> }> {
    const consumer = this.#consumer
    const all = new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload: { error, restart } }) => {
        // A broker that has just made the topic of its groups is not ready: it asks again then.
        if (!restart) reject(error)
      })
      const joined = consumer.run({
        eachBatch: async ({ batch: { messages: received } }) => {
          for (const { value } of received) this.sum += touch(value, 0, value.length)
          this.visited += received.length
          if (this.visited >= recordCount) resolve()
        },
      })
      joined.catch(reject)
    })
    await new Promise<unknown>((resolve) => {
      consumer.on('consumer.group_join', resolve)
    })
    return { all }
  }

  close(): Promise<void> {
    return this.#consumer.disconnect()
  }
}

function messages(lines: LineRecords, from: number, to: number): readonly Message[] {
  return Array.from({ length: to - from }, (_, index) => ({
    value: lines.at(from + index),
    partition: 0,
  }))
}
