/**
 * Segments that another process writes: opened where a walk may start, filled and sealed in memory,
 * and not a byte of them changed.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../../src/errors/log-error.ts'
import {
  OFFSET_INDEX_ENTRY_BYTES,
  writeOffsetIndexEntry,
} from '../../../src/format/offset-index-entry.ts'
import { rebuildIndexes } from '../../../src/log/index-rebuild.ts'
import { followActive, followSealed } from '../../../src/log/follow/segment-opening.ts'
import { errorCodeOf } from '../../../src/storage/file-failure.ts'
import { Segment } from '../../../src/storage/segment.ts'
import type { SegmentPlace } from '../../../src/storage/segment-indexes.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { summaryOfBatch } from '../../../src/log/batch-summary.ts'
import { batchOf } from '../stored-batches.ts'
import { bytesOf, overwrite, segmentFile } from '../tampering.ts'

const BASE = 100
const SETTINGS = { indexIntervalBytes: 200, segmentBytes: 1 << 20, preallocate: true }
const COUNT = 60
const WHOLE = { below: Infinity, trustsIndexes: true }

/** Ever later, but for the third: nothing behind it is as late before the twentieth. */
const BATCHES = Array.from({ length: COUNT }, (_, at) =>
  batchOf({ baseOffset: BASE + 2 * at, recordCount: 2, timestamp: at === 2 ? 20 : at }),
)

interface Written {
  /** Of the process that follows. */
  readonly driver: FaultDriver
  readonly place: SegmentPlace
  /** Of the process that writes, on the same disk. */
  readonly writing: FaultDriver
  readonly writer: Segment
}

/** A segment with the first `count` batches, as a writer has it open. */
function written(count: number): Written {
  const writing = new FaultDriver()
  writing.createDirectory('t-0')
  const place = { driver: writing, directory: 't-0', baseOffset: BASE }
  const writer = Segment.create(place, SETTINGS)
  append(writer, 0, count)
  const driver = new FaultDriver(writing.machine)
  return { driver, place: { ...place, driver }, writing, writer }
}

function append(writer: Segment, from: number, to: number): void {
  for (const buffer of BATCHES.slice(from, to)) {
    writer.append({ buffer, start: 0, ...summaryOfBatch(buffer, 0) })
  }
}

/** Admits what is in the file behind the segment's end, up to batch number `count`. */
function walk(segment: Segment, count: number): void {
  for (const batch of BATCHES.slice(0, count)) {
    const summary = summaryOfBatch(batch, 0)
    if (summary.lastOffset < segment.nextOffset) continue
    const read = Buffer.alloc(batch.length)
    expect(segment.read(read, 0, read.length, segment.sizeBytes)).toBe(read.length)
    expect(read.equals(batch)).toBe(true)
    segment.admit(summary)
  }
}

function entriesOf({ offsetIndex, timeIndex }: Segment): unknown {
  const offsets = Array.from({ length: offsetIndex.slotCount }, (_, slot) => [
    offsetIndex.offsetOfSlot(slot),
    offsetIndex.positionOfSlot(slot),
  ])
  const times = Array.from({ length: COUNT }, (_, at) => timeIndex.floor(at))
  return { offsets, times, slots: timeIndex.slotCount }
}

/** Every byte of the directory, to be compared. */
function filesOf(driver: FaultDriver): Record<string, string> {
  const names = driver.list('t-0')
  return Object.fromEntries(
    names.map((name) => [name, bytesOf(driver, `t-0/${name}`).toString('hex')]),
  )
}

function spoil(driver: FaultDriver, index: Buffer): void {
  overwrite(driver, segmentFile(BASE, '.index'), index)
}

/** An index file that says that batch number `batch` lies where number `at` does. */
function entryOf(batch: number, at: number): Buffer {
  const bytes = Buffer.alloc(OFFSET_INDEX_ENTRY_BYTES)
  const position = Buffer.concat(BATCHES.slice(0, at)).length
  writeOffsetIndexEntry(new DataView(bytes.buffer, bytes.byteOffset), 0, 2 * batch + 1, position)
  return bytes
}

/** From now on a call that changes anything fails the test. */
function forbidChanges(driver: FaultDriver): void {
  driver.onCall = ({ action, path }) => {
    throw new Error(`${action} ${path}: a follower changes nothing`)
  }
}

describe('an active segment that is followed', () => {
  it('starts at the last index entry, and comes to the indexes of its writer by admitting', () => {
    const { driver, place, writer } = written(COUNT)
    writer.writeIndexes()
    const before = filesOf(driver)
    forbidChanges(driver)
    const followed = followActive(place, SETTINGS, WHOLE)
    expect(followed.sizeBytes).toBe(writer.offsetIndex.lastIndexedPosition)
    expect(followed.firstTimestamp).toBe(0)
    walk(followed, COUNT)
    expect(entriesOf(followed)).toEqual(entriesOf(writer))
    const { sizeBytes, nextOffset, largestTimestamp } = writer
    expect(followed).toMatchObject({ sizeBytes, nextOffset, largestTimestamp, isSealed: false })
    followed.close()
    expect(filesOf(driver)).toEqual(before)
  })

  it('goes on admitting while its writer appends, whatever becomes of the index files', () => {
    const { driver, place, writer } = written(20)
    writer.writeIndexes()
    const followed = followActive(place, SETTINGS, WHOLE)
    walk(followed, 20)
    append(writer, 20, 40)
    walk(followed, 40)
    append(writer, 40, COUNT)
    writer.writeIndexes()
    walk(followed, COUNT)
    expect(entriesOf(followed)).toEqual(entriesOf(writer))
    expect(driver.files.size).toBe(1) // The .log: index files are read, and closed.
  })

  it.each([1, 2, 7, 19, 33, COUNT])('keeps no entry at or behind offset %i batches in', (count) => {
    const { place, writer } = written(COUNT)
    writer.writeIndexes()
    const below = BASE + 2 * count
    const followed = followActive(place, SETTINGS, { ...WHOLE, below })
    const { slotCount } = followed.offsetIndex
    expect(followed.nextOffset).toBeLessThan(below)
    expect(slotCount === 0 || followed.offsetIndex.offsetOfSlot(slotCount - 1) < below).toBe(true)
    walk(followed, count)
    const alone = written(count).writer
    expect(entriesOf(followed)).toEqual(entriesOf(alone))
    expect(followed.largestTimestamp).toBe(alone.largestTimestamp)
  })

  it.each([
    ['are missing', (driver: FaultDriver) => driver.unlink(segmentFile(BASE, '.index'))],
    ['miss the times', (driver: FaultDriver) => driver.unlink(segmentFile(BASE, '.timeindex'))],
    ['are noise', async (driver: FaultDriver) => spoil(driver, Buffer.alloc(48, 7))],
    ['name other batches', async (driver: FaultDriver) => spoil(driver, entryOf(3, 17))],
    ['end in half an entry', async (driver: FaultDriver) => spoil(driver, Buffer.alloc(5))],
  ])('is walked from its start where its indexes %s', async (_, harm) => {
    const { driver, place, writer } = written(COUNT)
    writer.writeIndexes()
    await harm(driver)
    const before = filesOf(driver)
    forbidChanges(driver)
    const followed = followActive(place, SETTINGS, WHOLE)
    expect(followed).toMatchObject({ sizeBytes: 0, nextOffset: BASE, largestTimestamp: -1 })
    walk(followed, COUNT)
    expect(entriesOf(followed)).toEqual(entriesOf(writer))
    expect(followed.recordCount).toBe(2 * COUNT)
    expect(filesOf(driver)).toEqual(before)
  })

  it('is walked from its start where its indexes may be of another boot', () => {
    const { place, writer } = written(COUNT)
    writer.writeIndexes()
    const followed = followActive(place, SETTINGS, { below: Infinity, trustsIndexes: false })
    expect([followed.sizeBytes, followed.offsetIndex.slotCount]).toEqual([0, 0])
  })

  it('finds every time that an entry of the offset index stands for, wherever its writer is', () => {
    // The writer stops between any two of its calls: the time index must never be behind.
    for (let stop = 0; stop < 2; stop++) {
      const { place, writing, writer } = written(COUNT)
      let calls = 0
      writing.onCall = ({ action }) => (action === 'write' && calls++ >= stop ? 'EIO' : undefined)
      expect(() => writer.writeIndexes()).toThrow(LogError)
      const followed = followActive(place, SETTINGS, WHOLE)
      walk(followed, COUNT)
      expect(entriesOf(followed)).toEqual(entriesOf(writer))
    }
  })

  it('is sealed in memory: its file keeps what is preallocated, its indexes are as they are', () => {
    const { driver, place, writer } = written(COUNT)
    const before = filesOf(driver)
    forbidChanges(driver)
    const followed = followActive(place, SETTINGS, WHOLE)
    walk(followed, COUNT)
    followed.seal()
    expect(followed).toMatchObject({ isSealed: true, areIndexesUnflushed: false })
    expect(filesOf(driver)).toEqual(before)
    writer.seal()
    expect(entriesOf(followed)).toEqual(entriesOf(writer))
  })

  it('is rebuilt in memory where an entry turns out to be false', () => {
    const { driver, place, writer } = written(COUNT)
    writer.writeIndexes()
    const followed = followActive(place, SETTINGS, WHOLE)
    walk(followed, COUNT)
    forbidChanges(driver)
    rebuildIndexes(followed)
    expect(entriesOf(followed)).toEqual(entriesOf(writer))
    expect(followed.sizeBytes).toBe(writer.sizeBytes)
  })

  it('is what it was where a rebuild fails, and is rebuilt before it is used again', () => {
    const { driver, place, writer } = written(COUNT)
    writer.writeIndexes()
    const followed = followActive(place, SETTINGS, WHOLE)
    walk(followed, 30)
    const { sizeBytes, nextOffset } = followed
    driver.machine.faults.inject({ fault: 'EIO', action: 'read', path: /\.log$/ })
    expect(() => rebuildIndexes(followed)).toThrow(LogError)
    expect(followed).toMatchObject({ sizeBytes, nextOffset, needsIndexRebuild: true })
    rebuildIndexes(followed)
    walk(followed, COUNT)
    expect(entriesOf(followed)).toEqual(entriesOf(writer))
  })

  it('that is gone is IO with cause ENOENT, and leaves nothing open', () => {
    const { driver, place } = written(1)
    const gone = { ...place, baseOffset: 7 }
    let thrown: unknown
    try {
      followActive(gone, SETTINGS, WHOLE)
    } catch (error) {
      thrown = error
    }
    expect(LogError.is(thrown, 'IO') && errorCodeOf(thrown.cause)).toBe('ENOENT')
    expect(driver.files.size).toBe(0)
  })
})

describe('a sealed segment that is followed', () => {
  /** As a reader has it, with what it may cost to open. */
  function followedAt(count: number): Written & { readonly followed: Segment } {
    const made = written(count)
    made.writer.seal()
    forbidChanges(made.driver)
    const { sizeBytes, nextOffset } = made.writer
    const followed = followSealed(made.place, SETTINGS, { sizeBytes, nextOffset })
    return { ...made, followed }
  }

  it('costs no read at its open, and a few when its largest timestamp is asked for', () => {
    const { driver, writer, followed } = followedAt(COUNT)
    driver.machine.calls = []
    const { sizeBytes, nextOffset } = writer
    expect(followed).toMatchObject({ sizeBytes, nextOffset, isSealed: true, recordCount: null })
    expect(driver.machine.calls).toEqual([])
    expect(followed.largestTimestamp).toBe(COUNT - 1)
    const readBytes = driver.machine.calls.filter(({ action }) => action === 'read')
    expect(readBytes.length).toBeLessThanOrEqual(5)
    driver.machine.calls = []
    expect(followed.largestTimestamp).toBe(COUNT - 1)
    expect(driver.machine.calls).toEqual([])
    expect(entriesOf(followed)).toEqual(entriesOf(writer))
  })

  it.each([1, 2, 3, 10, 22, COUNT])('knows the largest timestamp of %i batches', (count) => {
    const { writer, followed } = followedAt(count)
    expect(followed.largestTimestamp).toBe(writer.largestTimestamp)
    expect(followed.contents).toMatchObject({ abortedCount: null })
  })

  it.each(['.index', '.timeindex'] as const)(
    'finds it without its %s, or a part',
    async (suffix) => {
      for (const keptBytes of [-1, 0, 3, 24]) {
        const { driver, place, writer } = written(COUNT)
        writer.seal()
        const path = segmentFile(BASE, suffix)
        const bytes = bytesOf(driver, path)
        if (keptBytes < 0) await driver.unlink(path)
        else overwrite(driver, path, bytes.subarray(0, keptBytes))
        const before = filesOf(driver)
        forbidChanges(driver)
        const { sizeBytes, nextOffset, largestTimestamp } = writer
        const followed = followSealed(place, SETTINGS, { sizeBytes, nextOffset })
        // A part of the times without the entries offered with them is no writer's.
        const isForeign = suffix === '.timeindex' && keptBytes === 24
        if (!isForeign) expect(followed.largestTimestamp).toBe(largestTimestamp)
        expect(filesOf(driver)).toEqual(before)
        followed.close()
      }
    },
  )

  it('is asked again for what could not be read', () => {
    const { driver, followed } = followedAt(COUNT)
    driver.machine.faults.inject({ fault: 'EMFILE', action: 'open' })
    expect(() => followed.largestTimestamp).toThrow(LogError)
    expect(followed.largestTimestamp).toBe(COUNT - 1)
  })

  it('tells nothing of aborted transactions, and reads no file for it', () => {
    const { driver, followed } = followedAt(COUNT)
    driver.machine.calls = []
    expect(followed.aborted.entries).toEqual([])
    expect(followed.aborted.knownFrom).toBe(Infinity)
    expect(driver.machine.calls).toEqual([])
  })
})
