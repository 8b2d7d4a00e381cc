/** Checkpoints of offsets: Kafka's bytes both ways, round trips, damage. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import {
  formatOffsetCheckpoint,
  parseOffsetCheckpoint,
} from '../../src/storage/offset-checkpoint.ts'
import { kafkaCheckpointFile } from './kafka-checkpoint-files.ts'

const KAFKA_ENTRIES = [
  { topic: 'orders', partition: 0, offset: 1_013 },
  { topic: 'my-topic.v1', partition: 12, offset: 0 },
]

describe('offset checkpoint', () => {
  it('reads and writes what Kafka writes', () => {
    const bytes = kafkaCheckpointFile('recovery-point-offset-checkpoint')
    expect(parseOffsetCheckpoint(bytes)).toEqual(KAFKA_ENTRIES)
    expect(formatOffsetCheckpoint(KAFKA_ENTRIES)).toEqual(bytes)
  })

  it('may be empty', () => {
    expect(formatOffsetCheckpoint([]).toString()).toBe('0\n0\n')
    expect(parseOffsetCheckpoint(Buffer.from('0\n0\n'))).toEqual([])
  })

  it('gives back all entries in their order', () => {
    const entry = fc.record({
      topic: fc.stringMatching(/^[a-zA-Z0-9._-]{1,20}$/),
      partition: fc.nat({ max: 0x7fff_ffff }),
      offset: fc.integer({ min: 0, max: 2 ** 52 }),
    })
    const selector = (one: { topic: string; partition: number }): string =>
      `${one.topic} ${one.partition}`
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector }), (entries) => {
        expect(parseOffsetCheckpoint(formatOffsetCheckpoint(entries))).toEqual(entries)
      }),
    )
  })

  it.each([
    ['nothing at all', ''],
    ['another version', '1\n0\n'],
    ['no count', '0\n'],
    ['a count that is too high', '0\n2\norders 0 7\n'],
    ['a count that is too low', '0\n0\norders 0 7\n'],
    ['a count that is no number', '0\none\norders 0 7\n'],
    ['a last line that may be cut short', '0\n1\norders 0 7'],
    ['an empty line', '0\n1\n\n'],
    ['a missing field', '0\n1\norders 0\n'],
    ['a field too many', '0\n1\norders 0 7 7\n'],
    ['two spaces', '0\n1\norders  0 7\n'],
    ['a tab in a topic', '0\n1\nor\tders 0 7\n'],
    ['no topic', '0\n1\n 0 7\n'],
    ['a negative offset', '0\n1\norders 0 -1\n'],
    ['an offset beyond the safe integers', '0\n1\norders 0 9007199254740992\n'],
    ['an offset that no log gets to', '0\n1\norders 0 4503599627370497\n'],
    ['an offset of too many digits', '0\n1\norders 0 99999999999999999999\n'],
    ['a leading zero', '0\n1\norders 0 07\n'],
    ['a fraction', '0\n1\norders 0 1.5\n'],
    ['an exponent', '0\n1\norders 0 1e3\n'],
    ['a partition beyond int32', '0\n1\norders 2147483648 7\n'],
    ['the same partition twice', '0\n2\norders 0 7\norders 0 8\n'],
    ['line ends of Windows', '0\r\n1\r\norders 0 7\r\n'],
    ['zeros, as a file has that was never flushed', '\0\0\0\0\0\0'],
  ])('%s is damage', (_what, text) => {
    expect(parseOffsetCheckpoint(Buffer.from(text))).toBeUndefined()
  })

  it('arbitrary bytes are damage or entries, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(() => parseOffsetCheckpoint(Buffer.from(bytes))).not.toThrow()
      }),
    )
  })

  it('does not write what could not be read', () => {
    expect(() => formatOffsetCheckpoint([{ topic: 'a b', partition: 0, offset: 0 }])).toThrow(
      InvariantError,
    )
    expect(() => formatOffsetCheckpoint([{ topic: 'a', partition: -1, offset: 0 }])).toThrow(
      InvariantError,
    )
    expect(() => formatOffsetCheckpoint([{ topic: 'a', partition: 0, offset: 2 ** 53 }])).toThrow(
      InvariantError,
    )
  })
})
