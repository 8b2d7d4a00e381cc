/**
 * TopicState: what all handles of one topic share, typed or not: the topic in the engine, the log
 * it belongs to, and the record types that have to hear of a changed cleanup policy.
 */
import { LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import type { LogTopic } from '../log/log-directory.ts'
import { endedError, type PartitionLog } from '../log/partition-log.ts'
import type { TopicConfig } from '../log/log-config.ts'
import type { Producer } from './producer.ts'
import { RecordTypes } from './record-types.ts'
import type { StreamHost } from './record-stream.ts'
import type { TopicDefinition } from './topic-definition.ts'

/** What topics and partitions ask of the log they belong to. */
export interface TopicHost extends StreamHost {
  readonly clock: Clock
  readonly defaultProducer: Producer
  alterTopic(topic: TopicState, changes: TopicConfig): Promise<void>
  addPartitions(topic: TopicState, total: number): Promise<void>
  deleteRecordsBefore(log: PartitionLog, offset: number): Promise<void>
  damageFound(error: LogError<'CORRUPT'>, resumesAt: number): void
}

/** Topics that the engine writes itself. */
export function isInternalTopic(name: string): boolean {
  return name === '__consumer_offsets' || name === '__transaction_state'
}

/** One topic of an open log. */
export class TopicState {
  readonly host: TopicHost
  readonly topic: LogTopic
  readonly #types: RecordTypes[] = []

  constructor(host: TopicHost, topic: LogTopic) {
    this.host = host
    this.topic = topic
  }

  /** How a handle with `definition` reads and writes records. */
  typesFor(definition: TopicDefinition | null): RecordTypes {
    const types = new RecordTypes(this.topic.name, definition, this.#isCompacted)
    this.#types.push(types)
    return types
  }

  /** The cleanup policy may have changed. */
  configChanged(): void {
    for (const types of this.#types) types.compacted = this.#isCompacted
  }

  /** @throws {LogError} CLOSED or TOPIC_NOT_FOUND where nothing can be read or written any more. */
  checkUsable(): void {
    const [first] = this.topic.partitions
    if (first?.end === 'deleted') throw endedError(first)
    if (!this.host.isOpen)
      throw new LogError(
        'CLOSED',
        `the log is closed: ${this.topic.name} can be neither read nor written`,
        { topic: this.topic.name },
      )
  }

  /**
   * @throws {LogError} as `checkUsable`, and INVALID_ARGUMENT for topics that only the engine
   *   writes.
   */
  checkWritable(): void {
    this.checkUsable()
    if (!isInternalTopic(this.topic.name)) return
    throw new LogError(
      'INVALID_ARGUMENT',
      `${this.topic.name} is written by the log itself; it can only be read`,
      { topic: this.topic.name },
    )
  }

  get #isCompacted(): boolean {
    return this.topic.config.cleanupPolicy !== 'delete'
  }
}
