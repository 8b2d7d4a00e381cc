/**
 * A log as plain bytes, by path, so that it can be damaged in any way and opened again and again:
 * each time over a driver of its own, over memory, that counts as durable.
 */
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { FileStatus, StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { parentOf } from '../../src/storage/storage-path.ts'

/** Bytes of every file, by path; null is a directory. */
export type StoredLog = ReadonlyMap<string, Buffer | null>

/** Over memory, but what it flushes counts: opening recovers as it does on disk. */
export class KeptDriver implements StorageDriver {
  readonly kind = 'memory'
  readonly volatile = false
  readonly #inner: StorageDriver = openMemoryDriver()

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    return this.#inner.openFile(path, mode)
  }
  status(path: string): FileStatus | undefined {
    return this.#inner.status(path)
  }
  list(directory: string): readonly string[] {
    return this.#inner.list(directory)
  }
  createDirectory(path: string): void {
    this.#inner.createDirectory(path)
  }
  rename(from: string, to: string): void {
    this.#inner.rename(from, to)
  }
  async unlink(path: string): Promise<void> {
    await this.#inner.unlink(path)
  }
  async removeDirectory(path: string): Promise<void> {
    await this.#inner.removeDirectory(path)
  }
  async flushDirectory(path: string): Promise<void> {
    await this.#inner.flushDirectory(path)
  }
  /** What it holds can be looked at when its log is closed. */
  close(): void {}
}

/** A driver that holds what `stored` does. */
export function driverOf(stored: StoredLog): StorageDriver {
  const driver = new KeptDriver()
  for (const [path, bytes] of stored) {
    makeDirectories(driver, bytes === null ? path : parentOf(path))
    if (bytes === null) continue
    const file = driver.openFile(path, 'create')
    file.write(bytes, 0, bytes.length, 0)
    file.close()
  }
  return driver
}

/** Everything that a driver holds. */
export function storedIn(driver: StorageDriver): StoredLog {
  const stored = new Map<string, Buffer | null>()
  const walk = (directory: string): void => {
    for (const name of driver.list(directory)) {
      const path = directory === '' ? name : `${directory}/${name}`
      if (driver.status(path)?.kind === 'directory') {
        stored.set(path, null)
        walk(path)
        continue
      }
      const file = driver.openFile(path, 'read')
      const bytes = Buffer.alloc(file.sizeBytes)
      file.read(bytes, 0, bytes.length, 0)
      file.close()
      stored.set(path, bytes)
    }
  }
  walk('')
  return stored
}

function makeDirectories(driver: StorageDriver, path: string): void {
  if (path === '' || driver.status(path) !== undefined) return
  makeDirectories(driver, parentOf(path))
  driver.createDirectory(path)
}
