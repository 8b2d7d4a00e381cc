/**
 * GroupHost: what consumer groups need of the open log they belong to, written here or followed.
 */
import type { LogError } from '../../errors/log-error.ts'
import type { CommittedOffsets } from '../../log/committed-offsets.ts'
import type { TopicConfig } from '../../log/log-config.ts'
import type { ReadableOffsets } from '../../log/readable-offsets.ts'
import type { ReadableTopic } from '../../log/readable-partition.ts'
import type { Warn } from '../log-warnings.ts'
import type { Producer } from '../producer.ts'
import type { StreamHost } from '../record-stream.ts'
import type { TopicDefinition } from '../topic-definition.ts'
import type { TopicView } from '../topic-state.ts'

/** The open log, as its groups see it. */
export interface GroupHost extends StreamHost {
  /** Where groups go on reading, to look at. */
  readonly offsets: ReadableOffsets
  /** The same, for `call` to change. @throws {LogError} READ_ONLY where others write the log. */
  writableOffsets(call: string): CommittedOffsets
  readonly defaultProducer: Producer
  readonly warn: Warn
  /** @throws {LogError} CLOSED. */
  checkOpen(call: string): void
  /** Makes the topic of committed offsets where it is missing. */
  prepareOffsets(): Promise<void>
  /** Topics that users see, by name. */
  topics(): readonly ReadableTopic[]
  /** A topic by name, whoever writes it; undefined where there is none. */
  findTopic(name: string): ReadableTopic | undefined
  /** What is behind a name, definition or handle. @throws {LogError} TOPIC_NOT_FOUND. */
  topicView(ref: unknown, where: string): TopicView
  /** What a name, definition or handle names, whether or not it exists. */
  namedTopic(ref: unknown, where: string): NamedTopic
  createTopic(ref: unknown, config: TopicConfig | undefined): Promise<unknown>
  damageFound(error: LogError<'CORRUPT'>, resumesAt: number): void
}

/** A topic as somebody names it. */
export interface NamedTopic {
  readonly name: string
  readonly definition: TopicDefinition | null
}
