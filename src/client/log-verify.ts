/**
 * `EventLog.verify`: drives the verification of a directory (log/verify-directory.ts) in slices, so
 * that the event loop is never held for long, until it ends or somebody aborts it. Opens nothing
 * for writing and takes no lock.
 */
import { randomBytes } from 'node:crypto'
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { loadNativeCrc32c } from '../format/crc32c.ts'
import { holdProcess, nextTurn, systemClock } from '../log/clock.ts'
import { isLogDirectory } from '../log/directory-open.ts'
import { DirectoryVerification, type VerifyFindings } from '../log/verify-directory.ts'
import { bootId } from '../storage/boot-identity.ts'
import { openDiskDriver } from '../storage/disk-driver.ts'
import { existingLogDirectory } from '../storage/existing-directory.ts'
import { findLiveWriter } from '../storage/live-writer.ts'
import { directoryKey } from '../storage/log-location.ts'
import { randomTopicId } from '../storage/topic-id.ts'
import { enableZstdPackage } from '../storage/zstd-package.ts'
import { checkDirectory, checkOptions, describeValue } from './check-options.ts'
import type { Progress, VerifyReport } from './log-reports.ts'
import { signalOf } from './position.ts'

/** Bytes read before the event loop has its turn. */
const STEP_BYTES = 1_048_576

/** Options of `EventLog.verify`. */
export interface VerifyOptions {
  /** Called after each slice. What it throws ends the verification and rejects it. */
  onProgress?: ((progress: Progress) => void) | undefined
  /** Ends it with `ABORTED`. */
  signal?: AbortSignal | undefined
}

/** A callback that hears of progress, checked; undefined where none is given. */
export type OnProgress = ((progress: Progress) => void) | undefined

/** Verifies what lies in `directory`; see `EventLog.verify`. */
export async function verifyDirectory(
  directory: string,
  options: VerifyOptions | undefined,
): Promise<VerifyReport> {
  const call = 'EventLog.verify'
  checkDirectory(directory, call)
  checkOptions(options, ['onProgress', 'signal'], call)
  const onProgress = progressOf(options?.onProgress, call)
  const signal = signalOf(options?.signal, call)
  const path = existingLogDirectory(directory, isLogDirectory, call)
  const startedMs = systemClock.monotonicNow()
  const release = holdProcess()
  loadDecoders()
  const driver = openDiskDriver(path)
  try {
    const verification = new DirectoryVerification({
      driver,
      bootId: bootOf(path),
      isLive: findLiveWriter(path) !== undefined,
      newTopicId: () => randomTopicId(randomBytes),
    })
    const findings = await driveVerification(verification, { onProgress, signal, call })
    return reportOf(findings, systemClock.monotonicNow() - startedMs)
  } finally {
    driver.close()
    release()
  }
}

/** Runs a verification to its end, slice by slice. */
export async function driveVerification(
  verification: DirectoryVerification,
  options: {
    readonly onProgress: OnProgress
    readonly signal: AbortSignal | null
    readonly call: string
  },
): Promise<VerifyFindings> {
  const { onProgress, signal, call } = options
  for (;;) {
    if (signal?.aborted === true) throw aborted(signal, call)
    const goesOn = verification.step(STEP_BYTES)
    onProgress?.(verification.progress)
    const { findings } = verification
    if (!goesOn && findings !== undefined) return findings
    await nextTurn()
  }
}

/** What a caller who aborted is told. */
export function aborted(signal: AbortSignal, call: string): LogError<'ABORTED'> {
  const cause: unknown = signal.reason
  return new LogError('ABORTED', `${call} was aborted by its signal`, { call }, { cause })
}

/** What the user gets of findings. */
export function reportOf(
  found: Pick<VerifyFindings, 'batches' | 'records' | 'bytes' | 'tornBytes' | 'damage'>,
  durationMs: number,
): VerifyReport {
  const { batches, records, bytes, tornBytes, damage } = found
  const sound = damage.length === 0
  return Object.freeze({ sound, batches, records, bytes, tornBytes, damage, durationMs })
}

/** Loads what reading batches may need: native helpers are never looked for at import. */
export function loadDecoders(): void {
  loadNativeCrc32c()
  enableZstdPackage()
}

/** This boot, as far as a directory is concerned: a copy of the directory is another one's. */
export function bootOf(path: string): string | null {
  const boot = bootId()
  return boot === null ? null : `${boot.slice(0, 36)}@${directoryKey(path)}`
}

/** @throws {LogError} INVALID_ARGUMENT for what is no function. */
export function progressOf(onProgress: unknown, call: string): OnProgress {
  if (onProgress === undefined) return undefined
  if (isListener(onProgress)) return onProgress
  throw invalidArgument(`${call}: onProgress is a function, not ${describeValue(onProgress)}`, {
    option: 'onProgress',
    value: onProgress,
  })
}

function isListener(value: unknown): value is (progress: Progress) => void {
  return typeof value === 'function'
}
