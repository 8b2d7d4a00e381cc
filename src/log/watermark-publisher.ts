/**
 * WatermarkPublisher: brings the watermarks of partitions into the control file, where other
 * processes read them and recovery finds out how far this boot got.
 *
 * At once when idle; under load at most once per turn of the event loop and per millisecond.
 * Published values only have to be true when they are written; a late one costs a reader time, and
 * recovery a longer check.
 */
import type { ControlFile } from '../storage/control-file.ts'
import type { Clock } from './clock.ts'
import type { PartitionLog } from './partition-log.ts'

const MIN_INTERVAL_MS = 1

/** Collects partitions that changed and publishes them together. */
export class WatermarkPublisher {
  readonly #control: ControlFile
  readonly #clock: Clock
  readonly #afterTurn: (fn: () => void) => void
  readonly #slots = new Map<PartitionLog, number>()
  readonly #changed = new Set<PartitionLog>()
  #isScheduled = false
  #publishedAtMs = -Infinity
  #timer: unknown
  #isClosed = false

  constructor(control: ControlFile, clock: Clock, afterTurn: (fn: () => void) => void) {
    this.#control = control
    this.#clock = clock
    this.#afterTurn = afterTurn
  }

  /** Gives a partition its slot and publishes it. */
  add(partition: PartitionLog, topicId: Buffer): void {
    this.#slots.set(partition, this.#control.slotFor(topicId, partition.partition))
    this.#publish(partition)
  }

  /** Takes the slot of a deleted partition away. */
  remove(partition: PartitionLog): void {
    const slot = this.#slots.get(partition)
    this.#slots.delete(partition)
    this.#changed.delete(partition)
    if (slot !== undefined) this.#control.freeSlot(slot)
  }

  changed(partition: PartitionLog): void {
    if (this.#isClosed) return
    this.#changed.add(partition)
    if (this.#isScheduled) return
    this.#isScheduled = true
    const waitMs = this.#publishedAtMs + MIN_INTERVAL_MS - this.#clock.monotonicNow()
    if (waitMs > 0) this.#timer = this.#clock.setTimeout(() => this.publishAll(), waitMs)
    else this.#afterTurn(() => this.publishAll())
  }

  publishAll(): void {
    this.#isScheduled = false
    if (this.#isClosed) return
    for (const partition of this.#changed) this.#publish(partition)
    this.#changed.clear()
    this.#publishedAtMs = this.#clock.monotonicNow()
  }

  /** Publishes the last values and stops. */
  close(): void {
    if (this.#isClosed) return
    this.publishAll()
    this.#isClosed = true
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
  }

  #publish(partition: PartitionLog): void {
    const slot = this.#slots.get(partition)
    if (slot !== undefined) this.#control.publish(slot, partition)
  }
}
