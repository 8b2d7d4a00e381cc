/**
 * TopicDefinition: a topic's name, types and settings as a value that modules share, and
 * `defineTopic`, which infers the types.
 *
 * A definition is a view, not a claim: the log knows nothing of it until it is used to create,
 * ensure or read a topic, and no topic remembers one. Names and settings are checked here already,
 * so that a mistake shows where it was written; whether they agree with a topic that exists is
 * checked by `ensureTopic`. Definitions are frozen.
 */
import { invalidArgument } from '../errors/log-error.ts'
import { checkTopicName } from '../format/topic-name.ts'
import {
  TOPIC_CONFIG_NAMES,
  checkTopicConfig,
  type CleanupPolicy,
  type TopicConfig,
} from '../log/log-config.ts'
import { checkOptions, describeValue } from './check-options.ts'
import { isSerde, serdes, type Serde, type SerdeOrSchema } from './serde.ts'
import {
  isStandardSchema,
  type Anything,
  type Jsonified,
  type StandardSchemaV1,
} from './standard-schema.ts'
import type { Bytes, BytesInput, InputOf, TopicRef } from './topic-ref.ts'

/** A topic's name, serdes and settings, made by `defineTopic`. */
export interface TopicDefinition<
  K = Anything,
  V = Anything,
  N extends string = string,
  KI = InputOf<K>,
  VI = InputOf<V>,
> extends TopicRef<K, V, N, KI, VI> {
  /** `serdes.bytes` where the definition names none. */
  readonly key: Serde<K, KI>
  readonly value: Serde<V, VI>
  /** The settings that were given, and no others. */
  readonly config: Readonly<TopicConfig>
}

/** What is read where `S` is the serde or schema of a definition. */
export type ReadType<S> = [S] extends [undefined]
  ? Bytes
  : S extends Serde<infer T, Anything>
    ? T
    : S extends StandardSchemaV1<Anything, infer O>
      ? Jsonified<O>
      : Bytes

/** What may be written where `S` is the serde or schema of a definition. */
export type WriteType<S> = [S] extends [undefined]
  ? BytesInput
  : S extends Serde<Anything, infer I>
    ? I
    : S extends StandardSchemaV1<infer I, Anything>
      ? I
      : BytesInput

/** A compacted topic's values may be null: a tombstone, which deletes its key. */
export type OrTombstone<T, P> = P extends 'delete' ? T : T | null

const DEFINITION_NAMES: readonly string[] = ['key', 'value', ...TOPIC_CONFIG_NAMES]

/**
 * A topic as a value that modules share: its name, the types of keys and values, its settings.
 *
 * A Standard Schema given as `key` or `value` means `serdes.json(schema)`. Without one, keys and
 * values are bytes and may be null. A null key or value of a typed topic is `INVALID_RECORD`,
 * except for values on compacted topics, whose type then has `| null`.
 *
 * @throws {LogError} `INVALID_ARGUMENT` for a name that Kafka would refuse, an unknown setting, a
 * setting out of its bounds, or a `key` or `value` that is neither a serde nor a Standard Schema.
 *
 * @example
 * ```ts
 * const Orders = defineTopic('orders', { key: serdes.string, value: serdes.json<Order>() })
 * ```
 */
export function defineTopic<
  const N extends string,
  K extends SerdeOrSchema | undefined = undefined,
  V extends SerdeOrSchema | undefined = undefined,
  const P extends CleanupPolicy = 'delete',
>(
  name: N,
  definition?: { key?: K; value?: V; cleanupPolicy?: P | undefined } & Omit<
    TopicConfig,
    'cleanupPolicy'
  >,
): TopicDefinition<
  ReadType<K>,
  OrTombstone<ReadType<V>, P>,
  N,
  WriteType<K>,
  OrTombstone<WriteType<V>, P>
> {
  const reason = checkTopicName(name)
  if (reason !== null) {
    throw invalidArgument(`defineTopic: ${describeValue(name)}: ${reason}`, { name })
  }
  const where = `defineTopic('${name}')`
  checkOptions(definition, DEFINITION_NAMES, where)
  const { key, value, ...settings } = definition ?? {}
  const config = Object.freeze(checkTopicConfig(settings, where))
  const made: TopicDefinition = {
    name,
    key: serdeOf(key, 'key', where),
    value: serdeOf(value, 'value', where),
    config,
  }
  // ReadType and WriteType say what serdeOf makes of K and V, OrTombstone what RecordTypes does.
  return Object.freeze(made) as ReturnType<typeof defineTopic<N, K, V, P>>
}

/** Whether `value` is a definition, of whichever copy of the package. */
export function isTopicDefinition(value: unknown): value is TopicDefinition {
  if (typeof value !== 'object' || value === null) return false
  if (!('name' in value) || !('key' in value) || !('value' in value) || !('config' in value)) {
    return false
  }
  const { name, key, value: valueSerde, config } = value
  if (typeof name !== 'string' || typeof config !== 'object' || config === null) return false
  return isSerde(key) && isSerde(valueSerde)
}

function serdeOf(given: unknown, field: 'key' | 'value', where: string): Serde<unknown, unknown> {
  if (given === undefined) return serdes.bytes
  if (isSerde(given)) return given
  if (isStandardSchema(given)) return serdes.json(given)
  throw invalidArgument(
    `${where}: ${field} is a serde, as serdes.string, or a Standard Schema (zod, valibot, ` +
      `arktype …), not ${describeValue(given)}`,
    { option: field, value: given },
  )
}
