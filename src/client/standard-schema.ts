/**
 * Standard Schema: how zod, valibot, arktype and others show themselves, and what a schema's output
 * has become once it was read back from JSON.
 *
 * Types and two questions to a schema: is it one, and what did it answer. Storing the answer is
 * serde.ts's business. Nothing is imported from a schema library.
 */
import { LogError } from '../errors/log-error.ts'
import { describeValue } from './check-options.ts'

/**
 * `any`, for type parameters whose two directions both have to fit (`Serde<any, any>` takes every
 * serde, `Serde<unknown, unknown>` and `Serde<never, never>` do not). Never the type of a value in
 * our own code.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- unknown would refuse typed serdes
export type Anything = any

/** A schema of any library that follows the Standard Schema convention, version 1. */
export interface StandardSchemaV1<I = unknown, O = I> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown, ...rest: Anything[]) => unknown
    readonly types?: { readonly input: I; readonly output: O } | undefined
  }
}

/** What is left of a `T` that went through JSON: dates are strings, maps are empty objects. */
export type Jsonified<T> = 0 extends 1 & T
  ? Anything
  : unknown extends T
    ? unknown
    : T extends string | number | boolean | null
      ? T
      : T extends bigint | symbol | undefined | ((...args: never[]) => unknown)
        ? never
        : T extends { toJSON(): infer R }
          ? R
          : T extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
            ? Record<string, never>
            : { [P in keyof T]: Jsonified<T[P]> }

/** One thing that a schema found wrong. */
interface SchemaIssue {
  readonly message: string
  readonly path?: readonly PropertyKey[]
}

/** More issues than this make a message nobody reads; `details.issues` has them all. */
const MAX_ISSUES_IN_MESSAGE = 3

/** Whether `value` is a Standard Schema; libraries make them objects or functions. */
export function isStandardSchema(value: unknown): value is StandardSchemaV1<unknown, unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard = '~standard' in value ? value['~standard'] : undefined
  if (typeof standard !== 'object' || standard === null) return false
  if (!('version' in standard) || !('validate' in standard)) return false
  return standard.version === 1 && typeof standard.validate === 'function'
}

/** Whether a schema's answer is still to come. */
export function isPending(answer: unknown): answer is PromiseLike<unknown> {
  if (typeof answer !== 'object' || answer === null || !('then' in answer)) return false
  return typeof answer.then === 'function'
}

/**
 * The output in a schema's answer.
 * @throws {LogError} `INVALID_RECORD` with `details.issues` when the schema refused the value.
 */
export function schemaOutput(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null) {
    throw new LogError('INVALID_RECORD', `its schema answered ${describeValue(answer)}`, {})
  }
  const found = 'issues' in answer ? answer.issues : undefined
  if (found === undefined || found === null) return 'value' in answer ? answer.value : undefined
  const issues = Array.isArray(found) ? found.map(issueOf) : []
  const texts = issues.slice(0, MAX_ISSUES_IN_MESSAGE).map(issueText)
  if (issues.length > texts.length) texts.push(`and ${issues.length - texts.length} more`)
  throw new LogError('INVALID_RECORD', `it does not match its schema: ${texts.join('; ')}`, {
    issues: Object.freeze(issues),
  })
}

/** An issue as we show it: paths as plain keys, where the convention also allows `{ key }`. */
function issueOf(issue: unknown): SchemaIssue {
  if (typeof issue !== 'object' || issue === null) return { message: describeValue(issue) }
  const given = 'message' in issue ? issue.message : undefined
  const message = typeof given === 'string' ? given : 'refused'
  const path = 'path' in issue ? issue.path : undefined
  return Array.isArray(path) ? { message, path: path.map(pathKey) } : { message }
}

function pathKey(segment: unknown): PropertyKey {
  const named = typeof segment === 'object' && segment !== null && 'key' in segment
  const key = named ? segment.key : segment
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'symbol') return key
  return describeValue(key)
}

function issueText(issue: SchemaIssue): string {
  if (issue.path === undefined || issue.path.length === 0) return issue.message
  return `${issue.path.map(String).join('.')}: ${issue.message}`
}
