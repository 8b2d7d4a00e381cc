/**
 * Forcing files and directories to stable storage, by what this process may call.
 *
 *   descriptor  fdatasync of the file's own descriptor: wherever Node's permission model is off
 *   native      the same call through the optional binding, where that model lets addons in
 *   handle      a FileHandle of the same file: Node 20 to 24 refuse syncs by number, not by handle
 *
 * Node 26 refuses both under the permission model: `checkSyncs` finds out before anything is
 * promised. On macOS Node's fdatasync is fcntl(F_FULLFSYNC), see `diskSyncMethod`.
 */
import fs from 'node:fs'
import type { DiskNode } from './disk-node.ts'
import type { FileDescriptorPool } from './file-descriptor-pool.ts'
import { errorCodeOf, fileFailure, systemError } from './file-failure.ts'
import { nativeBinding, type NativeBinding } from './native-binding.ts'

type NativeSync = NonNullable<NativeBinding['sync']>

/** True where Node's permission model is on. */
export function hasPermissionModel(): boolean {
  // `as`: the property is there only where the model is on, whatever the types of Node say.
  return (process as { readonly permission?: unknown }).permission !== undefined
}

/** True where files need a `SyncHandle` besides their descriptor. */
export function needsSyncHandles(): boolean {
  return hasPermissionModel() && nativeSync() === null
}

/** True where Node's own call may be made at once. */
export function canSyncNow(): boolean {
  return !hasPermissionModel()
}

/** Forces bytes and size of an open file. */
export function syncData(descriptor: number): Promise<void> {
  const native = nativeSync()
  if (native !== null) return syncNatively(native, descriptor, 'data')
  return new Promise((resolve, reject) => {
    fs.fdatasync(descriptor, (error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}

/** Forces the names in a directory; does nothing where the platform cannot. */
export async function flushDirectoryAt(absolutePath: string): Promise<void> {
  let handle: fs.promises.FileHandle | undefined
  try {
    handle = await fs.promises.open(absolutePath, fs.constants.O_RDONLY)
    const native = nativeSync()
    await (native === null ? handle.sync() : syncNatively(native, handle.fd, 'all'))
  } catch (error) {
    if (!isUnsupportedDirectorySync(errorCodeOf(error)))
      throw fileFailure('flush', absolutePath, error)
  } finally {
    await handle?.close()
  }
}

/**
 * As `flushDirectoryAt`, for a directory above the log's: it may not be ours to read, in a
 * container or under the permission model; then we did not make it either.
 */
export async function flushAncestorAt(absolutePath: string): Promise<void> {
  try {
    await flushDirectoryAt(absolutePath)
  } catch (error) {
    const cause = error instanceof Error ? errorCodeOf(error.cause) : undefined
    if (cause !== 'EACCES' && cause !== 'EPERM' && cause !== 'ERR_ACCESS_DENIED') throw error
  }
}

/** Whether this process may force anything in `directory`: null, or what refused it. */
export async function checkSyncs(directory: string): Promise<Error | null> {
  if (!needsSyncHandles()) return null
  const handle = await fs.promises.open(directory, fs.constants.O_RDONLY)
  try {
    await handle.sync()
    return null
  } catch (error) {
    if (errorCodeOf(error) !== 'ERR_ACCESS_DENIED') return null // A file system that cannot.
    return error instanceof Error ? error : new Error(String(error))
  } finally {
    await handle.close()
  }
}

/**
 * A FileHandle beside the descriptor of one file, for syncs alone. Opened with the first change
 * and kept as long as the descriptor: a failure to write back that somebody else was told of is
 * not told again to those who open the file later.
 */
export class SyncHandle {
  readonly #node: DiskNode
  readonly #pool: FileDescriptorPool
  #opening: Promise<fs.promises.FileHandle> | undefined

  constructor(node: DiskNode, pool: FileDescriptorPool) {
    this.#node = node
    this.#pool = pool
  }

  /** Begins to open it, where it is not open. */
  open(): void {
    if (this.#opening !== undefined) return
    const opening = this.#openNow()
    opening.catch(() => undefined) // Whoever syncs is told.
    this.#opening = opening
  }

  async sync(): Promise<void> {
    this.open()
    const handle = await this.#opening?.catch(() => this.#openAgain())
    await handle?.datasync()
  }

  /** Closes it, in the background. No sync is in flight. */
  close(): void {
    const opening = this.#opening
    this.#opening = undefined
    void opening?.then((handle) => handle.close()).catch(() => undefined)
  }

  /** It may have been renamed while it was being opened, or have lost its name. */
  #openAgain(): Promise<fs.promises.FileHandle> | undefined {
    this.#opening = undefined
    // Without a name nothing of it survives a power cut, however often it is synced.
    if (!this.#node.hasName) return undefined
    this.open()
    return this.#opening
  }

  async #openNow(): Promise<fs.promises.FileHandle> {
    for (;;) {
      try {
        return await this.#openAndCheck()
      } catch (error) {
        const code = errorCodeOf(error)
        if ((code !== 'EMFILE' && code !== 'ENFILE') || !this.#pool.makeRoom()) throw error
      }
    }
  }

  async #openAndCheck(): Promise<fs.promises.FileHandle> {
    const handle = await fs.promises.open(this.#node.absolutePath, fs.constants.O_RDWR)
    try {
      this.#node.assertSame(fs.fstatSync(handle.fd))
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }
}

/** Null where Node's own calls are to be used: they are what everybody else uses. */
function nativeSync(): NativeSync | null {
  return hasPermissionModel() ? (nativeBinding()?.sync ?? null) : null
}

async function syncNatively(
  sync: NativeSync,
  descriptor: number,
  what: 'data' | 'all',
): Promise<void> {
  const errno = await sync(descriptor, what)
  if (errno !== 0) throw systemError('EIO', `the sync failed (errno ${errno})`)
}

/** Some file systems cannot sync a directory, and Windows can neither open nor sync one. */
function isUnsupportedDirectorySync(code: string | undefined): boolean {
  if (code === 'EINVAL' || code === 'ENOTSUP') return true
  return (
    process.platform === 'win32' && (code === 'EPERM' || code === 'EISDIR' || code === 'EACCES')
  )
}
