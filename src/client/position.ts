/**
 * Where reads start and end, as users say it (`Position`, `RangeOptions` …) and as the engine takes
 * it (`Range` …): checked, with every default applied, times as numbers.
 *
 *   I1  what can never be right is refused here: negative, fractional or unsafe numbers, two ways
 *       of saying where at once, unknown names. Whether an offset exists is the partition's to say
 *   I2  each option is read once
 */
import { invalidArgument } from '../errors/log-error.ts'
import { checkOptions, describeValue, isArray } from './check-options.ts'

/** Which records a read sees: all, or only those of committed transactions. */
export type Isolation = 'read_uncommitted' | 'read_committed'
/** Up to highWatermark, or only up to durableOffset. */
export type Visibility = 'written' | 'durable'

/** A place in a partition: a time means the first record from then on; `last` counts back. */
export type Position =
  | number
  | 'earliest'
  | 'latest'
  | { readonly timestamp: number | Date }
  | { readonly last: number }

/** What a read covers. */
export interface RangeOptions {
  /** Default 'earliest'. */
  from?: Position | undefined
  /** Exclusive. Default: the end at the call. */
  to?: number | { readonly timestamp: number | Date } | undefined
  /** Default 'read_uncommitted'. */
  isolation?: Isolation | undefined
  /** Default 'written'. */
  visibility?: Visibility | undefined
  /** Default 'stop': a corrupt batch is `CORRUPT`; 'skip' goes on behind it. */
  onCorrupt?: 'stop' | 'skip' | undefined
}

/** Options of `partition.read`. */
export interface ReadOptions extends RangeOptions {
  /** Waits for more at the end instead of ending there. Default false. */
  live?: boolean | undefined
  /** Ends a waiting read with `ABORTED`. */
  signal?: AbortSignal | undefined
}

/** Options of `topic.read`. */
export interface TopicReadOptions extends Omit<ReadOptions, 'from'> {
  /** A number needs exactly one partition. Partitions that `offsets` does not name: earliest. */
  from?:
    | Position
    | { readonly offsets: readonly { readonly partition: number; readonly offset: number }[] }
    | undefined
  /** Default: all. */
  partitions?: readonly number[] | undefined
}

/** A `Position` whose time is a number of milliseconds. */
export type StartPosition =
  | number
  | 'earliest'
  | 'latest'
  | { readonly timestamp: number }
  | { readonly last: number }

/** Where a read ends, exclusive; null: at the end of the log. */
export type EndPosition = number | { readonly timestamp: number } | null

/** `RangeOptions`, complete. */
export interface Range {
  readonly from: StartPosition
  readonly to: EndPosition
  readonly isolation: Isolation
  readonly visibility: Visibility
  readonly onCorrupt: 'stop' | 'skip'
}

/** `ReadOptions`, complete. */
export interface Reading extends Range {
  readonly live: boolean
  readonly signal: AbortSignal | null
}

/** `TopicReadOptions`, complete. */
export interface TopicReading extends Omit<Reading, 'from'> {
  /** A map from partition to offset where `offsets` were given. */
  readonly from: StartPosition | ReadonlyMap<number, number>
  /** Null: all. */
  readonly partitions: readonly number[] | null
}

const ISOLATIONS = ['read_uncommitted', 'read_committed'] as const
const VISIBILITIES = ['written', 'durable'] as const
const ON_CORRUPT = ['stop', 'skip'] as const
const RANGE_NAMES: readonly string[] = ['from', 'to', 'isolation', 'visibility', 'onCorrupt']
const READ_NAMES: readonly string[] = [...RANGE_NAMES, 'live', 'signal']
const TOPIC_READ_NAMES: readonly string[] = [...READ_NAMES, 'partitions']

/**
 * The range that `options` mean; `where` names the call.
 * @throws {LogError} `INVALID_ARGUMENT` naming the option, the value and what is allowed.
 */
export function rangeOf(options: RangeOptions | undefined, where: string): Range {
  checkOptions(options, RANGE_NAMES, where)
  const { from, ...rest } = options ?? {}
  return { from: startOf(from, where), ...commonOf(rest, where) }
}

/** As `rangeOf`, for a read that may wait. */
export function readingOf(options: ReadOptions | undefined, where: string): Reading {
  checkOptions(options, READ_NAMES, where)
  const { from, live, signal, ...rest } = options ?? {}
  return {
    from: startOf(from, where),
    ...commonOf(rest, where),
    live: liveOf(live, where),
    signal: signalOf(signal, where),
  }
}

/** As `readingOf`, for several partitions. Whether they exist is the topic's to say. */
export function topicReadingOf(options: TopicReadOptions | undefined, where: string): TopicReading {
  checkOptions(options, TOPIC_READ_NAMES, where)
  const { from, live, signal, partitions, ...rest } = options ?? {}
  return {
    from: topicStartOf(from, where),
    ...commonOf(rest, where),
    live: liveOf(live, where),
    signal: signalOf(signal, where),
    partitions: partitionsOf(partitions, where),
  }
}

/**
 * A position, checked; undefined is 'earliest'.
 * @throws {LogError} `INVALID_ARGUMENT` for what no partition can ever have.
 */
function startOf(position: unknown, where: string): StartPosition {
  return position === undefined ? 'earliest' : positionOf(position, where, 'from')
}

/**
 * A position, checked; `name` is that of the argument.
 * @throws {LogError} `INVALID_ARGUMENT` for what no partition can ever have.
 */
export function positionOf(position: unknown, where: string, name: string): StartPosition {
  if (typeof position === 'number') return checkOffset(position, `${where}: ${name}`)
  if (position === 'earliest' || position === 'latest') return position
  const named = onlyProperty(position)
  if (named?.name === 'timestamp') {
    return { timestamp: checkTime(named.value, `${where}: ${name}.timestamp`) }
  }
  if (named?.name === 'last') return { last: checkOffset(named.value, `${where}: ${name}.last`) }
  throw invalidArgument(
    `${where}: ${name} is an offset, 'earliest', 'latest', { timestamp } or { last }, not ` +
      describeValue(position),
    { option: name, value: position },
  )
}

/**
 * An offset that can be: an integer from 0 to 2^53 − 1.
 * @throws {LogError} `INVALID_ARGUMENT` naming the value.
 */
export function checkOffset(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value + 0
  throw invalidArgument(`${what} is an integer from 0 on, not ${describeValue(value)}`, { value })
}

/**
 * A time to look up: milliseconds from 0 or a Date, as milliseconds.
 * @throws {LogError} `INVALID_ARGUMENT` naming the value.
 */
export function checkTime(value: unknown, what: string): number {
  const time = value instanceof Date ? value.getTime() : value
  if (typeof time === 'number' && Number.isSafeInteger(time) && time >= 0) return time + 0
  // Kafka's requests take −1 for the end and −2 for the start: taken as times, both would mean the
  // start.
  const hint = time === -1 || time === -2 ? "; the ends of a log are 'earliest' and 'latest'" : ''
  throw invalidArgument(
    `${what} is a Date or an integer of milliseconds from 0, not ${describeValue(time)}${hint}`,
    { value },
  )
}

function topicStartOf(position: unknown, where: string): TopicReading['from'] {
  const named = onlyProperty(position)
  if (named?.name !== 'offsets') return startOf(position, where)
  const offsets = new Map<number, number>()
  if (!isArray(named.value)) {
    throw invalidArgument(
      `${where}: from.offsets is an array of { partition, offset }, not ` +
        describeValue(named.value),
      { option: 'from', value: named.value },
    )
  }
  for (const entry of named.value) {
    const isEntry = typeof entry === 'object' && entry !== null
    if (!isEntry || !('partition' in entry) || !('offset' in entry)) {
      throw invalidArgument(
        `${where}: an entry of from.offsets is { partition, offset }, not ${describeValue(entry)}`,
        { option: 'from', value: entry },
      )
    }
    const partition = checkOffset(entry.partition, `${where}: from.offsets: partition`)
    if (offsets.has(partition)) {
      throw invalidArgument(`${where}: from.offsets names partition ${partition} twice`, {
        option: 'from',
        value: named.value,
      })
    }
    offsets.set(partition, checkOffset(entry.offset, `${where}: from.offsets: offset`))
  }
  return offsets
}

function partitionsOf(partitions: unknown, where: string): readonly number[] | null {
  if (partitions === undefined) return null
  if (!isArray(partitions)) {
    throw invalidArgument(
      `${where}: partitions is an array of partition numbers, not ${describeValue(partitions)}`,
      { option: 'partitions', value: partitions },
    )
  }
  const chosen = new Set<number>()
  for (const partition of partitions) chosen.add(checkOffset(partition, `${where}: a partition`))
  return [...chosen]
}

function endOf(position: unknown, where: string): EndPosition {
  if (position === undefined) return null
  if (typeof position === 'number') return checkOffset(position, `${where}: to`)
  const named = onlyProperty(position)
  if (named?.name === 'timestamp') {
    return { timestamp: checkTime(named.value, `${where}: to.timestamp`) }
  }
  throw invalidArgument(
    `${where}: to is an offset or { timestamp }, not ${describeValue(position)}`,
    { option: 'to', value: position },
  )
}

/** What every read has: the options but `from`, `live`, `signal` and `partitions`. */
function commonOf(options: Omit<RangeOptions, 'from'>, where: string): Omit<Range, 'from'> {
  const { to, isolation, visibility, onCorrupt } = options
  return {
    to: endOf(to, where),
    isolation: choiceOf(isolation, ISOLATIONS, 'isolation', where),
    visibility: choiceOf(visibility, VISIBILITIES, 'visibility', where),
    onCorrupt: choiceOf(onCorrupt, ON_CORRUPT, 'onCorrupt', where),
  }
}

/** One of `choices`, the first of them where it is absent. */
function choiceOf<T extends string>(
  value: T | undefined,
  choices: readonly [T, ...T[]],
  option: string,
  where: string,
): T {
  if (value === undefined) return choices[0]
  if (choices.includes(value)) return value
  throw invalidArgument(
    `${where}: ${option} is ${choices.map((choice) => `'${choice}'`).join(' or ')}, not ` +
      describeValue(value),
    { option, value, allowed: choices },
  )
}

function liveOf(live: unknown, where: string): boolean {
  if (live === undefined || typeof live === 'boolean') return live ?? false
  throw invalidArgument(`${where}: live is true or false, not ${describeValue(live)}`, {
    option: 'live',
    value: live,
  })
}

/**
 * A signal to obey; null where none is given.
 * @throws {LogError} `INVALID_ARGUMENT` for what is no signal.
 */
export function signalOf(signal: unknown, where: string): AbortSignal | null {
  if (signal === undefined) return null
  if (isSignal(signal)) return signal
  throw invalidArgument(`${where}: signal is an AbortSignal, not ${describeValue(signal)}`, {
    option: 'signal',
    value: signal,
  })
}

/** By what it can do: a signal of another realm or a polyfill will do. */
function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false
  if (!('aborted' in value) || !('addEventListener' in value)) return false
  return typeof value.aborted === 'boolean' && typeof value.addEventListener === 'function'
}

/** The one property of an object that has exactly one; undefined for anything else. */
function onlyProperty(
  value: unknown,
): { readonly name: string; readonly value: unknown } | undefined {
  if (typeof value !== 'object' || value === null || isArray(value)) return undefined
  const entries: readonly (readonly [string, unknown])[] = Object.entries(value)
  const [only] = entries
  if (only === undefined || entries.length > 1) return undefined
  return { name: only[0], value: only[1] }
}
