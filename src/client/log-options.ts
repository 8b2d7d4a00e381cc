/**
 * Options of a log: types, defaults and checks. After `checkLogOptions` nothing is optional.
 */
import { randomBytes } from 'node:crypto'
import { invalidArgument } from '../errors/log-error.ts'
import { systemClock, type Clock } from '../log/clock.ts'
import { checkTopicConfig, type TopicConfig } from '../log/log-config.ts'
import { checkOptions, describeValue, isArray } from './check-options.ts'
import { isTopicDefinition, type TopicDefinition } from './topic-definition.ts'

/** Options of a log in memory, and of every log. */
export interface MemoryLogOptions {
  /**
   * Ensured before the log is handed over, so that `log.topic(definition)` cannot fail afterwards.
   */
  topics?: readonly TopicDefinition[] | undefined
  /** Settings of topics that are created without them. */
  topicDefaults?: TopicConfig | undefined
  /** Milliseconds after which an idle producer id is forgotten; −1 (default): never. */
  producerIdExpirationMs?: number | undefined
  /** Memory of a compaction pass in bytes. Default 134,217,728. */
  cleanerBufferBytes?: number | undefined
  /** Bytes a second that compaction may read and write. Default: no limit. */
  cleanerMaxBytesPerSecond?: number | undefined
  /** Milliseconds after which positions of an idle group expire; −1 (default): never. */
  offsetsRetentionMs?: number | undefined
  /** Milliseconds between housekeeping passes; null: only by hand. Default 300,000. */
  housekeepingIntervalMs?: number | null | undefined
  /** What the log noticed by itself. Default: `process.emitWarning`. */
  onWarning?: ((warning: LogWarning) => void) | undefined
  /** Default: the machine's. */
  clock?: Clock | undefined
  /** Source of ids and jitter. Default: `crypto.randomBytes`. */
  random?: ((bytes: number) => Uint8Array) | undefined
}

/** Options of a log in a directory. */
export interface EventLogOptions extends MemoryLogOptions {
  /** Not part of this version. */
  readOnly?: boolean | undefined
  /** Of read-only logs. Default 'written'. */
  visibility?: 'written' | 'durable' | undefined
  /** How sealed segments are read. This version always uses positioned reads. */
  io?: 'auto' | 'mmap' | 'pread' | undefined
  /** Milliseconds to wait for another writer to close. Default 0: `LOCKED` at once. */
  lockTimeoutMs?: number | undefined
  /** Opens on a network file system, where locks and syncs promise less. Default false. */
  allowNetworkFs?: boolean | undefined
}

/** What a log noticed by itself. */
export interface LogWarning {
  readonly code:
    | 'HOUSEKEEPING_FAILED'
    | 'RETENTION_BLOCKED'
    | 'UNCONSUMED_DELETED'
    | 'CONFIG_CHANGED'
    | 'CLOCK_JUMPED'
    | 'OFFSET_RESET'
    | 'PARTITION_READ_ONLY'
    | 'RECOVERED'
    | 'DAMAGE'
    | 'FALLBACK'
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** Complete options. */
export interface CheckedLogOptions {
  readonly topics: readonly TopicDefinition[]
  readonly topicDefaults: TopicConfig
  readonly onWarning: ((warning: LogWarning) => void) | undefined
  readonly clock: Clock
  readonly randomBytes: (bytes: number) => Uint8Array
  readonly readOnly: boolean
  readonly io: 'auto' | 'mmap' | 'pread'
  readonly lockTimeoutMs: number
  readonly allowNetworkFs: boolean
}

const MEMORY_OPTIONS: readonly string[] = [
  'topics',
  'topicDefaults',
  'producerIdExpirationMs',
  'cleanerBufferBytes',
  'cleanerMaxBytesPerSecond',
  'offsetsRetentionMs',
  'housekeepingIntervalMs',
  'onWarning',
  'clock',
  'random',
]
const DISK_OPTIONS: readonly string[] = [
  ...MEMORY_OPTIONS,
  'readOnly',
  'visibility',
  'io',
  'lockTimeoutMs',
  'allowNetworkFs',
]
const CLOCK_METHODS = ['now', 'monotonicNow', 'setTimeout', 'clearTimeout'] as const

/** @throws {LogError} INVALID_ARGUMENT naming the option, the value and what is allowed. */
export function checkLogOptions(
  options: EventLogOptions | undefined,
  kind: 'disk' | 'memory',
  where: string,
): CheckedLogOptions {
  checkOptions(options, kind === 'disk' ? DISK_OPTIONS : MEMORY_OPTIONS, where)
  const {
    topics = [],
    topicDefaults,
    onWarning,
    clock = systemClock,
    random = randomBytes,
    readOnly = false,
    visibility = 'written',
    io = 'auto',
    lockTimeoutMs = 0,
    allowNetworkFs = false,
    housekeepingIntervalMs = 300_000,
    producerIdExpirationMs = -1,
    offsetsRetentionMs = -1,
    cleanerBufferBytes = 134_217_728,
    cleanerMaxBytesPerSecond,
  } = options ?? {}
  integer(lockTimeoutMs, 0, 'lockTimeoutMs', where)
  integer(producerIdExpirationMs, -1, 'producerIdExpirationMs', where)
  integer(offsetsRetentionMs, -1, 'offsetsRetentionMs', where)
  integer(cleanerBufferBytes, 1, 'cleanerBufferBytes', where)
  if (cleanerMaxBytesPerSecond !== undefined)
    integer(cleanerMaxBytesPerSecond, 1, 'cleanerMaxBytesPerSecond', where)
  if (housekeepingIntervalMs !== null)
    integer(housekeepingIntervalMs, 1, 'housekeepingIntervalMs', where)
  check(
    ['written', 'durable'].includes(visibility),
    'visibility',
    visibility,
    "'written' or 'durable'",
    where,
  )
  check(['auto', 'mmap', 'pread'].includes(io), 'io', io, "'auto', 'mmap' or 'pread'", where)
  check(typeof readOnly === 'boolean', 'readOnly', readOnly, 'true or false', where)
  check(
    typeof allowNetworkFs === 'boolean',
    'allowNetworkFs',
    allowNetworkFs,
    'true or false',
    where,
  )
  check(
    onWarning === undefined || typeof onWarning === 'function',
    'onWarning',
    onWarning,
    'a function',
    where,
  )
  check(
    typeof random === 'function',
    'random',
    random,
    'a function that gives so many random bytes',
    where,
  )
  check(isClock(clock), 'clock', clock, `an object with ${CLOCK_METHODS.join(', ')}`, where)
  checkTopics(topics, where)
  return {
    topics,
    onWarning,
    clock,
    randomBytes: random,
    readOnly,
    io,
    lockTimeoutMs,
    allowNetworkFs,
    topicDefaults: checkTopicConfig(topicDefaults, `${where}: topicDefaults`),
  }
}

function checkTopics(topics: unknown, where: string): void {
  check(isArray(topics), 'topics', topics, 'an array of topic definitions', where)
  if (!isArray(topics)) return
  for (const topic of topics)
    check(
      isTopicDefinition(topic),
      'topics',
      topic,
      "definitions made by defineTopic('name', …)",
      where,
    )
}

function isClock(clock: unknown): boolean {
  if (typeof clock !== 'object' || clock === null) return false
  return CLOCK_METHODS.every((method) => typeof Reflect.get(clock, method) === 'function')
}

function integer(value: unknown, min: number, option: string, where: string): void {
  const isRight = typeof value === 'number' && Number.isSafeInteger(value) && value >= min
  check(isRight, option, value, `an integer of at least ${min}`, where)
}

function check(
  isRight: boolean,
  option: string,
  value: unknown,
  allowed: string,
  where: string,
): void {
  if (isRight) return
  throw invalidArgument(`${where}: ${option} is ${allowed}, not ${describeValue(value)}`, {
    option,
    value,
    allowed,
  })
}
