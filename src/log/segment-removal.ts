/**
 * SegmentRemoval: the files of segments that left their log, until their space is free.
 *
 *   00000000000000004096.log -> 00000000000000004096.log.deleted -> unlinked, `fileDeleteDelayMs`
 *   later
 *
 * Owns the names that end in .deleted; that nobody needs the segments any more, and that this is
 * durable, its callers have seen to. What a stop leaves of them the next open removes.
 *   I1  names go in ascending order of base offsets, a .log before its indexes: what a crash in
 *       between leaves is the end of what was set aside, and indexes that belong to no log
 *   I2  a segment is closed before its files are renamed: readers find out from the list of
 *       segments that it left
 *   I3  no name that is pending is given a second time; of several of one file the last has the
 *       highest number (swap-plan.ts asks which was the log's)
 *   I4  nothing is renamed in the folder of a topic that is deleted: by then it may be that of a
 *       new one of the same name, whose segments start at the same offsets
 */
import { LogError } from '../errors/log-error.ts'
import { segmentFileName, type SegmentSuffix } from '../format/segment-name.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { Clock } from './clock.ts'

/** In the order in which they are renamed (I1). */
const SUFFIXES: readonly SegmentSuffix[] = ['.log', '.index', '.timeindex', '.txnindex']

/** The partition that segments were part of. */
export interface FormerOwner {
  readonly directory: string
  readonly config: { readonly fileDeleteDelayMs: number }
  /** Once it is deleted, its folder may be another's. */
  readonly end: 'closed' | 'deleted' | undefined
}

/** A segment's file that was renamed. */
interface PendingFile {
  readonly path: string
  /** Of batches; 0 for an index. */
  readonly logBytes: number
  readonly dueMs: number
}

/** A segment whose files have to be renamed yet. */
interface StuckSegment {
  readonly owner: FormerOwner
  readonly baseOffset: number
  readonly logBytes: number
}

/** See the file's header. */
export class SegmentRemoval {
  readonly #driver: StorageDriver
  readonly #clock: Clock
  /** By path. */
  readonly #pending = new Map<string, PendingFile>()
  /** The next number for a file of that path (I3); forgotten when nothing is pending. */
  readonly #copies = new Map<string, number>()
  #stuck: readonly StuckSegment[] = []

  /** Over the files of `driver`; delays are measured by `clock.now()`. */
  constructor(driver: StorageDriver, clock: Clock) {
    this.#driver = driver
    this.#clock = clock
  }

  /** Files that were set aside and take space yet. */
  get pendingFiles(): number {
    return this.#pending.size
  }

  /** Bytes of batches in them. */
  get pendingBytes(): number {
    let bytes = 0
    for (const { logBytes } of this.#pending.values()) bytes += logBytes
    return bytes
  }

  /** When the first of them may go; undefined where there is none. */
  get nextDueMs(): number | undefined {
    let nextMs: number | undefined
    for (const { dueMs } of this.#pending.values()) nextMs = Math.min(dueMs, nextMs ?? dueMs)
    return nextMs
  }

  /** True where a file is due at `nowMs`, or was not renamed yet. */
  isDue(nowMs: number): boolean {
    if (this.#stuck.length > 0) return true
    for (const { dueMs } of this.#pending.values()) if (dueMs <= nowMs) return true
    return false
  }

  /**
   * Closes segments of `owner`, which ascend and left its list, and renames their files.
   * @throws {LogError} IO where one could not be renamed: those behind it are closed and have their
   *   names.
   */
  setAside(owner: FormerOwner, segments: readonly Segment[]): void {
    for (const segment of segments) close(segment)
    for (const { baseOffset, sizeBytes } of segments) {
      this.#rename({ owner, baseOffset, logBytes: sizeBytes })
    }
  }

  /**
   * As `setAside`, for segments below the start of their log, whose names are in nobody's way:
   * those that could not be renamed are tried again whenever something is freed. Returns what the
   * first one failed with.
   */
  setAsideOrKeepTrying(owner: FormerOwner, segments: readonly Segment[]): LogError | undefined {
    for (const segment of segments) close(segment)
    const stuck = segments.map(({ baseOffset, sizeBytes }) => {
      return { owner, baseOffset, logBytes: sizeBytes }
    })
    this.#stuck = [...this.#stuck, ...stuck]
    return this.#renameStuck()
  }

  /**
   * Unlinks what has waited long enough at `nowMs`, everything where that is Infinity. Returns what
   * the first file failed with that could not be renamed or removed: it is tried again next time.
   */
  *freeDue(nowMs: number): Procedure<LogError | undefined> {
    let failure = this.#renameStuck()
    for (const file of [...this.#pending.values()].filter(({ dueMs }) => dueMs <= nowMs)) {
      // Begun before the wait: of volatile storage nobody waits.
      const removal = this.#driver.unlink(file.path)
      removal.catch(() => undefined)
      try {
        yield () => removal
        this.#pending.delete(file.path)
      } catch (error) {
        if (!LogError.is(error)) throw error
        // Deleted with its topic, say.
        if (this.#driver.status(file.path) === undefined) this.#pending.delete(file.path)
        else failure ??= error
      }
    }
    if (this.#pending.size === 0) this.#copies.clear()
    return failure
  }

  /** Frees everything: the log closes. What cannot be freed the next open removes. */
  *close(): Procedure<void> {
    yield* this.freeDue(Infinity)
  }

  #renameStuck(): LogError | undefined {
    this.#stuck = this.#stuck.filter(({ owner }) => owner.end !== 'deleted') // I4
    while (this.#stuck.length > 0) {
      const [segment, ...others] = this.#stuck
      if (segment === undefined) break
      try {
        this.#rename(segment)
      } catch (error) {
        if (!LogError.is(error)) throw error
        // Not the next one before this one (I1).
        if (this.#driver.status(segment.owner.directory) !== undefined) return error
      }
      this.#stuck = others
    }
    return undefined
  }

  #rename({ owner, baseOffset, logBytes }: StuckSegment): void {
    const dueMs = this.#clock.now() + owner.config.fileDeleteDelayMs
    for (const suffix of SUFFIXES) {
      const path = `${owner.directory}/${segmentFileName(baseOffset, suffix)}`
      if (this.#driver.status(path) === undefined) continue
      const asideAs = this.#freeName(path)
      this.#driver.rename(path, asideAs)
      const bytes = suffix === '.log' ? logBytes : 0
      this.#pending.set(asideAs, { path: asideAs, logBytes: bytes, dueMs })
    }
  }

  #freeName(path: string): string {
    for (let copy = this.#copies.get(path) ?? 0; ; copy++) {
      const name = copy === 0 ? `${path}.deleted` : `${path}.${copy}.deleted`
      if (this.#pending.has(name)) continue
      this.#copies.set(path, copy + 1)
      return name
    }
  }
}

/** What it held is nobody's any more: a descriptor that does not close is let go. */
function close(segment: Segment): void {
  try {
    segment.close()
  } catch (error) {
    if (!LogError.is(error)) throw error
  }
}
