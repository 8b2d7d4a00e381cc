/**
 * Room kept behind the batches of a segment: it is there when the disk is full, whether anything is
 * preallocated or not, and stays there when a batch in front of it fails. And what an append that
 * failed says of what a crash may bring back.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { BatchBytes } from '../../src/storage/segment-contents.ts'
import { Segment } from '../../src/storage/segment.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { bytesOf } from '../log/tampering.ts'

const MARKER_BYTES = 78
const PATH = 't-0/00000000000000000000.log'

/** A segment on a disk whose room is told. */
class Space {
  readonly driver: FaultDriver = new FaultDriver()
  readonly segment: Segment
  #nextOffset = 0

  constructor(preallocate: boolean) {
    this.driver.createDirectory('t-0')
    const settings = { preallocate, segmentBytes: 1 << 20, indexIntervalBytes: 4_096 }
    this.segment = Segment.create(
      { driver: this.driver, directory: 't-0', baseOffset: 0 },
      settings,
    )
  }

  append(byteLength: number, reservedBytes = 0): void {
    this.segment.append(batchOf(byteLength, this.#nextOffset), reservedBytes)
    this.#nextOffset += 1
  }

  /** Nothing more than this fits on the disk. */
  leave(freeBytes: number): void {
    const { machine } = this.driver
    machine.tree.measure()
    machine.capacityBytes = machine.tree.usedBytes + freeBytes
  }

  /** Appends as `append`; the code of its error, or nothing. */
  codeOf(byteLength: number, reservedBytes: number): string | undefined {
    try {
      this.append(byteLength, reservedBytes)
      return undefined
    } catch (error) {
      return LogError.is(error) ? error.code : String(error)
    }
  }

  get bytes(): Buffer {
    return bytesOf(this.driver, PATH)
  }
}

function batchOf(sizeBytes: number, lastOffset: number): BatchBytes {
  const buffer = Buffer.alloc(sizeBytes + 3, 0xab)
  return { buffer, start: 3, sizeBytes, lastOffset, maxTimestamp: 5, recordCount: 1 }
}

describe.each([true, false])('room behind batches, preallocated: %s,', (preallocate) => {
  it('is there for as many markers as it was kept for when the disk is full', () => {
    const space = new Space(preallocate)
    space.append(500, 3 * MARKER_BYTES)
    space.leave(0)
    for (let left = 2; left >= 0; left -= 1) space.append(MARKER_BYTES, left * MARKER_BYTES)
    expect(space.segment.sizeBytes).toBe(500 + 3 * MARKER_BYTES)
  })

  it('is kept without a batch, or refused where there is none', () => {
    const space = new Space(preallocate)
    space.append(500)
    space.leave(0)
    // What was preallocated is room as well.
    if (!preallocate) expect(() => space.segment.reserve(MARKER_BYTES)).toThrow(LogError)
    space.leave(MARKER_BYTES)
    space.segment.reserve(MARKER_BYTES)
    space.leave(0)
    space.append(MARKER_BYTES)
    expect(space.segment.sizeBytes).toBe(500 + MARKER_BYTES)
  })

  it('is no room for batches that nothing was kept for', () => {
    const space = new Space(preallocate)
    space.append(500, MARKER_BYTES)
    space.leave(0)
    let appended = 0
    while (appended < 10_000 && space.codeOf(600, MARKER_BYTES) === undefined) appended += 1
    expect(appended).toBeLessThan(10_000)
    expect(space.codeOf(100_000, MARKER_BYTES)).toBe('NO_SPACE')
    const { sizeBytes } = space.segment
    expect(space.bytes.subarray(sizeBytes).every((byte) => byte === 0)).toBe(true)
    expect(space.bytes.length - sizeBytes).toBeGreaterThanOrEqual(MARKER_BYTES)
    space.append(MARKER_BYTES)
  })

  it.each(['EIO', 'ENOSPC'] as const)(
    'stays there when a batch in front of it fails with %s',
    (fault) => {
      const space = new Space(preallocate)
      space.append(500, 2 * MARKER_BYTES)
      space.driver.onCall = ({ action }) => (action === 'write' ? fault : undefined)
      expect(space.codeOf(40_000, 2 * MARKER_BYTES)).toBe(fault === 'EIO' ? 'IO' : 'NO_SPACE')
      space.driver.onCall = undefined
      space.leave(0)
      expect(space.bytes.subarray(500).every((byte) => byte === 0)).toBe(true)
      space.append(MARKER_BYTES, MARKER_BYTES)
      space.append(MARKER_BYTES)
      expect(space.segment.sizeBytes).toBe(500 + 2 * MARKER_BYTES)
    },
  )
})

describe('an append that failed', () => {
  /** Fails the write of the batch when `part` of it was taken. */
  function failedAppend(part: number, lastByte: number): unknown {
    const space = new Space(true)
    space.append(500)
    const batch = batchOf(300, 1)
    batch.buffer[batch.start + 299] = lastByte
    const file = space.driver.openFile(PATH, 'write')
    space.driver.onCall = ({ action }) => {
      if (action !== 'write') return undefined
      space.driver.onCall = undefined
      file.write(batch.buffer, batch.start, part, 500)
      return 'EIO'
    }
    try {
      space.segment.append(batch)
      return undefined
    } catch (error) {
      return error
    }
  }

  it.each([
    [0, 0xab],
    [150, 0xab],
    [299, 0xab],
  ])('is over when %i of its 300 bytes were taken', (part, lastByte) => {
    const error = failedAppend(part, lastByte)
    expect(LogError.is(error, 'IO') && error.details.outcome).toBeUndefined()
  })

  it.each([
    [300, 0xab],
    [299, 0],
  ])('may come back when %i of its 300 bytes were taken, and ends with %i', (part, lastByte) => {
    const error = failedAppend(part, lastByte)
    expect(LogError.is(error, 'IO') && error.details.outcome).toBe('unknown')
  })
})
