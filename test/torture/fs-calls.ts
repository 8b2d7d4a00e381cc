/**
 * Every call by which src/storage reaches the file system, and a way to watch them happen.
 *
 * `FS_EFFECTS` says what each does; fs-calls.test.ts fails where src/storage uses one that is not
 * here. `observeFsCalls` takes the place of those that change anything, in node:fs and in what
 * koffi binds, so it is for processes that do nothing else, and for good.
 *   I1  a call is seen once, however many others Node makes to serve it
 */
import fs from 'node:fs'
import Module, { syncBuiltinESMExports } from 'node:module'

/** What a call does to a file system; 'none' leaves it as it was. */
export type FsEffect = 'open' | 'close' | 'write' | 'resize' | 'name' | 'sync' | 'none'

/** By name in node:fs, 'promises.' for fs.promises, 'handle.' for a FileHandle, 'native.' for C. */
export const FS_EFFECTS: Readonly<Record<string, FsEffect>> = {
  accessSync: 'none',
  existsSync: 'none',
  fstatSync: 'none',
  lstatSync: 'none',
  read: 'none',
  readFileSync: 'none',
  readSync: 'none',
  readdirSync: 'none',
  readlinkSync: 'none',
  realpathSync: 'none',
  statSync: 'none',
  statfsSync: 'none',
  watch: 'none',
  openSync: 'open',
  close: 'close',
  closeSync: 'close',
  writeFileSync: 'write',
  writeSync: 'write',
  ftruncateSync: 'resize',
  linkSync: 'name',
  mkdirSync: 'name',
  renameSync: 'name',
  unlinkSync: 'name',
  fdatasync: 'sync',
  fdatasyncSync: 'sync',
  'promises.open': 'open',
  'promises.rm': 'name',
  'promises.unlink': 'name',
  'handle.close': 'close',
  'handle.datasync': 'sync',
  'handle.sync': 'sync',
  'native.fallocate': 'resize',
  'native.fcntl': 'none',
  'native.fdatasync': 'sync',
  'native.fsync': 'sync',
  'native.madvise': 'none',
  'native.mmap': 'none',
  'native.munmap': 'none',
}

/** One call that changes something. */
export interface FsCall {
  readonly name: string
  readonly effect: FsEffect
  /** As they were passed; of a FileHandle's method, its descriptor. */
  readonly arguments: readonly unknown[]
  /** Makes the call, unseen, with these arguments. Not for those of a FileHandle. */
  readonly make: (...values: readonly unknown[]) => unknown
}

/** Who watches. */
export interface FsObserver {
  /** The call is about to be made. */
  begins(call: FsCall): void
  /** It was made; of one that failed `result` is undefined. */
  ends(call: FsCall, result: unknown, error: unknown): void
  /** What a sync is to fail with instead of being made. */
  failureOf?(call: FsCall): Error | undefined
}

type AnyFunction = (...values: readonly unknown[]) => unknown
type Callback = (error: unknown, result?: unknown) => void

/** From now on, until the process ends: what changes anything, or what only looks as well. */
export function observeFsCalls(
  observer: FsObserver,
  which: 'changes' | 'changes and looks' = 'changes',
): void {
  // Node's removal of trees takes the functions that it is made of at its first use: those of Node.
  fs.rmSync('/nonexistent/streambed', { recursive: true, force: true })
  const watching = new Watching(observer, which === 'changes and looks')
  const { promises } = fs
  for (const name of watching.namesOf('')) replace(fs, name, (call) => watching.direct(name, call))
  for (const name of watching.namesOf('promises.')) {
    replace(promises, name.slice('promises.'.length), (call) => watching.promised(name, call))
  }
  watchKoffi(watching)
  syncBuiltinESMExports()
}

function replace(owner: object, name: string, by: (original: AnyFunction) => AnyFunction): void {
  const original = Reflect.get(owner, name) as AnyFunction // FS_EFFECTS lists functions alone.
  Reflect.set(owner, name, by(original.bind(owner)))
}

class Watching {
  readonly #observer: FsObserver
  /** Calls that Node makes to serve another one are not seen (I1). */
  #isInside = false
  readonly #seesLooks: boolean

  constructor(observer: FsObserver, seesLooks: boolean) {
    this.#observer = observer
    this.#seesLooks = seesLooks
  }

  /** Of the calls that are watched. */
  namesOf(prefix: string): readonly string[] {
    const ofPrefix = Object.keys(FS_EFFECTS).filter(
      (name) => name.slice(0, name.lastIndexOf('.') + 1) === prefix,
    )
    // A watcher is no call: it goes on.
    return ofPrefix.filter(
      (name) => FS_EFFECTS[name] !== 'none' || (this.#seesLooks && name !== 'watch'),
    )
  }

  direct(name: string, original: AnyFunction): AnyFunction {
    const call = name.endsWith('Sync') ? this.synchronous : this.withCallback
    return call.call(this, name, original)
  }

  synchronous(name: string, original: AnyFunction): AnyFunction {
    return (...values) => {
      if (this.#isInside) return original(...values)
      const call = this.#begin(name, values, original)
      this.#isInside = true
      let result: unknown
      try {
        const failure = this.#observer.failureOf?.(call)
        if (failure !== undefined) throw failure
        result = original(...values)
      } catch (error) {
        this.#isInside = false
        this.#observer.ends(call, undefined, error)
        throw error
      }
      this.#isInside = false
      this.#observer.ends(call, result, null)
      return result
    }
  }

  withCallback(name: string, original: AnyFunction): AnyFunction {
    return (...values) => {
      const done = values.at(-1) as Callback // As Node's calls of this kind have it.
      const call = this.#begin(name, values.slice(0, -1), original)
      const ended: Callback = (error, result) => {
        this.#observer.ends(call, result, error)
        done(error, result)
      }
      const failure = this.#observer.failureOf?.(call)
      if (failure === undefined) return original(...values.slice(0, -1), ended)
      return setImmediate(() => ended(failure))
    }
  }

  promised(name: string, original: AnyFunction): AnyFunction {
    return async (...values) => {
      const call = this.#begin(name, values, original)
      let result: unknown
      try {
        result = await original(...values)
      } catch (error) {
        this.#observer.ends(call, undefined, error)
        throw error
      }
      if (name === 'promises.open') this.#watchHandle(result as fs.promises.FileHandle) // Node's.
      this.#observer.ends(call, result, null)
      return result
    }
  }

  #watchHandle(handle: fs.promises.FileHandle): void {
    const { fd } = handle // Closed, it is −1.
    for (const name of this.namesOf('handle.')) {
      const method = name.slice('handle.'.length)
      replace(handle, method, (original) => {
        const watched = this.promised(name, () => original())
        return () => watched(fd)
      })
    }
  }

  #begin(name: string, values: readonly unknown[], original: AnyFunction): FsCall {
    const make: AnyFunction = (...others) => {
      this.#isInside = true
      const result = original(...others)
      this.#isInside = false
      return result
    }
    const call = { name, effect: FS_EFFECTS[name] ?? 'none', arguments: values, make }
    this.#observer.begins(call)
    return call
  }
}

interface NativeFunction extends AnyFunction {
  async?: AnyFunction
}

interface Library {
  func(name: string, ...signature: readonly unknown[]): NativeFunction
}

/** What koffi binds from now on is watched as well. */
function watchKoffi(watching: Watching): void {
  const loader = Module as unknown as { _load: AnyFunction } // Node's own, without a type.
  const { _load: load } = loader
  loader._load = (...values) => {
    const loaded = load(...values)
    if (values[0] !== 'koffi') return loaded
    const koffi = loaded as { load(path: null): Library } // As native-binding.ts uses it.
    return new Proxy(koffi, {
      get(target, name): unknown {
        if (name === 'load') return () => watchedLibrary(target.load(null), watching)
        return Reflect.get(target, name)
      },
    })
  }
}

function watchedLibrary(library: Library, watching: Watching): Library {
  return {
    func(name, ...signature) {
      const call = library.func(name, ...signature)
      const known = watching.namesOf('native.').find((one) => one === `native.${name}`)
      if (known === undefined) return call
      const direct: NativeFunction = watching.synchronous(known, call)
      if (call.async) direct.async = watching.withCallback(known, call.async.bind(call))
      return direct
    },
  }
}
