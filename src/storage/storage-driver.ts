/**
 * StorageDriver: everything the engine asks of a file system, as a contract.
 *
 * The disk driver, the memory driver and the fault-injecting one all keep it, and one suite
 * (test/storage/storage-driver-contract.ts) runs over each. Paths are relative to the log's
 * directory, with '/' between names; '' is the directory itself. Promises of a driver:
 *   D1  order: a call sees the effects of every call that returned before it
 *   D2  visibility: what `write` returned from is seen by every reader at once, and survives a
 *       kill of the process
 *   D3  durability: bytes and size of a file survive a power cut only once a `flush` that began
 *       after the write has resolved; a created, renamed or unlinked name only once a
 *       `flushDirectory` of its directory that began afterwards has
 *   D4  failure: a full disk is `NO_SPACE`, anything else `IO`, both with the file and the cause;
 *       a failed `write` may have left part of its bytes, a failed `flush` says nothing about which
 *   D5  a file with unsynced bytes keeps its descriptor until a flush of it succeeds or it is
 *       closed
 *   D6  an open file is the file that its path named when it was opened: where another process took
 *       the name away or gave it to another file, and the driver had let the descriptor go, reading
 *       is `IO` with cause ENOENT or ESTALE, and never the other file's bytes
 */

/** Bytes of a file as they lie in memory. */
export interface BorrowedBytes {
  /** Never written to. */
  readonly bytes: Buffer
  /** In the file, of the first of them. */
  readonly position: number
}

/** One open file. Positions and sizes are bytes. */
export interface StorageFile {
  /** Relative to the log's directory. Follows `rename` of this file through the driver. */
  readonly path: string
  /** Which file it is, whatever its name: the `fileId` of the status that its path had. */
  readonly fileId: string
  /** Of the whole file, preallocated bytes included. */
  readonly sizeBytes: number
  /**
   * Reads up to `byteLength` bytes at `position` into `target`; fewer only at the end of the file.
   */
  read(target: Uint8Array, targetStart: number, byteLength: number, position: number): number
  /**
   * Reads without holding the event loop; shorter than asked only at the end of the file. Owned, or
   * a part of `into`, which may be used where it is large enough: nobody touches that meanwhile.
   */
  readAhead(position: number, byteLength: number, into?: Buffer): Promise<Buffer>
  /** Writes all `byteLength` bytes of `source` from `sourceStart`, looping on short counts. */
  write(source: Uint8Array, sourceStart: number, byteLength: number, position: number): void
  /** Grows with zeros (may be `NO_SPACE`; then the size is unchanged) or cuts. */
  resize(sizeBytes: number): void
  /** Forces bytes and size to stable storage (fdatasync). */
  flush(): Promise<void>
  /**
   * Says that nobody changes or cuts the file any more: its driver may read it through mappings
   * from now on. Until it is closed, a `resize` of the file is a bug. Absent where nothing is
   * mapped.
   */
  freeze?(): void
  /**
   * As `freeze`, for the first `byteLength` bytes alone: a `resize` to less is a bug from now on.
   * What follows may change and grow.
   */
  settle?(byteLength: number): void
  /**
   * Frozen or settled bytes without a copy: at least `byteLength` from `position` on, or up to its
   * end. Undefined where `read` is the better way to them. Borrowed until the next call of this
   * driver, and empty then: they are for looking things up, and never handed to anybody.
   */
  borrow?(position: number, byteLength: number): BorrowedBytes | undefined
  /**
   * Releases the descriptor. Does not flush. A second close does nothing; any other call after it
   * is a bug.
   */
  close(): void
}

/** What a path is. */
export interface FileStatus {
  readonly kind: 'file' | 'directory' | 'other'
  readonly sizeBytes: number
  readonly modifiedMs: number
  /**
   * Tells what is there from what else has its name, or had it: two that exist at the same time
   * never share one. The one of a file that is gone may be given to another.
   */
  readonly fileId: string
  /**
   * Of a file: another text once its bytes or its name have changed, as far as the system tells.
   * Its clock may stand still for some milliseconds: what changed that lately may do so again
   * unseen.
   */
  readonly version: string
}

/** Which regular file has a name, and how long it is. */
export type FileLook = Pick<FileStatus, 'fileId' | 'sizeBytes'>

/** Files and directories under one log's directory. */
export interface StorageDriver {
  readonly kind: 'disk' | 'memory'
  /** Nothing outlives the process: there is nothing to wait for, every flush is a no-op. */
  readonly volatile: boolean
  /**
   * Opens a file: 'create' makes it anew (an existing one is `IO` with cause EEXIST), 'write' and
   * 'read' need it to exist.
   */
  openFile(path: string, mode: 'create' | 'write' | 'read'): StorageFile
  /** What is there, or undefined where nothing is. Does not follow symbolic links. */
  status(path: string): FileStatus | undefined
  /**
   * As `status` of each of these, with one look at their directory: of as many as a partition has
   * segments. Undefined in the place of what is not there, or no regular file. Drivers may do
   * without it.
   */
  look?(directory: string, names: readonly string[]): readonly (FileLook | undefined)[]
  /** Names in a directory, sorted by code unit. */
  list(directory: string): readonly string[]
  createDirectory(path: string): void
  /** Renames a file or directory, atomically replacing a file of that name. */
  rename(from: string, to: string): void
  unlink(path: string): Promise<void>
  /**
   * Gives the file at `path` one more name, `targetPath` in the directory of `target`: one file
   * with two names, which whoever writes into either changes for both. False, with nothing done,
   * where the two cannot share files. Absent where no file can.
   */
  link?(path: string, target: StorageDriver, targetPath: string): boolean
  /** True where `path` and `targetPath` of `target` are names of one file. */
  isLinked?(path: string, target: StorageDriver, targetPath: string): boolean
  /** Removes a directory with all it holds; nothing there is no error. */
  removeDirectory(path: string): Promise<void>
  /** Makes the names in a directory durable (a no-op where the platform cannot). */
  flushDirectory(path: string): Promise<void>
  /** Releases every descriptor. */
  close(): void
}
