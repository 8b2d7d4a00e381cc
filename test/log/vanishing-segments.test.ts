/**
 * Readers inside of segments that vanish, or that are replaced, while they read: over every kind of
 * storage, read through mappings or not. What is gone is OFFSET_OUT_OF_RANGE, never damage.
 */
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { baseOffsetOf, batchSizeBytesOf } from '../../src/format/record-batch.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { countRecords } from '../../src/log/record-count.ts'
import { RecordLookup } from '../../src/log/record-lookup.ts'
import { SegmentRemoval } from '../../src/log/segment-removal.ts'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { MappingPool } from '../../src/storage/mapping-pool.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { Segment } from '../../src/storage/segment.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { offsetsOf, openLog, partitionOf, range, recordsOf, valueAt } from './open-log.ts'
import { appendSegments } from './retained-log.ts'

const SEGMENTS = 10
const SIZE = 4
const END = SEGMENTS * SIZE
const PROBE = 'probe'
const LIMITS = { maxWindows: 4, maxBytes: 6_553_600, windowBytes: 65_536 }

const canMap = nativeBinding() !== null
const STORAGE = ['memory', 'simulated disk', 'disk', 'mapped disk'] as const

function openDriver(kind: (typeof STORAGE)[number]): StorageDriver {
  if (kind === 'memory') return openMemoryDriver()
  if (kind === 'simulated disk') return new FaultDriver()
  const directory = temporaryDirectory()
  if (kind === 'disk') return openDiskDriver(directory)
  const mappings = new MappingPool('everything', LIMITS)
  const driver = openDiskDriver(directory, { mappings })
  const file = driver.openFile(PROBE, 'create')
  file.write(Buffer.from('something'), 0, 9, 0)
  file.close()
  expect(mappings.enable(`${directory}/${PROBE}`)).toBe(null)
  return driver
}

/** A log of which segments go while it is read, and what is in it. */
class ShrinkingLog {
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
class CheckedReader {
  readonly #shrinking: ShrinkingLog
  readonly #cursor: ReturnType<PartitionLog['cursor']>
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

  #check(read: () => ReturnType<ReturnType<PartitionLog['cursor']>['next']>): void {
    const { log } = this.#shrinking
    let run
    try {
      run = read()
    } catch (error) {
      if (!LogError.is(error, 'OFFSET_OUT_OF_RANGE')) throw error
      expect(this.#position).toBeLessThan(log.logStartOffset)
      this.#position = log.logStartOffset
      this.#cursor.seek(this.#position)
      return
    }
    const position = this.#position
    const records = run === undefined ? [] : recordsOf(run).filter((one) => one.offset >= position)
    for (const { offset, value } of records) expect(value).toBe(valueAt(offset))
    const offsets = offsetsOf(records)
    const end = run === undefined ? END : this.#cursor.offset
    const missed = this.#shrinking.visible.filter(
      (offset) => offset >= position && offset < end && !offsets.includes(offset),
    )
    expect(missed).toEqual([])
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
    this.#position = end
  }
}

const STEPS = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('start' as const),
      by: fc.nat({ max: 9 }),
      isFreed: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('rewrite' as const),
      at: fc.nat({ max: END - 1 }),
      keeps: fc.nat(),
    }),
    fc.record({ kind: fc.constant('read' as const), reader: fc.nat({ max: 3 }) }),
    fc.record({
      kind: fc.constant('ahead' as const),
      reader: fc.nat({ max: 3 }),
      by: fc.nat({ max: 9 }),
      at: fc.nat({ max: END - 1 }),
      keeps: fc.nat(),
    }),
    fc.record({ kind: fc.constant('look up' as const), at: fc.nat({ max: END - 1 }) }),
    fc.record({ kind: fc.constant('count' as const), by: fc.nat({ max: 9 }) }),
  ),
  { minLength: 5, maxLength: 25 },
)

describe.each(STORAGE)('a log in %s of which segments go', (kind) => {
  it.skipIf(kind === 'mapped disk' && !canMap)(
    'shows every reader what is there, and of what is gone nothing but that',
    async () => {
      await fc.assert(
        fc.asyncProperty(STEPS, async (steps) => {
          const shrinking = await ShrinkingLog.open(openDriver(kind))
          const { log } = shrinking
          const lookup = new RecordLookup(log)
          const readers = [0, 3, 13, 25].map((from) => new CheckedReader(shrinking, from))
          const startLater = (by: number, isFreed: boolean): void =>
            shrinking.startAt(Math.min(log.logStartOffset + by, END), isFreed)
          for (const step of steps) {
            switch (step.kind) {
              case 'start':
                startLater(step.by, step.isFreed)
                break
              case 'rewrite':
                shrinking.rewrite(Math.max(step.at, log.logStartOffset), keepsBy(step.keeps))
                break
              case 'read':
                readers[step.reader]?.read()
                break
              case 'ahead':
                await readers[step.reader]?.readAhead(() => {
                  startLater(step.by, true)
                  shrinking.rewrite(Math.max(step.at, log.logStartOffset), keepsBy(step.keeps))
                })
                break
              case 'look up':
                expectFound(shrinking, lookup, Math.max(step.at, log.logStartOffset))
                break
              case 'count': {
                const counted = countRecords(log, () => undefined)
                startLater(step.by, true)
                const count = await counted
                expect(count).toBeGreaterThanOrEqual(shrinking.visible.length)
                expect(count).toBeLessThanOrEqual(shrinking.visible.length + step.by)
                break
              }
            }
          }
        }),
        { numRuns: kind === 'memory' || kind === 'simulated disk' ? 20 : 6 },
      )
    },
  )
})

function keepsBy(bits: number): (offset: number) => boolean {
  return (offset) => ((bits >> (offset % SIZE)) & 1) === 1
}

function expectFound({ log, visible }: ShrinkingLog, lookup: RecordLookup, offset: number): void {
  if (offset >= log.logEndOffset) return
  const found = lookup.find(offset)
  if (visible.includes(offset)) {
    expect(found?.offset).toBe(offset)
    const { buffer, valueStart: start, valueLength } = found ?? {}
    const end = (start ?? 0) + (valueLength ?? 0)
    expect(buffer?.toString('utf8', start, end)).toBe(valueAt(offset))
  } else expect(found).toBe(undefined)
  const next = visible.find((one) => one >= offset) ?? null
  const atTime = offsetForTimestamp(log, offset)
  expect(atTime).toBe(next)
}
