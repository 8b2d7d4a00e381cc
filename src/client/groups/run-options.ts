/**
 * RunPlan: the options of `run` and `runBatches`, checked once, with every default applied.
 */
import { invalidArgument, type LogError } from '../../errors/log-error.ts'
import { checkTopicName } from '../../format/topic-name.ts'
import { checkOptions, describeValue } from '../check-options.ts'
import type { BatchOptions, RunOptions } from '../group-types.ts'
import { signalOf } from '../position.ts'
import { checkTopicRef, type AnyTopicRef } from '../topic-ref.ts'
import { backoffOf, type Backoff } from './backoff.ts'

/** What is done one after the other: the records of a partition, or only those of a key. */
export type RunOrder = 'partition' | 'key'

/** How handlers are called; complete. */
export interface RunPlan {
  /** How many members join. Each has its own partitions, and its own `concurrency`. */
  readonly members: number
  /** How many handlers of one member run at once. */
  readonly concurrency: number
  readonly orderedBy: RunOrder
  /** Attempts after the first one; may be Infinity. */
  readonly retries: number
  readonly backoff: Backoff
  /** Null: what cannot be handled ends the run. */
  readonly deadLetterTopic: string | AnyTopicRef | null
  readonly signal: AbortSignal | null
  /** Most records of one take. */
  readonly max: number
  readonly waitMs: number
}

const RUN_NAMES: readonly string[] = [
  'members',
  'concurrency',
  'orderedBy',
  'retries',
  'backoffMs',
  'deadLetterTopic',
  'signal',
]
const BATCH_NAMES: readonly string[] = [...RUN_NAMES, 'max', 'waitMs']
const MAX_COUNT = 1_000_000
/** Timers take an int32 of milliseconds. */
const MAX_MS = 0x7fff_ffff

/**
 * The plan that `options` of `run` ask for; `maxPollRecords` is the group's.
 * @throws {LogError} INVALID_ARGUMENT for an unknown name or a value out of its bounds.
 */
export function runPlan(options: RunOptions | undefined, maxPollRecords: number): RunPlan {
  const where = 'group.run'
  checkOptions(options, RUN_NAMES, where)
  return { ...commonPlan(options, where), max: maxPollRecords, waitMs: 0 }
}

/** As `runPlan`, for `runBatches`. */
export function runBatchesPlan(
  options: (RunOptions & BatchOptions) | undefined,
  maxPollRecords: number,
): RunPlan {
  const where = 'group.runBatches'
  checkOptions(options, BATCH_NAMES, where)
  const plan = commonPlan(options, where)
  if (plan.orderedBy === 'key') {
    throw invalidArgument(
      `${where}: orderedBy 'key' is for single records, a batch has many keys: use group.run`,
      { option: 'orderedBy', value: 'key' },
    )
  }
  return {
    ...plan,
    max: integer('max', options?.max, { fallback: maxPollRecords, min: 1, max: MAX_COUNT }, where),
    waitMs: integer('waitMs', options?.waitMs, { fallback: 0, min: 0, max: MAX_MS }, where),
  }
}

function commonPlan(
  options: RunOptions | undefined,
  where: string,
): Omit<RunPlan, 'max' | 'waitMs'> {
  const count = { fallback: 1, min: 1, max: MAX_COUNT }
  return {
    members: integer('members', options?.members, count, where),
    concurrency: integer('concurrency', options?.concurrency, count, where),
    orderedBy: orderOf(options?.orderedBy, where),
    retries: retriesOf(options?.retries, where),
    backoff: backoffOf(options?.backoffMs, where),
    deadLetterTopic: deadLetterTopicOf(options?.deadLetterTopic, where),
    signal: signalOf(options?.signal, where),
  }
}

interface Bounds {
  readonly fallback: number
  readonly min: number
  readonly max: number
}

function integer(
  option: string,
  value: unknown,
  { fallback, min, max }: Bounds,
  where: string,
): number {
  if (value === undefined) return fallback
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
    return value + 0 // No -0: it is shown to users.
  }
  throw refused(option, value, `an integer from ${min} to ${max}`, where)
}

function orderOf(value: unknown, where: string): RunOrder {
  if (value === undefined) return 'partition'
  if (value === 'partition' || value === 'key') return value
  throw refused('orderedBy', value, `'partition' or 'key'`, where)
}

function retriesOf(value: unknown, where: string): number {
  if (value === Infinity) return Infinity
  if (value === undefined) return 0
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw refused('retries', value, 'an integer from 0 on, or Infinity', where)
}

function deadLetterTopicOf(value: unknown, where: string): string | AnyTopicRef | null {
  if (value === undefined) return null
  const ref = typeof value === 'string' ? value : checkTopicRef(value, `${where}: deadLetterTopic`)
  const name = typeof ref === 'string' ? ref : ref.name
  const reason = checkTopicName(name)
  if (reason === null) return ref
  throw invalidArgument(`${where}: deadLetterTopic ${describeValue(name)}: ${reason}`, {
    option: 'deadLetterTopic',
    value: name,
  })
}

function refused(
  option: string,
  value: unknown,
  allowed: string,
  where: string,
): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(`${where}: ${option} is ${allowed}, not ${describeValue(value)}`, {
    option,
    value,
    allowed,
  })
}
