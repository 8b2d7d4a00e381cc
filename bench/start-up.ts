/**
 * How long does a program wait until its log is there, and what does it install for that? From the
 * first line of a fresh process: loading the package, opening a log, appending a record. Once where
 * the directory is empty, once where a log of one record was closed cleanly before. Everything is
 * in the page cache. The limit loads nothing and appends to a file.
 *
 * Each measurement starts several processes and keeps the one in the middle. Columns:
 *   import, open, append ms   the steps of the time
 *   resident MB               of the whole process, then; the limit's is what Node itself takes
 *   installed MB, packages    the package with what it depends on, on this platform: what lies in
 *                             node_modules after the installation, its own build included
 *   packed kB, unpacked kB    streambed's own archive, as npm pack makes it from this checkout
 *
 * `without optional` is streambed as --omit=optional installs it: nothing native, codecs in
 * JavaScript alone. Peers are opened with their defaults, SQLite with a write-ahead log, lmdb
 * without syncs; event-storage is called once it says that it is ready.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  installedSizeOf,
  installWithoutOptional,
  packedSize,
  type InstalledSize,
  type PackedSize,
} from './contestants/installation.ts'
import { STORE_PACKAGES, type StorePackage } from './contestants/peer-packages.ts'
import { STREAMBED_MODULE } from './contestants/streambed.ts'
import type { Contestant, Measurement, Question, Scale } from './runner/question.ts'

/** How a package is opened: start-up-program.ts. */
export type Way = 'streambed' | 'streambed-in-memory' | StorePackage | 'file'

/** What one start took. */
export interface Start {
  /** From the start of the process to the program's first line. */
  readonly bootMs: number
  readonly importMs: number
  readonly openMs: number
  readonly appendMs: number
  readonly residentBytes: number
  /** Of the whole process, its start included, in microseconds. */
  readonly cpu: { readonly user: number; readonly system: number }
}

/** The question. */
export const startUp: Question = {
  name: 'start-up',
  asks: 'loads the package, opens a log and appends a record, in a fresh process',
  answer: 'time',
  cases: (scale) => [
    { name: 'no log before', contestants: contestantsOf(scale, 'new') },
    { name: 'a log of before', contestants: contestantsOf(scale, 'old') },
  ],
}

const PROGRAM = fileURLToPath(new URL('start-up-program.js', import.meta.url))
const NS_PER_MS = 1e6
const NS_PER_MICROSECOND = 1e3
const BYTES_PER_KB = 1e3
const BYTES_PER_MB = 1e6
const run = promisify(execFile)

type Age = 'new' | 'old'
type Columns = Readonly<Record<string, number>>

/** A package where a program finds it. */
interface Installation {
  readonly way: Way
  /** The module that is loaded; made below the directory of a measurement where that is said. */
  address(directory: string): string
  /** Columns about its size. */
  size(): Promise<Columns>
}

function contestantsOf(scale: Scale, age: Age): readonly Contestant[] {
  const by = (installation: Installation): Pick<Contestant, 'measure'> => ({
    measure: (directory) => startsOf(installation, directory, { scale, age }),
  })
  return [
    { name: 'streambed', role: 'ours', ...by(streambed) },
    { name: 'streambed, without optional', role: 'ours', ...by(withoutOptional) },
    ...(age === 'new'
      ? [{ name: 'streambed, in memory', role: 'ours', ...by(inMemory) } as const]
      : []),
    ...STORE_PACKAGES.map((name): Contestant => ({
      name,
      role: 'peer',
      needs: name,
      ...by(peer(name)),
    })),
    { name: 'a bare file', role: 'limit', ...by(bareFile) },
  ]
}

const streambed: Installation = {
  way: 'streambed',
  address: () => STREAMBED_MODULE,
  size: async () => columnsOf(await installedSizeOf('streambed', 'all'), await packedSize()),
}

const withoutOptional: Installation = {
  way: 'streambed',
  address: installWithoutOptional,
  size: async () => columnsOf(await installedSizeOf('streambed', 'required'), await packedSize()),
}

const inMemory: Installation = { ...streambed, way: 'streambed-in-memory' }

const bareFile: Installation = { way: 'file', address: () => 'node:fs', size: async () => ({}) }

function peer(name: StorePackage): Installation {
  return {
    way: name,
    address: () => import.meta.resolve(name),
    size: async () => columnsOf(await installedSizeOf(name, 'all')),
  }
}

interface Terms {
  readonly scale: Scale
  readonly age: Age
}

async function startsOf(
  { way, address, size }: Installation,
  directory: string,
  { scale, age }: Terms,
): Promise<Measurement> {
  const module = address(directory)
  const fresh = (): string => mkdtempSync(join(directory, 'log-'))
  const kept = fresh()
  await startOf(way, module, kept) // Also brings everything into the page cache.
  const starts: Start[] = []
  for (let started = 0; started < (scale.quick ? 3 : 9); started += 1) {
    starts.push(await startOf(way, module, age === 'old' ? kept : fresh()))
  }
  const middle = starts.toSorted((a, b) => totalMs(a) - totalMs(b))[starts.length >> 1]
  if (middle === undefined) throw new Error('nothing was started')
  return {
    recordCount: 1,
    byteCount: 0,
    wallNs: totalMs(middle) * NS_PER_MS,
    userNs: middle.cpu.user * NS_PER_MICROSECOND,
    systemNs: middle.cpu.system * NS_PER_MICROSECOND,
    also: {
      'import ms': middle.importMs,
      'open ms': middle.openMs,
      'append ms': middle.appendMs,
      'resident MB': middle.residentBytes / BYTES_PER_MB,
      ...(await size()),
    },
  }
}

async function startOf(way: Way, module: string, directory: string): Promise<Start> {
  const { stdout } = await run(process.execPath, [PROGRAM, way, module, directory])
  return JSON.parse(stdout) as Start // Printed by the program.
}

function columnsOf(installed: InstalledSize, packed?: PackedSize): Columns {
  return {
    'installed MB': installed.byteCount / BYTES_PER_MB,
    packages: installed.packageCount,
    ...(packed && {
      'packed kB': packed.packedBytes / BYTES_PER_KB,
      'unpacked kB': packed.unpackedBytes / BYTES_PER_KB,
    }),
  }
}

function totalMs({ importMs, openMs, appendMs }: Start): number {
  return importMs + openMs + appendMs
}
