/**
 * DirectoryVerification: reads a log's directory as a whole and says what of it is as it was
 * written. A stepper: `step` does so much work and returns, so whoever drives it decides when the
 * event loop has its turn, how fast it goes, and when it ends.
 *
 * Writes nothing, takes no lock, and holds a window of one file and one batch in memory, whatever
 * the size of the log.
 */
import { segmentFileName, parseSegmentFileName } from '../format/segment-name.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { nextTurn } from './clock.ts'
import type { Damage } from './damage.ts'
import { auditDirectory } from './directory-audit.ts'
import { DirectoryEvidence, type SettledTopics } from './directory-evidence.ts'
import { readStoredConfig, resolveTopicConfig } from './log-config.ts'
import type { PartitionFindings, VerifiedPartition } from './partition-findings.ts'
import { missingFolderDamage } from './partition-evidence.ts'
import { partitionDirectory } from './topic-directory.ts'
import { PartitionVerification } from './verify-partition.ts'

/** What a step counts at least, where it had nothing to read. */
const LEAST_STEP_BYTES = 65_536

/** How far a verification has come. */
export interface VerifyProgress {
  /** Of the .log files, those that are preallocated included. */
  readonly bytes: number
  readonly totalBytes: number
  /** The one being read. Relative to the log's directory. */
  readonly file: string
}

/** A partition and what was found in it; undefined where its folder is missing. */
export interface VerifiedFolder {
  readonly input: VerifiedPartition
  readonly findings: PartitionFindings | undefined
}

/** What a verification found, and counts of what is whole. */
export interface VerifyFindings {
  readonly batches: number
  readonly records: number
  readonly bytes: number
  readonly tornBytes: number
  readonly damage: readonly Damage[]
  readonly evidence: DirectoryEvidence
  readonly settled: SettledTopics
  readonly folders: readonly VerifiedFolder[]
}

/** What a directory is verified with. */
export interface VerifyInput {
  readonly driver: StorageDriver
  /** Of this boot of the machine and this directory; null where that is unknown. */
  readonly bootId: string | null
  /** Somebody writes it at this moment. */
  readonly isLive: boolean
  /** Ids for topics that have lost theirs. */
  readonly newTopicId: () => string
  /** Of a log that this process has open: its partitions as they are now. */
  readonly openPartitions?: () => readonly VerifiedPartition[]
}

/** The verification of one directory. */
export class DirectoryVerification {
  readonly #input: VerifyInput
  readonly #procedure: Procedure<VerifyFindings | undefined>
  #findings: VerifyFindings | undefined
  #totalBytes = 0
  #doneBytes = 0
  #current: PartitionVerification | undefined

  constructor(input: VerifyInput) {
    this.#input = input
    this.#procedure = this.#run()
  }

  /** How far it has come. */
  get progress(): VerifyProgress {
    const totalBytes = this.#totalBytes
    const file = this.#current?.progress.file ?? ''
    return { bytes: Math.min(this.#position, totalBytes), totalBytes, file }
  }

  /** What it found; undefined before its end. */
  get findings(): VerifyFindings | undefined {
    return this.#findings
  }

  /**
   * Reads about so many bytes more; false once all is done.
   * @throws {LogError} IO where a file cannot be read; UNSUPPORTED_FORMAT for a log of a newer
   *   version. Nothing goes on after it.
   */
  step(budgetBytes: number): boolean {
    let spentBytes = 0
    while (spentBytes < budgetBytes) {
      const before = this.#position
      const step = this.#procedure.next()
      if (step.done) {
        this.#findings = step.value
        return false
      }
      spentBytes += Math.max(this.#position - before, LEAST_STEP_BYTES)
    }
    return true
  }

  /** Ends it before its end, and releases what it has open. */
  stop(): void {
    this.#procedure.return(undefined)
  }

  get #position(): number {
    const { progress } = this.#current ?? {}
    if (progress === undefined) return this.#doneBytes
    return this.#doneBytes + progress.doneBytes + progress.state.positionBytes
  }

  *#run(): Procedure<VerifyFindings | undefined> {
    const { driver, bootId, newTopicId } = this.#input
    const evidence = new DirectoryEvidence(driver, bootId)
    const settled = evidence.settleTopics(newTopicId)
    const damage: Damage[] = driver.volatile ? [] : [...auditDirectory(driver, evidence)]
    const partitions =
      this.#input.openPartitions?.() ?? (yield* this.#listPartitions(evidence, settled))
    for (const { directory } of partitions) this.#totalBytes += logBytes(driver, directory)
    const folders: VerifiedFolder[] = []
    const counts = { batches: 0, records: 0, bytes: 0, tornBytes: 0 }
    for (const input of partitions) {
      const findings = yield* this.#verifyPartition(input)
      folders.push({ input, findings })
      if (findings !== undefined) damage.push(...findings.damage)
      // Where the log is open, its topic was deleted since the list was read.
      else if (!input.isLive) damage.push(missingFolderDamage(input, input.evidence))
      counts.batches += findings?.batches ?? 0
      counts.records += findings?.records ?? 0
      counts.bytes += findings?.bytes ?? 0
      counts.tornBytes += findings?.tornBytes ?? 0
    }
    return { ...counts, damage, evidence, settled, folders }
  }

  *#verifyPartition(input: VerifiedPartition): Procedure<PartitionFindings | undefined> {
    if (input.driver.status(input.directory)?.kind !== 'directory') return undefined
    this.#current = new PartitionVerification(input)
    const findings = yield* this.#current.run()
    this.#doneBytes += this.#current.progress.doneBytes
    this.#current = undefined
    yield nextTurn
    return findings
  }

  /** Every partition there should be, and how much there is to read. */
  *#listPartitions(
    evidence: DirectoryEvidence,
    { metadata }: SettledTopics,
  ): Procedure<readonly VerifiedPartition[]> {
    const { driver, isLive } = this.#input
    const partitions: VerifiedPartition[] = []
    for (const [topic, { id: topicId, config: stored, ...known }] of metadata.topics) {
      const config = resolveTopicConfig(readStoredConfig(stored), { partitions: known.partitions })
      const rules = evidence.rulesOf({ id: topicId, config: stored, ...known })
      for (let partition = 0; partition < known.partitions; partition++) {
        const directory = partitionDirectory(topic, partition)
        const found = evidence.of(topic, topicId, partition)
        const place = { driver, topic, topicId, partition, directory }
        partitions.push({ ...place, config, evidence: found, ...rules, isLive })
        yield nextTurn
      }
    }
    return partitions
  }
}

function logBytes(driver: StorageDriver, directory: string): number {
  if (driver.status(directory)?.kind !== 'directory') return 0
  let total = 0
  for (const name of driver.list(directory)) {
    const parsed = parseSegmentFileName(name)
    if (parsed?.suffix !== '.log') continue
    const path = `${directory}/${segmentFileName(parsed.baseOffset, '.log')}`
    total += driver.status(path)?.sizeBytes ?? 0
  }
  return total
}
