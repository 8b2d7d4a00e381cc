/**
 * SectorReads and LogWindow over a file of which some pieces cannot be read: everything else can,
 * and what was lost is known.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { LogWindow } from '../../src/log/log-window.ts'
import { SectorReads } from '../../src/log/sector-reads.ts'
import { fileFailure, systemError } from '../../src/storage/file-failure.ts'
import { BufferLog } from './stored-batches.ts'

const PIECE = 4_096
const MIB = 1_048_576

/** No zeros, and no piece like another one. */
function patternOf(byteLength: number): Buffer {
  return Buffer.from(
    Array.from({ length: byteLength }, (_, at) => 1 + ((at * 7 + (at >>> 8)) % 255)),
  )
}

/** `bytes` with zeros where these pieces are. */
function without(bytes: Buffer, pieces: readonly number[]): Buffer {
  const copy = Buffer.from(bytes)
  for (const piece of pieces) copy.subarray(piece * PIECE, (piece + 1) * PIECE).fill(0)
  return copy
}

describe('reads around bad sectors', () => {
  const bytes = patternOf(6 * PIECE + 100)

  it.each([[[0]], [[1]], [[2, 3]], [[5]], [[6]], [[0, 6]]])(
    'give all but the pieces %j',
    (badPieces) => {
      const expected = without(bytes, badPieces)
      for (const [position, byteLength] of [
        [0, bytes.length],
        [0, bytes.length + 500],
        [100, 5 * PIECE],
        [PIECE, PIECE],
        [PIECE - 1, 2],
        [2 * PIECE + 5, 10],
      ] as const) {
        const log = new BufferLog(bytes)
        for (const piece of badPieces) log.badPieces.add(piece)
        const target = Buffer.alloc(byteLength + 20, 0xee)
        const read = new SectorReads(log).read(target, 10, byteLength, position)
        const wanted = expected.subarray(position, position + byteLength)
        expect(read).toBeGreaterThanOrEqual(wanted.length)
        expect(target.subarray(10, 10 + wanted.length).equals(wanted)).toBe(true)
        expect(target.subarray(0, 10).equals(Buffer.alloc(10, 0xee))).toBe(true)
        expect(target.subarray(10 + read).every((byte) => byte === 0xee)).toBe(true)
      }
    },
  )

  it('stop at the end of the file', () => {
    const log = new BufferLog(bytes)
    log.badPieces.add(1)
    const sectors = new SectorReads(log)
    const target = Buffer.alloc(bytes.length + 3 * PIECE)
    expect(sectors.read(target, 0, target.length, 0)).toBe(bytes.length)
    // Nothing is asked for behind the piece that ended early.
    expect(log.reads.at(-1)).toEqual({ position: 6 * PIECE, byteLength: PIECE })
  })

  it('are one read where nothing is bad', () => {
    const log = new BufferLog(bytes)
    const sectors = new SectorReads(log)
    expect(sectors.read(Buffer.alloc(bytes.length), 0, bytes.length, 0)).toBe(bytes.length)
    expect(log.reads).toHaveLength(1)
    expect(sectors.isLost(0, bytes.length)).toBe(false)
  })

  it('know which pieces were lost, as far as they were tried', () => {
    const log = new BufferLog(bytes)
    log.badPieces.add(1)
    log.badPieces.add(4)
    const sectors = new SectorReads(log)
    sectors.read(Buffer.alloc(100), 0, 100, PIECE + 50)
    expect(sectors.isLost(0, PIECE)).toBe(false)
    expect(sectors.isLost(0, PIECE + 1)).toBe(true)
    expect(sectors.isLost(PIECE, PIECE + 1)).toBe(true)
    expect(sectors.isLost(2 * PIECE - 1, 2 * PIECE)).toBe(true)
    expect(sectors.isLost(2 * PIECE, bytes.length)).toBe(false)
    sectors.read(Buffer.alloc(bytes.length), 0, bytes.length, 0)
    expect(sectors.isLost(2 * PIECE, bytes.length)).toBe(true)
    expect(sectors.isLost(5 * PIECE, bytes.length)).toBe(false)
    expect(sectors.isLost(3 * PIECE, 3 * PIECE)).toBe(false)
  })

  it.each([
    [
      'an error that is not of the device',
      fileFailure('read', 'f', systemError('EBADF', 'closed')),
    ],
    ['another LogError', new LogError('CLOSED', 'closed', { what: 'log' })],
    ['an error that is none of ours', systemError('EIO', 'not wrapped')],
  ])('pass on %s', (_, failure) => {
    const log = new BufferLog(bytes)
    log.failure = failure
    expect(() => new SectorReads(log).read(Buffer.alloc(9), 0, 9, 0)).toThrow(failure)
    // The same in the second try, by pieces.
    const later = new BufferLog(bytes)
    later.badPieces.add(0)
    const read = later.read.bind(later)
    later.read = (...call) => {
      if (later.reads.length > 0) later.failure = failure
      return read(...call)
    }
    expect(() => new SectorReads(later).read(Buffer.alloc(9), 0, 9, 0)).toThrow(failure)
  })
})

describe('a window over a log', () => {
  const bytes = patternOf(2.5 * MIB)

  function seen(window: LogWindow, position: number, byteLength: number): Buffer {
    const at = window.at(position, byteLength)
    return window.buffer.subarray(at, Math.min(at + byteLength, window.end))
  }

  it('reads a megabyte at a time, and each but once on the way to the end', () => {
    const log = new BufferLog(bytes)
    const window = new LogWindow(log, bytes.length)
    for (let position = 0; position < bytes.length; position += 1_000) {
      const wanted = bytes.subarray(position, position + 1_000)
      expect(seen(window, position, 1_000).equals(wanted)).toBe(true)
    }
    expect(log.reads).toHaveLength(3)
    expect(log.reads.every(({ byteLength }) => byteLength <= MIB)).toBe(true)
  })

  it('holds what was asked for last, whatever else was asked for', () => {
    const log = new BufferLog(bytes)
    const window = new LogWindow(log, bytes.length)
    for (const [position, byteLength] of [
      [MIB, 10],
      [MIB - 1, 10],
      [0, 10],
      [0, 2 * MIB],
      [MIB, MIB],
      [2 * MIB, 10],
      [bytes.length - 5, 10],
      [5, 10],
    ] as const) {
      const wanted = bytes.subarray(position, position + byteLength)
      expect(seen(window, position, byteLength).equals(wanted)).toBe(true)
    }
  })

  it('goes no further than it was told the file goes', () => {
    const log = new BufferLog(bytes)
    const window = new LogWindow(log, 100)
    expect(seen(window, 90, 50)).toHaveLength(10)
    expect(seen(window, 100, 50)).toHaveLength(0)
    expect(seen(window, 400, 50)).toHaveLength(0)
    expect(log.reads.every(({ position, byteLength }) => position + byteLength <= 100)).toBe(true)
    expect(log.reads.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(10)
  })

  it('keeps its buffer while it is large enough, and lets a huge one go', () => {
    const log = new BufferLog(Buffer.alloc(8 * MIB))
    const window = new LogWindow(log, 8 * MIB)
    window.at(0, 10)
    const { buffer } = window
    expect(buffer).toHaveLength(MIB)
    window.at(MIB, 10)
    expect(window.buffer).toBe(buffer)
    window.at(0, 4 * MIB)
    const wide = window.buffer
    window.at(5 * MIB, 10)
    expect(window.buffer).toBe(wide)
    window.at(0, 5 * MIB)
    window.at(6 * MIB, 10)
    expect(window.buffer).toHaveLength(MIB)
  })
})
