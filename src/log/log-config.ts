/**
 * Every setting of a topic in one table: default, unit, bounds, Kafka's name and what it means.
 * Types, checks and docs/configuration.md come from it. Defaults are applied once; below the
 * client a configuration is always complete.
 */
import { invalidArgument, type LogError } from '../errors/log-error.ts'
import { nearestName } from '../errors/nearest-name.ts'
import type { Codec } from '../format/compression.ts'

/**
 * What may happen to old records: 'delete' by age and size, 'compact' to the last value of a key.
 */
export type CleanupPolicy = 'delete' | 'compact' | 'compact,delete'

/** Settings of a topic; what is absent or undefined takes its default. */
export interface TopicConfig {
  /** 1 … 100,000; only grows, by `addPartitions`. Default 1. */
  partitions?: number | undefined
  /** Kafka's cleanup.policy. Default 'delete'. */
  cleanupPolicy?: CleanupPolicy | undefined
  /** Milliseconds a record is kept at least; −1 (default): for ever. */
  retentionMs?: number | undefined
  /** Bytes a partition may hold before its oldest segments go; −1 (default): no limit. */
  retentionBytes?: number | undefined
  /** Groups whose durable positions hold deletion back. Default none. */
  retainUntilConsumed?: readonly string[] | undefined
  /** Bytes past which `retainUntilConsumed` no longer holds; −1 (default): no limit. */
  retainUntilConsumedMaxBytes?: number | undefined
  /** Bytes of a segment before the next is started; a larger batch gets one of its own. */
  segmentBytes?: number | undefined
  /** Milliseconds of records' time after which the next append starts a new segment. */
  segmentMs?: number | undefined
  /** Bytes of log between two entries of the offset index. */
  indexIntervalBytes?: number | undefined
  /** 'producer' keeps what was sent; a codec re-encodes what came with another. */
  compressionType?: 'producer' | Codec | undefined
  /** Largest stored batch in bytes, header included. */
  maxMessageBytes?: number | undefined
  /** Whether records keep their own timestamps or take the time of the append. */
  messageTimestampType?: 'CreateTime' | 'LogAppendTime' | undefined
  /** Share of uncleaned bytes from which compaction runs. */
  minCleanableDirtyRatio?: number | undefined
  /** Milliseconds a tombstone stays after its first compaction. */
  deleteRetentionMs?: number | undefined
  /** Milliseconds a record stays uncompacted at least. */
  minCompactionLagMs?: number | undefined
  /** Milliseconds after which a record is compacted at the latest; −1 (default): no limit. */
  maxCompactionLagMs?: number | undefined
  /** Milliseconds between renaming a deleted segment and freeing its space. */
  fileDeleteDelayMs?: number | undefined
  /** Syncs after so many records, besides acks; −1 (default): never. */
  flushMessages?: number | undefined
  /** Syncs so many milliseconds after an append, besides acks; −1 (default): never. */
  flushMs?: number | undefined
  /**
   * Grows the active segment in steps ahead of its data, so that a durable append changes no
   * metadata.
   */
  preallocate?: boolean | undefined
  /** Bytes that one compressed batch may unpack to; more is `CORRUPT`. */
  maxDecompressedBytes?: number | undefined
}

/** A complete configuration, as `topic.config` shows it. */
export type ResolvedTopicConfig = {
  readonly [P in keyof TopicConfig]-?: Exclude<TopicConfig[P], undefined>
}

type SettingName = keyof ResolvedTopicConfig

/** What a value may be, beside its type. */
type Rule =
  | { readonly kind: 'integer'; readonly min: number; readonly max: number; readonly never?: true }
  | { readonly kind: 'ratio' }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'names' }

interface Setting<N extends SettingName> {
  readonly default: ResolvedTopicConfig[N]
  readonly rule: Rule
  /** Kafka's name for it; null where the setting is ours. */
  readonly kafkaName: string | null
  readonly meaning: string
}

const MAX = Number.MAX_SAFE_INTEGER
const INT32_MAX = 0x7fff_ffff
const orNever = (min: number): Rule => ({ kind: 'integer', min, max: MAX, never: true })
const atLeast = (min: number, max: number = MAX): Rule => ({ kind: 'integer', min, max })

/** The table. Kafka's defaults, except where a record could vanish unasked. */
export const TOPIC_SETTINGS: { readonly [N in SettingName]: Setting<N> } = {
  partitions: {
    default: 1,
    rule: atLeast(1, 100_000),
    kafkaName: null,
    meaning: 'how many logs the topic is divided into',
  },
  cleanupPolicy: {
    default: 'delete',
    rule: { kind: 'choice', of: ['delete', 'compact', 'compact,delete'] },
    kafkaName: 'cleanup.policy',
    meaning: 'what may happen to old records',
  },
  retentionMs: {
    default: -1,
    rule: orNever(0),
    kafkaName: 'retention.ms',
    meaning: 'how long records are kept at least',
  },
  retentionBytes: {
    default: -1,
    rule: orNever(0),
    kafkaName: 'retention.bytes',
    meaning: 'how much a partition may hold before its oldest segments go',
  },
  retainUntilConsumed: {
    default: [],
    rule: { kind: 'names' },
    kafkaName: null,
    meaning: 'groups whose durable positions hold deletion back',
  },
  retainUntilConsumedMaxBytes: {
    default: -1,
    rule: orNever(0),
    kafkaName: null,
    meaning: 'how much may be held back for them',
  },
  segmentBytes: {
    default: 1_073_741_824,
    rule: atLeast(1_024, INT32_MAX),
    kafkaName: 'segment.bytes',
    meaning: 'size at which the next segment starts; a larger batch gets one of its own',
  },
  segmentMs: {
    default: 604_800_000,
    rule: atLeast(1),
    kafkaName: 'segment.ms',
    meaning: "age, by records' time, at which the next append starts a new segment",
  },
  indexIntervalBytes: {
    default: 4_096,
    rule: atLeast(0),
    kafkaName: 'index.interval.bytes',
    meaning: 'log bytes between two entries of the offset index',
  },
  compressionType: {
    default: 'producer',
    rule: { kind: 'choice', of: ['producer', 'none', 'gzip', 'lz4', 'zstd'] },
    kafkaName: 'compression.type',
    meaning: "codec of stored batches; 'producer' keeps what was sent",
  },
  maxMessageBytes: {
    default: 1_048_588,
    rule: atLeast(0, 1_073_741_824),
    kafkaName: 'max.message.bytes',
    meaning: 'largest stored batch, header included',
  },
  maxDecompressedBytes: {
    default: 268_435_456,
    rule: atLeast(1),
    kafkaName: null,
    meaning: 'what one compressed batch may unpack to',
  },
  messageTimestampType: {
    default: 'CreateTime',
    rule: { kind: 'choice', of: ['CreateTime', 'LogAppendTime'] },
    kafkaName: 'message.timestamp.type',
    meaning: 'whether records keep their timestamps or take the time of the append',
  },
  minCleanableDirtyRatio: {
    default: 0.5,
    rule: { kind: 'ratio' },
    kafkaName: 'min.cleanable.dirty.ratio',
    meaning: 'share of uncleaned bytes from which compaction runs',
  },
  deleteRetentionMs: {
    default: 86_400_000,
    rule: atLeast(0),
    kafkaName: 'delete.retention.ms',
    meaning: 'how long a tombstone stays after its first compaction',
  },
  minCompactionLagMs: {
    default: 0,
    rule: atLeast(0),
    kafkaName: 'min.compaction.lag.ms',
    meaning: 'how long a record stays uncompacted at least',
  },
  maxCompactionLagMs: {
    default: -1,
    rule: orNever(1),
    kafkaName: 'max.compaction.lag.ms',
    meaning: 'after how long a record is compacted at the latest',
  },
  fileDeleteDelayMs: {
    default: 60_000,
    rule: atLeast(0),
    kafkaName: 'file.delete.delay.ms',
    meaning: "time between a deleted segment's renaming and the freeing of its space",
  },
  flushMessages: {
    default: -1,
    rule: orNever(1),
    kafkaName: 'flush.messages',
    meaning: 'records after which a sync starts by itself',
  },
  flushMs: {
    default: -1,
    rule: orNever(0),
    kafkaName: 'flush.ms',
    meaning: 'time after an append at which a sync starts by itself',
  },
  preallocate: {
    default: true,
    rule: { kind: 'boolean' },
    kafkaName: 'preallocate',
    meaning: 'grow the active segment in steps ahead of its data',
  },
}

/** Names of all settings, in the table's order. */
export const TOPIC_CONFIG_NAMES: readonly string[] = Object.keys(TOPIC_SETTINGS)

function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(TOPIC_SETTINGS, name)
}

function allowedBy(rule: Rule): string {
  switch (rule.kind) {
    case 'integer':
      return `${rule.never ? '-1 (never) or ' : ''}an integer from ${rule.min} to ${rule.max}`
    case 'ratio':
      return 'a number from 0 to 1'
    case 'choice':
      return rule.of.map((choice) => `'${choice}'`).join(', ')
    case 'boolean':
      return 'true or false'
    case 'names':
      return 'an array of group ids (non-empty strings)'
  }
}

function obeys(rule: Rule, value: unknown): boolean {
  switch (rule.kind) {
    case 'integer':
      return (
        Number.isSafeInteger(value) &&
        typeof value === 'number' &&
        ((value >= rule.min && value <= rule.max) || (rule.never === true && value === -1))
      )
    case 'ratio':
      return typeof value === 'number' && value >= 0 && value <= 1
    case 'choice':
      return typeof value === 'string' && rule.of.includes(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'names':
      return (
        Array.isArray(value) && value.every((name) => typeof name === 'string' && name.length > 0)
      )
  }
}

/**
 * The settings of `config` that are really given, checked; undefined counts as absent.
 * @throws {LogError} INVALID_ARGUMENT for an unknown name or a value outside its bounds.
 */
export function checkTopicConfig(config: unknown, where: string): TopicConfig {
  if (config === undefined) return {}
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw invalidArgument(
      `${where}: settings are an object, not ${config === null ? 'null' : Array.isArray(config) ? 'an array' : typeof config}`,
      { value: config },
    )
  }
  const given: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(config)) {
    if (value === undefined) continue
    if (name === 'name') throw topicRenamed(where)
    if (!isSettingName(name)) {
      const near = nearestName(name, TOPIC_CONFIG_NAMES)
      throw invalidArgument(
        `${where}: unknown setting '${name}'${near === undefined ? '' : `; did you mean '${near}'?`}`,
        { option: name, known: TOPIC_CONFIG_NAMES },
      )
    }
    const { rule } = TOPIC_SETTINGS[name]
    if (!obeys(rule, value)) {
      throw invalidArgument(`${where}: ${name} is ${shown(value)}, allowed: ${allowedBy(rule)}`, {
        option: name,
        value,
        allowed: allowedBy(rule),
      })
    }
    given[name] = Array.isArray(value) ? Object.freeze(Array.from<unknown>(value)) : value
  }
  return given // every member was checked against the table
}

/** The refusal of a new name for a topic; `where` names the call. */
export function topicRenamed(where: string): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(
    `${where}: a topic keeps its name: handles, definitions, positions of groups and the folders ` +
      'on disk go by it; create a topic of the new name and send the records there',
    { option: 'name' },
  )
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'object')
    return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return `a ${typeof value}`
}

/**
 * A complete, frozen configuration: later arguments win over earlier ones, defaults fill the rest.
 */
export function resolveTopicConfig(...layers: readonly TopicConfig[]): ResolvedTopicConfig {
  const resolved: Record<string, unknown> = {}
  for (const name of TOPIC_CONFIG_NAMES) {
    if (isSettingName(name)) resolved[name] = TOPIC_SETTINGS[name].default
  }
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer))
      if (value !== undefined) resolved[name] = value
  }
  // starts from all defaults, overlaid by checked values
  return Object.freeze(resolved) as ResolvedTopicConfig
}

/**
 * Settings as they were stored. One that this version does not know, or whose value it would refuse
 * today, is passed over: a log never becomes unreadable by a setting.
 */
export function readStoredConfig(stored: object): TopicConfig {
  const known: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(stored)) {
    if (isSettingName(name) && obeys(TOPIC_SETTINGS[name].rule, value)) known[name] = value
  }
  return known // every member was checked against the table
}
