/**
 * A driver over memory whose flushes end when the test says so, and whose writes fail when it says
 * so. Its flushes count: it is not volatile.
 */
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { FileStatus, StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'

/** A flush of a .log file that has not ended. */
export interface HeldFlush {
  readonly path: string
  end(): void
  fail(error: Error): void
}

/** See the file's header. */
export class HeldDriver implements StorageDriver {
  readonly kind = 'memory'
  readonly volatile = false
  /** Flushes of .log files wait in `flushes`; else they end by themselves. */
  holds = false
  /** What the next writes to .log files throw. */
  writeFailure: Error | undefined
  readonly flushes: HeldFlush[] = []
  readonly #inner: StorageDriver = openMemoryDriver()

  /** Ends every flush that is held. */
  endFlushes(): void {
    for (const flush of this.flushes.splice(0)) flush.end()
  }

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    const file = this.#inner.openFile(path, mode)
    return path.endsWith('.log') ? this.#held(file) : file
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

  unlink(path: string): Promise<void> {
    return this.#inner.unlink(path)
  }

  removeDirectory(path: string): Promise<void> {
    return this.#inner.removeDirectory(path)
  }

  flushDirectory(path: string): Promise<void> {
    return this.#inner.flushDirectory(path)
  }

  close(): void {
    this.#inner.close()
  }

  #held(file: StorageFile): StorageFile {
    return {
      get path(): string {
        return file.path
      },
      get sizeBytes(): number {
        return file.sizeBytes
      },
      read: (...range) => file.read(...range),
      readAhead: (...range) => file.readAhead(...range),
      write: (...range) => {
        if (this.writeFailure !== undefined) throw this.writeFailure
        file.write(...range)
      },
      resize: (sizeBytes) => file.resize(sizeBytes),
      flush: () => {
        if (!this.holds) return file.flush()
        return new Promise((resolve, reject) => {
          this.flushes.push({ path: file.path, end: resolve, fail: reject })
        })
      },
      close: () => file.close(),
    }
  }
}
