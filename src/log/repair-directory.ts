/**
 * Repair of a log's directory: makes sound what verification found damaged, and keeps every record
 * that is as it was written. The caller has the writer lock.
 *
 *   1  verification says what is damaged; a dry run ends here
 *   2  the small files of the directory; the clean marker goes, durably, before any data changes
 *   3  partition by partition: folders that are missing, swaps of segments that were under way,
 *      segments, indexes, small files
 *
 * Nothing is overwritten in place: a new file is whole and on stable storage before it takes a
 * name, and what it does not hold is kept beside it. So a stop at any call leaves a log that opens,
 * and that can be repaired again: a part that was done is sound by then.
 */
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { segmentPath } from '../storage/segment-indexes.ts'
import type { Damage } from './damage.ts'
import { WRONG_EPOCH } from './epoch-audit.ts'
import { LogCut } from './log-cut.ts'
import { LEADER_EPOCH_FILE } from './leader-epochs.ts'
import { knownEndOf } from './partition-evidence.ts'
import type { PartitionFindings, VerifiedPartition } from './partition-findings.ts'
import { epochAfter } from './partition-open.ts'
import { keepCopy, repairDirectoryFiles, repairPartitionFiles } from './repair-files.ts'
import { planPartition, type PartitionPlan } from './repair-plan.ts'
import { rewriteIndexes, rewriteLog, type EpochAt } from './segment-rewrite.ts'
import { readWholeFile } from '../storage/checkpoint-file.ts'
import { parseEpochCheckpoint } from '../storage/epoch-checkpoint.ts'
import { completeSwaps } from './swap-recovery.ts'
import { flushFolders, highestEpoch, layPartition } from './topic-directory.ts'
import type { VerifiedFolder, VerifyFindings } from './verify-directory.ts'

/** What a repair is made with. */
export interface RepairInput {
  readonly driver: StorageDriver
  readonly findings: VerifyFindings
  readonly randomBytes: (byteLength: number) => Uint8Array
  /** The file that is worked on now. */
  readonly onFile: (file: string) => void
}

/** Makes everything sound that `findings` names as damaged. */
export function* repairDirectory(input: RepairInput): Procedure<void> {
  const { driver, findings, randomBytes } = input
  const plans = new Map<VerifiedFolder, PartitionPlan>()
  const implausibleEnds = new Set<string>()
  for (const folder of findings.folders) {
    const plan = planOf(driver, folder)
    plans.set(folder, plan)
    if (plan.isEndImplausible) implausibleEnds.add(folder.input.directory)
  }
  yield* repairDirectoryFiles({ driver, findings, randomBytes, implausibleEnds })
  for (const [folder, plan] of plans) yield* repairFolder(input, folder, plan)
}

function* repairFolder(
  { driver, onFile }: RepairInput,
  folder: VerifiedFolder,
  { steps }: PartitionPlan,
): Procedure<void> {
  const { input, findings } = folder
  const { directory, config } = input
  if (findings === undefined) yield* layFolder(driver, input)
  else yield* completeSwaps(input) // Verification found what it leaves.
  const epochAt = epochsBySegment(driver, folder)
  for (const step of steps) {
    const place = { driver, directory, baseOffset: step.baseOffset }
    onFile(segmentPath(place, '.log'))
    switch (step.kind) {
      case 'set aside':
        yield* new LogCut(driver, directory).setAside([step.baseOffset])
        break
      case 'make': {
        yield* rewriteLog(place, step, epochAt)
        const fileBytes = driver.status(segmentPath(place, '.log'))?.sizeBytes ?? 0
        yield* rewriteIndexes(place, config, fileBytes)
        break
      }
      case 'index':
        for (const kind of ['.index', '.timeindex'] as const) {
          yield* keepCopy(driver, segmentPath(place, kind))
        }
        yield* rewriteIndexes(place, config, step.fileBytes)
        break
    }
  }
  yield* repairPartitionFiles(driver, folder)
}

/** A partition whose folder is gone begins where it did, and holds nothing. */
function* layFolder(driver: StorageDriver, input: VerifiedPartition): Procedure<void> {
  const startOffset = input.evidence.logStartOffset ?? 0
  const leaderEpoch = epochAfter(highestEpoch(driver))
  const { directory } = layPartition({ ...input, startOffset, leaderEpoch })
  yield* flushFolders(driver, [directory])
  yield () => driver.flushDirectory('')
}

function planOf(driver: StorageDriver, { input, findings }: VerifiedFolder): PartitionPlan {
  const logStartOffset = input.evidence.logStartOffset ?? 0
  const { isOwn } = input
  const found = findings ?? nothingFound(input, logStartOffset, epochAfter(highestEpoch(driver)))
  const wrongEpochs = new Set<number>()
  for (const damage of found.damage) {
    const segment = segmentOfEpochFlaw(damage, input.directory)
    if (segment !== undefined) wrongEpochs.add(segment)
  }
  return planPartition({ findings: found, isOwn, logStartOffset, wrongEpochs })
}

/** What verification would find in an empty folder. */
function nothingFound(
  input: VerifiedPartition,
  firstOffset: number,
  leaderEpoch: number,
): PartitionFindings {
  const counts = { batches: 0, records: 0, bytes: 0, tornBytes: 0 }
  const leastEnd = knownEndOf(input.evidence)
  const storedEpochs = [{ leaderEpoch, startOffset: firstOffset }]
  return { ...counts, damage: [], segments: [], firstOffset, leastEnd, epochs: [], storedEpochs }
}

/** The segment that a flaw of leader epochs is in. */
function segmentOfEpochFlaw(damage: Damage, directory: string): number | undefined {
  if (damage.reason !== WRONG_EPOCH || !damage.file.startsWith(`${directory}/`)) return undefined
  return Number.parseInt(damage.file.slice(directory.length + 1), 10)
}

/** What leader-epoch-checkpoint says, where batches disagree with it and it is right. */
function epochsBySegment(
  driver: StorageDriver,
  { input, findings }: VerifiedFolder,
): EpochAt | undefined {
  const isWrong = findings?.damage.some(({ reason }) => reason === WRONG_EPOCH) ?? false
  if (!isWrong) return undefined
  const bytes = readWholeFile(driver, `${input.directory}/${LEADER_EPOCH_FILE}`)
  const entries = bytes === undefined ? undefined : parseEpochCheckpoint(bytes)
  return (offset) =>
    entries?.findLast(({ startOffset }) => startOffset <= offset)?.leaderEpoch ?? -1
}
