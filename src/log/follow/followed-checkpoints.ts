/**
 * FollowedCheckpoints: the checkpoint files of a log that somebody else writes, read again when
 * they are other files: in derived mode every partition asks for its lines at every look.
 */
import type { StorageDriver } from '../../storage/storage-driver.ts'
import {
  LOG_STARTS,
  readCheckpoints,
  RECOVERY_POINTS,
  type CheckpointedOffsets,
} from '../log-checkpoints.ts'
import type { CheckpointedPartition } from './follow-context.ts'

/** See the file's header. */
export class FollowedCheckpoints {
  readonly #driver: StorageDriver
  #read: CheckpointedOffsets | undefined
  /** Which files were read. */
  #versions = ''

  /** Of the log that `driver` leads to. Reads nothing yet. */
  constructor(driver: StorageDriver) {
    this.#driver = driver
  }

  /** What they say of the partition in `directory`. @throws {LogError} IO. */
  of(directory: string): CheckpointedPartition {
    const versions = `${this.#versionOf(RECOVERY_POINTS)} ${this.#versionOf(LOG_STARTS)}`
    if (versions !== this.#versions) this.#read = undefined
    this.#read ??= readCheckpoints(this.#driver)
    this.#versions = versions
    const { recoveryPoints, logStarts } = this.#read
    return {
      recoveryPoint: recoveryPoints.get(directory) ?? 0,
      logStartOffset: logStarts?.get(directory),
    }
  }

  #versionOf(path: string): string {
    const status = this.#driver.status(path)
    return status === undefined ? '' : `${status.fileId}:${status.version}:${status.sizeBytes}`
  }
}
