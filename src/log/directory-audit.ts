/**
 * The small files of a log's own directory: whether each can be read, and is there where it has to
 * be. What they say of the data is held against the data elsewhere (verify-partition.ts).
 */
import { readWholeFile, UNREADABLE_FILE } from '../storage/checkpoint-file.ts'
import { CLEAN_MARKER_FILE, readCleanMarker } from '../storage/clean-marker.ts'
import { CONTROL_FILE } from '../storage/control-file.ts'
import { META_PROPERTIES_FILE, parseMetaProperties } from '../storage/meta-properties.ts'
import { isSoundMetadata, METADATA_FILE, PREVIOUS_METADATA_FILE } from '../storage/metadata-file.ts'
import { parseOffsetCheckpoint } from '../storage/offset-checkpoint.ts'
import { isJsonObject, parseJson } from '../storage/sealed-json.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { type Damage, fileDamage } from './damage.ts'
import type { DirectoryEvidence } from './directory-evidence.ts'
import { partitionDirectory } from './topic-directory.ts'
import { CLEANER_OFFSETS, LOG_STARTS, RECOVERY_POINTS } from './log-checkpoints.ts'
import { UNREADABLE } from './sector-reads.ts'

/** One file and what it has to be. */
interface SmallFile {
  readonly name: string
  readonly isRequired: boolean
  readonly isSound: (bytes: Buffer) => boolean
}

/** What is wrong with the small files of the directory. */
export function auditDirectory(
  driver: StorageDriver,
  evidence: DirectoryEvidence,
): readonly Damage[] {
  const damage: Damage[] = []
  for (const { name, isRequired, isSound } of smallFiles(driver, evidence)) {
    const bytes = readWholeFile(driver, name)
    if (bytes === undefined) {
      if (isRequired) damage.push(fileDamage(name, 0, 'missing'))
    } else if (bytes === UNREADABLE_FILE) {
      damage.push(fileDamage(name, driver.status(name)?.sizeBytes ?? 0, UNREADABLE))
    } else if (!isSound(bytes)) {
      damage.push(fileDamage(name, bytes.length, 'it cannot be read'))
    }
  }
  const control = driver.status(CONTROL_FILE)
  // What it holds is never synced, and no damage; in the way of it, nothing opens.
  if (control !== undefined && control.kind !== 'file') {
    damage.push(fileDamage(CONTROL_FILE, 0, 'it is not a file'))
  }
  const start = wrongLogStart(evidence)
  if (start !== undefined && !damage.some(({ file }) => file === LOG_STARTS)) damage.push(start)
  return damage
}

/** The checkpoint of log starts has no checksum: a clean marker says what it has to say. */
function wrongLogStart({ marker, checkpoints }: DirectoryEvidence): Damage | undefined {
  if (marker === undefined || marker === 'kafka' || checkpoints.logStarts === null) return undefined
  const { logStarts } = checkpoints
  const wrong = marker.partitions.find(({ topic, partition, logStartOffset }) => {
    return (logStarts.get(partitionDirectory(topic, partition)) ?? 0) !== logStartOffset
  })
  if (wrong === undefined) return undefined
  const folder = partitionDirectory(wrong.topic, wrong.partition)
  return fileDamage(LOG_STARTS, 0, `${folder} starts elsewhere by the clean marker`)
}

function smallFiles(driver: StorageDriver, evidence: DirectoryEvidence): readonly SmallFile[] {
  const { reading } = evidence
  const isOurs = reading.kind !== 'absent' || evidence.control !== undefined
  const topics = reading.kind === 'found' ? [...reading.metadata.topics.values()] : []
  // Written with the first open, before any topic of ours.
  const hasOwnTopics = topics.some((topic) => topic.adopted !== true)
  // A broker makes its checkpoints empty, and writes them when there is something to say.
  const isCheckpoint = (bytes: Buffer): boolean =>
    isOffsets(bytes) || (evidence.wasBrokers && bytes.length === 0)
  return [
    { name: METADATA_FILE, isRequired: isOurs, isSound: isSoundMetadata },
    { name: PREVIOUS_METADATA_FILE, isRequired: false, isSound: isSoundMetadata },
    {
      name: META_PROPERTIES_FILE,
      isRequired: isOurs,
      isSound: (bytes) => parseMetaProperties(bytes) !== undefined,
    },
    { name: RECOVERY_POINTS, isRequired: hasOwnTopics, isSound: isCheckpoint },
    { name: LOG_STARTS, isRequired: hasOwnTopics, isSound: isCheckpoint },
    { name: CLEANER_OFFSETS, isRequired: false, isSound: isCheckpoint },
    {
      name: CLEAN_MARKER_FILE,
      isRequired: false,
      isSound: (bytes) => readCleanMarker(driver) !== 'kafka' || isOfBroker(bytes),
    },
  ]
}

function isOffsets(bytes: Buffer): boolean {
  return parseOffsetCheckpoint(bytes) !== undefined
}

/** Empty in older brokers, a JSON object without a member of ours in newer ones. */
function isOfBroker(bytes: Buffer): boolean {
  if (bytes.length === 0) return true
  const marker = parseJson(bytes.toString())
  return isJsonObject(marker) && marker['streambed'] === undefined && 'version' in marker
}
