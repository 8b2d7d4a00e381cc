/**
 * Options of consumer groups, checked, with every default applied. What the topics are is
 * subscription.ts' business.
 */
import { invalidArgument, LogError } from '../../errors/log-error.ts'
import { checkOptions, describeValue } from '../check-options.ts'
import type { Assignor } from '../group-types.ts'
import { rangeOf, type Range } from '../position.ts'
import type { AutoCommitOptions } from './auto-commit.ts'
import type { ResetPolicy } from './partition-feed.ts'

/** What a group reads by, complete. */
export interface CheckedGroupOptions {
  readonly assignor: string | Assignor
  readonly autoOffsetReset: ResetPolicy
  /** Isolation, visibility and what to do with damage. */
  readonly range: Range
  readonly maxPollRecords: number
  readonly maxBytes: number
  /** Null: nothing is committed by itself. */
  readonly autoCommit: AutoCommitOptions | null
  /** Null: a member may take as long as it wants to. */
  readonly maxPollIntervalMs: number | null
}

const NAMES: readonly string[] = [
  'topics',
  'assignor',
  'autoOffsetReset',
  'isolation',
  'visibility',
  'onCorrupt',
  'maxPollRecords',
  'maxBytes',
  'autoCommit',
  'maxPollIntervalMs',
]
const RESET_POLICIES = ['earliest', 'latest', 'none'] as const
const DEFAULT_ASSIGNOR = 'cooperative-sticky'
const DEFAULT_POLL_RECORDS = 500
/** As Kafka's fetch.max.bytes. */
const DEFAULT_BYTES = 52_428_800
const DEFAULT_COMMIT_RECORDS = 500
const DEFAULT_COMMIT_INTERVAL_MS = 100
/** A longer timer would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff

/**
 * Checks the options of a group but its topics and the name of its assignor.
 * @throws {LogError} INVALID_ARGUMENT naming the option, the value and what is allowed.
 */
export function checkGroupOptions(options: unknown, where: string): CheckedGroupOptions {
  checkOptions(options, NAMES, where)
  // `as`: an object, by checkOptions; each value is checked below.
  const given = (options ?? {}) as Readonly<Record<string, unknown>>
  const { isolation = 'read_committed', visibility, onCorrupt, assignor, autoOffsetReset } = given
  return {
    assignor: assignorOf(assignor, where),
    autoOffsetReset: resetPolicyOf(autoOffsetReset, where),
    // `as`: rangeOf checks each of them.
    range: rangeOf({ isolation, visibility, onCorrupt } as Parameters<typeof rangeOf>[0], where),
    maxPollRecords: countOf(given['maxPollRecords'], 'maxPollRecords', DEFAULT_POLL_RECORDS, where),
    maxBytes: countOf(given['maxBytes'], 'maxBytes', DEFAULT_BYTES, where),
    autoCommit: autoCommitOf(given['autoCommit'], where),
    maxPollIntervalMs: pollIntervalOf(given['maxPollIntervalMs'], where),
  }
}

/**
 * A number of things, at least one; undefined is `otherwise`.
 * @throws {LogError} INVALID_ARGUMENT.
 */
export function countOf(value: unknown, option: string, otherwise: number, where: string): number {
  if (value === undefined) return otherwise
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value
  throw invalidArgument(
    `${where}: ${option} is an integer from 1 on, not ${describeValue(value)}`,
    {
      option,
      value,
    },
  )
}

/**
 * A time to wait, in milliseconds; undefined is `otherwise`. @throws {LogError} INVALID_ARGUMENT.
 */
export function waitOf<T>(value: unknown, option: string, otherwise: T, where: string): number | T {
  if (value === undefined) return otherwise
  if (typeof value === 'number' && value >= 0) return Math.min(value, MAX_TIMER_MS)
  throw invalidArgument(
    `${where}: ${option} is a number of milliseconds from 0 on, not ${describeValue(value)}`,
    { option, value },
  )
}

function assignorOf(value: unknown, where: string): string | Assignor {
  if (value === undefined) return DEFAULT_ASSIGNOR
  if (typeof value === 'string' || isAssignor(value)) return value
  throw invalidArgument(
    `${where}: assignor is a name or { name, assign }, not ${describeValue(value)}`,
    { option: 'assignor', value },
  )
}

function isAssignor(value: unknown): value is Assignor {
  if (typeof value !== 'object' || value === null) return false
  if (!('name' in value) || !('assign' in value)) return false
  return typeof value.name === 'string' && typeof value.assign === 'function'
}

function resetPolicyOf(value: unknown, where: string): ResetPolicy {
  if (value === undefined) return 'earliest'
  const policy = RESET_POLICIES.find((known) => known === value)
  if (policy !== undefined) return policy
  throw invalidArgument(
    `${where}: autoOffsetReset is 'earliest', 'latest' or 'none', not ${describeValue(value)}`,
    { option: 'autoOffsetReset', value, allowed: RESET_POLICIES },
  )
}

function autoCommitOf(value: unknown, where: string): AutoCommitOptions | null {
  if (value === false) return null
  if (value === undefined || value === true) return commitsOf({}, where)
  if (typeof value === 'object' && value !== null) return commitsOf(value, where)
  throw invalidArgument(
    `${where}: autoCommit is true, false or { records, intervalMs }, not ${describeValue(value)}`,
    { option: 'autoCommit', value },
  )
}

function commitsOf(value: object, where: string): AutoCommitOptions {
  checkOptions(value, ['records', 'intervalMs'], `${where}: autoCommit`)
  // `as`: an object; both are checked below.
  const { records, intervalMs } = value as {
    readonly records?: unknown
    readonly intervalMs?: unknown
  }
  return {
    records: countOf(records, 'autoCommit.records', DEFAULT_COMMIT_RECORDS, where),
    intervalMs: waitOf(intervalMs, 'autoCommit.intervalMs', DEFAULT_COMMIT_INTERVAL_MS, where),
  }
}

function pollIntervalOf(value: unknown, where: string): number | null {
  if (value === undefined || value === null) return null
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) {
    return Math.min(value, MAX_TIMER_MS)
  }
  throw invalidArgument(
    `${where}: maxPollIntervalMs is an integer from 1 on, or null for none, not ` +
      describeValue(value),
    { option: 'maxPollIntervalMs', value },
  )
}

/**
 * Refuses what differs between handles of one group and must not: its members share it.
 * @throws {LogError} CONFIG_MISMATCH.
 */
export function mismatch(
  group: string,
  option: string,
  asked: string,
  actual: string,
): LogError<'CONFIG_MISMATCH'> {
  return new LogError(
    'CONFIG_MISMATCH',
    `group ${group} has members with ${option} ${actual}, and ${asked} was asked for: members of ` +
      'one group share it, so give every handle the same, or use another id',
    { group, option, asked, actual },
  )
}
