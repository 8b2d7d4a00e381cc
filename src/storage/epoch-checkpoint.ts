/**
 * leader-epoch-checkpoint as text: where each leader epoch of a partition starts, in the format of
 * checkpoint-text.ts.
 *
 *   <leaderEpoch> <startOffset>
 *
 * Pure. Both ascend from line to line: a later epoch starts at a later offset.
 */
import { assert } from '../errors/invariant.ts'
import { formatCheckpointLines, parseCheckpointLines, parseCount } from './checkpoint-text.ts'

const INT32_MAX = 0x7fff_ffff

/** A leader epoch and the first offset written in it. */
export interface EpochCheckpointEntry {
  readonly leaderEpoch: number
  readonly startOffset: number
}

/** The bytes of an epoch checkpoint; `entries` ascend. */
export function formatEpochCheckpoint(entries: readonly EpochCheckpointEntry[]): Buffer {
  assert(isAscending(entries), 'epochs and their start offsets ascend')
  const lines = entries.map(({ leaderEpoch, startOffset }) => {
    assert(
      Number.isInteger(leaderEpoch) && leaderEpoch >= 0 && leaderEpoch <= INT32_MAX,
      'leaderEpoch: int32, >= 0',
    )
    assert(
      Number.isSafeInteger(startOffset) && startOffset >= 0,
      'startOffset: a safe integer, >= 0',
    )
    return `${leaderEpoch} ${startOffset}`
  })
  return formatCheckpointLines(lines)
}

/** What an epoch checkpoint says, ascending; undefined when its bytes are damaged. */
export function parseEpochCheckpoint(bytes: Buffer): readonly EpochCheckpointEntry[] | undefined {
  const lines = parseCheckpointLines(bytes)
  if (lines === undefined) return undefined
  const entries: EpochCheckpointEntry[] = []
  for (const line of lines) {
    const [epochText = '', offsetText = '', ...rest] = line.split(' ')
    const leaderEpoch = parseCount(epochText, INT32_MAX)
    const startOffset = parseCount(offsetText)
    if (leaderEpoch === undefined || startOffset === undefined || rest.length > 0) return undefined
    entries.push({ leaderEpoch, startOffset })
  }
  return isAscending(entries) ? entries : undefined
}

function isAscending(entries: readonly EpochCheckpointEntry[]): boolean {
  return entries.every((entry, index) => {
    const before = entries[index - 1]
    if (before === undefined) return true
    return before.leaderEpoch < entry.leaderEpoch && before.startOffset < entry.startOffset
  })
}
