/**
 * Locks that the kernel holds for a process: they end with it, however it ends, at once.
 *
 *   socket   Linux: a listening abstract Unix socket, named by device and inode of the directory;
 *            Windows: a named pipe. Nobody ever connects. Excludes openers of the same network
 *            namespace (of the same machine, on Windows)
 *   file     Linux, with the native binding: an OFD lock on `.lock`, which also excludes a Kafka
 *            broker; macOS: `.lock` opened with O_EXLOCK. Excludes openers of the same machine,
 *            whatever their namespaces
 *
 * Owns these two; who takes which, and the record beside them, is writer-lock.ts's. A lock that
 * cannot be had here for any other reason than a holder is 'unavailable', never an error.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { networkNamespace } from './boot-identity.ts'
import { errorCodeOf } from './file-failure.ts'
import { nativeBinding } from './native-binding.ts'
import { openOwnFile } from './own-file.ts'

/** A kernel lock in our hands. */
export interface KernelLock {
  readonly kind: 'socket' | 'file'
  /** Two locks of a kind with the same scope exclude each other; null: that cannot be told. */
  readonly scope: string | null
  release(): Promise<void>
}

/** Somebody else has it; `pid` where the kernel says who. */
export interface KernelLockHeld {
  readonly kind: 'held'
  readonly pid: number | null
}

/** What came of an attempt to take a kernel lock. */
export type KernelLockAttempt = KernelLock | KernelLockHeld | 'unavailable'

/**
 * All of `sun_path`, the leading zero included. Libuv passed the whole of it, padded with zeros, as
 * the name until 1.47, and since then just what it was given: only a name that leaves no room for
 * padding is the same one for every version of Node.
 */
const ABSTRACT_NAME_BYTES = 108

/** macOS; Node has no name for it. */
const O_EXLOCK = 0x20

/** Takes the socket that is named by `directoryIdentity`. */
export function takeSocketLock(directoryIdentity: string): Promise<KernelLockAttempt> {
  const path = socketPath(directoryIdentity)
  if (path === null) return Promise.resolve('unavailable')
  const server = createServer((socket) => socket.destroy())
  try {
    // In a cluster worker, without `exclusive`, all would share one socket of the primary's.
    server.listen({ path, exclusive: true })
  } catch {
    return Promise.resolve('unavailable') // Node's permission model, without the right to a socket.
  }
  server.unref()
  const release = (): Promise<void> => new Promise((resolve) => void server.close(() => resolve()))
  return new Promise((resolve) => {
    // Stays for as long as the server does: without a listener, an error would end the process.
    server.on('error', (error) => {
      const isHeld = errorCodeOf(error) === 'EADDRINUSE'
      resolve(isHeld ? { kind: 'held', pid: null } : 'unavailable')
    })
    server.once('listening', () => resolve({ kind: 'socket', scope: socketScope(), release }))
  })
}

/** Takes the lock on `file`, which exists and can be written. */
export function takeFileLock(file: string): KernelLockAttempt {
  if (process.platform === 'darwin') return takeWholeFile(file)
  const binding = nativeBinding()
  const descriptor = binding === null ? null : openOrNull(file)
  if (binding === null || descriptor === null) return 'unavailable'
  const result = binding.lockFile(descriptor)
  if (result === 'locked') return heldFile(descriptor)
  const pid = result === 'held' ? binding.fileLockHolder(descriptor) : null
  closeSync(descriptor)
  return result === 'held' ? { kind: 'held', pid } : 'unavailable'
}

function takeWholeFile(file: string): KernelLockAttempt {
  try {
    return heldFile(openSync(file, constants.O_RDWR | O_EXLOCK | constants.O_NONBLOCK))
  } catch (error) {
    const code = errorCodeOf(error)
    const isHeld = code === 'EAGAIN' || code === 'EWOULDBLOCK'
    return isHeld ? { kind: 'held', pid: null } : 'unavailable'
  }
}

function heldFile(descriptor: number): KernelLock {
  const { dev, ino } = fstatSync(descriptor, { bigint: true })
  return {
    kind: 'file',
    // Whoever removes the file while it is locked lets the next opener lock another one.
    scope: `${dev}:${ino}`,
    release(): Promise<void> {
      closeSync(descriptor)
      return Promise.resolve()
    },
  }
}

function openOrNull(file: string): number | null {
  try {
    return openOwnFile(file, 'write')
  } catch {
    return null
  }
}

function socketPath(directoryIdentity: string): string | null {
  const name = `streambed-${directoryIdentity.replace(':', '-')}-`
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`
  if (process.platform === 'linux') return `\0${name}`.padEnd(ABSTRACT_NAME_BYTES, '.')
  return null // A socket elsewhere is a file, which outlives its process.
}

function socketScope(): string | null {
  return process.platform === 'win32' ? 'machine' : networkNamespace()
}
