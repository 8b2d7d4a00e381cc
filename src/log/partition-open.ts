/**
 * Opening one partition: as the clean marker describes it where its folder agrees, by recovery
 * otherwise, anew where the folder is missing.
 *
 *   I1  after a stop that may have taken offsets that somebody saw, the partition starts a new
 *       leader epoch, on stable storage before any append: they may be used again only in a newer
 *       epoch.
 *       Here that is any stop but a clean one; where a broker has had the directory, a cluster
 *       counts the epochs too, and must not fall behind: only where it cannot be ruled out
 *   I2  what the log is known to have had is never forgotten: it goes on behind it
 *   I3  a swap of segments that was under way is over before anybody asks which segments there are
 */
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { fileDamage } from './damage.ts'
import type { FoundFlaw } from './damage-list.ts'
import { openDescribed } from './described-segments.ts'
import { LEADER_EPOCH_FILE, LeaderEpochs } from './leader-epochs.ts'
import {
  knownEndOf,
  missingFolderDamage,
  type PartitionEvidence,
  syncedUntil,
} from './partition-evidence.ts'
import type { PartitionName } from './partition-errors.ts'
import type { PartitionState } from './partition-log.ts'
import type { PartitionRecovery } from './partition-recovery.ts'
import { describedProducers, noProducers } from './producer-replay.ts'
import { snapshotOffsets } from './producer-snapshots.ts'
import { recoverPartition } from './recovery.ts'
import { completeSwaps } from './swap-recovery.ts'
import { flushFolders, highestEpoch, layPartition, partitionDirectory } from './topic-directory.ts'

const INT32_MAX = 0x7fff_ffff

/** What metadata says of a partition. */
export type KnownPartition = Pick<
  PartitionState,
  'topic' | 'topicId' | 'partition' | 'config' | 'isOwn' | 'isGapless'
>

/** A partition that can be appended to, and what had to be done for that. */
export interface OpenedPartition {
  readonly state: PartitionState
  readonly recovery: PartitionRecovery
}

/** Brings one partition into a state that can be appended to. */
export function* openPartition(
  driver: StorageDriver,
  known: KnownPartition,
  evidence: PartitionEvidence,
): Procedure<OpenedPartition> {
  const directory = partitionDirectory(known.topic, known.partition)
  if (driver.status(directory) === undefined) return yield* replaceMissing(driver, known, evidence)
  const { names, flaws } = yield* completeSwaps({ driver, directory, isOwn: known.isOwn })
  const epochs = LeaderEpochs.load(driver, directory)
  const of = { known, evidence, directory, names, epochs }
  const opened = openAsDescribed(driver, of) ?? (yield* recover(driver, of))
  return flaws.length === 0 ? opened : { ...opened, recovery: withFlaws(opened.recovery, flaws) }
}

/** A partition and what is known of it. */
interface PartitionOpening {
  readonly known: KnownPartition
  readonly evidence: PartitionEvidence
  readonly directory: string
  readonly names: readonly string[]
  readonly epochs: LeaderEpochs
}

function* recover(driver: StorageDriver, of: PartitionOpening): Procedure<OpenedPartition> {
  const { known, evidence, directory, epochs } = of
  const { published } = evidence
  // Before recovery: a cut may forget the newest epoch, which was used.
  const usedEpoch = epochs.latest
  const recovered = yield* recoverPartition({
    ...known,
    driver,
    directory,
    epochs,
    logStartOffset: evidence.logStartOffset,
    checkpointedPoint: evidence.checkpointedPoint,
    recoveryPoint: syncedUntil(evidence),
    publishedEndOffset: published?.logEndOffset ?? 0,
    durableBefore: evidence.durableBefore,
  })
  const { segments, logStartOffset, producers, snapshots } = recovered
  const report = epochs.wasUnusable ? withUnusableEpochs(recovered.report) : recovered.report
  const durableOffset = segments.active.nextOffset
  if (epochs.latest < 0 || hasFindings(report) || !isLossRuledOut(evidence)) {
    epochs.assign(epochAfter(Math.max(usedEpoch, epochs.latest)), durableOffset)
  }
  yield* epochs.save()
  const files = { directory, epochs, segments, producers, snapshots }
  // What is not read is not synced here either: the next close sees to all of it.
  const state = { ...known, ...files, logStartOffset, durableOffset, isSettled: false }
  return { state, recovery: report }
}

/** The epochs were taken from the batches, as far as these tell them. */
function withUnusableEpochs(report: PartitionRecovery): PartitionRecovery {
  const file = `${partitionDirectory(report.topic, report.partition)}/${LEADER_EPOCH_FILE}`
  return withFlaws(report, [{ file, position: 0, bytes: 0, reason: 'it cannot be read' }])
}

/** With files that were done without. */
function withFlaws(report: PartitionRecovery, flaws: readonly FoundFlaw[]): PartitionRecovery {
  const { topic, partition } = report
  const damage = flaws.map(({ file, bytes, reason }) => {
    return { ...fileDamage(file, bytes, reason), topic, partition }
  })
  return { ...report, damage: [...report.damage, ...damage] }
}

/**
 * Whether a partition in which recovery found nothing to cut and nothing damaged has every offset
 * that anybody ever saw. What was written is in the kernel's pages, whoever wrote it and however
 * they ended, for as long as the machine is not started anew: the slot was published in this boot.
 */
function isLossRuledOut({ isBrokerClean, isBrokers, published }: PartitionEvidence): boolean {
  return isBrokerClean || (isBrokers && published !== undefined)
}

/**
 * The epoch that a writer starts after `usedEpoch`. No CRC covers the epoch of a batch: a damaged
 * one may be the largest there is. Then epochs rise no more, which is better than never to open.
 */
export function epochAfter(usedEpoch: number): number {
  return Math.min(usedEpoch + 1, INT32_MAX)
}

/** True where recovery had more to do than to look. */
export function hasFindings(report: PartitionRecovery): boolean {
  const { cutBytes, cutAtOffset, rebuiltIndexes, damage } = report
  return cutBytes > 0 || cutAtOffset !== null || damage.length > 0 || rebuiltIndexes > 0
}

/**
 * A folder that should be there is not: the partition goes on where it is known to have been (I2).
 */
function* replaceMissing(
  driver: StorageDriver,
  known: KnownPartition,
  evidence: PartitionEvidence,
): Procedure<OpenedPartition> {
  const { topic, partition, isOwn } = known
  const firstOffset = evidence.logStartOffset ?? 0
  const startOffset = knownEndOf(evidence)
  // Its epochs are gone with it. Those of all partitions rise together, so the highest will do.
  const leaderEpoch = epochAfter(highestEpoch(driver))
  const { directory, segments, epochs } = layPartition({
    ...known,
    driver,
    startOffset,
    leaderEpoch,
  })
  yield* flushFolders(driver, [directory])
  yield () => driver.flushDirectory('')
  const damage = missingFolderDamage({ topic, partition, directory }, evidence)
  const logStartOffset = isOwn ? firstOffset : startOffset
  const files = {
    directory,
    segments,
    epochs,
    ...noProducers({ ...known, driver, directory, segments }),
  }
  return {
    state: { ...known, ...files, logStartOffset, durableOffset: startOffset, isSettled: false },
    recovery: { ...nothingDone(known), damage: [damage] },
  }
}

/** A partition that is as it was. */
export function nothingDone({ topic, partition }: PartitionName): PartitionRecovery {
  return { topic, partition, cutBytes: 0, cutAtOffset: null, rebuiltIndexes: 0, damage: [] }
}

/** As the clean marker describes it; undefined where the folder says otherwise. */
function openAsDescribed(
  driver: StorageDriver,
  { known, evidence, directory, names, epochs }: PartitionOpening,
): OpenedPartition | undefined {
  const { described } = evidence
  // Without its epochs the log must not go on: one that was used would be used again.
  if (described === undefined || epochs.latest < 0) return undefined
  const offsets = snapshotOffsets(names)
  // Recovery reads what a snapshot that is gone had said.
  if (described.producers !== null && !offsets.includes(described.producers.offset)) {
    return undefined
  }
  const segments = openDescribed({ driver, directory, names }, known.config, described)
  if (segments === undefined) return undefined
  const firstOffset = known.isOwn ? 0 : segments.first.baseOffset
  const logStartOffset = Math.max(evidence.logStartOffset ?? segments.first.baseOffset, firstOffset)
  const log = { ...known, driver, directory, segments }
  const producers = describedProducers(log, described.producers, offsets)
  const durableOffset = segments.active.nextOffset
  const files = { directory, epochs, segments, ...producers }
  // Whoever left the marker had synced all of it, here, since the machine was started: what was
  // copied from elsewhere, marker and all, may be nowhere but in memory.
  const isSettled = evidence.published !== undefined
  return {
    state: { ...known, ...files, logStartOffset, durableOffset, isSettled },
    recovery: nothingDone(known),
  }
}
