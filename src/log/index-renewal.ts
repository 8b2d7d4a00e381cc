/**
 * Index renewal: writes the index files of a segment again, as they are, so that they are on stable
 * storage. Recovery in the boot of the stop starts at the durable offset that was published, and
 * takes indexes below it as they are: but what was published speaks of .log files alone. A checkpoint
 * that passed them then would vouch for files that no sync ever covered.
 */
import { readWholeFile, replaceFile } from '../storage/checkpoint-file.ts'
import type { Procedure } from '../storage/procedure.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'

const INDEX_SUFFIXES = ['.index', '.timeindex'] as const

/** Renews both index files of a segment, where they are there. Not while the segment is open. */
export function* renewIndexes(place: SegmentPlace): Procedure<void> {
  for (const suffix of INDEX_SUFFIXES) {
    const path = segmentPath(place, suffix)
    const bytes = readWholeFile(place.driver, path)
    // Anew, not just synced: a sync that failed before may have left clean pages behind.
    if (bytes !== undefined) yield* replaceFile(place.driver, path, bytes)
  }
}
