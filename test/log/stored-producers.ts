/**
 * One partition over the lives of its process, with producers that write to it: opened as a log
 * opens it, appended to by hand, and ended by a close, a kill or a power cut; beside it what its
 * producers did, from which everything that is known of them follows.
 */
import type { AbortedTransaction } from '../../src/format/aborted-transaction.ts'
import type { ProducerSnapshotEntry } from '../../src/format/producer-snapshot.ts'
import { type BatchProducer, RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { CommitBarrier } from '../../src/log/commit-barrier.ts'
import type { AppendedBatch, TransactionMarker } from '../../src/log/encoded-batch.ts'
import { type ResolvedTopicConfig, resolveTopicConfig } from '../../src/log/log-config.ts'
import type { PartitionEvidence } from '../../src/log/partition-evidence.ts'
import { PartitionLog } from '../../src/log/partition-log.ts'
import { openPartition } from '../../src/log/partition-open.ts'
import { noProducers } from '../../src/log/producer-replay.ts'
import { ProducerStates } from '../../src/log/producer-states.ts'
import { TailBudget } from '../../src/log/tail.ts'
import { flushFolders, layPartition } from '../../src/log/topic-directory.ts'
import type { CleanPartition } from '../../src/storage/clean-marker.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import type { SeededRandom } from '../../src/testing/seeded-random.ts'
import { FakeClock } from '../support/fake-clock.ts'

const NAME = { topic: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partition: 0 }
const ROOM_BYTES = 65_536

/** A batch or marker that was appended. */
interface Deed {
  readonly offset: number
  readonly lastOffset: number
  readonly timestamp: number
  readonly batch: { readonly producer: BatchProducer; readonly recordCount: number } | undefined
  readonly marker: TransactionMarker | undefined
}

/** All that is known of producers, in an order that does not depend on how it came to be known. */
export interface KnownOfProducers {
  readonly entries: readonly ProducerSnapshotEntry[]
  readonly open: readonly unknown[]
  readonly firstUnstableOffset: number
  readonly aborted: readonly AbortedTransaction[]
}

/** The partition `t-0`. */
export class StoredPartition {
  driver: FaultDriver = new FaultDriver()
  log: PartitionLog
  readonly clock: FakeClock = new FakeClock()
  /** A broker closed it last. */
  isBrokerClean = false
  readonly #config: ResolvedTopicConfig
  readonly #builder = new RecordBatchBuilder()
  #deeds: Deed[] = []
  /** What the checkpoint file says. */
  #checkpointed = 0
  #described: CleanPartition | undefined

  private constructor(config: ResolvedTopicConfig) {
    this.#config = config
    const plan = { ...NAME, driver: this.driver, config, startOffset: 0, leaderEpoch: 0 }
    const state = { ...NAME, config, isOwn: true, isGapless: true, isSettled: false }
    const files = { ...state, ...layPartition(plan) }
    const known = noProducers({ ...files, driver: this.driver })
    this.log = this.#take({ ...files, ...known, logStartOffset: 0, durableOffset: 0 })
  }

  /** A new one, with its folder on stable storage. */
  static async create(config: Partial<ResolvedTopicConfig> = {}): Promise<StoredPartition> {
    const all = { segmentBytes: 4_096, indexIntervalBytes: 256, preallocate: false, ...config }
    const partition = new StoredPartition(resolveTopicConfig(all))
    await runProcedure(flushFolders(partition.driver, ['t-0']))
    await partition.driver.flushDirectory('')
    return partition
  }

  /** Appends a batch of a producer, or of nobody. */
  append(
    by: { readonly producerId: number; readonly epoch?: number; readonly transactional?: boolean },
    recordCount: number = 1,
    valueBytes: number = 16,
  ): AppendedBatch {
    const { producerId, epoch: producerEpoch = 0, transactional = false } = by
    const baseSequence =
      producerId < 0 ? -1 : this.log.producers.nextSequence(producerId, producerEpoch)
    const epoch = producerId < 0 ? -1 : producerEpoch
    const producer = { producerId, producerEpoch: epoch, baseSequence, transactional }
    return this.send(producer, recordCount, valueBytes)
  }

  /** As `append`, with a sequence of the caller's. */
  send(producer: BatchProducer, recordCount: number = 1, valueBytes: number = 16): AppendedBatch {
    const builder = this.#builder
    builder.begin(Buffer.alloc(ROOM_BYTES), 0)
    for (let done = 0; done < recordCount; done++) {
      builder.add(this.clock.now(), null, 'v'.repeat(valueBytes), null)
    }
    builder.finish('none', producer)
    const appended = this.log.append(builder)
    const { baseOffset: offset, lastOffset, timestamp, isDuplicate } = appended
    const batch = producer.producerId < 0 ? undefined : { producer, recordCount }
    if (!isDuplicate) this.#deeds.push({ offset, lastOffset, timestamp, batch, marker: undefined })
    return appended
  }

  /** Ends what the producer has open here, if it has. */
  end(producerId: number, outcome: 'commit' | 'abort', producerEpoch: number = 0): void {
    const marker = { producerId, producerEpoch, outcome, coordinatorEpoch: 3 }
    const offset = this.log.appendMarker(marker)
    const timestamp = this.clock.now()
    this.#deeds.push({ offset, lastOffset: offset, timestamp, batch: undefined, marker })
  }

  /** As a log's checkpoint: what the file says afterwards counts for the next open. */
  async checkpoint(): Promise<void> {
    await this.log.syncForCheckpoint()
    this.#checkpointed = this.log.recoveryPoint
  }

  /** Closes, and opens again as a log does that was closed cleanly. */
  async reopen(): Promise<void> {
    await this.close()
    await this.open()
  }

  /** As a log's close: the next open finds a clean marker. */
  async close(): Promise<void> {
    const { log } = this
    await log.settle()
    this.#described = {
      ...NAME,
      logStartOffset: log.logStartOffset,
      logEndOffset: log.logEndOffset,
      producers: log.snapshots.newest(log),
      segments: [...log.segments].map(({ baseOffset, contents }) => ({ baseOffset, ...contents })),
    }
    log.finish('closed')
    log.closeFiles()
  }

  /** The process is killed, or the power cut; opened again. */
  async crash(random?: SeededRandom): Promise<void> {
    this.driver = random === undefined ? this.driver.processKill() : this.driver.powerCut(random)
    await this.open()
  }

  /** Opens what the driver has. */
  async open(): Promise<void> {
    const described = this.#described
    const { isBrokerClean } = this
    const evidence: PartitionEvidence = {
      described,
      isBrokerClean,
      isBrokers: false,
      checkpointedPoint: this.#checkpointed,
      logStartOffset: 0,
      published: undefined,
      durableBefore: 0,
    }
    this.#described = undefined
    const known = { ...NAME, config: this.#config, isOwn: true, isGapless: true }
    const { state } = await runProcedure(openPartition(this.driver, known, evidence))
    this.log = this.#take(state)
    this.#deeds = this.#deeds.filter(({ lastOffset }) => lastOffset < this.log.logEndOffset)
  }

  /** What the log says of its producers. */
  known(): KnownOfProducers {
    const { producers, segments } = this.log
    const aborted = [...segments].flatMap((segment) => segment.aborted.entries)
    return knownOf(producers, aborted)
  }

  /** What it has to say, by what was appended. */
  expected(): KnownOfProducers {
    const producers = new ProducerStates(NAME)
    const aborted: AbortedTransaction[] = []
    for (const { offset, lastOffset, timestamp, batch, marker } of this.#deeds) {
      if (batch !== undefined) {
        const bytes = { buffer: Buffer.alloc(0), start: 0, sizeBytes: 0, maxTimestamp: timestamp }
        producers.appended({ ...bytes, ...batch }, { baseOffset: offset, lastOffset, timestamp })
      }
      if (marker === undefined) continue
      const ended =
        marker.outcome === 'abort' ? producers.abortedBy(marker.producerId, offset) : undefined
      if (ended !== undefined) aborted.push(ended)
      producers.ended(marker, offset, timestamp)
    }
    return knownOf(producers, aborted)
  }

  /** Batches of producers that are there, newest last. */
  get batches(): readonly {
    readonly offset: number
    readonly producer: BatchProducer
    readonly recordCount: number
  }[] {
    return this.#deeds.flatMap(({ offset, batch }) =>
      batch === undefined ? [] : [{ offset, ...batch }],
    )
  }

  /** Offsets of the snapshots there are. */
  snapshots(): readonly number[] {
    const names = this.driver.list('t-0').filter((name) => name.endsWith('.snapshot'))
    return names.map((name) => Number.parseInt(name, 10))
  }

  #take(state: ConstructorParameters<typeof PartitionLog>[1]): PartitionLog {
    const { driver, clock } = this
    const nothing = (): void => undefined
    const barrier = new CommitBarrier(clock)
    const tailBudget = new TailBudget(1_000_000)
    const told = { changed: nothing, layoutChanged: nothing, rolled: nothing, failed: nothing }
    return new PartitionLog({ driver, clock, barrier, tailBudget, ...told }, state)
  }
}

function knownOf(
  producers: ProducerStates,
  aborted: readonly AbortedTransaction[],
): KnownOfProducers {
  const entries = [...producers.entries()].sort((a, b) => a.producerId - b.producerId)
  const { firstUnstableOffset } = producers
  return { entries, open: producers.open(), firstUnstableOffset, aborted }
}
