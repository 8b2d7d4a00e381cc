/**
 * Compacts a partition: passes over its segments, each with the last offsets of as many keys as
 * memory holds, until all that can be compacted was (Kafka's Cleaner).
 *
 *   1  the keys of [first dirty, end) and their last offsets        key-offsets.ts
 *   2  all segments up to there, in groups, from the log's first    segment-groups.ts
 *   3  of each group one new segment of what stays     batch-filter.ts, cleaned-segment.ts
 *   4  which takes the group's place before the next group is begun
 *
 * Owns when what is read and written; what can be compacted is cleanable.ts' to say, how a segment
 * takes the place of others its caller's (`swap`).
 *   I1  what a group has in older segments is gone, durably, before anything newer of the same keys
 *       goes: a record that was replaced or deleted never comes back
 *   I2  whatever ends the work, files of segments that were not swapped in are removed
 *   I3  damage ends the work: nothing is cleaned around it
 *   I4  a new segment ends with a batch that ends where the last of its old ones did
 */
import { CorruptBytes } from '../../errors/corrupt-bytes.ts'
import { LogError } from '../../errors/log-error.ts'
import { attributesOf, isControlBatch, isTransactionalBatch } from '../../format/record-batch.ts'
import type { Procedure } from '../../storage/procedure.ts'
import type { Segment } from '../../storage/segment.ts'
import type { SegmentContents } from '../../storage/segment-contents.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import type { PartitionLog } from '../partition-log.ts'
import { BatchFilter, type LastOfProducer, type PassRules } from './batch-filter.ts'
import { cleanableOf } from './cleanable.ts'
import { type CleanedPlace, CleanedSegment, removeCleaned } from './cleaned-segment.ts'
import { readDirtyKeys, STOPPED } from './dirty-keys.ts'
import { type KeyHash, KeyOffsets } from './key-offsets.ts'
import { type PassLimits, PassWork } from './pass-work.ts'
import { refuseDamage, SegmentBatches } from './segment-batches.ts'
import { groupSegments } from './segment-groups.ts'
import { TransactionFacts } from './transaction-facts.ts'

/** Memory for keys, for each byte that they may be in: batches may be compressed. */
const MEMORY_PER_BYTE = 4
const LEAST_MEMORY_BYTES = 65_536

/** How a partition is compacted. */
export interface CleanSettings extends PassLimits {
  readonly driver: StorageDriver
  /** Everything below was compacted. */
  readonly firstDirtyOffset: number
  /** Also where nothing is dirty: for tombstones whose time has come. */
  readonly force: boolean
  /** Memory for keys. */
  readonly bufferBytes: number
  readonly nowMs: number
  /** See `CleanableContext`. */
  readonly modifiedMsOf?: (segment: Segment) => number
  /** Puts a new segment in the place of old ones. */
  readonly swap: (
    old: readonly Segment[],
    cleaned: { readonly baseOffset: number; readonly contents: SegmentContents },
  ) => Procedure<void>
  /** For tests. */
  readonly hash?: KeyHash
}

/** What compacting did. */
export interface CleanStats {
  passes: number
  readBytes: number
  writtenBytes: number
  /** Of users, that the last pass looked at, and what it kept of them. */
  records: number
  kept: number
  /** Kept although they have no key. */
  keyless: number
  /** Segments that were replaced, and by how many. */
  replacedSegments: number
  newSegments: number
}

/** How far compacting came. */
export interface CleanResult {
  /** Everything below is compacted: the next call begins there. */
  readonly firstDirtyOffset: number
  /** False where it was stopped. */
  readonly isComplete: boolean
  readonly stats: CleanStats
}

/**
 * Compacts what can be compacted of `log`.
 * @throws {LogError} CORRUPT for damage, UNSUPPORTED_FORMAT without a codec, NO_SPACE, IO: groups
 *   that were replaced before are compacted, the others are as they were.
 */
export function* cleanPartition(
  log: PartitionLog,
  settings: CleanSettings,
): Procedure<CleanResult> {
  const cleaner = new PartitionCleaner(log, settings)
  try {
    return yield* cleaner.run()
  } catch (error) {
    // Of a topic that is deleted the files go away under it.
    if (log.end === undefined) throw error
    return cleaner.result(false)
  }
}

class PartitionCleaner {
  readonly #log: PartitionLog
  readonly #settings: CleanSettings
  readonly #work: PassWork
  readonly #facts: TransactionFacts
  #firstDirtyOffset: number
  /** Must stay in the log while they are worked on. */
  #group: readonly Segment[] = []
  readonly #stats: CleanStats = {
    passes: 0,
    readBytes: 0,
    writtenBytes: 0,
    records: 0,
    kept: 0,
    keyless: 0,
    replacedSegments: 0,
    newSegments: 0,
  }

  constructor(log: PartitionLog, settings: CleanSettings) {
    this.#log = log
    this.#settings = settings
    this.#firstDirtyOffset = settings.firstDirtyOffset
    const { throttle } = settings
    this.#work = new PassWork({ throttle, isStopped: () => this.#isStopped() })
    this.#facts = new TransactionFacts(log)
  }

  *run(): Procedure<CleanResult> {
    const log = this.#log
    const { force, nowMs, modifiedMsOf } = this.#settings
    // What was last of a producer is lost with a power cut unless it is durable: then the batch
    // before it would be the one to keep.
    const producers = lastOfProducers(log)
    // A snapshot in which a transaction is open would have it open for ever without its marker.
    log.snapshots.take('compaction', log)
    yield () => log.syncForCheckpoint()
    refuseDamage(log)
    const firstDirtyOffset = this.#firstDirtyOffset
    const context = { firstDirtyOffset, nowMs, ...(modifiedMsOf && { modifiedMsOf }) }
    const cleanable = cleanableOf(log, context)
    const { firstUncleanableOffset } = cleanable
    this.#firstDirtyOffset = cleanable.firstDirtyOffset
    const keys = new KeyOffsets(this.#memoryBytes(cleanable.dirtyBytes), this.#settings.hash)
    const dirty = { log, facts: this.#facts, work: this.#work }
    let mustRun = force
    let isComplete = !this.#isStopped()
    while (isComplete && (mustRun || this.#firstDirtyOffset < firstUncleanableOffset)) {
      mustRun = false
      if (keys.count > 0) yield* keys.clear()
      const end = firstUncleanableOffset
      const endOffset = yield* readDirtyKeys(dirty, keys, this.#firstDirtyOffset, end)
      isComplete =
        endOffset !== STOPPED &&
        (yield* this.#replaceAll(this.#rules(keys, endOffset, producers), end))
      if (!isComplete) break
      this.#stats.passes += 1
      this.#firstDirtyOffset = Math.max(this.#firstDirtyOffset, endOffset)
    }
    return this.result(isComplete)
  }

  /** How far it came. */
  result(isComplete: boolean): CleanResult {
    const { readBytes, writtenBytes } = this.#work
    const stats = { ...this.#stats, readBytes, writtenBytes }
    return { firstDirtyOffset: this.#firstDirtyOffset, isComplete, stats }
  }

  #rules(
    keys: KeyOffsets,
    endOffset: number,
    producers: ReadonlyMap<number, LastOfProducer>,
  ): PassRules {
    const { config, logStartOffset } = this.#log
    const { nowMs } = this.#settings
    return { ...config, keys, endOffset, logStartOffset, nowMs, producers, facts: this.#facts }
  }

  /** Makes anew what lies below the end of the keys; false where it was stopped. */
  *#replaceAll(rules: PassRules, firstUncleanableOffset: number): Procedure<boolean> {
    const log = this.#log
    const end = Math.min(rules.endOffset, firstUncleanableOffset)
    const segments = [...log.segments].filter(({ baseOffset }) => baseOffset < end)
    const filter = new BatchFilter(rules)
    const batches = new SegmentBatches(log)
    for (const group of groupSegments(segments, log.config)) {
      this.#group = group
      if (this.#isStopped()) return false
      if (!(yield* this.#replace(group, filter, batches))) return false
    }
    this.#group = []
    Object.assign(this.#stats, filter.counts)
    return true
  }

  /** Makes one segment of a group, unless it is what the group is already; false where stopped. */
  *#replace(
    group: readonly Segment[],
    filter: BatchFilter,
    batches: SegmentBatches,
  ): Procedure<boolean> {
    const [first] = group
    if (first === undefined) return true
    if (group.length === 1) {
      const state = filter.state()
      const outcome = yield* this.#walk(group, filter, batches, undefined)
      if (outcome !== 'changed') return outcome === 'same'
      filter.restore(state)
    }
    const { driver, swap } = this.#settings
    const { directory } = this.#log
    const place = { driver, directory, baseOffset: first.baseOffset }
    const contents = yield* this.#write(place, group, filter, batches)
    if (contents === undefined) return false
    try {
      yield* swap(group, { baseOffset: first.baseOffset, contents })
    } finally {
      // Of what was swapped in nothing has such a name any more.
      yield* removed(place)
    }
    this.#stats.replacedSegments += group.length
    this.#stats.newSegments += 1
    return true
  }

  /** Writes what stays of a group beside the log; undefined where it was stopped (I2). */
  *#write(
    place: CleanedPlace,
    group: readonly Segment[],
    filter: BatchFilter,
    batches: SegmentBatches,
  ): Procedure<SegmentContents | undefined> {
    const { indexIntervalBytes, segmentBytes } = this.#log.config
    const settings = { indexIntervalBytes, segmentBytes, preallocate: false }
    let output: CleanedSegment | undefined
    let contents: SegmentContents | undefined
    try {
      output = yield* CleanedSegment.create(place, settings)
      const outcome = yield* this.#walk(group, filter, batches, output)
      if (outcome === 'stopped') return undefined
      const written = yield* output.finish()
      if (!this.#isStopped()) contents = written
      return contents
    } finally {
      if (contents === undefined) {
        output?.close()
        yield* removed(place)
      }
    }
  }

  /** Goes through the batches of a group; without an output only until something is to change. */
  *#walk(
    group: readonly Segment[],
    filter: BatchFilter,
    batches: SegmentBatches,
    output: CleanedSegment | undefined,
  ): Procedure<'same' | 'changed' | 'stopped'> {
    const work = this.#work
    const facts = this.#facts
    let leftBytes = 0
    for (const { sizeBytes } of group) leftBytes += sizeBytes
    const writtenBefore = work.writtenBytes
    for (const segment of group) {
      batches.enter(segment)
      for (;;) {
        if (!batches.next()) {
          if (batches.isAtEnd) break
          if (!(yield* work.read(batches))) return 'stopped'
          continue
        }
        if (!facts.isLoaded && isOfTransaction(attributesOf(batches.buffer, batches.at))) {
          yield* facts.load(work)
          if (!facts.isLoaded) return 'stopped'
        }
        leftBytes -= batches.batchBytes
        const isSame = filtered(filter, batches, output, leftBytes)
        if (output === undefined && !isSame) return 'changed'
        if (output !== undefined) work.writtenBytes = writtenBefore + output.sizeBytes
        if (work.isSliceOver(filter.lookedAtBytes) && !(yield* work.turn())) return 'stopped'
      }
    }
    if (this.#isStopped()) return 'stopped' // What left the log meanwhile was not read to its end.
    return output === undefined ? 'same' : 'changed'
  }

  /** Also where the log ended, or retention took what is worked on. */
  #isStopped(): boolean {
    const { end, segments } = this.#log
    if (end !== undefined || this.#settings.isStopped()) return true
    const [first, last] = [this.#group[0], this.#group.at(-1)]
    // Retention takes the oldest.
    if (first === undefined || last === undefined) return false
    return !segments.includes(first) || !segments.includes(last)
  }

  #memoryBytes(dirtyBytes: number): number {
    const usable = Math.max(MEMORY_PER_BYTE * dirtyBytes, LEAST_MEMORY_BYTES)
    return Math.min(this.#settings.bufferBytes, usable)
  }
}

function isOfTransaction(attributes: number): boolean {
  return isTransactionalBatch(attributes) || isControlBatch(attributes)
}

/** As `BatchFilter.filter`, of a batch that has `bytesBehind` behind it in its group. */
function filtered(
  filter: BatchFilter,
  batches: SegmentBatches,
  output: CleanedSegment | undefined,
  bytesBehind: number,
): boolean {
  try {
    return filter.filter(batches, output, { isLast: bytesBehind === 0, bytesBehind })
  } catch (error) {
    throw error instanceof CorruptBytes ? batches.undecodable(error) : error
  }
}

/** Whatever fails here, the next attempt and the next open remove it. */
function* removed(place: CleanedPlace): Procedure<void> {
  try {
    yield* removeCleaned(place)
  } catch (error) {
    if (!LogError.is(error)) throw error
  }
}

function lastOfProducers(log: PartitionLog): ReadonlyMap<number, LastOfProducer> {
  return new Map(
    log.producers.entries().map(({ producerId, producerEpoch, lastOffset }) => {
      return [producerId, { producerEpoch, lastOffset }]
    }),
  )
}
