/**
 * TopicCatalog: makes, changes and deletes the topics of an open log that is written here, as its
 * users name them. Finding them, and their handles, is topic-handles.ts' business.
 *
 * Changes are procedures; the caller runs one at a time.
 *   I1  a topic is looked for and made inside the same procedure: two calls cannot both make it.
 *       Calls that wait together share one (shared-procedure.ts), each with an outcome of its own
 */
import { LogError, invalidArgument } from '../errors/log-error.ts'
import { checkTopicName } from '../format/topic-name.ts'
import { isInternalTopic } from '../log/internal-topics.ts'
import { checkTopicConfig, type TopicConfig } from '../log/log-config.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import type { GivenTopic, LogTopic } from '../log/open-topics.ts'
import type { ReadableTopic } from '../log/readable-partition.ts'
import type { Procedure } from '../storage/procedure.ts'
import { describeValue } from './check-options.ts'
import { isSmall, warnOfKeyless } from './keyless-records.ts'
import type { Warn } from './log-warnings.ts'
import { checkCodec } from './producer-options.ts'
import type { Topic } from './topic.ts'
import type { TopicDefinition } from './topic-definition.ts'
import { named, type TopicHandles } from './topic-handles.ts'
import type { TopicState } from './topic-state.ts'

/** A topic that somebody wants to exist, checked. */
export interface WantedTopic {
  readonly name: string
  readonly definition: TopicDefinition | null
  /** The settings that were given, those of the call before those of the definition. */
  readonly given: TopicConfig
  /** The call, as messages name it. */
  readonly where: string
  /** One that exists is refused, not taken as it is. */
  readonly isNew: boolean
  /** No two topics differ in nothing else: what is asked of them is served one after the other. */
  readonly key: string
  /** Partitions to be made. */
  readonly weight: number
}

/** A topic that somebody wants gone. */
export interface UnwantedTopic {
  readonly ref: unknown
  readonly where: string
  readonly key: string
  readonly weight: number
}

/** What changes of topics need of the open log. */
export interface CatalogHost {
  readonly warn: Warn
  /** Appends what producers have gathered, as far as they may append. */
  sendBatches(): void
}

/** Changes the topics of one open log. */
export class TopicCatalog {
  readonly #host: CatalogHost
  readonly #directory: LogDirectory
  readonly #handles: TopicHandles<LogTopic>
  readonly #defaults: TopicConfig

  /** `defaults` are the settings of topics that are created without them. */
  constructor(
    host: CatalogHost,
    directory: LogDirectory,
    handles: TopicHandles<LogTopic>,
    defaults: TopicConfig,
  ) {
    this.#host = host
    this.#directory = directory
    this.#handles = handles
    this.#defaults = defaults
  }

  /**
   * A topic to create or ensure, read and checked.
   * @throws {LogError} INVALID_ARGUMENT for a name or setting that cannot be.
   */
  wanted(
    ref: unknown,
    config: TopicConfig | undefined,
    { where, isNew }: Pick<WantedTopic, 'where' | 'isNew'>,
  ): WantedTopic {
    this.#handles.ownView(ref)
    const { name, definition } = named(ref, where)
    const reason = checkTopicName(name)
    if (reason !== null) {
      throw invalidArgument(`${where}: ${describeValue(name)}: ${reason}`, { name })
    }
    if (isInternalTopic(name)) {
      throw invalidArgument(`${where}: ${name} belongs to the log itself`, { name })
    }
    const given = {
      ...checkTopicConfig(definition?.config, `${where}('${name}')`),
      ...checkTopicConfig(config, `${where}('${name}')`),
    }
    const { compressionType: codec = 'producer' } = given
    if (codec !== 'producer') checkCodec(codec, `${where}('${name}'): compressionType`)
    const weight = given.partitions ?? this.#defaults.partitions ?? 1
    return { name, definition, given, where, isNew, key: name.toLowerCase(), weight }
  }

  /** A topic to delete; whether it is there is found out when its turn comes. */
  unwanted(ref: unknown, where: string): UnwantedTopic {
    return { ref, where, key: named(ref, where).name, weight: 1 }
  }

  /**
   * Creates topics, or checks those there are; what became of each, in their order. On volatile
   * storage they are there when the procedure returns.
   */
  *makings(wanted: readonly WantedTopic[]): Procedure<readonly PromiseSettledResult<Topic>[]> {
    const failures = new Map<WantedTopic, unknown>()
    const missing: WantedTopic[] = []
    const altered: WantedTopic[] = []
    const changes = new Map<string, TopicConfig>()
    for (const one of wanted) {
      try {
        const found = this.#find(one)
        const changed = found === undefined ? {} : settingsToChange(found, one.given)
        if (found === undefined) missing.push(one)
        else if (Object.keys(changed).length > 0) {
          altered.push(one)
          changes.set(one.name, changed)
        }
      } catch (error) {
        failures.set(one, error)
      }
    }
    yield* noting(failures, altered, this.#alterAll(changes))
    yield* noting(failures, missing, this.#createAll(missing, failures))
    return wanted.map((one): PromiseSettledResult<Topic> => {
      if (failures.has(one)) return { status: 'rejected', reason: failures.get(one) }
      const { definition, name, where } = one
      return { status: 'fulfilled', value: this.#handles.topic(definition ?? name, where) }
    })
  }

  *#createAll(
    wanted: readonly WantedTopic[],
    failures: Map<WantedTopic, unknown>,
  ): Procedure<void> {
    const given = wanted.map(({ name, given: config }): GivenTopic => {
      return { name, config: { ...this.#defaults, ...config } }
    })
    const outcomes = yield* this.#directory.createTopics(given)
    for (const [index, one] of wanted.entries()) {
      const outcome = outcomes[index]
      if (outcome?.status === 'rejected') failures.set(one, outcome.reason)
    }
  }

  *#alterAll(changes: ReadonlyMap<string, TopicConfig>): Procedure<void> {
    yield* this.#directory.alterTopics([...changes].map(([name, config]) => ({ name, config })))
    for (const [name, changed] of changes) {
      this.#handles.configChanged(name)
      this.#warnOfChange(name, changed)
    }
  }

  /** Deletes topics; what became of each, in their order. */
  *deletions(unwanted: readonly UnwantedTopic[]): Procedure<readonly PromiseSettledResult<void>[]> {
    const failures = new Map<UnwantedTopic, unknown>()
    const names = new Map<UnwantedTopic, string>()
    for (const one of unwanted) {
      try {
        names.set(one, this.#deletable(one))
      } catch (error) {
        failures.set(one, error)
      }
    }
    const outcomes = yield* this.#directory.deleteTopics([...names.values()])
    for (const [index, [one, name]] of [...names].entries()) {
      const outcome = outcomes[index]
      if (outcome?.status === 'rejected') failures.set(one, outcome.reason)
      else this.#handles.deleted(name)
    }
    return unwanted.map((one): PromiseSettledResult<void> => {
      if (failures.has(one)) return { status: 'rejected', reason: failures.get(one) }
      return { status: 'fulfilled', value: undefined }
    })
  }

  #deletable({ ref, where }: UnwantedTopic): string {
    const { name } = this.#handles.view(ref, where)
    if (!isInternalTopic(name)) return name
    throw invalidArgument(`${where}: ${name} belongs to the log itself`, { name })
  }

  *alteration(state: TopicState, changes: TopicConfig): Procedure<void> {
    state.checkWritable('alterConfig')
    const wasCompacted = state.isCompacted
    yield* this.#directory.alterTopics([{ name: state.topic.name, config: changes }])
    if (wasCompacted || !state.isCompacted) {
      state.configChanged()
      return
    }
    // What was sent before is in the log before; from here on a key is asked for.
    this.#host.sendBatches()
    state.configChanged()
    const counting = warnOfKeyless(state, this.#host.warn)
    if (isSmall(state)) yield () => counting
  }

  *growth(state: TopicState, total: number): Procedure<void> {
    state.checkWritable('addPartitions')
    if (total <= state.topic.partitions.length) return
    yield* this.#directory.addPartitions(state.topic.name, total)
    state.grown()
  }

  /** The topic where it exists and may. @throws {LogError} TOPIC_EXISTS, INVALID_ARGUMENT. */
  #find({ name, where, isNew }: WantedTopic): LogTopic | undefined {
    const found = this.#directory.topic(name) ?? this.#directory.topicLike(name)
    if (found === undefined) return undefined
    if (found.name !== name) {
      throw invalidArgument(
        `${where}: '${name}' differs from the existing topic '${found.name}' only in case: not ` +
          'every file system tells them apart',
        { name, existing: found.name },
      )
    }
    if (!isNew) return found
    throw new LogError(
      'TOPIC_EXISTS',
      `topic ${name} exists already: use ensureTopic to take it as it is`,
      { topic: name },
    )
  }

  #warnOfChange(topic: string, changes: TopicConfig): void {
    const shown = Object.entries(changes).map(([name, value]) => `${name} = ${String(value)}`)
    this.#host.warn({
      code: 'CONFIG_CHANGED',
      message: `settings of topic ${topic} were changed to those asked for: ${shown.join(', ')}`,
      details: { topic, changes },
    })
  }
}

/** Where `work` fails it fails `all`, each for itself. */
function* noting<T>(
  failures: Map<T, unknown>,
  all: readonly T[],
  work: Procedure<void>,
): Procedure<void> {
  try {
    yield* work
  } catch (error) {
    for (const one of all) failures.set(one, error)
  }
}

/**
 * Settings given that differ from those in force.
 * @throws {LogError} CONFIG_MISMATCH for what is not changed in passing.
 */
export function settingsToChange(topic: ReadableTopic, given: TopicConfig): TopicConfig {
  const { partitions, cleanupPolicy, ...rest } = given
  const { config, name } = topic
  const actual = topic.partitions.length
  if (partitions !== undefined && actual < partitions) {
    throw new LogError(
      'CONFIG_MISMATCH',
      `topic ${name} has ${actual} partitions, fewer than the ${partitions} asked for: ` +
        'addPartitions makes more',
      { topic: name, setting: 'partitions', asked: partitions, actual },
    )
  }
  if (cleanupPolicy !== undefined && config.cleanupPolicy !== cleanupPolicy) {
    throw new LogError(
      'CONFIG_MISMATCH',
      `topic ${name} has cleanupPolicy '${config.cleanupPolicy}', not '${cleanupPolicy}': ` +
        'alterConfig changes it',
      {
        topic: name,
        setting: 'cleanupPolicy',
        asked: cleanupPolicy,
        actual: config.cleanupPolicy,
      },
    )
  }
  const inForce = new Map<string, unknown>(Object.entries(config))
  const changed = Object.entries(rest).filter(
    ([setting, value]) => JSON.stringify(value) !== JSON.stringify(inForce.get(setting)),
  )
  return Object.fromEntries(changed)
}
