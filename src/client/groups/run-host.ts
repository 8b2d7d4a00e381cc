/**
 * RunHost: what `run` and `runBatches` need of their group and its log. Implemented by
 * consumer-group.ts; running.ts builds on it and knows neither the log nor the coordinator.
 */
import type { Clock } from '../../log/clock.ts'
import type { ResolvedTopicConfig, TopicConfig } from '../../log/log-config.ts'
import type { AnyRecord, GroupAdmin } from '../group-types.ts'
import type { Producer } from '../producer.ts'
import type { AnyTopicRef } from '../topic-ref.ts'
import type { MemberFeed } from './member-feed.ts'

/** Partitions of which a run holds records, with its group, by what they wait for. */
export interface RunWaiting {
  /** A handler was called and has not settled. */
  readonly forHandlers: readonly string[]
  /** The next attempt comes when time passes. */
  readonly forBackoff: readonly string[]
}

/** Something that calls handlers, as closing the log sees it. */
export interface HandlerRun {
  /**
   * Takes nothing new and resolves when every handler is done, at the latest `timeoutMs` after the
   * call (its `ctx.signal` aborts then) and when its members left. Never rejects.
   */
  finish(timeoutMs: number): Promise<void>
  /** What it holds. */
  waiting(): RunWaiting
}

/** A group, as `run` sees it. */
export interface RunHost<R extends AnyRecord> {
  /** What handlers get as `ctx.group`. */
  readonly group: GroupAdmin
  readonly clock: Clock
  /** A run keeps the process alive: of logs on disk, never of those in memory. */
  readonly holdsProcess: boolean
  /** Most records of one take, where the user says nothing else. */
  readonly maxPollRecords: number
  /** @throws {LogError} CLOSED, READ_ONLY. */
  checkOpen(call: string): void
  /** Joins as another member. @throws {LogError} TOPIC_NOT_FOUND, CONFIG_MISMATCH, CLOSED. */
  join(): Promise<MemberFeed<R>>
  /** The process that a test gave the log is dead: nobody hears of how the run ends. */
  readonly isGone: boolean
  /** Until the function returned is called, closing the log finishes `run` first. */
  register(run: HandlerRun): () => void
  /** The log's own producer, for dead letters: it sends until every handler is done. */
  readonly producer: Producer
  /** Whether a topic of that name is one of the group's, or would be. */
  selects(topic: string): boolean
  /** Names of the group's topics as they are now, those of a pattern resolved. */
  topics(): readonly string[]
  /** A topic's settings and how many partitions it has; undefined where there is no such topic. */
  topicConfig(topic: string): ResolvedTopicConfig | undefined
  /** Makes a topic. @throws {LogError} TOPIC_EXISTS, INVALID_ARGUMENT, NO_SPACE, IO, CLOSED. */
  createTopic(topic: string | AnyTopicRef, config: TopicConfig): Promise<unknown>
}
