/**
 * MemoryFile: a StorageFile over a node of the memory driver's tree, and that tree's nodes.
 *
 * Owns nothing but its own being open: bytes, name and place belong to the node, which all files
 * over it share and which outlives its name. Opening costs one small object, flushing nothing.
 */
import { assert } from '../errors/invariant.ts'
import type { ChunkedBytes } from './chunked-bytes.ts'
import { fileFailure, systemError } from './file-failure.ts'
import type { StorageFile } from './storage-driver.ts'

/** What a driver shares with its files. */
export interface MemoryState {
  readonly now: () => number
  isClosed: boolean
  /** The `id` of the newest node. */
  lastId: number
}

/** A file of the tree. */
export interface FileNode {
  readonly kind: 'file'
  readonly id: number
  readonly bytes: ChunkedBytes
  /** How often it was changed. */
  changeCount: number
  parent: DirectoryNode
  name: string
  modifiedMs: number
}

/** A directory of the tree. */
export interface DirectoryNode {
  readonly kind: 'directory'
  readonly id: number
  readonly children: Map<string, MemoryNode>
  /** The root alone has none. */
  parent: DirectoryNode | undefined
  name: string
  modifiedMs: number
}

/** What a name in memory stands for. */
export type MemoryNode = FileNode | DirectoryNode

/** One open file of a memory driver. */
export class MemoryFile implements StorageFile {
  readonly #node: FileNode
  readonly #writable: boolean
  readonly #driver: MemoryState
  #isClosed = false

  constructor(node: FileNode, writable: boolean, driver: MemoryState) {
    this.#node = node
    this.#writable = writable
    this.#driver = driver
  }

  get path(): string {
    return pathOf(this.#node)
  }

  get fileId(): string {
    return String(this.#node.id)
  }

  get sizeBytes(): number {
    this.#assertOpen()
    return this.#node.bytes.sizeBytes
  }

  read(target: Uint8Array, targetStart: number, byteLength: number, position: number): number {
    this.#assertOpen()
    assert(position >= 0 && targetStart >= 0 && byteLength >= 0, 'read: nothing negative')
    assert(targetStart + byteLength <= target.byteLength, 'read: target has room')
    return this.#node.bytes.read(target, targetStart, byteLength, position)
  }

  async readAhead(position: number, byteLength: number): Promise<Buffer> {
    assert(position >= 0 && byteLength >= 0, 'readAhead: nothing negative')
    const target = Buffer.allocUnsafeSlow(
      Math.max(0, Math.min(byteLength, this.sizeBytes - position)),
    )
    this.read(target, 0, target.byteLength, position)
    return target
  }

  write(source: Uint8Array, sourceStart: number, byteLength: number, position: number): void {
    this.#assertOpen()
    assert(this.#writable, 'write: opened for writing')
    assert(position >= 0 && sourceStart >= 0 && byteLength >= 0, 'write: nothing negative')
    assert(sourceStart + byteLength <= source.byteLength, 'write: source holds the bytes')
    try {
      this.#node.bytes.write(source, sourceStart, byteLength, position)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw fileFailure(
        'write to',
        this.path,
        systemError('ENOSPC', `no memory left (${error.message})`),
      )
    }
    this.#changed()
  }

  resize(sizeBytes: number): void {
    this.#assertOpen()
    assert(this.#writable, 'resize: opened for writing')
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, 'resize: an integer >= 0')
    this.#node.bytes.resize(sizeBytes)
    this.#changed()
  }

  async flush(): Promise<void> {
    this.#assertOpen()
  }

  close(): void {
    this.#isClosed = true
  }

  #changed(): void {
    this.#node.changeCount += 1
    this.#node.modifiedMs = this.#driver.now()
  }

  #assertOpen(): void {
    assert(!this.#isClosed && !this.#driver.isClosed, 'file: not used after close')
  }
}

function pathOf(node: MemoryNode): string {
  const above = node.parent?.parent === undefined ? '' : `${pathOf(node.parent)}/`
  return above + node.name
}
