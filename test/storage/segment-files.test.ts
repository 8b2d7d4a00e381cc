/** The files of a segment that was found sealed: opened when they are used, if they are those. */
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { errorCodeOf } from '../../src/storage/file-failure.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { Segment, type SegmentSettings } from '../../src/storage/segment.ts'
import type { BatchBytes } from '../../src/storage/segment-contents.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const SETTINGS: SegmentSettings = {
  indexIntervalBytes: 0,
  preallocate: false,
  segmentBytes: 1_000_000,
}
const LOG = 't-0/00000000000000000100.log'
const BATCH_BYTES = 80

function batchAt(lastOffset: number): BatchBytes {
  const buffer = Buffer.alloc(BATCH_BYTES, lastOffset)
  const sizes = { start: 0, sizeBytes: BATCH_BYTES, recordCount: 1 }
  return { buffer, lastOffset, maxTimestamp: lastOffset, ...sizes }
}

/** A sealed segment of two batches and an aborted transaction, and what was opened of it since. */
function found(driver: StorageDriver): {
  readonly segment: Segment
  readonly opened: () => unknown
} {
  const place = { driver, directory: 't-0', baseOffset: 100 }
  driver.createDirectory('t-0')
  const made = Segment.create(place, SETTINGS)
  made.append(batchAt(100))
  made.append(batchAt(105))
  made.addAborted({ producerId: 1, firstOffset: 100, lastOffset: 105, lastStableOffset: 106 })
  made.seal()
  const { contents } = made
  made.close()
  const segment = Segment.openSealed(place, SETTINGS, contents, driver.status(LOG)?.fileId)
  expect(segment.contents).toEqual(contents)
  const calls = vi.spyOn(driver, 'openFile')
  return { segment, opened: () => calls.mock.calls.map(([path]) => path.slice(path.indexOf('.'))) }
}

function onDisk(): { readonly driver: StorageDriver; readonly log: string } {
  const directory = temporaryDirectory()
  const driver = openDiskDriver(directory)
  onTestFinished(() => driver.close())
  driver.createDirectory('')
  return { driver, log: join(directory, LOG) }
}

function causeOf(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return LogError.is(error, 'IO') ? errorCodeOf(error.cause) : error
  }
  return 'nothing'
}

function readAll(segment: Segment): number {
  return segment.read(Buffer.alloc(1_000), 0, 1_000, 0)
}

describe('a segment that was found sealed', () => {
  it('opens no file for what is known of it, and each once when it is used', () => {
    const { segment, opened } = found(openMemoryDriver())
    const { sizeBytes, nextOffset, largestTimestamp, isSealed, logPath, areIndexesUnflushed } =
      segment
    expect({ sizeBytes, nextOffset, largestTimestamp, isSealed, logPath }).toEqual({
      sizeBytes: 2 * BATCH_BYTES,
      nextOffset: 106,
      largestTimestamp: 105,
      isSealed: true,
      logPath: LOG,
    })
    expect(areIndexesUnflushed).toBe(false)
    expect(opened()).toEqual([])
    expect([readAll(segment), readAll(segment)]).toEqual([2 * BATCH_BYTES, 2 * BATCH_BYTES])
    expect(opened()).toEqual(['.log'])
    expect(segment.needsIndexRebuild).toBe(false)
    expect(segment.offsetIndex.slotCount).toBe(1)
    expect(segment.aborted.entries).toHaveLength(1)
    expect(opened()).toEqual(['.log', '.index', '.timeindex', '.txnindex'])
  })

  it('has nothing to flush before its indexes are used', async () => {
    const { segment, opened } = found(openMemoryDriver())
    await segment.flushIndexes()
    await segment.flushIndexBytes()
    expect(opened()).toEqual([])
  })

  it('is closed without having been opened, and is not read then', () => {
    const { segment, opened } = found(openMemoryDriver())
    segment.close()
    segment.close()
    expect(() => readAll(segment)).toThrow(InvariantError)
    expect(opened()).toEqual([])
  })

  it('is never another file that has its name by now, nor one that is gone', () => {
    const { driver, log } = onDisk()
    const { segment } = found(driver)
    fs.writeFileSync(`${log}.other`, fs.readFileSync(log))
    fs.renameSync(log, `${log}.kept`)
    expect(causeOf(() => readAll(segment))).toBe('ENOENT')
    fs.renameSync(`${log}.other`, log)
    expect(causeOf(() => readAll(segment))).toBe('ESTALE')
    fs.renameSync(`${log}.kept`, log)
    expect(readAll(segment)).toBe(2 * BATCH_BYTES)
  })
})
