/**
 * Names of a partition's files and folders, as Kafka gives them.
 *
 *   orders-0/                                    topic, '-', partition: digits behind the last '-'
 *     00000000000000004096.log                   base offset in 20 digits, and what it holds
 *   orders-0.8a5e1e0e2f1c4b0c9d7a3b2c1d0e9f8a-delete/   set aside: also -stray, -future
 *
 * Owns names only. Which of them exist, and which files belong together, is storage/'s and log/'s.
 */
import { assert } from '../errors/invariant.ts'
import { isKafkaTopicName } from './topic-name.ts'

/** What a segment's file holds, or the snapshot at its base offset. */
export type SegmentSuffix = '.log' | '.index' | '.timeindex' | '.txnindex' | '.snapshot'

/** A segment's file name, read. */
export interface SegmentFileName {
  readonly baseOffset: number
  readonly suffix: SegmentSuffix
}

/** Where a partition's folder is in its life: in use, or set aside by a broker or by us. */
export type PartitionDirectoryState = 'live' | AsideState

/** Being deleted; belonging to no known topic; a copy being made by a broker. */
export type AsideState = 'delete' | 'stray' | 'future'

/** A partition's folder name, read. `topic` of one set aside may be cut short, as Kafka does. */
export interface PartitionDirectoryName {
  readonly topic: string
  readonly partition: number
  readonly state: PartitionDirectoryState
  /** What makes the name of a folder set aside unique. */
  readonly id?: string
}

/**
 * What a file beside a segment's own is: written by a cleaner that is not done; whole, to take the
 * place of others; about to be removed.
 */
export type PassingState = 'cleaned' | 'swap' | 'deleted'

/** The name of such a file, read. */
export interface PassingFileName {
  readonly baseOffset: number
  readonly suffix: SegmentSuffix
  readonly state: PassingState
  /** Behind the name that it had: `.swap`, `.deleted`, `.2.deleted`. */
  readonly ending: `.${string}`
  /** Which of several of one name it is: 0, then rising. */
  readonly copy: number
}

const OFFSET_DIGITS = 20
const MAX_PARTITION = 0x7fff_ffff
const MAX_FILE_NAME_LENGTH = 255
const SEGMENT_FILE = /^(\d{20})(\.(?:log|index|timeindex|txnindex|snapshot))$/
const PASSING_FILE = /^(.+?)((?:\.(\d{1,9}))?\.(cleaned|swap|deleted))$/
const LIVE_DIRECTORY = /^(.+)-(0|[1-9]\d{0,9})$/
const ASIDE_DIRECTORY = /^(.+)-(0|[1-9]\d{0,9})\.([^.-]+)-(delete|stray|future)$/

/** The name of the file that holds `suffix` for the segment that starts at `baseOffset`. */
export function segmentFileName(baseOffset: number, suffix: SegmentSuffix): string {
  assert(Number.isSafeInteger(baseOffset) && baseOffset >= 0, 'baseOffset: an integer, >= 0')
  return String(baseOffset).padStart(OFFSET_DIGITS, '0') + suffix
}

/** What a segment's file name says; undefined for every other name, `.log.deleted` included. */
export function parseSegmentFileName(name: string): SegmentFileName | undefined {
  const match = SEGMENT_FILE.exec(name)
  if (match === null) return undefined
  const baseOffset = Number(match[1])
  const suffix = match[2] as SegmentSuffix // the pattern lists just these
  return Number.isSafeInteger(baseOffset) ? { baseOffset, suffix } : undefined
}

/** What the name of a file says that is on its way into the log, or out of it. */
export function parsePassingFileName(name: string): PassingFileName | undefined {
  const match = PASSING_FILE.exec(name)
  const segment = match === null ? undefined : parseSegmentFileName(match[1] ?? '')
  if (match === null || segment === undefined) return undefined
  const [, , ending, copy, state] = match
  return {
    ...segment,
    state: state as PassingState, // the pattern lists just these
    ending: ending as `.${string}`, // the pattern begins with a dot
    copy: Number(copy ?? 0),
  }
}

/** What the name of a partition's folder says; undefined for the name of anything else. */
export function parsePartitionDirectory(name: string): PartitionDirectoryName | undefined {
  const live = LIVE_DIRECTORY.exec(name)
  const match = live ?? ASIDE_DIRECTORY.exec(name)
  if (match === null) return undefined
  const [, topic = '', digits, id = ''] = match
  const partition = Number(digits)
  if (!isKafkaTopicName(topic) || partition > MAX_PARTITION) return undefined
  if (live !== null) return { topic, partition, state: 'live' }
  const state = match[4] as AsideState // the pattern lists just these
  return { topic, partition, state, id }
}

/**
 * What `directory`, a partition's folder, is named once it is set aside. `id` is 32 hex digits.
 * Where that is too long for a file system, the topic's end is cut off, as Kafka does.
 */
export function asideDirectoryName(directory: string, id: string, state: AsideState): string {
  const dash = directory.lastIndexOf('-')
  assert(dash > 0 && /^[^.-]+$/.test(id), 'a partition folder, and an id without dots and dashes')
  const suffix = `${directory.slice(dash)}.${id}-${state}`
  return directory.slice(0, Math.min(dash, MAX_FILE_NAME_LENGTH - suffix.length)) + suffix
}
