/**
 * WatermarkPublisher: brings the watermarks of partitions into the control file, where other
 * processes read them and recovery finds out how far this boot got.
 *
 * At the end of the turn when idle; under load at most once per turn of the event loop and per
 * millisecond. Only a change of the set of files is published before and behind it at once: who
 * reads these files has to know. Published values only have to be true when they are written; a
 * late one costs a reader time, and recovery a longer check. So a write that fails fails nobody:
 * the values stay due, and the next change, or the close, tries again.
 *   I1  what is published as durable is so for every reader: nothing of a transaction whose commit
 *       a power cut could undo
 */
import { LogError } from '../errors/log-error.ts'
import type { ControlFile } from '../storage/control-file.ts'
import type { PartitionWatermarks } from '../storage/control-slot.ts'
import type { Clock } from './clock.ts'
import type { PartitionLog } from './partition-log.ts'

const MIN_INTERVAL_MS = 1

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
  #publishedAtMs = -Infinity
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
    const waitMs = this.#publishedAtMs + MIN_INTERVAL_MS - this.#clock.monotonicNow()
    if (waitMs > 0) this.#timer = this.#clock.setTimeout(() => this.publishAll(), waitMs)
    else this.#afterTurn(() => this.publishAll())
  }

  /** Publishes the state of a partition before this returns, as it does of a change of its files. */
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
    if (this.#changed.size > 0) {
      for (const partition of this.#changed) this.#publish(partition)
      this.onPublished?.()
    }
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
