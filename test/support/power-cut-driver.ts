/**
 * A driver over memory that keeps what the kernel has in its cache apart from what is on the disk,
 * and can take the process or the power away at any moment.
 *
 *   processKill()   the cache stays: a new driver over the same files; the old one fails from now
 *   on
 *   powerCut()      the disk stays, with any part of what was not synced: of each file none, all or
 *                   some of its dirty 512-byte sectors and any of the sizes it had (so size without
 *                   data, and data without size); of each directory any of its unsynced changes
 *   onCall          sees every call that changes something, and says how it fails
 *
 * A flush reaches the disk when it ends; it covers what was written before it began. Names and
 * files are tracked as nodes, so renames keep the file's own state.
 */
import { fileFailure, systemError } from '../../src/storage/file-failure.ts'
import type { FileStatus, StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'
import { assertStoragePath, parentOf } from '../../src/storage/storage-path.ts'
import { assert } from '../../src/errors/invariant.ts'
import { CutFile, type Survival } from './cut-file.ts'
import type { SeededRandom } from './seeded-random.ts'

/** A call that changes something. */
export interface DriverCall {
  readonly action:
    | 'create'
    | 'write'
    | 'resize'
    | 'flush'
    | 'mkdir'
    | 'rename'
    | 'unlink'
    | 'flushDirectory'
  readonly path: string
}

/**
 * How a call fails: 'stop' and everything behind it; 'drop' loses the pages that a flush was for;
 * 'skip' succeeds, but a write or a flush does nothing, as if the code had left it out.
 */
export type CallFailure = 'NO_SPACE' | 'IO' | 'drop' | 'skip' | 'stop'

/** The cause of what every call of a driver fails with once its process is gone. */
export class PowerGone extends Error {
  override readonly name: string = 'PowerGone'
}

interface DirectoryNode {
  readonly kind: 'directory'
  /** As the process sees it. */
  readonly children: Map<string, Node>
  /** As it is on the disk. */
  disk: Map<string, Node>
  /** Changes since its last flush, in order. */
  changes: NameChange[]
  place: Place | undefined
}

interface FileNode {
  readonly kind: 'file'
  readonly content: CutFile
  place: Place | undefined
}

type Node = DirectoryNode | FileNode

interface Place {
  readonly parent: DirectoryNode
  readonly name: string
}

type NameChange = (names: Map<string, Node>) => void

/** See the file's header. */
export class PowerCutDriver implements StorageDriver {
  readonly kind = 'memory'
  readonly volatile = false
  /** Sees each call that changes something; what it returns happens to the call. */
  onCall: ((call: DriverCall) => CallFailure | undefined) | undefined
  /** A flush waits for it before it reaches the disk. */
  flushWait: (() => Promise<unknown>) | undefined
  readonly #root: DirectoryNode
  #isDead = false

  constructor(root: DirectoryNode = newDirectory()) {
    this.#root = root
  }

  /** The process is gone: a driver over what the kernel has. */
  processKill(): PowerCutDriver {
    this.#isDead = true
    return new PowerCutDriver(this.#root)
  }

  /** The power is gone: a driver over what one possible disk holds. */
  powerCut(random: SeededRandom, fixed?: Survival): PowerCutDriver {
    this.#isDead = true
    const survival = fixed ?? random.oneOf<Survival>('none', 'all', 'some', 'some')
    return new PowerCutDriver(afterPowerCut(this.#root, survival, random))
  }

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    this.#check(path)
    if (mode === 'create') {
      this.#call({ action: 'create', path })
      if (this.#find(path) !== undefined) throw refused('create', path, 'EEXIST')
      const node: FileNode = { kind: 'file', content: new CutFile(), place: undefined }
      this.#link(path, node)
      return this.#opened(node)
    }
    const node = this.#find(path)
    if (node === undefined) throw refused('open', path, 'ENOENT')
    if (node.kind === 'directory') throw refused('open', path, 'EISDIR')
    return this.#opened(node)
  }

  status(path: string): FileStatus | undefined {
    this.#check(path)
    const node = this.#find(path)
    if (node === undefined) return undefined
    const sizeBytes = node.kind === 'file' ? node.content.sizeBytes : 0
    return { kind: node.kind, sizeBytes, modifiedMs: 0 }
  }

  list(directory: string): readonly string[] {
    this.#check(directory)
    return [...this.#directory(directory).children.keys()].sort()
  }

  createDirectory(path: string): void {
    this.#check(path)
    this.#call({ action: 'mkdir', path })
    if (this.#find(path) !== undefined) throw refused('create', path, 'EEXIST')
    this.#link(path, newDirectory())
  }

  rename(from: string, to: string): void {
    this.#check(from)
    this.#check(to)
    this.#call({ action: 'rename', path: to })
    const node = this.#find(from)
    if (node?.place === undefined) throw refused('rename', from, 'ENOENT')
    const { parent, name } = node.place
    const target = this.#directory(parentOf(to))
    assert(parent === target, 'rename: this driver keeps files in their directory')
    const newName = nameOf(to)
    change(parent, (names) => {
      if (names.get(name) === node) names.delete(name)
      names.set(newName, node)
    })
    node.place = { parent, name: newName }
  }

  async unlink(path: string): Promise<void> {
    this.#check(path)
    this.#call({ action: 'unlink', path })
    if (this.#find(path) === undefined) throw refused('remove', path, 'ENOENT')
    this.#take(path)
  }

  async removeDirectory(path: string): Promise<void> {
    this.#check(path)
    this.#call({ action: 'unlink', path })
    if (this.#find(path) !== undefined) this.#take(path)
  }

  async flushDirectory(path: string): Promise<void> {
    this.#check(path)
    if (this.#isSkipped({ action: 'flushDirectory', path })) return
    const node = this.#directory(path)
    const covered = node.changes.length
    await this.flushWait?.()
    this.#checkAlive()
    for (const apply of node.changes.splice(0, covered)) apply(node.disk)
  }

  close(): void {
    this.#isDead = true
  }

  #call(call: DriverCall): void {
    this.#fail(call, this.onCall?.(call))
  }

  #isSkipped(call: DriverCall): boolean {
    const failure = this.onCall?.(call)
    if (failure === 'skip') return true
    this.#fail(call, failure)
    return false
  }

  #opened(node: FileNode): StorageFile {
    const { content } = node
    let isClosed = false
    const check = (): void => {
      this.#checkAlive()
      assert(!isClosed, 'file: not used after close')
    }
    return {
      get path(): string {
        return pathOf(node)
      },
      get sizeBytes(): number {
        return content.sizeBytes
      },
      read: (...range) => {
        check()
        return content.read(...range)
      },
      readAhead: async (position, byteLength) => {
        check()
        const bytes = Buffer.alloc(Math.max(0, Math.min(byteLength, content.sizeBytes - position)))
        content.read(bytes, 0, bytes.length, position)
        return bytes
      },
      write: (source, start, byteLength, position) => {
        check()
        try {
          if (this.#isSkipped({ action: 'write', path: pathOf(node) })) return
        } catch (error) {
          content.write(source, start, byteLength >> 1, position) // D4
          throw error
        }
        content.write(source, start, byteLength, position)
      },
      resize: (sizeBytes) => {
        check()
        this.#call({ action: 'resize', path: pathOf(node) })
        content.resize(sizeBytes)
      },
      flush: async () => {
        check()
        await this.#flush(node)
      },
      close: () => void (isClosed = true),
    }
  }

  async #flush(node: FileNode): Promise<void> {
    const call: DriverCall = { action: 'flush', path: pathOf(node) }
    const failure = this.onCall?.(call)
    if (failure === 'drop') {
      node.content.dropDirty()
      throw refused(call.action, call.path, 'EIO')
    }
    if (failure === 'skip') return
    this.#fail(call, failure)
    const image = node.content.beginFlush()
    await this.flushWait?.()
    this.#checkAlive()
    node.content.endFlush(image)
  }

  #fail(call: DriverCall, failure: CallFailure | undefined): void {
    if (failure === undefined) return
    if (failure === 'stop') this.#isDead = true
    this.#checkAlive()
    throw refused(call.action, call.path, failure === 'NO_SPACE' ? 'ENOSPC' : 'EIO')
  }

  #check(path: string): void {
    this.#checkAlive()
    assertStoragePath(path)
  }

  #checkAlive(): void {
    if (this.#isDead) throw fileFailure('use', 'the driver', new PowerGone('the process is gone'))
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    if (path === '') return node
    for (const name of path.split('/')) {
      if (node?.kind !== 'directory') return undefined
      node = node.children.get(name)
    }
    return node
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path)
    if (node?.kind !== 'directory') throw refused('list', path, 'ENOENT')
    return node
  }

  #link(path: string, node: Node): void {
    const parent = this.#directory(parentOf(path))
    const name = nameOf(path)
    change(parent, (names) => void names.set(name, node))
    node.place = { parent, name }
  }

  #take(path: string): void {
    const parent = this.#directory(parentOf(path))
    const name = nameOf(path)
    const node = parent.children.get(name)
    change(parent, (names) => {
      if (names.get(name) === node) names.delete(name)
    })
  }
}

function newDirectory(): DirectoryNode {
  return { kind: 'directory', children: new Map(), disk: new Map(), changes: [], place: undefined }
}

/** Seen at once, on the disk with the next flush of the directory. */
function change(directory: DirectoryNode, apply: NameChange): void {
  apply(directory.children)
  directory.changes.push(apply)
}

function afterPowerCut(
  from: DirectoryNode,
  survival: Survival,
  random: SeededRandom,
): DirectoryNode {
  const names = new Map(from.disk)
  for (const apply of from.changes) {
    if (survival === 'all' || (survival === 'some' && random.below(2) === 0)) apply(names)
  }
  const left = newDirectory()
  for (const [name, node] of names) {
    const kept: Node =
      node.kind === 'directory'
        ? afterPowerCut(node, survival, random)
        : { kind: 'file', content: node.content.afterPowerCut(survival, random), place: undefined }
    kept.place = { parent: left, name }
    left.children.set(name, kept)
  }
  left.disk = new Map(left.children)
  return left
}

function pathOf(node: Node): string {
  if (node.place === undefined) return ''
  const above = pathOf(node.place.parent)
  return above === '' ? node.place.name : `${above}/${node.place.name}`
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function refused(action: string, path: string, code: string): Error {
  return fileFailure(action, path, systemError(code, code))
}
