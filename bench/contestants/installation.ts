/**
 * What installing a package adds to a project, read from what is installed here: streambed from the
 * checkout, its peers from bench/node_modules. Packages for other platforms are not there, as with
 * any installation. Bytes are those of files, not of the blocks they fill.
 *
 *   streambed     the archive that npm pack makes, with <checkout>/node_modules/…
 *   any other     bench/node_modules/<name>, with what it depends on
 */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { StorePackage } from './peer-packages.ts'
import { STREAMBED_MODULE } from './streambed.ts'

/** What is installed. */
export interface InstalledSize {
  readonly byteCount: number
  readonly packageCount: number
}

/** The archive of streambed. */
export interface PackedSize {
  readonly packedBytes: number
  readonly unpackedBytes: number
}

/** Which dependencies: `required` leaves out the optional ones. */
export type Extent = 'all' | 'required'

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const BENCH = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const CHECKOUT = join(BENCH, '..')
const run = promisify(execFile)

/** What a package depends on; streambed itself counts with what its archive unpacks to. */
export async function installedSizeOf(
  name: 'streambed' | StorePackage,
  extent: Extent,
): Promise<InstalledSize> {
  const isOurs = name === 'streambed'
  const directory = isOurs ? CHECKOUT : join(BENCH, 'node_modules', name)
  const packages = closureOf(directory, extent)
  const ownBytes = isOurs ? (await packedSize()).unpackedBytes : bytesBelow(directory)
  const others = [...packages].filter((found) => found !== directory)
  const byteCount = others.reduce((sum, found) => sum + bytesBelow(found), ownBytes)
  return { byteCount, packageCount: packages.size }
}

/** What npm pack would publish from this checkout, as it is built now. */
export async function packedSize(): Promise<PackedSize> {
  const asked = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const { stdout } = await run('npm', asked, { cwd: CHECKOUT })
  const [packed] = JSON.parse(stdout) as { size: number; unpackedSize: number }[] // npm's own.
  if (packed === undefined) throw new Error('npm packed nothing')
  return { packedBytes: packed.size, unpackedBytes: packed.unpackedSize }
}

/**
 * Puts streambed below `directory` as a project without its optional packages has it; returns the
 * address of its module.
 */
export function installWithoutOptional(directory: string): string {
  const packages = join(directory, 'node_modules')
  const own = join(packages, 'streambed')
  mkdirSync(own, { recursive: true })
  cpSync(join(CHECKOUT, 'package.json'), join(own, 'package.json'))
  cpSync(dirname(fileURLToPath(STREAMBED_MODULE)), join(own, 'dist'), { recursive: true })
  for (const found of closureOf(CHECKOUT, 'required')) {
    if (found === CHECKOUT) continue
    cpSync(found, join(packages, nameOf(found)), { recursive: true })
  }
  return pathToFileURL(join(own, 'dist', 'index.js')).href
}

/** Directories of the package in `directory` and of all that it needs, directly or not. */
function closureOf(directory: string, extent: Extent): ReadonlySet<string> {
  const found = new Set([directory])
  for (const at of found) {
    const manifest = manifestOf(at)
    const optional = extent === 'all' ? manifest.optionalDependencies : {}
    for (const name of Object.keys({ ...manifest.dependencies, ...optional })) {
      const place = placeOf(name, at)
      if (place !== undefined) found.add(place)
    }
  }
  return found
}

/** Where a package in `from` finds another one; undefined where that is for another platform. */
function placeOf(name: string, from: string): string | undefined {
  for (let at = from; at !== dirname(at); at = dirname(at)) {
    const place = join(at, 'node_modules', name)
    if (existsSync(place)) return place
  }
  return undefined
}

function manifestOf(directory: string): Manifest {
  // npm has read it when it installed the package.
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest
}

function nameOf(directory: string): string {
  return directory.slice(directory.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

/** Of the files of a package, without packages that lie inside it. */
function bytesBelow(directory: string): number {
  let byteCount = 0
  for (const name of readdirSync(directory)) {
    if (name === 'node_modules') continue
    const path = join(directory, name)
    const stat = lstatSync(path)
    byteCount += stat.isDirectory() ? bytesBelow(path) : stat.size
  }
  return byteCount
}
