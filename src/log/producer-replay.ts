/**
 * ProducerReplay: what is known of a partition's producers, from its newest snapshot that can be
 * used and the batches behind it, when a log opens.
 *
 *   I1  after a stop that was not clean all of it is read before anything is appended, and what
 *       .txnindex files say behind the snapshot is made to agree with the markers there: an entry
 *       is written before its marker, which may not have come
 *   I2  a snapshot that is not what was written costs a longer look at the log, never a producer;
 *       damage in the log costs what was in it
 *   I3  after a clean stop nothing is read before somebody needs it: no transaction is open, and
 *       the clean marker says which snapshot has the rest
 */
import { LogError } from '../errors/log-error.ts'
import type { AbortedTransaction } from '../format/aborted-transaction.ts'
import type { ProducerSnapshotEntry } from '../format/producer-snapshot.ts'
import { batchSizeBytesOf } from '../format/record-batch.ts'
import type { NewestSnapshot } from '../storage/clean-marker.ts'
import { completeProcedure, type Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { nextTurn } from './clock.ts'
import { LogCursor } from './log-cursor.ts'
import { nothingNew } from './log-source.ts'
import {
  ProducerSnapshots,
  readSnapshot,
  snapshotOffsets,
  snapshotPath,
} from './producer-snapshots.ts'
import { ProducerStates } from './producer-states.ts'
import type { SegmentList } from './segment-list.ts'
import { Tail, TailBudget } from './tail.ts'

/** Bytes read before other work of the process gets its turn. */
const SLICE_BYTES = 1_048_576
/** Nobody appends meanwhile. */
const ALL_THERE = { extend: nothingNew, lookAgain: nothingNew }

/** A partition whose segments are known. */
export interface ReplayedLog {
  readonly driver: StorageDriver
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly segments: SegmentList
  readonly isGapless: boolean
}

/** What is known of a partition's producers, and where that is kept. */
export interface KnownProducers {
  readonly producers: ProducerStates
  readonly snapshots: ProducerSnapshots
}

/** Of a partition without a producer, and without a snapshot. */
export function noProducers(log: ReplayedLog): KnownProducers {
  const found = { offsets: [], behindBytes: log.segments.sizeBytes, savedCount: 0 }
  return {
    producers: new ProducerStates(log),
    snapshots: new ProducerSnapshots(log.driver, log.directory, found, log.segments),
  }
}

/** As the clean marker says; `offsets` are those of the snapshots in the folder, ascending (I3). */
export function describedProducers(
  log: ReplayedLog,
  newest: NewestSnapshot | null,
  offsets: readonly number[],
): KnownProducers {
  if (newest === null) return noProducers(log)
  const found = {
    // A later one was never vouched for.
    offsets: offsets.filter((offset) => offset <= newest.offset),
    behindBytes: newest.behindBytes,
    savedCount: 0,
  }
  return {
    producers: new ProducerStates(log, () => readLate(log, newest.offset)),
    snapshots: new ProducerSnapshots(log.driver, log.directory, found, log.segments),
  }
}

/**
 * Reads what there is, after a stop that was not clean (I1); the folder has no snapshot of more
 * than the log. Forcing removed names to stable storage is left to the caller.
 */
export function* replayProducers(log: ReplayedLog): Procedure<KnownProducers> {
  const { driver, directory, segments } = log
  const offsets = [...snapshotOffsets(driver.list(directory))]
  const replay = new ProducerReplay(log)
  for (let offset = offsets.at(-1); offset !== undefined; offset = offsets.at(-1)) {
    const entries = readSnapshot(driver, directory, offset)
    if (entries !== undefined) {
      replay.startAt(offset, entries)
      break
    }
    offsets.pop()
    const removal = driver.unlink(snapshotPath(directory, offset))
    yield () => removal.catch(() => undefined) // I2: nobody takes it for more than it is.
  }
  yield* replay.run()
  replay.noteAborted()
  const found = { offsets, behindBytes: replay.readBytes, savedCount: 0 }
  return {
    producers: replay.producers,
    snapshots: new ProducerSnapshots(driver, directory, found, segments),
  }
}

/**
 * At the first need, in one call: the snapshot that the clean marker named, or where that got
 * damaged since, what the log says (I2).
 */
function readLate(log: ReplayedLog, offset: number): readonly ProducerSnapshotEntry[] {
  const entries = readSnapshot(log.driver, log.directory, offset)
  if (entries !== undefined && entries.every(isClosed)) return entries
  const replay = new ProducerReplay(log)
  const older = snapshotOffsets(log.driver.list(log.directory)).filter((one) => one < offset)
  for (const one of older.toReversed()) {
    const found = readSnapshot(log.driver, log.directory, one)
    if (found === undefined) continue
    replay.startAt(one, found)
    break
  }
  completeProcedure(replay.run())
  // What seems open has lost its marker to damage.
  return replay.producers.entries().map((entry) => ({
    ...entry,
    currentTransactionFirstOffset: -1,
  }))
}

/** Takes the batches of a log in. */
class ProducerReplay {
  readonly producers: ProducerStates
  readBytes = 0
  readonly #log: ReplayedLog
  /** By the markers read, in their order. */
  readonly #aborted: AbortedTransaction[] = []
  #from: number

  constructor(log: ReplayedLog) {
    this.#log = log
    this.producers = new ProducerStates(log)
    this.#from = log.segments.first.baseOffset
  }

  /** Goes on behind a snapshot. */
  startAt(offset: number, entries: readonly ProducerSnapshotEntry[]): void {
    this.producers.load(entries)
    // It may be older than the log: segments before the first went since.
    this.#from = Math.max(offset, this.#log.segments.first.baseOffset)
  }

  *run(): Procedure<void> {
    const { segments } = this.#log
    const tail = new Tail(new TailBudget(0))
    const source = { ...this.#log, tail, logStartOffset: this.#from, ...ALL_THERE }
    const cursor = new LogCursor(source, this.#from, { passesBadSectors: true })
    let sliceBytes = 0
    for (;;) {
      try {
        const run = cursor.next(segments.active.nextOffset)
        if (run === undefined) return
        for (let at = run.start; at < run.end; at += batchSizeBytesOf(run.buffer, at)) {
          const aborted = this.producers.replay(run.buffer, at)
          if (aborted !== undefined) this.#aborted.push(aborted)
        }
        this.readBytes += run.end - run.start
        sliceBytes += run.end - run.start
      } catch (error) {
        if (!LogError.is(error, 'CORRUPT')) throw error
        cursor.skipDamage() // I2
      }
      if (sliceBytes < SLICE_BYTES) continue
      sliceBytes = 0
      yield nextTurn
    }
  }

  /**
   * What was read is all that .txnindex files say of it (I1). Where that is not on stable storage
   * yet, no newer snapshot is either (producer-snapshots.ts): it would be read again.
   */
  noteAborted(): void {
    const { segments } = this.#log
    for (const segment of segments) {
      if (segment.nextOffset >= this.#from) segment.truncateAborted(this.#from)
    }
    for (const aborted of this.#aborted) segments.floor(aborted.lastOffset).addAborted(aborted)
  }
}

function isClosed({ currentTransactionFirstOffset }: ProducerSnapshotEntry): boolean {
  return currentTransactionFirstOffset < 0
}
