/**
 * `EventLog.repair`: takes the writer lock, verifies the directory, and makes sound what is damaged
 * (log/repair-directory.ts). A dry run does the first half without a lock and without a write.
 */
import { randomBytes } from 'node:crypto'
import { invalidArgument } from '../errors/log-error.ts'
import { delay, holdProcess, systemClock } from '../log/clock.ts'
import { isLogDirectory } from '../log/directory-open.ts'
import { newerWriter } from '../log/newer-writer.ts'
import { repairDirectory } from '../log/repair-directory.ts'
import { DirectoryVerification, type VerifyFindings } from '../log/verify-directory.ts'
import { openDiskDriver } from '../storage/disk-driver.ts'
import { existingLogDirectory, modesOf } from '../storage/existing-directory.ts'
import { refuseLiveWriter } from '../storage/live-writer.ts'
import { META_PROPERTIES_FILE } from '../storage/meta-properties.ts'
import { runProcedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { acquireWriterLock } from '../storage/writer-lock.ts'
import { checkDirectory, checkOptions, describeValue } from './check-options.ts'
import type { Progress, RepairReport } from './log-reports.ts'
import {
  bootOf,
  driveVerification,
  loadDecoders,
  progressOf,
  type OnProgress,
} from './log-verify.ts'

/** Options of `EventLog.repair`. */
export interface RepairOptions {
  /** Reports the same and writes nothing. Default false. */
  dryRun?: boolean | undefined
  /** Called after each slice of reading, and for each file that is made anew. */
  onProgress?: ((progress: Progress) => void) | undefined
}

const CALL = 'EventLog.repair'

/** Repairs what lies in `directory`; see `EventLog.repair`. */
export async function repairLog(
  directory: string,
  options: RepairOptions | undefined,
): Promise<RepairReport> {
  checkDirectory(directory, CALL)
  checkOptions(options, ['dryRun', 'onProgress'], CALL)
  const onProgress = progressOf(options?.onProgress, CALL)
  const isDryRun = dryRunOf(options?.dryRun)
  const path = existingLogDirectory(directory, isLogDirectory, CALL)
  const release = holdProcess()
  try {
    return isDryRun ? await lookOnly(path, onProgress) : await repairLocked(path, onProgress)
  } finally {
    release()
  }
}

async function lookOnly(path: string, onProgress: OnProgress): Promise<RepairReport> {
  refuseLiveWriter(path, CALL)
  const driver = openDiskDriver(path)
  try {
    return reportOf(path, await findDamage(path, driver, onProgress))
  } finally {
    driver.close()
  }
}

async function repairLocked(path: string, onProgress: OnProgress): Promise<RepairReport> {
  const modes = modesOf(path, META_PROPERTIES_FILE)
  const lock = await acquireWriterLock(path, {
    lockTimeoutMs: 0,
    fileMode: modes.fileMode,
    now: () => systemClock.now(),
    monotonicNow: () => systemClock.monotonicNow(),
    wait: (ms) => delay(systemClock, ms),
  })
  try {
    const driver = openDiskDriver(path, { modes })
    try {
      const findings = await findDamage(path, driver, onProgress)
      if (findings.damage.length > 0) {
        const { bytes } = findings
        const onFile = (file: string): void => onProgress?.({ bytes, totalBytes: bytes, file })
        await runProcedure(repairDirectory({ driver, findings, randomBytes, onFile }))
      }
      return reportOf(path, findings)
    } finally {
      driver.close()
    }
  } finally {
    await lock.release()
  }
}

async function findDamage(
  path: string,
  driver: StorageDriver,
  onProgress: OnProgress,
): Promise<VerifyFindings> {
  loadDecoders()
  const input = { driver, bootId: bootOf(path), isLive: false, newTopicId }
  const verification = new DirectoryVerification(input)
  const findings = await driveVerification(verification, { onProgress, signal: null, call: CALL })
  const { reading } = findings.evidence
  if (reading.kind === 'found' && !reading.writable) {
    throw newerWriter(reading.metadata.writeIncompatible)
  }
  return findings
}

function reportOf(path: string, { records, damage }: VerifyFindings): RepairReport {
  const isSaved = damage.some(({ bytes }) => bytes > 0)
  return Object.freeze({ kept: records, removed: damage, savedTo: isSaved ? path : null })
}

function newTopicId(): string {
  return randomTopicId(randomBytes)
}

function dryRunOf(dryRun: unknown): boolean {
  if (dryRun === undefined || typeof dryRun === 'boolean') return dryRun ?? false
  throw invalidArgument(`${CALL}: dryRun is true or false, not ${describeValue(dryRun)}`, {
    option: 'dryRun',
    value: dryRun,
  })
}
