/**
 * The segments of a partition as the clean marker describes them, where its folder agrees: taken
 * without reading a byte of them, or not at all.
 *
 *   the folder, by name    0….index   0….log   0….timeindex   4096.index   4096.log   …
 *   the marker             { baseOffset: 0, sizeBytes, … }    { baseOffset: 4096, … }
 *
 * A partition may have ten thousand of them, so what is done for each counts: its names are met in
 * one walk of the listing, its .log is looked at once, and no file is opened but the active .log.
 *   I1  just the described segments are there, each with its two indexes, and each .log is as long
 *       as the marker says: where any of this differs, recovery finds out what there is
 *   I2  the .log that is read later is the one that was looked at here (segment-files.ts)
 */
import { parseSegmentFileName, segmentFileName } from '../format/segment-name.ts'
import type { CleanPartition } from '../storage/clean-marker.ts'
import { Segment, type SegmentSettings } from '../storage/segment.ts'
import type { FileLook, StorageDriver } from '../storage/storage-driver.ts'
import { SegmentList } from './segment-list.ts'

/** The names in a partition's folder, sorted. */
export interface FolderListing {
  readonly driver: StorageDriver
  readonly directory: string
  readonly names: readonly string[]
}

/**
 * The segments as the marker describes them; undefined where the folder says otherwise (I1). Where
 * making the next segment found no room, an empty .log is left of it: the next append uses it.
 */
export function openDescribed(
  { driver, directory, names }: FolderListing,
  settings: SegmentSettings,
  described: CleanPartition,
): SegmentList | undefined {
  const { segments } = described
  const logs = describedLogs(names, described)
  if (logs === undefined) return undefined
  const looks = lookAt(driver, directory, logs)
  // Of the next segment there is nothing yet, where its .log is there at all.
  const isAsDescribed = looks.every((look, index) => {
    return look?.sizeBytes === (segments[index]?.sizeBytes ?? 0)
  })
  if (!isAsDescribed) return undefined
  // Behind an append to the last one, what is left of the next would fit nothing any more.
  const sealedCount = logs.length - 1
  const opened = segments.map((segment, index) => {
    const place = { driver, directory, baseOffset: segment.baseOffset }
    return index < sealedCount
      ? Segment.openSealed(place, settings, segment, looks[index]?.fileId)
      : Segment.open(place, settings, segment)
  })
  return new SegmentList(opened)
}

/**
 * The .logs in the folder where they are just those of the described segments, or these and that of
 * the next one, and each segment has its indexes: recovery builds an index anew step by step, and a
 * reader who needs one that is missing would have to wait for all of it.
 */
function describedLogs(
  names: readonly string[],
  { segments, logEndOffset }: CleanPartition,
): readonly string[] | undefined {
  const logs: string[] = []
  let at = 0
  // Names of one segment lie together, and sort by what they hold.
  const isNext = (name: string): boolean => {
    for (let found = names[at]; found !== undefined && found < name; found = names[++at]) {
      if (isLog(found)) return false
    }
    return names[at] === name
  }
  for (const { baseOffset } of segments) {
    const log = segmentFileName(baseOffset, '.log')
    if (!isNext(segmentFileName(baseOffset, '.index')) || !isNext(log)) return undefined
    at += 1
    if (!isNext(segmentFileName(baseOffset, '.timeindex'))) return undefined
    logs.push(log)
  }
  const others = names.slice(at).filter(isLog)
  if (logs.length === 0 || others.length === 0) return logs.length === 0 ? undefined : logs
  const next = segmentFileName(logEndOffset, '.log')
  return others.length === 1 && others[0] === next ? [...logs, next] : undefined
}

function isLog(name: string): boolean {
  return name.endsWith('.log') && parseSegmentFileName(name) !== undefined
}

function lookAt(
  driver: StorageDriver,
  directory: string,
  logs: readonly string[],
): readonly (FileLook | undefined)[] {
  return driver.look?.(directory, logs) ?? logs.map((name) => driver.status(`${directory}/${name}`))
}
