/**
 * Committed offsets in Kafka's bytes: its vectors both ways, other kinds of keys passed over, and
 * bytes that are none refused. The partition of a group as Java computes it.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionOfGroup } from '../../src/format/group-partition.ts'
import {
  encodeOffsetKey,
  OffsetCommitReader,
  offsetValueBytes,
  writeOffsetValue,
  type OffsetValue,
} from '../../src/format/offset-commit.ts'
import { fromHex, loadVectors } from './vectors.ts'

interface OffsetVector {
  readonly kind: string
  readonly version: number
  readonly hex: string
  readonly fields: Readonly<Record<string, string | number>>
}

interface GroupVector {
  readonly groupId: string
  readonly partition50: number
  readonly partition7: number
  readonly partition1: number
}

const { vectors } = loadVectors<{ readonly vectors: readonly OffsetVector[] }>(
  'consumer-offsets.json',
)
const keys = vectors.filter(({ kind }) => kind === 'OffsetCommitKey')
const values = vectors.filter(({ kind }) => kind === 'OffsetCommitValue')
const otherKeys = vectors.filter(({ kind }) => kind.endsWith('Key') && kind !== 'OffsetCommitKey')

interface ReadKey {
  readonly group: string
  readonly topic: string
  readonly partition: number
}

/** What a reader makes of a key that does not lie at the start of its buffer. */
function readKey(key: Buffer): ReadKey | undefined {
  const reader = new OffsetCommitReader()
  const buffer = Buffer.concat([Buffer.from('..'), key, Buffer.from('..')])
  if (!reader.readKey(buffer, 2, key.length)) return undefined
  const { groupStart, groupLength, topicStart, topicLength, partition } = reader
  return {
    group: buffer.toString('utf8', groupStart, groupStart + groupLength),
    topic: buffer.toString('utf8', topicStart, topicStart + topicLength),
    partition,
  }
}

function readValue(value: Buffer): OffsetValue | undefined {
  const reader = new OffsetCommitReader()
  const buffer = Buffer.concat([Buffer.from('..'), value, Buffer.from('..')])
  if (!reader.readValue(buffer, 2, value.length)) return undefined
  const { offset, leaderEpoch, metadataStart, metadataLength, commitTimestampMs } = reader
  const metadata = buffer.toString('utf8', metadataStart, metadataStart + metadataLength)
  return { offset, leaderEpoch, metadata, commitTimestampMs }
}

function writtenValue(value: OffsetValue): Buffer {
  const target = Buffer.alloc(offsetValueBytes(Buffer.byteLength(value.metadata)))
  writeOffsetValue(target, value)
  return target
}

/** As Kafka's flexible versions count: seven bits a byte, low ones first. */
function uvarint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

const corrupt: unknown = expect.objectContaining({ name: 'CorruptBytes' })

describe('a key of Kafka', () => {
  it('is there in both versions', () => {
    expect(new Set(keys.map(({ version }) => version))).toEqual(new Set([0, 1]))
  })

  it.each(keys)('$hex is read', ({ hex, fields }) => {
    expect(readKey(fromHex(hex))).toEqual(fields)
  })

  it.each(keys.filter(({ version }) => version === 1))('$hex is written', ({ hex, fields }) => {
    const { group, topic, partition } = fields
    const key = encodeOffsetKey(String(group), String(topic), Number(partition))
    expect(key.toString('hex')).toBe(hex)
  })

  it.each([...otherKeys.map(({ hex }) => hex), '000f', '7fff0001aa'])(
    '%s of another kind is passed over',
    (hex) => {
      expect(readKey(fromHex(hex))).toBeUndefined()
    },
  )
})

describe('a value of Kafka', () => {
  it('is there in every version that is read', () => {
    expect(new Set(values.map(({ version }) => version))).toEqual(new Set([0, 1, 2, 3, 4]))
  })

  it.each(values)('$hex is read', ({ hex, version, fields }) => {
    expect(readValue(fromHex(hex))).toEqual({
      offset: Number(fields['offset']),
      leaderEpoch: version >= 3 ? Number(fields['leaderEpoch']) : -1,
      metadata: fields['metadata'],
      commitTimestampMs: Number(fields['commitTimestamp']),
    })
  })

  it.each(values.filter(({ version }) => version === 3))('$hex is written', ({ hex, fields }) => {
    const value = writtenValue({
      offset: Number(fields['offset']),
      leaderEpoch: Number(fields['leaderEpoch']),
      metadata: String(fields['metadata']),
      commitTimestampMs: Number(fields['commitTimestamp']),
    })
    expect(value.toString('hex')).toBe(hex)
  })

  it('with a tagged field behind its time is read without it', () => {
    const [value] = values.filter(({ version }) => version === 4)
    const hex = `${value?.hex.slice(0, -2)}010010${'ab'.repeat(16)}`
    expect(readValue(fromHex(hex))).toEqual(readValue(fromHex(value?.hex ?? '')))
  })

  it.each([126, 127, 128, 200, 16_383, 20_000])(
    'with %i bytes of compact metadata is read',
    (bytes) => {
      const metadata = 'm'.repeat(bytes)
      const head = fromHex(`0004${'00'.repeat(7)}07000000ff`)
      const value = Buffer.concat([
        head,
        uvarint(bytes + 1),
        Buffer.from(metadata),
        Buffer.alloc(9),
      ])
      expect(readValue(value)).toMatchObject({ offset: 7, leaderEpoch: 255, metadata })
      for (const cut of [2, 9, 10, bytes]) {
        expect(() => readValue(value.subarray(0, value.length - cut))).toThrow(corrupt)
      }
    },
  )

  it('of a version that is not known is told apart', () => {
    expect(readValue(fromHex('0005'))).toBeUndefined()
    expect(readValue(fromHex('00050000000000000001'))).toBeUndefined()
  })
})

describe('bytes that are no committed offset', () => {
  it.each(keys)('are refused: key $hex, cut anywhere', ({ hex }) => {
    for (let length = 0; length < hex.length / 2; length++) {
      expect(() => readKey(fromHex(hex).subarray(0, length)), `${length} bytes`).toThrow(corrupt)
    }
  })

  it.each(values)('are refused: value $hex, cut anywhere before its tags', ({ hex, version }) => {
    const bytes = fromHex(hex)
    // What expires when, and tagged fields, are not read.
    const readBytes = bytes.length - (version === 1 ? 8 : version === 4 ? 1 : 0)
    for (let length = 0; length < readBytes; length++) {
      expect(() => readValue(bytes.subarray(0, length)), `${length} bytes`).toThrow(corrupt)
    }
  })

  it.each([
    ['a null group', '0001ffff00017400000000'],
    ['a null topic', '0001000167ffff00000000'],
    ['a group longer than the key', '00017fff6700000000'],
    ['a negative partition', '0001000167000174ffffffff'],
    ['a negative version', 'ffff00016700017400000000'],
  ])('are refused: a key with %s', (_, hex) => {
    expect(() => readKey(fromHex(hex))).toThrow(corrupt)
  })

  it.each([
    ['a negative offset', `0003ffffffffffffffff000000000000${'00'.repeat(8)}`],
    ['an offset beyond 2^53', `00030020000000000000000000000000${'00'.repeat(8)}`],
    ['null metadata', `0003000000000000000100000000ffff${'00'.repeat(8)}`],
    ['null compact metadata', `000400000000000000010000000000${'00'.repeat(9)}`],
    ['metadata longer than it', `000300000000000000010000000000ff${'00'.repeat(8)}`],
    ['metadata of an endless length', `00040000000000000001000000008080808080${'80'.repeat(8)}`],
    ['a negative version', `ffff0000000000000001000000000000${'00'.repeat(8)}`],
  ])('are refused: a value with %s', (_, hex) => {
    expect(() => readValue(fromHex(hex))).toThrow(corrupt)
  })
})

describe('a committed offset', () => {
  it('reads as it was written, whatever it is', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 40 })
    const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
    const epoch = fc.integer({ min: -1, max: 0x7fff_ffff })
    const partitions = fc.integer({ min: 0, max: 0x7fff_ffff })
    fc.assert(
      fc.property(name, name, partitions, (group, topic, partition) => {
        const key = encodeOffsetKey(group, topic, partition)
        expect(readKey(key)).toEqual({ group, topic, partition })
      }),
    )
    fc.assert(
      fc.property(
        fc.record({ offset: count, leaderEpoch: epoch, metadata: name, commitTimestampMs: count }),
        (value) => {
          expect(readValue(writtenValue(value))).toEqual(value)
        },
      ),
    )
  })
})

describe("a group's partition", () => {
  const groups = loadVectors<{ readonly vectors: readonly GroupVector[] }>('group-partition.json')

  it.each(groups.vectors)("is Java's for '$groupId'", (vector) => {
    const { groupId, partition50, partition7, partition1 } = vector
    expect(partitionOfGroup(groupId, 50)).toBe(partition50)
    expect(partitionOfGroup(groupId, 7)).toBe(partition7)
    expect(partitionOfGroup(groupId, 1)).toBe(partition1)
  })
})
