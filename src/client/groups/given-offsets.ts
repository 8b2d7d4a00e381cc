/**
 * Offsets of partitions as users give them, to be committed or to reset a group to: read once and
 * checked. Whether partitions and offsets exist is the log's to say.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import type { OffsetCommit } from '../../log/committed-offsets.ts'
import { checkOptions, describeValue, isArray } from '../check-options.ts'
import { checkOffset } from '../position.ts'

const OFFSET_NAMES = ['topic', 'partition', 'offset', 'leaderEpoch', 'metadata'] as const
/** As Kafka has it: the log knows the epoch. */
export const UNKNOWN_EPOCH = -1
const MAX_EPOCH = 0x7fff_ffff

/** What an entry may have, of whatever type. */
type GivenOffset = { readonly [Name in (typeof OFFSET_NAMES)[number]]?: unknown }

/**
 * What `offsets` says, complete, in its order; `where` names the call.
 * @throws {LogError} INVALID_ARGUMENT naming what can never be and what is allowed.
 */
export function givenOffsets(offsets: unknown, where: string): readonly OffsetCommit[] {
  if (isArray(offsets)) {
    return offsets.map((entry, index) => givenOffset(entry, `${where}: offsets[${index}]`))
  }
  throw invalidArgument(
    `${where}: offsets are an array of { topic, partition, offset }, not ${describeValue(offsets)}`,
    { value: offsets },
  )
}

function givenOffset(entry: unknown, where: string): OffsetCommit {
  if (typeof entry !== 'object' || entry === null) {
    throw invalidArgument(`${where} is { topic, partition, offset }, not ${describeValue(entry)}`, {
      value: entry,
    })
  }
  checkOptions(entry, OFFSET_NAMES, where)
  const { topic, partition, offset, leaderEpoch, metadata }: GivenOffset = entry
  return {
    topic: textOf(topic, `${where}: topic`),
    partition: checkOffset(partition, `${where}: partition`),
    offset: checkOffset(offset, `${where}: offset`),
    leaderEpoch: epochOf(leaderEpoch, `${where}: leaderEpoch`),
    metadata: metadata === undefined ? '' : textOf(metadata, `${where}: metadata`),
  }
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw invalidArgument(`${what} is a string, not ${describeValue(value)}`, { value })
}

function epochOf(value: unknown, what: string): number {
  if (value === undefined) return UNKNOWN_EPOCH
  const isEpoch = typeof value === 'number' && Number.isInteger(value)
  if (isEpoch && value >= UNKNOWN_EPOCH && value <= MAX_EPOCH) return value
  throw invalidArgument(`${what} is an integer from -1 on, not ${describeValue(value)}`, { value })
}
