/**
 * Opening a directory for writing: finds out which topics there are, brings every partition into a
 * state that can be appended to, and says what it had to do.
 *
 *   1  the clean marker is read, then removed, durably, before anything else is written
 *   2  metadata.json says which topics there are; without it the folders do, as in a broker's
 *   directory
 *   3  each partition is taken as the marker describes it, or recovered (recovery.ts), several side
 *      by side: nothing that one does concerns another
 *   4  after a stop that may have taken offsets each partition starts a new leader epoch, on stable
 *      storage before any append: such offsets may be used again only in a newer epoch
 *   5  transactions that were open are ended, as they were decided (transaction-recovery.ts)
 *   6  positions of consumer groups are moved back to the end of their data (committed-offsets.ts)
 *   7  the control file is written anew, and checkpoints that would say something else
 *
 * A folder that no topic lists is set aside where it is empty, and removed only where it is what a
 * creation that was stopped had laid; with data, it is adopted.
 * Where a broker has had the directory, topics may also have been created, deleted and compacted
 * since metadata.json was written: what the folders say counts then.
 */
import { replaceFile } from '../storage/checkpoint-file.ts'
import { removeCleanMarker } from '../storage/clean-marker.ts'
import { ControlFile } from '../storage/control-file.ts'
import { META_PROPERTIES_FILE } from '../storage/meta-properties.ts'
import { emptyMetadata, type TopicMetadata, writeMetadata } from '../storage/metadata-file.ts'
import { type Procedure, sideBySide } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { finishBackup } from './backup-directory.ts'
import { BACKUP_MANIFEST_FILE } from './backup-manifest.ts'
import { afterTurn } from './clock.ts'
import type { MovedPosition } from './committed-offsets.ts'
import type { Damage } from './damage.ts'
import { DirectoryEvidence, type SettledTopics } from './directory-evidence.ts'
import type { CheckpointedOffsets } from './log-checkpoints.ts'
import { readStoredConfig, resolveTopicConfig } from './log-config.ts'
import { LogDirectory, type LogEnvironment } from './log-directory.ts'
import { newIdentity } from './log-identity.ts'
import { newerWriter } from './newer-writer.ts'
import type { PartitionState } from './partition-log.ts'
import {
  hasFindings,
  type KnownPartition,
  nothingDone,
  type OpenedPartition,
  openPartition,
} from './partition-open.ts'
import type { PartitionRecovery } from './partition-recovery.ts'
import { listDeletedFolders, setFolderAside } from './topic-directory.ts'
import { WatermarkPublisher } from './watermark-publisher.ts'

/** Partitions that are recovered side by side: each waits for several syncs. */
const PARTITIONS_AT_ONCE = 8

/** What opening did. */
export interface OpenReport {
  readonly clean: boolean
  readonly durationMs: number
  /** Partitions where something was cut, rebuilt, damaged or missing. */
  readonly partitions: readonly PartitionRecovery[]
  /** Topics that no metadata listed and that were taken in. */
  readonly adopted: readonly string[]
  /** Files of the log's own directory that were there, said nothing, and were done without. */
  readonly unusable: readonly string[]
  /** Committed positions that were moved back to the end of their data. */
  readonly positions: readonly MovedPosition[]
}

/** An open directory and how it got there. */
export interface OpenedDirectory {
  readonly log: LogDirectory
  readonly report: OpenReport
}

/** Of a log in memory: there was none before. */
export const NOTHING_FOUND: OpenReport = {
  clean: true,
  durationMs: 0,
  partitions: [],
  adopted: [],
  unusable: [],
  positions: [],
}

/** Opens what the driver holds; an empty directory becomes an empty log. */
export function* openLogDirectory(environment: LogEnvironment): Procedure<OpenedDirectory> {
  if (environment.driver.volatile) {
    return { log: new LogDirectory(environment, emptyMetadata()), report: NOTHING_FOUND }
  }
  return yield* new DirectoryOpening(environment).run()
}

/** True where a directory of these names is a log, ours or a broker's. */
export function isLogDirectory(names: readonly string[]): boolean {
  return (
    names.includes(BACKUP_MANIFEST_FILE) ||
    names.includes('metadata.json') ||
    names.includes('metadata.json.previous') ||
    names.includes(META_PROPERTIES_FILE) ||
    names.includes('recovery-point-offset-checkpoint')
  )
}

class DirectoryOpening {
  readonly #environment: LogEnvironment
  readonly #driver: StorageDriver
  readonly #startedMs: number
  readonly #reports: PartitionRecovery[] = []

  constructor(environment: LogEnvironment) {
    this.#environment = environment
    this.#driver = environment.driver
    this.#startedMs = environment.clock.monotonicNow()
  }

  *run(): Procedure<OpenedDirectory> {
    const driver = this.#driver
    yield* finishBackup(driver)
    // A log that may not be written is refused before its marker is touched.
    const found = this.#readEvidence()
    if (found.reading.kind === 'found' && !found.reading.writable) {
      throw newerWriter(found.reading.metadata.writeIncompatible)
    }
    if (found.marker !== undefined) yield* removeCleanMarker(driver)
    const isNew = !isLogDirectory(driver.list(''))
    if (isNew) yield* this.#writeIdentity()
    const evidence = isNew ? this.#readEvidence() : found
    const { metadata, adopted } = yield* this.#settleTopics(evidence)
    const log = new LogDirectory(this.#environment, metadata)
    const known = [...metadata.topics].flatMap((topic) => partitionsOf(topic, evidence))
    const openings = known.map((one) =>
      openPartition(driver, one, evidence.of(one.topic, one.topicId, one.partition)),
    )
    const opened = yield* sideBySide(openings, PARTITIONS_AT_ONCE)
    admit(log, opened)
    for (const { state, recovery } of opened) {
      if (hasFindings(recovery) || adopted.has(state.topic)) this.#reports.push(recovery)
    }
    let positions: readonly MovedPosition[]
    try {
      this.#noteDamage(yield* log.transactions.recover(isNew || isCleanOfOurs(evidence)))
      positions = yield* this.#settlePositions(log)
      this.#noteDeletions(log)
      const hasStaleClaims = opened.some((one) => endsBelowClaim(one, evidence))
      yield* this.#publish(log, evidence, hasStaleClaims)
      // After a clean close the files say it already, and each would cost two waits for the device.
      if (!isCleanOfOurs(evidence) || !areCurrent(evidence.checkpoints, log))
        yield* log.checkpoint()
      else if (evidence.isOfThisBoot) log.areCheckpointsCurrent()
    } catch (error) {
      log.transactions.markers.close() // What could not be written is for whoever opens it next.
      throw error
    }
    const report = {
      clean: isNew || found.marker !== undefined,
      durationMs: this.#environment.clock.monotonicNow() - this.#startedMs,
      partitions: this.#reports,
      adopted: [...adopted],
      unusable: found.unusable,
      positions,
    }
    return { log, report }
  }

  /** Where groups go on: never behind the end of the data, nor in a topic that is gone. */
  *#settlePositions(log: LogDirectory): Procedure<readonly MovedPosition[]> {
    const { offsets, transactions } = log
    this.#noteDamage(yield* offsets.load((...open) => transactions.isCommitted(...open)))
    const deleted = log.metadata.deleting.map(({ name }) => name)
    yield* offsets.forgetTopics(deleted.filter((name) => log.topic(name) === undefined))
    return yield* offsets.cutBack()
  }

  /** What was met while reading topics of the log itself. */
  #noteDamage(damage: readonly Damage[]): void {
    for (const found of damage) {
      const { topic, partition } = found
      const known = this.#reports.find((one) => one.topic === topic && one.partition === partition)
      if (known === undefined) {
        this.#reports.push({ ...nothingDone({ topic, partition }), damage: [found] })
      }
    }
  }

  #readEvidence(): DirectoryEvidence {
    return new DirectoryEvidence(this.#driver, this.#environment.bootId)
  }

  *#writeIdentity(): Procedure<void> {
    const bytes = newIdentity(this.#environment.randomBytes)
    yield* replaceFile(this.#driver, META_PROPERTIES_FILE, bytes)
    yield* writeMetadata(this.#driver, emptyMetadata())
  }

  /** Which topics there are; where files differ on that, they agree on disk first. */
  *#settleTopics(evidence: DirectoryEvidence): Procedure<SettledTopics> {
    const { randomBytes } = this.#environment
    const settled = evidence.settleTopics(() => randomTopicId(randomBytes))
    for (const { folder, state } of settled.setAside) {
      const uniqueId = Buffer.from(randomBytes(16)).toString('hex')
      setFolderAside(this.#driver, folder.directory, uniqueId, state)
    }
    if (settled.isChanged) {
      yield () => this.#driver.flushDirectory('')
      yield* writeMetadata(this.#driver, settled.metadata)
    }
    return settled
  }

  #noteDeletions(log: LogDirectory): void {
    log.deletingFolders('', listDeletedFolders(this.#driver))
    for (const topic of log.metadata.deleting) log.deletingFolders(topic.id, [])
  }

  *#publish(
    log: LogDirectory,
    evidence: DirectoryEvidence,
    hasStaleClaims: boolean,
  ): Procedure<void> {
    // Whoever of us left a clean marker had synced the names of all files before.
    const isNameDurable = isCleanOfOurs(evidence) && evidence.control !== undefined
    const control = ControlFile.open(this.#driver, {
      writerGeneration: ((evidence.control?.writerGeneration ?? 0) + 1) % 2 ** 32,
      bootId: this.#environment.bootId,
      pid: process.pid,
    })
    // What is appended next is not what was durable once: none of these claims may come back.
    if (hasStaleClaims) yield () => control.flush()
    log.publishTo(new WatermarkPublisher(control, this.#environment.clock, afterTurn))
    if (!isNameDurable) yield () => this.#driver.flushDirectory('')
  }
}

/**
 * Whether the log ends below what was durable in an earlier boot, cut or not: in a copy, or where
 * the disk lost what it had flushed.
 */
function endsBelowClaim({ state }: OpenedPartition, evidence: DirectoryEvidence): boolean {
  const { topic, topicId, partition, durableOffset } = state
  return durableOffset < evidence.of(topic, topicId, partition).durableBefore
}

/** Our marker is written when everything before it is on stable storage; a broker syncs less. */
function isCleanOfOurs({ marker }: DirectoryEvidence): boolean {
  return marker !== undefined && marker !== 'kafka'
}

/** Whether the checkpoints would be written as they are. */
function areCurrent(
  { recoveryPoints, logStarts }: CheckpointedOffsets,
  log: LogDirectory,
): boolean {
  if (logStarts === null) return false
  let pointCount = 0
  let startCount = 0
  for (const { partitions } of log.topics()) {
    for (const { directory, recoveryPoint, logStartOffset } of partitions) {
      if (recoveryPoints.get(directory) !== recoveryPoint) return false
      if ((logStarts.get(directory) ?? 0) !== logStartOffset) return false
      pointCount += 1
      if (logStartOffset > 0) startCount += 1
    }
  }
  return recoveryPoints.size === pointCount && logStarts.size === startCount
}

/** Each partition of a topic, in order. */
function partitionsOf(
  [topic, metadata]: readonly [string, TopicMetadata],
  evidence: DirectoryEvidence,
): readonly KnownPartition[] {
  const { id: topicId, partitions } = metadata
  const config = resolveTopicConfig(readStoredConfig(metadata.config), { partitions })
  const rules = evidence.rulesOf(metadata)
  return Array.from({ length: partitions }, (_, partition) => ({
    topic,
    topicId,
    partition,
    config,
    ...rules,
  }))
}

/** Takes in topic by topic what was opened, which is in their order. */
function admit(log: LogDirectory, opened: readonly OpenedPartition[]): void {
  const topics = new Map<string, PartitionState[]>()
  for (const { state } of opened) {
    const states = topics.get(state.topic)
    if (states === undefined) topics.set(state.topic, [state])
    else states.push(state)
  }
  for (const [name, states] of topics) {
    const [first] = states
    if (first !== undefined) log.admit({ name, id: first.topicId, config: first.config }, states)
  }
}
