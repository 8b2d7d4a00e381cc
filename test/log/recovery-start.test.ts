/**
 * Where in a segment recovery starts to check: at the batch of the last index entry below what was
 * synced, as long as that entry and the batch agree.
 */
import { describe, expect, it } from 'vitest'
import {
  OFFSET_INDEX_ENTRY_BYTES,
  writeOffsetIndexEntry,
} from '../../src/format/offset-index-entry.ts'
import { TIME_INDEX_ENTRY_BYTES, writeTimeIndexEntry } from '../../src/format/time-index-entry.ts'
import { type CheckStart, startOfCheck, uncheckedContents } from '../../src/log/recovery-start.ts'
import { Segment } from '../../src/storage/segment.ts'
import { emptyContents } from '../../src/storage/segment-contents.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { batchOf, broken, FIELDS } from './stored-batches.ts'
import { overwrite, segmentFile } from './tampering.ts'

const BASE = 100
const SETTINGS = { indexIntervalBytes: 0, segmentBytes: 1 << 20, preallocate: false }

const parts = [100, 102, 105].map((baseOffset, index) =>
  batchOf({ baseOffset, recordCount: 2 + index, timestamp: 50 + index }),
)
const [first = Buffer.alloc(0), second = first, third = first] = parts
const positions = [0, first.length, first.length + second.length] as const
/** Last offsets of the batches. */
const LAST = [101, 104, 108] as const

interface Files {
  readonly log: Buffer
  /** Entries: last offset and position; null: no file. */
  readonly offsets: readonly (readonly [number, number])[] | null
  readonly times: readonly (readonly [number, number])[] | null
}

function segmentOf({ log, offsets, times }: Files): Segment {
  const driver = new FaultDriver()
  driver.createDirectory('t-0')
  overwrite(driver, segmentFile(BASE), log)
  if (offsets !== null) {
    const bytes = Buffer.alloc(offsets.length * OFFSET_INDEX_ENTRY_BYTES)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (const [slot, [offset, position]] of offsets.entries()) {
      writeOffsetIndexEntry(view, slot, offset - BASE, position)
    }
    overwrite(driver, segmentFile(BASE, '.index'), bytes)
  }
  if (times !== null) {
    const bytes = Buffer.alloc(times.length * TIME_INDEX_ENTRY_BYTES)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (const [slot, [timestamp, offset]] of times.entries()) {
      writeTimeIndexEntry(view, slot, timestamp, offset - BASE)
    }
    overwrite(driver, segmentFile(BASE, '.timeindex'), bytes)
  }
  const place = { driver, directory: 't-0', baseOffset: BASE }
  return Segment.open(place, SETTINGS, uncheckedContents(BASE, log.length))
}

const WHOLE: Files = {
  log: Buffer.concat(parts),
  offsets: [
    [LAST[1], positions[1]],
    [LAST[2], positions[2]],
  ],
  times: [
    [51, LAST[1]],
    [52, LAST[2]],
  ],
}

function startOf(files: Partial<Files>, recoveryPoint: number): CheckStart {
  const all = { ...WHOLE, ...files }
  return startOfCheck(segmentOf(all), all.log.length, recoveryPoint)
}

const FROM_START = { start: emptyContents(BASE), isIndexWrong: false }
const INDEX_WRONG = { start: emptyContents(BASE), isIndexWrong: true }

describe('a segment that nobody has checked', () => {
  it('is taken to hold all of its file, up to any offset', () => {
    expect(uncheckedContents(BASE, 500)).toEqual({
      ...emptyContents(BASE),
      sizeBytes: 500,
      nextOffset: Number.MAX_SAFE_INTEGER,
      abortedCount: null,
    })
  })
})

describe('the check of a segment starts', () => {
  it('at the last indexed batch below what was synced', () => {
    const atThird = {
      start: {
        sizeBytes: positions[2],
        nextOffset: 105,
        largestTimestamp: 52,
        offsetOfLargestTimestamp: LAST[2],
        firstTimestamp: 50,
        recordCount: null,
        abortedCount: null,
        abortedCrc: 0,
      },
      isIndexWrong: false,
    }
    expect(startOf({}, 109)).toEqual(atThird)
    expect(startOf({}, 5_000)).toEqual(atThird)
    const atSecond = {
      start: {
        sizeBytes: positions[1],
        nextOffset: 102,
        largestTimestamp: 51,
        offsetOfLargestTimestamp: LAST[1],
        firstTimestamp: 50,
        recordCount: null,
        abortedCount: null,
        abortedCrc: 0,
      },
      isIndexWrong: false,
    }
    expect(startOf({}, 108)).toEqual(atSecond)
    expect(startOf({}, 105)).toEqual(atSecond)
  })

  it('at the start where no entry is below what was synced', () => {
    expect(startOf({}, 104)).toEqual(FROM_START)
    expect(startOf({}, BASE + 1)).toEqual(FROM_START)
    expect(startOf({}, BASE)).toEqual(FROM_START)
    expect(startOf({}, 0)).toEqual(FROM_START)
    expect(startOf({ offsets: [], times: [] }, 109)).toEqual(FROM_START)
  })

  it('knows no time where no record had one', () => {
    const start = startOf({ times: [] }, 109)
    expect(start).toMatchObject({
      start: { largestTimestamp: -1, offsetOfLargestTimestamp: -1, sizeBytes: positions[2] },
      isIndexWrong: false,
    })
  })

  it('knows the earliest of all times too', () => {
    const start = startOf({ times: [[0, LAST[1]]] }, 109)
    expect(start).toMatchObject({ start: { largestTimestamp: 0, offsetOfLargestTimestamp: 104 } })
  })

  it('at the start of a file that is shorter than a header, whatever its indexes say', () => {
    expect(startOf({ log: first.subarray(0, 60) }, 109)).toEqual(FROM_START)
    expect(startOf({ log: first.subarray(0, 61), offsets: null }, 109)).toEqual(INDEX_WRONG)
    // Nothing of it was synced: what its indexes say is of no use, nor is it wrong.
    expect(startOf({ offsets: null }, BASE)).toEqual(FROM_START)
  })

  it('at the start, with the indexes made anew, where one of their files is missing', () => {
    expect(startOf({ offsets: null }, 109)).toEqual(INDEX_WRONG)
    expect(startOf({ times: null }, 109)).toEqual(INDEX_WRONG)
  })
})

describe('the indexes are made anew', () => {
  const withThird = (change: (batch: Buffer) => void): Buffer => {
    const changed = Buffer.from(third)
    change(changed)
    return Buffer.concat([first, second, changed])
  }

  it.each([
    ['another last offset', withThird((batch) => batch.writeInt32BE(9, 23))],
    ['another magic', withThird((batch) => batch.writeInt8(1, FIELDS.magic))],
    ['a length that no batch has', withThird((batch) => batch.writeInt32BE(3, FIELDS.length))],
    ['an offset below zero', withThird((batch) => batch.writeInt8(-1, 0))],
    ['an offset beyond all', withThird((batch) => batch.writeUInt32BE(0x20_0000, 0))],
    ['nothing but zeros', withThird((batch) => batch.fill(0))],
    ['less than a header', Buffer.concat([first, second, third.subarray(0, 60)])],
  ])('where the last entry leads to a batch with %s', (_, log) => {
    expect(startOf({ log }, 109)).toEqual(INDEX_WRONG)
  })

  it('where the first batch is none', () => {
    const log = Buffer.concat([Buffer.alloc(first.length, 0xee), second, third])
    expect(startOf({ log }, 109)).toEqual(INDEX_WRONG)
  })

  it('but not for what only its CRC tells, or the end of a torn batch: the check finds that', () => {
    for (const last of [broken(third), third.subarray(0, 61), third.subarray(0, -1)]) {
      const log = Buffer.concat([first, second, last])
      expect(startOf({ log }, 109)).toMatchObject({ start: { sizeBytes: positions[2] } })
    }
  })

  it('where a torn batch at the last entry has an offset that no number holds', () => {
    const torn = Buffer.from(third.subarray(0, 70))
    torn.writeUInt32BE(0x20_0000, 0)
    expect(startOf({ log: Buffer.concat([first, second, torn]) }, 109)).toEqual(INDEX_WRONG)
  })

  it('never for the largest offsets there are', () => {
    // Nothing but the offset of the first batch tells them from small ones: it is not compared.
    const large = Buffer.from(first)
    large.writeUInt32BE(0x1f_ffff, 0)
    const log = Buffer.concat([large, second, third])
    expect(startOf({ log }, 109)).toMatchObject({ isIndexWrong: false })
  })
})
