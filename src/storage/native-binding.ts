/**
 * The optional FFI: what the kernel offers and Node does not. The only importer of koffi.
 *
 * Owns the choice whether to load it at all and the C signatures; who uses a call says what it is
 * for. Everything works without it. Loaded at the first use, once, and never tried again:
 *   I1  never in Electron, where koffi aborts the process instead of failing
 *   I2  a failure of any kind (not installed, other platform, addons forbidden) is null, not thrown
 */
import { createRequire } from 'node:module'
import { endianness } from 'node:os'

/** Calls of the C library, through koffi. */
export interface NativeBinding {
  /**
   * Takes a write lock on the whole file for this *open file description* (Linux), without waiting.
   * It conflicts with the POSIX locks of other processes, Java's FileChannel.lock among them, and
   * ends with the last descriptor of that description, so at the latest with the process. Unlike a
   * POSIX lock it survives the closing of other descriptors of the file.
   * @returns 'unsupported' where this file system or kernel has none.
   */
  lockFile(descriptor: number): 'locked' | 'held' | 'unsupported'
  /** The process whose lock is in the way of `lockFile`; null when nothing is or it has no pid. */
  fileLockHolder(descriptor: number): number | null
  /**
   * Reserves blocks for `byteLength` bytes from `position` on and lets the file end behind them,
   * zeros all of it: writing there later can no longer meet a full disk.
   * @returns 'full' where there is no room, and part of it may be reserved; 'unsupported' where
   *   this
   * file system has no such call.
   */
  allocate(
    descriptor: number,
    position: number,
    byteLength: number,
  ): 'done' | 'full' | 'unsupported'
  /**
   * Maps a part of a file, to be read only: a store into it ends the process, and so does a load
   * from behind the end of the file. `position` is a multiple of 64 KiB, which every page size
   * divides.
   * @returns null where the kernel, the file system or the engine refuses.
   */
  mapFile(descriptor: number, position: number, byteLength: number): NativeMapping | null
  /** Has the kernel read a part of a mapping from disk, in one go; `address` as for `mapFile`. */
  willNeed(address: number, byteLength: number): void
  /**
   * Forces a file to stable storage off the event loop: 'data' as fdatasync, 'all' as fsync, which
   * is what names in a directory need. Resolves with errno, 0 where it succeeded. Null where the
   * system's call promises less than Node's own (macOS).
   */
  readonly sync: ((descriptor: number, what: 'data' | 'all') => Promise<number>) | null
  /** Ends a mapping, whose ArrayBuffer nobody may touch any more: detach it first. */
  unmap(mapping: Omit<NativeMapping, 'bytes'>): void
}

/** Memory that shows a file. */
export interface NativeMapping {
  /** Nothing frees the memory when this is collected. */
  readonly bytes: ArrayBuffer
  readonly address: number
  readonly byteLength: number
}

/** A call that returns a number; `async` runs it on another thread. */
interface NativeCall {
  (...values: unknown[]): number
  async(descriptor: number, done: (error: unknown, result: number) => void): void
}

/** The calls of koffi's that are used here; its own types would need it to be installed. */
interface Koffi {
  load(path: null): {
    func(name: string, result: string, types: readonly string[]): NativeCall
    func(
      name: string,
      result: 'void *',
      types: readonly string[],
    ): (...values: unknown[]) => unknown
  }
  address(pointer: unknown): bigint
  view(pointer: unknown, byteLength: number): ArrayBuffer
  errno(): number
  readonly os: { readonly errno: Readonly<Record<string, number>> }
}

const F_OFD_GETLK = 36
const F_OFD_SETLK = 37
const F_WRLCK = 1
const F_UNLCK = 2

/** struct flock of 64-bit Linux: int16 type, whence; 4 unused; int64 start, length; int32 pid. */
const FLOCK_BYTES = 32
const FLOCK_PID_AT = 24

/**
 * Where `struct flock` looks as above, and `off_t` has 64 bits; 32-bit systems have two of each.
 */
const WIDE_ARCHITECTURES: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64', 'ppc64']

/** These have one value on Linux and macOS. */
const PROT_READ = 1
const MAP_SHARED = 1
const MADV_WILLNEED = 3

let loaded: NativeBinding | null | undefined

/** The binding, or null where there is none. The first call loads it, in about 5 ms. */
export function nativeBinding(): NativeBinding | null {
  loaded ??= loadBinding()
  return loaded
}

function loadBinding(): NativeBinding | null {
  if (process.versions['electron'] !== undefined) return null
  if (endianness() !== 'LE' || !WIDE_ARCHITECTURES.includes(process.arch)) return null
  const { platform } = process
  if (platform !== 'linux' && platform !== 'darwin') return null
  try {
    // The calls used are the ones declared above, as the tests of this file show.
    const koffi = createRequire(import.meta.url)('koffi') as Koffi
    const mapping = bindMapping(koffi)
    if (platform === 'darwin') return { ...NO_LINUX_CALLS, ...mapping }
    return {
      ...bindFileLock(koffi),
      allocate: bindAllocate(koffi),
      sync: bindSync(koffi),
      ...mapping,
    }
  } catch {
    return null
  }
}

/** macOS has other calls for these, with other promises. */
const NO_LINUX_CALLS: Pick<NativeBinding, 'lockFile' | 'fileLockHolder' | 'allocate' | 'sync'> = {
  lockFile: () => 'unsupported',
  fileLockHolder: () => null,
  allocate: () => 'unsupported',
  sync: null,
}

function bindFileLock(koffi: Koffi): Pick<NativeBinding, 'lockFile' | 'fileLockHolder'> {
  // Variadic: the third argument is passed in another way than a declared one on some platforms.
  const fcntl = koffi.load(null).func('fcntl', 'int', ['int', 'int', '...'])
  const flock = Buffer.alloc(FLOCK_BYTES)
  const call = (descriptor: number, command: number): number => {
    flock.fill(0) // From 0, of no certain length: the whole file. An OFD lock wants a pid of 0.
    flock.writeInt16LE(F_WRLCK, 0)
    return fcntl(descriptor, command, 'void *', flock)
  }
  return {
    lockFile(descriptor: number): 'locked' | 'held' | 'unsupported' {
      if (call(descriptor, F_OFD_SETLK) === 0) return 'locked'
      const errno = koffi.errno()
      const { EAGAIN, EACCES } = koffi.os.errno
      return errno === EAGAIN || errno === EACCES ? 'held' : 'unsupported'
    },
    fileLockHolder(descriptor: number): number | null {
      if (call(descriptor, F_OFD_GETLK) !== 0 || flock.readInt16LE(0) === F_UNLCK) return null
      const pid = flock.readInt32LE(FLOCK_PID_AT)
      return pid > 0 ? pid : null // -1 for a lock that belongs to no process, as ours.
    },
  }
}

function bindAllocate(koffi: Koffi): NativeBinding['allocate'] {
  const fallocate = koffi.load(null).func('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t'])
  return (descriptor, position, byteLength) => {
    if (fallocate(descriptor, 0, position, byteLength) === 0) return 'done'
    const errno = koffi.errno()
    const { ENOSPC, EDQUOT, EFBIG } = koffi.os.errno
    return errno === ENOSPC || errno === EDQUOT || errno === EFBIG ? 'full' : 'unsupported'
  }
}

function bindSync(koffi: Koffi): NonNullable<NativeBinding['sync']> {
  const library = koffi.load(null)
  const calls = {
    data: library.func('fdatasync', 'int', ['int']),
    all: library.func('fsync', 'int', ['int']),
  }
  return (descriptor, what) =>
    new Promise((resolve, reject) => {
      calls[what].async(descriptor, (error, result) => {
        if (error) reject(error instanceof Error ? error : new Error('the call was not made'))
        else resolve(result === 0 ? 0 : koffi.errno())
      })
    })
}

function bindMapping(koffi: Koffi): Pick<NativeBinding, 'mapFile' | 'willNeed' | 'unmap'> {
  const library = koffi.load(null)
  const mapParameters = ['void *', 'size_t', 'int', 'int', 'int', 'int64_t']
  const mmap = library.func('mmap', 'void *', mapParameters)
  const madvise = library.func('madvise', 'int', ['void *', 'size_t', 'int'])
  const munmap = library.func('munmap', 'int', ['void *', 'size_t'])
  return {
    mapFile(descriptor: number, position: number, byteLength: number): NativeMapping | null {
      const pointer = mmap(null, byteLength, PROT_READ, MAP_SHARED, descriptor, position)
      // A failure is -1. A view of null would abort the process, a view of -1 be a wild pointer.
      const address = BigInt.asIntN(64, koffi.address(pointer))
      if (address <= 0n || address > BigInt(Number.MAX_SAFE_INTEGER)) return null
      const mapped = { address: Number(address), byteLength }
      try {
        return { bytes: koffi.view(pointer, byteLength), ...mapped }
      } catch {
        munmap(mapped.address, byteLength) // An engine that takes no memory from outside.
        return null
      }
    },
    willNeed(address: number, byteLength: number): void {
      madvise(address, byteLength, MADV_WILLNEED) // Advice: where it is refused, nothing is lost.
    },
    unmap({ address, byteLength }): void {
      munmap(address, byteLength)
    },
  }
}
