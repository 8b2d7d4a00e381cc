/**
 * Puts a cleaned segment in the place of those that it was made of: after a stop at any call either
 * all of these are the log's, or the new one is (swap-recovery.ts).
 *
 *   step                                                  what a stop behind it leaves
 *   1  the directory is synced                            ….cleaned: removed at open
 *   2  ….cleaned -> ….swap, the .log last                 as before, or, with ….log.swap, as below
 *   3  the directory is synced                            from here on open completes it
 *   4  readers go over; the old files -> ….deleted
 *   5  the directory is synced
 *   6  ….swap -> the final names, the .log last
 *   7  the directory is synced                            the new segment is there
 *
 *   I1  what is cleaned is whole, and on stable storage, before it is named ….swap
 *   I2  no old file is touched before ….log.swap is on stable storage (3), and ….log.swap is there
 *       until the old names are gone for good (5): else a power cut, which may keep any of the
 *       renames, could leave the new .log beside old ones with the same offsets
 *   I3  in one partition no segment is replaced after a swap that was not brought to its end: the
 *       ….swap that it left would take the place of what is newer
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import { segmentFileName, type SegmentSuffix } from '../format/segment-name.ts'
import type { Procedure } from '../storage/procedure.ts'
import { Segment } from '../storage/segment.ts'
import type { SegmentContents } from '../storage/segment-contents.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { PartitionLog } from './partition-log.ts'
import type { SegmentRemoval } from './segment-removal.ts'

/** The .log is what a swap is known by: it comes last. */
const SUFFIXES: readonly SegmentSuffix[] = ['.txnindex', '.timeindex', '.index', '.log']

/** Partitions whose folder may hold what only an open can settle (I3). */
const UNSETTLED = new WeakSet<PartitionLog>()

/** A segment that was written as ….cleaned, and flushed with its indexes. */
export interface CleanedSegment {
  readonly baseOffset: number
  readonly contents: SegmentContents
}

/** Where a swap takes place. */
export interface SwapPlace {
  readonly driver: StorageDriver
  readonly log: PartitionLog
  readonly removal: Pick<SegmentRemoval, 'setAside'>
}

/** False once a swap failed half-way in `log`: it has to be opened anew before the next one. */
export function canSwap(log: PartitionLog): boolean {
  return !UNSETTLED.has(log)
}

/**
 * Replaces `old`, sealed segments that follow one on the other and on `cleaned.baseOffset`, by what
 * cleaning made of them. Where the log ends meanwhile it does nothing more.
 * @throws {LogError} NO_SPACE or IO: the log goes on, with the old segments or with the new one;
 *   where `canSwap` is false afterwards, the next open settles which.
 */
export function* swapIn(
  place: SwapPlace,
  old: readonly Segment[],
  cleaned: CleanedSegment,
): Procedure<void> {
  const { driver, log, removal } = place
  const { directory } = log
  assert(canSwap(log), 'I3: a swap that failed is settled by an open')
  assert(old[0]?.baseOffset === cleaned.baseOffset, 'the new segment starts where the old ones do')
  const files = { driver, directory, baseOffset: cleaned.baseOffset }
  UNSETTLED.add(log)
  log.layout.begin()
  try {
    const fresh = yield* commit(files, log, cleaned.contents)
    if (fresh === undefined) return
    log.replaceSegments(old, [fresh])
    removal.setAside(log, old)
    yield () => driver.flushDirectory(directory)
    if (log.end !== undefined) return
    rename(files, '.swap', '')
    fresh.renamed()
  } finally {
    log.layout.end() // From the first new name to the last: no reader takes the files in between.
  }
  yield () => driver.flushDirectory(directory)
  UNSETTLED.delete(log)
}

/** The files of one segment. */
interface SegmentFiles {
  readonly driver: StorageDriver
  readonly directory: string
  readonly baseOffset: number
}

/** Steps 1 to 3, or nothing; undefined where the log ended. */
function* commit(
  files: SegmentFiles,
  log: PartitionLog,
  contents: SegmentContents,
): Procedure<Segment | undefined> {
  const { driver, directory } = files
  try {
    yield () => driver.flushDirectory(directory)
    if (log.end !== undefined) return undefined
    rename(files, '.cleaned', '.swap')
    yield () => driver.flushDirectory(directory)
    if (log.end !== undefined) return undefined
    return Segment.openSealed({ ...files, suffix: '.swap' }, log.config, contents)
  } catch (error) {
    if (log.end === undefined && (yield* isUndone(files))) UNSETTLED.delete(log)
    throw error
  }
}

/** False where that fails too: what it failed after is what its caller has to tell. */
function* isUndone(files: SegmentFiles): Procedure<boolean> {
  try {
    yield* undo(files)
    return true
  } catch (error) {
    if (!LogError.is(error)) throw error
    return false
  }
}

/** The .log goes last: without it, what is left could pass for what an index of a log lacks. */
function* undo(files: SegmentFiles): Procedure<void> {
  const { driver, directory } = files
  for (const suffix of SUFFIXES) {
    for (const ending of ['.cleaned', '.swap'] as const) {
      const path = pathOf(files, suffix, ending)
      if (driver.status(path) === undefined) continue
      // Begun here, not in the wait: over memory nobody waits (`completeProcedure`).
      const removal = driver.unlink(path)
      yield () => removal
    }
  }
  yield () => driver.flushDirectory(directory)
}

function rename(files: SegmentFiles, from: '.cleaned' | '.swap', to: '.swap' | ''): void {
  for (const suffix of SUFFIXES) {
    const path = pathOf(files, suffix, from)
    if (files.driver.status(path) !== undefined) {
      files.driver.rename(path, pathOf(files, suffix, to))
    }
  }
}

function pathOf(
  { directory, baseOffset }: SegmentFiles,
  suffix: SegmentSuffix,
  ending: string,
): string {
  return `${directory}/${segmentFileName(baseOffset, suffix)}${ending}`
}
