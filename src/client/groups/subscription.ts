/**
 * Subscription: the topics of one handle of a group, as names, definitions and handles, or as a
 * pattern. Says which topics that are now, and how their records are typed.
 *
 *   I1  a topic that was deleted and made anew under its name is one of the group's again
 *   I2  a pattern never selects topics that the log itself writes
 */
import { invalidArgument } from '../../errors/log-error.ts'
import { isInternalTopic } from '../../log/internal-topics.ts'
import { describeValue, isArray } from '../check-options.ts'
import type { TopicView } from '../topic-state.ts'
import type { GroupHost, NamedTopic } from './group-host.ts'

/** Topics of a group. */
export class Subscription {
  readonly #host: GroupHost
  readonly #named: ReadonlyMap<string, NamedTopic>
  readonly #refs: readonly unknown[]
  readonly #pattern: RegExp | null

  /** @throws {LogError} INVALID_ARGUMENT for what selects no topics. */
  constructor(host: GroupHost, topics: unknown, where: string) {
    this.#host = host
    this.#pattern = topics instanceof RegExp ? stateless(topics) : null
    this.#refs = this.#pattern === null ? refsOf(topics, where) : []
    const named = new Map<string, NamedTopic>()
    for (const ref of this.#refs) {
      const topic = host.namedTopic(ref, where)
      if (named.has(topic.name)) {
        throw invalidArgument(`${where}: topics names ${topic.name} twice`, {
          option: 'topics',
          value: topic.name,
        })
      }
      named.set(topic.name, topic)
    }
    this.#named = named
  }

  /** What two handles of one group have to agree on. */
  get description(): string {
    if (this.#pattern !== null) return String(this.#pattern)
    return [...this.#named.keys()].sort().join(', ')
  }

  /** Whether it selects a topic of that name, or would. */
  selects(topic: string): boolean {
    const pattern = this.#pattern
    if (pattern === null) return this.#named.has(topic)
    return !isInternalTopic(topic) && pattern.test(topic)
  }

  /** Names of the topics it selects now; those named are among them where they do not exist. */
  topics(): readonly string[] {
    const pattern = this.#pattern
    if (pattern === null) return [...this.#named.keys()]
    const names = this.#host.topics().map(({ name }) => name)
    return names.filter((name) => this.selects(name))
  }

  /** How its records are typed; undefined where there is no such topic. */
  view(topic: string): TopicView | undefined {
    if (this.#host.findTopic(topic) === undefined) return undefined
    return this.#host.topicView(this.#named.get(topic)?.definition ?? topic, 'consumerGroup')
  }

  /** @throws {LogError} TOPIC_NOT_FOUND where a topic that is named does not exist, or is gone. */
  check(where: string): void {
    for (const ref of this.#refs) this.#host.topicView(ref, where)
  }
}

function refsOf(topics: unknown, where: string): readonly unknown[] {
  if (isArray(topics) && topics.length > 0) return [...topics]
  throw invalidArgument(
    `${where}: topics is an array of names, definitions or handles, with at least one, or a ` +
      `RegExp, not ${isArray(topics) ? 'an empty array' : describeValue(topics)}`,
    { option: 'topics', value: topics },
  )
}

/** Patterns with these flags remember where they matched last. */
function stateless(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ''))
}
