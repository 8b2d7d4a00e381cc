/**
 * ProducerSnapshots: the .snapshot files of one partition: what is known of its producers just
 * before an offset, so that nobody has to read the log from its start to know it again.
 *
 *   00000000000000004096.snapshot   state before offset 4096 (format/producer-snapshot.ts)
 *
 * What is to be written is taken at once, in memory, where appends go on; written when whoever
 * took it has synced the log up to there.
 *   I1  a snapshot has its name only when its bytes, the log below its offset and what .txnindex
 *       files say of that log are on stable storage: recovery reads none of that again
 *   I2  one that may be needed is gone only when a newer one is on stable storage
 *   I3  behind the newest one are at most 4 MiB of log that a checkpoint has passed
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { LogError } from '../errors/log-error.ts'
import {
  decodeProducerSnapshot,
  encodeProducerSnapshot,
  type ProducerSnapshotEntry,
} from '../format/producer-snapshot.ts'
import { parseSegmentFileName, segmentFileName } from '../format/segment-name.ts'
import { applyReplacement, prepareReplacement, readWholeFile } from '../storage/checkpoint-file.ts'
import type { NewestSnapshot } from '../storage/clean-marker.ts'
import { type Procedure, runProcedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'

/** Log behind the newest snapshot, whoever wrote it, before another one is worth its cost. */
const MAX_BEHIND_BYTES = 4_194_304
/**
 * Log with producers' batches that a checkpoint leaves behind the newest snapshot: to read it again
 * is one read, to save it two waits for the device.
 */
const LEFT_BEHIND_BYTES = 262_144
/** Taken and not written yet; of more that are rolled between two checkpoints the newest. */
const MAX_TAKEN = 16

/** What is saved. */
export interface SavedProducers {
  /** Grows with every batch and marker of a producer. */
  readonly changeCount: number
  entries(): readonly ProducerSnapshotEntry[]
}

/** The log that snapshots are of. */
export interface SnapshotLog {
  readonly segments: Iterable<{ readonly baseOffset: number; readonly sizeBytes: number }>
  readonly logEndOffset: number
  readonly producers: SavedProducers
  /** Where it has ended: then its folder may be another's. */
  readonly end: 'closed' | 'deleted' | undefined
}

/** When one is taken, if what changed is worth it. */
export type SnapshotOccasion = 'roll' | 'checkpoint' | 'compaction' | 'close'

/** What was in a folder when it was opened. */
export interface FoundSnapshots {
  /** Ascending. */
  readonly offsets: readonly number[]
  /** Bytes of log behind the newest one, or behind the start of the log where there is none. */
  readonly behindBytes: number
  /** `SavedProducers.changeCount` at the newest one. */
  readonly savedCount: number
}

/** A place in a log. */
interface LogPlace {
  readonly baseOffset: number
  readonly position: number
}

interface TakenSnapshot {
  readonly offset: number
  readonly bytes: Buffer
}

/** Snapshots of one partition. */
export class ProducerSnapshots {
  readonly #driver: StorageDriver
  readonly #directory: string
  /** Of the files there are, ascending. */
  #offsets: readonly number[]
  /** Bytes of log behind the newest snapshot, taken or written, up to `#countedTo`. */
  #behindBytes: number
  #countedTo: LogPlace
  /** Of the newest snapshot, taken or written. */
  #savedCount: number
  #taken: readonly TakenSnapshot[] = []
  #written: Promise<boolean> = Promise.resolve(false)

  /** For a folder with `found` in it, that holds `segments`. */
  constructor(
    driver: StorageDriver,
    directory: string,
    found: FoundSnapshots,
    segments: SnapshotLog['segments'],
  ) {
    this.#driver = driver
    this.#directory = directory
    this.#offsets = found.offsets
    this.#behindBytes = found.behindBytes
    this.#countedTo = endOf(segments)
    this.#savedCount = found.savedCount
  }

  /** The newest on stable storage; null where there is none: then nobody wrote a snapshot ever. */
  newest(log: SnapshotLog): NewestSnapshot | null {
    const offset = this.#offsets.at(-1)
    return offset === undefined ? null : { offset, behindBytes: this.#bytesBehind(log) }
  }

  /**
   * Notes what a snapshot of the end of `log` has to say, where one is worth it.
   * @throws {LogError} IO where what was known of producers cannot be read, but for a roll.
   */
  take(occasion: SnapshotOccasion, log: SnapshotLog): void {
    if (this.#driver.volatile) return
    const { producers } = log
    const behindBytes = this.#bytesBehind(log)
    const isChanged = producers.changeCount !== this.#savedCount
    const leftBytes = !isChanged
      ? MAX_BEHIND_BYTES
      : occasion === 'checkpoint'
        ? LEFT_BEHIND_BYTES
        : 0
    if (behindBytes <= leftBytes) return
    try {
      const bytes = encodeProducerSnapshot(producers.entries())
      this.#taken = [...this.#taken.slice(1 - MAX_TAKEN), { offset: log.logEndOffset, bytes }]
    } catch (error) {
      if (occasion === 'roll' && LogError.is(error)) return // The next checkpoint tries again.
      throw error
    }
    this.#behindBytes = 0
    this.#countedTo = endOf(log.segments)
    this.#savedCount = producers.changeCount
  }

  /**
   * Writes what was taken up to `offset`, durably (I1): the caller has synced the log up to there,
   * with its indexes. True where that took a sync of the directory.
   * @throws {LogError} NO_SPACE or IO: it is written with the next call.
   */
  async write(offset: number, log: SnapshotLog): Promise<boolean> {
    if (this.#taken.length === 0) return false
    const written = this.#written.then(() => runProcedure(this.#writeTaken(offset, log)))
    this.#written = written.catch(() => false)
    return written
  }

  /** Removes those of segments that left `log` (I2). */
  async removeUnneeded(log: SnapshotLog): Promise<void> {
    const newest = this.#offsets.at(-1)
    if (newest === undefined) return
    const removed = this.#written.then(async () => {
      const bases = new Set(Array.from(log.segments, ({ baseOffset }) => baseOffset))
      if (log.end === undefined) await runProcedure(this.#removeOlder(newest, bases))
      return false
    })
    this.#written = removed.catch(() => false)
    await removed
  }

  *#writeTaken(offset: number, log: SnapshotLog): Procedure<boolean> {
    const bases = new Set(Array.from(log.segments, ({ baseOffset }) => baseOffset))
    const due = this.#taken.filter((taken) => taken.offset <= offset)
    const newest = due.at(-1)
    if (newest === undefined) return false
    for (const taken of due) {
      if (taken !== newest && !bases.has(taken.offset)) continue
      const path = snapshotPath(this.#directory, taken.offset)
      yield* prepareReplacement(this.#driver, path, taken.bytes)
      if (log.end !== undefined) return false
      applyReplacement(this.#driver, path)
      this.#offsets = [...this.#offsets.filter((one) => one !== taken.offset), taken.offset]
    }
    yield () => this.#driver.flushDirectory(this.#directory)
    this.#taken = this.#taken.filter((taken) => !due.includes(taken))
    if (log.end === undefined) yield* this.#removeOlder(newest.offset, bases)
    return true
  }

  /** Those that nobody needs any more (I2). */
  *#removeOlder(newest: number, bases: ReadonlySet<number>): Procedure<void> {
    const isKept = (offset: number): boolean => offset >= newest || bases.has(offset)
    const gone = this.#offsets.filter((offset) => !isKept(offset))
    this.#offsets = this.#offsets.filter(isKept)
    for (const offset of gone) {
      const removal = this.#driver.unlink(snapshotPath(this.#directory, offset))
      yield () => removal.catch(() => undefined) // It is in nobody's way.
    }
  }

  #bytesBehind(log: SnapshotLog): number {
    let bytes = this.#behindBytes
    const { baseOffset, position } = this.#countedTo
    for (const segment of log.segments) {
      if (segment.baseOffset > baseOffset) bytes += segment.sizeBytes
      else if (segment.baseOffset === baseOffset) bytes += Math.max(segment.sizeBytes - position, 0)
    }
    return bytes
  }
}

/** Offsets of the snapshots among `names`, ascending. */
export function snapshotOffsets(names: readonly string[]): readonly number[] {
  const offsets: number[] = []
  for (const name of names) {
    // Names of thousands of segments, few of which have a snapshot.
    const parsed = name.endsWith('.snapshot') ? parseSegmentFileName(name) : undefined
    if (parsed !== undefined) offsets.push(parsed.baseOffset)
  }
  return offsets.sort((a, b) => a - b)
}

/**
 * What the snapshot of `offset` says; undefined where it is not there, or is not what was written.
 */
export function readSnapshot(
  driver: StorageDriver,
  directory: string,
  offset: number,
): readonly ProducerSnapshotEntry[] | undefined {
  const path = snapshotPath(directory, offset)
  const bytes = driver.status(path)?.kind === 'file' ? readWholeFile(driver, path) : undefined
  if (bytes === undefined) return undefined
  try {
    const entries = decodeProducerSnapshot(bytes)
    const isBehind = entries.some(({ lastOffset, currentTransactionFirstOffset }) => {
      return lastOffset >= offset || currentTransactionFirstOffset >= offset
    })
    return isBehind ? undefined : entries
  } catch (error) {
    if (error instanceof CorruptBytes) return undefined
    throw error
  }
}

/** Path of the snapshot of `offset`. */
export function snapshotPath(directory: string, offset: number): string {
  return `${directory}/${segmentFileName(offset, '.snapshot')}`
}

function endOf(segments: SnapshotLog['segments']): LogPlace {
  let end: LogPlace = { baseOffset: 0, position: 0 }
  for (const { baseOffset, sizeBytes } of segments) end = { baseOffset, position: sizeBytes }
  return end
}
