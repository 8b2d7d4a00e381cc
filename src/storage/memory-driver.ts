/**
 * The memory driver: a StorageDriver whose files live as long as the driver.
 *
 * A tree of nodes; an open file holds its node, so it follows renames of its file and of every
 * directory above it, and stays readable after an unlink. Volatile: there is no device to wait for.
 *   I1  `unlink` and `removeDirectory` have done their work when they return their promise: a
 *       procedure run by `completeProcedure` never waits for it
 *   I2  what fails here fails on disk too, with the same code
 */
import { assert } from '../errors/invariant.ts'
import { ChunkedBytes } from './chunked-bytes.ts'
import { fileFailure, systemError } from './file-failure.ts'
import {
  type DirectoryNode,
  type FileNode,
  MemoryFile,
  type MemoryNode,
  type MemoryState,
} from './memory-file.ts'
import type { FileStatus, StorageDriver, StorageFile } from './storage-driver.ts'
import { assertStoragePath, isWithin, parentOf } from './storage-path.ts'

/** What a memory driver is given. */
export interface MemoryDriverOptions {
  /** The clock of `modifiedMs`; without one it is 0. */
  readonly now?: () => number
}

/** A driver over nothing but memory; its root exists. */
export function openMemoryDriver(options: MemoryDriverOptions = {}): StorageDriver {
  return new MemoryDriver(options.now ?? (() => 0))
}

class MemoryDriver implements StorageDriver {
  readonly kind = 'memory'
  readonly volatile = true
  readonly #state: MemoryState
  readonly #root: DirectoryNode

  constructor(now: () => number) {
    this.#state = { now, isClosed: false, lastId: 0 }
    this.#root = {
      kind: 'directory',
      id: 0,
      children: new Map(),
      parent: undefined,
      name: '',
      modifiedMs: now(),
    }
  }

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    this.#check(path)
    const found = this.#find(path)
    if (mode === 'create') {
      if (found !== undefined) throw refused('create', path, 'EEXIST', 'it exists')
      const parent = this.#parentFor('create', path)
      const node: FileNode = {
        kind: 'file',
        id: ++this.#state.lastId,
        bytes: new ChunkedBytes(),
        changeCount: 0,
        parent,
        name: nameOf(path),
        modifiedMs: this.#state.now(),
      }
      this.#put(parent, node)
      return new MemoryFile(node, true, this.#state)
    }
    if (found === undefined) throw refused('open', path, 'ENOENT', 'no such file')
    if (found.kind === 'directory') throw refused('open', path, 'EISDIR', 'a directory, not a file')
    return new MemoryFile(found, mode === 'write', this.#state)
  }

  status(path: string): FileStatus | undefined {
    this.#check(path)
    const node = this.#find(path)
    if (node === undefined) return undefined
    const sizeBytes = node.kind === 'file' ? node.bytes.sizeBytes : 0
    const version = node.kind === 'file' ? String(node.changeCount) : ''
    const modifiedMs = Math.floor(node.modifiedMs)
    return { kind: node.kind, sizeBytes, modifiedMs, fileId: String(node.id), version }
  }

  list(directory: string): readonly string[] {
    this.#check(directory)
    return [...this.#directory('list', directory).children.keys()].sort()
  }

  createDirectory(path: string): void {
    this.#check(path)
    if (path === '') return
    if (this.#find(path) !== undefined) throw refused('create', path, 'EEXIST', 'it exists')
    const parent = this.#parentFor('create', path)
    this.#put(parent, {
      kind: 'directory',
      id: ++this.#state.lastId,
      children: new Map(),
      parent,
      name: nameOf(path),
      modifiedMs: this.#state.now(),
    })
  }

  rename(from: string, to: string): void {
    assert(from !== '' && to !== '', 'rename: not of the root')
    this.#check(from)
    this.#check(to)
    const node = this.#find(from)
    if (node === undefined) throw refused('rename', from, 'ENOENT', 'no such file or directory')
    const parent = this.#parentFor('rename', to)
    if (from === to) return
    if (node.kind === 'directory' && isWithin(to, from))
      throw refused('rename', from, 'EINVAL', 'into itself')
    const replaced = this.#find(to)
    if (replaced !== undefined) assertReplaceable(node, replaced, from)
    node.parent?.children.delete(node.name)
    node.parent = parent
    node.name = nameOf(to)
    this.#put(parent, node)
  }

  async unlink(path: string): Promise<void> {
    this.#check(path)
    const node = this.#find(path)
    if (node === undefined) throw refused('remove', path, 'ENOENT', 'no such file')
    if (node.kind === 'directory')
      throw refused('remove', path, 'EISDIR', 'a directory, not a file')
    this.#take(node)
  }

  async removeDirectory(path: string): Promise<void> {
    assert(path !== '', 'removeDirectory: not the root')
    this.#check(path)
    const node = this.#find(path)
    if (node === undefined) return
    if (node.kind === 'file') throw refused('remove', path, 'ENOTDIR', 'not a directory')
    this.#take(node)
  }

  async flushDirectory(path: string): Promise<void> {
    this.#check(path)
    this.#directory('flush', path)
  }

  close(): void {
    this.#state.isClosed = true
  }

  #check(path: string): void {
    assert(!this.#state.isClosed, 'driver: not used after close')
    assertStoragePath(path)
  }

  #find(path: string): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.#root
    if (path === '') return node
    for (const name of path.split('/')) {
      if (node?.kind !== 'directory') return undefined
      node = node.children.get(name)
    }
    return node
  }

  #directory(action: string, path: string): DirectoryNode {
    const node = this.#find(path)
    if (node === undefined) throw refused(action, path, 'ENOENT', 'no such directory')
    if (node.kind === 'file') throw refused(action, path, 'ENOTDIR', 'not a directory')
    return node
  }

  #parentFor(action: string, path: string): DirectoryNode {
    return this.#directory(action, parentOf(path))
  }

  #put(parent: DirectoryNode, node: MemoryNode): void {
    parent.children.set(node.name, node)
    parent.modifiedMs = this.#state.now()
  }

  #take(node: MemoryNode): void {
    node.parent?.children.delete(node.name)
    if (node.parent !== undefined) node.parent.modifiedMs = this.#state.now()
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** As rename(2): a file replaces a file, a directory an empty directory. */
function assertReplaceable(node: MemoryNode, replaced: MemoryNode, from: string): void {
  if (replaced.kind === 'directory') {
    if (node.kind === 'file') throw refused('rename', from, 'EISDIR', 'a directory is in the way')
    if (replaced.children.size > 0)
      throw refused('rename', from, 'ENOTEMPTY', 'a directory that is not empty is in the way')
  } else if (node.kind === 'directory') {
    throw refused('rename', from, 'ENOTDIR', 'a file is in the way')
  }
}

function refused(action: string, path: string, code: string, reason: string): Error {
  return fileFailure(action, path, systemError(code, reason))
}
