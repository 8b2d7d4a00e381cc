/**
 * OpenTopics: the topics of an open log with their partitions, and what makes and changes them, in
 * files and in memory. How they go is log-directory.ts' business.
 *
 *   I1  a topic exists once metadata.json names it: its folders are on stable storage before that,
 *       so that none is ever missing
 *   I2  topics that are made or changed together are so with one replacement of metadata.json: a
 *       crash leaves all changes or none, and nobody is told before. One whose folders cannot be
 *       made is left out; where metadata.json cannot be replaced, all fail
 *   I3  what is here is what metadata.json says, but for changes that failed at the last sync
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import type { Procedure } from '../storage/procedure.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { resolveTopicConfig, type ResolvedTopicConfig, type TopicConfig } from './log-config.ts'
import { layTogether, releaseLaid } from './new-partitions.ts'
import { PartitionLog, type PartitionContext, type PartitionState } from './partition-log.ts'
import type { StoredTopics, TopicsChange } from './stored-topics.ts'

/** A topic that exists. */
export interface LogTopic {
  readonly name: string
  readonly id: string
  /** Complete settings; replaced as a whole when they are altered. */
  readonly config: ResolvedTopicConfig
  readonly partitions: readonly PartitionLog[]
}

/** A topic to be made, or settings to be changed. */
export interface GivenTopic {
  readonly name: string
  readonly config: TopicConfig
}

/** What new topics are made with. */
export interface TopicsContext {
  readonly partitions: PartitionContext
  readonly stored: StoredTopics
  readonly randomBytes: (byteLength: number) => Uint8Array
  /** Partitions of `topic` are there that were not. */
  readonly onMade: (topic: LogTopic, partitions: readonly PartitionLog[]) => void
}

interface OpenTopic extends Omit<LogTopic, 'config' | 'partitions'> {
  config: ResolvedTopicConfig
  partitions: PartitionLog[]
}

/** What became of each, in their order. */
type Outcomes<T> = readonly PromiseSettledResult<T>[]

/** The topics of an open log. */
export class OpenTopics {
  readonly #context: TopicsContext
  readonly #topics = new Map<string, OpenTopic>()
  /** Their names, by how they read in lower case. */
  readonly #names = new Map<string, string>()
  /** What `all` gives, until that changes. */
  #sorted: readonly OpenTopic[] | undefined

  constructor(context: TopicsContext) {
    this.#context = context
  }

  /** The topic of that name, if there is one. */
  find(name: string): LogTopic | undefined {
    return this.#topics.get(name)
  }

  /** The topic whose name differs from `name` in nothing or only in case, if there is one. */
  findLike(name: string): LogTopic | undefined {
    const like = this.#names.get(name.toLowerCase())
    return like === undefined ? undefined : this.#topics.get(like)
  }

  /** The topic of that name. @throws {LogError} TOPIC_NOT_FOUND. */
  of(name: string): LogTopic {
    return this.#of(name)
  }

  /** Every topic, by name. */
  all(): readonly LogTopic[] {
    this.#sorted ??= [...this.#topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    return this.#sorted
  }

  /** Takes a topic in that metadata.json names; its partitions are in order. */
  admit(known: Omit<LogTopic, 'partitions'>, states: readonly PartitionState[]): LogTopic {
    const topic = { ...known, partitions: this.#logsOf(states) }
    this.#topics.set(topic.name, topic)
    this.#names.set(topic.name.toLowerCase(), topic.name)
    this.#sorted = undefined
    return topic
  }

  /** Forgets a topic. */
  remove({ name }: LogTopic): void {
    this.#topics.delete(name)
    const lowerCase = name.toLowerCase()
    if (this.#names.get(lowerCase) === name) this.#names.delete(lowerCase)
    this.#sorted = undefined
  }

  /** Makes topics that do not exist. */
  *create(wanted: readonly GivenTopic[]): Procedure<Outcomes<LogTopic>> {
    const { partitions, randomBytes, onMade } = this.#context
    const plans = wanted.map(({ name, config: given }) => {
      assert(!this.#topics.has(name), 'the caller checks that the topic is new')
      const config = resolveTopicConfig(given)
      const topicId = randomTopicId(randomBytes)
      return { topic: name, topicId, config, given, first: 0, end: config.partitions }
    })
    const laid = yield* layTogether(partitions.driver, plans)
    const making = plans.map(({ topic: name, topicId: id, config, given }) => ({
      apply: (topics: TopicsOnDisk) =>
        void topics.set(name, { id, partitions: config.partitions, config: storedConfig(given) }),
      admit: (states: readonly PartitionState[]): LogTopic => {
        const topic = this.admit({ name, id, config }, states)
        onMade(topic, topic.partitions)
        return topic
      },
    }))
    return yield* this.#commit(laid, making)
  }

  /** Adds partitions up to `total`. */
  *grow(name: string, total: number): Procedure<void> {
    const topic = this.#of(name)
    const { id: topicId, config } = topic
    const plan = { topic: name, topicId, config, first: topic.partitions.length, end: total }
    const laid = yield* layTogether(this.#context.partitions.driver, [plan])
    const growing = {
      apply: (topics: TopicsOnDisk) =>
        void topics.set(name, { ...this.#context.stored.of(name), partitions: total }),
      admit: (states: readonly PartitionState[]): void => {
        const added = this.#logsOf(states)
        topic.partitions = [...topic.partitions, ...added]
        applyConfig(topic, { partitions: total })
        this.#context.onMade(topic, added)
      },
    }
    onlyOne(yield* this.#commit(laid, [growing]))
  }

  /** Changes settings; what is not given stays. @throws {LogError} None was changed. */
  *alter(changes: readonly GivenTopic[]): Procedure<void> {
    const { stored } = this.#context
    if (changes.length === 0) return
    yield* stored.change((topics) => {
      for (const { name, config } of changes) {
        const metadata = stored.of(name)
        topics.set(name, { ...metadata, config: { ...metadata.config, ...storedConfig(config) } })
      }
    })
    for (const { name, config } of changes) applyConfig(this.#of(name), storedConfig(config))
  }

  /** Says that offsets of a topic may be missing. @throws {LogError} It was not said. */
  *markCompacted({ name, id }: LogTopic): Procedure<void> {
    const { stored } = this.#context
    const topic = this.#topics.get(name)
    if (topic?.id !== id) throw notFound(name)
    if (stored.of(name).compacted !== true) {
      yield* stored.change((topics) => {
        topics.set(name, { ...stored.of(name), compacted: true })
      })
    }
    for (const partition of topic.partitions) partition.markCompacted()
  }

  /** Commits to all that was laid, with one change of metadata.json, and takes it in (I1, I2). */
  *#commit<T>(
    laid: Outcomes<readonly PartitionState[]>,
    changes: readonly {
      apply(topics: TopicsOnDisk): void
      admit(states: readonly PartitionState[]): T
    }[],
  ): Procedure<Outcomes<T>> {
    let failure: { readonly reason: unknown } | undefined
    const sound = changes.filter((_, index) => laid[index]?.status === 'fulfilled')
    try {
      if (sound.length > 0) {
        yield* this.#context.stored.change((topics) => {
          for (const change of sound) change.apply(topics)
        })
      }
    } catch (reason) {
      failure = { reason } // The folders stay: metadata.json may name them all the same.
    }
    return changes.map((change, index): PromiseSettledResult<T> => {
      const one = laid[index]
      assert(one !== undefined, 'there is an outcome for each plan')
      if (one.status === 'rejected') return one
      if (failure === undefined) return { status: 'fulfilled', value: change.admit(one.value) }
      releaseLaid(one.value)
      return { status: 'rejected', reason: failure.reason }
    })
  }

  #logsOf(states: readonly PartitionState[]): PartitionLog[] {
    return states.map((state) => new PartitionLog(this.#context.partitions, state))
  }

  #of(name: string): OpenTopic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw notFound(name)
    return topic
  }
}

function notFound(name: string): LogError<'TOPIC_NOT_FOUND'> {
  return new LogError('TOPIC_NOT_FOUND', `there is no topic ${name}`, { topic: name })
}

type TopicsOnDisk = Parameters<TopicsChange>[0]

/** The result of the only one. @throws What it failed with. */
export function onlyOne<T>([result]: Outcomes<T>): T {
  assert(result !== undefined, 'there is a result for the only one')
  if (result.status === 'rejected') throw result.reason
  return result.value
}

function applyConfig(topic: OpenTopic, changes: TopicConfig): void {
  topic.config = resolveTopicConfig(topic.config, changes)
  for (const partition of topic.partitions) partition.applyConfig(topic.config)
}

/** Settings as metadata.json keeps them: the number of partitions has a place of its own. */
function storedConfig(given: TopicConfig): TopicConfig {
  const { partitions: _partitions, ...config } = given
  return config
}
