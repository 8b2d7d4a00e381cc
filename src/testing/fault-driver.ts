/**
 * FaultDriver: a StorageDriver over a disk that fails when it is told to: what one process sees of
 * a FaultDisk, until it is killed or the power goes.
 *
 *   processKill()   the cache stays: a new driver over the same files; this one fails from now on
 *   powerCut()      the disk stays, with any part of what was not synced (survival.ts)
 *   onCall          sees every call that changes something, and may say how it fails
 *   flushWait       a flush waits for it before it reaches the disk
 *
 *   I1  without a fault it behaves as a disk does: a flush that has resolved covers what was
 *       written before it began, and nothing else survives for certain
 *   I2  nothing of a dead process changes the disk: not even a flush that was on its way
 */
import { assert } from '../errors/invariant.ts'
import { fileFailure } from '../storage/file-failure.ts'
import type { FileStatus, StorageDriver, StorageFile } from '../storage/storage-driver.ts'
import { assertStoragePath } from '../storage/storage-path.ts'
import { DiskMachine, type CrashOptions } from './disk-machine.ts'
import { isSystemFault, type DiskAction, type DiskCall, type DiskFault } from './disk-faults.ts'
import { pathOf, refused, type CrashReport, type FileNode, type TreeNode } from './disk-tree.ts'
import { FaultFile, type FaultProcess } from './fault-file.ts'
import type { SeededRandom } from './seeded-random.ts'

/** The cause of what every call of a driver fails with once its process is gone. */
export class PowerGone extends Error {
  override readonly name: string = 'PowerGone'
}

/** See the file's header. */
export class FaultDriver implements StorageDriver, FaultProcess {
  readonly kind = 'memory'
  readonly volatile = false
  readonly machine: DiskMachine
  /** @see FaultProcess */
  readonly files: Set<FaultFile> = new Set()
  /** @see FaultProcess */
  readonly frozen: Map<FileNode, number> = new Map()
  onCall: ((call: DiskCall) => DiskFault | undefined) | undefined
  flushWait: (() => Promise<unknown>) | undefined
  #isDead = false
  #isClosed = false

  constructor(machine: DiskMachine = new DiskMachine()) {
    this.machine = machine
  }

  /** Its process is gone. */
  get isDead(): boolean {
    return this.#isDead
  }

  /** What the last crash left; undefined before one. */
  get lastCrash(): CrashReport | undefined {
    return this.machine.lastCrash
  }

  /** The process is gone: a driver over what the kernel has. */
  processKill(): FaultDriver {
    this.#die()
    this.machine.kill()
    return new FaultDriver(this.machine)
  }

  /** The power is gone: a driver over what one possible disk holds. */
  powerCut(random: SeededRandom = this.machine.random, keep?: CrashOptions['keep']): FaultDriver {
    this.#die()
    this.machine.crash(random, { keep })
    return new FaultDriver(this.machine)
  }

  /** As `powerCut`, for the disk it belongs to. */
  crash(options: CrashOptions): CrashReport {
    this.#die()
    return this.machine.crash(this.machine.random, options)
  }

  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile {
    this.#check(path)
    const { tree } = this.machine
    if (mode === 'create') {
      this.#begin('create', path)
      return new FaultFile(this, tree.createFile(path, this.machine.now()), true)
    }
    this.#begin('open', path, mode === 'write')
    const node = tree.find(path)
    if (node === undefined) throw refused('open', path, 'ENOENT', 'no such file')
    if (node.kind === 'directory') {
      throw refused('open', path, 'EISDIR', 'a directory, not a file')
    }
    return new FaultFile(this, node, mode === 'write')
  }

  status(path: string): FileStatus | undefined {
    this.#check(path)
    const node = this.machine.tree.find(path)
    if (node === undefined) return undefined
    const sizeBytes = node.kind === 'file' ? node.bytes.sizeBytes : 0
    const version = node.kind === 'file' ? String(node.changeCount) : ''
    const modifiedMs = Math.floor(node.modifiedMs)
    return { kind: node.kind, sizeBytes, modifiedMs, fileId: String(node.id), version }
  }

  list(directory: string): readonly string[] {
    this.#check(directory)
    this.#begin('list', directory)
    return [...this.machine.tree.directory('list', directory).children.keys()].sort()
  }

  createDirectory(path: string): void {
    this.#check(path)
    if (path === '') return
    this.#begin('mkdir', path)
    this.machine.tree.createDirectory(path, this.machine.now())
  }

  rename(from: string, to: string): void {
    assert(from !== '' && to !== '', 'rename: not of the root')
    this.#check(from)
    this.#check(to)
    this.#begin('rename', to)
    this.machine.tree.rename(from, to, this.machine.now())
  }

  async unlink(path: string): Promise<void> {
    this.#check(path)
    this.#begin('unlink', path)
    this.machine.tree.unlink(path, this.machine.now())
  }

  async removeDirectory(path: string): Promise<void> {
    assert(path !== '', 'removeDirectory: not the root')
    this.#check(path)
    this.#begin('unlink', path)
    this.machine.tree.removeDirectory(path, this.machine.now())
  }

  async flushDirectory(path: string): Promise<void> {
    this.#check(path)
    const fault = this.#begin('flushDirectory', path)
    if (fault === 'skip') return
    const { tree } = this.machine
    const directory = tree.directory('flush', path)
    const last = tree.change
    const wait = this.waitOf('flushDirectory', path, fault)
    if (wait !== undefined) {
      await wait
      this.checkAlive()
    }
    tree.endFlush(directory, last)
  }

  close(): void {
    this.#isClosed = true
    for (const file of this.files) file.close()
  }

  /** @see FaultProcess */
  checkUsable(): void {
    if (this.#isDead) this.checkAlive()
    assert(!this.#isClosed, 'file: not used after close')
  }

  /** @see FaultProcess */
  checkAlive(): void {
    if (this.#isDead) throw fileFailure('use', 'the driver', new PowerGone('the process is gone'))
  }

  /** @see FaultProcess */
  faultOf(action: DiskAction, at: TreeNode | string, isChange: boolean): DiskFault | undefined {
    const { machine } = this
    if (machine.calls === undefined && machine.faults.areIdle && this.onCall === undefined) {
      return undefined
    }
    const call: DiskCall = { action, path: typeof at === 'string' ? at : pathOf(at) }
    const said = isChange ? this.onCall?.(call) : undefined
    const fault = said ?? machine.faults.draw(call)
    machine.note(call, fault)
    if (fault !== undefined) machine.faults.count(fault)
    if (fault === 'stop') {
      this.#die()
      if (action !== 'write') this.checkAlive()
    }
    return fault
  }

  /** @see FaultProcess */
  waitOf(
    action: DiskAction,
    at: TreeNode | string,
    fault: DiskFault | undefined,
  ): Promise<unknown> | undefined {
    if (this.flushWait !== undefined && action !== 'readAhead') return this.flushWait()
    return this.machine.waitOf(action, at, fault)
  }

  #die(): void {
    this.#isDead = true
    for (const file of this.files) file.close() // As the kernel does.
  }

  #begin(action: DiskAction, path: string, writes: boolean = true): DiskFault | undefined {
    const isChange = action !== 'open' && action !== 'list'
    const fault = this.faultOf(action, path, isChange)
    if (fault === undefined || !isSystemFault(fault)) return fault
    const call = writes && (action === 'create' || action === 'open' || action === 'mkdir')
    throw fileFailure(
      action,
      path,
      this.machine.errorOf(fault),
      call ? 'opening-for-writing' : 'other',
    )
  }

  #check(path: string): void {
    this.checkAlive()
    assert(!this.#isClosed, 'driver: not used after close')
    assertStoragePath(path)
  }
}
