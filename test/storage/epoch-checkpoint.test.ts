/** leader-epoch-checkpoint: Kafka's bytes both ways, round trips, damage. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { formatEpochCheckpoint, parseEpochCheckpoint } from '../../src/storage/epoch-checkpoint.ts'
import { kafkaCheckpointFile } from './kafka-checkpoint-files.ts'

const KAFKA_ENTRIES = [
  { leaderEpoch: 0, startOffset: 0 },
  { leaderEpoch: 4, startOffset: 1_000 },
]

describe('epoch checkpoint', () => {
  it('reads and writes what Kafka writes', () => {
    const bytes = kafkaCheckpointFile('leader-epoch-checkpoint')
    expect(parseEpochCheckpoint(bytes)).toEqual(KAFKA_ENTRIES)
    expect(formatEpochCheckpoint(KAFKA_ENTRIES)).toEqual(bytes)
    const empty = kafkaCheckpointFile('leader-epoch-checkpoint.empty')
    expect(parseEpochCheckpoint(empty)).toEqual([])
    expect(formatEpochCheckpoint([])).toEqual(empty)
  })

  it('gives back all entries', () => {
    const ascending = (max: number): fc.Arbitrary<number[]> =>
      fc
        .uniqueArray(fc.integer({ min: 0, max }), { minLength: 5, maxLength: 5 })
        .map((all) => all.sort((a, b) => a - b))
    fc.assert(
      fc.property(ascending(0x7fff_ffff), ascending(Number.MAX_SAFE_INTEGER), (epochs, offsets) => {
        const entries = epochs.map((leaderEpoch, index) => ({
          leaderEpoch,
          startOffset: offsets[index] ?? 0,
        }))
        expect(parseEpochCheckpoint(formatEpochCheckpoint(entries))).toEqual(entries)
      }),
    )
  })

  it.each([
    ['nothing at all', ''],
    ['another version', '1\n0\n'],
    ['a wrong count', '0\n2\n0 0\n'],
    ['a missing field', '0\n1\n0\n'],
    ['a field too many', '0\n1\n0 0 0\n'],
    ['a negative epoch', '0\n1\n-1 0\n'],
    ['an epoch beyond int32', '0\n1\n2147483648 0\n'],
    ['an offset beyond the safe integers', '0\n1\n0 9007199254740992\n'],
    ['the same epoch twice', '0\n2\n1 0\n1 5\n'],
    ['two epochs that start at one offset', '0\n2\n1 5\n2 5\n'],
    ['an epoch that starts before an earlier one', '0\n2\n1 5\n2 4\n'],
  ])('%s is damage', (_what, text) => {
    expect(parseEpochCheckpoint(Buffer.from(text))).toBeUndefined()
  })

  it('does not write what could not be read', () => {
    const [first, second] = KAFKA_ENTRIES
    expect(() =>
      formatEpochCheckpoint([second, first].filter((entry) => entry !== undefined)),
    ).toThrow(InvariantError)
    expect(() => formatEpochCheckpoint([{ leaderEpoch: -1, startOffset: 0 }])).toThrow(
      InvariantError,
    )
  })
})
