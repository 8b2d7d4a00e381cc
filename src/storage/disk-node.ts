/**
 * DiskNode: one file on disk, shared by every DiskFile of a driver over it.
 *
 * Owns where the file is now and how long it is; descriptors belong to its DiskFiles.
 *   I1  while someone here has it open for writing, `sizeBytes` is exact without a system call:
 *       one process writes a directory, and all its writes come through here
 *   I2  it never changes under its readers: a path that leads to another file than before
 *       (replaced behind our back) is refused when it is opened again
 */
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../errors/invariant.ts'
import type { DiskFile } from './disk-file.ts'
import { systemError } from './file-failure.ts'

/** What of a stat tells files apart and what they are. */
type FileStat = Pick<Stats, 'dev' | 'ino' | 'size' | 'isFile' | 'isDirectory' | 'isSymbolicLink'>

/** Where a file is, which one it is, and its size while we write it. */
export class DiskNode {
  readonly #root: string
  /** The DiskFiles open over it. */
  readonly files: Set<DiskFile> = new Set()
  #path: string
  #absolutePath: string
  #identity: { readonly dev: number; readonly ino: number } | undefined
  #hasName = true
  #writerCount = 0
  #frozenCount = 0
  #settledCount = 0
  #settledBytes = 0
  #sizeBytes = 0

  constructor(root: string, path: string) {
    this.#root = root
    this.#path = path
    this.#absolutePath = join(root, path)
  }

  /** See `StorageFile`. */
  get fileId(): string {
    assert(this.#identity !== undefined, 'a file that is open is there')
    return fileIdOf(this.#identity)
  }

  /** Relative to the log's directory; the last one it had, when it has no name any more. */
  get path(): string {
    return this.#path
  }

  get absolutePath(): string {
    return this.#absolutePath
  }

  /** False once it was unlinked or replaced: it lives as long as a descriptor of it is open. */
  get hasName(): boolean {
    return this.#hasName
  }

  /** False until `identify`: the file is still to be created. */
  get exists(): boolean {
    return this.#identity !== undefined
  }

  /** Bytes, or undefined while nobody here writes it: another process may. */
  get knownSizeBytes(): number | undefined {
    return this.#writerCount > 0 ? this.#sizeBytes : undefined
  }

  /** Says which file this is, once. Throws a system error for anything but a regular file. */
  identify(stat: FileStat): void {
    assert(this.#identity === undefined, 'identity: set once')
    assertRegularFile(stat)
    // dev and ino may have lost low bits as numbers: then two files are rarely taken for one, but
    // one file never for two.
    this.#identity = { dev: stat.dev, ino: stat.ino }
  }

  /** True when `stat` is of this very file. */
  isSame(stat: FileStat): boolean {
    return (
      this.#identity !== undefined &&
      this.#identity.dev === stat.dev &&
      this.#identity.ino === stat.ino
    )
  }

  /** Throws a system error unless `stat` is of this very file (I2). */
  assertSame(stat: FileStat): void {
    assertRegularFile(stat)
    if (!this.isSame(stat)) throw systemError('ESTALE', 'another file has taken its place')
  }

  addWriter(sizeBytes: number): void {
    if (this.#writerCount++ === 0) this.#sizeBytes = sizeBytes
  }

  removeWriter(): void {
    this.#writerCount--
  }

  /** While it is frozen, no DiskFile cuts it: another one may have it mapped. */
  get isFrozen(): boolean {
    return this.#frozenCount > 0
  }

  freeze(): void {
    this.#frozenCount++
  }

  thaw(): void {
    this.#frozenCount--
  }

  /** Bytes from the start that no DiskFile cuts, as some of them may be mapped. */
  get settledBytes(): number {
    return this.#settledBytes
  }

  /** `isFirst` for the first time that a DiskFile says so, which `unsettle` takes back. */
  settle(byteLength: number, isFirst: boolean): void {
    if (isFirst) this.#settledCount++
    if (byteLength > this.#settledBytes) this.#settledBytes = byteLength
  }

  unsettle(): void {
    if (--this.#settledCount === 0) this.#settledBytes = 0
  }

  /** A write reached `end`. */
  writtenTo(end: number): void {
    if (end > this.#sizeBytes) this.#sizeBytes = end
  }

  resizedTo(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes
  }

  moveTo(path: string): void {
    this.#path = path
    this.#absolutePath = join(this.#root, path)
  }

  /** Opens and pins every descriptor: without its name the file could not be opened again. */
  holdOpen(): void {
    for (const file of this.files) file.holdOpen()
  }

  setHasName(hasName: boolean): void {
    this.#hasName = hasName
  }
}

/** The text that tells this file or directory from others. */
export function fileIdOf({ dev, ino }: Pick<Stats, 'dev' | 'ino'>): string {
  return `${dev}:${ino}`
}

function assertRegularFile(stat: FileStat): void {
  if (stat.isFile()) return
  if (stat.isDirectory()) throw systemError('EISDIR', 'a directory, not a file')
  if (stat.isSymbolicLink()) throw systemError('ELOOP', 'a symbolic link, not a file')
  throw systemError('EINVAL', 'not a regular file')
}
