/**
 * A driver over memory that stops at its nth call, as a process does that is killed there: that
 * call has no effect, a write half of it, and nothing works afterwards. It knows what a power cut
 * would leave as well, in its two extremes:
 *   'old names'  bytes that were flushed, under the names of the last flush of each directory
 *   'new names'  bytes that were flushed, under the names as they are: a rename whose file was not
 *                flushed before it shows a file that lacks its bytes
 */
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { FileStatus, StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { parentOf, renamedPath } from '../../src/storage/storage-path.ts'

/** What the last call failed with. */
class Stopped extends Error {
  override readonly name: string = 'Stopped'
}

/** What is left after a crash. */
export interface CrashState {
  readonly kind: 'killed' | 'power cut, old names' | 'power cut, new names'
  /** The call that the crash came at, for messages; Infinity when the procedure was through. */
  readonly stoppedAt: number
  readonly driver: StorageDriver
}

/**
 * Runs `procedure` once per call it makes, stopping it there, and once to its end, each time on
 * what `prepare` leaves behind; yields what is left each time, in each of the ways.
 */
export async function* everyCrash(
  prepare: (driver: StorageDriver) => Procedure<unknown>,
  procedure: (driver: StorageDriver) => Procedure<unknown>,
): AsyncGenerator<CrashState> {
  for (let stopAt = 0; ; stopAt++) {
    const driver = new CrashingDriver()
    await runProcedure(prepare(driver))
    driver.stopAfter(stopAt)
    const ended = await runProcedure(procedure(driver)).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof Stopped)) throw error
        return false
      },
    )
    const stoppedAt = ended ? Number.POSITIVE_INFINITY : stopAt
    yield { kind: 'killed', stoppedAt, driver: driver.afterKill() }
    yield { kind: 'power cut, old names', stoppedAt, driver: driver.afterPowerCut('old') }
    yield { kind: 'power cut, new names', stoppedAt, driver: driver.afterPowerCut('new') }
    if (ended) return
  }
}

interface Inode {
  flushed: Buffer
}

/** See the file's header. */
class CrashingDriver implements StorageDriver {
  readonly kind = 'memory'
  /** Its flushes count, so whoever asks has to wait for them. */
  readonly volatile = false
  readonly #inner: StorageDriver = openMemoryDriver()
  readonly #names = new Map<string, Inode>()
  readonly #flushedNames = new Map<string, Inode>()
  #callsLeft = Number.POSITIVE_INFINITY

  stopAfter(callCount: number): void {
    this.#callsLeft = callCount
  }

  afterKill(): StorageDriver {
    return this.#inner
  }

  afterPowerCut(names: 'old' | 'new'): StorageDriver {
    const left = openMemoryDriver()
    for (const [path, inode] of names === 'old' ? this.#flushedNames : this.#names) {
      createParents(left, path)
      const file = left.openFile(path, 'create')
      file.write(inode.flushed, 0, inode.flushed.byteLength, 0)
      file.close()
    }
    return left
  }

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    if (mode !== 'read') this.#call()
    const file = this.#inner.openFile(path, mode)
    const inode = this.#names.get(path) ?? { flushed: Buffer.alloc(0) }
    this.#names.set(path, inode)
    return this.#wrapped(file, inode)
  }

  status(path: string): FileStatus | undefined {
    return this.#inner.status(path)
  }

  list(directory: string): readonly string[] {
    return this.#inner.list(directory)
  }

  createDirectory(path: string): void {
    this.#call()
    this.#inner.createDirectory(path)
  }

  rename(from: string, to: string): void {
    this.#call()
    this.#inner.rename(from, to)
    for (const [path, inode] of new Map(this.#names)) {
      const moved = renamedPath(path, from, to)
      if (moved === undefined) continue
      this.#names.delete(path)
      this.#names.set(moved, inode)
    }
  }

  async unlink(path: string): Promise<void> {
    this.#call()
    await this.#inner.unlink(path)
    this.#names.delete(path)
  }

  async removeDirectory(path: string): Promise<void> {
    this.#call()
    await this.#inner.removeDirectory(path)
    for (const name of this.#names.keys()) if (name.startsWith(`${path}/`)) this.#names.delete(name)
  }

  async flushDirectory(path: string): Promise<void> {
    this.#call()
    await this.#inner.flushDirectory(path)
    for (const name of this.#flushedNames.keys()) {
      if (parentOf(name) === path && !this.#names.has(name)) this.#flushedNames.delete(name)
    }
    for (const [name, inode] of this.#names) {
      if (parentOf(name) === path) this.#flushedNames.set(name, inode)
    }
  }

  close(): void {
    this.#inner.close()
  }

  #call(): void {
    if (this.#callsLeft <= 0) throw new Stopped('stopped here')
    this.#callsLeft--
  }

  #wrapped(file: StorageFile, inode: Inode): StorageFile {
    const call = (): void => this.#call()
    return {
      get path(): string {
        return file.path
      },
      get sizeBytes(): number {
        return file.sizeBytes
      },
      read: (...range) => file.read(...range),
      readAhead: (...range) => file.readAhead(...range),
      write: (source, sourceStart, byteLength, position) => {
        try {
          call()
        } catch (error) {
          file.write(source, sourceStart, byteLength >> 1, position)
          throw error
        }
        file.write(source, sourceStart, byteLength, position)
      },
      resize: (sizeBytes) => {
        call()
        file.resize(sizeBytes)
      },
      flush: async () => {
        call()
        inode.flushed = await file.readAhead(0, file.sizeBytes)
      },
      close: () => file.close(),
    }
  }
}

function createParents(driver: StorageDriver, path: string): void {
  const parent = parentOf(path)
  if (driver.status(parent) !== undefined) return
  createParents(driver, parent)
  driver.createDirectory(parent)
}
