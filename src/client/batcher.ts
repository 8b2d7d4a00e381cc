/**
 * Batcher: gathers the records of a producer into one batch a partition, and sees each batch
 * through to its acknowledgement. Owns when a batch closes and when it counts as done; whether a
 * record may come in at all is the send queue's business.
 *
 * A batch closes when the next record does not fit, after lingerMs, with the turn of the event loop
 * (lingerMs 0), or when somebody flushes or waits for room. Closed means appended, at once, unless
 * the partition has too much unsynced.
 *   I1  batches of a partition are appended in the order in which they were opened
 *   I2  all batches that close in one turn are appended before the first of them waits for a sync:
 *       the syncs of all partitions share their rounds (commit-barrier.ts)
 *   I3  a batch is settled once, and its bytes count as buffered until then
 */
import { assert } from '../errors/invariant.ts'
import { afterTurn, type Clock } from '../log/clock.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { BatchWriter } from './batch-writer.ts'
import { BuilderPool } from './builder-pool.ts'
import { PartitionBatch } from './partition-batch.ts'
import { PartitionLane } from './partition-lane.ts'
import type { ProducerSettings } from './producer-options.ts'
import type { PreparedRecord } from './record-input.ts'
import type { PendingSend } from './send-result.ts'

/** Who hears what becomes of the batches. */
export interface BatchListener {
  /** A batch was opened. */
  batchOpened(): void
  /** A batch is done: there is more room. `unseenError` is of a record that nobody waits for. */
  batchSettled(unseenError: unknown): void
}

/** The batches of one producer. */
export class Batcher {
  readonly #settings: ProducerSettings
  readonly #clock: Clock
  readonly #listener: BatchListener
  readonly #writer: BatchWriter
  readonly #builders = new BuilderPool()
  /** Of partitions that are in use: a deleted topic is not remembered for ever. */
  readonly #lanes = new WeakMap<PartitionLog, PartitionLane>()
  /** The lane of the record before: most often it is the next one's too. */
  #lastLane: PartitionLane | null = null
  /** Lanes with an open batch; each knows its slot. */
  #openLanes: PartitionLane[] = []
  /** Lanes whose closed batches wait until the log has synced more. */
  readonly #heldLanes = new Set<PartitionLane>()
  /** Not settled; each knows its slot. */
  readonly #batches: PartitionBatch[] = []
  /** Lanes with appended batches that nobody asked to be synced yet. */
  #unsynced: PartitionLane[] = []
  #bufferedBytes = 0
  #isTurnScheduled = false
  #closesWithTurn = false

  constructor(
    settings: ProducerSettings,
    clock: Clock,
    listener: BatchListener,
    writer: BatchWriter,
  ) {
    this.#settings = settings
    this.#clock = clock
    this.#listener = listener
    this.#writer = writer
  }

  /** Bytes of encoded records whose batches are not settled. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#batches.length === 0
  }

  /**
   * The lane of a partition, with the settings that its topic has now. Hot.
   * @throws {LogError} `INVALID_ARGUMENT` where the topic's codec has no package here.
   */
  laneOf(log: PartitionLog): PartitionLane {
    const last = this.#lastLane
    if (last !== null && last.log === log && last.config === log.config) return last
    const known = this.#lanes.get(log)
    const lane =
      known !== undefined && known.config === log.config ? known : this.#configuredLane(log, known)
    this.#lastLane = lane
    return lane
  }

  /**
   * Takes a record in, of which nothing is kept, and returns its bytes. `maxBytes` is what its
   * encoding cannot exceed. Hot: allocates nothing unless it opens a batch.
   */
  add(
    lane: PartitionLane,
    record: PreparedRecord,
    maxBytes: number,
    send: PendingSend | null,
  ): number {
    let batch = lane.open
    if (batch !== null && batch.sizeBytes + maxBytes > lane.limitBytes) {
      if (batch.sizeAfter(record) > lane.limitBytes) this.#close(lane)
      batch = lane.open
    }
    batch ??= this.#open(lane)
    const waits = this.#settings.acks !== 0
    const recordBytes = batch.add(record, waits ? send : null)
    this.#bufferedBytes += recordBytes
    if (!waits && send !== null) {
      const { topic, partition } = lane.log
      send.acknowledged({ topic, partition, offset: -1, timestamp: record.timestamp })
    }
    if (batch.sizeBytes >= lane.limitBytes) this.#close(lane)
    return recordBytes
  }

  /** Closes every batch at the end of this turn, lingering or not. */
  sendSoon(): void {
    if (this.#batches.length === 0) return
    this.#closesWithTurn = true
    this.#scheduleTurn()
  }

  /** Closes every batch now. */
  sendNow(): void {
    this.#closeAll()
    this.#awaitSyncs()
  }

  /** Calls `done` once every batch that is on its way now is settled; at once where none is. */
  whenSettled(done: () => void): void {
    let waitingCount = this.#batches.length
    if (waitingCount === 0) {
      done()
      return
    }
    const oneSettled = (): void => {
      waitingCount -= 1
      if (waitingCount === 0) done()
    }
    for (const batch of this.#batches) {
      batch.onSettled ??= []
      batch.onSettled.push(oneSettled)
    }
  }

  /** Gives up whatever is not in the log yet; what is in it is acknowledged as usual. */
  abandon(error: unknown): void {
    for (const lane of new Set([...this.#heldLanes, ...this.#openLanes])) {
      const { open } = lane
      const given = lane.ready.splice(0)
      if (open !== null) given.push(open)
      lane.open = null
      if (lane.slot >= 0) takeOff(this.#openLanes, lane)
      for (const batch of given) {
        this.#stopTimer(batch)
        batch.fail(error)
        this.#settle(batch, undefined)
      }
    }
  }

  #configuredLane(log: PartitionLog, known: PartitionLane | undefined): PartitionLane {
    const { batchBytes, compression } = this.#settings
    const lane = known ?? new PartitionLane(log)
    lane.configure(batchBytes, compression)
    this.#lanes.set(log, lane)
    return lane
  }

  #open(lane: PartitionLane): PartitionBatch {
    const batch = new PartitionBatch(lane.log, lane.codec, this.#builders)
    lane.open = batch
    lane.slot = this.#openLanes.push(lane) - 1
    batch.slot = this.#batches.push(batch) - 1
    const { lingerMs } = this.#settings
    if (lingerMs === 0) {
      this.#closesWithTurn = true
      this.#scheduleTurn()
    } else {
      batch.timer = this.#clock.setTimeout(() => this.#lingered(lane, batch), lingerMs)
    }
    this.#listener.batchOpened()
    return batch
  }

  #lingered(lane: PartitionLane, batch: PartitionBatch): void {
    batch.timer = undefined
    if (lane.open !== batch) return
    this.#close(lane)
    this.#scheduleTurn()
  }

  #closeAll(): void {
    const lanes = this.#openLanes
    this.#openLanes = [] // What opens while these are closed is closed with the next turn.
    for (const lane of lanes) lane.slot = -1
    for (const lane of lanes) if (lane.open !== null) this.#close(lane)
  }

  #close(lane: PartitionLane): void {
    const batch = lane.open
    assert(batch !== null, 'only an open batch is closed')
    lane.open = null
    if (lane.slot >= 0) takeOff(this.#openLanes, lane)
    this.#stopTimer(batch)
    if (lane.ready.length === 0 && !this.#mustWait(lane)) {
      this.#append(lane, batch)
      return
    }
    lane.ready.push(batch)
    this.#awaitRoom(lane)
  }

  /** With acks 'all' what is unsynced is bounded by the buffer: each send waits for its sync. */
  #mustWait(lane: PartitionLane): boolean {
    return this.#settings.acks !== 'all' && lane.log.isOverloaded
  }

  /** Lets what is unsynced become less before more is appended. */
  #awaitRoom(lane: PartitionLane): void {
    if (lane.isWaitingForSync) return
    lane.isWaitingForSync = true
    this.#heldLanes.add(lane)
    const resume = (): void => {
      lane.isWaitingForSync = false
      this.#appendReady(lane)
    }
    // Where the sync failed or the partition ended, the append fails with the better error.
    lane.log.roomToAppend().then(resume, resume)
  }

  #appendReady(lane: PartitionLane): void {
    this.#heldLanes.delete(lane)
    // One batch in any case: whoever appends without waiting could keep this one out for ever.
    for (let batch = lane.ready.shift(); batch !== undefined; batch = lane.ready.shift()) {
      this.#append(lane, batch)
      if (lane.ready.length === 0 || !this.#mustWait(lane)) continue
      this.#awaitRoom(lane)
      return
    }
  }

  #append(lane: PartitionLane, batch: PartitionBatch): void {
    batch.append(this.#writer)
    if (this.#settings.acks !== 'all' || batch.endOffset <= lane.log.durableOffset) {
      this.#settle(batch, undefined)
      return
    }
    if (lane.appended.length === 0) this.#unsynced.push(lane)
    lane.appended.push(batch)
    this.#scheduleTurn()
  }

  #scheduleTurn(): void {
    if (this.#isTurnScheduled) return
    this.#isTurnScheduled = true
    afterTurn(this.#turnEnded)
  }

  /** One function for all turns: one for each would be garbage with each record that is awaited. */
  readonly #turnEnded = (): void => {
    this.#isTurnScheduled = false
    if (this.#closesWithTurn) {
      this.#closesWithTurn = false
      this.#closeAll()
    }
    this.#awaitSyncs()
  }

  /** I2: the batches of every partition are in the log before the first sync is asked for. */
  #awaitSyncs(): void {
    const lanes = this.#unsynced
    this.#unsynced = []
    for (const lane of lanes) {
      const { log, appended } = lane
      lane.appended = []
      log.makeDurable(appended.at(-1)?.endOffset ?? 0).then(
        () => this.#settleAll(log, appended, undefined),
        (error: unknown) => this.#settleAll(log, appended, error),
      )
    }
  }

  #settleAll(log: PartitionLog, batches: readonly PartitionBatch[], error: unknown): void {
    // An earlier round may have covered the first of them before a later one failed.
    for (const batch of batches) {
      this.#settle(batch, batch.endOffset <= log.durableOffset ? undefined : error)
    }
  }

  #settle(batch: PartitionBatch, error: unknown): void {
    assert(batch.slot >= 0, 'I3: a batch is settled once')
    takeOff(this.#batches, batch)
    this.#bufferedBytes -= batch.recordBytes
    const unseenError = batch.settle(error)
    this.#listener.batchSettled(unseenError)
    if (batch.onSettled === null) return
    for (const done of batch.onSettled) done()
  }

  #stopTimer(batch: PartitionBatch): void {
    if (batch.timer === undefined) return
    this.#clock.clearTimeout(batch.timer)
    batch.timer = undefined
  }
}

/** Takes an item off a list without moving the others: the last one gets its slot. */
function takeOff<T extends { slot: number }>(items: T[], item: T): void {
  const last = items.pop()
  assert(last !== undefined, 'an item with a slot is on its list')
  if (last !== item) {
    last.slot = item.slot
    items[item.slot] = last
  }
  item.slot = -1
}
