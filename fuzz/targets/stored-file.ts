/**
 * A driver over memory that holds one or a few files, for targets of parsers that read files.
 */
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'

/** A driver with these files; a folder in a path is made. */
export function driverWith(
  files: readonly (readonly [path: string, bytes: Buffer])[],
): StorageDriver {
  const driver = openMemoryDriver()
  for (const [path, bytes] of files) storeFile(driver, path, bytes)
  return driver
}

/** Makes `bytes` what the file at `path` holds. */
function storeFile(driver: StorageDriver, path: string, bytes: Buffer): void {
  const slash = path.lastIndexOf('/')
  const folder = path.slice(0, Math.max(slash, 0))
  if (driver.status(folder) === undefined) driver.createDirectory(folder)
  const exists = driver.status(path) !== undefined
  const file = driver.openFile(path, exists ? 'write' : 'create')
  if (exists) file.resize(0)
  file.write(bytes, 0, bytes.length, 0)
  file.close()
}
