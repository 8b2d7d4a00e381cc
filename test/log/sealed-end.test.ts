/**
 * The end of a sealed segment, found from the last entries of its indexes: what it says of the
 * segment, and that it says nothing where the three files do not fit each other.
 */
import { describe, expect, it } from 'vitest'
import {
  OFFSET_INDEX_ENTRY_BYTES,
  writeOffsetIndexEntry,
} from '../../src/format/offset-index-entry.ts'
import { TIME_INDEX_ENTRY_BYTES, writeTimeIndexEntry } from '../../src/format/time-index-entry.ts'
import { findSealedEnd, type SealedEnd } from '../../src/log/sealed-end.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { batchOf, broken, FIELDS, turnsOf } from './stored-batches.ts'
import { overwrite, segmentFile } from './tampering.ts'

const BASE = 100

/** The last entries of the indexes; undefined: an empty file; null: none. */
interface Entries {
  readonly offset?: { readonly offset: number; readonly position: number } | null
  readonly time?: { readonly timestamp: number; readonly offset: number } | null
}

function offsetIndexOf(entry: NonNullable<Entries['offset']>): Buffer {
  const bytes = Buffer.alloc(2 * OFFSET_INDEX_ENTRY_BYTES)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  writeOffsetIndexEntry(view, 1, entry.offset - BASE, entry.position)
  return bytes
}

function timeIndexOf(entry: NonNullable<Entries['time']>): Buffer {
  const bytes = Buffer.alloc(2 * TIME_INDEX_ENTRY_BYTES)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  writeTimeIndexEntry(view, 1, entry.timestamp, entry.offset - BASE)
  return bytes
}

/** A segment of these bytes, with indexes of these last entries. */
function stored(parts: readonly Buffer[], { offset, time }: Entries): FaultDriver {
  const driver = new FaultDriver()
  driver.createDirectory('t-0')
  overwrite(driver, segmentFile(BASE), Buffer.concat(parts))
  if (offset !== null) {
    const bytes = offset === undefined ? Buffer.alloc(0) : offsetIndexOf(offset)
    overwrite(driver, segmentFile(BASE, '.index'), bytes)
  }
  if (time !== null) {
    const bytes = time === undefined ? Buffer.alloc(0) : timeIndexOf(time)
    overwrite(driver, segmentFile(BASE, '.timeindex'), bytes)
  }
  return driver
}

function endIn(driver: FaultDriver): SealedEnd | undefined {
  const { result } = turnsOf(findSealedEnd({ driver, directory: 't-0', baseOffset: BASE }))
  expect(driver.files.size).toBe(0)
  return result
}

function endOf(parts: readonly Buffer[], entries: Entries = {}): SealedEnd | undefined {
  return endIn(stored(parts, entries))
}

const first = batchOf({ baseOffset: BASE, recordCount: 2, timestamp: 50, leaderEpoch: 3 })
const second = batchOf({ baseOffset: BASE + 2, timestamp: 70, leaderEpoch: 4 })
const third = batchOf({ baseOffset: BASE + 3, recordCount: 3, timestamp: 70, leaderEpoch: 4 })
const whole = [first, second, third]
const atSecond = { offset: BASE + 2, position: first.length }
const atThird = { offset: BASE + 5, position: first.length + second.length }
const sizeBytes = first.length + second.length + third.length

describe('the end of a sealed segment', () => {
  it('is told by its batches where the indexes are empty', () => {
    expect(endOf(whole)).toEqual({
      contents: {
        sizeBytes,
        nextOffset: BASE + 6,
        largestTimestamp: 70,
        offsetOfLargestTimestamp: BASE + 2,
        firstTimestamp: -1,
        recordCount: null,
        abortedCount: null,
        abortedCrc: 0,
      },
      epoch: { leaderEpoch: 4, startOffset: BASE + 2 },
    })
  })

  it('is told by the batches from the last entry on, and the largest time before', () => {
    const entries = { offset: atThird, time: { timestamp: 90, offset: BASE + 1 } }
    // What lies before is not looked at.
    expect(endOf([broken(first), broken(second), third], entries)).toMatchObject({
      contents: { nextOffset: BASE + 6, largestTimestamp: 90, offsetOfLargestTimestamp: BASE + 1 },
      epoch: { leaderEpoch: 4, startOffset: BASE + 3 },
    })
    const older = { offset: atSecond, time: { timestamp: 60, offset: BASE + 1 } }
    expect(endOf(whole, older)).toMatchObject({
      contents: { largestTimestamp: 70, offsetOfLargestTimestamp: BASE + 2 },
      epoch: { leaderEpoch: 4, startOffset: BASE + 2 },
    })
    const same = { offset: atThird, time: { timestamp: 70, offset: BASE + 2 } }
    expect(endOf(whole, same)).toMatchObject({ contents: { offsetOfLargestTimestamp: BASE + 2 } })
  })

  it('may be that of an empty one', () => {
    expect(endOf([])).toEqual({
      contents: {
        sizeBytes: 0,
        nextOffset: BASE,
        largestTimestamp: -1,
        offsetOfLargestTimestamp: -1,
        firstTimestamp: -1,
        recordCount: null,
        abortedCount: null,
        abortedCrc: 0,
      },
      epoch: undefined,
    })
  })

  it('is that of the newest epoch, from the first batch on that has it', () => {
    const old = batchOf({ baseOffset: BASE + 6, leaderEpoch: 2 })
    expect(endOf([...whole, old])?.epoch).toEqual({ leaderEpoch: 4, startOffset: BASE + 2 })
    const zero = batchOf({ baseOffset: BASE, leaderEpoch: 0 })
    expect(endOf([zero])?.epoch).toEqual({ leaderEpoch: 0, startOffset: BASE })
    const none = batchOf({ baseOffset: BASE, leaderEpoch: -1 })
    expect(endOf([none])?.epoch).toBeUndefined()
  })

  it('may leave offsets out', () => {
    const later = batchOf({ baseOffset: BASE + 50 })
    expect(endOf([...whole, later])).toMatchObject({ contents: { nextOffset: BASE + 51 } })
  })

  it('may be a batch of many megabytes, others having their turn before', () => {
    const large = batchOf({ baseOffset: BASE + 6, valueBytes: 5 << 20 })
    const last = batchOf({ baseOffset: BASE + 7 })
    const driver = stored([...whole, large, last], {})
    const found = turnsOf(findSealedEnd({ driver, directory: 't-0', baseOffset: BASE }))
    expect(found.turns).toBe(1)
    expect(found.result).toMatchObject({ contents: { nextOffset: BASE + 8 } })
  })
})

describe('no end of a sealed segment', () => {
  it.each([
    ['a missing index', whole, { offset: null }],
    ['a missing time index', whole, { time: null }],
    ['an entry at the start of the file', whole, { offset: { offset: BASE + 1, position: 0 } }],
    [
      'an entry at the end of the file',
      whole,
      { offset: { offset: BASE + 5, position: sizeBytes } },
    ],
    ['an entry in the middle of a batch', whole, { offset: { offset: BASE + 2, position: 77 } }],
    ['an entry of another offset', whole, { offset: { ...atSecond, offset: BASE + 3 } }],
    ['an entry of an earlier offset', whole, { offset: { ...atThird, offset: BASE + 4 } }],
    [
      'a time of an offset that it does not have',
      whole,
      { time: { timestamp: 90, offset: BASE + 6 } },
    ],
    ['a torn batch at its end', [first, second, third.subarray(0, -1)], {}],
    ['less than a header at its end', [...whole, Buffer.alloc(60, 1)], {}],
    ['zeros at its end', [...whole, Buffer.alloc(100)], {}],
    ['a batch of another CRC', [first, broken(second), third], {}],
    ['a batch that goes back', [first, third, second], {}],
    ['a batch twice', [first, first], {}],
  ] as const)('is told with %s', (_, parts, entries) => {
    expect(endOf(parts, entries)).toBeUndefined()
  })

  it('is told where the last entry is no entry', () => {
    const cases: readonly [Entries, '.index' | '.timeindex', (bytes: Buffer) => void][] = [
      [{ offset: atThird }, '.index', (bytes) => bytes.writeInt32BE(-1, 8)],
      [{ offset: atThird }, '.index', (bytes) => bytes.writeInt32BE(-1, 12)],
      [
        { time: { timestamp: 1, offset: BASE } },
        '.timeindex',
        (bytes) => bytes.writeInt32BE(-1, 12),
      ],
      [
        { time: { timestamp: 1, offset: BASE } },
        '.timeindex',
        (bytes) => bytes.writeInt32BE(0x20_0000, 12),
      ],
      [
        { time: { timestamp: 1, offset: BASE } },
        '.timeindex',
        (bytes) => bytes.writeInt32BE(-1, 20),
      ],
    ]
    for (const [entries, suffix, change] of cases) {
      const driver = stored(whole, entries)
      expect(endIn(driver)).toBeDefined()
      const entry =
        suffix === '.index'
          ? offsetIndexOf(entries.offset ?? atThird)
          : timeIndexOf(entries.time ?? { timestamp: 1, offset: BASE })
      change(entry)
      overwrite(driver, segmentFile(BASE, suffix), entry)
      expect(endIn(driver)).toBeUndefined()
    }
  })

  it('is told where an index is cut in the middle of an entry', () => {
    const entries = { offset: atThird, time: { timestamp: 90, offset: BASE + 1 } }
    for (const [suffix, bytes] of [
      ['.index', offsetIndexOf(entries.offset)],
      ['.timeindex', timeIndexOf(entries.time)],
    ] as const) {
      const driver = stored(whole, entries)
      overwrite(driver, segmentFile(BASE, suffix), bytes.subarray(0, -3))
      expect(endIn(driver)).toBeUndefined()
    }
  })

  it('is told with a length that is less than a header’s, or none', () => {
    for (const length of [48, 0, -5]) {
      const bad = Buffer.from(third)
      bad.writeInt32BE(length, FIELDS.length)
      expect(endOf([first, second, bad])).toBeUndefined()
    }
  })
})
