/**
 * SectorReads over a file of which some pieces cannot be read: everything else can,
 * and what was lost is known.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { SectorReads } from '../../src/log/sector-reads.ts'
import { fileFailure, systemError } from '../../src/storage/file-failure.ts'
import { BufferLog, patternOf } from './stored-batches.ts'

const PIECE = 4_096

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
