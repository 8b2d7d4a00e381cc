/**
 * Options of a log: types, defaults and checks. After `checkLogOptions` nothing is optional.
 */
import { randomBytes } from 'node:crypto'
import { invalidArgument } from '../errors/log-error.ts'
import { systemClock, type Clock } from '../log/clock.ts'
import { checkTopicConfig, type TopicConfig } from '../log/log-config.ts'
import { OWNER_ONLY } from '../storage/file-modes.ts'
import { checkOptions, describeValue, isArray } from './check-options.ts'
import { isBytes } from './serde.ts'
import { isTopicDefinition, type TopicDefinition } from './topic-definition.ts'

/** Options of a log in memory, and of every log. */
export interface MemoryLogOptions {
  /**
   * Ensured before the log is handed over, so that `log.topic(definition)` cannot fail afterwards.
   */
  topics?: readonly TopicDefinition[] | undefined
  /** Settings of topics that are created without them. */
  topicDefaults?: TopicConfig | undefined
  /**
   * Milliseconds after which an idle producer id is forgotten, by the timestamps of its records, at
   * the next checkpoint; −1 (default): never. An open transaction keeps its own.
   */
  producerIdExpirationMs?: number | undefined
  /**
   * Memory that compaction may take for keys, in bytes, up to 2 GiB. Where the keys need more it
   * goes over a partition several times. Default 134,217,728.
   */
  cleanerBufferBytes?: number | undefined
  /** Bytes a second that compaction may read and write, together. Default: no limit. */
  cleanerMaxBytesPerSecond?: number | undefined
  /**
   * Milliseconds that a group without members may do nothing while the log is open before its
   * positions expire; −1 (default): they never do. Counted from each open on.
   */
  offsetsRetentionMs?: number | undefined
  /**
   * Partitions of the topic of committed offsets, which is made when the first group joins; it
   * keeps those that it has. Default 1, Kafka's is 50: each is a folder with its files.
   */
  offsetsTopicNumPartitions?: number | undefined
  /**
   * Partitions of the topic of transactions, which is made when the first one needs it; it keeps
   * those that it has. Default 1, Kafka's is 50: each is a folder with its files.
   */
  transactionsTopicNumPartitions?: number | undefined
  /**
   * Milliseconds between runs of housekeeping (`log.runHousekeeping`); null: only by hand, nothing
   * is deleted or freed by itself then. Default 300,000.
   */
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
  /**
   * Reads what another process writes, or nobody, and follows it live; takes no lock and writes
   * nothing. Options that concern writing are ignored then; `topics` have to be there. Default
   * false.
   */
  readOnly?: boolean | undefined
  /**
   * What a read-only log shows: 'written' (default): what any reader sees in the process that
   * writes it; 'durable': only what no power cut can take back, whatever way it is read.
   */
  visibility?: 'written' | 'durable' | undefined
  /**
   * How sealed segments are read. 'auto' (default): frequent small reads through memory mappings,
   * where they can be had; 'mmap': all that can be, with a `FALLBACK` warning where nothing can;
   * 'pread': never, for directories in which somebody else may truncate files, which would end a
   * process that has them mapped. Worker threads map
   * nothing. `log.guarantees().reads` says what is in use.
   */
  io?: 'auto' | 'mmap' | 'pread' | undefined
  /** Milliseconds to wait for another writer to close. Default 0: `LOCKED` at once. */
  lockTimeoutMs?: number | undefined
  /** Opens on a network file system, where locks and syncs promise less. Default false. */
  allowNetworkFs?: boolean | undefined
  /**
   * Mode of the files that the log makes, less the process's umask; the owner may always read and
   * write. Default 0o600: nobody else may do anything.
   */
  fileMode?: number | undefined
  /** Mode of the directories that the log makes; the owner may always do all. Default 0o700. */
  directoryMode?: number | undefined
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
  readonly visibility: 'written' | 'durable'
  readonly io: 'auto' | 'mmap' | 'pread'
  readonly lockTimeoutMs: number
  readonly allowNetworkFs: boolean
  readonly fileMode: number
  readonly directoryMode: number
  readonly producerIdExpirationMs: number
  readonly offsetsRetentionMs: number
  readonly offsetsTopicNumPartitions: number
  readonly transactionsTopicNumPartitions: number
  readonly housekeepingIntervalMs: number | null
  readonly cleanerBufferBytes: number
  /** Infinity: no limit. */
  readonly cleanerMaxBytesPerSecond: number
}

/** What an option may be, beside its type. */
interface OptionRule {
  readonly allowed: string
  readonly obeys: (value: unknown) => boolean
}

const HOUSEKEEPING_INTERVAL_MS = 300_000
const CLEANER_BUFFER_BYTES = 134_217_728
/** As Kafka: no more helps a single cleaner. */
const MAX_CLEANER_BUFFER_BYTES = 2_147_483_648
/** As for any topic. */
const MAX_TOPIC_PARTITIONS = 100_000
const CLOCK_METHODS = ['now', 'monotonicNow', 'setTimeout', 'clearTimeout'] as const

const MEMORY_RULES: Readonly<Record<keyof MemoryLogOptions, OptionRule>> = {
  topics: { allowed: "an array of definitions made by defineTopic('name', …)", obeys: areTopics },
  topicDefaults: { allowed: 'an object of topic settings', obeys: isObject },
  producerIdExpirationMs: integerFrom(-1),
  cleanerBufferBytes: integerFrom(1, MAX_CLEANER_BUFFER_BYTES),
  cleanerMaxBytesPerSecond: integerFrom(1),
  offsetsRetentionMs: integerFrom(-1),
  offsetsTopicNumPartitions: partitionCount(),
  transactionsTopicNumPartitions: partitionCount(),
  housekeepingIntervalMs: {
    allowed: 'an integer of at least 1, or null',
    obeys: (value) => value === null || integerFrom(1).obeys(value),
  },
  onWarning: { allowed: 'a function', obeys: isFunction },
  clock: { allowed: `an object with ${CLOCK_METHODS.join(', ')}`, obeys: isClock },
  random: { allowed: 'a function that gives so many random bytes', obeys: isFunction },
}

const DISK_RULES: Readonly<Record<keyof EventLogOptions, OptionRule>> = {
  ...MEMORY_RULES,
  readOnly: { allowed: 'true or false', obeys: isBoolean },
  visibility: oneOf('written', 'durable'),
  io: oneOf('auto', 'mmap', 'pread'),
  lockTimeoutMs: integerFrom(0),
  allowNetworkFs: { allowed: 'true or false', obeys: isBoolean },
  fileMode: modeWith(OWNER_ONLY.fileMode),
  directoryMode: modeWith(OWNER_ONLY.directoryMode),
}

/**
 * The options with every default applied. `where` names the call.
 * @throws {LogError} INVALID_ARGUMENT naming the option, the value and what is allowed.
 */
export function checkLogOptions(
  options: EventLogOptions | undefined,
  kind: 'disk' | 'memory',
  where: string,
): CheckedLogOptions {
  const rules: Readonly<Record<string, OptionRule>> = kind === 'disk' ? DISK_RULES : MEMORY_RULES
  checkOptions(options, Object.keys(rules), where)
  const given = { ...options } // Each option is read once.
  for (const [option, value] of Object.entries(given)) {
    const rule = rules[option]
    if (value === undefined || rule?.obeys(value) !== false) continue
    const { allowed } = rule
    throw invalidArgument(`${where}: ${option} is ${allowed}, not ${describeValue(value)}`, {
      option,
      value,
      allowed,
    })
  }
  if (given.visibility !== undefined && given.readOnly !== true) {
    throw invalidArgument(
      `${where}: visibility is of logs that are opened with readOnly: true; in this process, reads ` +
        'say themselves what they want to see',
      { option: 'visibility', value: given.visibility },
    )
  }
  const { clock = systemClock, random = randomBytes } = given
  return {
    topics: [...(given.topics ?? [])],
    topicDefaults: checkTopicConfig(given.topicDefaults, `${where}: topicDefaults`),
    onWarning: given.onWarning,
    clock: clock === systemClock ? clock : wholeMilliseconds(clock),
    randomBytes: random === randomBytes ? random : exactly(random),
    readOnly: given.readOnly ?? false,
    visibility: given.visibility ?? 'written',
    io: given.io ?? 'auto',
    lockTimeoutMs: given.lockTimeoutMs ?? 0,
    allowNetworkFs: given.allowNetworkFs ?? false,
    fileMode: given.fileMode ?? OWNER_ONLY.fileMode,
    directoryMode: given.directoryMode ?? OWNER_ONLY.directoryMode,
    producerIdExpirationMs: given.producerIdExpirationMs ?? -1,
    offsetsRetentionMs: given.offsetsRetentionMs ?? -1,
    offsetsTopicNumPartitions: given.offsetsTopicNumPartitions ?? 1,
    transactionsTopicNumPartitions: given.transactionsTopicNumPartitions ?? 1,
    housekeepingIntervalMs:
      given.housekeepingIntervalMs === undefined
        ? HOUSEKEEPING_INTERVAL_MS
        : given.housekeepingIntervalMs,
    cleanerBufferBytes: given.cleanerBufferBytes ?? CLEANER_BUFFER_BYTES,
    cleanerMaxBytesPerSecond: given.cleanerMaxBytesPerSecond ?? Infinity,
  }
}

/** The time as records have it, whatever clock was given. */
function wholeMilliseconds(clock: Clock): Clock {
  return {
    now() {
      const time = clock.now()
      if (time >= 0 && time <= Number.MAX_SAFE_INTEGER) return Math.trunc(time)
      throw invalidArgument(
        `clock.now() is a number of milliseconds since 1970, not ${describeValue(time)}`,
        { option: 'clock', value: time },
      )
    },
    monotonicNow: () => clock.monotonicNow(),
    setTimeout: (fn, ms) => clock.setTimeout(fn, ms),
    clearTimeout: (handle) => clock.clearTimeout(handle),
  }
}

/** Ids are made of it: fewer bytes than asked for would make them collide. */
function exactly(random: (bytes: number) => Uint8Array): (bytes: number) => Uint8Array {
  return (byteLength) => {
    const bytes: unknown = random(byteLength)
    if (isBytes(bytes) && bytes.byteLength === byteLength) return bytes
    throw invalidArgument(
      `random(${byteLength}) is a Uint8Array of so many bytes, not ${describeValue(bytes)}`,
      { option: 'random', value: bytes },
    )
  }
}

function integerFrom(min: number, max: number = Number.MAX_SAFE_INTEGER): OptionRule {
  const isBounded = max < Number.MAX_SAFE_INTEGER
  return {
    allowed: isBounded ? `an integer from ${min} to ${max}` : `an integer of at least ${min}`,
    obeys: (value) =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max,
  }
}

function partitionCount(): OptionRule {
  return {
    allowed: `an integer from 1 to ${MAX_TOPIC_PARTITIONS}`,
    obeys: (value) => integerFrom(1).obeys(value) && Number(value) <= MAX_TOPIC_PARTITIONS,
  }
}

/** A mode that leaves the log itself what it needs. */
function modeWith(least: number): OptionRule {
  const allowed = `a mode from 0o${least.toString(8)} to 0o777 that leaves the owner 0o${least.toString(8)}`
  return {
    allowed,
    obeys: (value) =>
      typeof value === 'number' &&
      Number.isInteger(value) &&
      value >= least &&
      value <= 0o777 &&
      (value & least) === least,
  }
}

function oneOf(...choices: readonly string[]): OptionRule {
  return {
    allowed: choices.map((choice) => `'${choice}'`).join(' or '),
    obeys: (value) => typeof value === 'string' && choices.includes(value),
  }
}

function areTopics(value: unknown): boolean {
  return isArray(value) && value.every(isTopicDefinition)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !isArray(value)
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean'
}

function isClock(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return CLOCK_METHODS.every((method) => typeof Reflect.get(value, method) === 'function')
}
