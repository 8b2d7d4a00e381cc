/**
 * SegmentScan: what it admits to a segment, and what it says of the first batch that is not whole.
 */
import { describe, expect, it } from 'vitest'
import { LeaderEpochs } from '../../src/log/leader-epochs.ts'
import { uncheckedContents } from '../../src/log/recovery-start.ts'
import { UNREADABLE } from '../../src/log/sector-reads.ts'
import { type ScanExpectation, SegmentScan } from '../../src/log/segment-scan.ts'
import { fileFailure, systemError } from '../../src/storage/file-failure.ts'
import { Segment } from '../../src/storage/segment.ts'
import { emptyContents } from '../../src/storage/segment-contents.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { batchOf, broken, turnsOf } from './stored-batches.ts'
import { overwrite, segmentFile } from './tampering.ts'

const SETTINGS = { indexIntervalBytes: 0, segmentBytes: 1 << 30, preallocate: false }
const PIECE = 4_096

interface Scanned {
  readonly segment: Segment
  readonly scan: SegmentScan
  readonly expected: ScanExpectation
}

function scanOf(...parts: readonly Buffer[]): Scanned {
  const driver = new FaultDriver()
  driver.createDirectory('t-0')
  const log = Buffer.concat(parts)
  overwrite(driver, segmentFile(0), log)
  const place = { driver, directory: 't-0', baseOffset: 0 }
  const segment = Segment.open(place, SETTINGS, uncheckedContents(0, log.length))
  segment.rewind(emptyContents(0))
  const expected = {
    nextOffset: 0,
    isGapless: true,
    startsBelow: Infinity,
    epochs: LeaderEpochs.load(driver, 't-0'),
  }
  return { segment, scan: new SegmentScan(segment, log.length), expected }
}

const first = batchOf({ baseOffset: 0, recordCount: 2, timestamp: 70, leaderEpoch: 1 })
const second = batchOf({ baseOffset: 2, timestamp: 60, leaderEpoch: 1 })
const third = batchOf({ baseOffset: 3, timestamp: 80, leaderEpoch: 4 })

describe('a scan of a segment', () => {
  it('admits what is whole, and learns which epochs were used', () => {
    const { segment, scan, expected } = scanOf(first, second, third)
    expect(turnsOf(scan.run(expected))).toEqual({ result: { kind: 'whole' }, turns: 0 })
    expect(expected.nextOffset).toBe(4)
    expect(segment.contents).toEqual({
      sizeBytes: first.length + second.length + third.length,
      nextOffset: 4,
      largestTimestamp: 80,
      offsetOfLargestTimestamp: 3,
      firstTimestamp: 70,
      recordCount: 4,
      abortedCount: null,
      abortedCrc: 0,
    })
    expect(expected.epochs.latest).toBe(4)
    expected.epochs.truncateTo(3)
    expect(expected.epochs.latest).toBe(1)
    expected.epochs.truncateTo(0)
    expect(expected.epochs.latest).toBe(-1)
  })

  it('ends where nothing but zeros follows', () => {
    for (const zeros of [1, 60, 61, 70_000]) {
      const { segment, scan, expected } = scanOf(first, Buffer.alloc(zeros))
      expect(turnsOf(scan.run(expected)).result).toEqual({ kind: 'whole' })
      expect(segment.sizeBytes).toBe(first.length)
    }
  })

  it('says that zeros are bad where something follows them', () => {
    const { scan, expected } = scanOf(first, Buffer.alloc(70_000), Buffer.from([1]))
    expect(turnsOf(scan.run(expected)).result).toEqual({
      kind: 'bad',
      position: first.length,
      offset: 2,
      reason: 'zeros',
    })
  })

  it('says where the first bad batch is, and what it should have held', () => {
    const { segment, scan, expected } = scanOf(first, broken(second), third)
    const bad = { kind: 'bad', position: first.length, offset: 2 }
    expect(turnsOf(scan.run(expected)).result).toEqual({ ...bad, reason: 'crc' })
    expect([segment.nextOffset, segment.sizeBytes]).toEqual([2, first.length])
    const gap = scanOf(first, third)
    expect(turnsOf(gap.scan.run(gap.expected)).result).toEqual({ ...bad, reason: 'gap' })
  })

  it('lets others have their turn after some megabytes', () => {
    const large = [0, 1, 2, 3].map((baseOffset) => batchOf({ baseOffset, valueBytes: 3 << 20 }))
    const { scan, expected } = scanOf(...large)
    expect(turnsOf(scan.run(expected))).toEqual({ result: { kind: 'whole' }, turns: 2 })
  })

  it('tells where a whole batch starts again, and has the bytes up to there', () => {
    const { scan } = scanOf(first, broken(second), third)
    const bad = { position: first.length, offset: 2, below: 9, knownEnd: 0 }
    const found = first.length + second.length
    expect(turnsOf(scan.findBatch(bad)).result).toBe(found)
    expect(scan.copy(first.length, second.length).equals(broken(second))).toBe(true)
    // The last byte of all is a zero.
    expect(turnsOf(scan.endOfContent(0)).result).toBe(found + third.length - 1)
  })

  it('goes on from where the segment ends', () => {
    const { segment, scan, expected } = scanOf(first, broken(second), third)
    turnsOf(scan.run(expected))
    segment.skipDamageTo(first.length + second.length)
    expected.nextOffset = 3
    expect(turnsOf(scan.run(expected)).result).toEqual({ kind: 'whole' })
    expect(expected.nextOffset).toBe(4)
    expect(segment.recordCount).toBeNull()
  })
})

describe('a scan over what the device cannot read', () => {
  const large = batchOf({ baseOffset: 2, valueBytes: 3 * PIECE })

  function scanWithBad(piece: number, ...parts: readonly Buffer[]): Scanned {
    const scanned = scanOf(...parts)
    const { segment } = scanned
    const read = segment.read.bind(segment)
    segment.read = (target, start, byteLength, position) => {
      if (position < (piece + 1) * PIECE && position + byteLength > piece * PIECE) {
        throw fileFailure('read', 'file', systemError('EIO', 'a bad sector'))
      }
      return read(target, start, byteLength, position)
    }
    const fileBytes = Buffer.concat(parts).length
    return { ...scanned, scan: new SegmentScan(segment, fileBytes) }
  }

  it('says so of a batch that lies in it, at its start, within and at its end', () => {
    for (const piece of [0, 1, 2, 3]) {
      const { scan, expected } = scanWithBad(piece, large, third)
      expected.nextOffset = 2
      expect(turnsOf(scan.run(expected)).result).toEqual({
        kind: 'bad',
        position: 0,
        offset: 2,
        reason: UNREADABLE,
      })
    }
  })

  it('does not take what reads as zeros for what was never written', () => {
    const filler = batchOf({ baseOffset: 0, valueBytes: PIECE - 70 })
    const rest = Buffer.alloc(3 * PIECE - filler.length)
    const { scan, expected } = scanWithBad(2, filler, rest)
    expect(turnsOf(scan.run(expected)).result).toMatchObject({
      kind: 'bad',
      position: filler.length,
    })
  })

  it('says what else is wrong of one that lies before it', () => {
    const { scan, expected } = scanWithBad(3, broken(first), Buffer.alloc(4 * PIECE))
    expect(turnsOf(scan.run(expected)).result).toMatchObject({ position: 0, reason: 'crc' })
    expect(scan.isLost(0, 2 * PIECE)).toBe(false)
    expect(scan.isLost(0, 4 * PIECE)).toBe(true)
  })
})
