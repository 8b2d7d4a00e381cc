/**
 * SegmentLayout: which segments a verified partition has, where their files lie, and how far each
 * can be judged, also while its writer changes all of that.
 *
 * What a stop within a swap left is read as the next open will settle it (swap-plan.ts): old
 * segments and the one that replaces them are never counted both. Reads only.
 */
import { isMissingFile } from '../storage/file-failure.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Segment } from '../storage/segment.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import { nextTurn } from './clock.ts'
import type { FoundFlaw } from './damage-list.ts'
import type { AuditScope } from './index-audit.ts'
import type { VerifiedPartition } from './partition-findings.ts'
import { hasSwapFiles, type NamedSegment, planSwaps, type SwapPlan } from './swap-plan.ts'
import { parseSegmentFileName } from '../format/segment-name.ts'
import { SegmentVerification } from './verify-segment.ts'

/** A writer swaps segments within a few syncs; a list that is never settled is taken as it is. */
const MOST_LOOKS = 16
/** Of indexes that an open has still to put in their place: nothing is asked of them. */
const UNJUDGED = { isSynced: false, below: 0 } as const

/** See the file's header. */
export class SegmentLayout {
  /** Swaps that are not what was written. */
  readonly flaws: FoundFlaw[] = []
  readonly #input: VerifiedPartition
  /** By base offset, what their files' names end with. */
  readonly #endings = new Map<number, NamedSegment['ending']>()
  /** Of a log that this process has open. */
  readonly #open = new Map<number, Segment>()

  constructor(input: VerifiedPartition) {
    this.#input = input
  }

  /** The base offsets of the segments, ascending. */
  *list(): Procedure<readonly number[]> {
    const { openSegments } = this.#input
    const segments = openSegments === undefined ? yield* this.#inFolder() : this.#listOpen()
    for (const { baseOffset, ending } of segments) this.#endings.set(baseOffset, ending)
    return segments.map(({ baseOffset }) => baseOffset).sort((a, b) => a - b)
  }

  /** Where the files of a segment lie. */
  placeOf(baseOffset: number): SegmentPlace {
    const { driver, directory } = this.#input
    const ending = this.#endings.get(baseOffset) ?? ''
    const place = { driver, directory, baseOffset }
    return ending === '' ? place : { ...place, suffix: ending }
  }

  /** Size of the .log; 0 where there is none. */
  logBytesOf(baseOffset: number): number {
    const place = this.placeOf(baseOffset)
    return place.driver.status(segmentPath(place, '.log'))?.sizeBytes ?? 0
  }

  /** How far the indexes of a segment can be judged. */
  scopeOf(baseOffset: number, nextBase: number | undefined): AuditScope {
    const { isOwn, evidence } = this.#input
    if (this.#endings.get(baseOffset) !== '') return { ...UNJUDGED, isOwn }
    const { described, checkpointedPoint } = evidence
    const isSynced =
      described !== undefined || (nextBase !== undefined && nextBase < checkpointedPoint)
    // What was published is true of .log files alone: indexes are synced with checkpoints.
    return { isSynced, below: checkpointedPoint, isOwn }
  }

  /** A walk over a segment; undefined where its .log is gone. */
  open(
    baseOffset: number,
    nextBase: number | undefined,
  ): SegmentVerification | 'no file' | undefined {
    const place = this.placeOf(baseOffset)
    const status = place.driver.status(segmentPath(place, '.log'))
    if (status === undefined) return undefined
    if (status.kind !== 'file') return 'no file'
    try {
      const scope = this.scopeOf(baseOffset, nextBase)
      return new SegmentVerification(place, status.sizeBytes, scope)
    } catch (error) {
      if (isMissingFile(error)) return undefined
      throw error
    }
  }

  /** True of a segment that its writer removed, or replaced, since it was listed. */
  isGone(baseOffset: number): boolean {
    const { isLive, openSegments } = this.#input
    if (!isLive) return false
    if (openSegments === undefined) return this.#statusOf(baseOffset) === undefined
    const segment = this.#open.get(baseOffset)
    return segment === undefined || openSegments()?.includes(segment) !== true
  }

  /**
   * As `isGone`, of one whose first `fileBytes` bytes were read, and found to be damaged; a sealed
   * one grows no more.
   */
  isReplaced(baseOffset: number, fileBytes: number, isSealed: boolean): boolean {
    const { isLive, openSegments } = this.#input
    if (!isLive || this.isGone(baseOffset)) return isLive
    if (openSegments !== undefined) return false
    // Of another process nothing tells but what lies there now.
    const sizeBytes = this.#statusOf(baseOffset)?.sizeBytes ?? 0
    return sizeBytes < fileBytes || (isSealed && sizeBytes !== fileBytes)
  }

  #statusOf(baseOffset: number): ReturnType<SegmentPlace['driver']['status']> {
    const place = this.placeOf(baseOffset)
    return place.driver.status(segmentPath(place, '.log'))
  }

  #listOpen(): readonly NamedSegment[] {
    const segments: NamedSegment[] = []
    for (const segment of this.#input.openSegments?.() ?? []) {
      const { baseOffset, logPath } = segment
      const { driver, directory } = this.#input
      const finalPath = segmentPath({ driver, directory, baseOffset }, '.log')
      this.#open.set(baseOffset, segment)
      segments.push({ baseOffset, ending: logPath === finalPath ? '' : '.swap' })
    }
    return segments
  }

  *#inFolder(): Procedure<readonly NamedSegment[]> {
    const { driver, directory, isLive } = this.#input
    for (let looks = 1; ; looks++) {
      const names = driver.list(directory)
      if (!hasSwapFiles(names)) {
        // A list that is read while names change may lack both the old name and the new one.
        const again = isLive && looks < MOST_LOOKS ? driver.list(directory) : names
        if (names.join() === again.join()) return logsAmong(names)
        yield nextTurn
        continue
      }
      try {
        const plan = yield* planSwaps(this.#input, names)
        if (!isLive) this.#noteUndone(plan)
        return plan.segments
      } catch (error) {
        if (!isLive || !isMissingFile(error)) throw error
        if (looks === MOST_LOOKS) return logsAmong(names)
      }
      yield nextTurn
    }
  }

  #noteUndone({ steps }: SwapPlan): void {
    const { driver, directory } = this.#input
    for (const { kind, baseOffset } of steps) {
      if (kind !== 'undo') continue
      const file = segmentPath({ driver, directory, baseOffset, suffix: '.swap' }, '.log')
      const bytes = driver.status(file)?.sizeBytes ?? 0
      this.flaws.push({ file, position: 0, bytes, reason: 'it is not what was written' })
    }
  }
}

function logsAmong(names: readonly string[]): readonly NamedSegment[] {
  const segments: NamedSegment[] = []
  for (const name of names) {
    const parsed = parseSegmentFileName(name)
    if (parsed?.suffix === '.log') segments.push({ baseOffset: parsed.baseOffset, ending: '' })
  }
  return segments
}
