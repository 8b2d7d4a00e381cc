/**
 * LogWindow: whatever is asked for is there, up to the end of the file, and each megabyte is read
 * but once on the way.
 */
import { describe, expect, it } from 'vitest'
import { LogWindow } from '../../src/log/log-window.ts'
import { BufferLog, patternOf } from './stored-batches.ts'

const MIB = 1_048_576

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
