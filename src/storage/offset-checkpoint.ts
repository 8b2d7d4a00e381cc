/**
 * Offsets of partitions as text: recovery-point-, log-start- and cleaner-offset-checkpoint, in the
 * format of checkpoint-text.ts.
 *
 *   <topic> <partition> <offset>
 *
 * Pure. No partition stands in it twice; the order of entries means nothing and is kept.
 */
import { assert } from '../errors/invariant.ts'
import { formatCheckpointLines, parseCheckpointLines, parseCount } from './checkpoint-text.ts'

const INT32_MAX = 0x7fff_ffff
/**
 * No log gets that far in a century of a million records a second: a larger number is damage. Taken
 * for the end of a log, it would leave no offset to append at.
 */
const MAX_OFFSET = 2 ** 52

/** Where a partition has got to; what that means, the file's name says. */
export interface OffsetCheckpointEntry {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** The bytes of an offset checkpoint. */
export function formatOffsetCheckpoint(entries: Iterable<OffsetCheckpointEntry>): Buffer {
  const lines: string[] = []
  for (const { topic, partition, offset } of entries) {
    assert(/^\S+$/.test(topic), 'topic: without spaces')
    assert(
      Number.isInteger(partition) && partition >= 0 && partition <= INT32_MAX,
      'partition: int32, >= 0',
    )
    assert(Number.isInteger(offset) && offset >= 0 && offset <= MAX_OFFSET, 'offset: 0 to 2^52')
    lines.push(`${topic} ${partition} ${offset}`)
  }
  return formatCheckpointLines(lines)
}

/** What an offset checkpoint says; undefined when its bytes are damaged. */
export function parseOffsetCheckpoint(bytes: Buffer): readonly OffsetCheckpointEntry[] | undefined {
  const lines = parseCheckpointLines(bytes)
  if (lines === undefined) return undefined
  const entries: OffsetCheckpointEntry[] = []
  const seen = new Set<string>()
  for (const line of lines) {
    const [topic = '', partitionText = '', offsetText = '', ...rest] = line.split(' ')
    const partition = parseCount(partitionText, INT32_MAX)
    const offset = parseCount(offsetText, MAX_OFFSET)
    if (!/^\S+$/.test(topic) || partition === undefined || offset === undefined || rest.length > 0)
      return undefined
    const key = `${topic} ${partition}`
    if (seen.has(key)) return undefined
    seen.add(key)
    entries.push({ topic, partition, offset })
  }
  return entries
}
