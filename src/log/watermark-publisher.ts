/**
 * WatermarkPublisher: brings the watermarks of partitions into the control file, where other
 * processes read them and recovery finds out how far this boot got.
 *
 * At the end of the turn when idle; under load at most once per turn of the event loop, and once
 * per millisecond on average: who writes something every few milliseconds is not under load,
 * however unevenly it comes. A change of the set of files alone is published before and behind it
 * at once: who reads them has to know. Published values only have to be true when written; a
 * late one costs a reader time, and recovery a longer check. So a write that fails fails nobody:
 * the values stay due, and the next change, or the close, tries again.
 *   I1  what is published as durable is so for every reader: nothing of a transaction whose commit
 *       a power cut could undo
 *   I2  publishing takes a small part of the time at most, however many watch the file: each of
 *       them is woken by every write, at its writer's cost
 */
import { LogError } from '../errors/log-error.ts'
import type { ControlFile } from '../storage/control-file.ts'
import type { PartitionWatermarks } from '../storage/control-slot.ts'
import type { Clock } from './clock.ts'
import type { PartitionLog } from './partition-log.ts'

const MIN_INTERVAL_MS = 1
/** Between two publications as many times what the last one took: so they take a 25th (I2). */
const REST_PER_COST = 25
/** Readers look by themselves as often. */
const MAX_INTERVAL_MS = 50
/** So far publications may run ahead of their intervals. */
const BURST_MS = 5
/** What a publication may take beyond twice the last one before it counts as held up. */
const COST_GRAIN_MS = 0.02

/** What a partition is published under. */
interface Published {
  readonly topicId: Buffer
  /** Undefined until there was room for one. */
  slot: number | undefined
}

type Watermarks = { -readonly [Name in keyof PartitionWatermarks]: PartitionWatermarks[Name] }

/** Collects partitions that changed and publishes them together. */
export class WatermarkPublisher {
  /** Called once behind each publication, of however many partitions. */
  onPublished: (() => void) | undefined
  readonly #control: ControlFile
  readonly #clock: Clock
  readonly #afterTurn: (fn: () => void) => void
  readonly #partitions = new Map<PartitionLog, Published>()
  readonly #changed = new Set<PartitionLog>()
  #isScheduled = false
  /** When the next one would be made if all came at even intervals. */
  #dueMs = -Infinity
  #intervalMs = MIN_INTERVAL_MS
  #costMs = 0
  #timer: unknown
  #isClosed = false
  /** Reused: a publication allocates nothing. */
  readonly #watermarks: Watermarks = {
    layoutEpoch: 0,
    logStartOffset: 0,
    logEndOffset: 0,
    highWatermark: 0,
    lastStableOffset: 0,
    durableOffset: 0,
  }

  constructor(control: ControlFile, clock: Clock, afterTurn: (fn: () => void) => void) {
    this.#control = control
    this.#clock = clock
    this.#afterTurn = afterTurn
  }

  /** Gives a partition its slot and publishes it. */
  add(partition: PartitionLog, topicId: Buffer): void {
    this.#partitions.set(partition, { topicId, slot: undefined })
    this.publishNow(partition)
  }

  /** Takes the slot of a deleted partition away. */
  remove(partition: PartitionLog): void {
    const slot = this.#partitions.get(partition)?.slot
    this.#partitions.delete(partition)
    this.#changed.delete(partition)
    // What stays published of a topic id that never comes again misleads nobody.
    if (slot !== undefined) toleratingFailure(() => this.#control.freeSlot(slot))
    this.onPublished?.()
  }

  /** Its watermarks moved. */
  changed(partition: PartitionLog): void {
    if (this.#isClosed || !this.#partitions.has(partition)) return
    this.#changed.add(partition)
    if (this.#isScheduled) return
    this.#isScheduled = true
    const waitMs = this.#dueMs - BURST_MS - this.#clock.monotonicNow()
    if (waitMs > 0) this.#timer = this.#clock.setTimeout(() => this.publishAll(), waitMs)
    else this.#afterTurn(() => this.publishAll())
  }

  /** Publishes the state of a partition before this returns, as of a change of its files. */
  publishNow(partition: PartitionLog): void {
    if (this.#isClosed || !this.#partitions.has(partition)) return
    this.#changed.add(partition)
    this.#publish(partition)
    this.onPublished?.()
  }

  /** Wakes whoever waits for a publication: metadata.json says something new. */
  wake(): void {
    const [first] = this.#partitions.keys()
    if (first !== undefined) this.publishNow(first)
  }

  /** Publishes what is due now. */
  publishAll(): void {
    this.#isScheduled = false
    if (this.#isClosed) return
    const begunMs = this.#clock.monotonicNow()
    if (this.#changed.size > 0) {
      for (const partition of this.#changed) this.#publish(partition)
      this.onPublished?.()
    }
    const endedMs = this.#clock.monotonicNow()
    this.#took(endedMs - begunMs)
    this.#dueMs = Math.max(this.#dueMs, endedMs) + this.#intervalMs
  }

  /** A machine that was busy elsewhere makes one seem to cost much: that counts by and by. */
  #took(elapsedMs: number): void {
    this.#costMs = Math.min(elapsedMs, 2 * this.#costMs + COST_GRAIN_MS)
    const restMs = Math.min(REST_PER_COST * this.#costMs, MAX_INTERVAL_MS)
    this.#intervalMs = Math.max(MIN_INTERVAL_MS, restMs)
  }

  /** Publishes the last values and stops; `isClean` where the log was closed with all it has. */
  close(isClean: boolean): void {
    if (this.#isClosed) return
    this.publishAll()
    this.#isClosed = true
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    if (isClean) toleratingFailure(() => this.#control.markClean())
  }

  #publish(partition: PartitionLog): void {
    const published = this.#partitions.get(partition)
    if (published === undefined) return
    toleratingFailure(() => {
      published.slot ??= this.#control.slotFor(published.topicId, partition.partition)
      this.#control.publish(published.slot, this.#watermarksOf(partition))
      this.#changed.delete(partition)
    })
  }

  #watermarksOf(partition: PartitionLog): PartitionWatermarks {
    const watermarks = this.#watermarks
    watermarks.layoutEpoch = partition.layout.epoch
    watermarks.logStartOffset = partition.logStartOffset
    watermarks.logEndOffset = partition.logEndOffset
    watermarks.highWatermark = partition.highWatermark
    watermarks.lastStableOffset = partition.lastStableOffset
    const { durableOffset, undecided } = partition
    watermarks.durableOffset = Math.min(durableOffset, undecided.lowestOffset) // I1
    return watermarks
  }
}

function toleratingFailure(write: () => void): void {
  try {
    write()
  } catch (error) {
    if (!LogError.is(error)) throw error // Ours alone: a bug is never passed over.
  }
}
