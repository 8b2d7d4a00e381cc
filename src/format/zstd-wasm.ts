/**
 * libzstd as WebAssembly, from `@bokuweb/zstd-wasm`: for Node.js before 22.15, which has no zstd.
 *
 * The package starts up asynchronously, but a record must be readable in a synchronous call. So
 * its glue code is loaded as it is and given its module at once, compiled by a synchronous call.
 * The copy is ours alone: whoever else uses the package in this process has another one. This
 * leans on the inside of the package, hence its version is fixed, and tried out when it is loaded.
 *
 * Owns the memory of that copy: all of a call's bytes lie in it, so it is thrown away when it has
 * grown large. Format/ opens no files: whoever may do so hands in how, with `allowZstdPackage`.
 */
import { createRequire } from 'node:module'
import { assert } from '../errors/invariant.ts'
import { codecMissing } from './decompression-failure.ts'
import { webAssembly } from './web-assembly.ts'

/** What zstd needs on Node.js before 22.15. */
export const ZSTD_PACKAGE = '@bokuweb/zstd-wasm'

/** Functions of libzstd. Each takes and returns addresses and sizes in the module's memory. */
interface ZstdModule {
  readonly HEAPU8: Uint8Array
  readonly _malloc: (bytes: number) => number
  readonly _free: (address: number) => void
  readonly _ZSTD_compressBound: (bytes: number) => number
  readonly _ZSTD_compress: (
    target: number,
    targetBytes: number,
    source: number,
    sourceBytes: number,
    level: number,
  ) => number
  readonly _ZSTD_decompress: (
    target: number,
    targetBytes: number,
    source: number,
    sourceBytes: number,
  ) => number
  readonly _ZSTD_isError: (result: number) => number
}

/** The glue before it has been started. */
interface ZstdGlue extends ZstdModule {
  instantiateWasm: (imports: object, receive: (instance: object) => unknown) => unknown
  readonly init: () => unknown
}

/** Reads a file that belongs to a package. */
export type ReadPackageFile = (path: string) => Uint8Array

const LEVEL = 3
/** More than a batch ever needs with the default settings; a fresh copy takes about 2 ms. */
const MAX_KEPT_BYTES = 67_108_864
/** What libzstd answers when the target has no room for the rest. */
const DESTINATION_TOO_SMALL = -70
/** Beside the package's entry point. */
const PROGRAM_FILE = './zstd.wasm'
const GLUE_FILE = './zstd.js'
const PROBE_BYTES = 1_000

let readFile: ReadPackageFile | undefined
let program: object | undefined
let loaded: ZstdModule | null | undefined

/** Allows zstd to come from the package where Node.js has none. Reads nothing until needed. */
export function allowZstdPackage(read: ReadPackageFile): void {
  if (readFile !== undefined) return
  readFile = read
  loaded = undefined
}

/** Whether the package is allowed, is installed and starts. Looked for once, when first asked. */
export function isZstdPackageAvailable(): boolean {
  return loadedModule() !== null
}

/**
 * `source` as one frame. Owned.
 *
 * @throws {RangeError} when the module cannot get the memory for it.
 */
export function compressByWasm(source: Uint8Array): Buffer {
  const zstd = requireModule()
  const boundBytes = zstd._ZSTD_compressBound(source.length)
  const frame = inMemoryOf(zstd, source, boundBytes, (target, from) =>
    zstd._ZSTD_compress(target, boundBytes, from, source.length, LEVEL),
  )
  assert(frame !== null, 'a frame fits its own bound')
  return frame
}

/**
 * What one frame holds; null when that is more than `maxBytes`. Owned.
 *
 * @throws {Error} whatever it is, the frame cannot be read.
 */
export function decompressByWasm(frame: Uint8Array, maxBytes: number): Buffer | null {
  const zstd = requireModule()
  return inMemoryOf(zstd, frame, maxBytes, (target, from) =>
    zstd._ZSTD_decompress(target, maxBytes, from, frame.length),
  )
}

/** Runs `work` on a copy of `source` and returns a copy of what it wrote; null: too much. */
function inMemoryOf(
  zstd: ZstdModule,
  source: Uint8Array,
  targetBytes: number,
  work: (target: number, from: number) => number,
): Buffer | null {
  // One place for both: there is just one allocation that can fail. Empty ones are still places.
  const target = zstd._malloc(targetBytes + source.length + 1)
  if (target === 0) throw new RangeError('zstd got no memory')
  const from = target + targetBytes
  zstd.HEAPU8.set(source, from) // read anew: growing memory replaces the view
  const result = work(target, from)
  const isFailed = zstd._ZSTD_isError(result) !== 0
  const bytes = Buffer.allocUnsafeSlow(isFailed ? 0 : result)
  bytes.set(zstd.HEAPU8.subarray(target, target + bytes.length))
  zstd._free(target)
  if (zstd.HEAPU8.length > MAX_KEPT_BYTES) loaded = undefined
  if (!isFailed) return bytes
  if (result === DESTINATION_TOO_SMALL) return null
  throw new Error(`zstd failed with code ${-result}`)
}

function requireModule(): ZstdModule {
  const zstd = loadedModule()
  if (zstd === null) throw codecMissing(ZSTD_PACKAGE)
  return zstd
}

function loadedModule(): ZstdModule | null {
  if (loaded === undefined) {
    try {
      loaded = readFile === undefined ? null : startModule(readFile)
    } catch {
      loaded = null // Not installed, or another version, whose inside looks different.
    }
  }
  return loaded
}

function startModule(read: ReadPackageFile): ZstdModule | null {
  const { Module, Instance } = webAssembly()
  const entry = createRequire(import.meta.url).resolve(ZSTD_PACKAGE)
  const inside = createRequire(entry)
  program ??= new Module(read(inside.resolve(PROGRAM_FILE)))
  const compiled = program
  const glue = loadPrivately(inside, GLUE_FILE)
  glue.instantiateWasm = (imports, receive) => receive(new Instance(compiled, imports))
  glue.init()
  return glue._ZSTD_compressBound(PROBE_BYTES) > PROBE_BYTES ? glue : null
}

/** Loads a file of the package past the module cache, which is left as it was. */
function loadPrivately(inside: NodeJS.Require, name: string): ZstdGlue {
  const path = inside.resolve(name)
  const shared = inside.cache[path]
  Reflect.deleteProperty(inside.cache, path)
  try {
    const exported: unknown = inside(path)
    return (exported as { Module: ZstdGlue }).Module // proved by starting it and calling it
  } finally {
    Reflect.deleteProperty(inside.cache, path)
    if (shared !== undefined) inside.cache[path] = shared
  }
}
