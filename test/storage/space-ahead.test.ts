/** The free end of a .log: how it grows, when it is zeroed, and that it always reads as zeros. */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { SpaceAhead } from '../../src/storage/space-ahead.ts'
import type { StorageFile } from '../../src/storage/storage-driver.ts'

const KIB = 1_024
const STRETCH = 256 * KIB

interface Write {
  readonly position: number
  readonly byteLength: number
}

/** A file over memory whose batches are 0xff, and whose writes are noted, or fail. */
class Space {
  readonly file: StorageFile = openMemoryDriver().openFile('a.log', 'create')
  readonly zeroed: Write[] = []
  failure: Error | undefined
  sizeBytes = 0
  readonly #ahead: SpaceAhead

  constructor(preallocate: boolean, segmentBytes: number = 1_073_741_824) {
    const { file } = this
    const noted = {
      path: file.path,
      get sizeBytes(): number {
        return file.sizeBytes
      },
      read: file.read.bind(file),
      resize: (sizeBytes: number) => file.resize(sizeBytes),
      write: this.#write,
    }
    this.#ahead = new SpaceAhead(noted, { preallocate, segmentBytes })
  }

  append(byteLength: number): void {
    const buffer = Buffer.alloc(byteLength, 0xff)
    const offsets = { lastOffset: 0, maxTimestamp: 0, recordCount: 1 }
    const batch = { buffer, start: 0, sizeBytes: byteLength, ...offsets }
    this.#ahead.write(batch, this.sizeBytes, 0)
    this.sizeBytes += byteLength
  }

  appendAndFlush(byteLength: number): void {
    this.append(byteLength)
    this.#ahead.flushed()
  }

  /** All of them behind the batches of then, and inside the file: else the write has thrown. */
  get zeroedBytes(): number {
    return this.zeroed.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  contents(): Buffer {
    const bytes = Buffer.alloc(this.file.sizeBytes)
    this.file.read(bytes, 0, bytes.length, 0)
    return bytes
  }

  readonly #write = (source: Uint8Array, start: number, byteLength: number, at: number): void => {
    if (at === this.sizeBytes && source[start] === 0xff) {
      this.file.write(source, start, byteLength, at)
      return
    }
    if (this.failure !== undefined) throw this.failure
    const isZero = source.subarray(start, start + byteLength).every((byte) => byte === 0)
    if (at < this.sizeBytes || at + byteLength > this.file.sizeBytes || !isZero) {
      throw new Error(`I1: ${byteLength} bytes written at ${at} of ${this.file.sizeBytes}`)
    }
    this.zeroed.push({ position: at, byteLength })
    this.file.write(source, start, byteLength, at)
  }
}

describe('the space ahead of the batches', () => {
  it('is zeroed a stretch at a time where flushes are frequent', () => {
    const space = new Space(true)
    for (let appended = 0; appended < 100; appended += 1) space.appendAndFlush(32 * KIB)
    // Nobody knows at first how often it is flushed; later stretches are zeroed before their use.
    const expected = 100 * 32 * KIB
    expect(space.zeroedBytes).toBeGreaterThan(0.8 * expected)
    expect(space.zeroedBytes).toBeLessThan(expected + STRETCH)
    for (const { position, byteLength } of space.zeroed) {
      expect(Math.floor(position / 65_536)).toBe(Math.floor((position + byteLength - 1) / 65_536))
    }
    const bytes = space.contents()
    expect(bytes.subarray(0, space.sizeBytes).every((byte) => byte === 0xff)).toBe(true)
    expect(bytes.subarray(space.sizeBytes).every((byte) => byte === 0)).toBe(true)
  })

  it('is left alone where flushes are rare, and where nothing is preallocated', () => {
    const rare = new Space(true)
    for (let appended = 0; appended < 100; appended += 1) {
      if (appended % 20 === 0) rare.appendAndFlush(32 * KIB)
      else rare.append(32 * KIB)
    }
    const never = new Space(false)
    for (let appended = 0; appended < 100; appended += 1) never.appendAndFlush(32 * KIB)
    expect([rare.zeroed, never.zeroed]).toEqual([[], []])
    expect(never.file.sizeBytes).toBe(never.sizeBytes)
  })

  it('never makes the file larger than its segment may get', () => {
    const space = new Space(true, 640 * KIB)
    for (let appended = 0; appended < 20; appended += 1) space.appendAndFlush(32 * KIB)
    expect([space.file.sizeBytes, space.sizeBytes]).toEqual([640 * KIB, 640 * KIB])
    expect(space.zeroedBytes).toBeGreaterThan(0)
  })

  it('fails no append because zeros could not be written', () => {
    const space = new Space(true)
    space.failure = new LogError('NO_SPACE', 'full', {})
    for (let appended = 0; appended < 40; appended += 1) space.appendAndFlush(32 * KIB)
    expect([space.sizeBytes, space.zeroed]).toEqual([40 * 32 * KIB, []])
  })
})
