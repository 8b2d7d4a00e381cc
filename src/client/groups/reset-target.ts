/**
 * Where the positions of a group are to be moved, as users say it and checked. Whether partitions
 * and offsets exist is the log's to say.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import type { OffsetCommit } from '../../log/committed-offsets.ts'
import { checkOptions, describeValue, isArray } from '../check-options.ts'
import { checkOffset, checkTime } from '../position.ts'

/** Where to. */
export type ResetTarget =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'timestamp'; readonly timestamp: number }
  | { readonly kind: 'shift'; readonly shift: number }
  | { readonly kind: 'offsets'; readonly offsets: readonly OffsetCommit[] }

const OFFSET_NAMES = ['topic', 'partition', 'offset', 'leaderEpoch', 'metadata'] as const
const MAX_EPOCH = 0x7fff_ffff

/**
 * What `to` means; `where` names the call.
 * @throws {LogError} INVALID_ARGUMENT naming what is wrong and what is allowed.
 */
export function resetTargetOf(to: unknown, where: string): ResetTarget {
  if (to === 'earliest' || to === 'latest') return { kind: to }
  if (typeof to === 'object' && to !== null && Object.keys(to).length === 1) {
    if ('timestamp' in to) {
      return { kind: 'timestamp', timestamp: checkTime(to.timestamp, `${where}: timestamp`) }
    }
    if ('shift' in to) return { kind: 'shift', shift: checkShift(to.shift, where) }
    if ('offsets' in to) return { kind: 'offsets', offsets: offsetsOf(to.offsets, where) }
  }
  throw invalidArgument(
    `${where}: positions are moved to 'earliest', 'latest', { timestamp }, { shift } or ` +
      `{ offsets }, not ${describeValue(to)}`,
    { value: to },
  )
}

/**
 * Positions that somebody names, checked and complete; `leaderEpoch` is -1 where it is not given.
 * @throws {LogError} INVALID_ARGUMENT for what can never be, and for a partition named twice.
 */
function offsetsOf(offsets: unknown, where: string): readonly OffsetCommit[] {
  if (!isArray(offsets)) {
    throw invalidArgument(
      `${where}: offsets are an array of { topic, partition, offset }, not ` +
        describeValue(offsets),
      { value: offsets },
    )
  }
  const seen = new Set<string>()
  return offsets.map((entry, index) => {
    const commit = commitOf(entry, `${where}: offsets[${index}]`)
    const name = `${commit.topic}-${commit.partition}`
    if (seen.has(name)) {
      throw invalidArgument(`${where}: offsets names ${name} twice`, { value: offsets })
    }
    seen.add(name)
    return commit
  })
}

function commitOf(entry: unknown, where: string): OffsetCommit {
  if (typeof entry !== 'object' || entry === null) {
    throw invalidArgument(`${where} is { topic, partition, offset }, not ${describeValue(entry)}`, {
      value: entry,
    })
  }
  checkOptions(entry, OFFSET_NAMES, where)
  const { topic, partition, offset, leaderEpoch, metadata }: OffsetEntry = entry
  return {
    topic: textOf(topic, `${where}: topic`),
    partition: checkOffset(partition, `${where}: partition`),
    offset: checkOffset(offset, `${where}: offset`),
    leaderEpoch: leaderEpoch === undefined ? -1 : epochOf(leaderEpoch, `${where}: leaderEpoch`),
    metadata: metadata === undefined ? '' : textOf(metadata, `${where}: metadata`),
  }
}

/** What an entry may have, of whatever type. */
type OffsetEntry = { readonly [Name in (typeof OFFSET_NAMES)[number]]?: unknown }

function checkShift(shift: unknown, where: string): number {
  if (typeof shift === 'number' && Number.isSafeInteger(shift)) return shift
  throw invalidArgument(
    `${where}: shift is a number of offsets, negative to go back, not ${describeValue(shift)}`,
    { value: shift },
  )
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw invalidArgument(`${what} is a string, not ${describeValue(value)}`, { value })
}

/** -1, as Kafka has it, is an epoch that is not known. */
function epochOf(value: unknown, what: string): number {
  const isEpoch = typeof value === 'number' && Number.isInteger(value)
  if (isEpoch && value >= -1 && value <= MAX_EPOCH) return value
  throw invalidArgument(`${what} is an integer from -1 on, not ${describeValue(value)}`, { value })
}
