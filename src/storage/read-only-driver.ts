/**
 * A StorageDriver that reads, and refuses everything else as the bug it is: what a log is followed
 * through that another process writes. Not a byte, name or lock of the directory changes by it.
 */
import { InvariantError } from '../errors/invariant.ts'
import type { FileStatus, StorageDriver, StorageFile } from './storage-driver.ts'

/** `driver` for reading alone; closing it closes `driver`. */
export function readOnlyDriver(driver: StorageDriver): StorageDriver {
  return new ReadOnlyDriver(driver)
}

class ReadOnlyDriver implements StorageDriver {
  readonly #driver: StorageDriver
  readonly kind: 'disk' | 'memory'
  readonly volatile: boolean

  constructor(driver: StorageDriver) {
    this.#driver = driver
    this.kind = driver.kind
    this.volatile = driver.volatile
  }

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    if (mode !== 'read') throw refusal(`open ${path} for writing`)
    return this.#driver.openFile(path, mode)
  }

  status(path: string): FileStatus | undefined {
    return this.#driver.status(path)
  }

  list(directory: string): readonly string[] {
    return this.#driver.list(directory)
  }

  createDirectory(path: string): void {
    throw refusal(`create ${path}`)
  }

  rename(from: string, to: string): void {
    throw refusal(`rename ${from} to ${to}`)
  }

  async unlink(path: string): Promise<void> {
    throw refusal(`remove ${path}`)
  }

  async removeDirectory(path: string): Promise<void> {
    throw refusal(`remove ${path}`)
  }

  async flushDirectory(path: string): Promise<void> {
    throw refusal(`flush ${path}`)
  }

  close(): void {
    this.#driver.close()
  }
}

function refusal(action: string): InvariantError {
  return new InvariantError(`read-only driver: asked to ${action}`)
}
