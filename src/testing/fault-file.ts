/**
 * FaultFile: one open file of a FaultDriver, and where its faults strike.
 *
 * Bytes, size and place belong to the node, which all files over it share. EINTR and short counts
 * are met as the disk driver meets them, by going on; what it cannot go on from is an error, and a
 * write that fails has left a part of its bytes (D4).
 */
import { assert } from '../errors/invariant.ts'
import { fileFailure, systemError } from '../storage/file-failure.ts'
import type { StorageFile } from '../storage/storage-driver.ts'
import type { WriteFate } from './cached-bytes.ts'
import { isSystemFault, type DiskAction, type DiskFault } from './disk-faults.ts'
import type { DiskMachine } from './disk-machine.ts'
import { pathOf, type FileNode, type TreeNode } from './disk-tree.ts'

/** What an open file needs to know of the process that has it open. */
export interface FaultProcess {
  readonly machine: DiskMachine
  /** What it has open. */
  readonly files: Set<FaultFile>
  /** By file, how many of these were told that nobody cuts it any more: here, that is. */
  readonly frozen: Map<FileNode, number>
  /** Throws once the process is gone, or its driver closed. */
  checkUsable(): void
  /** Throws once the process is gone. */
  checkAlive(): void
  /** What a call meets; throws where the process is stopped there. */
  faultOf(action: DiskAction, at: TreeNode | string, isChange: boolean): DiskFault | undefined
  /** What a call waits for before it ends. */
  waitOf(
    action: DiskAction,
    at: TreeNode | string,
    fault: DiskFault | undefined,
  ): Promise<unknown> | undefined
}

/** See the file's header. */
export class FaultFile implements StorageFile {
  readonly #process: FaultProcess
  readonly #machine: DiskMachine
  readonly #node: FileNode
  readonly #writable: boolean
  #isFrozen = false
  #isClosed = false

  constructor(process: FaultProcess, node: FileNode, writable: boolean) {
    this.#process = process
    this.#machine = process.machine
    this.#node = node
    this.#writable = writable
    node.openCount += 1
    process.files.add(this)
  }

  get path(): string {
    return pathOf(this.#node)
  }

  get fileId(): string {
    return String(this.#node.id)
  }

  get sizeBytes(): number {
    this.#check()
    return this.#node.bytes.sizeBytes
  }

  read(target: Uint8Array, targetStart: number, byteLength: number, position: number): number {
    this.#check()
    assert(position >= 0 && targetStart >= 0 && byteLength >= 0, 'read: nothing negative')
    assert(targetStart + byteLength <= target.byteLength, 'read: target has room')
    const fault = this.#faultOf('read', false)
    if (fault !== undefined) this.#strikeRead(fault, position, byteLength)
    return this.#node.bytes.read(target, targetStart, byteLength, position)
  }

  async readAhead(position: number, byteLength: number): Promise<Buffer> {
    this.#check()
    assert(position >= 0 && byteLength >= 0, 'readAhead: nothing negative')
    const fault = this.#faultOf('readAhead', false)
    if (fault !== undefined) this.#strikeRead(fault, position, byteLength)
    const { bytes } = this.#node
    const target = Buffer.allocUnsafeSlow(
      Math.max(0, Math.min(byteLength, bytes.sizeBytes - position)),
    )
    await this.#waitFor('readAhead', fault)
    const done = bytes.read(target, 0, target.byteLength, position)
    return done === target.byteLength ? target : target.subarray(0, done)
  }

  write(source: Uint8Array, sourceStart: number, byteLength: number, position: number): void {
    this.#check()
    assert(this.#writable, 'write: opened for writing')
    assert(position >= 0 && sourceStart >= 0 && byteLength >= 0, 'write: nothing negative')
    assert(sourceStart + byteLength <= source.byteLength, 'write: source holds the bytes')
    const fault = this.#faultOf('write', true)
    if (fault === undefined) this.#put(source, sourceStart, byteLength, position, 'arrives')
    else this.#strikeWrite(fault, source, sourceStart, byteLength, position)
  }

  resize(sizeBytes: number): void {
    this.#check()
    assert(this.#writable, 'resize: opened for writing')
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, 'resize: an integer >= 0')
    assert(!this.#process.frozen.has(this.#node), 'resize: not of a file that may be mapped')
    const fault = this.#faultOf('resize', true)
    if (fault !== undefined && isSystemFault(fault)) throw this.#failure('resize', fault)
    const { tree } = this.#machine
    const growth = sizeBytes - this.#node.bytes.sizeBytes
    if (growth > 0 && this.#machine.roomFor(growth) < growth) throw this.#full('resize')
    this.#node.bytes.resize(tree.changing(this.#node), sizeBytes)
    tree.usedBytes += growth
    this.#changed()
  }

  async flush(): Promise<void> {
    this.#check()
    const { tree } = this.#machine
    const node = this.#node
    const fault = this.#faultOf('flush', true)
    if (fault === 'skip') return
    if (fault === 'drop' || fault === 'dropUnreadable') node.bytes.dropDirty(fault === 'drop')
    const last = tree.change
    await this.#waitFor('flush', fault)
    if (fault === 'drop' || fault === 'dropUnreadable') throw this.#failure('flush', 'EIO')
    if (fault !== undefined && isSystemFault(fault)) throw this.#failure('flush', fault)
    for (const image of node.bytes.endFlush(last)) this.#machine.misdirect(image)
    if (!node.bytes.isDirty) tree.dirtyFiles.delete(node)
  }

  freeze(): void {
    this.#check()
    if (this.#isFrozen) return
    this.#isFrozen = true
    this.#freezeBy(1)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#process.files.delete(this)
    this.#node.openCount -= 1
    if (this.#isFrozen) this.#freezeBy(-1)
    this.#machine.tree.closed(this.#node)
  }

  #check(): void {
    this.#process.checkUsable()
    assert(!this.#isClosed, 'file: not used after close')
  }

  #freezeBy(change: 1 | -1): void {
    const { frozen } = this.#process
    const count = (frozen.get(this.#node) ?? 0) + change
    if (count === 0) frozen.delete(this.#node)
    else frozen.set(this.#node, count)
  }

  #changed(): void {
    this.#node.changeCount += 1
    this.#node.modifiedMs = this.#machine.now()
  }

  #faultOf(action: DiskAction, isChange: boolean): DiskFault | undefined {
    return this.#process.faultOf(action, this.#node, isChange)
  }

  async #waitFor(action: DiskAction, fault: DiskFault | undefined): Promise<void> {
    const wait = this.#process.waitOf(action, this.#node, fault)
    if (wait === undefined) return
    await wait
    this.#process.checkAlive()
  }

  #put(
    source: Uint8Array,
    sourceStart: number,
    byteLength: number,
    position: number,
    fate: WriteFate,
  ): void {
    const machine = this.#machine
    const { bytes } = this.#node
    const growth = Math.max(0, position + byteLength - bytes.sizeBytes)
    let fits = byteLength
    if (machine.isFull) fits = 0
    else if (growth > 0) fits -= growth - machine.roomFor(growth)
    if (fits > 0) {
      const before = bytes.sizeBytes
      bytes.write(machine.tree.changing(this.#node), source, sourceStart, fits, position, fate)
      machine.tree.usedBytes += bytes.sizeBytes - before
      this.#changed()
    }
    if (fits < byteLength) throw this.#full('write to')
  }

  #strikeWrite(
    fault: DiskFault,
    source: Uint8Array,
    sourceStart: number,
    byteLength: number,
    position: number,
  ): void {
    if (isSystemFault(fault)) {
      const { faults, random } = this.#machine
      // Half, so that a test can say it; by chance, any part.
      const part = faults.areByChance ? random.below(byteLength + 1) : byteLength >> 1
      this.#put(source, sourceStart, part, position, 'arrives')
      throw this.#failure('write to', fault)
    }
    switch (fault) {
      case 'skip':
        return
      case 'lost':
      case 'misdirected':
        return this.#put(source, sourceStart, byteLength, position, fault)
      case 'stop':
        this.#put(source, sourceStart, byteLength >> 1, position, 'arrives')
        return this.#process.checkAlive()
      case 'interrupted':
      case 'short': {
        const part = this.#machine.random.below(byteLength + 1)
        this.#put(source, sourceStart, part, position, 'arrives')
        const rest = byteLength - part
        return this.#put(source, sourceStart + part, rest, position + part, 'arrives')
      }
      case 'drop':
      case 'dropUnreadable':
      case 'rot':
      case 'slow':
        this.#put(source, sourceStart, byteLength, position, 'arrives')
    }
  }

  #strikeRead(fault: DiskFault, position: number, byteLength: number): void {
    if (isSystemFault(fault)) throw this.#failure('read', fault)
    if (fault !== 'rot') return
    const { bytes } = this.#node
    const end = Math.min(position + byteLength, bytes.sizeBytes)
    if (end <= position) return
    const { random } = this.#machine
    bytes.flipBit(position + random.below(end - position), random.below(8))
    bytes.evict()
  }

  #full(action: string): Error {
    this.#machine.faults.count('full')
    return fileFailure(action, this.path, systemError('ENOSPC', 'no space left on device'))
  }

  #failure(action: string, fault: string): Error {
    return fileFailure(action, this.path, systemError(fault, `${fault}, injected`))
  }
}
