/**
 * metadata.json: which topics there are, and which features a reader must know.
 *
 *   { format: 1, incompatible: [], writeIncompatible: [],
 *     topics: { <name>: { id, partitions, config, adopted, compacted } },
 *     deleting: [{ id, name, partitions }], crc }
 *
 * Owns the file, its previous version and its rules; `crc` is sealed-json.ts. An entry that we do
 * not know in `incompatible` refuses the open, in `writeIncompatible` it refuses writing. Members
 * that we do not know are kept, at the top, in topics and in `deleting`.
 *
 * Replacing it, and what a crash behind each step leaves (old and new are good, whole files):
 *   1  <previous>.tmp = the old metadata.json, flushed      metadata.json old    previous older
 *   2  metadata.json.tmp = the new one, flushed             metadata.json old    previous older
 *   3  rename <previous>.tmp to metadata.json.previous      metadata.json old    previous old
 *   4  rename metadata.json.tmp to metadata.json            metadata.json new    previous old
 *   5  flush the directory                                  the same, durably
 * A power cut before 5 may keep either rename, both or none: each leaves two good files. Where
 * metadata.json is missing or damaged, 1 and 3 are left out, so the good previous one stays.
 */
import { LogError } from '../errors/log-error.ts'
import { isKafkaTopicName } from '../format/topic-name.ts'
import { applyReplacement, prepareReplacement, readWholeFile } from './checkpoint-file.ts'
import type { Procedure } from './procedure.ts'
import {
  canonicalJson,
  isJsonObject,
  type JsonObject,
  jsonObject,
  type KnownTexts,
  parseJson,
  sealed,
  unsealed,
} from './sealed-json.ts'
import type { StorageDriver } from './storage-driver.ts'
import { parseTopicId } from './topic-id.ts'

/** The file's name in the log's directory. */
export const METADATA_FILE = 'metadata.json'
/** The last good one before it. */
export const PREVIOUS_METADATA_FILE = 'metadata.json.previous'

const FORMAT = 1
const INT32_MAX = 0x7fff_ffff
/** Features that this version knows; there are none yet. */
const KNOWN_INCOMPATIBLE: ReadonlySet<unknown> = new Set()
const KNOWN_WRITE_INCOMPATIBLE: ReadonlySet<unknown> = new Set()

/**
 * Of topics that were written before: among thousands of them one is new each time. What describes
 * a topic never changes; another description takes its place.
 */
const TOPIC_MEMBERS = new WeakMap<TopicMetadata, JsonObject>()
const TOPIC_TEXTS: KnownTexts = new WeakMap<object, string>()

/** What metadata.json says. */
export interface LogMetadata {
  /** Features without which nobody may read the directory. */
  readonly incompatible: readonly string[]
  /** Features without which nobody may write into it. */
  readonly writeIncompatible: readonly string[]
  readonly topics: ReadonlyMap<string, TopicMetadata>
  /** Topics whose folders are still to be removed. */
  readonly deleting: readonly DeletingTopic[]
  /** Members of later versions. */
  readonly others: ReadonlyMap<string, unknown>
}

/** One topic. */
export interface TopicMetadata {
  /** 22 characters of base64url (topic-id.ts). */
  readonly id: string
  readonly partitions: number
  /** Settings that were given explicitly, by name, as JSON has them. Their meaning is log/'s. */
  readonly config: object
  /** Found as folders and taken in, not created here. */
  readonly adopted?: boolean
  /**
   * Records may have been compacted away: a gap in a segment is no damage. Here, durably, before
   * the first segment is replaced; never taken back.
   */
  readonly compacted?: boolean
  /** Members of later versions. */
  readonly others?: ReadonlyMap<string, unknown>
}

/** A topic that is gone for its users, but not from the disk. */
export interface DeletingTopic {
  readonly id: string
  readonly name: string
  readonly partitions: number
  /** Members of later versions. */
  readonly others?: ReadonlyMap<string, unknown>
}

/** What `readMetadata` found. */
export type MetadataReading =
  | {
      readonly kind: 'found'
      readonly metadata: LogMetadata
      /** False: a later version wrote it so that we may read, but not write. */
      readonly writable: boolean
      /** 'previous' where metadata.json is missing or damaged: it may lack the last change. */
      readonly source: 'current' | 'previous'
    }
  /** There is neither file. */
  | { readonly kind: 'absent' }
  /** There is one at least, and none is good. */
  | { readonly kind: 'damaged' }

/** Metadata of a log without topics. */
export function emptyMetadata(): LogMetadata {
  return {
    incompatible: [],
    writeIncompatible: [],
    topics: new Map(),
    deleting: [],
    others: new Map(),
  }
}

/**
 * Reads metadata.json, or the previous one where that is missing or damaged.
 * @throws {LogError} UNSUPPORTED_FORMAT for a format or a feature that this version cannot read.
 */
export function readMetadata(driver: StorageDriver): MetadataReading {
  const current = readWholeFile(driver, METADATA_FILE)
  const metadata = current === undefined ? undefined : parseMetadata(current, METADATA_FILE)
  if (metadata !== undefined) return found(metadata, 'current')
  const previous = readWholeFile(driver, PREVIOUS_METADATA_FILE)
  const lastGood =
    previous === undefined ? undefined : parseMetadata(previous, PREVIOUS_METADATA_FILE)
  if (lastGood !== undefined) return found(lastGood, 'previous')
  return { kind: current === undefined && previous === undefined ? 'absent' : 'damaged' }
}

/**
 * True for the bytes of a metadata.json, or of the previous one.
 * @throws {LogError} UNSUPPORTED_FORMAT for a format or a feature that this version cannot read.
 */
export function isSoundMetadata(bytes: Buffer): boolean {
  return parseMetadata(bytes, METADATA_FILE) !== undefined
}

/**
 * Replaces metadata.json, durably, and keeps the last good one. Returns its bytes: given as
 * `known` to the next call, they spare it from finding out once more that they are good.
 * @throws {LogError} NO_SPACE, READ_ONLY or IO: the old one counts, except where flushing the
 * directory failed: then it may be the new one. UNSUPPORTED_FORMAT: there is one that we cannot
 * read by now; nothing was changed.
 */
export function* writeMetadata(
  driver: StorageDriver,
  metadata: LogMetadata,
  known?: Buffer,
): Procedure<Buffer> {
  const current = readWholeFile(driver, METADATA_FILE)
  const isGood =
    current !== undefined &&
    (known?.equals(current) === true || parseMetadata(current, METADATA_FILE) !== undefined)
  const bytes = formatMetadata(metadata)
  if (isGood) yield* prepareReplacement(driver, PREVIOUS_METADATA_FILE, current) // 1
  yield* prepareReplacement(driver, METADATA_FILE, bytes) // 2
  if (isGood) applyReplacement(driver, PREVIOUS_METADATA_FILE) // 3
  applyReplacement(driver, METADATA_FILE) // 4
  yield () => driver.flushDirectory('') // 5
  return bytes
}

function found(metadata: LogMetadata, source: 'current' | 'previous'): MetadataReading {
  const writable = metadata.writeIncompatible.every((feature) =>
    KNOWN_WRITE_INCOMPATIBLE.has(feature),
  )
  return { kind: 'found', metadata, writable, source }
}

/** The bytes of a metadata.json. */
export function formatMetadata(metadata: LogMetadata): Buffer {
  const { incompatible, writeIncompatible, topics, deleting } = metadata
  const members = {
    format: FORMAT,
    incompatible,
    writeIncompatible,
    topics: jsonObject([...topics].map(([name, topic]) => [name, topicMembers(topic)])),
    deleting: deleting.map((topic) =>
      withOthers(topic, { id: topic.id, name: topic.name, partitions: topic.partitions }),
    ),
  }
  const object = sealed(withOthers(metadata, members), TOPIC_TEXTS)
  return Buffer.from(`${JSON.stringify(object, null, 2)}\n`)
}

function topicMembers(topic: TopicMetadata): JsonObject {
  const known = TOPIC_MEMBERS.get(topic)
  if (known !== undefined) return known
  const { id, partitions, config } = topic
  const members = withOthers(topic, { id, partitions, config, ...flagsOf(topic) })
  TOPIC_MEMBERS.set(topic, members)
  TOPIC_TEXTS.set(members, canonicalJson(members))
  return members
}

/** A flag that is not set has no member. */
function flagsOf(topic: {
  readonly adopted?: boolean | undefined
  readonly compacted?: boolean | undefined
}): Pick<TopicMetadata, 'adopted' | 'compacted'> {
  return {
    ...(topic.adopted === true ? { adopted: true } : {}),
    ...(topic.compacted === true ? { compacted: true } : {}),
  }
}

function withOthers(
  of: { readonly others?: ReadonlyMap<string, unknown> },
  members: JsonObject,
): JsonObject {
  return jsonObject([...Object.entries(members), ...(of.others ?? [])])
}

/** Undefined for damage. A good one of a format or with a feature that we cannot read is thrown. */
function parseMetadata(bytes: Buffer, file: string): LogMetadata | undefined {
  const members = unsealed(parseJson(bytes.toString()))
  if (members === undefined) return undefined
  const { format, incompatible, writeIncompatible, topics, deleting, ...others } = members
  if (!isCount(format, 1)) return undefined
  if (format > FORMAT) throw unsupported(file, `format ${format}`)
  if (!isTextList(incompatible) || !isTextList(writeIncompatible)) return undefined
  const unknown = incompatible.filter((feature) => !KNOWN_INCOMPATIBLE.has(feature))
  if (unknown.length > 0) throw unsupported(file, unknown.join(', '))
  const parsedTopics = parseTopics(topics)
  const parsedDeleting = parseDeleting(deleting)
  if (parsedTopics === undefined || parsedDeleting === undefined) return undefined
  return {
    incompatible,
    writeIncompatible,
    topics: parsedTopics,
    deleting: parsedDeleting,
    others: new Map(Object.entries(others)),
  }
}

function parseTopics(value: unknown): ReadonlyMap<string, TopicMetadata> | undefined {
  if (!isJsonObject(value)) return undefined
  const topics = new Map<string, TopicMetadata>()
  for (const [name, topic] of Object.entries(value)) {
    if (!isKafkaTopicName(name) || !isJsonObject(topic)) return undefined
    const { id, partitions, config, adopted, compacted, ...others } = topic
    if (!isTopicId(id) || !isCount(partitions, 1) || !isJsonObject(config)) return undefined
    if (!isFlag(adopted) || !isFlag(compacted)) return undefined
    const flags = flagsOf({ adopted, compacted })
    const settings = jsonObject(Object.entries(config))
    topics.set(name, { id, partitions, config: settings, ...flags, ...keptOthers(others) })
  }
  return topics
}

function parseDeleting(value: unknown): readonly DeletingTopic[] | undefined {
  if (!Array.isArray(value)) return undefined
  const deleting: DeletingTopic[] = []
  const list: readonly unknown[] = value
  for (const topic of list) {
    if (!isJsonObject(topic)) return undefined
    const { id, name, partitions, ...others } = topic
    if (
      !isTopicId(id) ||
      typeof name !== 'string' ||
      !isKafkaTopicName(name) ||
      !isCount(partitions, 1)
    )
      return undefined
    deleting.push({ id, name, partitions, ...keptOthers(others) })
  }
  return deleting
}

function keptOthers(others: JsonObject): { readonly others?: ReadonlyMap<string, unknown> } {
  const entries = Object.entries(others)
  return entries.length === 0 ? {} : { others: new Map(entries) }
}

function isFlag(value: unknown): value is boolean | undefined {
  return value === undefined || typeof value === 'boolean'
}

function isTopicId(value: unknown): value is string {
  return typeof value === 'string' && parseTopicId(value) !== undefined
}

function isCount(value: unknown, min: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= INT32_MAX
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
}

function unsupported(file: string, feature: string): LogError<'UNSUPPORTED_FORMAT'> {
  const message = `${file} was written by a newer streambed (${feature}): open it with that version or a later one`
  return new LogError('UNSUPPORTED_FORMAT', message, { file, feature })
}
