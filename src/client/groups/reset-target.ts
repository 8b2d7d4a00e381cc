/**
 * Where the positions of a group are to be moved, as users say it and checked. Whether partitions
 * and offsets exist is the log's to say.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import type { OffsetCommit } from '../../log/committed-offsets.ts'
import { describeValue } from '../check-options.ts'
import { checkTime } from '../position.ts'
import { givenOffsets } from './given-offsets.ts'

/** Where to. */
export type ResetTarget =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'timestamp'; readonly timestamp: number }
  | { readonly kind: 'shift'; readonly shift: number }
  | { readonly kind: 'offsets'; readonly offsets: readonly OffsetCommit[] }

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

/** @throws {LogError} INVALID_ARGUMENT for what can never be, and for a partition named twice. */
function offsetsOf(offsets: unknown, where: string): readonly OffsetCommit[] {
  const given = givenOffsets(offsets, where)
  const seen = new Set<string>()
  for (const { topic, partition } of given) {
    const name = `${topic}-${partition}`
    if (seen.has(name)) {
      throw invalidArgument(`${where}: offsets names ${name} twice`, { value: offsets })
    }
    seen.add(name)
  }
  return given
}

function checkShift(shift: unknown, where: string): number {
  if (typeof shift === 'number' && Number.isSafeInteger(shift)) return shift
  throw invalidArgument(
    `${where}: shift is a number of offsets, negative to go back, not ${describeValue(shift)}`,
    { value: shift },
  )
}
