/**
 * A writer and a follower over one disk, and all that the writer ever did: whatever the follower
 * shows at any moment is held against that.
 *
 * The follower has a process of its own: its driver sees what the kernel has, it learns of the
 * writer by the control file alone, and it may look between any two calls of the writer that change
 * something.
 */
import assert from 'node:assert/strict'
import { LogError } from '../../../src/errors/log-error.ts'
import {
  attributesOf,
  batchSizeBytesOf,
  isControlBatch,
  isTransactionalBatch,
  producerIdOf,
} from '../../../src/format/record-batch.ts'
import type { FollowContext } from '../../../src/log/follow/follow-context.ts'
import { FollowedPartition } from '../../../src/log/follow/followed-partition.ts'
import { WriterWatch } from '../../../src/log/follow/writer-watch.ts'
import type { LogCursor } from '../../../src/log/log-cursor.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { PartitionLog } from '../../../src/log/partition-log.ts'
import { RecordLookup } from '../../../src/log/record-lookup.ts'
import { SegmentRemoval } from '../../../src/log/segment-removal.ts'
import { TailBudget } from '../../../src/log/tail.ts'
import { offsetForTimestamp } from '../../../src/log/timestamp-lookup.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { DiskMachine } from '../../../src/testing/disk-machine.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { clean } from '../compacted-partition.ts'
import { openLog, partitionOf } from '../open-log.ts'
import { appendAs, appendMarker } from '../transactional-batches.ts'
import { marksOf, recordsIn, valueOf, type Written } from './seen-records.ts'

const TOPIC = {
  segmentBytes: 1 << 12,
  indexIntervalBytes: 128,
  preallocate: false,
  fileDeleteDelayMs: 0,
} as const

/** See the file's header. */
export class Scene {
  readonly machine: DiskMachine = new DiskMachine(1)
  readonly clock: FakeClock = new FakeClock()
  /** By offset. */
  readonly written: Map<number, Written> = new Map()
  isAlive: boolean = true
  looks: number = 0
  #driver: FaultDriver = new FaultDriver(this.machine)
  #log: LogDirectory | undefined
  #removal: SegmentRemoval | undefined
  #follower: FollowedPartition | undefined
  #cursor: LogCursor | undefined
  #committedCursor: LogCursor | undefined
  #lookup: RecordLookup | undefined
  #isLooking = false
  #lowest = { logStartOffset: 0, lastStableOffset: 0, highWatermark: 0, logEndOffset: 0 }
  #cutCount = 0
  #serial = 0

  static async open(): Promise<Scene> {
    const scene = new Scene()
    await scene.#openWriter()
    await runProcedure(scene.log.createTopic('t', TOPIC))
    scene.#follow()
    return scene
  }

  get log(): LogDirectory {
    if (this.#log === undefined) throw new Error('no writer')
    return this.#log
  }
  get partition(): PartitionLog {
    return partitionOf(this.log, 't')
  }
  get follower(): FollowedPartition {
    if (this.#follower === undefined) throw new Error('nobody follows')
    return this.#follower
  }

  /** From now on the follower looks before every call that changes something. */
  lookBetweenCalls(on: boolean): void {
    this.#driver.onCall = on ? () => this.#lookOnce() : undefined
  }

  append(count: number, valueBytes: number, codec: 'none' | 'gzip' = 'none'): void {
    this.#append({ producerId: -1, transactional: false }, count, valueBytes, codec)
  }

  appendInTransaction(producerId: number, count: number): void {
    this.#append({ producerId, transactional: true }, count, 20, 'none')
  }

  endTransaction(producerId: number, outcome: 'commit' | 'abort'): void {
    const { partition } = this
    if (partition.producers.openTransactionOf(producerId) === undefined) return
    for (const record of this.written.values()) {
      if (record.producerId === producerId && record.state === 'open') record.state = outcome
    }
    appendMarker(partition, producerId, outcome)
  }

  roll(): void {
    this.partition.roll()
  }

  async deleteRecords(fraction: number): Promise<void> {
    const { partition } = this
    const span = partition.lastStableOffset - partition.logStartOffset
    const offset = partition.logStartOffset + Math.floor(span * fraction)
    for (const [at, record] of this.written) if (at < offset) record.mayBeGone = true
    await runProcedure(this.log.deleteRecordsBefore(partition, offset))
    let count = 0
    while (count + 1 < partition.segments.count) {
      if (partition.segments.at(count + 1).baseOffset > partition.logStartOffset) break
      count += 1
    }
    if (count === 0) return
    const removal = this.#removal
    if (removal === undefined) throw new Error('no writer')
    removal.setAside(partition, partition.dropSegments(count))
    await runProcedure(removal.freeDue(Infinity))
  }

  /** Compacts sealed segments into one; `keep` of three records stay. */
  async compact(keep: number): Promise<void> {
    const { log, partition } = this
    const removal = this.#removal
    const sealed = partition.segments.count - 1
    if (removal === undefined || sealed < 1) return
    const topic = log.topic('t')
    if (topic === undefined) throw new Error('no topic')
    const from = Math.floor(sealed / 3)
    const end = partition.segments.at(sealed).baseOffset
    const start = partition.segments.at(from).baseOffset
    const stable = partition.lastStableOffset
    if (end > stable) return
    // As every cleaner: what was aborted goes first, markers stay while records may need them.
    const keeps = (offset: number): boolean => {
      const record = this.written.get(offset)
      return record === undefined || (record.state !== 'abort' && offset % 3 < keep)
    }
    for (const [at, record] of this.written) {
      if (at >= start && at < end && !keeps(record.lastOffset)) record.mayBeGone = true
    }
    await runProcedure(log.markCompacted(topic))
    this.#follower?.markCompacted()
    partition.markCompacted()
    await runProcedure(clean(this.#driver, { log, partition, removal }, [from, sealed], keeps))
  }

  /** The writer is killed. */
  kill(): void {
    const { onCall } = this.#driver
    this.#driver = this.#driver.processKill()
    this.#driver.onCall = onCall
    this.#log = undefined
    this.isAlive = false
    // What was open the next writer aborts.
    for (const record of this.written.values()) {
      if (record.state === 'open') record.state = 'abort'
    }
    this.clock.advance(2_000)
  }

  /** The next writer opens the log. */
  async reopen(): Promise<void> {
    this.isAlive = true
    await this.#openWriter()
  }

  async close(): Promise<void> {
    await runProcedure(this.log.close())
    this.#log = undefined
    this.isAlive = false
    const { onCall } = this.#driver
    this.#driver = new FaultDriver(this.machine)
    this.#driver.onCall = onCall
  }

  /** The publisher has its turn. */
  async publish(): Promise<void> {
    this.clock.advance(5)
    await new Promise<void>((resolve) => void setImmediate(resolve))
    await new Promise<void>((resolve) => void setImmediate(resolve))
  }

  /** The follower looks at everything that it can look at. */
  look(): void {
    this.looks += 1
    const { follower } = this
    follower.refresh()
    this.#checkWatermarks()
    this.#readOn()
    this.#readOnCommitted()
    this.#lookUp()
    this.#checkWatermarks()
  }

  /** Once nothing is under way: the follower shows what the writer does. */
  checkSame(): void {
    this.look()
    const { follower, partition } = this
    assert.deepEqual(marksOf(follower), marksOf(partition))
    const offsets = [...this.#offsetsFrom(follower)]
    assert.deepEqual(offsets, [...this.#offsetsFrom(partition)])
    for (const timestamp of [0, 1_000 + (this.#serial >> 1), 1_000 + this.#serial]) {
      assert.equal(
        offsetForTimestamp(follower, timestamp),
        offsetForTimestamp(partition, timestamp),
      )
    }
  }

  *#offsetsFrom(log: FollowedPartition | PartitionLog): Generator<string> {
    const cursor = log.cursor(log.logStartOffset)
    const end = log.highWatermark
    for (let run = cursor.next(end); run !== undefined; run = cursor.next(end)) {
      for (const { offset, value } of recordsIn(run.buffer, run.start, run.end)) {
        yield `${offset} ${value}`
      }
    }
  }

  async #openWriter(): Promise<void> {
    const { log } = await openLog(this.#driver, { clock: this.clock })
    this.#log = log
    this.#removal = new SegmentRemoval(this.#driver, this.clock)
  }

  #follow(): void {
    const { topicId, directory, config, isOwn, isGapless } = this.partition
    const place = { topic: 't', partition: 0, topicId, directory, config, isOwn, isGapless }
    const driver = new FaultDriver(this.machine)
    const hasLiveWriter = (): boolean => this.isAlive
    const watch = new WriterWatch({ driver, clock: this.clock, bootId: 'boot', hasLiveWriter })
    const context: FollowContext = {
      driver,
      clock: this.clock,
      tailBudget: new TailBudget(1 << 24),
      word: (of) => watch.word(of),
      listening: () => undefined,
      missing: () => assert.fail('files are missing'),
      checkpointed: () => ({ recoveryPoint: 0, logStartOffset: undefined }),
      gapFound: () => undefined,
    }
    this.#follower = new FollowedPartition(context, place)
    this.#cursor = this.#follower.cursor(0)
    this.#committedCursor = this.#follower.cursor(0)
    this.#lookup = new RecordLookup(this.#follower)
  }

  #append(
    producer: { readonly producerId: number; readonly transactional: boolean },
    count: number,
    valueBytes: number,
    codec: 'none' | 'gzip',
  ): void {
    const { partition } = this
    const records: { timestamp: number; value: string }[] = []
    for (let index = 0; index < count; index++) {
      this.#serial += 1
      const value = `${this.#serial}`.padEnd(valueBytes, '.')
      records.push({ timestamp: 1_000 + this.#serial, value })
      const state = producer.transactional ? 'open' : 'plain'
      const { producerId } = producer
      const offset = partition.logEndOffset + index
      const lastOffset = partition.logEndOffset + count - 1
      this.written.set(offset, { value, producerId, lastOffset, state, mayBeGone: false })
    }
    appendAs(partition, producer, records, codec)
  }

  #lookOnce(): undefined {
    if (this.#isLooking || this.#follower === undefined) return undefined
    this.#isLooking = true
    try {
      this.look()
    } finally {
      this.#isLooking = false
    }
    return undefined
  }

  #checkWatermarks(): void {
    const { follower } = this
    const marks = marksOf(follower)
    if (follower.cuts.length > this.#cutCount) {
      this.#cutCount = follower.cuts.length
      this.#lowest = { logStartOffset: 0, lastStableOffset: 0, highWatermark: 0, logEndOffset: 0 }
    }
    assert.ok(marks.logStartOffset >= this.#lowest.logStartOffset)
    assert.ok(marks.lastStableOffset >= this.#lowest.lastStableOffset)
    assert.ok(marks.highWatermark >= this.#lowest.highWatermark)
    assert.ok(marks.logEndOffset >= this.#lowest.logEndOffset)
    assert.ok(marks.lastStableOffset >= marks.logStartOffset)
    assert.ok(marks.highWatermark >= marks.lastStableOffset)
    assert.ok(marks.logEndOffset >= marks.highWatermark)
    this.#lowest = marks
    if (this.#log === undefined) return
    const { partition } = this
    assert.ok(marks.logEndOffset <= partition.logEndOffset)
    assert.ok(marks.lastStableOffset <= partition.lastStableOffset)
  }

  /** As a live reader does. */
  #readOn(): void {
    const cursor = this.#cursor
    if (cursor === undefined) return
    for (let from = cursor.offset; ; from = cursor.offset) {
      const run = this.#next(cursor, () => this.follower.highWatermark)
      if (run === undefined) break
      this.#checkRun(run, from, this.follower.logEndOffset, cursor.offset)
    }
    if (cursor.offset < this.follower.highWatermark) {
      this.#checkAbsent(cursor.offset, this.follower.highWatermark)
    }
  }

  #checkRun(
    run: { readonly buffer: Buffer; readonly start: number; readonly end: number },
    from: number,
    end: number,
    nextOffset: number,
  ): void {
    let expected = from
    for (const { offset, value } of recordsIn(run.buffer, run.start, run.end)) {
      if (offset < from) continue
      assert.ok(offset < end)
      this.#checkAbsent(expected, offset)
      assert.deepEqual({ offset, value }, { offset, value: this.written.get(offset)?.value })
      expected = offset + 1
    }
    this.#checkAbsent(expected, nextOffset)
  }

  /** None of these is there, or only what may be gone by now. */
  #checkAbsent(from: number, to: number): void {
    for (let offset = from; offset < to; offset++) {
      const record = this.written.get(offset)
      if (record?.mayBeGone === false) assert.fail(`record ${offset} was not read`)
    }
  }

  #readOnCommitted(): void {
    const cursor = this.#committedCursor
    const { follower } = this
    if (cursor === undefined) return
    for (;;) {
      const run = this.#next(cursor, () => follower.lastStableOffset)
      if (run === undefined) return
      for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
        const attributes = attributesOf(run.buffer, at)
        if (isControlBatch(attributes) || !isTransactionalBatch(attributes)) continue
        const producerId = producerIdOf(run.buffer, at)
        const batchEnd: number = at + batchSizeBytesOf(run.buffer, at)
        for (const { offset } of recordsIn(run.buffer, at, batchEnd)) {
          const state = this.written.get(offset)?.state
          const isAborted = follower.isAborted(producerId, offset)
          assert.deepEqual({ offset, isAborted }, { offset, isAborted: state === 'abort' })
        }
      }
    }
  }

  #next(cursor: LogCursor, limit: () => number): ReturnType<LogCursor['next']> {
    for (let attempt = 0; ; attempt++) {
      const { logStartOffset } = this.follower
      if (cursor.offset < logStartOffset) cursor.seek(logStartOffset)
      try {
        return cursor.next(limit())
      } catch (error) {
        if (!LogError.is(error, 'OFFSET_OUT_OF_RANGE') || attempt > 3) throw error
      }
    }
  }

  #lookUp(): void {
    const { follower } = this
    const span = follower.highWatermark - follower.logStartOffset
    if (span <= 0) return
    const offset = follower.logStartOffset + ((this.looks * 7_919) % span)
    const found = this.#lookup?.find(offset)
    const record = this.written.get(offset)
    if (found === undefined) {
      if (record?.mayBeGone === false) assert.fail(`record ${offset} was not found`)
      return
    }
    const seen = { offset: found.offset, value: valueOf(found) }
    assert.deepEqual(seen, { offset, value: record?.value })
  }
}
