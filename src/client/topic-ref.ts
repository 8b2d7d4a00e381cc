/**
 * What names a topic and knows the types of its records, before there is a log: `Topic` and
 * `TopicDefinition` both are a `TopicRef`.
 */
import { invalidArgument } from '../errors/log-error.ts'
import { describeValue } from './check-options.ts'
import type { Anything } from './standard-schema.ts'

/** A key or value as read without a serde: bytes, or null where the record has none. Owned. */
export type Bytes = Buffer | null

/** A key or value as written without a serde. Strings are stored as UTF-8. */
export type BytesInput = string | Uint8Array | null

/** What may be written where a `T` is read, unless a serde says otherwise. */
export type InputOf<T> = 0 extends 1 & T ? Anything : Buffer extends T ? BytesInput : T

/** What Topic and TopicDefinition have in common: it names a topic and knows its types. */
export interface TopicRef<
  K = Bytes,
  V = Bytes,
  N extends string = string,
  KI = InputOf<K>,
  VI = InputOf<V>,
> {
  readonly name: N
  /** Carries the types for inference; never there at run time. */
  readonly '~types'?:
    | { readonly key: K; readonly value: V; readonly keyInput: KI; readonly valueInput: VI }
    | undefined
}

/** A `TopicRef` of whatever types. */
export type AnyTopicRef = TopicRef<Anything, Anything, string, Anything, Anything>

/**
 * A definition or a handle, as far as its shape tells; what it names is the log's to find.
 * @throws {LogError} `INVALID_ARGUMENT`, saying how a topic is named there.
 */
export function checkTopicRef(ref: unknown, call: string): AnyTopicRef {
  if (isTopicRef(ref)) return ref
  const hint = typeof ref === 'string' ? `; by name, ${call}({ topic: '${ref}', … })` : ''
  throw invalidArgument(
    `${call}: the topic is a definition or a handle, not ${describeValue(ref)}${hint}`,
    { topic: ref },
  )
}

function isTopicRef(value: unknown): value is AnyTopicRef {
  if (typeof value !== 'object' || value === null || !('name' in value)) return false
  return typeof value.name === 'string'
}
