/**
 * Records without a key in a topic that has become a compacted one: they are kept, since no later
 * record takes their place, and the log says how many there are. Counted in slices, off the event
 * loop; a small topic's before `alterConfig` resolves.
 */
import { LogError } from '../errors/log-error.ts'
import { nextTurn } from '../log/clock.ts'
import type { ReadablePartition } from '../log/readable-partition.ts'
import { keylessKept, type Warn } from './log-warnings.ts'
import { RecordSource } from './record-source.ts'
import type { TopicState } from './topic-state.ts'

/** Bytes of .log files that are read while somebody waits. */
const SMALL_BYTES = 1_048_576
const SLICE_BYTES = 262_144
/** What a record counts beside its value. */
const RECORD_BYTES = 32

/** Whether counting takes no longer than the change that it follows. */
export function isSmall({ topic }: TopicState): boolean {
  return topic.partitions.reduce((sum, log) => sum + log.logBytes, 0) <= SMALL_BYTES
}

/**
 * Counts what is there at the call, and warns where there is any. Never rejects: a topic that goes
 * meanwhile, or its log, needs no warning; what cannot be read is in it.
 */
export async function warnOfKeyless(state: TopicState, warn: Warn): Promise<void> {
  let keylessCount = 0
  const { name, partitions } = state.topic
  try {
    const sources = partitions.map((log) => sourceOf(state, log))
    for (const source of sources) {
      while (await source.loadAhead()) {
        while (!source.needsLoad) {
          keylessCount += countSlice(source)
          await nextTurn()
          if (!state.isUsable) return
        }
      }
    }
    if (keylessCount > 0) warn(keylessKept(name, keylessCount, null))
  } catch (error) {
    if (!LogError.is(error)) throw error
    if (state.isUsable) warn(keylessKept(name, keylessCount, error))
  }
}

function sourceOf(state: TopicState, log: ReadablePartition): RecordSource {
  const { types } = state.view(null)
  return new RecordSource(log, types, {
    range: {
      from: 'earliest',
      to: null,
      isolation: 'read_uncommitted',
      visibility: 'written',
      onCorrupt: 'skip',
    },
    live: false,
    onDamage: (error, resumesAt) => state.host.damageFound(error, resumesAt),
  })
}

function countSlice(source: RecordSource): number {
  let keylessCount = 0
  for (let seenBytes = 0; seenBytes < SLICE_BYTES; seenBytes += RECORD_BYTES) {
    const record = source.advance()
    if (record === undefined) break
    seenBytes += Math.max(0, record.valueLength)
    if (record.keyLength < 0) keylessCount += 1
  }
  return keylessCount
}
