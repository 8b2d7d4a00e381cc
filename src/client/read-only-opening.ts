/**
 * Opening a directory to read what somebody else writes there: finds the log, follows it, and says
 * how its files are read. Takes no lock and writes nothing, so no permission to write is needed;
 * what a read-only handle makes of it is reader-host.ts'.
 */
import { join } from 'node:path'
import { holdProcess } from '../log/clock.ts'
import { isLogDirectory } from '../log/directory-open.ts'
import { FollowedLog, type WakeSource } from '../log/follow/followed-log.ts'
import { ControlWatch } from '../storage/control-watch.ts'
import { openDiskDriver } from '../storage/disk-driver.ts'
import { existingLogDirectory } from '../storage/existing-directory.ts'
import { fileSystemOf, type FileSystemKind } from '../storage/file-system.ts'
import { findLiveWriter } from '../storage/live-writer.ts'
import { META_PROPERTIES_FILE } from '../storage/meta-properties.ts'
import { runProcedure } from '../storage/procedure.ts'
import type { CheckedLogOptions, LogWarning } from './log-options.ts'
import { mappingsFor, tryMappings, type ReadMethod } from './log-reads.ts'
import { bootOf, loadDecoders } from './log-verify.ts'
import { fellBackToReads, warnTo } from './log-warnings.ts'

/** Nobody is ended by a file that its writer cuts: it would, if it had mapped it. */
const AUTO_READS: ReadMethod = {
  kind: 'pread',
  reason: 'another process writes these files, and may cut one',
}

/** A log that is followed, before it has a handle. */
export interface ReadOnlyLog {
  readonly log: FollowedLog
  /** Absolute. */
  readonly directory: string
  readonly fileSystem: FileSystemKind
  readonly reads: ReadMethod
}

/**
 * Opens the log in `directory` to follow it. `wake` says when there is something new; without it
 * the control file is watched. On failure nothing stays open.
 *
 * @throws {LogError} IO where the directory is missing (cause ENOENT) or cannot be read;
 *   INVALID_ARGUMENT where it holds no log, or a backup that was not finished; UNSUPPORTED_FORMAT.
 */
export async function openReadOnly(
  directory: string,
  options: CheckedLogOptions,
  wake?: WakeSource,
): Promise<ReadOnlyLog> {
  const path = existingLogDirectory(directory, isLogDirectory, 'EventLog.open')
  const fileSystem = fileSystemOf(path)
  const release = holdProcess() // Whoever awaits an open log wants to see it opened.
  loadDecoders()
  const { io } = options
  const mappings = io === 'mmap' ? mappingsFor(io, fileSystem) : undefined
  const driver = openDiskDriver(path, { mappings, readOnly: true })
  const warn = warnTo(options.onWarning)
  try {
    const reads =
      io === 'auto' ? AUTO_READS : tryMappings(io, mappings, join(path, META_PROPERTIES_FILE))
    if (io === 'mmap' && reads.kind !== 'mmap') warn(fellBackToReads(reads.reason))
    const opening = FollowedLog.open({
      driver,
      bootId: bootOf(path),
      clock: options.clock,
      wake: wake ?? new ControlWatch(path),
      hasLiveWriter: (pid) => findLiveWriter(path)?.pid === pid,
      onFallback: (cause) => warn(fellBackToPolling(path, cause)),
    })
    return { log: await runProcedure(opening), directory: path, fileSystem, reads }
  } catch (error) {
    driver.close()
    throw error
  } finally {
    release()
  }
}

/** Changes cannot be watched for; reads see them some milliseconds later. */
function fellBackToPolling(directory: string, cause: unknown): LogWarning {
  return {
    code: 'FALLBACK',
    message: `changes of ${directory} cannot be watched for (${String(cause)}): live reads look for them every 10 ms instead`,
    details: { directory, pollMs: 10 },
    cause,
  }
}
