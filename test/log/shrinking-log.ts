/**
 * A log of which segments go, or are replaced, while readers are in it, and readers that know what
 * they must be shown.
 */
import { expect, onTestFinished } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { baseOffsetOf, batchSizeBytesOf } from '../../src/format/record-batch.ts'
import type { LogCursor } from '../../src/log/log-cursor.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { SegmentRemoval } from '../../src/log/segment-removal.ts'
import type { BatchRun } from '../../src/log/tail.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { Segment } from '../../src/storage/segment.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import {
  offsetsOf,
  openLog,
  partitionOf,
  range,
  type ReadRecord,
  recordsOf,
  valueAt,
} from './open-log.ts'
import { appendSegments } from './retained-log.ts'

const SEGMENTS = 10
/** Records of each segment. */
export const SIZE = 4
/** Where the log ends. */
export const END: number = SEGMENTS * SIZE

/** A log of which segments go while it is read, and what is in it. */
export class ShrinkingLog {
  readonly log: PartitionLog
  /** Offsets that are there, ascending. */
  visible: readonly number[] = range(0, END)
  readonly #driver: StorageDriver
  readonly #removal: SegmentRemoval
  #copies = 0

  private constructor(driver: StorageDriver, log: PartitionLog) {
    this.#driver = driver
    this.log = log
    this.#removal = new SegmentRemoval(driver, new FakeClock())
  }

  static async open(driver: StorageDriver): Promise<ShrinkingLog> {
    const { log } = await openLog(driver)
    onTestFinished(async () => await runProcedure(log.close()))
    await runProcedure(log.createTopic('t', { fileDeleteDelayMs: 0, indexIntervalBytes: 0 }))
    const partition = partitionOf(log, 't')
    appendSegments(partition, SEGMENTS, SIZE)
    partition.tail.clear()
    return new ShrinkingLog(driver, partition)
  }

  /** The log starts at `offset`, and what lies before goes. */
  startAt(offset: number, isFreed: boolean): void {
    const { log } = this
    log.advanceLogStart(offset)
    this.visible = this.visible.filter((one) => one >= offset)
    const bases = Array.from(log.segments, ({ baseOffset }) => baseOffset)
    const count = Math.max(bases.filter((base) => base <= offset).length - 1, 0)
    this.#removal.setAside(log, log.dropSegments(count))
    if (isFreed) this.free()
  }

  /** Of the segment that holds `offset` only its last batch, and those that `keeps` says, stay. */
  rewrite(offset: number, keeps: (offset: number) => boolean): void {
    const { log } = this
    const old = log.segments.floor(offset)
    if (!old.isSealed) return
    const bytesBefore = Buffer.alloc(old.sizeBytes)
    old.read(bytesBefore, 0, old.sizeBytes, 0)
    const kept: Buffer[] = []
    for (let at = 0, end = 0; at < bytesBefore.length; at = end) {
      end = at + batchSizeBytesOf(bytesBefore, at)
      const base = baseOffsetOf(bytesBefore, at)
      if (keeps(base) || end === bytesBefore.length) kept.push(bytesBefore.subarray(at, end))
      else this.visible = this.visible.filter((one) => one !== base)
    }
    const bytes = Buffer.concat(kept)
    const directory = `copy-${this.#copies++}`
    this.#driver.createDirectory(directory)
    const place = { driver: this.#driver, directory, baseOffset: old.baseOffset }
    const made = Segment.create(place, log.config)
    made.close()
    const file = this.#driver.openFile(made.logPath, 'write')
    file.write(bytes, 0, bytes.length, 0)
    file.resize(bytes.length)
    file.close()
    const contents = { ...old.contents, sizeBytes: bytes.length, recordCount: null }
    const fresh = Segment.openSealed(place, log.config, contents)
    log.replaceSegments([old], [fresh])
    this.#removal.setAside(log, [old])
  }

  free(): void {
    void runProcedure(this.#removal.freeDue(Infinity))
  }
}

/** One reader of a log, and what it must be shown. */
export class CheckedReader {
  readonly #shrinking: ShrinkingLog
  readonly #cursor: LogCursor
  #position: number

  constructor(shrinking: ShrinkingLog, from: number) {
    this.#shrinking = shrinking
    this.#position = Math.max(from, shrinking.log.logStartOffset)
    this.#cursor = shrinking.log.cursor(this.#position, { readBytes: 200 })
  }

  read(): void {
    this.#check(() => this.#cursor.next(END))
  }

  /** `meanwhile` happens while the device is waited for. */
  async readAhead(meanwhile: () => void): Promise<void> {
    let read
    const pending = this.#cursor.nextAhead(END)
    pending.catch(() => undefined)
    meanwhile()
    try {
      const run = await pending
      read = () => run
    } catch (error) {
      read = () => {
        throw error
      }
    }
    this.#check(read)
  }

  #check(read: () => BatchRun | undefined): void {
    const { log } = this.#shrinking
    let run
    try {
      run = read()
    } catch (error) {
      if (!LogError.is(error, 'OFFSET_OUT_OF_RANGE')) throw error
      expectBelow(this.#position, log.logStartOffset)
      this.#position = log.logStartOffset
      this.#cursor.seek(this.#position)
      return
    }
    const position = this.#position
    const records = run === undefined ? [] : recordsOf(run).filter((one) => one.offset >= position)
    const end = run === undefined ? END : this.#cursor.offset
    const due = this.#shrinking.visible.filter((offset) => offset >= position && offset < end)
    expectShown(records, due)
    const { logStartOffset, segments } = log
    const isThere = (offset: number): boolean =>
      offset < logStartOffset
        ? offset >= segments.first.baseOffset
        : this.#shrinking.visible.includes(offset)
    expectAllThere(offsetsOf(records).filter((offset) => !isThere(offset)))
    this.#position = end
  }
}

/** Nothing comes of a segment that has left the log when it is shown. */
function expectAllThere(gone: readonly number[]): void {
  expect(gone).toEqual([])
}

function expectBelow(offset: number, limit: number): void {
  expect(offset).toBeLessThan(limit)
}

/** What is shown is as it was written, in order, and nothing that is there is missing. */
function expectShown(records: readonly ReadRecord[], due: readonly number[]): void {
  for (const { offset, value } of records) expect(value).toBe(valueAt(offset))
  const offsets = offsetsOf(records)
  expect(due.filter((offset) => !offsets.includes(offset))).toEqual([])
  expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
}
