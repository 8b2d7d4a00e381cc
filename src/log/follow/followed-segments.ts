/**
 * FollowedSegments: the segments of a partition that another process writes: which there are, and
 * how far the last one was taken in.
 *
 *   | sealed: taken as they are | active: batches that were checked | not looked at yet
 *   first                                                       `active.nextOffset`
 *
 * Owns the list and its files. What is published, and so how far anybody may go, is
 * followed-partition.ts' to say.
 *   I1  a batch is admitted to the active segment, and gets into the tail, once its CRC has passed,
 *       and never one that ends behind the limit
 *   I2  a segment keeps what is known of it for as long as its name stands for the same file
 *   I3  a segment is closed in the call that takes it off the list
 */
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeBytesOf,
  checkBatch,
  leaderEpochOf,
  nextOffsetOf,
} from '../../format/record-batch.ts'
import type { Segment } from '../../storage/segment.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import { segmentPath, type SegmentPlace } from '../../storage/segment-indexes.ts'
import { summaryOfBatch } from '../batch-summary.ts'
import { isSafeHeader } from '../batch-walk.ts'
import type { ResolvedTopicConfig } from '../log-config.ts'
import { SegmentList } from '../segment-list.ts'
import type { Tail } from '../tail.ts'
import {
  isFolderOf,
  type ListedLog,
  listLogs,
  type SwapStance,
  type Taken,
} from './folder-listing.ts'
import { type AdmittedBatch, admittedBatch, isStillThere } from './admitted-batch.ts'
import { FollowedDamage } from './followed-damage.ts'
import { followActive, followSealed } from './segment-opening.ts'

const LEAST_READ_BYTES = 8_192
const MOST_READ_BYTES = 1_048_576
/** Of about a megabyte each: to look at the files of a large partition costs as much. */
const STEPS_TO_ROLL = 4
/** What is read is admitted, and copied, in the same call: all partitions share the memory. */
let room: Buffer = Buffer.alloc(0)

/** The folder of a followed partition. */
export interface FollowedFolder {
  readonly driver: StorageDriver
  readonly directory: string
  readonly topicId: string
  readonly isOwn: boolean
  readonly isGapless: boolean
  readonly config: ResolvedTopicConfig
  readonly tail: Tail
}

/** How far the files of a partition may be believed. */
export interface FollowedEnd {
  /** No batch that ends behind it is admitted; Infinity where nobody has published it. */
  readonly limit: number
  /** The files are of the boot that runs. */
  readonly isThisBoot: boolean
  /** No batch of a newer epoch is admitted: `newerEpoch` says that there is one. */
  readonly newestEpoch: number
}

/** How a step forward ended. */
export type Step =
  /** Something was admitted, or the next segment begun. */
  | 'more'
  /** Everything below the limit is there. */
  | 'end'
  /** There is more below the limit, but what lies there is not whole. */
  | 'stuck'

/** What a look at the folder brought. */
export type Relisting =
  | 'same'
  | 'changed'
  /** The folder did not come to rest: the list is the old one. */
  | 'unsettled'
  /** It is gone, or another topic's. */
  | 'gone'

/** The segments of one followed partition. */
export class FollowedSegments {
  readonly list: SegmentList
  readonly #folder: FollowedFolder
  readonly #damage: FollowedDamage
  /** By which file each was opened, and under which name (I2). */
  #keys: Map<Segment, string>
  /** Rises where a segment was replaced, not where the oldest went or new ones came. */
  rewriteCount = 0
  /** Rolls that were met here. */
  rollCount = 0
  /** Relistings that brought something new. */
  changeCount = 0
  /** One past the last offset in the tail. */
  #tailEnd = -1
  #readBytes = LEAST_READ_BYTES
  /** The batch that was admitted last. */
  #last: AdmittedBatch | undefined
  /** Of the batch that is next, where the last step was stuck at it. */
  newerEpoch: number | undefined

  private constructor(folder: FollowedFolder, found: FoundSegments) {
    this.#folder = folder
    this.list = new SegmentList(found.segments)
    this.#keys = found.keys
    this.#damage = new FollowedDamage(folder.driver, this.list, folder.tail)
  }

  /**
   * Opens what is in the folder; undefined where that is gone, or does not come to rest.
   * @throws {LogError} IO
   */
  static open(folder: FollowedFolder, end: FollowedEnd): FollowedSegments | undefined {
    if (folder.driver.status(folder.directory) === undefined) return undefined
    const found =
      listLogs(folder, 'wait', (logs) => takeSegments(folder, end, logs, new Map())) ??
      listLogs(folder, 'plan', (logs) => takeSegments(folder, end, logs, new Map()))
    if (found === undefined || found.segments.length === 0) return undefined
    if (isFolderOf(folder, folder.topicId)) return new FollowedSegments(folder, found)
    for (const segment of found.segments) segment.close()
    return undefined
  }

  /**
   * Looks which files there are, and goes over to them.
   * @throws {LogError} IO: the list is the old one.
   */
  relist(end: FollowedEnd, stance: SwapStance): Relisting {
    const folder = this.#folder
    if (folder.driver.status(folder.directory) === undefined) return 'gone'
    const known = new Map<string, Segment>()
    for (const segment of this.list) known.set(this.#keys.get(segment) ?? '', segment)
    const found = listLogs(folder, stance, (logs) => takeSegments(folder, end, logs, known))
    // Somebody removes the folder file by file: what is open can be read until all of it is gone.
    if (found === undefined || found.segments.length === 0) return 'unsettled'
    if (!isFolderOf(folder, folder.topicId)) {
      for (const segment of found.segments) if (!this.list.includes(segment)) segment.close()
      return 'gone'
    }
    return this.#become(found) ? 'changed' : 'same'
  }

  /**
   * Goes on into the next segments until there were `rolls` in all, where they are near: most often
   * a writer has rolled, and then nobody has to look at all files.
   */
  rollOn(end: FollowedEnd, rolls: number): void {
    for (let step = 0; step < STEPS_TO_ROLL && this.rollCount < rolls; step++) {
      if (this.step(end) !== 'more') break
    }
    if (this.rollCount < rolls) this.#roll(end) // Into one without a batch yet.
  }

  /** Takes in more behind what is there, at most about a megabyte. @throws {LogError} IO */
  step(end: FollowedEnd): Step {
    this.#damage.before(end.limit)
    const { active } = this.list
    this.newerEpoch = undefined
    if (active.nextOffset >= end.limit) return 'end'
    if (this.#admitFrom(active, end)) return 'more'
    return this.newerEpoch === undefined && this.#roll(end) ? 'more' : 'stuck'
  }

  /**
   * Whether the batch that was admitted last is in its file, as it was; 'unknown' where it is not
   * the last one below `end`, or its name stands for another file.
   */
  lookAtLast(end: number): 'there' | 'changed' | 'unknown' {
    const last = this.#last
    if (last === undefined || this.list.active.nextOffset < end) return 'unknown'
    if (!this.list.includes(last.segment)) return 'unknown'
    const { segment } = last
    const fileId = this.#folder.driver.status(segment.logPath)?.fileId ?? ''
    const key = keyOf({ baseOffset: segment.baseOffset, ending: '', fileId })
    if (this.#keys.get(segment) !== key) return 'unknown'
    return isStillThere(last) ? 'there' : 'changed'
  }

  /**
   * What is stuck below `knownEnd` is damage: goes on behind it where that is possible, and leaves
   * it to readers to meet it. @throws {LogError} IO
   */
  passDamage(knownEnd: number, { limit }: FollowedEnd): void {
    this.#damage.pass(knownEnd, limit)
  }

  /**
   * The log was cut to `offset`: nothing that was known of batches at or behind it counts. The
   * next relisting opens those segments anew.
   */
  cutTo(offset: number): void {
    this.#folder.tail.clear()
    this.#damage.forget()
    this.#last = undefined
    for (const segment of this.list) if (segment.nextOffset > offset) this.#keys.set(segment, CUT)
  }

  /** True where the first or the last of them is not there any more, by its name. */
  get isOutdated(): boolean {
    return [this.list.first, this.list.active].some((segment) => {
      const { baseOffset } = segment
      const fileId = this.#folder.driver.status(segment.logPath)?.fileId ?? ''
      return this.#keys.get(segment) !== keyOf({ baseOffset, ending: '', fileId })
    })
  }

  /** True where the file of the active segment is shorter than what was admitted of it. */
  get isActiveShort(): boolean {
    const { active } = this.list
    const status = this.#folder.driver.status(active.logPath)
    return status !== undefined && status.sizeBytes < active.sizeBytes
  }

  /** Closes everything. */
  close(): void {
    for (const segment of this.list) segment.close()
  }

  #admitFrom(active: Segment, { limit, newestEpoch }: FollowedEnd): boolean {
    const { tail } = this.#folder
    const isGapless = this.#folder.isGapless && !active.isDamaged
    let wantedBytes = this.#readBytes
    for (;;) {
      if (room.length < wantedBytes) room = Buffer.allocUnsafeSlow(wantedBytes)
      const read = active.read(room, 0, wantedBytes, active.sizeBytes)
      let at = 0
      while (at < read && checkBatch(room, at, read) === 'ok') {
        const baseOffset = baseOffsetOf(room, at)
        const isNext = isGapless
          ? baseOffset === active.nextOffset
          : baseOffset >= active.nextOffset
        if (!isSafeHeader(room, at) || !isNext || nextOffsetOf(room, at) > limit) break
        const leaderEpoch = leaderEpochOf(room, at)
        if (leaderEpoch > newestEpoch) {
          this.newerEpoch = leaderEpoch
          break
        }
        const position = active.sizeBytes
        const batch = { ...summaryOfBatch(room, at), buffer: room, start: at }
        active.admit(batch)
        if (this.#tailEnd !== baseOffset) tail.clear()
        tail.accept(batch, baseOffset)
        this.#tailEnd = active.nextOffset
        this.#last = admittedBatch(active, position, room, at)
        at += batch.sizeBytes
      }
      if (at > 0) {
        this.newerEpoch = undefined
        this.#adaptTo(at, read)
        return true
      }
      if (this.newerEpoch !== undefined) return false
      const neededBytes = read < BATCH_HEADER_BYTES ? 0 : batchSizeBytesOf(room, 0)
      if (read < wantedBytes || neededBytes <= wantedBytes || neededBytes > MAX_BATCH_BYTES) {
        return false
      }
      wantedBytes = neededBytes
    }
  }

  /** A read that was used up is followed by a larger one; what lies behind the end is zeros. */
  #adaptTo(usedBytes: number, readBytes: number): void {
    if (usedBytes > readBytes >> 1) {
      this.#readBytes = Math.min(Math.max(readBytes, this.#readBytes) * 4, MOST_READ_BYTES)
    } else if (usedBytes < readBytes >> 3) {
      this.#readBytes = Math.max(this.#readBytes >> 1, LEAST_READ_BYTES)
    }
  }

  /** Goes on in the next segment, where there is one that starts where the active one ends. */
  #roll(end: FollowedEnd): boolean {
    const folder = this.#folder
    const { active } = this.list
    const { nextOffset } = active
    if (nextOffset === active.baseOffset) return false
    const place = placeIn(folder, { baseOffset: nextOffset, ending: '' })
    const status = folder.driver.status(segmentPath(place, '.log'))
    if (status?.kind !== 'file') return false
    // Its writer cuts the file to its batches before it makes the next one.
    const sealed = folder.driver.status(active.logPath)
    if (sealed !== undefined && sealed.sizeBytes !== active.sizeBytes) return false
    const next = followActive(place, folder.config, startBelow(end))
    const isSame = folder.driver.status(segmentPath(place, '.log'))?.fileId === status.fileId
    if (!isSame || !isFolderOf(folder, folder.topicId)) {
      next.close()
      return false
    }
    active.seal()
    this.list.add(next)
    this.#keys.set(next, keyOf({ baseOffset: nextOffset, ending: '', fileId: status.fileId }))
    this.rollCount += 1
    return true
  }

  /** False where that is what there was. */
  #become({ segments, keys }: FoundSegments): boolean {
    const old = [...this.list]
    const isSame =
      segments.length === old.length && segments.every((segment, at) => segment === old[at])
    for (const segment of segments.slice(0, -1)) segment.seal()
    if (isSame) return false
    this.changeCount += 1
    const kept = new Set(segments)
    const gone = old.filter((segment) => !kept.has(segment))
    const firstOffset = segments[0]?.baseOffset ?? 0
    const replaced = gone.filter((segment) => segment.nextOffset > firstOffset)
    const { active } = this.list
    this.list.become(segments)
    this.#keys = keys
    if (this.list.active !== active) this.#damage.forget()
    if (replaced.length > 0) {
      this.rewriteCount += 1
      this.#folder.tail.forgetBelow(replaced.at(-1)?.nextOffset ?? 0)
    }
    for (const segment of gone) segment.close() // I3
    return true
  }
}

/** More cannot be in one batch. */
const MAX_BATCH_BYTES = 0x7fff_ffff
/** Of what a cut has made void: no file has it. */
const CUT = 'cut'

/** Segments of files that were found. */
interface FoundSegments {
  readonly segments: readonly Segment[]
  readonly keys: Map<Segment, string>
}

/** Makes segments of `logs`, those that are `known` staying what they are (I2). */
function takeSegments(
  folder: FollowedFolder,
  end: FollowedEnd,
  logs: readonly ListedLog[],
  known: ReadonlyMap<string, Segment>,
): Taken<FoundSegments> {
  const keys = new Map<Segment, string>()
  const fresh: Segment[] = []
  const letGo = (): void => {
    for (const segment of fresh) segment.close()
  }
  try {
    for (const [index, log] of logs.entries()) {
      const key = keyOf(log)
      const nextOffset = logs[index + 1]?.baseOffset
      const old = known.get(key)
      const isKept = old !== undefined && staysAsItIs(old, log, nextOffset)
      const segment = isKept ? old : openSegment(folder, end, log, nextOffset)
      if (!isKept) fresh.push(segment)
      keys.set(segment, key)
    }
  } catch (error) {
    letGo()
    throw error
  }
  return { keep: () => ({ segments: [...keys.keys()], keys }), letGo }
}

function openSegment(
  folder: FollowedFolder,
  end: FollowedEnd,
  log: ListedLog,
  nextOffset: number | undefined,
): Segment {
  const place = placeIn(folder, log)
  return nextOffset === undefined
    ? followActive(place, folder.config, startBelow(end))
    : followSealed(place, folder.config, { sizeBytes: log.sizeBytes, nextOffset })
}

/** An active one that was not taken in to its end is opened anew: its index files are whole now. */
function staysAsItIs(old: Segment, log: ListedLog, nextOffset: number | undefined): boolean {
  if (nextOffset === undefined) return !old.isSealed
  return old.nextOffset === nextOffset && old.sizeBytes === log.sizeBytes
}

function placeIn(
  { driver, directory }: FollowedFolder,
  { baseOffset, ending }: Pick<ListedLog, 'baseOffset' | 'ending'>,
): SegmentPlace {
  const place = { driver, directory, baseOffset, readOnly: true }
  return ending === '' ? place : { ...place, suffix: ending }
}

function keyOf({ baseOffset, ending, fileId }: Omit<ListedLog, 'sizeBytes'>): string {
  return `${baseOffset}${ending} ${fileId}`
}

function startBelow({ limit, isThisBoot }: FollowedEnd): Parameters<typeof followActive>[2] {
  return { below: limit, trustsIndexes: isThisBoot }
}
