/**
 * TopicHandles: the topics of one open log as its users name them: by a string, a definition or a
 * handle. Finds them, and keeps one handle for each way to see one. Making and changing topics is
 * topic-catalog.ts' business.
 *
 *   I1  the handle of a deleted topic names nothing, not even a topic made anew under its name
 */
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { isInternalTopic } from '../log/internal-topics.ts'
import type { ReadableTopic } from '../log/readable-partition.ts'
import { describeValue } from './check-options.ts'
import type { NamedTopic } from './groups/group-host.ts'
import { Topic } from './topic.ts'
import { isTopicDefinition } from './topic-definition.ts'
import type { Bytes, BytesInput } from './topic-ref.ts'
import type { TopicHost, TopicState, TopicView } from './topic-state.ts'

/** The topics there are. */
export interface TopicSource<T extends ReadableTopic> {
  /** Every topic, by name. */
  topics(): readonly T[]
  /** The topic of that name, if there is one: the same as long as it is the same topic. */
  topic(name: string): T | undefined
}

/** The handles of one open log. */
export class TopicHandles<T extends ReadableTopic> {
  readonly #host: TopicHost
  readonly #source: TopicSource<T>
  readonly #stateOf: (topic: T) => TopicState
  readonly #states = new Map<string, TopicState>()
  readonly #handles = new WeakMap<TopicView, Topic>()

  /** `stateOf` gives a topic what its handles share. */
  constructor(host: TopicHost, source: TopicSource<T>, stateOf: (topic: T) => TopicState) {
    this.#host = host
    this.#source = source
    this.#stateOf = stateOf
  }

  /** Topics that users see, by name. */
  list(): readonly T[] {
    return this.#source.topics().filter((topic) => !isInternalTopic(topic.name))
  }

  /** The handles of these: of one look, whatever somebody else deletes meanwhile. */
  all(): readonly Topic[] {
    return this.list().map((topic) => this.#handleOf(this.#state(topic).view(null)))
  }

  /** The handle of an existing topic. @throws {LogError} TOPIC_NOT_FOUND, INVALID_ARGUMENT. */
  topic(ref: unknown, where: string): Topic {
    return this.#handleOf(this.view(ref, where))
  }

  #handleOf(view: TopicView): Topic {
    const known = this.#handles.get(view)
    if (known !== undefined) return known
    const made = Topic.of<Bytes, Bytes, string, BytesInput, BytesInput>(view)
    this.#handles.set(view, made)
    return made
  }

  /** The handle that has bytes, whatever types the one given has. @throws As `topic`. */
  rawTopic(ref: unknown, where: string): Topic {
    return this.topic(this.view(ref, where).name, where)
  }

  /** What is behind a handle. Hot: producers ask for each record. @throws As `topic`. */
  view(ref: unknown, where: string): TopicView {
    const own = this.ownView(ref)
    if (own !== undefined) return own
    const { name, definition } = named(ref, where)
    const topic = this.#source.topic(name)
    if (topic === undefined) throw notFound(name)
    return this.#state(topic).view(definition)
  }

  /**
   * What is behind a handle of this log, undefined for anything else.
   * @throws {LogError} TOPIC_NOT_FOUND where it is dead (I1); CLOSED.
   */
  ownView(ref: unknown): TopicView | undefined {
    const view = Topic.viewOf(ref)
    if (view === undefined || view.state.host !== this.#host) return undefined
    view.state.checkNow()
    return view
  }

  /** Settings of a topic were changed. */
  configChanged(name: string): void {
    this.#states.get(name)?.configChanged()
  }

  /** A topic was deleted. */
  deleted(name: string): void {
    this.#states.delete(name)
  }

  /** Somebody else may have changed, grown or deleted any of them. */
  anyChanged(): void {
    for (const [name, state] of this.#states) {
      if (state.topic.partitions[0]?.end === undefined) state.changed()
      else this.#states.delete(name)
    }
  }

  #state(topic: T): TopicState {
    const known = this.#states.get(topic.name)
    if (known !== undefined && known.topic === topic) return known
    const state = this.#stateOf(topic)
    this.#states.set(topic.name, state)
    return state
  }
}

/**
 * What a reference names. A handle of another log counts as its definition, or as its name.
 * @throws {LogError} INVALID_ARGUMENT.
 */
export function named(ref: unknown, where: string): NamedTopic {
  if (typeof ref === 'string') return { name: ref, definition: null }
  if (isTopicDefinition(ref)) return { name: ref.name, definition: ref }
  const view = Topic.viewOf(ref)
  if (view !== undefined) return { name: view.name, definition: view.definition }
  throw invalidArgument(
    `${where}: a topic is named by a string, a definition or a handle, not ${describeValue(ref)}`,
    { topic: ref },
  )
}

/** There is no topic of that name. */
function notFound(name: string): LogError<'TOPIC_NOT_FOUND'> {
  return new LogError(
    'TOPIC_NOT_FOUND',
    `there is no topic '${name}': createTopic or ensureTopic makes it`,
    { topic: name },
  )
}
