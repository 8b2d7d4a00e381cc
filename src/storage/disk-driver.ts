/**
 * The disk driver: a StorageDriver over a directory of the file system.
 *
 * Owns which files are open, where they are, and how many descriptors that takes; what a file does
 * is disk-file.ts. `unlink` and `rename` over an open file leave it readable by those who have it
 * open, as POSIX does, also when the pool had closed its descriptor. Files to read are opened at
 * their first use, others at once.
 *   I1  nothing outside of the root is read or changed: neither through a path (storage-path.ts)
 *       nor through a symbolic link below the root, which is refused in place of a file and of a
 *       directory. The root itself may be one, that is its owner's choice. Node has no openat: who
 *       may write in the directory can swap a link in between our look and our use
 */
import fs from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import { assert } from '../errors/invariant.ts'
import { descriptorBounds, type DescriptorBounds } from './descriptor-limit.ts'
import { flushAncestorAt, flushDirectoryAt } from './device-sync.ts'
import { DiskFile } from './disk-file.ts'
import { DiskNode, fileIdOf } from './disk-node.ts'
import { FileDescriptorPool } from './file-descriptor-pool.ts'
import { errorCodeOf, fileFailure, systemError } from './file-failure.ts'
import { isSameFile, linkFile } from './file-links.ts'
import { OWNER_ONLY, type FileModes } from './file-modes.ts'
import type { MappingPool } from './mapping-pool.ts'
import { readOnlyDriver } from './read-only-driver.ts'
import type { FileLook, FileStatus, StorageDriver, StorageFile } from './storage-driver.ts'
import { assertStoragePath, isWithin, parentOf, renamedPath } from './storage-path.ts'

/** Nothing there is no failure: an error that is caught costs more than the call. */
const OR_UNDEFINED = { throwIfNoEntry: false } as const

/** Bounds of a disk driver. */
export interface DiskDriverOptions {
  /** Descriptors to take; what is not given is by the limit of this process. */
  readonly descriptors?: Partial<DescriptorBounds>
  /** Through which frozen files are read, and which the driver closes. Default none. */
  readonly mappings?: MappingPool | undefined
  /** Default `OWNER_ONLY`. */
  readonly modes?: FileModes
  /** The files are another process's: whatever would change one is an InvariantError. */
  readonly readOnly?: boolean
}

/** How a disk driver's `flush` reaches stable storage. */
export type DiskSyncMethod = 'fdatasync' | 'fullfsync'

/**
 * What `flush` does on a platform: `fdatasync` of the file, except on macOS. There fsync and
 * fdatasync leave the bytes in the drive's own cache; Node's fdatasync (libuv) therefore issues
 * `fcntl(F_FULLFSYNC)`, which empties that cache too, and falls back to F_BARRIERFSYNC, then fsync,
 * only on file systems that refuse it (some network ones). On Windows it is FlushFileBuffers.
 */
export function diskSyncMethod(platform: NodeJS.Platform = process.platform): DiskSyncMethod {
  return platform === 'darwin' ? 'fullfsync' : 'fdatasync'
}

/**
 * A driver over `directory`, which need not exist yet: `createDirectory('')` makes it, with what
 * is missing above it, and `flushDirectory('')` makes those names durable as well. Touches nothing
 * by itself.
 */
export function openDiskDriver(directory: string, options: DiskDriverOptions = {}): StorageDriver {
  const { mappings, modes = OWNER_ONLY } = options
  const descriptors = { ...descriptorBounds(), ...options.descriptors }
  const driver = new DiskDriver(resolve(directory), { descriptors, mappings, modes })
  return options.readOnly === true ? readOnlyDriver(driver) : driver
}

class DiskDriver implements StorageDriver {
  readonly kind = 'disk'
  readonly volatile = false
  readonly #root: string
  readonly #pool: FileDescriptorPool
  readonly #mappings: MappingPool | undefined
  readonly #modes: FileModes
  /** Every node with an open file, and those of them that have a name, by path. */
  readonly #nodes = new Set<DiskNode>()
  readonly #named = new Map<string, DiskNode>()
  /** Directories above the root whose names `flushDirectory('')` has still to make durable. */
  #unsyncedAncestors: readonly string[]
  readonly #onClose = (file: DiskFile): void => this.#closed(file)
  #isClosed = false

  constructor(
    root: string,
    options: DiskDriverOptions & {
      readonly descriptors: DescriptorBounds
      readonly modes: FileModes
    },
  ) {
    this.#root = root
    this.#pool = new FileDescriptorPool(options.descriptors)
    this.#mappings = options.mappings
    this.#modes = options.modes
    // An earlier process may have made the root and died before it was durable.
    this.#unsyncedAncestors = [dirname(root)]
  }

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    const absolutePath = this.#absolute(path)
    const node =
      mode === 'create'
        ? new DiskNode(this.#root, path)
        : this.#existingNode(path, absolutePath, mode).node
    const file = this.#fileOf(node, mode !== 'read')
    if (mode === 'read') {
      this.#named.set(path, node)
      return file
    }
    try {
      file.openNow()
    } catch (error) {
      file.close()
      throw error
    }
    this.#named.set(path, node)
    return file
  }

  status(path: string): FileStatus | undefined {
    const absolutePath = this.#absolute(path)
    try {
      const look = path === '' ? fs.statSync : fs.lstatSync
      const stat = look(absolutePath, OR_UNDEFINED)
      if (stat === undefined) return undefined
      const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other'
      return {
        kind,
        sizeBytes: stat.size,
        modifiedMs: Math.floor(stat.mtimeMs),
        fileId: fileIdOf(stat),
        // A rename changes the time of the node alone.
        version: `${stat.mtimeMs}/${stat.ctimeMs}`,
      }
    } catch (error) {
      const code = errorCodeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw fileFailure('look at', absolutePath, error)
    }
  }

  look(directory: string, names: readonly string[]): readonly (FileLook | undefined)[] {
    const absoluteDirectory = this.#directory(directory)
    for (const name of names) assert(!name.includes('/'), 'look: names in the directory itself')
    for (const name of names) assertStoragePath(name)
    return names.map((name) => lookAt(absoluteDirectory + sep + name))
  }

  list(directory: string): readonly string[] {
    const absolutePath = this.#directory(directory)
    for (;;) {
      try {
        return fs.readdirSync(absolutePath).sort()
      } catch (error) {
        if (!this.#mayTryAgain(error)) throw fileFailure('list', absolutePath, error)
      }
    }
  }

  createDirectory(path: string): void {
    const absolutePath = this.#absolute(path)
    try {
      if (path === '') this.#createRoot()
      else fs.mkdirSync(absolutePath, { mode: this.#modes.directoryMode })
    } catch (error) {
      throw fileFailure('create', absolutePath, error, 'opening-for-writing')
    }
  }

  rename(from: string, to: string): void {
    assert(from !== '' && to !== '', 'rename: not of the root')
    const source = this.#absolute(from)
    const target = this.#absolute(to)
    const replaced = from === to ? undefined : this.#named.get(to)
    try {
      const isDirectory = fs.lstatSync(source).isDirectory()
      if (replaced !== undefined) this.#takeName(replaced)
      fs.renameSync(source, target)
      if (isDirectory) for (const node of this.#namedWithin(from)) this.#move(node, from, to)
      else this.#move(this.#named.get(from), from, to)
    } catch (error) {
      if (replaced !== undefined) this.#giveBackName(replaced)
      throw fileFailure(`rename to ${target}`, source, error)
    }
  }

  async unlink(path: string): Promise<void> {
    const absolutePath = this.#absolute(path)
    const node = this.#named.get(path)
    if (node !== undefined) this.#takeName(node)
    try {
      await fs.promises.unlink(absolutePath)
    } catch (error) {
      if (node !== undefined) this.#giveBackName(node)
      throw fileFailure('remove', absolutePath, error)
    }
  }

  link(path: string, target: StorageDriver, targetPath: string): boolean {
    if (!(target instanceof DiskDriver)) return false
    return linkFile(this.#absolute(path), target.#absolute(targetPath))
  }

  isLinked(path: string, target: StorageDriver, targetPath: string): boolean {
    if (!(target instanceof DiskDriver)) return false
    return isSameFile(this.#absolute(path), target.#absolute(targetPath))
  }

  async removeDirectory(path: string): Promise<void> {
    assert(path !== '', 'removeDirectory: not the root')
    const absolutePath = this.#absolute(path)
    const status = this.status(path)
    if (status === undefined) return
    if (status.kind !== 'directory')
      throw fileFailure('remove', absolutePath, systemError('ENOTDIR', 'not a directory'))
    const nodes = this.#namedWithin(path)
    for (const node of nodes) this.#takeName(node)
    try {
      await fs.promises.rm(absolutePath, { recursive: true, force: true })
    } catch (error) {
      for (const node of nodes) this.#giveBackName(node)
      throw fileFailure('remove', absolutePath, error)
    }
  }

  async flushDirectory(path: string): Promise<void> {
    const flushed = this.#flushDirectoryAt(this.#directory(path))
    // Side by side: opening a log waits for both.
    await (path === '' ? Promise.all([flushed, this.#flushAncestors()]) : flushed)
  }

  async #flushDirectoryAt(absolutePath: string): Promise<void> {
    const turn = this.#pool.beginTurn()
    if (turn !== undefined) await turn
    try {
      while (!(await this.#flushedAt(absolutePath))) {}
    } finally {
      this.#pool.endTurn()
    }
  }

  /** False where it may be tried again. */
  async #flushedAt(absolutePath: string): Promise<boolean> {
    try {
      await flushDirectoryAt(absolutePath)
      return true
    } catch (error) {
      if (!(error instanceof Error) || !this.#mayTryAgain(error.cause)) throw error
      return false
    }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    let failure: Error | undefined
    for (const node of this.#nodes) {
      for (const file of node.files) {
        try {
          file.close()
        } catch (error) {
          failure ??= fileFailure('close', file.path, error) // Every descriptor is released first.
        }
      }
    }
    this.#mappings?.close()
    if (failure !== undefined) throw failure
  }

  #absolute(path: string): string {
    assert(!this.#isClosed, 'driver: not used after close')
    assertStoragePath(path)
    if (path === '') return this.#root
    for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) {
      refuseLink(join(this.#root, parent))
    }
    return join(this.#root, path)
  }

  /** After a call that found no descriptor left; files have taken some that they can give back. */
  #mayTryAgain(cause: unknown): boolean {
    const code = errorCodeOf(cause)
    return (code === 'EMFILE' || code === 'ENFILE') && this.#pool.makeRoom()
  }

  /** As `#absolute`, for a directory that is itself looked into. */
  #directory(path: string): string {
    const absolutePath = this.#absolute(path)
    if (path !== '') refuseLink(absolutePath)
    return absolutePath
  }

  #fileOf(node: DiskNode, writable: boolean): DiskFile {
    const [pool, mappings, onClose] = [this.#pool, this.#mappings, this.#onClose]
    const { fileMode } = this.#modes
    const file = new DiskFile({ pool, node, writable, fileMode, mappings, onClose })
    this.#nodes.add(node)
    return file
  }

  /** The node of what is at `path` now: the one already open, unless it was replaced meanwhile. */
  #existingNode(path: string, absolutePath: string, mode: 'write' | 'read'): FoundNode {
    const known = this.#named.get(path)
    try {
      const stat = fs.lstatSync(absolutePath)
      if (known?.isSame(stat)) return { node: known, sizeBytes: stat.size }
      const node = new DiskNode(this.#root, path)
      node.identify(stat)
      return { node, sizeBytes: stat.size }
    } catch (error) {
      const purpose = mode === 'write' ? 'opening-for-writing' : 'other'
      throw fileFailure('open', absolutePath, error, purpose)
    }
  }

  #closed(file: DiskFile): void {
    const { node } = file
    if (node.files.size > 0) return
    this.#nodes.delete(node)
    if (this.#named.get(node.path) === node) this.#named.delete(node.path)
  }

  #namedWithin(directory: string): readonly DiskNode[] {
    const found: DiskNode[] = []
    for (const [path, node] of this.#named) if (isWithin(path, directory)) found.push(node)
    return found
  }

  #move(node: DiskNode | undefined, from: string, to: string): void {
    if (node === undefined) return
    const path = renamedPath(node.path, from, to)
    assert(path !== undefined, 'rename: the node is what was renamed, or below it')
    this.#named.delete(node.path)
    node.moveTo(path)
    this.#named.set(path, node)
  }

  /** Before the file loses its name: whoever has it open keeps it. */
  #takeName(node: DiskNode): void {
    node.holdOpen()
    node.setHasName(false)
    this.#named.delete(node.path)
  }

  /** After a removal that failed; not where another file was opened under the name meanwhile. */
  #giveBackName(node: DiskNode): void {
    if (node.files.size === 0 || this.#named.has(node.path)) return
    node.setHasName(true)
    this.#named.set(node.path, node)
  }

  #createRoot(): void {
    const first = fs.mkdirSync(this.#root, { recursive: true, mode: this.#modes.directoryMode })
    if (first === undefined) return
    const ancestors: string[] = []
    let directory = this.#root
    do {
      directory = dirname(directory)
      ancestors.push(directory)
    } while (directory !== dirname(first) && directory !== dirname(directory))
    this.#unsyncedAncestors = ancestors
  }

  async #flushAncestors(): Promise<void> {
    const ancestors = this.#unsyncedAncestors
    for (const directory of ancestors) await flushAncestorAt(directory)
    if (this.#unsyncedAncestors === ancestors) this.#unsyncedAncestors = []
  }
}

/** What was found at a path. */
interface FoundNode {
  readonly node: DiskNode
  readonly sizeBytes: number
}

/** Hot where a partition has thousands of segments. */
function lookAt(absolutePath: string): FileLook | undefined {
  try {
    const stat = fs.lstatSync(absolutePath, OR_UNDEFINED)
    return stat?.isFile() ? { fileId: fileIdOf(stat), sizeBytes: stat.size } : undefined
  } catch (error) {
    throw fileFailure('look at', absolutePath, error)
  }
}

/** I1. What else is wrong with the path is for the call that needs it to find out. */
function refuseLink(absolutePath: string): void {
  if (!isLink(absolutePath)) return
  throw fileFailure('use', absolutePath, systemError('ELOOP', 'a symbolic link'))
}

function isLink(absolutePath: string): boolean {
  try {
    return fs.lstatSync(absolutePath, OR_UNDEFINED)?.isSymbolicLink() ?? false
  } catch {
    return false
  }
}
