/**
 * DeadLetters: puts records that cannot be handled aside, into a topic of their own, with headers
 * that say where they come from and why.
 *
 *   I1  key, value and headers are the record's own bytes; ours are added behind its headers
 *   I2  a letter is on stable storage when `send` resolves
 * A letter goes to the partition that its record comes from, where the topic has that many.
 */
import { LogError } from '../../errors/log-error.ts'
import type { ResolvedTopicConfig, TopicConfig } from '../../log/log-config.ts'
import type { AnyRecord } from '../group-types.ts'
import type { TopicRecord } from '../record-input.ts'
import { isTopicDefinition } from '../topic-definition.ts'
import type { AnyTopicRef, Bytes } from '../topic-ref.ts'
import { failureText } from './failure-text.ts'

/** Room for our headers, where the source lets its largest records fill a batch. */
const HEADER_ROOM_BYTES = 16_384
const MAX_MESSAGE_BYTES = 1_073_741_824

/** What it needs of the log. */
export interface DeadLetterHost {
  readonly producer: { sendAll(records: readonly TopicRecord[]): Promise<unknown> }
  /** A topic's settings with its present partitions; undefined where there is no such topic. */
  topicConfig(topic: string): ResolvedTopicConfig | undefined
  /** @throws {LogError} TOPIC_EXISTS where somebody was faster. */
  createTopic(topic: string | AnyTopicRef, config: TopicConfig): Promise<unknown>
}

/** The dead letters of one run. */
export class DeadLetters {
  readonly #host: DeadLetterHost
  readonly #topic: string | AnyTopicRef
  readonly #name: string

  constructor(host: DeadLetterHost, topic: string | AnyTopicRef) {
    this.#host = host
    this.#topic = topic
    this.#name = typeof topic === 'string' ? topic : topic.name
  }

  /**
   * Makes the topic where it is missing, with as many partitions as the one of `sources` that has
   * most, unless its definition says how many.
   */
  async prepare(sources: readonly string[]): Promise<void> {
    if (this.#host.topicConfig(this.#name) !== undefined) return
    const configs = sources.map((source) => this.#host.topicConfig(source))
    const known = configs.filter((config) => config !== undefined)
    if (known.length === 0) return
    const roomBytes = Math.max(...known.map((config) => config.maxMessageBytes)) + HEADER_ROOM_BYTES
    const config = {
      partitions: Math.max(...known.map(({ partitions }) => partitions)),
      maxMessageBytes: Math.min(MAX_MESSAGE_BYTES, roomBytes),
    }
    const own = isTopicDefinition(this.#topic) ? this.#topic.config : {}
    try {
      await this.#host.createTopic(this.#topic, { ...config, ...own })
    } catch (error) {
      if (!LogError.is(error, 'TOPIC_EXISTS')) throw error
    }
  }

  /** Writes a letter for each of `records`, none of which could be handled in `attempts`. */
  async send(records: readonly AnyRecord[], error: unknown, attempts: number): Promise<void> {
    await this.prepare(records.slice(0, 1).map(({ topic }) => topic))
    const partitions = this.#host.topicConfig(this.#name)?.partitions ?? 0
    const text = failureText(error)
    await this.#host.producer.sendAll(
      records.map((record) => {
        const letter = {
          topic: this.#name,
          key: record.keyBytes,
          value: record.valueBytes,
          headers: headersOf(record, text, attempts),
        }
        const { partition } = record
        return partition < partitions ? { ...letter, partition } : letter
      }),
    )
  }
}

function headersOf(
  record: AnyRecord,
  error: string,
  attempts: number,
): readonly (readonly [string, string | Bytes])[] {
  return [
    ...record.headers,
    ['streambed.dlt.topic', record.topic],
    ['streambed.dlt.partition', String(record.partition)],
    ['streambed.dlt.offset', String(record.offset)],
    ['streambed.dlt.error', error],
    ['streambed.dlt.attempts', String(attempts)],
    ['streambed.dlt.timestamp', String(record.timestamp)],
  ]
}
