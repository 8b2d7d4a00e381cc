/**
 * WatermarkPublisher: brings the watermarks of partitions into the control file, where other
 * processes read them and recovery finds out how far this boot got.
 *
 * At once when idle; under load at most once per turn of the event loop and per millisecond.
 * Published values only have to be true when they are written; a late one costs a reader time, and
 * recovery a longer check. So a write that fails fails nobody: the values stay due, and the next
 * change, or the close, tries again.
 */
import { LogError } from '../errors/log-error.ts'
import type { ControlFile } from '../storage/control-file.ts'
import type { Clock } from './clock.ts'
import type { PartitionLog } from './partition-log.ts'

const MIN_INTERVAL_MS = 1

/** What a partition is published under. */
interface Published {
  readonly topicId: Buffer
  /** Undefined until there was room for one. */
  slot: number | undefined
}

/** Collects partitions that changed and publishes them together. */
export class WatermarkPublisher {
  readonly #control: ControlFile
  readonly #clock: Clock
  readonly #afterTurn: (fn: () => void) => void
  readonly #partitions = new Map<PartitionLog, Published>()
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
    this.#partitions.set(partition, { topicId, slot: undefined })
    this.#changed.add(partition)
    this.#publish(partition)
  }

  /** Takes the slot of a deleted partition away. */
  remove(partition: PartitionLog): void {
    const slot = this.#partitions.get(partition)?.slot
    this.#partitions.delete(partition)
    this.#changed.delete(partition)
    // What stays published of a topic id that never comes again misleads nobody.
    if (slot !== undefined) toleratingFailure(() => this.#control.freeSlot(slot))
  }

  /** Its watermarks moved. */
  changed(partition: PartitionLog): void {
    if (this.#isClosed || !this.#partitions.has(partition)) return
    this.#changed.add(partition)
    if (this.#isScheduled) return
    this.#isScheduled = true
    const waitMs = this.#publishedAtMs + MIN_INTERVAL_MS - this.#clock.monotonicNow()
    if (waitMs > 0) this.#timer = this.#clock.setTimeout(() => this.publishAll(), waitMs)
    else this.#afterTurn(() => this.publishAll())
  }

  /** Publishes what is due now. */
  publishAll(): void {
    this.#isScheduled = false
    if (this.#isClosed) return
    for (const partition of this.#changed) this.#publish(partition)
    this.#publishedAtMs = this.#clock.monotonicNow()
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
      this.#control.publish(published.slot, partition)
      this.#changed.delete(partition)
    })
  }
}

function toleratingFailure(write: () => void): void {
  try {
    write()
  } catch (error) {
    if (!LogError.is(error)) throw error // Ours alone: a bug is never passed over.
  }
}
