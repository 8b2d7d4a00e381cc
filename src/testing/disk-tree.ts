/**
 * DiskTree: the names of a FaultDisk, as its kernel shows them and as its disk has them.
 *
 * Files and directories are nodes, so a rename keeps a file's own state. A directory lists the
 * changes of its names since its last flush, with what they replaced: undoing them from the newest
 * back gives the names on the disk. A rename between two directories is one change: a crash keeps
 * both halves of it or none, unless one of them was flushed.
 *   I1  `dirtyFiles` and `dirtyDirectories` hold every node that a crash may change, so that a
 *       crash costs what is dirty
 */
import { assert } from '../errors/invariant.ts'
import { fileFailure, systemError } from '../storage/file-failure.ts'
import { isWithin, parentOf } from '../storage/storage-path.ts'
import { CachedBytes } from './cached-bytes.ts'
import {
  type CrashChoices,
  drawCrash,
  lastKeptOf,
  type Survival,
  type TearBytes,
} from './survival.ts'

/** A file. */
export interface FileNode {
  readonly kind: 'file'
  readonly id: number
  readonly bytes: CachedBytes
  /** How often it was changed. */
  changeCount: number
  parent: DirectoryNode | undefined
  name: string
  modifiedMs: number
  /** Open files over it. */
  openCount: number
}

/** A directory. */
export interface DirectoryNode {
  readonly kind: 'directory'
  readonly id: number
  readonly children: Map<string, TreeNode>
  /** Since its last flush, in order. */
  edits: NameEdit[]
  parent: DirectoryNode | undefined
  name: string
  modifiedMs: number
}

/** What a name stands for. */
export type TreeNode = FileNode | DirectoryNode

interface NameEdit {
  readonly change: number
  readonly directory: DirectoryNode
  readonly name: string
  readonly before: TreeNode | undefined
  readonly after: TreeNode | undefined
}

/** What a crash left behind. */
export interface CrashReport {
  readonly survival: Survival
  readonly tearBytes: TearBytes
  /** Files and directories that had something unsynced. */
  readonly dirtyCount: number
}

/** See the file's header. */
export class DiskTree {
  readonly root: DirectoryNode = directoryNode('', 0, undefined, 0)
  readonly dirtyFiles: Set<FileNode> = new Set()
  readonly dirtyDirectories: Set<DirectoryNode> = new Set()
  /** Bytes of all files that have a name or are open. */
  usedBytes = 0
  #change = 0

  /** The number of the newest change. */
  get change(): number {
    return this.#change
  }

  /** Numbers a change of a file and notes that it has something unsynced. */
  changing(file: FileNode): number {
    this.dirtyFiles.add(file)
    return ++this.#change
  }

  find(path: string): TreeNode | undefined {
    let node: TreeNode | undefined = this.root
    if (path === '') return node
    let from = 0
    for (;;) {
      if (node?.kind !== 'directory') return undefined
      const slash = path.indexOf('/', from)
      node = node.children.get(slash < 0 ? path.slice(from) : path.slice(from, slash))
      if (slash < 0) return node
      from = slash + 1
    }
  }

  directory(action: string, path: string): DirectoryNode {
    const node = this.find(path)
    if (node === undefined) throw refused(action, path, 'ENOENT', 'no such directory')
    if (node.kind === 'file') throw refused(action, path, 'ENOTDIR', 'not a directory')
    return node
  }

  createFile(path: string, nowMs: number): FileNode {
    const parent = this.#parentOfNew(path)
    const node: FileNode = {
      kind: 'file',
      id: this.#change + 1,
      bytes: new CachedBytes(),
      changeCount: 0,
      parent,
      name: nameOf(path),
      modifiedMs: nowMs,
      openCount: 0,
    }
    this.#edit(++this.#change, parent, node.name, node, nowMs)
    return node
  }

  createDirectory(path: string, nowMs: number): void {
    const parent = this.#parentOfNew(path)
    const node = directoryNode(nameOf(path), this.#change + 1, parent, nowMs)
    this.#edit(++this.#change, parent, node.name, node, nowMs)
  }

  rename(from: string, to: string, nowMs: number): void {
    const node = this.find(from)
    if (node?.parent === undefined) {
      throw refused('rename', from, 'ENOENT', 'no such file or directory')
    }
    const parent = this.directory('rename', parentOf(to))
    if (from === to) return
    if (node.kind === 'directory' && isWithin(to, from)) {
      throw refused('rename', from, 'EINVAL', 'into itself')
    }
    const replaced = this.find(to)
    if (replaced !== undefined) assertReplaceable(node, replaced, from)
    const change = ++this.#change
    this.#edit(change, node.parent, node.name, undefined, nowMs)
    node.parent = parent
    node.name = nameOf(to)
    this.#edit(change, parent, node.name, node, nowMs)
    if (replaced?.kind === 'file') this.#releaseUnlessOpen(replaced)
  }

  unlink(path: string, nowMs: number): void {
    const node = this.find(path)
    if (node === undefined) throw refused('remove', path, 'ENOENT', 'no such file')
    if (node.kind === 'directory') {
      throw refused('remove', path, 'EISDIR', 'a directory, not a file')
    }
    this.#take(node, nowMs)
  }

  /** As many changes as there are names in it: a crash may keep any of them. */
  removeDirectory(path: string, nowMs: number): void {
    const node = this.find(path)
    if (node === undefined) return
    if (node.kind === 'file') throw refused('remove', path, 'ENOTDIR', 'not a directory')
    this.#removeAll(node, nowMs)
  }

  /** The names of `directory` up to change `last` are on the disk. */
  endFlush(directory: DirectoryNode, last: number): void {
    for (const { change, before } of directory.edits) {
      if (change <= last && before !== undefined) this.#forgetUnlessUsed(before)
    }
    directory.edits = directory.edits.filter(({ change }) => change > last)
    if (directory.edits.length === 0) this.dirtyDirectories.delete(directory)
  }

  /** Notes that nobody has the file open any more. */
  closed(file: FileNode): void {
    if (file.openCount === 0 && !hasName(file)) this.usedBytes -= file.bytes.sizeBytes
  }

  /** The power goes; what is left is on the disk and in the cache alike. */
  crash(
    random: CrashChoices['random'],
    fixed: { readonly keep?: Survival | undefined; readonly tearBytes?: TearBytes | undefined },
  ): CrashReport {
    const edits = [...this.dirtyDirectories].flatMap((directory) => directory.edits)
    let first = Infinity
    for (const { change } of edits) first = Math.min(first, change)
    for (const { bytes } of this.dirtyFiles) first = Math.min(first, bytes.firstChange)
    const choices = drawCrash(random, fixed, Math.min(first, this.#change), this.#change)
    const dirtyCount = this.dirtyFiles.size + this.dirtyDirectories.size
    for (const { bytes } of this.dirtyFiles) bytes.crash(choices)
    this.#crashNames(edits, choices)
    this.dirtyFiles.clear()
    this.dirtyDirectories.clear()
    return { survival: choices.survival, tearBytes: choices.tearBytes, dirtyCount }
  }

  /** Every file that has a name. */
  *files(directory: DirectoryNode = this.root): Generator<FileNode> {
    for (const node of directory.children.values()) {
      if (node.kind === 'file') yield node
      else yield* this.files(node)
    }
  }

  /** Adds up what all files take. */
  measure(): void {
    this.usedBytes = 0
    for (const { bytes } of this.files()) this.usedBytes += bytes.sizeBytes
  }

  #crashNames(edits: NameEdit[], choices: CrashChoices): void {
    edits.sort((a, b) => a.change - b.change)
    const lastKept = new Map<DirectoryNode, number>()
    const coins = new Map<number, boolean>()
    const isKept = ({ change, directory }: NameEdit): boolean => {
      const drawn = coins.get(change)
      if (drawn !== undefined) return drawn // Both halves of a rename, or none.
      let kept: boolean
      if (choices.survival === 'names') kept = true
      else if (choices.survival === 'some') kept = choices.random.below(2) === 0
      else {
        let last = lastKept.get(directory)
        if (last === undefined) {
          const own = directory.edits
          last = lastKeptOf(choices, own[0]?.change ?? 0, own.at(-1)?.change ?? 0)
          lastKept.set(directory, last)
        }
        kept = change <= last
      }
      coins.set(change, kept)
      return kept
    }
    const kept = edits.filter(isKept)
    for (const edit of edits.toReversed()) putName(edit.directory, edit.name, edit.before)
    for (const { directory, name, before, after } of kept) {
      // A removal takes away what it took away, and not what has the name instead by now.
      if (after !== undefined || directory.children.get(name) === before) {
        putName(directory, name, after)
      }
    }
    for (const { directory } of edits) directory.edits = []
  }

  #parentOfNew(path: string): DirectoryNode {
    if (this.find(path) !== undefined) throw refused('create', path, 'EEXIST', 'it exists')
    return this.directory('create', parentOf(path))
  }

  #edit(
    change: number,
    directory: DirectoryNode,
    name: string,
    after: TreeNode | undefined,
    nowMs: number,
  ): void {
    const before = directory.children.get(name)
    directory.edits.push({ change, directory, name, before, after })
    this.dirtyDirectories.add(directory)
    directory.modifiedMs = nowMs
    if (after === undefined) directory.children.delete(name)
    else directory.children.set(name, after)
  }

  #removeAll(directory: DirectoryNode, nowMs: number): void {
    for (const node of directory.children.values()) {
      if (node.kind === 'directory') this.#removeAll(node, nowMs)
      else this.#take(node, nowMs)
    }
    this.#take(directory, nowMs)
  }

  #take(node: TreeNode, nowMs: number): void {
    assert(node.parent !== undefined, 'take: not the root')
    this.#edit(++this.#change, node.parent, node.name, undefined, nowMs)
    if (node.kind === 'file') this.#releaseUnlessOpen(node)
  }

  /** What has lost its name for good is in no crash any more. */
  #forgetUnlessUsed(node: TreeNode): void {
    if (hasName(node)) return
    if (node.kind === 'file') {
      if (node.openCount === 0) this.dirtyFiles.delete(node)
      return
    }
    for (const { before } of node.edits) if (before !== undefined) this.#forgetUnlessUsed(before)
    this.dirtyDirectories.delete(node)
  }

  #releaseUnlessOpen(file: FileNode): void {
    if (file.openCount === 0) this.usedBytes -= file.bytes.sizeBytes
  }
}

/** The path of a node; the last one it had, when it has no name any more. */
export function pathOf(node: TreeNode): string {
  const { parent } = node
  if (parent === undefined) return ''
  return parent.parent === undefined ? node.name : `${pathOf(parent)}/${node.name}`
}

/** The error of a call that the tree, or a fault, refuses. */
export function refused(action: string, path: string, code: string, reason: string): Error {
  return fileFailure(action, path, systemError(code, reason))
}

function directoryNode(
  name: string,
  id: number,
  parent: DirectoryNode | undefined,
  nowMs: number,
): DirectoryNode {
  return { kind: 'directory', id, children: new Map(), edits: [], parent, name, modifiedMs: nowMs }
}

function putName(directory: DirectoryNode, name: string, node: TreeNode | undefined): void {
  if (node === undefined) {
    directory.children.delete(name)
    return
  }
  directory.children.set(name, node)
  node.parent = directory
  node.name = name
}

function hasName(node: TreeNode): boolean {
  return node.parent?.children.get(node.name) === node
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** As rename(2): a file replaces a file, a directory an empty directory. */
function assertReplaceable(node: TreeNode, replaced: TreeNode, from: string): void {
  if (replaced.kind === 'directory') {
    if (node.kind === 'file') throw refused('rename', from, 'EISDIR', 'a directory is in the way')
    if (replaced.children.size > 0) {
      throw refused('rename', from, 'ENOTEMPTY', 'a directory that is not empty is in the way')
    }
  } else if (node.kind === 'directory') {
    throw refused('rename', from, 'ENOTDIR', 'a file is in the way')
  }
}
