/**
 * ScheduledDriver: what one process sees of the disk. Each asynchronous call ends when the
 * scheduler says so; what it does to the disk, and how it fails, is the fault plan's to say.
 *
 *   I1  nothing of a dead process reaches the disk
 *   I2  a file that was closed is not used, and none is open when the driver is closed but those
 *       that the engine leaves to it
 */
import type { FileStatus, StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { fileFailure, systemError } from '../../src/storage/file-failure.ts'
import type { DiskMachine } from '../../src/testing/disk-machine.ts'
import type { FaultDriver } from '../../src/testing/fault-driver.ts'
import type { FaultPlan } from './fault-plan.ts'
import type { Scheduler } from './scheduler.ts'

/** See the file's header. */
export class ScheduledDriver implements StorageDriver {
  readonly kind = 'memory'
  readonly volatile = false
  readonly #disk: FaultDriver
  readonly #scheduler: Scheduler
  readonly #faults: FaultPlan
  /** Called before a call changes something. */
  beforeCall: () => void = () => undefined
  isClosed = false
  /** Files that were open when it was closed. */
  leftOpen: readonly string[] = []

  constructor(disk: FaultDriver, scheduler: Scheduler, faults: FaultPlan) {
    this.#disk = disk
    this.#scheduler = scheduler
    this.#faults = faults
    disk.flushWait = () => scheduler.call('flush')
    disk.onCall = (call) => {
      this.beforeCall()
      return faults.decide(call)
    }
  }

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    return this.#opened(this.#disk.openFile(path, mode))
  }

  status(path: string): FileStatus | undefined {
    return this.#disk.status(path)
  }

  list(directory: string): readonly string[] {
    return this.#disk.list(directory)
  }

  createDirectory(path: string): void {
    this.#disk.createDirectory(path)
  }

  rename(from: string, to: string): void {
    this.#disk.rename(from, to)
  }

  async unlink(path: string): Promise<void> {
    const isLate = this.#scheduler.random.below(2) === 0
    if (isLate) await this.#scheduler.call('unlink')
    await this.#disk.unlink(path)
    if (!isLate) await this.#scheduler.call('unlink')
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#scheduler.call('remove')
    await this.#disk.removeDirectory(path)
  }

  flushDirectory(path: string): Promise<void> {
    return this.#disk.flushDirectory(path)
  }

  close(): void {
    this.isClosed = true
    this.leftOpen = [...this.#disk.files].map((file) => file.path)
    this.#disk.close()
  }

  /** Its process was neither killed nor lost with the power. */
  get isAlive(): boolean {
    return !this.#disk.isDead
  }

  /** What other processes see too. */
  get machine(): DiskMachine {
    return this.#disk.machine
  }

  /** Files that are open now. */
  get openCount(): number {
    return this.#disk.files.size
  }

  #opened(inner: StorageFile): StorageFile {
    const scheduler = this.#scheduler
    const faults = this.#faults
    return {
      get path(): string {
        return inner.path
      },
      get fileId(): string {
        return inner.fileId
      },
      get sizeBytes(): number {
        return inner.sizeBytes
      },
      read: (target, targetStart, byteLength, position) => {
        scheduler.pass(faults.slowReadMs())
        if (faults.failsRead(inner.path)) {
          throw fileFailure('read', inner.path, systemError('EIO', 'i/o error'))
        }
        return inner.read(target, targetStart, byteLength, position)
      },
      readAhead: async (position, byteLength) => {
        const isFailing = faults.failsRead(inner.path)
        const bytes = await inner.readAhead(position, byteLength)
        await scheduler.call('readAhead')
        if (isFailing) throw fileFailure('read', inner.path, systemError('EIO', 'i/o error'))
        return bytes
      },
      write: (source, start, byteLength, position) =>
        inner.write(source, start, byteLength, position),
      resize: (sizeBytes) => inner.resize(sizeBytes),
      flush: () => inner.flush(),
      freeze: () => inner.freeze?.(),
      close: () => inner.close(),
    }
  }
}
