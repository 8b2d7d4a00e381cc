/**
 * SendQueue: the one queue of a producer. What may go to its batch goes at once; what has to wait,
 * for room or for an asynchronous schema, holds back everything that was sent after it.
 *
 *   I1  records reach the batcher in the order of `send`, `sendAll` and `enqueue`
 *   I2  the batcher holds at most bufferBytes of records, but for what is enqueued, which is always
 *       taken and says by its result when that is too much
 *   I3  a record that waits is a copy: the user's bytes may change once the call returned
 *   I4  an error that nobody was told is told once, by the next flush, drained or close
 * While anything is on its way the process is held, where the log asks for that.
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import { BATCH_HEADER_BYTES } from '../format/record-batch.ts'
import { maxRecordBytes, recordBytes, unitCount } from '../format/record.ts'
import { releaseProcess, retainProcess } from '../log/clock.ts'
import type { BatchWriter } from './batch-writer.ts'
import { Batcher, type BatchListener } from './batcher.ts'
import { Fifo } from './fifo.ts'
import type { PartitionLane } from './partition-lane.ts'
import { checkPartition, partitionerFor, type PartitionerInstance } from './partitioner.ts'
import type { ProducerSettings } from './producer-options.ts'
import type { ProducerHost, ProducerTopic } from './producer.ts'
import { UNPLACED, type PreparedRecord } from './record-input.ts'
import type { FailedRecord, PendingSend, SendAllResult } from './send-result.ts'
import { FlushMark, WaitingRecord } from './waiting-record.ts'

/** What a record counts while its schema thinks and nobody knows how long it will be. */
const UNKNOWN_RECORD_BYTES = 1_024

/** What a producer's records pass through, in order. */
export class SendQueue implements BatchListener {
  readonly #host: ProducerHost
  readonly #bufferBytes: number
  readonly #batcher: Batcher
  readonly #partitioner: PartitionerInstance
  readonly #waiting = new Fifo<WaitingRecord | FlushMark>()
  #waitingBytes = 0
  #drainWaiters: (() => void)[] = []
  #isPumping = false
  #isAbandoned = false
  /** The first error that nobody was told. */
  #unseen: { readonly error: unknown } | undefined
  #isHolding = false

  /** @throws {LogError} `INVALID_ARGUMENT` for a partitioner that is none. */
  constructor(host: ProducerHost, settings: ProducerSettings, writer: BatchWriter) {
    const { batchBytes, bufferBytes, partitioner } = settings
    this.#host = host
    this.#bufferBytes = bufferBytes
    this.#batcher = new Batcher(settings, host.clock, this, writer)
    this.#partitioner = partitionerFor(partitioner, batchBytes, host.randomBytes)
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#waiting.isEmpty && this.#batcher.isIdle
  }

  /** As much is buffered as should be. */
  get isFull(): boolean {
    return this.#batcher.bufferedBytes + this.#waitingBytes >= this.#bufferBytes
  }

  /**
   * Takes one record; without a `send` it need not wait for room. Returns whether it waits: then
   * `record` belongs to the queue, else it may be reused at once. Hot.
   * @throws {LogError} `PARTITION_NOT_FOUND`, `RECORD_TOO_LARGE`, `BUFFER_FULL`, and what a user's
   * partitioner throws: nothing was taken.
   */
  take(topic: ProducerTopic, record: PreparedRecord, send: PendingSend | null): boolean {
    const lane = this.#place(topic, record)
    const units = unitCount(record.key) + unitCount(record.value)
    const maxBytes = maxRecordBytes(units, record.headers)
    if (BATCH_HEADER_BYTES + maxBytes > lane.limitBytes || maxBytes > this.#bufferBytes) {
      this.#checkBytes(lane, exactBytes(record))
    }
    if (!this.#waiting.isEmpty || (send !== null && !this.#hasRoom(record, maxBytes))) {
      const waiting = new WaitingRecord(topic, record, send)
      this.#placed(waiting, lane)
      this.#wait(waiting)
      return true
    }
    const bytes = this.#batcher.add(lane, record, maxBytes, send)
    if (record.partition === UNPLACED) {
      this.#partitioner.recorded(topic.name, lane.log.partition, bytes, lane.open === null)
    }
    // Whoever heeds a false from enqueue waits for less to be buffered: nothing may linger then.
    if (send === null && this.isFull) this.#batcher.sendSoon()
    return false
  }

  /** Takes a record, which belongs to the queue from now on, once `pending` has resolved. */
  takeLater(
    topic: ProducerTopic,
    record: PreparedRecord,
    send: PendingSend | null,
    pending: Promise<void>,
  ): void {
    const waiting = new WaitingRecord(topic, record, send)
    const refused = pending.then(
      () => [],
      (error: unknown) => [{ index: 0, error }],
    )
    this.#hold([waiting], refused, ([first]) => this.#failed(waiting, first?.error))
  }

  /** Takes all of the records of a `sendAll`, or none. They belong to the queue from now on. */
  takeAll(records: readonly WaitingRecord[], result: SendAllResult): void {
    const refused = this.#placeAll(records)
    if (refused.length > 0) {
      result.refused(refused)
      return
    }
    for (const waiting of records) {
      if (this.#waiting.isEmpty && this.#fits(waiting.bytes)) this.#accept(waiting)
      else this.#wait(waiting)
    }
  }

  /** As `takeAll`, once it is known that none was `refused`. */
  takeAllLater(
    records: readonly WaitingRecord[],
    result: SendAllResult,
    refused: Promise<readonly FailedRecord[]>,
  ): void {
    this.#hold(records, refused, (failed) => result.refused(failed))
  }

  /** Appends what is gathered in batches, lingering or not. */
  sendBatches(): void {
    this.#batcher.sendNow()
  }

  /** Calls `done` once everything taken before is settled; nothing lingers any more. */
  flush(done: () => void): void {
    this.#batcher.sendNow()
    if (this.#waiting.isEmpty) this.#batcher.whenSettled(done)
    else this.#waiting.push(new FlushMark(done))
  }

  /** Calls `done` once there is room again: when half of the buffer is free, or at once. */
  whenDrained(done: () => void): void {
    if (!this.isFull) {
      done()
      return
    }
    this.#drainWaiters.push(done)
    this.#batcher.sendSoon()
  }

  /** Throws the error that nobody was told, where there is one, and forgets it. */
  throwUnseen(): void {
    const unseen = this.#unseen
    this.#unseen = undefined
    if (unseen !== undefined) throw unseen.error
  }

  /** Gives up whatever is not in the log yet; nothing may be taken any more. */
  abandon(error: unknown): void {
    this.#isAbandoned = true
    const marks: FlushMark[] = []
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next instanceof FlushMark) marks.push(next)
      else if (next.stage !== 'refused') this.#failed(next, error)
    }
    this.#waitingBytes = 0
    this.#batcher.abandon(error)
    for (const mark of marks) this.#batcher.whenSettled(mark.done)
    this.#pump()
  }

  /** For the batcher. */
  batchOpened(): void {
    this.#holdProcess()
  }

  /** For the batcher. */
  batchSettled(unseenError: unknown): void {
    if (unseenError !== undefined) this.#unseen ??= { error: unseenError }
    this.#pump()
  }

  #place(topic: ProducerTopic, record: PreparedRecord): PartitionLane {
    const { name, logs } = topic
    const { partition } = record
    const { length } = logs
    const place =
      partition === UNPLACED
        ? this.#partitioner.partition(record, name, length)
        : checkPartition(partition, name, length, 'the record')
    const log = logs[place]
    assert(log !== undefined, 'the partition was checked')
    return this.#batcher.laneOf(log)
  }

  /** Gives each record its place; what is refused comes back, and nothing else has happened. */
  #placeAll(records: readonly WaitingRecord[]): readonly FailedRecord[] {
    const refused: FailedRecord[] = []
    for (const [index, waiting] of records.entries()) {
      try {
        const lane = this.#place(waiting.topic, waiting.record)
        this.#checkBytes(lane, exactBytes(waiting.record))
        this.#placed(waiting, lane)
      } catch (error) {
        refused.push({ index, error })
      }
    }
    return refused
  }

  #placed(waiting: WaitingRecord, lane: PartitionLane): void {
    const { record, topic } = waiting
    waiting.log = lane.log
    waiting.bytes = exactBytes(record)
    waiting.stage = 'ready'
    if (record.partition !== UNPLACED) return
    this.#partitioner.recorded(topic.name, lane.log.partition, waiting.bytes, false)
  }

  #checkBytes(lane: PartitionLane, bytes: number): void {
    lane.checkRecord(bytes)
    if (bytes <= this.#bufferBytes) return
    throw new LogError(
      'BUFFER_FULL',
      `${lane.log.topic}: a record of ${bytes} bytes is larger than bufferBytes ` +
        `(${this.#bufferBytes}): make it smaller, or give the producer more room`,
      { topic: lane.log.topic, recordBytes: bytes, bufferBytes: this.#bufferBytes },
    )
  }

  #hasRoom(record: PreparedRecord, maxBytes: number): boolean {
    return this.#fits(maxBytes) || this.#fits(exactBytes(record))
  }

  /** An empty buffer takes any record: one that is too large for it was refused before. */
  #fits(bytes: number): boolean {
    const { bufferedBytes } = this.#batcher
    return bufferedBytes + bytes <= this.#bufferBytes || bufferedBytes === 0
  }

  #wait(waiting: WaitingRecord): void {
    waiting.keep()
    this.#waitingBytes += waiting.bytes
    this.#waiting.push(waiting)
    this.#holdProcess()
    this.#pump() // Where room is what the first one waits for, nothing may linger.
  }

  /** Lets records wait until `refused` says which of them are; `refuse` tells who sent them. */
  #hold(
    records: readonly WaitingRecord[],
    refused: Promise<readonly FailedRecord[]>,
    refuse: (failed: readonly FailedRecord[]) => void,
  ): void {
    for (const waiting of records) {
      waiting.bytes = UNKNOWN_RECORD_BYTES
      this.#wait(waiting)
    }
    void refused.then((known) => {
      if (this.#isAbandoned) return
      this.#waitingBytes -= sumOfBytes(records)
      const failed = known.length > 0 ? known : this.#placeAll(records)
      if (failed.length > 0) {
        for (const waiting of records) waiting.refuse()
        refuse(failed)
      }
      this.#waitingBytes += sumOfBytes(records)
      this.#pump()
    })
  }

  /** Moves what has waited long enough, and tells who waits for that. */
  #pump(): void {
    if (this.#isPumping) return // What settles on the way is seen by the loop.
    this.#isPumping = true
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      if (!this.#mayPass(next)) break
      this.#waiting.shift()
      if (next instanceof FlushMark) {
        this.#batcher.sendNow()
        this.#batcher.whenSettled(next.done)
        continue
      }
      this.#waitingBytes -= next.bytes
      if (next.stage === 'ready') this.#accept(next)
    }
    this.#isPumping = false
    this.#wakeDrained()
    if (this.#waiting.isEmpty && this.#batcher.isIdle) this.#releaseProcess()
  }

  #mayPass(next: WaitingRecord | FlushMark): boolean {
    if (next instanceof FlushMark || next.stage === 'refused') return true
    if (next.stage === 'held') return false
    if (this.#fits(next.bytes)) return true
    this.#batcher.sendSoon() // Room comes from batches that might linger.
    return false
  }

  #accept(waiting: WaitingRecord): void {
    const { log, record, send } = waiting
    assert(log !== null, 'a record that is ready has a place')
    try {
      waiting.topic.types.checkStored(record.key)
      const units = unitCount(record.key) + unitCount(record.value)
      const maxBytes = maxRecordBytes(units, record.headers)
      this.#batcher.add(this.#batcher.laneOf(log), record, maxBytes, send)
    } catch (error) {
      this.#failed(waiting, error)
    }
  }

  #failed(waiting: WaitingRecord, error: unknown): void {
    if (waiting.send === null) this.#unseen ??= { error }
    else waiting.send.failed(error)
  }

  #wakeDrained(): void {
    if (this.#drainWaiters.length === 0) return
    const buffered = this.#batcher.bufferedBytes + this.#waitingBytes
    if (buffered > Math.floor(this.#bufferBytes / 2)) {
      this.#batcher.sendSoon()
      return
    }
    const waiters = this.#drainWaiters
    this.#drainWaiters = []
    for (const wake of waiters) wake()
  }

  #holdProcess(): void {
    if (this.#isHolding || !this.#host.holdsProcess) return
    this.#isHolding = true
    retainProcess()
  }

  #releaseProcess(): void {
    if (!this.#isHolding) return
    this.#isHolding = false
    releaseProcess()
  }
}

/** What a record takes at the start of a batch; behind others it may be a few bytes more. */
function exactBytes(record: PreparedRecord): number {
  return recordBytes(0, 0, record.key, record.value, record.headers)
}

function sumOfBytes(records: readonly WaitingRecord[]): number {
  let bytes = 0
  for (const { bytes: one } of records) bytes += one
  return bytes
}
