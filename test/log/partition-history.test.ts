/**
 * Any history of one partition under producers and transactions: appends that come again, markers,
 * writes that fail, deleted records, checkpoints, closes, kills and cuts of the power. After each
 * step it is what a model says that keeps every batch, and after each stop it is what of that was
 * there, with nothing left open.
 */
import assert from 'node:assert/strict'
import { test } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import {
  attributesOf,
  baseOffsetOf,
  baseSequenceOf,
  batchSizeBytesOf,
  isControlBatch,
  isTransactionalBatch,
  leaderEpochOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from '../../src/format/record-batch.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { MarkerReader } from '../../src/log/marker-batch.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { open } from './faulty-partition.ts'
import { numberedBatch } from './numbered-batches.ts'
import { openLog, partitionOf } from './open-log.ts'
import { type ModelEntry, ProducerModel, type WantedBatch } from './producer-model.ts'

const HISTORIES = 15
const STEPS = 70
const PRODUCERS = 3

/** A batch as it is in the log, and the epoch in which it came there. */
interface StoredEntry extends ModelEntry {
  readonly leaderEpoch: number
}

class History {
  readonly #random: SeededRandom
  #driver: FaultDriver
  #log: LogDirectory
  #partition: PartitionLog
  #model = new ProducerModel()
  /** What may be there after a kill although it failed. */
  #unknown: ModelEntry | undefined
  #reserved = 0
  #boots = 0
  /** Duplicates further back than that are not known any more. */
  #knownFrom = 0

  constructor(random: SeededRandom, opened: Awaited<ReturnType<typeof open>>) {
    this.#random = random
    this.#driver = opened.driver
    this.#log = opened.log
    this.#partition = opened.partition
  }

  async step(): Promise<void> {
    const kind = this.#random.below(100)
    if (kind < 55) this.#appendBatch()
    else if (kind < 75) this.#appendMarker()
    else if (kind < 80) this.#reserve()
    else if (kind < 84) await this.#deleteRecords()
    else if (kind < 90) await this.#partition.syncForCheckpoint()
    else if (kind < 94) await this.#partition.makeDurable(this.#partition.logEndOffset)
    else await this.#reopen()
    this.#compare()
  }

  #appendBatch(): void {
    const producerId = this.#random.below(PRODUCERS)
    const current = this.#model.currentEpoch(producerId)
    const isOpen = this.#model.firstOffsetOf(producerId) !== undefined
    const epoch = Math.max(0, current) + (!isOpen && this.#random.below(8) === 0 ? 1 : 0)
    const sequence = this.#model.nextSequence(producerId, epoch)
    const transactional = isOpen || this.#random.below(2) === 0
    const next = { producerId, epoch, sequence, count: 1 + this.#random.below(3), transactional }
    const wanted = this.#random.below(6) === 0 ? (this.#lastOf(producerId) ?? next) : next
    const verdict = this.#model.verdictOn(wanted)
    const appended = this.#attempt(wanted, () => {
      const { baseOffset, isDuplicate } = this.#partition.append(numberedBatch(wanted))
      assert.equal(isDuplicate, verdict !== null)
      if (isDuplicate) assert.equal(baseOffset, verdict)
      return !isDuplicate
    })
    if (appended) this.#model.append(wanted)
  }

  /** The last batch of the producer, where it is still known. */
  #lastOf(producerId: number): WantedBatch | undefined {
    const epoch = this.#model.currentEpoch(producerId)
    const last = this.#model.entries.findLast((one) => one.producerId === producerId)
    if (last === undefined || last.sequence < 0 || last.epoch !== epoch) return undefined
    return last.baseOffset >= this.#knownFrom ? last : undefined
  }

  #appendMarker(): void {
    const producerId = this.#random.below(PRODUCERS)
    const outcome = this.#random.below(2) === 0 ? 'commit' : 'abort'
    const epoch = Math.max(0, this.#model.currentEpoch(producerId))
    const isReserved = this.#reserved > 0
    const marker = {
      producerId,
      producerEpoch: epoch,
      outcome,
      coordinatorEpoch: 1,
      isReserved,
    } as const
    const entry = {
      producerId,
      epoch,
      sequence: -1,
      count: 1,
      transactional: true,
      outcome,
    } as const
    const appended = this.#attempt(entry, () => {
      assert.equal(this.#partition.appendMarker(marker), this.#model.logEndOffset)
      return true
    })
    if (!appended) return
    this.#model.append(entry)
    if (!isReserved) return
    this.#partition.releaseMarker()
    this.#reserved -= 1
  }

  #reserve(): void {
    this.#partition.reserveMarker()
    this.#reserved += 1
  }

  /** Runs an append, of whose writes one may fail; true where it was appended. */
  #attempt(entry: WantedBatch & Pick<ModelEntry, 'outcome'>, run: () => boolean): boolean {
    let callsLeft = this.#random.below(5) === 0 ? this.#random.below(3) : Infinity
    const fault = this.#random.below(2) === 0 ? 'EIO' : 'ENOSPC'
    this.#driver.onCall = ({ action }) =>
      action === 'write' && callsLeft-- === 0 ? fault : undefined
    try {
      const appended = run()
      if (appended) this.#unknown = undefined
      return appended
    } catch (error) {
      if (!LogError.is(error, 'IO', 'NO_SPACE')) throw error
      assert(callsLeft < 0)
      const isUnknown = LogError.is(error, 'IO') && error.details.outcome === 'unknown'
      this.#unknown = isUnknown ? { ...entry, baseOffset: this.#model.logEndOffset } : undefined
      return false
    } finally {
      this.#driver.onCall = undefined
    }
  }

  async #deleteRecords(): Promise<void> {
    const { logStartOffset, highWatermark } = this.#partition
    const offset = logStartOffset + this.#random.below(highWatermark - logStartOffset + 1)
    // Else a cut of the power may leave a log that starts inside a batch that is gone.
    await this.#partition.makeDurable(offset)
    await runProcedure(this.#log.deleteRecordsBefore(this.#partition, offset))
  }

  async #reopen(): Promise<void> {
    const { durableOffset, leaderEpoch } = this.#partition
    const kind = this.#random.below(3)
    this.#knownFrom = this.#model.logEndOffset
    if (kind === 0) {
      for (const { producerId, producerEpoch } of this.#partition.producers.open()) {
        const outcome = 'abort'
        this.#partition.appendMarker({ producerId, producerEpoch, outcome, coordinatorEpoch: 2 })
        this.#model.appendMarker(producerId, producerEpoch, outcome)
      }
      await runProcedure(this.#log.close())
    }
    const isCut = kind === 1
    if (isCut) this.#boots += 1
    this.#driver = isCut ? this.#driver.powerCut(this.#random) : this.#driver.processKill()
    this.#log = (await openLog(this.#driver, { bootId: `boot ${this.#boots}` })).log
    this.#partition = partitionOf(this.#log, 't')
    this.#reserved = 0
    this.#adopt({ atLeast: isCut ? durableOffset : this.#model.logEndOffset, leaderEpoch })
    this.#unknown = undefined
  }

  /** What is there is a prefix of what was appended, and behind it what ends open transactions. */
  #adopt(before: { readonly atLeast: number; readonly leaderEpoch: number }): void {
    const stored = storedIn(this.#partition)
    const written = [
      ...this.#model.entries,
      ...(this.#unknown === undefined ? [] : [this.#unknown]),
    ]
    const rest = new ProducerModel()
    const isOlder = (one: StoredEntry): boolean => one.leaderEpoch <= before.leaderEpoch
    const first = stored[0]?.baseOffset ?? this.#partition.logEndOffset
    for (const entry of written) {
      // What lies below the start of the log may be gone.
      const found = stored.find((one) => one.baseOffset === entry.baseOffset && isOlder(one))
      if (found === undefined && entry.baseOffset >= first) break
      if (found !== undefined) assert.deepEqual(withoutEpoch(found), withOutcome(entry))
      rest.append(entry)
    }
    assert(rest.logEndOffset >= before.atLeast)
    const added = stored.filter((one) => one.baseOffset >= rest.logEndOffset)
    const left = PRODUCER_IDS.filter((id) => rest.firstOffsetOf(id) !== undefined)
    assert.deepEqual(
      added.map((one) => one.producerId).sort((a, b) => a - b),
      left,
    )
    for (const { producerId, epoch, outcome } of added) {
      assert.equal(outcome, 'abort')
      rest.appendMarker(producerId, epoch, outcome)
    }
    this.#model = rest
  }

  #compare(): void {
    const partition = this.#partition
    const { logStartOffset, lastStableOffset, highWatermark, logEndOffset } = partition
    assert.equal(logEndOffset, this.#model.logEndOffset)
    assert.equal(highWatermark, logEndOffset)
    const firstUnstable = Math.max(this.#model.openOffsets[0] ?? Infinity, logStartOffset)
    assert.equal(lastStableOffset, Math.min(firstUnstable, highWatermark))
    for (const producerId of this.#model.producerIds) {
      const epoch = this.#model.currentEpoch(producerId)
      const next = this.#model.nextSequence(producerId, epoch)
      assert.equal(partition.nextSequence(producerId, epoch), next)
    }
    for (const entry of this.#model.entries) {
      const { producerId, baseOffset, transactional, sequence, count } = entry
      const isReadable = baseOffset >= logStartOffset && baseOffset + count <= lastStableOffset
      if (!isReadable || !transactional || sequence < 0) continue
      assert.equal(partition.isAborted(producerId, baseOffset), this.#model.isAborted(entry))
    }
  }
}

const PRODUCER_IDS: readonly number[] = Array.from({ length: PRODUCERS }, (_, id) => id)

/** As the model has it. */
function withoutEpoch({ leaderEpoch: _, ...entry }: StoredEntry): ModelEntry {
  return entry
}

function withOutcome(entry: ModelEntry): ModelEntry {
  return { outcome: undefined, ...entry }
}

/** Every batch of a partition, read from its files. */
function storedIn(partition: PartitionLog): readonly StoredEntry[] {
  partition.tail.clear()
  const entries: StoredEntry[] = []
  const markers = new MarkerReader()
  const cursor = partition.cursor(partition.logStartOffset)
  const end = partition.logEndOffset
  for (let run = cursor.next(end); run !== undefined; run = cursor.next(end)) {
    const { buffer } = run
    for (let at = run.start; at < run.end; at += batchSizeBytesOf(buffer, at)) {
      const attributes = attributesOf(buffer, at)
      const type = isControlBatch(attributes) ? markers.read(buffer, at) : 'other'
      entries.push({
        producerId: producerIdOf(buffer, at),
        epoch: producerEpochOf(buffer, at),
        sequence: baseSequenceOf(buffer, at),
        count: recordCountOf(buffer, at),
        transactional: isTransactionalBatch(attributes),
        baseOffset: baseOffsetOf(buffer, at),
        leaderEpoch: leaderEpochOf(buffer, at),
        outcome: type === 'other' ? undefined : type,
      })
    }
  }
  return entries
}

test('is what a model says after each step, and after each stop a prefix of it', async () => {
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const random = new SeededRandom(seed)
    const preallocate = random.below(2) === 0
    const history = new History(random, await open({ segmentBytes: 1_024, preallocate }))
    for (let step = 0; step < STEPS; step += 1) {
      try {
        await history.step()
      } catch (error) {
        throw new Error(`history ${seed}, step ${step}`, { cause: error })
      }
    }
  }
})
