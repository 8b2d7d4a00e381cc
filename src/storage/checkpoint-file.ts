/**
 * Small files that are replaced as a whole: a reader finds the old bytes or the new ones, never a
 * mixture, after a crash at any line as well.
 *
 *   write <path>.tmp  ->  flush it  ->  rename it over <path>  ->  flush the directory
 *
 * The flush comes before the rename, else a power cut could leave the new name on missing bytes.
 * What a `.tmp` holds means nothing: the next replacement starts it anew. What the bytes mean is
 * said elsewhere: offset-checkpoint.ts, epoch-checkpoint.ts, metadata-file.ts and others.
 */
import { isDeviceFailure, isMissingFile, isReplacedFile } from './file-failure.ts'
import type { Procedure } from './procedure.ts'
import type { StorageDriver, StorageFile } from './storage-driver.ts'
import { parentOf } from './storage-path.ts'

const TEMPORARY_SUFFIX = '.tmp'
/** Of millions of segments; what claims more is not what we or a broker wrote. */
const MAX_FILE_BYTES = 268_435_456
/** A file that is replaced more often than that while it is opened is nobody's small file. */
const MAX_ATTEMPTS = 16

/**
 * Replaces the file at `path`, or creates it, durably.
 * @throws {LogError} NO_SPACE, READ_ONLY or IO: `path` holds what it held before; only where the
 * last step failed, flushing the directory, it may already hold `bytes`.
 */
export function* replaceFile(
  driver: StorageDriver,
  path: string,
  bytes: Uint8Array,
): Procedure<void> {
  yield* prepareReplacement(driver, path, bytes)
  applyReplacement(driver, path)
  yield () => driver.flushDirectory(parentOf(path))
}

/** The first half of `replaceFile`: `<path>.tmp` holds `bytes`, durably; `path` is untouched. */
export function* prepareReplacement(
  driver: StorageDriver,
  path: string,
  bytes: Uint8Array,
): Procedure<void> {
  const temporary = path + TEMPORARY_SUFFIX
  const isLeftOver = driver.status(temporary) !== undefined
  const file = driver.openFile(temporary, isLeftOver ? 'write' : 'create')
  try {
    if (isLeftOver) file.resize(0)
    file.write(bytes, 0, bytes.byteLength, 0)
    yield () => file.flush()
  } finally {
    file.close()
  }
}

/** The second half: what was prepared takes the place of `path`; durable with the directory. */
export function applyReplacement(driver: StorageDriver, path: string): void {
  driver.rename(path + TEMPORARY_SUFFIX, path)
}

/** What `readWholeFile` gives of a file that the device cannot read: an empty one. */
export const UNREADABLE_FILE: Buffer = Buffer.alloc(0)

/**
 * All bytes of the file at `path` (owned), or undefined where there is none. One that is too large
 * to be a small file is read as an empty one, and so is one that the device cannot give back
 * (`UNREADABLE_FILE`): that is damage to whoever reads it, and every small file is made anew by
 * another one that takes its name.
 */
export function readWholeFile(driver: StorageDriver, path: string): Buffer | undefined {
  for (let attempt = 1; driver.status(path) !== undefined; attempt += 1) {
    try {
      return readBytes(driver.openFile(path, 'read'))
    } catch (error) {
      if (isMissingFile(error)) return undefined // Removed by its writer since we looked.
      if (isDeviceFailure(error)) return UNREADABLE_FILE
      // Replaced by its writer since we looked: the other one is read.
      if (!isReplacedFile(error) || attempt === MAX_ATTEMPTS) throw error
    }
  }
  return undefined
}

function readBytes(file: StorageFile): Buffer {
  try {
    const { sizeBytes } = file // Which is a call of the system.
    const bytes = Buffer.allocUnsafeSlow(sizeBytes <= MAX_FILE_BYTES ? sizeBytes : 0)
    const byteLength = file.read(bytes, 0, bytes.byteLength, 0)
    return bytes.subarray(0, byteLength)
  } finally {
    file.close()
  }
}
